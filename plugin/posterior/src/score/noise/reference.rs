//! What the noise of a model looks like, in a few numbers, and whether a residual looks like it.
//!
//! Statistics are means over the used pixels of bounded features of the residual eta, so that a single
//! ray does not decide them. With u = eta / core sigma and c(u) = u cut at +-3:
//!
//! | name | feature | rises with |
//! |---|---|---|
//! | `bias` | c(u) | light or sky left |
//! | `level` | min(abs u, 3) | the noise's variance |
//! | `beyond_4`, `beyond_8` | abs u > 4, 8 | rays and hot pixels |
//! | `lag_x`, `lag_y` | c(u) c(u of the next pixel) | correlation |
//! | `structure` | c(u) times the mean of c(u) 2 to 4 pixels away | light left or taken |
//! | `score` | min(core sigma^2 s^2, 25) | anything the net reacts to: Fisher's information |
//!
//! Pixels with abs u > 4 enter `beyond_4`, `beyond_8` and `score` alone. `score` leaves out what lies within three
//! pixels of the edge or of one that is not used, where white noise of the core's level has to stand in for the net. Whitening the
//! residual first would be sharper, were it not for masks: every hole rings.
//!
//! The reference is measured on noise held out from training. A statistic of a residual of B blocks of pixels has
//! the standard error sqrt(between^2 + within^2 / B): `within` is the scatter of blocks of one
//! cutout, `between` what cutouts differ by beyond that (one-way random effects, Searle, Casella & McCulloch 1992,
//! section 3.6).

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use tch::{Device, Kind, Tensor, no_grad};

use super::NoiseScore;
use crate::error::PosteriorError;
use crate::rng::{SampleRng, normal};

/// Names of the statistics, and the deviation that does not matter: absolute, and as a share of the mean.
pub const STATISTICS: [(&str, f64, f64); 8] = [
    ("bias", 0.05, 0.0),
    ("level", 0.03, 0.0),
    ("beyond_4", 0.002, 0.3),
    ("beyond_8", 0.002, 0.3),
    ("lag_x", 0.03, 0.0),
    ("lag_y", 0.03, 0.0),
    ("structure", 0.01, 0.0),
    ("score", 0.0, 0.1),
];
/// Fewest cutouts that make a reference.
const FEWEST: i64 = 8;
/// Side of a block, pixels, at most half of a cutout's.
const BLOCK: i64 = 16;
/// Pixels beyond this, in core sigma, belong to `beyond_4`, `beyond_8` and `score` alone.
const OUTLIER: f64 = 4.0;
/// Where u is cut in `bias`, `level`, `lag_x`, `lag_y`, `structure`.
const CUT: f64 = 3.0;
/// Pixels between those of `score` and the edge or any that is not used.
const MARGIN: i64 = 3;
/// Images that pass the net at a time.
const BATCH: i64 = 8;

/// Reference of the statistics of a noise model.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct NoiseReference {
    /// Pixels of a block.
    pub block_pixels: f64,
    /// By the name of the statistic, see [`STATISTICS`].
    pub statistics: BTreeMap<String, ReferenceStatistic>,
}

/// Distribution of one statistic.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct ReferenceStatistic {
    /// Mean over the held-out noise.
    pub mean: f64,
    /// Standard deviation from place to place, for large areas.
    pub between: f64,
    /// Standard deviation of blocks of one place.
    pub within: f64,
}

/// Statistics of residuals, and the pixels they rest on.
#[derive(Debug)]
pub struct NoiseStatistics {
    /// One row a residual, in the order of [`STATISTICS`]; NaN for a residual with NaN, and where no pixel is left.
    pub values: Vec<[f64; STATISTICS.len()]>,
    /// Pixels behind each of them.
    pub pixels: [f64; STATISTICS.len()],
}

impl NoiseReference {
    /// The reference of `noise` on cutouts [n, h, w] e-/s held out from training, `used` 1 where a pixel
    /// counts and else 0. None for fewer than eight cutouts.
    ///
    /// # Errors
    /// [`PosteriorError::Torch`].
    pub fn measure(
        noise: &dyn NoiseScore,
        cutouts: &Tensor,
        used: &Tensor,
    ) -> Result<Option<Self>, PosteriorError> {
        let (n, h, w) = cutouts.size3()?;
        if n < FEWEST {
            return Ok(None);
        }
        let side = BLOCK.min(h.min(w) / 2);
        let pool = |t: &Tensor| {
            let (k, s) = ([side, side], [side, side]);
            t.avg_pool2d(k, s, [0, 0], false, true, None::<i64>).flatten(2, 3)
        };
        // Sums over blocks and whole cutouts, [n, statistics, blocks] and [n, statistics].
        let (mut blocks, mut whole) = (Vec::new(), Vec::new());
        for start in (0..n).step_by(BATCH as usize) {
            let count = BATCH.min(n - start);
            let part = |t: &Tensor| t.narrow(0, start, count).to_kind(Kind::Float);
            let (feature, valid) = features(noise, &part(cutouts), &part(used), start as u64);
            let weighted = &feature * &valid;
            let share = pool(&valid);
            // NaN where a block is mostly masked.
            let known = share.gt(0.5);
            let nan = Tensor::from(f32::NAN);
            blocks.push((pool(&weighted) / share.clamp_min(1e-6)).where_self(&known, &nan));
            whole.push(mean_over(&weighted, &valid));
        }
        let (blocks, whole) = (Tensor::cat(&blocks, 0), Tensor::cat(&whole, 0));
        let mut statistics = BTreeMap::new();
        for (k, (name, ..)) in STATISTICS.iter().enumerate() {
            let blocks = blocks.select(1, k as i64);
            let (mut sum2, mut freedom, mut count) = (0.0, 0.0, 0.0);
            for row in 0..n {
                let values: Vec<f64> = Vec::<f64>::try_from(blocks.get(row).to_kind(Kind::Double))?;
                let (mean, m, square) = moments(values.into_iter());
                if m > 1.0 && mean.is_finite() {
                    (sum2, freedom, count) = (sum2 + square, freedom + m - 1.0, count + m);
                }
            }
            let within2 = if freedom > 0.0 { sum2 / freedom } else { 0.0 };
            let whole = Vec::<f64>::try_from(whole.select(1, k as i64).to_kind(Kind::Double))?;
            let (mean, places, square) = moments(whole.into_iter());
            let blocks_each = f64::max(count / n as f64, 1.0);
            let between2 = (square / (places - 1.0) - within2 / blocks_each).max(0.0);
            let (between, within) = (between2.sqrt(), within2.sqrt());
            statistics.insert((*name).into(), ReferenceStatistic { mean, between, within });
        }
        Ok(Some(Self { block_pixels: (side * side) as f64, statistics }))
    }

    /// The mean of a statistic and its standard error over `pixels`; None for a name it does not know.
    pub fn expected(&self, name: &str, pixels: f64) -> Option<(f64, f64)> {
        let s = self.statistics.get(name)?;
        let blocks = pixels / self.block_pixels;
        Some((s.mean, (s.between.powi(2) + s.within.powi(2) / blocks).sqrt()))
    }

    /// # Errors
    /// [`PosteriorError::Config`] for a number that cannot be.
    pub(super) fn validate(&self) -> Result<(), PosteriorError> {
        let positive = self.block_pixels > 0.0;
        let sound = |s: &ReferenceStatistic| s.between >= 0.0 && s.within >= 0.0;
        if positive && self.statistics.values().all(sound) {
            return Ok(());
        }
        let need = "standard deviations that are not negative over blocks of some pixels";
        Err(PosteriorError::config("residual_reference", need, format!("{self:?}")))
    }
}

impl NoiseStatistics {
    /// Of residuals [B, ny, nx] e-/s, whose pixels count where `used` [ny, nx] is 1, and not 0.
    ///
    /// # Errors
    /// [`PosteriorError::Torch`].
    pub fn new(
        noise: &dyn NoiseScore,
        residuals: &Tensor,
        used: &Tensor,
    ) -> Result<Self, PosteriorError> {
        let rows = residuals.size()[0];
        let mut values = Vec::with_capacity(rows as usize);
        let mut pixels = [0f64; STATISTICS.len()];
        for start in (0..rows).step_by(BATCH as usize) {
            let count = BATCH.min(rows - start);
            let eta = residuals.narrow(0, start, count).to_kind(Kind::Float);
            let used = used.to_kind(Kind::Float).unsqueeze(0).expand_as(&eta);
            let (feature, valid) = features(noise, &eta, &used, start as u64);
            let counts = valid.sum_dim_intlist([2i64, 3].as_slice(), false, Kind::Double);
            let counts = Vec::<f64>::try_from(counts.amax([0i64].as_slice(), false))?;
            pixels.iter_mut().zip(counts).for_each(|(most, count)| *most = most.max(count));
            // NaN in a used pixel, which comparisons swallow.
            let seen = eta.where_self(&used.gt(0.5), &Tensor::from(0f32));
            let poison = seen.sum_dim_intlist([1i64, 2].as_slice(), false, Kind::Double) * 0.0;
            let mean = mean_over(&(&feature * &valid), &valid) + poison.unsqueeze(1);
            for row in Vec::<Vec<f64>>::try_from(mean)? {
                values.push(std::array::from_fn(|k| row[k]));
            }
        }
        Ok(Self { values, pixels })
    }
}

/// Features [B, statistics, ny, nx] and where they count. Pixels that are not used hold white noise of the core's
/// level, as in the likelihood, row k from stream `first` + k.
fn features(noise: &dyn NoiseScore, eta: &Tensor, used: &Tensor, first: u64) -> (Tensor, Tensor) {
    no_grad(|| {
        let (rows, ny, nx) = eta.size3().expect("because eta is [B, ny, nx]");
        let mut rngs: Vec<_> =
            (0..rows as u64).map(|k| SampleRng::new(0xf111, first + k)).collect();
        let core = noise.core_sigma();
        let fill = normal(&mut rngs, &[ny, nx], Device::Cpu) * core;
        let eta = eta.where_self(&used.gt(0.5), &fill);
        let s = noise.score(&eta, &Tensor::zeros([rows], (Kind::Float, eta.device()))) * core;
        let u = eta / core;
        let size = u.abs();
        let calm = used * size.le(OUTLIER).to_kind(Kind::Float);
        let c = u.clamp(-CUT, CUT);
        let next = |t: &Tensor, dim: i64| {
            let n = t.size()[dim as usize];
            let pad = if dim == 2 { [0, 1, 0, 0] } else { [0, 0, 0, 1] };
            t.narrow(dim, 1, n - 1).constant_pad_nd(pad)
        };
        let (around, seen) = (ring(&(&c * &calm)), ring(&calm));
        let side = 2 * MARGIN + 1;
        let far = box_sum(used, side).gt((side * side) as f64 - 0.5).to_kind(Kind::Float);
        let features = [
            (c.shallow_clone(), calm.shallow_clone()),
            (size.clamp_max(CUT), calm.shallow_clone()),
            (size.gt(4.0).to_kind(Kind::Float), used.shallow_clone()),
            (size.gt(8.0).to_kind(Kind::Float), used.shallow_clone()),
            (&c * next(&c, 2), &calm * next(&calm, 2)),
            (&c * next(&c, 1), &calm * next(&calm, 1)),
            (&c * around / seen.clamp_min(1.0), &calm * seen.gt(0.5).to_kind(Kind::Float)),
            (s.square().clamp_max(25.0).to_kind(Kind::Float), far),
        ];
        let (feature, valid): (Vec<Tensor>, Vec<Tensor>) = features.into_iter().unzip();
        (Tensor::stack(&feature, 1), Tensor::stack(&valid, 1))
    })
}

/// Sum over the pixels 2 to 4 rows or columns away, [B, ny, nx].
fn ring(t: &Tensor) -> Tensor {
    box_sum(t, 9) - box_sum(t, 3)
}

/// Sum over the square of odd `side` around each pixel, nothing beyond the edge, [B, ny, nx].
fn box_sum(t: &Tensor, side: i64) -> Tensor {
    let (k, pad) = ([side, side], [side / 2, side / 2]);
    let mean = t.unsqueeze(1).avg_pool2d(k, [1, 1], pad, false, true, None::<i64>);
    mean.squeeze_dim(1) * (side * side) as f64
}

/// Sum over the pixels of `weighted` over that of `valid`, [B, statistics]; NaN where none is valid.
fn mean_over(weighted: &Tensor, valid: &Tensor) -> Tensor {
    let sum = |t: &Tensor| t.sum_dim_intlist([2i64, 3].as_slice(), false, Kind::Double);
    sum(weighted) / sum(valid)
}

/// Mean, number and sum of squares about the mean of the values that are not NaN.
fn moments(values: impl Iterator<Item = f64>) -> (f64, f64, f64) {
    let known: Vec<f64> = values.filter(|v| !v.is_nan()).collect();
    let count = known.len() as f64;
    let mean = known.iter().sum::<f64>() / count;
    (mean, count, known.iter().map(|v| (v - mean).powi(2)).sum())
}
