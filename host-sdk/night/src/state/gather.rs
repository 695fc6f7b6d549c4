//! Manifest, ledger and products to one state.

use std::collections::HashMap;

use pellucid_host::fits;
use pellucid_host::input::HashCache;
use pellucid_host::product::{NightRecord, Product, quantile};

use super::{NightState, Quality, Status, TargetState};
use crate::error::Result;
use crate::folder::Folder;
use crate::inputs::inputs_sha256;
use crate::journal;
use crate::ledger::{Event, What};
use crate::manifest::{Night, NightTarget};

/// What is known of every target: the product decides whether it is done, the ledger tells the rest.
///
/// No plugin is loaded: a product counts if it verifies and its inputs and settings are those of the
/// manifest; whether models and versions are the same too, only a run finds out.
///
/// # Errors
/// [`NightError::Io`](crate::NightError::Io) if the ledger cannot be read.
pub fn gather(night: &Night, hashes: &HashCache) -> Result<NightState> {
    let folder = Folder::new(&night.output);
    let events = journal::read(&folder.ledger())?;
    let mut history: HashMap<&str, Vec<&Event>> = HashMap::new();
    for event in &events {
        history.entry(&event.target).or_default().push(event);
    }
    let busy = folder.busy();
    let none = Vec::new();
    let targets = night.targets.iter().map(|target| {
        let events = history.get(target.name.as_str()).unwrap_or(&none);
        one(target, events, &folder, busy, hashes)
    });
    Ok(NightState { name: night.name.clone(), targets: targets.collect() })
}

fn one(
    target: &NightTarget,
    events: &[&Event],
    folder: &Folder,
    busy: bool,
    hashes: &HashCache,
) -> TargetState {
    let position = target.settings.position;
    let seconds = events.iter().rev().find_map(|event| match &event.what {
        What::Done { seconds, .. } => Some(*seconds),
        _ => None,
    });
    let mut state = TargetState {
        name: target.name.clone(),
        ra_deg: position.map(|p| p.ra_deg),
        dec_deg: position.map(|p| p.dec_deg),
        status: Status::Pending,
        attempts: begun(events),
        seconds,
        reason: None,
        worker: events.last().map(|event| event.worker.clone()),
        product: None,
        figure: None,
        quality: None,
    };
    let path = folder.product(&target.name);
    match path.exists().then(|| product(target, &path, hashes)) {
        Some(Ok(quality)) => {
            state.status = match quality.failed_samples {
                0 => Status::Done,
                _ => Status::Partial,
            };
            state.figure = Some(folder.figure(&target.name)).filter(|figure| figure.exists());
            state.product = Some(path);
            state.quality = Some(quality);
        }
        broken => {
            let broken = broken.and_then(Result::err);
            (state.status, state.reason) = standing(events.last().map(|e| &e.what), busy, broken);
        }
    }
    state
}

/// How many attempts began.
pub(crate) fn begun(events: &[&Event]) -> u32 {
    let started = events.iter().filter(|event| event.what == What::Started).count();
    u32::try_from(started).unwrap_or(u32::MAX)
}

/// A target without a product that holds, by its last event.
fn standing(last: Option<&What>, busy: bool, broken: Option<String>) -> (Status, Option<String>) {
    let interrupted = || Some("the process ended before the target did".to_owned());
    match last {
        None => (Status::Pending, broken),
        Some(What::Started) if busy => (Status::Running, None),
        Some(What::Started) => (Status::Failed, interrupted()),
        Some(What::Retry { reason, .. }) if busy => (Status::Running, Some(reason.clone())),
        Some(What::Retry { reason, .. } | What::Failed { reason }) => {
            (Status::Failed, Some(reason.clone()))
        }
        Some(What::Quarantined { reason, .. }) => (Status::Quarantined, Some(reason.clone())),
        Some(What::Abandoned { reason }) => (Status::Pending, Some(reason.clone())),
        Some(What::Done { .. } | What::Kept) => {
            (Status::Pending, broken.or_else(|| Some("its product is gone".into())))
        }
    }
}

/// What a product says, if it holds; else why it does not.
fn product(
    target: &NightTarget,
    path: &std::path::Path,
    hashes: &HashCache,
) -> Result<Quality, String> {
    let header = fits::verify(path).map_err(|e| e.to_string())?;
    let record = NightRecord::of(&header).ok_or("its product carries no NIGHTSHA")?;
    let resolved = target.resolve().map_err(|fault| fault.reason)?;
    if record.inputs_sha256 != inputs_sha256(&resolved, hashes).map_err(|e| e.to_string())? {
        return Err("its product is of other inputs or settings".into());
    }
    Product::read(path).map(|product| quality(&product)).map_err(|e| e.to_string())
}

/// The figures of a product that a table shows.
pub fn quality(product: &Product) -> Quality {
    let d = &product.diagnostics;
    let median = |list: &[f64]| quantile(list.iter().copied(), 0.5);
    let fluxes = product.fluxes();
    let n = fluxes.len() as f64;
    let mean = fluxes.iter().sum::<f64>() / n;
    let squares: f64 = fluxes.iter().map(|f| (f - mean).powi(2)).sum();
    // JSON has no NaN: a spread that is not there is 0.
    let spread = if fluxes.len() > 1 { (squares / (n - 1.0)).sqrt() } else { 0.0 };
    Quality {
        samples: product.samples.dim().0 - d.failed_samples.len(),
        failed_samples: d.failed_samples.len(),
        chi2_reduced: d.exposures.iter().map(|fit| fit.reduced_chi2()).collect(),
        whiteness: d.exposures.iter().map(|fit| median(&fit.whiteness)).collect(),
        flags: d.flags.describe(),
        flux_e_per_s: (median(&fluxes), spread),
    }
}
