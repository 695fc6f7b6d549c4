//! Problems with four rotated, dithered exposures of one model grid.

use std::rc::Rc;
use std::sync::Arc;

use ndarray::Array2;
use pellucid_exposure::{Exposure, Geometry, HeaderWcs, ModelGrid, Psf};
use pellucid_posterior::likelihood::{GaussianLikelihood, Likelihood};
use pellucid_posterior::rng::SampleRng;
use pellucid_posterior::sampler::{self, CPU_BATCH, Observer, SamplerOptions, Slot};
use pellucid_posterior::score::Denoiser;
use pellucid_posterior::score::model_file::PriorModel;
use tch::{Device, Kind, Tensor};

/// Pixel scale of the model grid, arcsec.
const SCALE_ARCSEC: f64 = 0.03;
/// Sub-pixels of a data pixel.
const OVERSAMPLE: usize = 4;

/// Exposures' geometry, with the dense operator [m, n] of their used pixels.
pub struct Telescope {
    pub grid: ModelGrid,
    pub exposures: Vec<Exposure>,
    pub a: Tensor,
    used: Vec<Vec<usize>>,
}

impl Telescope {
    /// `count` exposures of `pixels`^2 that cover a model of `size`^2, blurred by an asymmetric PSF
    /// of about `fwhm_px` model pixels, with a few masked pixels.
    pub fn new(size: usize, pixels: usize, count: usize, fwhm_px: f64) -> Self {
        let grid = ModelGrid::new(size, size, 150.0, 2.0, SCALE_ARCSEC).expect("a valid grid");
        let scale = SCALE_ARCSEC * size as f64 / pixels as f64;
        let sub = scale / OVERSAMPLE as f64 / SCALE_ARCSEC;
        let psf = Arc::new(psf(fwhm_px / 2.355 / sub));
        let mut exposures = Vec::new();
        for k in 0..count {
            let angle = (3.0 + 7.0 * k as f64).to_radians();
            let dither = [(k % 2) as f64 * 0.5, (k / 2) as f64 * 0.5];
            let wcs = HeaderWcs::new(&cards(pixels, scale, angle, dither), Vec::new());
            let mut good = Array2::from_elem((pixels, pixels), true);
            for i in 0..pixels / 4 {
                good[[(5 * i + 3 * k) % pixels, (7 * i + k) % pixels]] = false;
            }
            let zero = Array2::zeros((pixels, pixels));
            let one = Array2::ones((pixels, pixels));
            let wcs = Arc::new(wcs.expect("a valid header"));
            let exposure = Exposure::new(format!("{k}"), zero, one, good, wcs, psf.clone());
            exposures.push(exposure.expect("a valid exposure"));
        }
        let mut rows = Vec::new();
        let mut used = Vec::new();
        for exposure in &exposures {
            let geometry = Geometry::new(exposure, &grid).expect("an overlap");
            let a = geometry.dense(&exposure.psf);
            let shape = [a.nrows() as i64, a.ncols() as i64];
            let values: Vec<f32> = a.iter().copied().collect();
            rows.push(Tensor::from_slice(&values).reshape(shape));
            used.push(geometry.used);
        }
        Self { grid, exposures, a: Tensor::cat(&rows, 0), used }
    }

    /// Exposures of `truth` [H, W] with white noise `sigma`, and the used data [m] in f64.
    pub fn observe(&self, truth: &Tensor, sigma: f64, seed: u64) -> (Vec<Arc<Exposure>>, Tensor) {
        let mut noise = vec![0f32; self.a.size()[0] as usize];
        SampleRng::new(seed, 1 << 40).fill_normal(&mut noise);
        let noise = Tensor::from_slice(&noise).to_kind(Kind::Double) * sigma;
        self.observe_with(truth, &noise, sigma * sigma)
    }

    /// Exposures of `truth` [H, W] with `noise` [m], said to be of `variance`, and the used data [m] in f64.
    pub fn observe_with(
        &self,
        truth: &Tensor,
        noise: &Tensor,
        variance: f64,
    ) -> (Vec<Arc<Exposure>>, Tensor) {
        let clean = self.a.matmul(&truth.to_kind(Kind::Float).reshape([-1, 1])).reshape([-1]);
        let y = clean.to_kind(Kind::Double) + noise;
        let values = Vec::<f64>::try_from(&y).expect("a vector");
        let mut next = values.iter();
        let mut observed = Vec::new();
        for (exposure, used) in self.exposures.iter().zip(&self.used) {
            let mut exposure = exposure.clone();
            let nx = exposure.pixels.ncols();
            exposure.variance.fill(variance);
            for i in used {
                exposure.pixels[[i / nx, i % nx]] = *next.next().expect("as many values as pixels");
            }
            observed.push(Arc::new(exposure));
        }
        (observed, y)
    }

    /// Root mean square of A x over the used pixels.
    pub fn signal_rms(&self, truth: &Tensor) -> f64 {
        let clean = self.a.matmul(&truth.to_kind(Kind::Float).reshape([-1, 1]));
        clean.square().mean(Kind::Double).double_value(&[]).sqrt()
    }
}

impl Telescope {
    /// Light-weighted mean brightness of the used pixels, sum (A x)^2 / sum |A x|: what a pixel of
    /// the galaxy holds, however much empty sky surrounds it.
    pub fn typical_signal(&self, truth: &Tensor) -> f64 {
        let clean = self.a.matmul(&truth.to_kind(Kind::Float).reshape([-1, 1]));
        let sum = |t: Tensor| t.sum(Kind::Double).double_value(&[]);
        sum(clean.square()) / sum(clean.abs())
    }
}

/// A slightly elliptical, off-symmetric PSF of `sigma` sub-pixels.
fn psf(sigma: f64) -> Psf {
    let half = (4.0 * sigma).ceil() as i64 + 1;
    let side = (2 * half + 1) as usize;
    let kernel = Array2::from_shape_fn((side, side), |(y, x)| {
        let (y, x) = (y as f64 - half as f64, x as f64 - half as f64);
        let core = (-0.5 * ((x / sigma).powi(2) + (y / (0.8 * sigma)).powi(2))).exp();
        let tail =
            (-0.5 * (((x - sigma) / sigma).powi(2) + ((y - 0.5 * sigma) / sigma).powi(2))).exp();
        core + 0.2 * tail
    });
    Psf::new(kernel, OVERSAMPLE, false).expect("a valid PSF")
}

fn cards(pixels: usize, scale_arcsec: f64, angle: f64, dither: [f64; 2]) -> String {
    let s = scale_arcsec / 3600.0;
    let (sin, cos) = angle.sin_cos();
    let centre = (pixels as f64 + 1.0) / 2.0;
    [
        "CTYPE1  = 'RA---TAN'".to_owned(),
        "CTYPE2  = 'DEC--TAN'".to_owned(),
        format!("CRPIX1  = {}", centre + dither[0]),
        format!("CRPIX2  = {}", centre + dither[1]),
        "CRVAL1  = 150.0".to_owned(),
        "CRVAL2  = 2.0".to_owned(),
        format!("CD1_1   = {:e}", -s * cos).to_uppercase(),
        format!("CD1_2   = {:e}", s * sin).to_uppercase(),
        format!("CD2_1   = {:e}", s * sin).to_uppercase(),
        format!("CD2_2   = {:e}", s * cos).to_uppercase(),
    ]
    .join("\n")
}

/// An observer that lets everything pass.
pub struct Patient;

impl Observer for Patient {
    fn step(&mut self, _: usize, _: usize) -> std::ops::ControlFlow<()> {
        std::ops::ControlFlow::Continue(())
    }
}

/// Samples of one job with what they cost.
pub struct Drawn {
    /// [n, H, W] f64, network units; failed samples are left out.
    pub images: Tensor,
    pub failed: usize,
    pub cg_iterations: usize,
    pub cg_breakdowns: usize,
    pub proposals: usize,
    pub accepted: usize,
    pub evaluations_per_sample: f64,
    pub seconds_per_sample: f64,
    pub network_share: f64,
}

/// Draws `count` posterior samples.
pub fn draw(
    model: &PriorModel,
    likelihood: &(impl Clone + Into<Likelihood>),
    options: &SamplerOptions,
    count: usize,
    seed: u64,
) -> Drawn {
    let [h, w] = model.metadata.image_size.map(|n| n as i64);
    let mut flat = Vec::new();
    let mut drawn = Drawn {
        images: Tensor::new(),
        failed: 0,
        cg_iterations: 0,
        cg_breakdowns: 0,
        proposals: 0,
        accepted: 0,
        evaluations_per_sample: 0.0,
        seconds_per_sample: 0.0,
        network_share: 0.0,
    };
    let (mut network, mut total) = (0.0, 0.0);
    for first in (0..count).step_by(CPU_BATCH) {
        let slots: Vec<Slot> = (first..(first + CPU_BATCH).min(count))
            .map(|k| Slot { likelihood: likelihood.clone().into(), seed, sample: k as u64 })
            .collect();
        let out = sampler::run(model, &slots, options, &mut Patient).expect("a finished batch");
        network += out.network_seconds;
        total += out.total_seconds;
        drawn.evaluations_per_sample = out.network_evaluations as f64;
        for slot in out.slots {
            drawn.cg_iterations += slot.cg_iterations;
            drawn.cg_breakdowns += slot.cg_breakdowns;
            drawn.proposals += slot.proposals;
            drawn.accepted += slot.accepted;
            match slot.image {
                Ok(image) => flat.extend(image),
                Err(_) => drawn.failed += 1,
            }
        }
    }
    drawn.seconds_per_sample = total / count as f64;
    drawn.network_share = network / total;
    drawn.images = Tensor::from_slice(&flat).reshape([-1, h, w]).to_kind(Kind::Double);
    drawn
}

/// The likelihood of observed exposures in network units.
pub fn likelihood(
    telescope: &Telescope,
    exposures: &[Arc<Exposure>],
    denoiser: &dyn Denoiser,
    flux_scale: f64,
) -> Rc<GaussianLikelihood> {
    let built =
        GaussianLikelihood::new(exposures, &telescope.grid, denoiser, flux_scale, Device::Cpu);
    Rc::new(built.expect("a valid problem"))
}
