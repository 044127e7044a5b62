//! Where a key is pressed. A view gives its places from the narrowest to the widest, e.g. `[Logs, Cockpit, Everywhere]`;
//! the first place that binds the key decides.

macro_rules! places {
    ($($variant:ident = $name:literal, $doc:literal;)*) => {
        /// A part of the screen with keys of its own.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Place { $(#[doc = $doc] $variant,)* }

        impl Place {
            /// Every place, in the order of the list.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// Its name in config files.
            pub fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }
        }
    };
}

places! {
    Everywhere = "everywhere", "Any view, but not dialogs or the prompt.";
    Cockpit = "cockpit", "The cockpit, whichever pane is focused.";
    Incidents = "incidents", "The incidents pane.";
    Why = "why", "The why pane.";
    EventsPane = "events", "The events pane or view.";
    Logs = "logs", "The logs pane or view.";
    Metrics = "metrics", "The metrics pane.";
    Tables = "tables", "Any table of resources.";
    Pods = "pods", "The pods table.";
    Workloads = "workloads", "Tables of Deployments, StatefulSets, DaemonSets.";
    ReplicaSets = "replicasets", "The ReplicaSets table.";
    Jobs = "jobs", "The Jobs table.";
    CronJobs = "cronjobs", "The CronJobs table.";
    Services = "services", "The Services table.";
    Nodes = "nodes", "The nodes table.";
    Timeline = "timeline", "The timeline.";
    Text = "text", "YAML, descriptions, help, explanations.";
    Yaml = "yaml", "The YAML view.";
    Preview = "preview", "The preview of an action (undo, fix, ...).";
    Confirm = "confirm", "A question with choices.";
    Prompt = "prompt", "A line being typed: what is bound here is not typed.";
    NoCluster = "no-cluster", "The screen without a kubeconfig.";
    NotConnected = "not-connected", "The screen while there is nothing of a cluster to show.";
}

impl Place {
    /// The place of that name in config files.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|place| place.name() == name)
    }

    /// True where `everywhere` does not reach: keys mean only what is bound here.
    pub fn is_modal(self) -> bool {
        matches!(self, Self::Preview | Self::Confirm | Self::Prompt)
    }
}
