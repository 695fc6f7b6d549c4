//! A table of measured figures, printed and written as JSON.

use std::path::PathBuf;
use std::process::Command;

use serde_json::{Value, json};

/// What a good value looks like.
pub enum Target {
    /// At most this.
    AtMost(f64),
    /// Within the two.
    Within(f64, f64),
    /// Reported only.
    None,
}

/// Rows of one bench.
pub struct Report {
    bench: &'static str,
    json: Option<PathBuf>,
    rows: Vec<Value>,
}

impl Report {
    /// Reads `--json FILE` from the command line.
    pub fn new(bench: &'static str) -> Self {
        let mut args = std::env::args();
        let json = args.find(|a| a == "--json").and(args.next()).map(PathBuf::from);
        println!("{:<28} {:<34} {:>10}  target", "case", "metric", "value");
        Self { bench, json, rows: Vec::new() }
    }

    /// Adds a figure and prints it.
    pub fn row(&mut self, case: &str, metric: &str, value: f64, target: Target) {
        let (goal, better, pass, text) = match target {
            Target::AtMost(t) => (json!(t), "lower", json!(value <= t), format!("<= {t}")),
            Target::Within(a, b) => {
                (json!([a, b]), "within", json!((a..=b).contains(&value)), format!("{a} .. {b}"))
            }
            Target::None => (Value::Null, "lower", Value::Null, "-".into()),
        };
        let mark = match pass {
            Value::Bool(true) => "ok",
            Value::Bool(false) => "MISSED",
            _ => "",
        };
        println!("{case:<28} {metric:<34} {value:>10.4}  {text} {mark}");
        self.rows.push(json!({
            "case": case, "metric": metric, "value": value, "target": goal, "better": better,
            "pass": pass,
        }));
    }

    /// Writes the JSON file, when one was asked for; exits with 1 when a target was missed.
    pub fn finish(self) {
        let missed = self.rows.iter().filter(|row| row["pass"] == false).count();
        self.write();
        if missed > 0 {
            println!("{missed} of {} figures missed their targets", self.rows.len());
            std::process::exit(1);
        }
    }

    fn write(&self) {
        let Some(path) = &self.json else { return };
        let commit = Command::new("git").args(["rev-parse", "HEAD"]).output();
        let commit = commit.map(|o| String::from_utf8_lossy(&o.stdout).trim().to_owned());
        let cores = std::thread::available_parallelism().map_or(0, usize::from);
        let report = json!({
            "bench": self.bench, "commit": commit.unwrap_or_default(),
            "machine": format!("{} cores, {}", cores, std::env::consts::ARCH), "rows": self.rows,
        });
        let text = serde_json::to_string_pretty(&report).expect("because the report is plain JSON");
        std::fs::write(path, text).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    }
}
