//! What a run would do: every input of every target is opened and checked, nothing is sampled.
//!
//! Memory is what the plugin estimates for the job. Time is taken from the night's own pace where the
//! ledger has one, scaled by samples and model pixels; before that by a rule: 2 core-seconds a sample
//! of 64 x 64 pixels with the shipped prior and 2 s a target, on a CPU; a tenth of it on a GPU. It is
//! right to a factor of a few.

use pellucid_host::fits;
use pellucid_host::input::HashCache;
use pellucid_host::product::NightRecord;
use pellucid_host::session::Engine;
use pellucid_host::target::find_prior;
use serde::Serialize;

use crate::error::Result;
use crate::fault::Fault;
use crate::folder::{Folder, Shard};
use crate::inputs::Makers;
use crate::journal;
use crate::manifest::{Night, NightTarget};
use crate::run::makers;
use crate::summary::pace_s;

const CORE_SECONDS_A_SAMPLE: f64 = 2.0;
const PIXELS: f64 = 4096.0;
const SECONDS_A_TARGET: f64 = 2.0;
const DEVICE_GAIN: f64 = 10.0;

/// What a run of a night would need.
#[derive(Debug, Clone, Serialize)]
pub struct Plan {
    /// One per target, in the manifest's order.
    pub targets: Vec<Check>,
    /// Wall-clock seconds of those that are not done.
    pub seconds: f64,
    /// Where `seconds` comes from: `ledger` or `rule`.
    pub seconds_from: &'static str,
    /// Main memory at the peak: the `in_flight` largest together, bytes.
    pub memory_bytes: u64,
    /// Device memory at the peak, bytes; 0 on a CPU.
    pub device_bytes: u64,
}

/// What a run would find of one target.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Check {
    /// Its name.
    pub name: String,
    /// Its product is there already.
    pub done: bool,
    /// What is wrong with it.
    pub problem: Option<String>,
    /// What is doubtful.
    pub warnings: Vec<String>,
    /// Exposures found.
    pub exposures: usize,
    /// Samples asked for.
    pub samples: usize,
    /// Side of the model, pixels.
    pub size: usize,
    /// Main memory at its peak, bytes.
    pub memory_bytes: u64,
    /// Device memory at its peak, bytes.
    pub device_bytes: u64,
    /// Wall-clock seconds.
    pub seconds: f64,
}

impl Plan {
    /// Targets with a problem.
    pub fn problems(&self) -> usize {
        self.targets.iter().filter(|check| check.problem.is_some()).count()
    }
}

/// Checks a night, or its shard. `device` is what the engine was asked for.
///
/// # Errors
/// [`NightError`](crate::NightError) if the plugin or the ledger cannot be read; what is wrong with a
/// target is in the plan.
pub fn plan(night: &Night, engine: &Engine, device: &str, shard: Option<Shard>) -> Result<Plan> {
    let makers = makers(engine)?;
    let hashes = HashCache::default();
    let folder = Folder::new(&night.output);
    let wanted = |k: usize| shard.is_none_or(|s| k % s.count == s.index);
    let mut targets: Vec<Check> = night
        .targets
        .iter()
        .enumerate()
        .filter(|(k, _)| wanted(*k))
        .map(|(_, target)| check(night, target, engine, &makers, &folder, &hashes))
        .collect();
    let work = |check: &Check| check.samples as f64 * (check.size * check.size) as f64 / PIXELS;
    let pace = pace_s(&journal::read(&folder.ledger())?);
    let mean = targets.iter().map(work).sum::<f64>() / targets.len().max(1) as f64;
    let cores = match night.run.threads {
        0 => std::thread::available_parallelism().map_or(1, usize::from),
        n => n,
    };
    let gain = if device.starts_with("cuda") { DEVICE_GAIN } else { 1.0 };
    for check in &mut targets {
        check.seconds = match pace {
            Some(pace) if mean > 0.0 => pace * work(check) / mean,
            _ => {
                let sampling = CORE_SECONDS_A_SAMPLE * work(check) / cores as f64;
                (SECONDS_A_TARGET + sampling) / gain
            }
        };
    }
    let due = || targets.iter().filter(|check| !check.done && check.problem.is_none());
    let peak = |bytes: &dyn Fn(&Check) -> u64| {
        let mut all: Vec<u64> = due().map(bytes).collect();
        all.sort_unstable_by(|a, b| b.cmp(a));
        all.iter().take(night.run.in_flight.0).sum()
    };
    Ok(Plan {
        seconds: due().map(|check| check.seconds).sum(),
        seconds_from: if pace.is_some() { "ledger" } else { "rule" },
        memory_bytes: peak(&|check| check.memory_bytes),
        device_bytes: peak(&|check| check.device_bytes),
        targets,
    })
}

fn check(
    night: &Night,
    described: &NightTarget,
    engine: &Engine,
    makers: &Makers,
    folder: &Folder,
    hashes: &HashCache,
) -> Check {
    let mut check = Check {
        name: described.name.clone(),
        samples: described.settings.samples,
        ..Check::default()
    };
    let result = described.resolve().and_then(|target| {
        check.exposures = target.exposures.len();
        let mut look = || {
            let record = makers.record(night, &described.name, &target, hashes)?;
            let cut =
                target.open(hashes)?.cut(&target, find_prior(&makers.models, &target.prior)?)?;
            check.size = cut.grid.nx.max(cut.grid.ny);
            check.warnings.clone_from(&cut.warnings);
            let ready = cut.hand_over(engine)?;
            let need = engine.estimate(&ready.job())?;
            (check.memory_bytes, check.device_bytes) = (need.host_peak, need.device_peak);
            let there = fits::verify(&folder.product(&described.name)).ok();
            let there = there.and_then(|header| NightRecord::of(&header));
            check.done = there.is_some_and(|there| there.sha256 == record.sha256);
            Ok(())
        };
        look().map_err(|error| Fault::of_input(&error))
    });
    check.problem = result.err().map(|fault| fault.reason);
    check
}
