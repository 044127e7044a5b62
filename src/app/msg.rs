//! Everything that can happen to the cockpit.

use crossterm::event::KeyEvent;

use crate::actions::{Check, Intent, Plan, Refusal};
use crate::kinds::ObjectRef;
use crate::snapshot::{Delta, LogBatch};
use crate::text::Time;

/// One thing that happened.
#[derive(Debug)]
pub enum Msg {
    /// A key was pressed (presses only).
    Key(KeyEvent),
    /// Text was pasted (bracketed paste).
    Paste(String),
    /// The terminal has this size now: columns, rows.
    Resize(u16, u16),
    /// Time passed; sent at least once a second, and with every frame that shows ages.
    Tick(Time),
    /// When the server last said anything at all, quiet watches or not.
    Heard(Time),
    /// Facts from a source, in order. The shell drains what is queued into one message.
    Deltas(Vec<Delta>),
    /// Facts to fold in now and to judge later, by [`Msg::Diagnose`]: they may come a thousand times a second.
    Facts(Vec<Delta>),
    /// Run the rules for a slice of what the folded facts touch; again while the engine is behind.
    Diagnose,
    /// Lines of the log stream with that number; older streams' lines are ignored.
    Log {
        /// Which stream ([`super::Effect::FollowLog`]).
        stream: u64,
        /// What came.
        batch: LogBatch,
    },
    /// Where usage comes from, or why there is none: `metrics-server`, `kubelet`, `none: forbidden ...`.
    MetricsSource(Result<String, String>),
    /// An object's text (YAML or description) for the view that asked.
    ObjectText {
        /// Which object.
        object: ObjectRef,
        /// The text, or why it could not be fetched.
        text: Result<String, String>,
        /// Which text of it.
        which: ObjectText,
    },
    /// An object's YAML, to be edited.
    EditText {
        /// Which object.
        object: ObjectRef,
        /// The text, or why it could not be fetched.
        text: Result<String, String>,
    },
    /// The editor ended.
    Edited {
        /// Which object.
        object: ObjectRef,
        /// What changed, nothing, or what is wrong with it.
        patch: Result<Option<String>, String>,
    },
    /// A plan for what was asked, or why there is none.
    Planned {
        /// What was asked.
        intent: Intent,
        /// The plan.
        plan: Box<Result<Plan, Refusal>>,
    },
    /// What the server says to the plan being previewed (access review, dry run).
    Checked {
        /// The plan's intent.
        intent: Intent,
        /// The server's answers.
        check: Check,
    },
    /// The plan was applied, or failed with a sentence.
    Applied {
        /// The plan's intent.
        intent: Intent,
        /// When.
        at: Time,
        /// Outcome.
        result: Result<(), String>,
    },
    /// Resource kinds the server offers, for the `:` prompt.
    Resources(Vec<ResourceKind>),
    /// A generic listing of a kind without a row of its own: columns, then rows.
    Listing {
        /// Plural of the kind.
        plural: String,
        /// Column titles and rows, or why not.
        table: Result<(Vec<String>, Vec<Vec<String>>), String>,
    },
    /// Contexts of the kubeconfig.
    Contexts(Vec<ContextInfo>),
    /// The connection to another context is up (a fresh snapshot follows), or failed with a sentence; or there is no kubeconfig.
    Connected(Result<ConnectedInfo, ConnectFailure>),
    /// A line a credential plugin said to the person.
    PluginSays(String),
    /// A line for the status bar: copied, saved, refused.
    Notice(String),
    /// The terminal was redrawn from scratch by someone else: draw everything.
    Redraw,
}

/// What connecting told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConnectedInfo {
    /// Context name.
    pub context: String,
    /// Who `--as` says to act as.
    pub acting_as: Option<String>,
    /// Namespaces the user asked for; empty is all.
    pub namespaces: Vec<String>,
    /// Writes are refused.
    pub read_only: bool,
    /// `live`, `practice`, `bundle`.
    pub source: &'static str,
}

/// Why there is no connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ConnectFailure {
    /// There is no kubeconfig and we are not in a cluster: offer the practice cluster.
    NoKubeconfig {
        /// The paths that were tried.
        looked: String,
    },
    /// Anything else, as a sentence that says what to do.
    Other(String),
}

/// A kind the server offers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResourceKind {
    /// `deployments`.
    pub plural: String,
    /// `deployment`.
    pub singular: String,
    /// `deploy`.
    pub short_names: Vec<String>,
    /// `Deployment`.
    pub kind: String,
    /// `apps`, empty for core.
    pub group: String,
    /// False for cluster-scoped kinds.
    pub namespaced: bool,
}

/// A context of the kubeconfig.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContextInfo {
    /// Name.
    pub name: String,
    /// Cluster entry.
    pub cluster: String,
    /// Default namespace.
    pub namespace: Option<String>,
    /// The one in use.
    pub current: bool,
}

/// Which text of an object: an answer that was asked for another view, or before the values of a Secret were hidden again, must not
/// land in this one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ObjectText {
    /// YAML.
    Yaml {
        /// With the values of a Secret.
        revealed: bool,
    },
    /// Description with events.
    Description,
}
