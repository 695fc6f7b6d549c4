//! Level and noise of the sky over an exposure.

use ndarray::{Array2, s};

use super::clip::{Clipped, sigma_clip};

/// Share of a tile that must be valid for it to count.
const COVERED: f64 = 0.25;

/// Clipped level and noise, measured once or in tiles.
///
/// The exposure is divided into equal tiles of about the size asked for. Between the centres of
/// tiles level and noise are interpolated linearly, beyond the outermost they are constant. A tile
/// with less than a quarter of its pixels valid takes the values of the whole exposure.
#[derive(Debug)]
pub(super) struct SkyMap {
    shape: (usize, usize),
    tiles: Array2<[f64; 2]>,
}

impl SkyMap {
    /// Measures `pixels` where `valid`; `None` where that is nowhere, or all the same value.
    pub fn measure(
        pixels: &Array2<f64>,
        valid: &Array2<bool>,
        tile: Option<usize>,
    ) -> Option<Self> {
        let clip = |y: std::ops::Range<usize>, x: std::ops::Range<usize>| -> Option<Clipped> {
            let window = s![y, x];
            let pairs = pixels.slice(window).into_iter().zip(valid.slice(window));
            sigma_clip(pairs.filter(|(_, v)| **v).map(|(p, _)| *p))
        };
        let shape = pixels.dim();
        let whole = clip(0..shape.0, 0..shape.1).filter(|c| c.sigma > 0.0)?;
        let count = |n: usize| tile.map_or(1, |t| ((n as f64 / t as f64).round() as usize).max(1));
        let (rows, columns) = (count(shape.0), count(shape.1));
        let tiles = Array2::from_shape_fn((rows, columns), |(j, i)| {
            let range = |k: usize, of: usize, n: usize| k * n / of..(k + 1) * n / of;
            let (y, x) = (range(j, rows, shape.0), range(i, columns, shape.1));
            let least = COVERED * (y.len() * x.len()) as f64;
            let found = clip(y, x).filter(|c| c.sigma > 0.0 && c.count as f64 >= least);
            let found = found.unwrap_or(whole);
            [found.mean, found.sigma]
        });
        Some(Self { shape, tiles })
    }

    /// Level and noise at a pixel.
    pub fn at(&self, (y, x): (usize, usize)) -> [f64; 2] {
        let between = |k: usize, n: usize, tiles: usize| {
            let at = (k as f64 + 0.5) * tiles as f64 / n as f64 - 0.5;
            let at = at.clamp(0.0, (tiles - 1) as f64);
            let first = (at as usize).min(tiles.saturating_sub(2));
            (first, (first + 1).min(tiles - 1), at - first as f64)
        };
        let (rows, columns) = self.tiles.dim();
        let (y0, y1, v) = between(y, self.shape.0, rows);
        let (x0, x1, u) = between(x, self.shape.1, columns);
        let mix = |a: [f64; 2], b: [f64; 2], t: f64| [0, 1].map(|k| a[k] + t * (b[k] - a[k]));
        let row = |y| mix(self.tiles[[y, x0]], self.tiles[[y, x1]], u);
        mix(row(y0), row(y1), v)
    }

    /// Level and noise, the mean over the tiles.
    pub fn mean(&self) -> [f64; 2] {
        let sum = self.tiles.iter().fold([0.0; 2], |s, t| [s[0] + t[0], s[1] + t[1]]);
        sum.map(|v| v / self.tiles.len() as f64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slope_is_interpolated() {
        // Means of equal tiles of a plane lie on the plane, so interpolation gives it back.
        let plane = |y: usize, x: usize| 3.0 + 0.01 * y as f64 - 0.02 * x as f64;
        let checks = |y: usize, x: usize| if (y + x).is_multiple_of(2) { 0.5 } else { -0.5 };
        let pixels = Array2::from_shape_fn((80, 120), |(y, x)| plane(y, x) + checks(y, x));
        let mut valid = Array2::from_elem((80, 120), true);
        let map = SkyMap::measure(&pixels, &valid, Some(20)).unwrap();
        for (y, x) in [(10, 10), (40, 60), (55, 33), (69, 109)] {
            assert!((map.at((y, x))[0] - plane(y, x)).abs() < 1e-9, "{y} {x}");
        }
        // Beyond the centres of the outermost tiles: that of the tile, at (9.5, 9.5).
        let corner = plane(0, 0) + 9.5 * 0.01 - 9.5 * 0.02;
        assert!((map.at((0, 0))[0] - corner).abs() < 1e-9);
        valid.slice_mut(s![..20, ..20]).fill(false);
        let hole = SkyMap::measure(&pixels, &valid, Some(20)).unwrap();
        let whole = SkyMap::measure(&pixels, &valid, None).unwrap();
        assert_eq!(hole.at((0, 0)), whole.at((70, 5)));
    }

    #[test]
    fn nothing_to_measure() {
        let pixels = Array2::ones((10, 10));
        assert!(SkyMap::measure(&pixels, &Array2::from_elem((10, 10), true), None).is_none());
        assert!(SkyMap::measure(&pixels, &Array2::from_elem((10, 10), false), None).is_none());
    }
}
