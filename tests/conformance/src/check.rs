//! What a check is.

use serde::{Deserialize, Serialize};

use crate::checks;
use crate::session::Session;

/// A promise of the header and how to try it.
pub(crate) struct Check {
    /// `group.name`.
    pub(crate) name: &'static str,
    /// The promise, one sentence.
    pub(crate) contract: &'static str,
    /// Tries it.
    pub(crate) run: fn(&Session) -> Verdict,
    /// Needs a process that has not loaded the library yet.
    pub(crate) fresh: bool,
}

impl Check {
    pub(crate) const fn new(
        name: &'static str,
        contract: &'static str,
        run: fn(&Session) -> Verdict,
    ) -> Self {
        Self { name, contract, run, fresh: false }
    }

    /// In a process of its own.
    pub(crate) const fn fresh(mut self) -> Self {
        self.fresh = true;
        self
    }
}

/// What a check found.
pub(crate) type Verdict = Result<Pass, Fault>;

/// A promise that is kept.
#[derive(Default)]
pub(crate) struct Pass {
    /// What was seen, for people.
    pub(crate) detail: String,
    /// What was measured, for machines.
    pub(crate) figures: Vec<Figure>,
}

/// A number that was measured on the way.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Figure {
    pub(crate) name: String,
    pub(crate) value: f64,
    pub(crate) unit: String,
}

impl Pass {
    pub(crate) fn with(mut self, name: &str, value: f64, unit: &str) -> Self {
        self.figures.push(Figure { name: name.into(), value, unit: unit.into() });
        self
    }
}

impl From<String> for Pass {
    fn from(detail: String) -> Self {
        Self { detail, figures: Vec::new() }
    }
}

impl From<&str> for Pass {
    fn from(detail: &str) -> Self {
        detail.to_owned().into()
    }
}

/// Nothing to say.
pub(crate) fn pass() -> Verdict {
    Ok(Pass::default())
}

/// Why a check has no pass.
#[derive(Debug)]
pub(crate) enum Fault {
    /// The promise is broken.
    Broken(String),
    /// The library does not have, and need not have, what the check is about.
    Absent(String),
}

impl From<String> for Fault {
    fn from(message: String) -> Self {
        Self::Broken(message)
    }
}

impl From<&str> for Fault {
    fn from(message: &str) -> Self {
        Self::Broken(message.to_owned())
    }
}

impl From<std::io::Error> for Fault {
    fn from(error: std::io::Error) -> Self {
        Self::Broken(format!("the harness failed: {error}"))
    }
}

/// Fails the check unless a condition holds.
macro_rules! ensure {
    ($condition:expr, $($message:tt)+) => {
        let holds: bool = $condition;
        if !holds {
            return Err($crate::check::Fault::Broken(format!($($message)+)));
        }
    };
}
pub(crate) use ensure;

/// Every check, in order.
pub(crate) fn all() -> impl Iterator<Item = &'static Check> {
    checks::GROUPS.iter().flat_map(|group| group.iter())
}

/// The check of a name.
pub(crate) fn named(name: &str) -> Option<&'static Check> {
    all().find(|check| check.name == name)
}

/// Checks that match any of `only` (all, if there is none) and none of `skip`.
pub(crate) fn select(only: &[String], skip: &[String]) -> Vec<&'static Check> {
    let any = |globs: &[String], name: &str| globs.iter().any(|glob| matches(glob, name));
    all().filter(|c| (only.is_empty() || any(only, c.name)) && !any(skip, c.name)).collect()
}

/// Whether a text fits a pattern in which '*' stands for any text.
fn matches(glob: &str, text: &str) -> bool {
    match glob.split_once('*') {
        None => glob == text,
        Some((head, rest)) => text.strip_prefix(head).is_some_and(|text| {
            (0..=text.len()).any(|at| text.is_char_boundary(at) && matches(rest, &text[at..]))
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn globs() {
        assert!(
            matches("jobs.*", "jobs.cancel") && matches("*", "") && matches("*l", "jobs.cancel")
        );
        assert!(matches("*.c*l", "jobs.cancel") && !matches("jobs", "jobs.cancel"));
        assert!(!matches("*.x*", "jobs.cancel"));
    }

    #[test]
    fn names_are_unique_and_promises_are_sentences() {
        let names: std::collections::BTreeSet<_> = all().map(|check| check.name).collect();
        assert_eq!(names.len(), all().count());
        for check in all() {
            assert!(check.name.split('.').count() == 2, "{}", check.name);
            assert!(
                !check.contract.ends_with('.') && check.contract.contains(' '),
                "{}",
                check.name
            );
        }
    }
}
