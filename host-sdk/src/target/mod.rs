//! From a target's description to its product, in stages that a night of many targets overlaps.
//!
//! | stage | from, to | needs |
//! |---|---|---|
//! | [`Target::open`] | a description, opened files | disk |
//! | [`Opened::cut`] | stamps on a model grid ([`Cut`]) | disk; of the engine only the prior's size and scale |
//! | [`Cut::hand_over`] | exposures in the plugin ([`Ready`]) | engine |
//! | [`Ready::submit`] | a job ([`Submitted`]) | engine |
//! | [`Submitted::product`] | a [`Product`](crate::product::Product) to write | engine |
//!
//! `pellucid sample` walks one target through them; `pellucid night` keeps several in flight.

mod finish;
mod prior;
mod read;
mod submit;

use crate::fits::FitsAddress;
use crate::input::{ExposureOptions, NoiseCorrelation, PsfOptions, SkyLevel};
use crate::sky::SkyPosition;

pub use prior::{find_prior, model_file};
pub use read::{Cut, CutExposure, Opened};
pub use submit::{Ready, Submitted};

/// The name of the likelihood without a noise model.
pub const GAUSSIAN: &str = "gaussian";

/// What is to be sampled, and how: the options of `pellucid sample`, under their names.
#[derive(Debug, Clone, PartialEq)]
pub struct Target {
    /// Exposures of one galaxy.
    pub exposures: Vec<FitsAddress>,
    /// Noise rms of every pixel, in the file's unit, instead of an ERR extension.
    pub sigma: Option<f64>,
    /// Effective exposure time, s: adds the photon noise of the source to a constant noise rms.
    pub photon_noise_s: Option<f64>,
    /// The file's unit instead of BUNIT.
    pub unit: Option<String>,
    /// Pixels were multiplied by the pixel area map.
    pub pixel_area_corrected: bool,
    /// DQ bits that exclude a pixel.
    pub dq_bad_bits: Option<u32>,
    /// Sky to subtract.
    pub sky: SkyLevel,
    /// Pixel scale of images without a WCS, arcsec.
    pub pixel_scale_data_arcsec: Option<f64>,
    /// Side of the cutout around the target, pixels, instead of those that see the model.
    pub cutout: Option<usize>,
    /// PSF files, images or detector grids: one for all exposures or one for each.
    pub psf: Vec<FitsAddress>,
    /// How they are to be read.
    pub psf_options: PsfOptions,
    /// A prior's name or file.
    pub prior: String,
    /// [`GAUSSIAN`], or a noise model's name or file.
    pub noise: String,
    /// Use the noise model even where it was trained for something else.
    pub accept_noise_mismatch: bool,
    /// Correlation or covariance of the noise.
    pub noise_correlation: Option<FitsAddress>,
    /// The model's centre; `None`: the exposures' common centre.
    pub position: Option<SkyPosition>,
    /// Pixel scale of the model, arcsec; `None`: the prior's.
    pub pixel_scale_arcsec: Option<f64>,
    /// Side of the model, pixels; `None`: the prior's.
    pub size: Option<usize>,
    /// e-/s per detector pixel of one network unit; `None`: from the data.
    pub flux_scale: Option<f64>,
    /// How many samples.
    pub samples: usize,
    /// Seed.
    pub seed: u64,
    /// `calibrated`, `convolved` or `smc`; `None`: the plugin's choice.
    pub sampler: Option<String>,
    /// Noise levels of the guided stage.
    pub steps: Option<usize>,
    /// Split-Gibbs sweeps.
    pub sweeps: Option<usize>,
    /// Hamiltonian trajectories of a sample with a noise model.
    pub trajectories: Option<usize>,
    /// Leapfrog steps of a trajectory.
    pub leapfrog_steps: Option<usize>,
    /// `f32` or `bf16`.
    pub precision: Option<String>,
}

impl Target {
    /// 32 samples of seed 0 under Gaussian noise, everything else as files, prior and plugin say.
    pub fn new(
        exposures: Vec<FitsAddress>,
        psf: Vec<FitsAddress>,
        prior: impl Into<String>,
    ) -> Self {
        Self {
            exposures,
            sigma: None,
            photon_noise_s: None,
            unit: None,
            pixel_area_corrected: false,
            dq_bad_bits: None,
            sky: SkyLevel::None,
            pixel_scale_data_arcsec: None,
            cutout: None,
            psf,
            psf_options: PsfOptions::default(),
            prior: prior.into(),
            noise: GAUSSIAN.into(),
            accept_noise_mismatch: false,
            noise_correlation: None,
            position: None,
            pixel_scale_arcsec: None,
            size: None,
            flux_scale: None,
            samples: 32,
            seed: 0,
            sampler: None,
            steps: None,
            sweeps: None,
            trajectories: None,
            leapfrog_steps: None,
            precision: None,
        }
    }

    fn exposure_options(&self, correlation: Option<&NoiseCorrelation>) -> ExposureOptions {
        ExposureOptions {
            sigma: self.sigma,
            fallback_sigma: correlation.and_then(|c| c.sigma),
            photon_noise_s: self.photon_noise_s,
            unit: self.unit.clone(),
            pixel_area_corrected: self.pixel_area_corrected.then_some(true),
            bad_bits: self.dq_bad_bits,
            pixel_scale_arcsec: self.pixel_scale_data_arcsec,
            sky: self.sky,
            target: self.position,
        }
    }
}
