//! Cosmic rays and hot pixels by their edges: L.A.Cosmic (van Dokkum 2001, PASP 113, 1420).
//!
//! Images are in units of the sky noise, sky subtracted.

use ndarray::Array2;

use super::median;
use super::source::around;

/// When a pixel is too sharp to be light through the telescope's optics.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct SharpRule {
    /// Least Laplacian signal-to-noise ratio S' (the paper's sigma_lim).
    pub clip: f32,
    /// Share of `clip` that is enough beside a sharp pixel.
    pub neighbour: f32,
    /// Least ratio of S' to the fine structure (f_lim).
    pub contrast: f32,
    /// The same beside a sharp pixel; the paper has 0.
    pub neighbour_contrast: f32,
    /// Passes at most; each sees the image that those before have cleaned.
    pub passes: usize,
}

impl SharpRule {
    /// The paper's limits of significance, and limits of contrast half above the largest that a
    /// point source has, but at least 2 and, beside a sharp pixel, 1.5. More passes than the
    /// paper's four: dense tracks need them.
    pub fn for_psf(fwhm_px: f64) -> Self {
        let point = point_source_contrast(fwhm_px);
        Self {
            clip: 4.5,
            neighbour: 0.3,
            contrast: (1.5 * point).max(2.0),
            neighbour_contrast: (1.5 * point).max(1.5),
            passes: 8,
        }
    }
}

/// The largest S' / F of a bright point source, wherever it lies in its pixel: 0.6, 1.2 and 3.3 for
/// a PSF of 2.5, 2 and 1.5 pixels.
fn point_source_contrast(fwhm_px: f64) -> f32 {
    const SIDE: usize = 21;
    const BRIGHT: f64 = 1e5;
    let sigma = fwhm_px / (8.0 * 2f64.ln()).sqrt();
    let offsets = (-3..=3).map(|k| f64::from(k) / 6.0);
    let places = offsets.clone().flat_map(|y| offsets.clone().map(move |x| (y, x)));
    let contrasts = places.map(|(y, x)| {
        let axis = |shift: f64| gaussian(SIDE, (SIDE / 2) as f64 + shift, sigma);
        let (rows, columns) = (axis(y), axis(x));
        let z =
            Array2::from_shape_fn((SIDE, SIDE), |(j, i)| (BRIGHT * rows[j] * columns[i]) as f32);
        let noise = Array2::ones(z.dim());
        let pass = Laplacian { z: &z, plus: laplacian(&z), noise: &noise };
        let excesses = z.indexed_iter().map(|(p, _)| (p, pass.excess(p)));
        // In the far wings F is 0.01 by definition, and its ratio to S' says nothing.
        let seen = excesses.filter(|(_, s)| f64::from(*s) > 0.004 * BRIGHT);
        seen.map(|(p, s)| s / pass.fine_structure(p)).fold(0f32, f32::max)
    });
    contrasts.fold(0.0, f32::max)
}

/// A Gaussian of unit sum, integrated over pixels (five points each).
fn gaussian(n: usize, centre: f64, sigma: f64) -> Vec<f64> {
    let at = |k: usize, s: i32| (k as f64 + f64::from(s) / 5.0 - centre) / sigma;
    let pixel = |k: usize| (-2..=2).map(|s| (-0.5 * at(k, s).powi(2)).exp()).sum::<f64>();
    let sum: f64 = (0..n).map(pixel).sum();
    (0..n).map(|k| pixel(k) / sum).collect()
}

/// Replaces sharp pixels of `z` by the median of their usable 5 x 5 neighbours and takes them out
/// of `usable`. `poisson` is the noise variance that a pixel of height 1 adds, in units of that of
/// the sky.
///
/// Unlike the paper, later passes also go on from the pixels found before: half of a track that
/// runs between two rows of pixels hides the other half until it is replaced.
pub(super) fn clean(
    z: &mut Array2<f32>,
    usable: &mut Array2<bool>,
    poisson: f32,
    rule: &SharpRule,
) {
    let noise = noise(z, poisson);
    let mut sharp = Vec::new();
    for _ in 0..rule.passes {
        let found = Laplacian { z, plus: laplacian(z), noise: &noise }.find(usable, &sharp, rule);
        if found.is_empty() {
            break;
        }
        found.iter().for_each(|p| usable[*p] = false);
        sharp.extend(found);
        for p in &sharp {
            z[*p] = median::neighbours(z, *p, usable);
        }
    }
}

/// L+ of the image with doubled pixels, averaged back. In the doubled image each quarter of a pixel
/// has two neighbours of its own value: the mean over quarters of max(0, 4 z - 2 z - v - h) needs
/// only the pixel's neighbours v above or below and h left or right. A lone pixel of height a has
/// L+ = 2 a.
fn laplacian(z: &Array2<f32>) -> Array2<f32> {
    let (ny, nx) = z.dim();
    Array2::from_shape_fn((ny, nx), |(y, x)| {
        let twice = 2.0 * z[[y, x]];
        let rows = [z[[y.saturating_sub(1), x]], z[[(y + 1).min(ny - 1), x]]];
        let columns = [z[[y, x.saturating_sub(1)]], z[[y, (x + 1).min(nx - 1)]]];
        let quarters = rows.iter().flat_map(|v| columns.iter().map(move |h| twice - v - h));
        quarters.map(|q| q.max(0.0)).sum::<f32>() / 4.0
    })
}

/// sqrt(1 + poisson M5), once: the median over 5 x 5 pixels hardly changes with the passes.
fn noise(z: &Array2<f32>, poisson: f32) -> Array2<f32> {
    if poisson == 0.0 {
        return Array2::ones(z.dim());
    }
    Array2::from_shape_fn(z.dim(), |at| {
        let smooth = median::window(z.dim(), at, 2, |p| Some(z[p])).unwrap_or(0.0);
        (1.0 + poisson * smooth.max(0.0)).sqrt()
    })
}

/// One pass. Medians are taken where they are asked for: that is at few pixels.
struct Laplacian<'a> {
    z: &'a Array2<f32>,
    plus: Array2<f32>,
    noise: &'a Array2<f32>,
}

impl Laplacian<'_> {
    /// Sharp pixels, beside those `known`.
    fn find(
        &self,
        usable: &Array2<bool>,
        known: &[(usize, usize)],
        rule: &SharpRule,
    ) -> Vec<(usize, usize)> {
        // S' <= S <= L+ / 2, since the noise is at least 1.
        let above = |p, limit, contrast| {
            self.plus[p] > 2.0 * limit && {
                let excess = self.excess(p);
                excess > limit && (contrast == 0.0 || excess > contrast * self.fine_structure(p))
            }
        };
        let pixels = usable.indexed_iter().filter(|(_, u)| **u).map(|(p, _)| p);
        let mut found: Vec<_> = pixels.filter(|&p| above(p, rule.clip, rule.contrast)).collect();
        let mut seen = Array2::from_elem(self.z.dim(), false);
        found.iter().for_each(|p| seen[*p] = true);
        for limit in [rule.clip, rule.clip * rule.neighbour] {
            let beside = known.iter().chain(&found).flat_map(|p| around(self.z.dim(), *p));
            let mut grown: Vec<_> = beside.filter(|p| usable[*p] && !seen[*p]).collect();
            grown.sort_unstable();
            grown.dedup();
            grown.retain(|p| above(*p, limit, rule.neighbour_contrast));
            grown.iter().for_each(|p| seen[*p] = true);
            found.extend(grown);
        }
        found
    }

    /// S.
    fn significance(&self, p: (usize, usize)) -> f32 {
        self.plus[p] / (2.0 * self.noise[p])
    }

    /// S': S without the structure that is smooth over five pixels.
    fn excess(&self, at: (usize, usize)) -> f32 {
        let smooth = median::window(self.z.dim(), at, 2, |p| Some(self.significance(p)));
        self.significance(at) - smooth.unwrap_or(0.0)
    }

    /// F in units of the noise, at least 0.01.
    fn fine_structure(&self, at: (usize, usize)) -> f32 {
        let shape = self.z.dim();
        let m3 = |at| median::window(shape, at, 1, |p| Some(self.z[p])).unwrap_or(0.0);
        let smooth = median::window(shape, at, 3, |p| Some(m3(p))).unwrap_or(0.0);
        ((m3(at) - smooth) / self.noise[at]).max(0.01)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cutouts::tests::oracle_image;

    /// astroscrappy 1.3.0, `detect_cosmics(image, sigclip=4.5, sigfrac=0.3, objlim=5, gain=1,
    /// readnoise=1, satlevel=1e9, niter=1, sepmed=False, cleantype="medmask", fsmode="median")`:
    /// pixels (y, x) at least four from the edge, where the two fill the windows of the medians
    /// differently.
    const ASTROSCRAPPY: [(usize, usize); 20] = [
        (8, 8),
        (9, 8),
        (10, 9),
        (11, 9),
        (11, 11),
        (12, 10),
        (13, 10),
        (14, 11),
        (15, 11),
        (16, 12),
        (20, 20),
        (25, 41),
        (30, 30),
        (40, 25),
        (40, 26),
        (40, 27),
        (40, 28),
        (40, 29),
        (40, 30),
        (40, 31),
    ];

    #[test]
    fn one_pass_agrees_with_astroscrappy() {
        let mut z = oracle_image();
        let mut usable = Array2::from_elem(z.dim(), true);
        let paper = SharpRule {
            clip: 4.5,
            neighbour: 0.3,
            contrast: 5.0,
            neighbour_contrast: 0.0,
            passes: 1,
        };
        clean(&mut z, &mut usable, 101f32.sqrt().recip(), &paper);
        let inside = |&(y, x): &(usize, usize)| (4..44).contains(&y) && (4..44).contains(&x);
        let sharp = usable.indexed_iter().filter(|(_, u)| !**u).map(|(p, _)| p);
        assert_eq!(sharp.filter(inside).collect::<Vec<_>>(), ASTROSCRAPPY);
    }

    #[test]
    fn later_passes_take_the_track_and_leave_the_star() {
        let mut z = oracle_image();
        let mut usable = Array2::from_elem(z.dim(), true);
        clean(&mut z, &mut usable, 101f32.sqrt().recip(), &SharpRule::for_psf(3.5));
        for k in 0..9 {
            assert!(z[[8 + k, 8 + k / 2]].abs() < 4.0, "track at {k}: {}", z[[8 + k, 8 + k / 2]]);
        }
        assert!(z[[30, 30]].abs() < 4.0 && z[[20, 20]].abs() < 4.0);
        let star = [(13, 33), (13, 34), (15, 33), (15, 34)];
        assert!(star.iter().all(|p| usable[*p] && z[*p] > 15.0));
    }

    /// S' / F of noiseless stars on a finer grid of positions, by an L.A.Cosmic written with
    /// scipy.ndimage.
    #[test]
    fn a_point_source_has_its_contrast() {
        for (fwhm, expected) in [(1.5, 3.3241), (2.0, 1.1873), (2.5, 0.60229)] {
            let found = point_source_contrast(fwhm);
            assert!((found / expected - 1.0).abs() < 0.03, "{fwhm}: {found}, {expected}");
        }
    }

    #[test]
    fn a_lone_pixel_is_twice_its_height() {
        let mut z = Array2::zeros((5, 5));
        z[[2, 2]] = 3.0;
        let plus = laplacian(&z);
        assert_eq!((plus[[2, 2]], plus[[2, 1]], plus[[0, 0]]), (6.0, 0.0, 0.0));
    }
}
