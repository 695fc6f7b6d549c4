//! Learning rate and averaging over a run.

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

/// Weight of the old average at a step (from 0) of `batch` images: the half-life is `half_life` images, at most
/// a twentieth of those seen.
pub fn average_decay(step: u64, batch: usize, half_life: f64) -> f64 {
    let seen = ((step + 1) * batch as u64) as f64;
    0.5f64.powf(batch as f64 / half_life.min(seen / 20.0))
}
