//! A A^T as one exposure shows it, and whether it is that of a noise model.

use std::sync::Arc;

use pellucid_exposure::{Exposure, FluxConvention, ModelGrid};
use tch::{Device, Kind, Tensor};

use super::stationary::Autocovariance;
use crate::error::PosteriorError;
use crate::forward_model::ForwardModel;

/// Sides of the block of pixels whose rows of A A^T are averaged, over the phases of the two grids.
const BLOCK: i64 = 4;
/// A row is complete where the model holds at least this share of the light that reaches its pixel: what is missing is less
/// than a kernel may differ by. Pixels that count flux may be 8 % smaller than the nominal one (ACS/WFC).
const COMPLETE: f64 = 0.93;
const SMALLEST_PIXEL: f64 = 0.92;
/// And at least this share of what it holds at the best pixel.
const NEARLY_BEST: f64 = 0.98;
/// Least share of ||K K^T||^2 at the lags that were seen, for a comparison.
const SEEN: f64 = 0.9;

/// The mean over some pixels of rows of A A^T, by lag.
///
/// A row is that of an endless detector only where all the light of its pixel comes from the model, and at lags
/// whose other pixel is on the detector. (A A^T is symmetric, so that one of the two pixels at +-d will do.) At the
/// detector's edge, on tiny stamps and on models as small as the PSF, some lags or all are unknown.
#[derive(Debug)]
pub struct ForwardRows {
    /// Lag (0, 0) in the middle, [2 half + 1, 2 half + 1] f64; zero where unknown.
    lags: Tensor,
    /// 1 where known, else 0.
    seen: Tensor,
}

impl ForwardRows {
    /// Of the pixels about the middle of the model, to lags of `half` data pixels either side; where their rows are cut
    /// short by the detector's edge, of the nearest ones whose rows are not, if the model reaches there.
    ///
    /// For one pixel this is A applied to a row of A, one transposed and one plain product. The paper
    /// takes |F k|^2 with k the central column of A instead (Adam et al. 2023, eq. 16 and figure 5); where the model
    /// has the data's pixels the two agree, elsewhere A A^T alone is what the noise is perturbed by.
    ///
    /// # Errors
    /// Of [`ForwardModel::new`].
    pub fn new(
        exposure: &Arc<Exposure>,
        grid: &ModelGrid,
        half: usize,
    ) -> Result<Self, PosteriorError> {
        let model =
            ForwardModel::new(std::slice::from_ref(exposure), grid, Kind::Double, Device::Cpu)?;
        let [ny, nx] = model.exposures()[0].shape();
        let flat =
            Tensor::ones([1, 1, grid.ny as i64, grid.nx as i64], (Kind::Double, Device::Cpu));
        let light = model.apply(&flat)?.swap_remove(0).squeeze_dim(0);
        let least = match exposure.flux_convention {
            FluxConvention::SurfaceBrightness => COMPLETE,
            FluxConvention::PerPixel => COMPLETE * SMALLEST_PIXEL,
        };
        let enough = least.max(NEARLY_BEST * light.max().double_value(&[]));
        // The data pixel nearest to the middle of the model.
        let middle = exposure.wcs.sky_to_pixel(&[[grid.ra_deg, grid.dec_deg]])?[0];
        let half = half as i64;
        let best = [half, 0].map(|margin| {
            let [x, y] = [(middle[0], nx), (middle[1], ny)].map(|(at, n)| inside(at, n, margin));
            let block = (0..BLOCK * BLOCK)
                .map(|k| [y + k / BLOCK - BLOCK / 2, x + k % BLOCK - BLOCK / 2])
                .filter(|&[y, x]| (0..ny).contains(&y) && (0..nx).contains(&x));
            block.filter(|at| light.double_value(at) >= enough).collect::<Vec<_>>()
        });
        let [inner, edge] = best;
        let block = if inner.len() >= edge.len() { inner } else { edge };

        let side = 2 * half + 1;
        let mut sum = Tensor::zeros([side, side], (Kind::Double, Device::Cpu));
        let mut count = sum.zeros_like();
        let detector = Tensor::ones([1, ny, nx], (Kind::Double, Device::Cpu));
        for [y, x] in block {
            let around = |image: &Tensor| {
                let padded = image.constant_pad_nd([half, half, half, half]).squeeze_dim(0);
                padded.narrow(0, y, side).narrow(1, x, side)
            };
            let point = detector.zeros_like();
            let _ = point.get(0).get(y).get(x).fill_(1.0);
            sum += around(&model.apply(&model.adjoint(&[point])?)?.swap_remove(0));
            count += around(&detector);
        }
        let (sum, count) = (&sum + sum.flip([0, 1]), &count + count.flip([0, 1]));
        let seen = count.gt(0.0).to_kind(Kind::Double);
        Ok(Self { lags: sum / count.clamp_min(1.0), seen })
    }

    /// All of it.
    ///
    /// # Errors
    /// [`PosteriorError::Config`] where lags are unknown, else of [`Autocovariance::new`].
    pub fn complete(&self) -> Result<Autocovariance, PosteriorError> {
        if self.seen.min().double_value(&[]) < 1.0 {
            let side = self.seen.size()[0];
            let need = format!("{side} x {side} lags around pixels whose light the model holds");
            let got = self.seen.sum(Kind::Double).double_value(&[]);
            return Err(PosteriorError::config("A A^T", need, format!("{got} of them")));
        }
        Autocovariance::new("A A^T", &self.lags)
    }

    /// ||K K^T - A A^T|| / ||K K^T|| over the lags that are known; none where they hold too little of K K^T to tell.
    pub fn difference(&self, kernel: &Autocovariance) -> Option<f64> {
        let mine = self.lags.size()[0];
        let (h, w) = kernel.lags().size2().ok()?;
        let (rows, columns) = (mine.max(h), mine.max(w));
        let fit = |t: &Tensor| {
            let (y, x) = ((rows - t.size()[0]) / 2, (columns - t.size()[1]) / 2);
            t.constant_pad_nd([x, x, y, y])
        };
        let norm2 = |t: Tensor| t.square().sum(Kind::Double).double_value(&[]);
        let (kernel, lags, seen) = (fit(kernel.lags()), fit(&self.lags), fit(&self.seen));
        let all = norm2(kernel.shallow_clone());
        let known = norm2(&kernel * &seen) >= SEEN * all;
        known.then(|| (norm2((kernel - lags) * seen) / all).sqrt())
    }
}

impl From<&Autocovariance> for ForwardRows {
    fn from(all: &Autocovariance) -> Self {
        let (h, w) = all.lags().size2().expect("because lags are two-dimensional");
        let (y, x) = ((h.max(w) - h) / 2, (h.max(w) - w) / 2);
        let fit = |t: &Tensor| t.constant_pad_nd([x, x, y, y]);
        Self { lags: fit(all.lags()), seen: fit(&all.lags().ones_like()) }
    }
}

/// The pixel nearest to `at` whose block lies `margin` within an axis of n pixels, or as near as can be.
fn inside(at: f64, n: i64, margin: i64) -> i64 {
    // A float cast saturates, and NaN is 0.
    let at = at.round() as i64;
    let (low, high) = (margin + BLOCK / 2, n - margin - BLOCK / 2);
    if low <= high { at.clamp(low, high) } else { at.clamp(0, n - 1) }
}
