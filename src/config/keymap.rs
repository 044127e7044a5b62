//! The key table: which chord does what in which place, and the help that says so. Both come from the same entries, so the
//! help cannot drift from what keys do.
//!
//! Invariant: within a place, a chord has one meaning.

use crossterm::event::KeyEvent;

use super::action::Action;
use super::chord::Chord;
use super::place::Place;

/// A chord of an entry, with its place in the list as written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BoundKey {
    /// The chord.
    pub chord: Chord,
    /// From 0; stays when another entry takes a chord before it.
    pub nth: usize,
}

/// One entry of the table.
#[derive(Debug, Clone, PartialEq)]
pub struct Bind {
    /// Ways to do it; empty when the user unbound it.
    pub keys: Vec<BoundKey>,
    /// What they do.
    pub action: Action,
    /// Where.
    pub places: Vec<Place>,
    /// The line in the help.
    pub does: String,
    /// The word in the footer.
    pub hint: Option<String>,
    /// The heading in the help.
    pub group: String,
}

impl Bind {
    /// True when one of its keys is that chord.
    pub fn has(&self, chord: Chord) -> bool {
        self.keys.iter().any(|key| key.chord == chord)
    }

    /// Its keys as the help shows them: `u`, `1-9`, `j ↓`.
    pub fn label(&self) -> String {
        let labels: Vec<String> = self.keys.iter().map(|key| key.chord.label()).collect();
        let digits: Vec<u32> = labels.iter().filter_map(|l| l.parse::<u32>().ok()).collect();
        let run = digits.windows(2).all(|pair| matches!(pair, [a, b] if a + 1 == *b));
        match (labels.first(), labels.last()) {
            (Some(first), Some(last)) if digits.len() == labels.len() && digits.len() > 2 && run => format!("{first}-{last}"),
            _ => labels.join(" "),
        }
    }
}

/// What a key press means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hit {
    /// The action.
    pub action: Action,
    /// Which of the entry's keys it was, from 0: the argument of `fix`, `namespace` (0 is all) and `log-range`.
    pub nth: usize,
}

/// A heading of the help with its lines: keys, what they do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HelpGroup {
    /// Heading.
    pub title: String,
    /// Keys and what they do, in the order of the table.
    pub lines: Vec<(String, String)>,
}

/// The whole table.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Keymap {
    binds: Vec<Bind>,
}

impl Keymap {
    pub(super) fn new(binds: Vec<Bind>) -> Self {
        Self { binds }
    }

    /// Every entry, in order.
    pub fn binds(&self) -> &[Bind] {
        &self.binds
    }

    /// What the key means in the narrowest of `places` (given narrowest first) that binds it.
    pub fn find(&self, places: &[Place], key: &KeyEvent) -> Option<Hit> {
        self.find_chord(places, Chord::of(key))
    }

    /// As [`Keymap::find`], for a chord.
    pub fn find_chord(&self, places: &[Place], chord: Chord) -> Option<Hit> {
        // In the prompt a character is text, whatever the file says.
        let means = |place: &&Place| !(**place == Place::Prompt && chord.is_text());
        places.iter().filter(means).find_map(|place| {
            self.binds.iter().filter(|bind| bind.places.contains(place)).find_map(|bind| {
                let key = bind.keys.iter().find(|key| key.chord == chord)?;
                Some(Hit { action: bind.action, nth: key.nth })
            })
        })
    }

    /// The keys of an action in these places as the help shows them; `None` when it has none there.
    pub fn label(&self, places: &[Place], action: Action) -> Option<String> {
        self.reachable(places).find(|bind| bind.action == action).map(|bind| bind.label())
    }

    /// The whole table as Markdown, for the README.
    pub fn markdown(&self) -> String {
        let row = |bind: &Bind| {
            let keys: Vec<String> = bind.label().split(' ').map(|key| format!("`{}`", key.replace('|', "\\|"))).collect();
            let places: Vec<&str> = bind.places.iter().map(|place| place.name()).collect();
            format!("| {} | {} | {} |\n", keys.join(" "), bind.does, places.join(", "))
        };
        let rows: String = self.binds.iter().filter(|bind| !bind.keys.is_empty()).map(row).collect();
        format!("| key | does | where |\n|---|---|---|\n{rows}")
    }

    /// Keys and words for the footer in these places, in the order of the table.
    pub fn hints(&self, places: &[Place]) -> Vec<(String, String)> {
        self.reachable(places).filter_map(|bind| Some((bind.label(), bind.hint.clone()?))).collect()
    }

    /// The help for these places: only what a key there really does.
    pub fn help(&self, places: &[Place]) -> Vec<HelpGroup> {
        let mut groups: Vec<HelpGroup> = Vec::new();
        for bind in self.reachable(places) {
            let line = (bind.label(), bind.does.clone());
            match groups.iter_mut().find(|group| group.title == bind.group) {
                Some(group) => group.lines.push(line),
                None => groups.push(HelpGroup { title: bind.group, lines: vec![line] }),
            }
        }
        groups
    }

    /// Entries of these places with only the keys that are not taken by a narrower place.
    fn reachable<'a>(&'a self, places: &'a [Place]) -> impl Iterator<Item = Bind> + 'a {
        self.binds.iter().filter_map(move |bind| {
            let mut own = bind.clone();
            own.keys.retain(|key| self.find_chord(places, key.chord).is_some_and(|hit| hit.action == bind.action));
            let here = bind.places.iter().any(|place| places.contains(place));
            (here && !own.keys.is_empty()).then_some(own)
        })
    }
}
