//! Pixel-wise statistics of samples, over those that did not fail.

use std::str::FromStr;

use ndarray::{ArrayView4, Axis};

use crate::boundary::BoundaryError;
use crate::boundary::array::reserve;

/// A statistic of `result_stat`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stat {
    Mean,
    Median,
    Std,
    Rhat,
}

impl FromStr for Stat {
    type Err = BoundaryError;

    fn from_str(name: &str) -> Result<Self, BoundaryError> {
        match name {
            "mean" => Ok(Self::Mean),
            "median" => Ok(Self::Median),
            "std" => Ok(Self::Std),
            "rhat" => Ok(Self::Rhat),
            other => Err(BoundaryError::Range {
                what: "stat",
                need: "mean, median, std or rhat",
                got: format!("{other:?}"),
            }),
        }
    }
}

/// The samples of a result that did not fail.
pub(crate) struct Samples<'a> {
    all: ArrayView4<'a, f32>,
    good: Vec<usize>,
}

impl<'a> Samples<'a> {
    pub(crate) fn new(all: ArrayView4<'a, f32>, errors: &[Option<String>]) -> Self {
        let good = (0..all.len_of(Axis(0))).filter(|&k| errors.get(k).is_none_or(Option::is_none));
        Self { all, good: good.collect() }
    }

    /// One value per band and pixel.
    pub(crate) fn stat(&self, stat: Stat) -> Result<Vec<f32>, BoundaryError> {
        match stat {
            Stat::Mean => self.per_pixel("mean", 1, 1, |x, out| out.push(mean(x))),
            Stat::Median => self.percentiles(&[50.0]),
            Stat::Std => self.per_pixel("std", 2, 1, |x, out| out.push(variance(x).sqrt())),
            Stat::Rhat => self.per_pixel("rhat", 4, 1, |x, out| out.push(split_rhat(x))),
        }
    }

    /// Percentile-major, one value per band and pixel.
    pub(crate) fn percentiles(&self, q: &[f64]) -> Result<Vec<f32>, BoundaryError> {
        if let Some(bad) = q.iter().find(|q| !(0.0..=100.0).contains(*q)) {
            let (what, need) = ("q", "0 to 100");
            return Err(BoundaryError::Range { what, need, got: bad.to_string() });
        }
        let by_pixel = self.per_pixel("a percentile", 1, q.len(), |x, out| {
            x.sort_by(f64::total_cmp);
            out.extend(q.iter().map(|&q| quantile(x, q / 100.0)));
        })?;
        let mut by_q = reserve(by_pixel.len(), "percentiles")?;
        for k in 0..q.len() {
            by_q.extend(by_pixel.iter().skip(k).step_by(q.len()));
        }
        Ok(by_q)
    }

    /// Calls `of` with the values of each pixel; it pushes `outputs` numbers.
    fn per_pixel(
        &self,
        what: &'static str,
        need: usize,
        outputs: usize,
        of: impl Fn(&mut [f64], &mut Vec<f64>),
    ) -> Result<Vec<f32>, BoundaryError> {
        let got = self.good.len();
        if got < need {
            return Err(BoundaryError::TooFewSamples { what, need, got });
        }
        let (_, bands, ny, nx) = self.all.dim();
        let mut result = reserve(bands * ny * nx * outputs, what)?;
        let (mut values, mut out) = (vec![0.0; got], Vec::with_capacity(outputs));
        for band in 0..bands {
            for y in 0..ny {
                for x in 0..nx {
                    for (value, &k) in values.iter_mut().zip(&self.good) {
                        *value = f64::from(self.all[[k, band, y, x]]);
                    }
                    of(&mut values, &mut out);
                    result.extend(out.drain(..).map(|v| v as f32));
                }
            }
        }
        Ok(result)
    }
}

fn mean(x: &[f64]) -> f64 {
    x.iter().sum::<f64>() / x.len() as f64
}

/// Unbiased: divided by n - 1.
fn variance(x: &[f64]) -> f64 {
    let mean = mean(x);
    x.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / (x.len() - 1) as f64
}

/// Between order statistics linearly, the first at 0 and the last at 1 (as NumPy's default).
fn quantile(sorted: &[f64], q: f64) -> f64 {
    let at = q * (sorted.len() - 1) as f64;
    let (low, high) = (at.floor() as usize, at.ceil() as usize);
    sorted[low] + (at - at.floor()) * (sorted[high] - sorted[low])
}

/// Potential scale reduction of the two halves of the list of samples (Gelman et al. 2013, Bayesian
/// Data Analysis, eq. 11.4, without the correction for drifts within a half).
fn split_rhat(x: &mut [f64]) -> f64 {
    let n = x.len() / 2;
    let (a, b) = (&x[..n], &x[x.len() - n..]);
    let within = 0.5 * (variance(a) + variance(b));
    let between = 0.5 * (mean(a) - mean(b)).powi(2);
    let n = n as f64;
    // Equal samples in both halves have converged.
    if within == 0.0 && between == 0.0 { 1.0 } else { ((n - 1.0) / n + between / within).sqrt() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::Array4;

    fn ramp(errors: &[Option<String>], run: impl Fn(Samples<'_>)) {
        let all = Array4::from_shape_fn((5, 1, 1, 2), |(k, _, _, x)| (k + 10 * x) as f32);
        run(Samples::new(all.view(), errors));
    }

    #[test]
    fn statistics_of_a_ramp() {
        ramp(&vec![None; 5], |samples| {
            assert_eq!(samples.stat(Stat::Mean).unwrap(), [2.0, 12.0]);
            assert_eq!(samples.stat(Stat::Median).unwrap(), [2.0, 12.0]);
            assert_eq!(samples.stat(Stat::Std).unwrap(), [2.5_f32.sqrt(); 2]);
            assert_eq!(samples.percentiles(&[0.0, 62.5]).unwrap(), [0.0, 10.0, 2.5, 12.5]);
            // Halves {0, 1} and {3, 4}: W = 1/2, B/n = 9/2.
            assert_eq!(samples.stat(Stat::Rhat).unwrap(), [9.5_f32.sqrt(); 2]);
            assert!(samples.percentiles(&[100.1]).is_err());
        });
    }

    #[test]
    fn failed_samples_do_not_count() {
        let mut errors = vec![Some("NaN".to_owned()); 5];
        errors[3] = None;
        ramp(&errors, |samples| {
            assert_eq!(samples.stat(Stat::Mean).unwrap(), [3.0, 13.0]);
            assert!(matches!(
                samples.stat(Stat::Std),
                Err(BoundaryError::TooFewSamples { need: 2, got: 1, .. })
            ));
        });
    }
}
