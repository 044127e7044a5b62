//! The list of rules. To add one: a file under `rules/<area>/`, a line here, fixtures.

use super::rule::Rule;

/// Every rule, in the order of `causes.md`.
pub static ALL: &[&Rule] = &[];
