//! Noise known by its score: SLIC (Adam et al. 2023, arXiv 2311.18002, eq. 4), for stacked exposures.
//!
//! With eta = y - A x the likelihood's score is grad_x ln p(y | x) = -A^T s(eta).

use std::cell::RefCell;
use std::fmt;
use std::rc::Rc;
use std::sync::Arc;

use pellucid_exposure::{Exposure, Geometry, ModelGrid};
use tch::{Device, Kind, Tensor};

use super::compress::compress;
use super::effective::{draws, effective};
use super::gaussian::{MAX_OPERATOR_BYTES, matrix};
use super::{GaussianLikelihood, Reference};
use crate::error::PosteriorError;
use crate::score::Denoiser;
use crate::score::noise::NoiseScore;
use crate::score::noise::window::Window;

/// The likelihood of stacked exposures, one noise score each, in network units.
///
/// A network wants complete images. Pixels that are masked or off the model hold white noise of the core's
/// level, blurred like the rest, the same for the whole life of a sample: the score of the used pixels is
/// then that of their density given these, exactly so where noise is independent from pixel to pixel.
/// Their own score is dropped. What the exposure holds there is never read. Of a large frame the network gets what it can
/// see from the used pixels, [`NoiseScore::reach_px`] around them; an exposure smaller than its smallest
/// image gets a border of such pixels.
pub struct SlicLikelihood {
    /// A of the used pixels, [m, H W] f32, e-/s per network unit.
    a: Tensor,
    /// [m] f32, e-/s.
    y: Tensor,
    frames: Vec<Frame>,
    flux_scale: f64,
    /// The likelihood with each pixel's effective Gaussian variance.
    pub gaussian: Rc<GaussianLikelihood>,
    reference: RefCell<Option<(u64, Rc<Reference>)>>,
}

struct Frame {
    shape: [i64; 2],
    used: Tensor,
    hidden: Tensor,
    noise: Rc<dyn NoiseScore>,
    /// (K K^T)_ii, mean over the pixels, for x in e-/s.
    blur: f64,
}

impl fmt::Debug for SlicLikelihood {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let size = self.a.size();
        f.debug_struct("SlicLikelihood").field("operator", &size).finish_non_exhaustive()
    }
}

impl SlicLikelihood {
    /// Builds the operator of `exposures` on `grid`; `noise` has one score an exposure. The exposures'
    /// variances are not used.
    ///
    /// # Units
    /// x is in network units: surface brightness / `flux_scale` (e-/s).
    ///
    /// # Errors
    /// [`PosteriorError::Config`] for another number of scores than of exposures, [`PosteriorError::Exposure`]
    /// from the geometry, [`PosteriorError::Unsupported`] when the operator would not fit in memory,
    /// [`PosteriorError::Torch`] when a factorisation fails, as it does for a score that is not finite.
    pub fn new(
        exposures: &[Arc<Exposure>],
        grid: &ModelGrid,
        denoiser: &dyn Denoiser,
        noise: &[Rc<dyn NoiseScore>],
        flux_scale: f64,
        device: Device,
    ) -> Result<Self, PosteriorError> {
        if noise.len() != exposures.len() {
            return Err(PosteriorError::config("noise scores", exposures.len(), noise.len()));
        }
        let n = grid.ny * grid.nx;
        let (mut rows, mut values, mut core) = (Vec::new(), Vec::new(), Vec::new());
        let mut frames = Vec::new();
        for (exposure, noise) in exposures.iter().zip(noise) {
            let geometry = Geometry::new(exposure, grid)?;
            let used = &geometry.used;
            if (values.len() + used.len()) * n * 4 > MAX_OPERATOR_BYTES {
                let pixels = values.len() + used.len();
                let what = format!("a problem of {pixels} pixels on {n} model pixels");
                return Err(PosteriorError::Unsupported { what });
            }
            let nx = geometry.nx;
            values.extend(used.iter().map(|i| exposure.pixels[[i / nx, i % nx]] as f32));
            core.extend(used.iter().map(|_| noise.core_sigma() as f32));
            let a = matrix(&geometry.dense(&exposure.psf));
            let window = Window::around(used, [geometry.ny, nx], noise.reach_px());
            let mut hidden = vec![true; window.pixels()];
            used.iter().for_each(|&i| hidden[window.place(i)] = false);
            let index = |keep: bool| -> Tensor {
                let at = (0..hidden.len()).filter(|&i| hidden[i] == keep).map(|i| i as i64);
                Tensor::from_slice(&at.collect::<Vec<_>>()).to_device(device)
            };
            frames.push(Frame {
                shape: window.shape.map(|n| n as i64),
                used: index(false),
                hidden: index(true),
                noise: noise.clone(),
                blur: a.square().sum(Kind::Double).double_value(&[]) / used.len() as f64,
            });
            rows.push(a * flux_scale);
        }
        let (a, y) = (Tensor::cat(&rows, 0), Tensor::from_slice(&values));
        drop(rows);
        let core = Tensor::from_slice(&core);
        let [mean, power] = [denoiser.mean(), denoiser.power()].map(|t| t.to_device(Device::Cpu));
        let (small, directions) =
            compress(&(&a / core.unsqueeze(1)), &(&y / &core), &mean, &power)?;
        // The score in units of the core, at the residuals of the approximation's draws.
        let fill = draws(hidden_pixels(&frames), device);
        let level = Tensor::zeros([fill.size()[0]], (Kind::Float, device));
        let white_score = |eta: &Tensor| {
            let eta = (eta * &core).to_kind(Kind::Float).to_device(device);
            let s = score(&frames, &eta, &level, &fill);
            s.to_device(Device::Cpu).to_kind(Kind::Double) * &core
        };
        let white_y = (&y / &core).to_kind(Kind::Double);
        let small = effective(&small, &directions, &white_y, &mean, &power, white_score)?;
        Ok(Self {
            gaussian: Rc::new(GaussianLikelihood::from_whitened(
                small,
                &power,
                values.len(),
                device,
            )),
            a: a.to_device(device),
            y: y.to_device(device),
            frames,
            flux_scale,
            reference: RefCell::default(),
        })
    }

    /// y - A x of the used pixels, [B, m] e-/s.
    pub fn residual(&self, x: &Tensor) -> Tensor {
        &self.y - x.flatten(1, 3).matmul(&self.a.tr())
    }

    /// Number of pixels that networks see and that are not used, in all exposures.
    pub fn hidden_pixels(&self) -> i64 {
        hidden_pixels(&self.frames)
    }

    /// Images that one [`SlicLikelihood::score`] passes through noise networks, a row.
    pub fn exposures(&self) -> usize {
        self.frames.len()
    }

    /// s(eta, r) of the used pixels, [B, m] in 1 / (e-/s).
    ///
    /// # Shapes and units
    /// eta [B, m] e-/s; r [B] network units; fill [B, hidden pixels] standard normal numbers.
    pub fn score(&self, eta: &Tensor, r: &Tensor, fill: &Tensor) -> Tensor {
        score(&self.frames, eta, &(r * self.flux_scale), fill)
    }

    /// A^T s, [B, n].
    pub fn pull(&self, s: &Tensor) -> Tensor {
        s.matmul(&self.a)
    }

    /// The Gaussian approximation of the posterior at noise level `sigma`, kept for the next batch.
    pub(crate) fn reference(
        &self,
        denoiser: &dyn Denoiser,
        sigma: f64,
    ) -> Result<Rc<Reference>, PosteriorError> {
        if let Some((bits, known)) = &*self.reference.borrow()
            && *bits == sigma.to_bits()
        {
            return Ok(known.clone());
        }
        let (mean, power) = (denoiser.mean(), denoiser.power());
        let new = Rc::new(Reference::new(&self.gaussian, mean, power, sigma)?);
        *self.reference.borrow_mut() = Some((sigma.to_bits(), new.clone()));
        Ok(new)
    }
}

fn hidden_pixels(frames: &[Frame]) -> i64 {
    frames.iter().map(|frame| frame.hidden.numel() as i64).sum()
}

/// As [`SlicLikelihood::score`], with r in e-/s.
fn score(frames: &[Frame], eta: &Tensor, r: &Tensor, fill: &Tensor) -> Tensor {
    let (mut at, mut at_hidden) = (0, 0);
    let mut scores = Vec::with_capacity(frames.len());
    for frame in frames {
        let (used, hidden) = (frame.used.numel() as i64, frame.hidden.numel() as i64);
        let core = frame.noise.core_sigma();
        let deviation = (r.square() * frame.blur + core * core).sqrt().unsqueeze(1);
        let inpainted = fill.narrow(1, at_hidden, hidden) * deviation;
        let image = Tensor::zeros([eta.size()[0], used + hidden], (eta.kind(), eta.device()))
            .index_copy(1, &frame.used, &eta.narrow(1, at, used))
            .index_copy(1, &frame.hidden, &inpainted.to_kind(eta.kind()));
        let [ny, nx] = frame.shape;
        let score = frame.noise.score(&image.reshape([-1, ny, nx]), r);
        scores.push(score.flatten(1, 2).index_select(1, &frame.used));
        at += used;
        at_hidden += hidden;
    }
    Tensor::cat(&scores, 1)
}
