//! Galaxies and stars in one exposure, told from particles that L.A.Cosmic left over.

use ndarray::{Array2, Zip};

use super::matched::Matched;
use super::median;
use super::tracks::Tracks;

/// What counts as a source.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct SourceRule {
    /// Full width at half maximum of the PSF, pixels.
    pub psf_fwhm_px: f64,
    /// Widths of the matched filters, in units of the PSF's.
    pub widths: Vec<f64>,
    /// Least signal-to-noise ratio in one of the filtered images.
    pub threshold: f32,
    /// A source reaches as far as the filtered image stays above this ratio.
    pub outskirts: f32,
    /// Passes at most that look for tracks among the sources.
    pub passes: usize,
    /// Share of the light of replaced pixels that is taken off the image before it is filtered:
    /// what a particle left in neighbours below the limits.
    pub wings: f32,
    /// Standard deviation of a particle's track across, pixels: charge diffuses.
    pub track_width_px: f64,
}

impl Default for SourceRule {
    /// Chosen on synthetic fields; `tests.rs` prints what they keep and reject.
    fn default() -> Self {
        Self {
            psf_fwhm_px: 2.0,
            widths: vec![1.0, 2.0, 4.0],
            threshold: 5.0,
            outskirts: 2.0,
            passes: 30,
            wings: 0.1,
            track_width_px: 0.3,
        }
    }
}

/// Pixels (y, x).
type Pixels = Vec<(usize, usize)>;

/// Pixels of sources. What looks like a source but is a narrow track is replaced in `z` by the
/// median of its neighbours and taken out of `usable`.
///
/// `z`: image in units of the sky noise, sky subtracted, sharp pixels replaced; `original`: before
/// they were; both 0 where not `valid`.
///
/// A peak of the filtered image is a track if the best track of [`SourceRule::track_width_px`] on
/// its pixels has a higher signal-to-noise ratio than anything PSF-wide there: the likelihood ratio
/// of two shapes of free amplitude in Gaussian noise is exp((S/N_1^2 - S/N_2^2) / 2).
pub(super) fn find(
    z: &mut Array2<f32>,
    original: &Array2<f32>,
    usable: &mut Array2<bool>,
    valid: &Array2<bool>,
    rule: &SourceRule,
) -> Array2<bool> {
    let filters = filters(valid, rule);
    let narrow = Tracks::new(rule.track_width_px, z, usable);
    let wide = Tracks::new(rule.psf_fwhm_px / (8.0 * 2f64.ln()).sqrt(), z, usable);
    let mut accepted = Array2::from_elem(z.dim(), false);
    let mut ratios = Vec::new();
    for _ in 0..rule.passes {
        let test = Zip::from(&*z).and(original).map_collect(|z, o| z - rule.wings * (o - z));
        ratios = filters.iter().map(|f| f.signal_to_noise(&test)).collect();
        let best = highest(&ratios);
        let mut tracks = Pixels::new();
        for component in components(&best, rule.threshold) {
            if component.iter().any(|p| accepted[*p]) {
                continue;
            }
            let track = narrow.best(z, &component);
            let around = around(z.dim(), track.at);
            let source = wide.best(z, &around).ratio;
            if track.ratio > around.iter().fold(source, |most, p| most.max(best[*p])) {
                tracks.extend(track.pixels);
            } else {
                component.iter().for_each(|p| accepted[*p] = true);
            }
        }
        if tracks.is_empty() {
            break;
        }
        tracks.iter().for_each(|p| usable[*p] = false);
        for p in tracks {
            z[p] = median::neighbours(z, p, usable);
        }
    }
    outskirts(&ratios, rule)
}

/// Pixels of sources in an image without particles, `z` as for [`find`].
pub(super) fn significant(
    z: &Array2<f32>,
    valid: &Array2<bool>,
    rule: &SourceRule,
) -> Array2<bool> {
    let ratios: Vec<_> = filters(valid, rule).iter().map(|f| f.signal_to_noise(z)).collect();
    outskirts(&ratios, rule)
}

fn filters(valid: &Array2<bool>, rule: &SourceRule) -> Vec<Matched> {
    rule.widths.iter().map(|w| Matched::new(w * rule.psf_fwhm_px, valid)).collect()
}

fn highest(ratios: &[Array2<f32>]) -> Array2<f32> {
    let mut best = ratios[0].clone();
    for ratio in &ratios[1..] {
        Zip::from(&mut best).and(ratio).for_each(|b, r| *b = b.max(*r));
    }
    best
}

/// Pixels connected to one above the threshold through pixels above the outskirts' ratio.
fn outskirts(ratios: &[Array2<f32>], rule: &SourceRule) -> Array2<bool> {
    let mut source = Array2::from_elem(ratios[0].dim(), false);
    for ratio in ratios {
        for component in components(ratio, rule.outskirts) {
            if component.iter().any(|p| ratio[*p] > rule.threshold) {
                component.iter().for_each(|p| source[*p] = true);
            }
        }
    }
    source
}

/// Sets of touching pixels (diagonals touch) above `limit`.
fn components(ratio: &Array2<f32>, limit: f32) -> Vec<Pixels> {
    let mut seen = Array2::from_elem(ratio.dim(), false);
    let mut found = Vec::new();
    for (start, value) in ratio.indexed_iter() {
        if *value <= limit || seen[start] {
            continue;
        }
        seen[start] = true;
        let mut pixels = vec![start];
        let mut next = 0;
        while let Some(&at) = pixels.get(next) {
            next += 1;
            for p in around(ratio.dim(), at) {
                if ratio[p] > limit && !std::mem::replace(&mut seen[p], true) {
                    pixels.push(p);
                }
            }
        }
        found.push(pixels);
    }
    found
}

/// The 3 x 3 pixels about one, cut at the edges.
pub(super) fn around((ny, nx): (usize, usize), (y, x): (usize, usize)) -> Pixels {
    let rows = y.saturating_sub(1)..(y + 2).min(ny);
    rows.flat_map(|j| (x.saturating_sub(1)..(x + 2).min(nx)).map(move |i| (j, i))).collect()
}
