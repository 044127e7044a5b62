//! Everything a key can do. The cockpit dispatches on [`Action`]; which keys do it is data (`assets/keymap.toml`).
//!
//! To add one: a line here, an entry in the keymap, an arm in the dispatch (the compiler asks for it).

macro_rules! actions {
    ($($variant:ident = $name:literal, $doc:literal;)*) => {
        /// Something a key does.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Action { $(#[doc = $doc] $variant,)* }

        impl Action {
            /// Every action, in the order of the list.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// Its name in config files.
            pub fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }
        }
    };
}

actions! {
    Undo = "undo", "Preview undoing the rollout of the selection.";
    Fix = "fix", "Preview fix number [`Hit::nth`](super::keymap::Hit::nth) (0 is the first).";
    Restart = "restart", "Rollout restart: preview, then Enter.";
    Scale = "scale", "Scale: asks for the number, then preview.";
    SetImage = "set-image", "Set the image: asks for it, then preview.";
    Delete = "delete", "Delete: asks, Cancel focused.";
    Kill = "kill", "Delete at once, without grace: asks, Cancel focused.";
    Cordon = "cordon", "Cordon the node: preview, then Enter.";
    Uncordon = "uncordon", "Uncordon the node: preview, then Enter.";
    Drain = "drain", "Drain the node: preview, the name must be typed.";
    Trigger = "trigger", "Start the CronJob now: preview, then Enter.";
    SuspendCronJob = "suspend-cronjob", "Suspend the CronJob, or let it go on.";
    Shell = "shell", "A shell in the container, through kubectl exec.";
    Mark = "mark", "Mark the row, or unmark it.";
    MarkRange = "mark-range", "Mark every row from the last marked one to here.";
    ClearMarks = "clear-marks", "Clear the marks.";
    RollBack = "roll-back", "Roll back to the selected revision: preview, then Enter.";
    WayBack = "way-back", "Take the last applied action back: preview, then Enter.";
    Dismiss = "dismiss", "Dismiss a recovered incident.";
    Explain = "explain", "Explain: what was checked, matched, ruled out.";
    Timeline = "timeline", "What changed, beside what failed.";
    Logs = "logs", "Logs.";
    PreviousLogs = "previous-logs", "Logs of the run before the current one.";
    Describe = "describe", "Describe.";
    Yaml = "yaml", "YAML, Secrets masked.";
    Edit = "edit", "Edit in $EDITOR: then preview.";
    Events = "events", "Events of the selection.";
    JumpToOwner = "jump-to-owner", "Jump to the owner.";
    JumpToNode = "jump-to-node", "Jump to the node.";
    JumpToReplicaSets = "jump-to-replicasets", "Jump to its ReplicaSets.";
    CopyName = "copy-name", "Copy the name.";
    CopyNamespace = "copy-namespace", "Copy the namespace.";
    Save = "save", "Save this view to a file.";
    Namespace = "namespace", "All namespaces, favourite namespaces.";
    SortByName = "sort-by-name", "Sort by name; again: reverse.";
    SortByAge = "sort-by-age", "Sort by age; again: reverse.";
    SortByStatus = "sort-by-status", "Sort by status; again: reverse.";
    SortByColumn = "sort-by-column", "Sort by the selected column; again: reverse.";
    PreviousColumn = "previous-column", "Select the column to the left.";
    NextColumn = "next-column", "Select the column to the right.";
    FaultsOnly = "faults-only", "Only what is not healthy.";
    Wide = "wide", "Wide columns.";
    LogRange = "log-range", "Tail, head, 1m, 5m, 15m, 30m, 1h.";
    Follow = "follow", "Follow (autoscroll) on, off.";
    PreviousRun = "previous-run", "The run before the current one, and back.";
    AllContainers = "all-containers", "All containers.";
    ChooseContainer = "choose-container", "Choose the container.";
    FirstError = "first-error", "Jump to the first error of the crash.";
    Timestamps = "timestamps", "Time stamps on, off.";
    MarkLine = "mark-line", "Mark: a line that shows what came after.";
    ClearLog = "clear-log", "Clear what is shown.";
    NextMatch = "next-match", "Next match of the search.";
    PreviousMatch = "previous-match", "Previous match of the search.";
    Wrap = "wrap", "Wrap long lines.";
    Zoom = "zoom", "Full screen, and back.";
    Reveal = "reveal", "Show the values of a Secret, and hide them.";
    Down = "down", "Down.";
    Up = "up", "Up.";
    Left = "left", "Left.";
    Right = "right", "Right.";
    Top = "top", "To the top.";
    Bottom = "bottom", "To the bottom.";
    PageUp = "page-up", "A page up.";
    PageDown = "page-down", "A page down.";
    Open = "open", "Drill down, zoom the pane.";
    NextPane = "next-pane", "Next pane.";
    PreviousPane = "previous-pane", "Previous pane.";
    HistoryBack = "history-back", "Back in the history of views.";
    HistoryForward = "history-forward", "Forward in the history of views.";
    LastView = "last-view", "The view before this one.";
    Filter = "filter", "Filter: regex, !inverse, -f fuzzy, -l k=v labels.";
    Command = "command", "Command: a resource, :ctx, :ns NAME, :q.";
    Help = "help", "Help for this view.";
    Back = "back", "Clear the filter; again: go back.";
    Leave = "leave", "Go back; at the root: ask before quitting.";
    Quit = "quit", "Quit.";
    Redraw = "redraw", "Redraw.";
    Suspend = "suspend", "Suspend to the shell (fg comes back).";
    Apply = "apply", "Do what is previewed.";
    Cancel = "cancel", "Leave it.";
    Accept = "accept", "Take the focused choice, run the line.";
    OtherChoice = "other-choice", "The other choice.";
    Complete = "complete", "Complete the line.";
    NextSuggestion = "next-suggestion", "Next suggestion.";
    PreviousSuggestion = "previous-suggestion", "Previous suggestion.";
    StartPractice = "start-practice", "Start the practice cluster.";
}

impl Action {
    /// The action of that name in config files.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|action| action.name() == name)
    }
}
