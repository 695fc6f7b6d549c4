//! The night in a few figures, and what went wrong.

use std::collections::BTreeSet;

use maud::{Markup, html};
use pellucid_host::product::Provenance;

use super::product::Summary;
use super::status;
use super::text::{count, duration, fixed, number, seconds_since_1970, visible};
use crate::ledger::Seconds;
use crate::state::{NightState, Status, TargetState};

/// Counts, times, versions.
pub(super) fn summary(state: &NightState, shown: &[Summary]) -> Markup {
    let of = |s: Status| state.targets.iter().filter(|t| t.status == s).count();
    let counts = status::ORDER.into_iter().rev().map(|s| (s, of(s))).filter(|(_, n)| *n > 0);
    let sum = |get: fn(&Seconds) -> f64| -> f64 {
        state.targets.iter().filter_map(|t| t.seconds.as_ref()).map(get).sum()
    };
    let (read, sample, write) = (sum(|s| s.read), sum(|s| s.sample), sum(|s| s.write));
    let qualities = || state.targets.iter().filter_map(|t| t.quality.as_ref());
    let samples: usize = qualities().map(|q| q.samples).sum();
    let lost: usize = qualities().map(|q| q.failed_samples).sum();
    let flagged = qualities().filter(|q| q.flags != "-").count();
    let provenances: Vec<_> = shown.iter().filter_map(|s| s.provenance.as_ref()).collect();
    html! {
        p.counts {
            strong { (count(state.targets.len(), "target")) }
            @for (status, n) in counts { (status::badge(status)) " " span.n { (n) } }
        }
        dl.facts {
            div { dt { "Samples" } dd { (samples) @if lost > 0 { ", " (lost) " failed" } } }
            div { dt { "Flagged targets" } dd { (flagged) } }
            div {
                dt { "Time, all targets" }
                dd {
                    (duration(read + sample + write))
                    small { "reading " (duration(read)) ", sampling " (duration(sample)) ", writing "
                        (duration(write)) "; targets overlap" }
                }
            }
            @if let Some(rate) = Rate::of(&provenances) {
                div {
                    dt { "Throughput" }
                    dd { (number(rate.per_hour)) " targets/h"
                        small { (rate.first) " to " (rate.last) ", UTC" } }
                }
            }
            @for (what, values) in versions(&provenances) {
                div { dt { (what) } dd { @for value in values { span.line { (visible(&value)) } } } }
            }
        }
    }
}

/// How fast products came, between the first and the last of them.
struct Rate {
    per_hour: f64,
    first: String,
    last: String,
}

impl Rate {
    fn of(provenances: &[&Provenance]) -> Option<Self> {
        let times = provenances
            .iter()
            .filter_map(|p| Some((seconds_since_1970(&p.date)?, p.date.as_str())));
        let mut times: Vec<_> = times.collect();
        times.sort_by(|a, b| a.0.total_cmp(&b.0));
        let ((start, first), (end, last)) = (times.first()?, times.last()?);
        let hours = (end - start) / 3600.0;
        let per_hour = (times.len() - 1) as f64 / hours;
        (hours > 0.0).then(|| Self { per_hour, first: visible(first), last: visible(last) })
    }
}

/// What the products were made with; usually one of each.
fn versions(provenances: &[&Provenance]) -> Vec<(&'static str, BTreeSet<String>)> {
    let distinct = |get: &dyn Fn(&Provenance) -> String| -> BTreeSet<String> {
        provenances.iter().map(|p| get(p)).filter(|v| !v.trim().is_empty()).collect()
    };
    let hashed = |(name, sha256): &(String, String)| match sha256.get(..8) {
        Some(start) => format!("{name} ({start}…)"),
        None => name.clone(),
    };
    let all = [
        ("Host", distinct(&|p| p.host_version.clone())),
        ("Engine", distinct(&|p| p.plugin_version.clone())),
        ("Prior", distinct(&|p| hashed(&p.prior))),
        ("Noise model", distinct(&|p| hashed(&p.noise))),
        ("Device", distinct(&|p| p.device.clone())),
    ];
    all.into_iter().filter(|(_, values)| !values.is_empty()).collect()
}

/// Failures with their reasons, and products that cannot be shown.
pub(super) fn attention(state: &NightState, shown: &[Summary]) -> Markup {
    let needs = |(target, summary): &(&TargetState, &Summary)| {
        matches!(target.status, Status::Failed | Status::Quarantined | Status::Partial)
            || !summary.notes.is_empty()
    };
    let mut list: Vec<_> = state.targets.iter().zip(shown).filter(needs).collect();
    list.sort_by_key(|(target, _)| status::rank(target.status));
    html! {
        section #attention aria-labelledby="attention-title" {
            h2 #attention-title { "Needs attention" }
            @if list.is_empty() {
                p.quiet { "Nothing failed." }
            } @else {
                ul.failures {
                    @for (target, summary) in list {
                        li.(target.status.name()) {
                            div.who {
                                (status::badge(target.status))
                                a href={ "#target=" (target.name) } { (visible(&target.name)) }
                                span.quiet { (count(target.attempts as usize, "attempt")) }
                            }
                            (reasons(target, &summary.notes))
                        }
                    }
                }
            }
        }
    }
}

/// Why a target failed, and what of it cannot be shown.
pub(super) fn reasons(target: &TargetState, notes: &[String]) -> Markup {
    let lost = target.quality.as_ref().filter(|q| q.failed_samples > 0);
    html! {
        @if let Some(reason) = &target.reason { p.reason { (visible(reason)) } }
        @if let Some(q) = lost {
            p.reason { (q.failed_samples) " of " (q.samples + q.failed_samples) " samples failed "
                "(" (fixed(100.0 * q.failed_samples as f64 / (q.samples + q.failed_samples) as f64, 0)) " %)." }
        }
        @for note in notes { p.note { (note) } }
    }
}
