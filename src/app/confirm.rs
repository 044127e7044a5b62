//! A question with two answers; the harmless one is focused.

use super::{Reply, Screen, World};
use crate::config::{Action, Hit, Place};

/// The question.
#[derive(Debug)]
pub struct Confirm {
    /// What is asked.
    pub question: String,
    /// The word on the button that does it.
    pub yes: String,
    /// True when that button is focused.
    pub on_yes: bool,
    then: Option<Reply>,
}

impl Confirm {
    /// Asks; `then` is done on yes, after the question is gone.
    pub fn new(question: impl Into<String>, yes: impl Into<String>, then: Reply) -> Self {
        Self { question: question.into(), yes: yes.into(), on_yes: false, then: Some(then) }
    }

    /// As [`Confirm::new`] with the answer yes focused: for what loses nothing.
    #[must_use]
    pub fn yes_focused(mut self) -> Self {
        self.on_yes = true;
        self
    }
}

impl Screen for Confirm {
    fn places(&self, _world: &World) -> Vec<Place> {
        vec![Place::Confirm]
    }

    fn on_action(&mut self, _world: &World, hit: Hit) -> Option<Reply> {
        match hit.action {
            Action::OtherChoice => {
                self.on_yes = !self.on_yes;
                Some(Reply::none())
            }
            Action::Accept if self.on_yes => {
                let mut reply = self.then.take().unwrap_or_default();
                reply.go.insert(0, super::Go::Pop);
                Some(reply)
            }
            Action::Accept | Action::Cancel => Some(Reply::pop()),
            _ => None,
        }
    }

    fn is_overlay(&self) -> bool {
        true
    }
}
