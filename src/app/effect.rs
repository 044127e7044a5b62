//! Everything the cockpit can ask for. Data, not closures: loggable, comparable, testable.

use crate::actions::{Intent, Plan};
use crate::diagnosis::EvidenceRequest;
use crate::kinds::ObjectRef;
use crate::snapshot::LogSpec;
use crate::text::Text;

/// One thing to do outside the pure core.
#[derive(Debug, Clone, PartialEq)]
pub enum Effect {
    /// Leave the program.
    Quit,
    /// Fetch evidence a rule asked for; the answer is a `Delta::Log`.
    Fetch(EvidenceRequest),
    /// Stream a log as number `stream`; the stream before it is dropped.
    FollowLog {
        /// Number that its `Msg::Log` will carry.
        stream: u64,
        /// Which log.
        spec: LogSpec,
        /// Other containers of the pod, their lines merged into it.
        also: Vec<Text>,
    },
    /// Drop the current log stream.
    StopLog,
    /// Fetch an object as YAML (`Msg::ObjectText`); Secret values masked unless `reveal`.
    FetchYaml {
        /// Which.
        object: ObjectRef,
        /// Show Secret values.
        reveal: bool,
    },
    /// Fetch a description: the object and its events.
    FetchDescription {
        /// Which.
        object: ObjectRef,
    },
    /// Fetch an object's YAML to be edited (`Msg::EditText`).
    FetchForEdit {
        /// Which.
        object: ObjectRef,
    },
    /// Give the terminal to `$EDITOR` with that text; `Msg::Edited` when it has ended.
    Editor {
        /// Which object.
        object: ObjectRef,
        /// Its YAML.
        text: String,
    },
    /// Give the terminal to a shell in a container, until it ends.
    Shell {
        /// The pod.
        pod: ObjectRef,
        /// Which container.
        container: String,
    },
    /// List a kind that has no row of its own.
    FetchListing {
        /// Plural name.
        plural: String,
        /// Only this namespace.
        namespace: Option<String>,
    },
    /// Turn an intent into a plan (fetching what the planner needs): `Msg::Planned`.
    Plan(Intent),
    /// Ask the server: access review and dry run: `Msg::Checked`.
    Check(Box<Plan>),
    /// Apply a plan the person confirmed: `Msg::Applied`.
    Apply(Box<Plan>),
    /// Read the contexts of the kubeconfig: `Msg::Contexts`.
    ListContexts,
    /// Connect to another context: `Msg::Connected`, after which the snapshot starts anew.
    SwitchContext(String),
    /// Start the practice cluster inside the process and connect to it.
    StartPractice,
    /// Watch only these namespaces; empty is all. The snapshot is kept and narrowed or widened.
    SwitchNamespaces(Vec<String>),
    /// Ask for resource kinds: `Msg::Resources`.
    Discover,
    /// Put text on the clipboard (OSC 52).
    Copy(String),
    /// Save text to a file of that suggested name in the state directory; answers with `Msg::Notice`.
    Save {
        /// File name without directory.
        name: String,
        /// Content.
        text: String,
    },
    /// Suspend to the shell's job control (Ctrl-Z outside tables).
    Suspend,
    /// Draw everything anew.
    ClearScreen,
}
