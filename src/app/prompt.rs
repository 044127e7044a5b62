//! The `:` prompt: what is typed, what it could mean, what it does. Also asks for a number of replicas.
//!
//! To add a command: a variant of [`Command`], its word in [`WORDS`] and its arm in [`parse`].

use crossterm::event::{Event, KeyEvent};
use nucleo_matcher::pattern::{CaseMatching, Normalization, Pattern};
use nucleo_matcher::{Config, Matcher};
use tui_input::Input;
use tui_input::backend::crossterm::EventHandler;

use super::effect::Effect;
use super::picker::{Picker, What};
use super::preview;
use super::state::State;
use super::table::{self, TableSpec, TableView};
use crate::actions::Intent;
use crate::changes;
use crate::config::{Action, Place};
use crate::diagnosis::Risk;
use crate::kinds::pod_spec::PodSpec;
use crate::kinds::{ObjectRef, Row};
use crate::snapshot::Snapshot;

/// Suggestions shown at most.
pub const SHOWN: usize = 8;
/// Nobody means more pods than this with one key.
const MOST_REPLICAS: i32 = 10_000;

/// What is asked for.
#[derive(Debug, Clone, PartialEq)]
pub enum Ask {
    /// A command.
    Command,
    /// How many replicas the workload shall have.
    Replicas {
        /// Of what.
        workload: ObjectRef,
        /// How many it is asked for now.
        now: i32,
    },
    /// Which image a container of the workload shall have.
    Image(ObjectRef),
}

/// A completion.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Suggestion {
    /// The whole line as it would be.
    pub line: String,
    /// What it is: short names, `context`, ...
    pub about: String,
}

/// A line being typed.
#[derive(Debug)]
pub struct Prompt {
    /// What for.
    pub ask: Ask,
    /// The line.
    pub input: Input,
    /// What it could become, best first.
    pub suggestions: Vec<Suggestion>,
    /// The suggestion chosen with the arrows.
    pub chosen: Option<usize>,
    /// Why the line cannot be run.
    pub error: Option<String>,
}

/// What a line says to do.
#[derive(Debug, Clone)]
pub enum Command {
    /// `:q`
    Quit,
    /// `:ctx`: choose one; with a name: that one.
    Context(Option<String>),
    /// `:ns`: choose one; with a name: that one, `all` for all.
    Namespace(Option<String>),
    /// A table, in a namespace, with a filter.
    Table {
        /// Which.
        spec: &'static TableSpec,
        /// Only this namespace.
        namespace: Option<String>,
        /// What follows the `/`.
        filter: Option<String>,
    },
    /// A kind without a table of its own.
    Listing {
        /// `poddisruptionbudgets`.
        plural: String,
        /// Only this namespace.
        namespace: Option<String>,
    },
}

/// Words that are no resource: the word, what it does.
const WORDS: &[(&str, &str)] =
    &[("ctx", "choose the context"), ("ns", "choose the namespace"), ("all", "all namespaces"), ("q", "quit")];

impl Prompt {
    /// An empty command line.
    fn command(state: &State) -> Self {
        let mut prompt = Self { ask: Ask::Command, input: Input::default(), suggestions: Vec::new(), chosen: None, error: None };
        prompt.suggestions = suggestions(state, "");
        prompt
    }

    /// Asks for the number of replicas of a workload that has `now`.
    pub fn replicas(workload: ObjectRef, now: i32) -> Self {
        Self {
            ask: Ask::Replicas { workload, now },
            // Empty: what is typed behind a number that stands there already makes 2 pods 23.
            input: Input::default(),
            suggestions: Vec::new(),
            chosen: None,
            error: None,
        }
    }

    /// Asks for an image, as `CONTAINER=IMAGE`; suggests what each container has and had. `None` where there is no pod template.
    pub fn image(snapshot: &Snapshot, workload: &ObjectRef) -> Option<Self> {
        let template = match snapshot.find(workload)? {
            Row::Deployment(row) => row.spec.template.clone(),
            Row::StatefulSet(row) => row.spec.template.clone(),
            Row::DaemonSet(row) => row.spec.template.clone(),
            _ => return None,
        };
        let first = template.spec.containers.first()?;
        let mut suggestions: Vec<Suggestion> = Vec::new();
        let mut suggest = |spec: &PodSpec, about: String| {
            for container in spec.all_containers() {
                let line = format!("{}={}", container.name, container.image);
                if suggestions.iter().all(|other| other.line != line) {
                    suggestions.push(Suggestion { line, about: about.clone() });
                }
            }
        };
        suggest(&template.spec, "now".to_owned());
        for revision in changes::revisions(snapshot, workload) {
            let ready = if revision.was_ready() { ", was ready" } else { "" };
            suggest(&revision.template.spec, format!("revision {}{ready}", revision.number));
        }
        let input = Input::from(format!("{}={}", first.name, first.image));
        Some(Self { ask: Ask::Image(workload.clone()), input, suggestions, chosen: None, error: None })
    }

    /// What stands before the line.
    pub fn label(&self) -> String {
        match &self.ask {
            Ask::Command => ":".to_owned(),
            Ask::Replicas { workload, now } => format!("scale {workload}, now {now}, to: "),
            Ask::Image(workload) => format!("image of {workload}: "),
        }
    }
}

/// Opens the prompt; what it suggests from is fetched meanwhile.
pub fn open(state: &mut State) -> Vec<Effect> {
    state.prompt = Some(Prompt::command(state));
    let mut effects = Vec::new();
    if state.contexts.is_empty() {
        effects.push(Effect::ListContexts);
    }
    if state.resources.is_empty() {
        effects.push(Effect::Discover);
    }
    effects
}

/// Keys while the prompt is open; `None` when it is not.
pub fn on_key(state: &mut State, key: &KeyEvent) -> Option<Vec<Effect>> {
    let hit = state.config.keymap.find(&[Place::Prompt], key).map(|h| h.action);
    let prompt = state.prompt.as_mut()?;
    match hit {
        Some(Action::Cancel) => state.prompt = None,
        Some(Action::Accept) => return Some(accept(state)),
        Some(Action::Complete) => {
            let end = if prompt.ask == Ask::Command { " " } else { "" };
            let line = prompt.suggestions.get(prompt.chosen.unwrap_or(0)).map(|s| format!("{}{end}", s.line));
            if let Some(line) = line {
                take(state, Input::from(line));
            }
        }
        Some(action @ (Action::NextSuggestion | Action::PreviousSuggestion)) => {
            let count = prompt.suggestions.len().min(SHOWN);
            prompt.chosen = stepped(prompt.chosen, action == Action::NextSuggestion, count);
        }
        _ => {
            let mut input = prompt.input.clone();
            input.handle_event(&Event::Key(*key));
            take(state, input);
        }
    }
    Some(Vec::new())
}

/// Pasted text is typed.
pub fn paste(state: &mut State, text: &str) {
    if let Some(prompt) = &state.prompt {
        let input = Input::from(format!("{}{text}", prompt.input.value()));
        take(state, input);
    }
}

fn stepped(chosen: Option<usize>, forward: bool, count: usize) -> Option<usize> {
    match (chosen, forward) {
        _ if count == 0 => None,
        (None, true) => Some(0),
        (None, false) => Some(count - 1),
        (Some(at), true) => Some((at + 1) % count),
        (Some(at), false) => Some((at + count - 1) % count),
    }
}

fn take(state: &mut State, input: Input) {
    let found = match &state.prompt {
        Some(prompt) if prompt.ask == Ask::Command => suggestions(state, input.value()),
        Some(prompt) => prompt.suggestions.clone(),
        None => Vec::new(),
    };
    if let Some(prompt) = &mut state.prompt {
        (prompt.input, prompt.suggestions, prompt.chosen, prompt.error) = (input, found, None, None);
    }
}

/// Runs the line, or says why not and stays.
fn accept(state: &mut State) -> Vec<Effect> {
    let Some(prompt) = state.prompt.take() else { return Vec::new() };
    match meaning(state, &prompt) {
        Ok(Meant::Command(command)) => run(state, command),
        Ok(Meant::Intent(intent)) => preview::open_intent(state, intent, Risk::Disruptive),
        Ok(Meant::Nothing) => Vec::new(),
        Err(why) => {
            state.prompt = Some(Prompt { error: Some(why), ..prompt });
            Vec::new()
        }
    }
}

enum Meant {
    Command(Command),
    Intent(Intent),
    Nothing,
}

fn meaning(state: &State, prompt: &Prompt) -> Result<Meant, String> {
    let typed = prompt.input.value().trim();
    if let Ask::Replicas { workload, .. } = &prompt.ask {
        if typed.is_empty() {
            return Ok(Meant::Nothing);
        }
        let replicas: i32 = typed.parse().map_err(|_| format!("`{typed}` is not a number of pods"))?;
        if !(0..=MOST_REPLICAS).contains(&replicas) {
            return Err(format!("write a number from 0 to {MOST_REPLICAS}"));
        }
        return Ok(Meant::Intent(Intent::Scale { workload: workload.clone(), replicas }));
    }
    if let Ask::Image(workload) = &prompt.ask {
        let chosen = prompt.chosen.and_then(|at| prompt.suggestions.get(at)).map_or(typed, |s| &s.line);
        return image(workload, chosen).map(Meant::Intent);
    }
    if let Some(chosen) = prompt.chosen.and_then(|at| prompt.suggestions.get(at)) {
        return parse(state, &chosen.line).map(Meant::Command);
    }
    if typed.is_empty() {
        return Ok(Meant::Nothing);
    }
    // What is not a name yet means what it comes closest to.
    parse(state, typed).map(Meant::Command).or_else(|why| {
        let best = prompt.suggestions.first().filter(|_| !typed.contains(' ')).ok_or(why)?;
        parse(state, &best.line).map(Meant::Command)
    })
}

fn image(workload: &ObjectRef, line: &str) -> Result<Intent, String> {
    let (container, image) = line.split_once('=').ok_or("write CONTAINER=IMAGE")?;
    let (container, image) = (container.trim().to_owned(), image.trim().to_owned());
    if container.is_empty() || image.is_empty() || image.contains(char::is_whitespace) {
        return Err("write CONTAINER=IMAGE".to_owned());
    }
    Ok(Intent::SetImage { workload: workload.clone(), container, image })
}

/// Reads a command line.
///
/// # Errors
/// One sentence: what it does not know.
pub fn parse(state: &State, line: &str) -> Result<Command, String> {
    let (line, filter) = match line.split_once(" /") {
        Some((line, filter)) => (line, Some(filter.to_owned()).filter(|f| !f.is_empty())),
        None => (line, None),
    };
    let mut words = line.split_whitespace();
    let word = words.next().unwrap_or_default().to_lowercase();
    let argument = words.next().map(ToOwned::to_owned);
    if let Some(more) = words.next() {
        return Err(format!("`{more}` is one word too many: write NAME [NAMESPACE] [/FILTER]"));
    }
    let namespace = argument.clone().filter(|name| name != "all");
    match word.as_str() {
        "q" | "quit" | "exit" => return Ok(Command::Quit),
        "ctx" | "context" | "contexts" => return Ok(Command::Context(argument)),
        "ns" => return Ok(Command::Namespace(argument)),
        "all" => return Ok(Command::Namespace(Some("all".to_owned()))),
        _ => {}
    }
    if let Some(spec) = table::named(&word) {
        return Ok(Command::Table { spec, namespace, filter });
    }
    let same = |name: &str| name.eq_ignore_ascii_case(&word);
    let kind = state
        .resources
        .iter()
        .find(|r| same(&r.plural) || same(&r.singular) || same(&r.kind) || r.short_names.iter().any(|name| same(name)));
    match kind {
        Some(kind) => Ok(Command::Listing { plural: kind.plural.clone(), namespace: namespace.filter(|_| kind.namespaced) }),
        None => Err(format!("`{word}` is no resource this cluster has, and no command")),
    }
}

/// Does what a command says.
pub fn run(state: &mut State, command: Command) -> Vec<Effect> {
    match command {
        Command::Quit => vec![Effect::Quit],
        Command::Context(None) => Picker::open(state, What::Context),
        Command::Context(Some(name)) => vec![Effect::SwitchContext(name)],
        Command::Namespace(None) => Picker::open(state, What::Namespace),
        Command::Namespace(Some(name)) => switch_namespace(state, &name),
        Command::Table { spec, namespace, filter } => {
            let mut view = TableView::new(spec);
            view.namespace = namespace;
            view.set_filter(&filter.unwrap_or_default());
            table::open::push(state, view)
        }
        Command::Listing { plural, namespace } => {
            state.notify(format!("listing {plural}"));
            vec![Effect::FetchListing { plural, namespace }]
        }
    }
}

/// Watches only that namespace; `all` is all of them. Tables follow.
pub fn switch_namespace(state: &mut State, name: &str) -> Vec<Effect> {
    let namespaces: Vec<String> = if name == "all" { Vec::new() } else { vec![name.to_owned()] };
    table::follow_namespaces(state, &namespaces);
    vec![Effect::SwitchNamespaces(namespaces)]
}

/// Completions of a line, best first.
pub fn suggestions(state: &State, line: &str) -> Vec<Suggestion> {
    if line.contains(" /") {
        return Vec::new();
    }
    match line.split_once(' ') {
        None => best(line.trim(), first_words(state)),
        Some((word, argument)) => best(argument.trim(), arguments(state, word)),
    }
}

struct Candidate {
    line: String,
    names: Vec<String>,
    about: String,
}

fn first_words(state: &State) -> Vec<Candidate> {
    let tables = table::ALL.iter().map(|spec| Candidate {
        line: spec.name.to_owned(),
        names: std::iter::once(spec.name).chain(spec.aliases.iter().copied()).map(ToOwned::to_owned).collect(),
        about: spec.aliases.first().map(|alias| (*alias).to_owned()).unwrap_or_default(),
    });
    let words = WORDS.iter().map(|(word, about)| Candidate {
        line: (*word).to_owned(),
        names: vec![(*word).to_owned()],
        about: (*about).to_owned(),
    });
    let others = state.resources.iter().filter(|r| table::named(&r.plural).is_none()).map(|r| Candidate {
        line: r.plural.clone(),
        names: [&r.plural, &r.singular].into_iter().chain(&r.short_names).cloned().collect(),
        about: if r.group.is_empty() { r.short_names.join(" ") } else { r.group.clone() },
    });
    tables.chain(words).chain(others).collect()
}

fn arguments(state: &State, word: &str) -> Vec<Candidate> {
    let of = |name: String, about: String| Candidate { line: format!("{word} {name}"), names: vec![name], about };
    if matches!(word, "ctx" | "context" | "contexts") {
        return state.contexts.iter().map(|c| of(c.name.clone(), c.cluster.clone())).collect();
    }
    let names = state.snapshot.namespaces.keys().map(|key| key.name.to_string());
    names.chain(["all".to_owned()]).map(|name| of(name, String::new())).collect()
}

/// The candidates that fit, an exact name first, then by how well they match.
fn best(typed: &str, candidates: Vec<Candidate>) -> Vec<Suggestion> {
    let mut matcher = Matcher::new(Config::DEFAULT);
    let pattern = Pattern::parse(typed, CaseMatching::Ignore, Normalization::Smart);
    let mut scored: Vec<(u32, usize, Candidate)> = Vec::new();
    for (at, candidate) in candidates.into_iter().enumerate() {
        let exact = candidate.names.iter().any(|name| name.eq_ignore_ascii_case(typed));
        let score = if exact {
            Some(u32::MAX)
        } else {
            pattern.match_list(&candidate.names, &mut matcher).first().map(|(_, score)| *score)
        };
        if let Some(score) = score {
            scored.push((score, at, candidate));
        }
    }
    scored.sort_by_key(|(score, at, _)| (std::cmp::Reverse(*score), *at));
    scored.into_iter().map(|(_, _, c)| Suggestion { line: c.line, about: c.about }).collect()
}
