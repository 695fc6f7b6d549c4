//! A bench's figures against their targets.

use maud::{Markup, html};
use serde::Deserialize;
use serde_json::Value;

use super::text::{count, number, visible};

/// What a bench wrote.
#[derive(Debug, Deserialize)]
pub(super) struct Bench {
    #[serde(default)]
    bench: String,
    #[serde(default)]
    commit: String,
    #[serde(default)]
    machine: String,
    rows: Vec<Row>,
}

#[derive(Debug, Deserialize)]
struct Row {
    case: String,
    metric: String,
    /// JSON has no NaN: null.
    value: Option<f64>,
    #[serde(default)]
    target: Target,
    #[serde(default)]
    better: String,
    pass: Option<bool>,
}

/// One bound, two, or none.
#[derive(Debug, Default, Deserialize, Clone, Copy, PartialEq)]
#[serde(untagged)]
enum Target {
    Bound(f64),
    Within(f64, f64),
    #[default]
    None,
}

impl Bench {
    /// The bench of a JSON object with rows, or those of an array of them; `None` for anything else.
    pub(super) fn all_of(json: &Value) -> Option<Vec<Self>> {
        let list = match json {
            Value::Array(list) if !list.is_empty() => &list[..],
            Value::Object(_) => std::slice::from_ref(json),
            _ => return None,
        };
        list.iter().map(|one| Self::deserialize(one).ok()).collect()
    }

    /// Figures that missed their targets.
    pub(super) fn missed(&self) -> usize {
        self.rows.iter().filter(|row| row.pass == Some(false)).count()
    }

    /// Heading and table, what was missed first.
    pub(super) fn section(&self) -> Markup {
        let mut rows: Vec<_> = self.rows.iter().collect();
        rows.sort_by_key(|row| row.pass != Some(false));
        let passed = rows.iter().filter(|row| row.pass == Some(true)).count();
        html! {
            section {
                h2 { "Bench " (visible(&self.bench)) }
                p.quiet {
                    (count(rows.len(), "figure")) ", " (passed) " within target, " (self.missed()) " missed"
                    @if !self.machine.is_empty() { "; " (visible(&self.machine)) }
                    @if !self.commit.is_empty() { "; commit " code { (visible(&self.commit)) } }
                }
                div.scroll { table.small {
                    thead { tr {
                        @for title in ["Verdict", "Case", "Metric"] { th scope="col" { (title) } }
                        th.value scope="col" { "Value" }
                        th scope="col" { "Target" }
                        th scope="col" { "Value against target" }
                    } }
                    tbody { @for row in rows { (row.cells()) } }
                } }
            }
        }
    }
}

impl Row {
    fn cells(&self) -> Markup {
        let (class, sign, word) = match self.pass {
            Some(true) => ("pass", "✓", "pass"),
            Some(false) => ("missed", "✕", "missed"),
            None => ("none", "○", "no target"),
        };
        html! {
            tr {
                td { span.badge.(class) { span aria-hidden="true" { (sign) } " " (word) } }
                th scope="row" { (visible(&self.case)) }
                td { (visible(&self.metric)) }
                td.value { (self.value.map_or("-".into(), number)) }
                td { (self.goal()) }
                td { (self.bar(class)) }
            }
        }
    }

    fn goal(&self) -> String {
        match (self.target, self.better.as_str()) {
            (Target::Bound(t), "higher") => format!("≥ {}", number(t)),
            (Target::Bound(t), "within") => format!("|x| ≤ {}", number(t)),
            (Target::Bound(t), _) => format!("≤ {}", number(t)),
            (Target::Within(a, b), _) => format!("{} to {}", number(a), number(b)),
            (Target::None, _) => "-".into(),
        }
    }

    /// The range that is wanted in green, the value as a mark; the bar spans both.
    fn bar(&self, class: &str) -> Markup {
        let Some(value) = self.value.filter(|v| v.is_finite()) else { return html! {} };
        let wanted = match (self.target, self.better.as_str()) {
            (Target::Within(a, b), _) => (a.min(b), a.max(b)),
            (Target::Bound(t), "within") => (-t.abs(), t.abs()),
            (Target::Bound(t), "higher") => (t, t + t.abs().max((value - t).max(0.0))),
            (Target::Bound(t), _) => (t.min(0.0).min(value), t),
            (Target::None, _) => return html! {},
        };
        let (low, high) = (wanted.0.min(value), wanted.1.max(value));
        let room = 0.08 * (high - low).max(f64::MIN_POSITIVE);
        let (low, high) = (low - room, high + room);
        let at = |v: f64| format!("{:.1}", 180.0 * ((v - low) / (high - low)).clamp(0.0, 1.0));
        let width = format!("{:.1}", 180.0 * (wanted.1 - wanted.0) / (high - low));
        html! {
            svg.verdict-bar viewBox="0 0 180 16" role="img" aria-label={ (number(value)) ", wanted " (self.goal()) } {
                rect.track x="0" y="5" width="180" height="6" rx="3" {}
                rect.wanted x=(at(wanted.0)) y="3" width=(width) height="10" {}
                circle.(class) cx=(at(value)) cy="8" r="5" {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn row(value: Value, target: Value, better: &str, pass: Value) -> Value {
        json!({"case": "c", "metric": "m", "value": value, "target": target, "better": better, "pass": pass})
    }

    #[test]
    fn verdicts_tell_value_and_target() {
        let bench = json!({"bench": "b", "commit": "", "machine": "2 cores", "rows": [
            row(json!(0.5), json!(1.0), "lower", json!(true)),
            row(json!(2.0), json!([0.5, 1.5]), "within", json!(false)),
            row(json!(12.0), json!(10.0), "higher", json!(true)),
            row(json!(null), json!(null), "lower", json!(null)),
        ]});
        let benches = Bench::all_of(&bench).unwrap();
        let html = benches[0].section().into_string();
        assert!(html.contains("4 figures, 2 within target, 1 missed"), "{html}");
        for text in ["≤ 1", "0.5 to 1.5", "≥ 10"] {
            assert!(html.contains(text), "{text}: {html}");
        }
        assert_eq!(html.matches("<svg").count(), 3);
        // What was missed comes first.
        assert!(html.find("0.5 to 1.5") < html.find("≥ 10"));
        assert_eq!(Bench::all_of(&json!([bench, bench])).unwrap().len(), 2);
        assert!(Bench::all_of(&json!({"step": 1})).is_none());
        assert!(Bench::all_of(&json!([])).is_none());
    }
}
