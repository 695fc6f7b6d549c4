//! The table and the JSON.

use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::check::{Check, Figure};

/// Outcome of a check.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Verdict {
    Passed,
    Failed,
    Skipped,
}

/// A check and what came of it.
#[derive(Serialize)]
pub(crate) struct Row {
    pub(crate) name: String,
    pub(crate) contract: String,
    pub(crate) result: Verdict,
    pub(crate) detail: String,
    pub(crate) ms: f64,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) figures: Vec<Figure>,
}

/// All of it.
#[derive(Serialize)]
pub(crate) struct Report {
    pub(crate) library: String,
    pub(crate) passed: usize,
    pub(crate) failed: usize,
    pub(crate) skipped: usize,
    pub(crate) seconds: f64,
    pub(crate) checks: Vec<Row>,
}

impl Report {
    pub(crate) fn new(library: &Path) -> Self {
        let library = library.display().to_string();
        Self { library, passed: 0, failed: 0, skipped: 0, seconds: 0.0, checks: Vec::new() }
    }

    pub(crate) fn push(&mut self, row: Row) {
        *match row.result {
            Verdict::Passed => &mut self.passed,
            Verdict::Failed => &mut self.failed,
            Verdict::Skipped => &mut self.skipped,
        } += 1;
        self.checks.push(row);
    }
}

/// Prints a line of the table.
pub(crate) fn row(row: &Row) {
    let result = match row.result {
        Verdict::Passed => "pass",
        Verdict::Failed => "FAIL",
        Verdict::Skipped => "skip",
    };
    println!("{result}  {:34} {:8.1} ms  {}", row.name, row.ms, row.detail);
}

/// Prints what was measured, what failed and the counts.
pub(crate) fn summary(report: &Report) {
    println!();
    for row in &report.checks {
        for Figure { name, value, unit } in &row.figures {
            println!("{:34} {name} {value:.4} {unit}", row.name);
        }
    }
    for row in report.checks.iter().filter(|row| row.result == Verdict::Failed) {
        println!(
            "\nFAIL {}\n     promised: {}\n     found:    {}",
            row.name, row.contract, row.detail
        );
    }
    println!(
        "\n{}: {} passed, {} failed, {} skipped in {:.1} s",
        report.library, report.passed, report.failed, report.skipped, report.seconds
    );
}

/// Prints the names and the promises.
pub(crate) fn list(checks: &[&Check]) {
    for check in checks {
        println!("{:34} {}", check.name, check.contract);
    }
}
