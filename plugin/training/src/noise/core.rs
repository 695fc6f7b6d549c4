//! The core of the noise: its covariance without outliers.

use pellucid_posterior::PosteriorError;
use pellucid_posterior::score::noise::stationary::Autocovariance;
use tch::{Kind, Tensor};

use crate::cutouts::clip::sigma_clip;

/// Pixels beyond this many sigma are outliers, and so are their eight neighbours.
const OUTLIER: f64 = 4.0;
/// Lags measured, pixels each way.
const LAGS: i64 = 20;
/// Correlations below this many standard errors are taken as zero.
const SIGNIFICANT: f64 = 4.0;
/// Least power, of the triangular window's.
const LEAST: f64 = 0.1;
/// Alternating projections.
const PROJECTIONS: usize = 30;

/// Covariance of the noise core of `cutouts` [n, h, w], `mask` 1 where a pixel counts.
///
/// c(0) is the clipped variance; correlations are ratios of sums over the pairs of pixels of which neither is an
/// outlier, averaged over mirror images (as the training images are mirrored) and tapered, see [`tapered`], from the
/// longest lag on that is significant. (Leaving out single lags by their significance keeps the positive
/// ones of a slow undulation and drops the weaker negative ones: 10 % too much power at low frequencies.)
///
/// # Errors
/// [`PosteriorError::Numeric`] for cutouts without noise.
pub fn measure(cutouts: &Tensor, mask: &Tensor) -> Result<Autocovariance, PosteriorError> {
    let valid = mask.to_kind(Kind::Float);
    let values = cutouts.masked_select(&mask.to_kind(Kind::Bool));
    let values = Vec::<f32>::try_from(values)?;
    let stride = (values.len() / 1_000_000).max(1);
    let clipped = sigma_clip(values.iter().step_by(stride).map(|v| f64::from(*v)));
    let sigma = clipped.filter(|c| c.sigma > 0.0).map(|c| c.sigma).ok_or_else(|| {
        let (what, reason) = ("noise of the cutouts".into(), "there is none".into());
        PosteriorError::Numeric { what, reason }
    })?;
    let outlier = cutouts.abs().gt(OUTLIER * sigma).to_kind(Kind::Float) * &valid;
    let near =
        outlier.unsqueeze(1).max_pool2d([3, 3], [1, 1], [1, 1], [1, 1], false).squeeze_dim(1);
    let kept = valid * (near * -1.0 + 1.0);
    let size = cutouts.size();
    let lags = LAGS.min(size[1].min(size[2]) * 5 / 16);
    let sums = |t: &Tensor| pair_sums(t, lags);
    let pairs = sums(&kept);
    let products = sums(&(cutouts / sigma * &kept));
    let covariance = products / pairs.clamp_min(1.0);
    let centre = covariance.double_value(&[lags, lags]);
    let correlation = covariance / centre;
    let mirrored = |t: &Tensor| (t + t.flip([1])) / 2.0;
    let (correlation, pairs) = (mirrored(&correlation), mirrored(&pairs));
    // Bartlett's variance of a correlation far from 0 (1946, J. R. Stat. Soc. Suppl. 8, 27).
    let error = (correlation.square().sum(Kind::Double) / pairs.clamp_min(1.0)).sqrt();
    let significant = (correlation.abs() / error).gt(SIGNIFICANT);
    let covariance = tapered(&correlation, reach(&significant)) * (sigma * sigma);
    Autocovariance::new("noise of the cutouts", &covariance)
}

/// The longest lag along either axis of [2 m + 1, 2 m + 1] that is marked.
fn reach(marked: &Tensor) -> i64 {
    let m = marked.size()[0] / 2;
    let far = |dim: i64| {
        let any = marked.any_dim(dim, false);
        (0..=m).rev().find(|d| any.int64_value(&[m + d]) != 0 || any.int64_value(&[m - d]) != 0)
    };
    far(0).max(far(1)).unwrap_or(0)
}

/// `lags` [2 m + 1, 2 m + 1] times a flat-top window, 1 as far as `reach` or half of the lags, falling to 0 linearly
/// over the same distance again (Politis & Romano 1995, J. Time Ser. Anal. 16, 67), along each axis: the spectrum
/// keeps its slope, but may be negative where it is faint. There it is raised to a tenth of that of the triangular window, a mean of the true one,
/// by alternating projections (Youla & Webb 1982, IEEE Trans. Med. Imaging 1, 81) on such spectra and on
/// covariances of these lags; what those leave is blended away.
///
/// The triangle alone left drizzled noise with 18 % too much power in its faintest octave and 9 % too little in the
/// brightest.
fn tapered(lags: &Tensor, reach: i64) -> Tensor {
    let (size, m) = (lags.size()[0], lags.size()[0] / 2);
    let distance = (Tensor::arange(size, (Kind::Double, lags.device())) - m).abs();
    let end = (2 * reach).min(m) as f64 + 1.0;
    let triangle = (distance / -end + 1.0).clamp_min(0.0);
    let flat_top = (&triangle * 2.0).clamp_max(1.0);
    let windowed = |w: &Tensor| lags * w.unsqueeze(1) * w.unsqueeze(0);
    let [mut flat, safe] = [&flat_top, &triangle].map(windowed);
    let around = size + m;
    let spectrum = |t: &Tensor| {
        let wide = t.constant_pad_nd([0, around, 0, around]).roll([-m, -m], [0, 1]);
        wide.fft_fft2(None::<&[i64]>, [-2, -1], "backward").real()
    };
    let safe_power = spectrum(&safe).abs();
    let least = &safe_power * LEAST;
    for _ in 0..PROJECTIONS {
        let power = spectrum(&flat).maximum(&least);
        let wide =
            power.fft_ifft2(None::<&[i64]>, [-2, -1], "backward").real().roll([m, m], [0, 1]);
        flat = wide.narrow(0, 0, size).narrow(1, 0, size);
    }
    let power = spectrum(&flat);
    // (1 - a) power + a safe >= least / 2 everywhere.
    let short = (&least * 0.5 - &power).clamp_min(0.0);
    let share = (short / (safe_power - power).clamp_min(1e-300)).max().double_value(&[]);
    let mixed = flat * (1.0 - share) + safe * share;
    // Raised power is added power: c(0) stays as it was measured.
    let middle = |t: &Tensor| t.double_value(&[m, m]);
    let factor = middle(lags) / middle(&mixed);
    mixed * factor
}

/// Sum over all images and pixels of t(p) t(p + d), [2 lags + 1, 2 lags + 1] f64, d = 0 in the middle.
fn pair_sums(t: &Tensor, lags: i64) -> Tensor {
    let padded = t.constant_pad_nd([0, lags, 0, lags]);
    let mut sum: Option<Tensor> = None;
    for part in padded.split(256, 0) {
        let spectrum = part.to_kind(Kind::Double).fft_rfft2(None::<&[i64]>, [-2, -1], "backward");
        let power = spectrum.abs().square().sum_dim_intlist([0i64].as_slice(), false, Kind::Double);
        sum = Some(sum.map_or_else(|| power.shallow_clone(), |s| s + &power));
    }
    let [rows, columns] = [padded.size()[1], padded.size()[2]];
    let all = sum.expect("because there is a cutout").fft_irfft2(
        [rows, columns].as_slice(),
        [-2, -1],
        "backward",
    );
    let all = all.roll([lags, lags], [0, 1]);
    let all = all.narrow(0, 0, 2 * lags + 1).narrow(1, 0, 2 * lags + 1);
    (&all + all.flip([0, 1])) / 2.0
}
