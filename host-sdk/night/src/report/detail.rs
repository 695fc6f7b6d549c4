//! One target in full. It waits in a `template`, whose pictures are not decoded before it is opened.

use maud::{Markup, html};
use pellucid_host::fits::{Card, Value};
use pellucid_host::product::quantile;

use super::overview::reasons;
use super::page::bar_class;
use super::product::{Map, Pictures, Sheet, Shown, ShownExposure};
use super::status;
use super::text::{count, duration, fixed, number, visible};
use crate::state::TargetState;

/// The template of the target in row `index`.
pub(super) fn template(index: usize, target: &TargetState, shown: &Shown) -> Markup {
    let name = visible(&target.name);
    html! {
        template id={ "target-" (index) } {
            p.lead {
                (status::badge(target.status))
                span { (count(target.attempts as usize, "attempt")) }
                @if let (Some(ra), Some(dec)) = (target.ra_deg, target.dec_deg) {
                    span { "ra " (fixed(ra, 6)) "°, dec " (format!("{dec:+.6}")) "°" }
                }
                @if let Some(s) = target.seconds {
                    span { "reading " (duration(s.read)) ", sampling " (duration(s.sample)) ", writing " (duration(s.write)) }
                }
                @if let Some(worker) = &target.worker { span { "worker " (visible(worker)) } }
            }
            (reasons(target, &shown.notes))
            @if let Some(pictures) = &shown.pictures { (body(&name, pictures)) }
            @else { p.quiet { "No product: there is nothing to see." } }
        }
    }
}

fn body(name: &str, p: &Pictures) -> Markup {
    html! {
        div.panels {
            @if let Some(sheet) = &p.sheet { (flip(name, sheet, p.samples)) }
            section.maps aria-label="Percentile maps" {
                h3 { "Posterior" }
                div.grid { @for map in &p.maps { (figure(name, map, None)) } }
            }
        }
        @if p.exposures.iter().any(|e| e.residual.is_some()) {
            section {
                h3 { "Residuals of the posterior mean" }
                div.grid {
                    @for exposure in &p.exposures {
                        @if let Some(map) = &exposure.residual { (figure(name, map, Some(exposure))) }
                    }
                }
            }
        }
        @if let Some(uri) = &p.figure {
            section {
                h3 { "Figure" }
                img.whole src=(uri) alt={ "Exposures, posterior and residuals of " (name) };
            }
        }
        (exposures(&p.exposures))
        (provenance(&p.cards))
    }
}

/// The samples one after the other.
fn flip(name: &str, sheet: &Sheet, samples: usize) -> Markup {
    let n = sheet.numbers.len();
    let numbers: Vec<_> = sheet.numbers.iter().map(usize::to_string).collect();
    html! {
        section.flip data-width=(sheet.width) data-height=(sheet.height) data-columns=(sheet.columns)
            data-numbers=(numbers.join(" ")) {
            h3 { "Samples" }
            img.sheet src=(sheet.uri) alt="" hidden;
            canvas width=(sheet.width) height=(sheet.height) role="img"
                aria-label={ "A posterior sample of " (name) } {}
            (bar(&sheet.scale, "e-/s"))
            div.controls {
                button.back type="button" aria-label="Previous sample" title="Left" { "◀" }
                button.play type="button" aria-pressed="false" title="P" { "Play" }
                button.forward type="button" aria-label="Next sample" title="Right" { "▶" }
                input.place type="range" min="0" max=(n - 1) value="0" aria-label="Sample";
            }
            p.quiet { output.number {} " · " (n) " of " (count(samples, "sample")) " on this page" }
        }
    }
}

fn figure(name: &str, map: &Map, exposure: Option<&ShownExposure>) -> Markup {
    html! {
        figure {
            img.pixels src=(map.uri) width=(map.width) height=(map.height) alt={ (map.title) " of " (name) };
            (bar(&map.scale, map.unit))
            figcaption {
                strong { (map.title) }
                @if let Some(exposure) = exposure {
                    " χ²/dof " (fixed(exposure.fit.reduced_chi2(), 2))
                    br; span.quiet { (visible(&exposure.id)) }
                }
            }
        }
    }
}

/// What the colours mean.
fn bar(scale: &pellucid_host::product::Scale, unit: &str) -> Markup {
    let stretch = if scale.soft.is_finite() { ", asinh" } else { "" };
    html! {
        div.scale {
            div.(bar_class(scale.map)) {}
            span { (number(scale.low)) } span { (unit) (stretch) } span { (number(scale.high)) }
        }
    }
}

fn exposures(exposures: &[ShownExposure]) -> Markup {
    let middle = |values: &[f64]| quantile(values.iter().copied(), 0.5);
    html! {
        section {
            h3 { "Exposures" }
            div.scroll { table.small {
                thead { tr {
                    @for title in ["#", "Exposure", "Pixels", "χ²/dof", "p", "Whiteness", "Flags", "File", "PSF"] {
                        th scope="col" { (title) }
                    }
                } }
                tbody { @for (k, e) in exposures.iter().enumerate() { tr {
                    td { (k + 1) }
                    td { (visible(&e.id)) }
                    td { (e.fit.dof) }
                    td { (fixed(e.fit.reduced_chi2(), 3)) }
                    td { (fixed(e.fit.ppp, 3)) }
                    td { (fixed(middle(&e.fit.whiteness), 3)) " ± " (fixed(e.fit.whiteness_se, 3)) }
                    td { (e.fit.flags.describe()) }
                    td { (file(&e.source)) }
                    td { (file(&e.psf)) }
                } } }
            } }
        }
    }
}

fn file((path, sha256): &(String, String)) -> Markup {
    html! {
        (visible(path))
        @if let Some(start) = sha256.get(..12) { br; code title=(visible(sha256)) { (visible(start)) "…" } }
    }
}

/// The primary header's cards: versions, hashes, seed, configuration.
fn provenance(cards: &[Card]) -> Markup {
    const STRUCTURE: [&str; 5] = ["SIMPLE", "BITPIX", "NAXIS", "EXTEND", "LONGSTRN"];
    let told = cards.iter().filter(|c| !STRUCTURE.contains(&c.key.as_str()));
    html! {
        section {
            h3 { "Provenance" }
            div.scroll { table.small.cards { tbody {
                @for card in told {
                    @if let Some(text) = card.value.as_ref().map(value) { tr {
                        th scope="row" { code { (visible(&card.key)) } }
                        td { @if text.len() > 100 { details { summary { (text.len()) " characters" } pre { (visible(&text)) } } }
                            @else { (visible(&text)) } }
                        td.quiet { (visible(&card.comment)) }
                    } }
                }
            } } }
        }
    }
}

fn value(value: &Value) -> String {
    match value {
        Value::Logical(true) => "T".into(),
        Value::Logical(false) => "F".into(),
        Value::Integer(i) => i.to_string(),
        Value::Real(x) => x.to_string(),
        // What is JSON reads better over several lines.
        Value::Text(text) => match serde_json::from_str::<serde_json::Value>(text) {
            Ok(json) if json.is_object() => format!("{json:#}"),
            _ => text.clone(),
        },
    }
}
