//! Learning rate, averaging and time limit of a run.

use std::time::Duration;

use crate::error::TrainingError;

/// The learning rate of a run.
#[derive(Clone, Copy, Debug)]
pub struct Schedule {
    /// Rate of the plateau.
    pub peak: f64,
    /// Steps over which the rate rises from zero.
    pub warm_up: u64,
    /// Share of the steps, at the end, over which it falls to zero.
    pub cool_down: f64,
    /// Steps of the run.
    pub steps: u64,
}

impl Schedule {
    /// Linear warm-up, a plateau, and a linear fall to zero: the plateau does not know where the run
    /// ends, so a run can be prolonged (Zhai et al. 2022, arXiv 2106.04560, section 3.5).
    pub fn rate(&self, step: u64) -> f64 {
        let step = step as f64;
        let warm = ((step + 1.0) / self.warm_up.max(1) as f64).min(1.0);
        let left = (1.0 - step / self.steps as f64) / self.cool_down.max(1e-9);
        self.peak * warm * left.clamp(0.0, 1.0)
    }
}

/// Refuses options that would train nothing, or NaN, or past their bounds.
///
/// # Errors
/// [`TrainingError::Value`] naming the first option that is out of its range.
pub fn check_options(
    learning_rate: f64,
    cool_down: f64,
    clip: f64,
    average_half_life: f64,
) -> Result<(), TrainingError> {
    // Asked so that NaN fails.
    let positive = |v: f64| v > 0.0 && v < f64::INFINITY;
    for (what, got, good, need) in [
        ("--learning-rate", learning_rate, positive(learning_rate), "a positive number"),
        ("--cool-down", cool_down, (0.0..=1.0).contains(&cool_down), "a share, 0 to 1"),
        ("--clip", clip, positive(clip), "a positive number"),
        (
            "--average-half-life",
            average_half_life,
            positive(average_half_life),
            "a positive number",
        ),
    ] {
        if !good {
            let (need, got) = (need.into(), got.to_string());
            return Err(TrainingError::Value { what: what.into(), need, got });
        }
    }
    Ok(())
}

/// The duration of `--minutes`.
///
/// # Errors
/// [`TrainingError::Value`] for a number that is none: negative, NaN or longer than a clock counts.
pub fn time_limit(minutes: Option<f64>) -> Result<Option<Duration>, TrainingError> {
    let duration = |m: f64| {
        Duration::try_from_secs_f64(60.0 * m).map_err(|_| {
            let (what, need) = ("--minutes".into(), "a number from 0 on".into());
            TrainingError::Value { what, need, got: m.to_string() }
        })
    };
    minutes.map(duration).transpose()
}

/// Weight of the old average at a step (from 0) of `batch` images: the half-life is `half_life` images, at most
/// a twentieth of those seen.
pub fn average_decay(step: u64, batch: usize, half_life: f64) -> f64 {
    let seen = ((step + 1) * batch as u64) as f64;
    0.5f64.powf(batch as f64 / half_life.min(seen / 20.0))
}
