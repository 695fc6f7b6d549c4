//! Up-the-ramp sampling: what is left of cosmic rays, and of read noise.

/// Non-destructive reads, uniformly spaced, and a straight line fitted through them.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct UpTheRamp {
    /// Reads in the fit.
    pub reads: u32,
    /// Smallest jump between two reads that is found, electrons; the ramp is then cut in two there, and
    /// nothing of the jump is left.
    pub jump_threshold_e: f64,
}

impl UpTheRamp {
    /// calwf3 finds jumps of 4 sigma: of 20.7 e-, a pair of reads and 30 e- of sky between them.
    pub fn wfc3_ir() -> Self {
        Self { reads: 16, jump_threshold_e: 4.0 * 20.7 }
    }

    /// What an unnoticed charge that arrives at `arrival` (0 to 1) of the exposure adds to rate times
    /// exposure time, as a share of itself: 6 f (1 - f), the slope of a least-squares line through a step.
    /// Its mean over f is 1.
    pub fn remnant(arrival: f64) -> f64 {
        6.0 * arrival * (1.0 - arrival)
    }

    /// Read noise of rate times exposure time, electrons rms, from that of the difference of two reads: that
    /// of a single read is cds / sqrt 2, that of a line through n of them sqrt(12 (n - 1) / (n (n + 1)))
    /// times as much (Garnett & Forrest 1993, Proc. SPIE 1946, 395).
    pub fn noise_e(&self, cds_rms_e: f64) -> f64 {
        let n = f64::from(self.reads);
        cds_rms_e * (6.0 * (n - 1.0) / (n * (n + 1.0))).sqrt()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Least-squares slope of values at uniform times from 0 to 1.
    fn slope(values: &[f64]) -> f64 {
        let n = values.len() as f64;
        let time = |i: usize| i as f64 / (n - 1.0) - 0.5;
        let (mut up, mut down) = (0.0, 0.0);
        for (i, v) in values.iter().enumerate() {
            up += time(i) * v;
            down += time(i).powi(2);
        }
        up / down
    }

    #[test]
    fn a_step_leaves_the_slope_of_its_fit() {
        for arrival in [0.1, 0.37, 0.5, 0.9] {
            let step: Vec<f64> =
                (0..4001).map(|i| f64::from(u8::from(f64::from(i) / 4000.0 > arrival))).collect();
            assert!((UpTheRamp::remnant(arrival) - slope(&step)).abs() < 2e-3);
        }
    }

    #[test]
    fn read_noise_of_a_line() {
        // Variance of the slope: the sum of the squares of its weights.
        for reads in [2, 5, 16] {
            let ramp = UpTheRamp { reads, jump_threshold_e: 0.0 };
            let weight = |k: usize| {
                let point = (0..reads as usize).map(|i| f64::from(u8::from(i == k)));
                slope(&point.collect::<Vec<_>>())
            };
            let variance: f64 = (0..reads as usize).map(|k| weight(k).powi(2)).sum();
            assert!((ramp.noise_e(20.0) - 20.0 / 2f64.sqrt() * variance.sqrt()).abs() < 1e-9);
        }
        // The handbook's 12 e- effective noise of 16 reads (WFC3 Instrument Handbook, sec. 5.7.3).
        assert!((UpTheRamp::wfc3_ir().noise_e(20.0) - 11.5).abs() < 0.1);
    }
}
