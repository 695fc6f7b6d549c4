//! The forward model by its definition, independent of the library: gnomonic WCS, bilinear sky,
//! true convolution, average over the pixel.
//!
//! Equations: Calabretta & Greisen 2002, A&A 395, 1077 (Paper II), sect. 5.1.3.

use std::fmt::Write as _;

/// A gnomonic WCS without distortion; pixels are 0-based `[x, y]`, angles degrees.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Tan {
    /// Sky position of the reference pixel.
    pub(crate) crval: [f64; 2],
    /// Reference pixel, 0-based.
    pub(crate) crpix: [f64; 2],
    /// Degrees per pixel.
    pub(crate) cd: [[f64; 2]; 2],
}

impl Tan {
    /// `n` x `n` pixels centred on `crval`, north at the angle `turn` (radians) from +y towards +x,
    /// east left of it.
    pub(crate) fn centred(crval: [f64; 2], n: usize, scale_arcsec: f64, turn: f64) -> Self {
        let (scale, middle) = (scale_arcsec / 3600.0, (n as f64 - 1.0) / 2.0);
        let (sin, cos) = turn.sin_cos();
        let cd = [[-scale * cos, scale * sin], [scale * sin, scale * cos]];
        Self { crval, crpix: [middle; 2], cd }
    }

    /// The same with the reference position at another pixel.
    pub(crate) fn shifted(mut self, [dx, dy]: [f64; 2]) -> Self {
        self.crpix = [self.crpix[0] + dx, self.crpix[1] + dy];
        self
    }

    /// Pixel to sky: the plane coordinates are CD (pixel - crpix).
    pub(crate) fn sky(&self, [x, y]: [f64; 2]) -> [f64; 2] {
        let (dx, dy) = (x - self.crpix[0], y - self.crpix[1]);
        let [xi, eta] = self.cd.map(|row| (row[0] * dx + row[1] * dy).to_radians());
        let (sin, cos) = self.crval[1].to_radians().sin_cos();
        let (across, up) = (cos - eta * sin, sin + eta * cos);
        let ra = self.crval[0] + xi.atan2(across).to_degrees();
        [ra, up.atan2(xi.hypot(across)).to_degrees()]
    }

    /// Sky to pixel.
    pub(crate) fn pixel(&self, [ra, dec]: [f64; 2]) -> [f64; 2] {
        let (sin0, cos0) = self.crval[1].to_radians().sin_cos();
        let (sin, cos) = dec.to_radians().sin_cos();
        let (sin_a, cos_a) = (ra - self.crval[0]).to_radians().sin_cos();
        let depth = sin0 * sin + cos0 * cos * cos_a;
        let xi = (cos * sin_a / depth).to_degrees();
        let eta = ((cos0 * sin - sin0 * cos * cos_a) / depth).to_degrees();
        let [[a, b], [c, d]] = self.cd;
        let determinant = a * d - b * c;
        [
            self.crpix[0] + (d * xi - b * eta) / determinant,
            self.crpix[1] + (a * eta - c * xi) / determinant,
        ]
    }

    /// FITS header lines.
    pub(crate) fn header(&self) -> String {
        let mut text = String::from("CTYPE1  = 'RA---TAN'\nCTYPE2  = 'DEC--TAN'\n");
        for (key, value) in [
            ("CRPIX1", self.crpix[0] + 1.0),
            ("CRPIX2", self.crpix[1] + 1.0),
            ("CRVAL1", self.crval[0]),
            ("CRVAL2", self.crval[1]),
            ("CD1_1", self.cd[0][0]),
            ("CD1_2", self.cd[0][1]),
            ("CD2_1", self.cd[1][0]),
            ("CD2_2", self.cd[1][1]),
        ] {
            writeln!(text, "{key:<8}= {value:>24.16E}").expect("because text grows");
        }
        text
    }
}

/// A PSF image `[ny, nx]`, centre at ((ny - 1) / 2, (nx - 1) / 2).
#[derive(Clone, Debug)]
pub(crate) struct Kernel {
    pub(crate) values: Vec<f64>,
    pub(crate) shape: [usize; 2],
    pub(crate) oversample: usize,
    pub(crate) integrated: bool,
}

impl Kernel {
    /// No blur.
    pub(crate) fn point() -> Self {
        Self { values: vec![1.0], shape: [1, 1], oversample: 1, integrated: false }
    }

    /// A skew kernel of 3 x 3 samples, `oversample` a pixel: a flipped one looks different.
    pub(crate) fn skew(oversample: usize) -> Self {
        let values = vec![0.02, 0.05, 0.10, 0.08, 0.40, 0.15, 0.01, 0.07, 0.12];
        Self { values, shape: [3, 3], oversample, integrated: false }
    }

    /// A round Gaussian of this standard deviation in samples.
    pub(crate) fn gaussian(size: usize, sigma: f64, oversample: usize) -> Self {
        let middle = (size as f64 - 1.0) / 2.0;
        let one = |k: usize| (-0.5 * ((k as f64 - middle) / sigma).powi(2)).exp();
        let values = (0..size * size).map(|k| one(k / size) * one(k % size)).collect();
        Self { values, shape: [size, size], oversample, integrated: false }
    }
}

/// A model image's grid: `n` x `n` pixels of this WCS.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Grid {
    pub(crate) tan: Tan,
    pub(crate) n: usize,
}

/// A as a matrix, a row for each of the exposure's `ny` x `nx` pixels.
pub(crate) fn operator(
    grid: &Grid,
    wcs: &Tan,
    [ny, nx]: [usize; 2],
    psf: &Kernel,
) -> Vec<Vec<f64>> {
    let s = psf.oversample as f64;
    let offsets: Vec<f64> = match psf.integrated {
        true => vec![0.0],
        false => (0..psf.oversample).map(|k| (k as f64 + 0.5) / s - 0.5).collect(),
    };
    let total = psf.values.iter().sum::<f64>() * (offsets.len() * offsets.len()) as f64;
    let [rows, columns] = psf.shape;
    let middle = |n: usize| (n as f64 - 1.0) / 2.0;
    let row = |i: usize, j: usize| {
        let mut weights = vec![0.0; grid.n * grid.n];
        for (&dy, &dx) in offsets.iter().flat_map(|y| offsets.iter().map(move |x| (y, x))) {
            for (k, value) in psf.values.iter().enumerate() {
                let x = j as f64 + dx - ((k % columns) as f64 - middle(columns)) / s;
                let y = i as f64 + dy - ((k / columns) as f64 - middle(rows)) / s;
                bilinear(grid.tan.pixel(wcs.sky([x, y])), grid.n, |at, weight| {
                    weights[at] += weight * value / total;
                });
            }
        }
        weights
    };
    (0..ny * nx).map(|k| row(k / nx, k % nx)).collect()
}

/// The up to four pixels of an n x n image that surround a position, and their weights.
fn bilinear([x, y]: [f64; 2], n: usize, mut add: impl FnMut(usize, f64)) {
    let (x0, y0) = (x.floor(), y.floor());
    for (row, wy) in [(y0, 1.0 - (y - y0)), (y0 + 1.0, y - y0)] {
        for (column, wx) in [(x0, 1.0 - (x - x0)), (x0 + 1.0, x - x0)] {
            let inside = |v: f64| (0.0..n as f64).contains(&v);
            if inside(row) && inside(column) {
                add(row as usize * n + column as usize, wy * wx);
            }
        }
    }
}

/// A x.
pub(crate) fn apply(operator: &[Vec<f64>], image: &[f64]) -> Vec<f64> {
    operator.iter().map(|row| row.iter().zip(image).map(|(a, x)| a * x).sum()).collect()
}

/// Flux-weighted mean position `[x, y]` of an image of `nx` columns.
pub(crate) fn centroid(image: &[f32], nx: usize) -> [f64; 2] {
    let (mut sum, mut x, mut y) = (0.0, 0.0, 0.0);
    for (k, &value) in image.iter().enumerate() {
        let value = f64::from(value);
        sum += value;
        x += value * (k % nx) as f64;
        y += value * (k / nx) as f64;
    }
    [x / sum, y / sum]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sky_and_pixel_are_inverse_and_on_the_sky() {
        let tan = Tan::centred([150.0, 60.0], 16, 0.05, 0.4);
        let [x, y] = tan.pixel(tan.sky([3.0, 12.5]));
        assert!((x - 3.0).abs() < 1e-7 && (y - 12.5).abs() < 1e-7);
        // astropy 8.0.2: w = WCS(naxis=2); w.wcs.ctype = ["RA---TAN", "DEC--TAN"];
        // w.wcs.crval = [150, 60]; w.wcs.crpix = [1, 1]; w.wcs.cd = [[-1, 0], [0, 1]];
        // w.all_pix2world([[1, 2]], 0)
        let need = [147.8722773978, 61.9828045242];
        let wide = Tan { crval: [150.0, 60.0], crpix: [0.0; 2], cd: [[-1.0, 0.0], [0.0, 1.0]] };
        let [ra, dec] = wide.sky([1.0, 2.0]);
        assert!((ra - need[0]).abs() < 1e-9 && (dec - need[1]).abs() < 1e-9, "{ra} {dec}");
    }

    #[test]
    fn a_constant_sky_is_the_constant_away_from_the_edge() {
        let grid = Grid { tan: Tan::centred([10.0, -30.0], 24, 0.05, 0.0), n: 24 };
        let a =
            operator(&grid, &Tan::centred([10.0, -30.0], 8, 0.07, 0.3), [8, 8], &Kernel::skew(2));
        assert!(apply(&a, &vec![2.0; 576]).iter().all(|v| (v - 2.0).abs() < 1e-12));
    }
}
