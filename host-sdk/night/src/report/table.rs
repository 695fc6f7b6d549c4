//! The table of all targets.

use maud::{Markup, html};

use super::product::Summary;
use super::status;
use super::text::{count, fixed, number, visible};
use crate::ledger::Seconds;
use crate::state::{NightState, Quality, TargetState};

/// Key, title, and what it sorts by.
const COLUMNS: [(&str, &str, &str); 9] = [
    ("name", "Target", "name"),
    ("status", "Status", "failures first"),
    ("samples", "Samples", "delivered samples"),
    ("chi2", "χ²/dof", "largest of the exposures"),
    ("whiteness", "Whiteness", "largest size of the exposures"),
    ("flags", "Flags", "number of flags"),
    ("flux", "Flux, e-/s", "median"),
    ("time", "Time, s", "reading, sampling and writing"),
    ("attempts", "Attempts", "number"),
];

/// Filters and table.
pub(super) fn targets(state: &NightState, shown: &[Summary]) -> Markup {
    let order = |status| state.targets.iter().filter(move |t| t.status == status).count();
    html! {
        section aria-labelledby="targets-title" {
            h2 #targets-title { "Targets" }
            div.filters role="search" {
                label { "Find " input #find type="search" placeholder="name, flag, reason" autocomplete="off"; }
                fieldset {
                    legend { "Status" }
                    @for status in status::ORDER.into_iter().filter(|s| order(*s) > 0) {
                        label { input type="checkbox" name="status" value=(status.name()) checked;
                            " " (status.name()) " (" (order(status)) ")" }
                    }
                }
                label { input #flagged type="checkbox"; " flagged only" }
                span #shown aria-live="polite" { (count(state.targets.len(), "target")) }
            }
            @if state.targets.is_empty() {
                p.quiet { "This night has no targets." }
            }
            div.scroll {
                table #targets {
                    caption { "A picture or name opens the target. Headings sort; pictures are posterior medians, asinh stretch." }
                    thead { tr {
                        th scope="col" { "Image" }
                        @for (key, title, by) in COLUMNS {
                            th.(key) scope="col" aria-sort="none" {
                                button type="button" data-key=(key) title={ "Sort by " (by) } {
                                    (title) span.arrow aria-hidden="true" {}
                                }
                            }
                        }
                    } }
                    tbody {
                        @for (index, (target, summary)) in state.targets.iter().zip(shown).enumerate() {
                            (row(index, target, summary))
                        }
                    }
                }
            }
        }
    }
}

fn row(index: usize, target: &TargetState, summary: &Summary) -> Markup {
    let name = visible(&target.name);
    let quality = target.quality.as_ref();
    let href = format!("#target={}", target.name);
    let flags = quality.map_or("-", |q| q.flags.as_str());
    html! {
        tr data-index=(index) data-name=(target.name) data-status=(target.status.name())
            data-flags=(flags) data-reason=[target.reason.as_deref()] {
            td.image {
                a href=(href) tabindex="-1" aria-hidden=[summary.thumbnail.is_none().then_some("true")] {
                    @match &summary.thumbnail {
                        Some(uri) => img src=(uri) width="64" height="64" loading="lazy" decoding="async"
                            alt={ "Posterior median of " (name) };,
                        None => span.empty { "no image" },
                    }
                }
            }
            th.name scope="row" data-v=(target.name) {
                a href=(href) { (name) }
                @if !summary.notes.is_empty() { span.mark title=(summary.notes.join(" ")) { " note" } }
            }
            td.status data-v=(status::rank(target.status)) { (status::badge(target.status)) }
            (cells(quality))
            (time(target.seconds))
            td.attempts data-v=(target.attempts) { (target.attempts) }
        }
    }
}

fn cells(quality: Option<&Quality>) -> Markup {
    let Some(q) = quality else {
        return html! {
            @for key in ["samples", "chi2", "whiteness", "flags", "flux"] {
                td.(key) data-v="" { "-" }
            }
        };
    };
    let list = |values: &[f64], digits| {
        let texts: Vec<_> = values.iter().map(|v| fixed(*v, digits)).collect();
        if texts.is_empty() { "-".to_owned() } else { texts.join("  ") }
    };
    let flags: Vec<_> =
        q.flags.split(',').map(str::trim).filter(|f| *f != "-" && !f.is_empty()).collect();
    let (flux, spread) = q.flux_e_per_s;
    html! {
        td.samples data-v=(q.samples) { (q.samples)
            @if q.failed_samples > 0 { small { " (" (q.failed_samples) " failed)" } } }
        td.chi2 data-v=(key(largest(q.chi2_reduced.iter().copied()))) { (list(&q.chi2_reduced, 2)) }
        td.whiteness data-v=(key(largest(q.whiteness.iter().map(|w| w.abs())))) {
            (list(&q.whiteness, 3)) }
        td.flags data-v=(flags.len()) {
            @for flag in &flags { span.flag { (visible(flag)) } " " }
            @if flags.is_empty() { "-" }
        }
        td.flux data-v=(key(flux)) {
            @if flux.is_finite() { (number(flux)) " ± " (if spread.is_finite() { number(spread) } else { "-".into() }) }
            @else { "-" }
        }
    }
}

fn time(seconds: Option<Seconds>) -> Markup {
    let Some(s) = seconds else { return html! { td.time data-v="" { "-" } } };
    let total = s.read + s.sample + s.write;
    let parts = [("reading", s.read), ("sampling", s.sample), ("writing", s.write)];
    let parts = parts.map(|(what, seconds)| format!("{what} {} s", fixed(seconds, 2)));
    html! { td.time data-v=(key(total)) title=(parts.join(", ")) { (fixed(total, 1)) } }
}

fn largest(values: impl Iterator<Item = f64>) -> f64 {
    values.filter(|v| v.is_finite()).fold(f64::NAN, f64::max)
}

/// What the script sorts by; empty goes last.
fn key(value: f64) -> String {
    if value.is_finite() { value.to_string() } else { String::new() }
}
