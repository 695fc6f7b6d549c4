//! A training log: loss, learning rate and speed over the steps, validation loss by noise band.

use maud::{Markup, html};
use serde_json::Value;

use super::chart::{Chart, Curve};
use super::text::{duration, fixed};

/// What the lines of a log say.
#[derive(Debug)]
pub(super) struct Training {
    pub(super) name: String,
    steps: Vec<Value>,
    validations: Vec<Value>,
}

impl Training {
    /// Reads a log. The last line may be incomplete: training may be going on, or was cut off.
    ///
    /// # Errors
    /// The line, from 1, and what is wrong with it.
    pub(super) fn parse(name: &str, text: &str) -> Result<Self, (usize, String)> {
        let mut log = Self { name: name.into(), steps: Vec::new(), validations: Vec::new() };
        let lines: Vec<_> = text.lines().collect();
        for (k, line) in lines.iter().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
            let record: Value = match serde_json::from_str(line) {
                Ok(record) => record,
                Err(_) if k > 0 && k + 1 == lines.len() => break,
                Err(error) => return Err((k + 1, error.to_string())),
            };
            if record["step"].as_f64().is_none() {
                return Err((k + 1, "no number \"step\"".into()));
            }
            let list = match record["validation_loss"].is_null() {
                true => &mut log.steps,
                false => &mut log.validations,
            };
            list.push(record);
        }
        match log.steps.is_empty() && log.validations.is_empty() {
            true => Err((1, "nothing in it".into())),
            false => Ok(log),
        }
    }

    /// Charts and the table of bands.
    pub(super) fn section(&self) -> Markup {
        let curve = |label: &str, list: &[Value], key: &str, colour, thin| Curve {
            label: label.into(),
            colour,
            thin,
            points: series(list, |v| v[key].as_f64()),
        };
        let loss = [
            curve("training", &self.steps, "loss", 1, true),
            curve("validation", &self.validations, "validation_loss", 6, false),
        ];
        let rate = [curve("learning rate", &self.steps, "learning_rate", 2, false)];
        let norm = [curve("gradient norm", &self.steps, "gradient_norm", 5, true)];
        let (speed, per_second) = match self.steps.iter().any(|v| v["images_per_s"].is_number()) {
            true => ("images_per_s", "images per second"),
            false => ("steps_per_s", "steps per second"),
        };
        let pace = [curve(per_second, &self.steps, speed, 0, true)];
        let bands = self.bands();
        let charts = [
            ("Loss", "loss", &loss[..]),
            ("Validation loss by noise band", "loss", &bands[..]),
            ("Learning rate", "learning rate", &rate[..]),
            ("Gradient norm", "gradient norm", &norm[..]),
            ("Speed", per_second, &pace[..]),
        ];
        html! {
            (self.facts())
            div.charts {
                @for (title, y, curves) in charts { (Chart { title, x: "step", y, curves }.draw()) }
            }
            (self.table())
        }
    }

    fn facts(&self) -> Markup {
        let last = |list: &[Value], key: &str| list.last().and_then(|v| v[key].as_f64());
        let losses = self.validations.iter().filter_map(|v| v["validation_loss"].as_f64());
        let best = losses.fold(f64::INFINITY, f64::min);
        // Each line covers the time since the line before.
        let seconds = self.steps.windows(2).filter_map(|pair| {
            let per = |key: &str, rate: &str| {
                let done = pair[1][key].as_f64()? - pair[0][key].as_f64()?;
                Some(done.max(0.0) / pair[1][rate].as_f64().filter(|r| *r > 0.0)?)
            };
            per("images", "images_per_s").or_else(|| per("step", "steps_per_s"))
        });
        let seconds: f64 = seconds.sum();
        html! {
            dl.facts {
                @if let Some(step) = last(&self.steps, "step").or(last(&self.validations, "step")) {
                    div { dt { "Steps" } dd { (step) } }
                }
                @if let Some(images) = last(&self.steps, "images") { div { dt { "Images" } dd { (images) } } }
                @if let Some(loss) = last(&self.validations, "validation_loss") {
                    div { dt { "Validation loss" } dd { (fixed(loss, 4)) small { "best " (fixed(best, 4)) } } }
                }
                @if let Some(base) = last(&self.validations, "base_loss") {
                    div { dt { "Loss of the base alone" } dd { (fixed(base, 4)) } }
                }
                @if seconds > 0.0 { div { dt { "Training time" } dd { (duration(seconds)) } } }
            }
        }
    }

    /// One curve a band, from small noise to large.
    fn bands(&self) -> Vec<Curve> {
        let lists = self.validations.iter().filter_map(|v| v["bands"].as_array());
        let count = lists.map(Vec::len).max().unwrap_or(0);
        let curve = |band: usize| Curve {
            label: format!("band {}", band + 1),
            colour: band,
            thin: false,
            points: series(&self.validations, |v| v["bands"][band].as_f64()),
        };
        (0..count).map(curve).collect()
    }

    fn table(&self) -> Markup {
        let ends = |key: &str| -> Option<[Vec<f64>; 2]> {
            let lists = self.validations.iter().filter_map(|v| v[key].as_array());
            let lists: Vec<Vec<f64>> = lists
                .map(|list| list.iter().map(|v| v.as_f64().unwrap_or(f64::NAN)).collect())
                .collect();
            Some([lists.first()?.clone(), lists.last()?.clone()])
        };
        let Some([first, last]) = ends("bands") else { return html! {} };
        let base = ends("base_bands").map(|[_, last]| last);
        let at = |list: &[f64], k: usize| list.get(k).map_or("-".into(), |v| fixed(*v, 4));
        html! {
            h3 { "First and last validation loss by noise band" }
            div.scroll { table.small.narrow {
                caption { "Bands from small noise to large." }
                thead { tr {
                    th scope="col" { "Band" } th.value scope="col" { "First" } th.value scope="col" { "Last" }
                    @if base.is_some() { th.value scope="col" { "Base alone" } }
                } }
                tbody { @for k in 0..last.len() { tr {
                    th scope="row" { (k + 1) }
                    td.value { (at(&first, k)) } td.value { (at(&last, k)) }
                    @if let Some(base) = &base { td.value { (at(base, k)) } }
                } } }
            } }
        }
    }
}

fn series(list: &[Value], get: impl Fn(&Value) -> Option<f64>) -> Vec<(f64, f64)> {
    let point = |v: &Value| Some((v["step"].as_f64()?, get(v).unwrap_or(f64::NAN)));
    list.iter().filter_map(point).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_cut_off_is_read_another_kind_is_not() {
        let log = "{\"step\":1,\"loss\":0.5}\n{\"step\":2,\"validation_loss\":0.4,\"bands\":[0.1,null]}\n{\"st";
        let read = Training::parse("a", log).unwrap();
        assert_eq!((read.steps.len(), read.validations.len()), (1, 1));
        let html = read.section().into_string();
        assert!(html.contains("band 2") && !html.contains("NaN"), "{html}");
        assert_eq!(Training::parse("a", "{\"loss\":1}\n").unwrap_err().0, 1);
        assert_eq!(Training::parse("a", "{\"step\":1}\nno\n{\"step\":2}").unwrap_err().0, 2);
        assert!(Training::parse("a", "").is_err());
    }
}
