//! Four dithered exposures of a round galaxy, as plain numbers and header cards.

/// Number of exposures.
pub const EXPOSURES: usize = 4;
/// Side of the PSF, four samples a pixel.
pub const PSF_SIDE: usize = 13;
/// Samples of the PSF per pixel.
pub const PSF_OVERSAMPLE: usize = 4;
/// Standard deviation of the noise.
pub const SIGMA: f64 = 0.05;
/// Where the galaxy is, ICRS degrees.
pub const CENTRE_DEG: [f64; 2] = [150.1, 2.2];
/// Pixel scale of the model, arcsec; the exposures' is twice as large.
pub const MODEL_SCALE_ARCSEC: f64 = 0.03;
/// Seed of the samples.
pub const SEED: u64 = 7;

/// A job.
pub struct Problem {
    /// Side of an exposure, pixels.
    pub side: usize,
    /// Side of the model, pixels.
    pub model_side: usize,
    /// Number of samples.
    pub n_samples: usize,
    /// Sampler options, JSON.
    pub options: &'static str,
}

impl Problem {
    /// Cards of exposure `k`, shifted by half pixels.
    pub fn header(&self, k: usize) -> String {
        let middle = (self.side as f64 + 1.0) / 2.0;
        let [dx, dy] = shift(k);
        let step = 2.0 * MODEL_SCALE_ARCSEC / 3600.0;
        let mut cards = format!("{:<80}{:<80}", "CTYPE1  = 'RA---TAN'", "CTYPE2  = 'DEC--TAN'");
        for (key, value) in [
            ("CRPIX1", middle + dx),
            ("CRPIX2", middle + dy),
            ("CRVAL1", CENTRE_DEG[0]),
            ("CRVAL2", CENTRE_DEG[1]),
            ("CD1_1", -step),
            ("CD2_2", step),
        ] {
            cards += &format!("{:<80}", format!("{key:<8}= {value:>20.13E}"));
        }
        cards
    }

    /// Pixels of exposure `k`, [side, side]: a Gaussian blob and a ripple of one sigma.
    pub fn pixels(&self, k: usize) -> Vec<f64> {
        let [dx, dy] = shift(k);
        let middle = (self.side as f64 - 1.0) / 2.0;
        let pixel = |i: usize| {
            let (x, y) = ((i % self.side) as f64, (i / self.side) as f64);
            let r2 = (x - middle - dx).powi(2) + (y - middle - dy).powi(2);
            let ripple = ((i * 7 + k * 3) % 5) as f64 - 2.0;
            (-r2 / 12.0).exp() + SIGMA * ripple / 2.0_f64.sqrt()
        };
        (0..self.side * self.side).map(pixel).collect()
    }
}

fn shift(k: usize) -> [f64; 2] {
    [0.5 * (k % 2) as f64, 0.5 * (k / 2) as f64]
}

/// A Gaussian PSF of 1.2 pixels' width, [PSF_SIDE, PSF_SIDE].
pub fn psf() -> Vec<f64> {
    let middle = (PSF_SIDE / 2) as f64;
    let sample = |i: usize| {
        let (x, y) = ((i % PSF_SIDE) as f64 - middle, (i / PSF_SIDE) as f64 - middle);
        (-(x * x + y * y) / (2.0 * 2.0 * 2.0)).exp()
    };
    (0..PSF_SIDE * PSF_SIDE).map(sample).collect()
}
