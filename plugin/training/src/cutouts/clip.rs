//! Sky level and noise by clipping.

/// A clipped sample.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Clipped {
    /// Mean of what is left.
    pub mean: f64,
    /// Standard deviation of what is left, over [`SHRINKAGE`].
    pub sigma: f64,
    /// How many values are left.
    pub count: usize,
}

/// The standard deviation that 3-sigma clipping converges to on Gaussian noise of unit variance:
/// the root of c^2 = 1 - 6 c phi(3 c) / (2 Phi(3 c) - 1), phi and Phi the normal density and
/// distribution.
pub(crate) const SHRINKAGE: f64 = 0.984_846;

/// Drops values more than 3 standard deviations from the median until none is left to drop, as
/// Bertin & Arnouts 1996 (A&AS 117, 393, section 3) and astropy's `sigma_clipped_stats` do. The
/// level is the mean, not the median: that of integer counts is itself an integer.
///
/// `None` without finite values.
pub(crate) fn sigma_clip(values: impl IntoIterator<Item = f64>) -> Option<Clipped> {
    let mut kept: Vec<f64> = values.into_iter().filter(|v| v.is_finite()).collect();
    loop {
        let n = kept.len();
        if n == 0 {
            return None;
        }
        let mean = kept.iter().sum::<f64>() / n as f64;
        let variance = kept.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / n as f64;
        let median = median(&mut kept);
        let limit = 3.0 * variance.sqrt();
        kept.retain(|v| (v - median).abs() <= limit);
        if kept.len() == n {
            return Some(Clipped { mean, sigma: variance.sqrt() / SHRINKAGE, count: n });
        }
    }
}

fn median(values: &mut [f64]) -> f64 {
    let n = values.len();
    let (below, &mut upper, _) = values.select_nth_unstable_by(n / 2, f64::total_cmp);
    match n % 2 {
        1 => upper,
        _ => (upper + below.iter().copied().fold(f64::MIN, f64::max)) / 2.0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cutouts::tests::oracle_image;

    /// astropy 8: sigma_clipped_stats(image, sigma=3, maxiters=None), image as in `oracle_image`.
    #[test]
    fn agrees_with_astropy() {
        let clipped = sigma_clip(oracle_image().iter().map(|v| f64::from(*v))).unwrap();
        assert!((clipped.mean - 0.24995589746550204).abs() < 1e-6, "{clipped:?}");
        assert!((clipped.sigma * SHRINKAGE - 1.1552216469734475).abs() < 1e-6, "{clipped:?}");
    }

    #[test]
    fn the_noise_of_a_normal_sample_is_unbiased() {
        // Quantiles of the normal distribution: a sample without sampling error.
        let n = 100_000;
        let u: Vec<f64> = (0..n).map(|k| (f64::from(k) + 0.5) / f64::from(n)).collect();
        let normal = Vec::<f64>::try_from(tch::Tensor::from_slice(&u).special_ndtri()).unwrap();
        let clipped = sigma_clip(normal.iter().map(|z| 5.0 + 2.0 * z)).unwrap();
        assert!((clipped.sigma / 2.0 - 1.0).abs() < 2e-4, "{clipped:?}");
        assert!((clipped.mean - 5.0).abs() < 1e-9, "{clipped:?}");
        assert!(sigma_clip([f64::NAN]).is_none());
    }
}
