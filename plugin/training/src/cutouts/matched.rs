//! Matched filters for light that came through the optics: Gaussians as wide as the PSF and wider.

use ndarray::{Array2, Axis, Zip};

use super::clip::sigma_clip;

/// Least share of a filter's weight that must fall on usable pixels.
const COVERED: f32 = 0.25;
/// Pixels looked at for the noise of a filtered image.
const SAMPLE: usize = 200_000;

/// One Gaussian filter, prepared for the mask of an image.
pub(super) struct Matched {
    kernel: Vec<f32>,
    /// sqrt(K^2 * mask), the noise of white noise of unit variance; 0 where the mask leaves too
    /// little.
    norm: Array2<f32>,
}

impl Matched {
    /// A filter of `fwhm` pixels on the pixels that are `valid`.
    pub fn new(fwhm: f64, valid: &Array2<bool>) -> Self {
        let sigma = fwhm / (8.0 * 2f64.ln()).sqrt();
        let half = (4.0 * sigma).ceil() as i64;
        let weight = |i: i64| (-0.5 * (i as f64 / sigma).powi(2)).exp() as f32;
        let kernel: Vec<f32> = (-half..=half).map(weight).collect();
        let squared: Vec<f32> = kernel.iter().map(|k| k * k).collect();
        let mask = valid.mapv(|v| if v { 1.0 } else { 0.0 });
        let mut norm = separable(&mask, &squared).mapv(f32::sqrt);
        let whole = kernel.iter().sum::<f32>().powi(2);
        Zip::from(&mut norm).and(&separable(&mask, &kernel)).for_each(|n, c| {
            if *c < COVERED * whole {
                *n = 0.0;
            }
        });
        Self { kernel, norm }
    }

    /// Signal-to-noise ratio of a source of this shape at every pixel of `z`, in which pixels that
    /// are not valid are 0. The noise is that of the filtered image, clipped, so that correlated
    /// noise counts as it is.
    pub fn signal_to_noise(&self, z: &Array2<f32>) -> Array2<f32> {
        let mut ratio = separable(z, &self.kernel);
        Zip::from(&mut ratio).and(&self.norm).for_each(|r, n| {
            *r = if *n > 0.0 { *r / n } else { 0.0 };
        });
        let covered = self.norm.iter().zip(&ratio).filter(|(n, _)| **n > 0.0);
        let step = (z.len() / SAMPLE).max(1);
        let clipped = sigma_clip(covered.map(|(_, r)| f64::from(*r)).step_by(step));
        if let Some(clipped) = clipped.filter(|c| c.sigma > 0.0) {
            let (level, scale) = (clipped.mean as f32, clipped.sigma as f32);
            Zip::from(&mut ratio).and(&self.norm).for_each(|r, n| {
                if *n > 0.0 {
                    *r = (*r - level) / scale;
                }
            });
        }
        ratio
    }
}

/// Convolution with a symmetric kernel along both axes, zero outside.
fn separable(image: &Array2<f32>, kernel: &[f32]) -> Array2<f32> {
    let mut rows = Array2::zeros(image.dim());
    for (from, mut to) in image.rows().into_iter().zip(rows.rows_mut()) {
        let from = from.as_slice().expect("because the image is in C order");
        let to = to.as_slice_mut().expect("because the image is in C order");
        add_shifted(kernel, from.len(), |w, source, target| {
            for (t, s) in to[target].iter_mut().zip(&from[source]) {
                *t += w * s;
            }
        });
    }
    let mut out = Array2::<f32>::zeros(image.dim());
    add_shifted(kernel, image.nrows(), |w, source, target| {
        for (s, t) in source.zip(target) {
            let (from, mut to) = (rows.index_axis(Axis(0), s), out.index_axis_mut(Axis(0), t));
            to.scaled_add(w, &from);
        }
    });
    out
}

/// Calls `add(weight, source, target)` for the ranges that each element of the kernel connects.
fn add_shifted(
    kernel: &[f32],
    n: usize,
    mut add: impl FnMut(f32, std::ops::Range<usize>, std::ops::Range<usize>),
) {
    let half = kernel.len() / 2;
    for (k, &w) in kernel.iter().enumerate() {
        let (source, target) = (k.saturating_sub(half), half.saturating_sub(k));
        let length = n.saturating_sub(source.max(target));
        add(w, source..source + length, target..target + length);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cutouts::tests::white_noise;

    /// The matched filter's ratio is sqrt(sum of profile^2) in noise of unit variance, whatever is
    /// masked.
    #[test]
    fn a_source_has_its_signal_to_noise_ratio() {
        let sigma = 1.5f64;
        let fwhm = sigma * (8.0 * 2f64.ln()).sqrt();
        let profile = |y: usize, x: usize| {
            let square = (y as f64 - 100.0).powi(2) + (x as f64 - 90.0).powi(2);
            (-0.5 * square / sigma.powi(2)).exp()
        };
        let amplitude = 40.0;
        let mut z = white_noise(200, 200, 3);
        let mut valid = Array2::from_elem((200, 200), true);
        valid.slice_mut(ndarray::s![101..104, 80..120]).fill(false);
        let mut power = 0.0;
        for ((y, x), v) in z.indexed_iter_mut() {
            let light = amplitude * profile(y, x);
            power += if valid[[y, x]] { light * light } else { 0.0 };
            *v = if valid[[y, x]] { *v + light as f32 } else { 0.0 };
        }
        let ratio = Matched::new(fwhm, &valid).signal_to_noise(&z)[[100, 90]];
        let expected = power.sqrt();
        // 1 % for the noise measured in 40,000 correlated pixels, 3 for the noise at the place
        // itself.
        assert!((f64::from(ratio) - expected).abs() < 0.01 * expected + 3.0, "{ratio}, {expected}");
    }

    #[test]
    fn convolution_is_the_sum() {
        let image = white_noise(9, 7, 1);
        let kernel = [0.5, 1.0, 0.5, 0.25, 0.125, 0.25, 0.5, 1.0, 0.5];
        let fast = separable(&image, &kernel);
        for ((y, x), found) in fast.indexed_iter() {
            let mut sum = 0.0;
            for ((j, i), v) in image.indexed_iter() {
                let weight =
                    |a: usize, b: usize| kernel.get((a + 4).wrapping_sub(b)).unwrap_or(&0.0);
                sum += weight(y, j) * weight(x, i) * v;
            }
            assert!((sum - found).abs() < 1e-4, "{y} {x}: {found}, {sum}");
        }
    }
}
