//! Noise models on disk, and whether one fits an exposure.

use std::path::{Path, PathBuf};
use std::rc::Rc;

use safetensors::SafeTensors;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use tch::{Device, Kind, Tensor};

use super::NoiseScore;
use super::learned::{Estimate, LearnedNoise, Limits};
use super::net::NoiseNetConfig;
use super::reference::NoiseReference;
use super::rows::ForwardRows;
use super::stationary::Autocovariance;
use crate::error::PosteriorError;
use crate::score::model_file::{
    FORMAT, fetch, hex, model_error, network_weights, prefixed, read, write,
};
use crate::score::parameters::Parameters;

/// Largest relative difference of two pixel scales that count as one.
const SCALE_TOLERANCE: f64 = 0.02;
/// Share by which an exposure time may exceed the range of training: 5 % of the photon noise.
const TIME_TOLERANCE: f64 = 0.1;
/// Largest ||A A^T - K K^T|| / ||K K^T|| over the lags of the kernel.
pub const KERNEL_TOLERANCE: f64 = 0.1;

/// Factor by which the errors of an exposure's faint pixels may differ from the noise model's core: beyond it the
/// noise is not the one of training. Errors of real exposures, of a slightly other sky or made by a drizzle, are off by
/// less; twice the exposure time makes 1.4.
pub const ERROR_TOLERANCE: f64 = 1.5;

/// What a noise model says of itself.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct NoiseMetadata {
    /// Version of this description, see [`FORMAT`].
    pub format: u32,
    /// `noise`.
    pub kind: String,
    /// The network or closed form.
    pub architecture: NoiseArchitecture,
    /// INSTRUME of the exposures; none: any.
    pub instrument: Option<String>,
    /// DETECTOR.
    pub detector: Option<String>,
    /// FILTER.
    pub filter: Option<String>,
    /// Shortest and longest exposure, seconds.
    pub exposure_time_s: Option<[f64; 2]>,
    /// Pixel scale of the exposures.
    pub pixel_scale_data_arcsec: f64,
    /// Pixel scale of the model images that the noise was perturbed with.
    pub pixel_scale_model_arcsec: f64,
    /// `surface_brightness` or `per_pixel`.
    pub flux_convention: String,
    /// `e-/s`.
    pub unit: String,
    /// Standard deviation of the noise's core, e-/s.
    pub core_sigma_e_per_s: f64,
    /// Levels r = sigma / mu of training, from 0 to this, e-/s: any SDE's.
    pub largest_level_e_per_s: f64,
    /// Largest white perturbation of training, e-/s: noise is drawn from there.
    pub largest_white_e_per_s: f64,
    /// The PSF of the forward model, with its hash.
    pub psf: String,
    /// Licence of the weights.
    pub licence: String,
    /// The training set, with its hash.
    pub trained_on: String,
    /// Optimiser steps.
    #[serde(default)]
    pub training_steps: u64,
    /// Images seen in training.
    #[serde(default)]
    pub training_images: u64,
    /// What held-out noise looks like; files from before have none, and residuals are not checked against them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub residual_reference: Option<NoiseReference>,
}

/// The network or closed form of a noise model.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "name", rename_all = "snake_case", deny_unknown_fields)]
pub enum NoiseArchitecture {
    /// Closed form: stationary Gaussian noise.
    StationaryGaussian {},
    /// The whitened U-Net.
    WhitenedUnet {
        /// Sizes of the net.
        net: NoiseNetConfig,
    },
}

/// A loaded noise model.
pub struct NoiseModel {
    /// What the file says of itself.
    pub metadata: NoiseMetadata,
    /// The score on its device.
    pub net: Rc<dyn NoiseScore>,
    /// A A^T of training.
    pub forward: Autocovariance,
    /// SHA-256 of the file, hexadecimal.
    pub sha256: String,
    /// The file.
    pub path: PathBuf,
}

impl std::fmt::Debug for NoiseModel {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("NoiseModel").field("path", &self.path).finish_non_exhaustive()
    }
}

/// The exposure, and the levels, that a noise model is wanted for.
#[derive(Clone, Copy, Debug)]
pub struct NoiseUse<'a> {
    /// INSTRUME; none where the host does not know: then it is not compared.
    pub instrument: Option<&'a str>,
    /// DETECTOR, likewise.
    pub detector: Option<&'a str>,
    /// FILTER, likewise.
    pub filter: Option<&'a str>,
    /// Pixel scale of the exposure.
    pub pixel_scale_arcsec: f64,
    /// Unit of its pixels.
    pub unit: &'a str,
    /// `surface_brightness` or `per_pixel`.
    pub flux_convention: &'a str,
    /// Exposure time, seconds; none where the host does not know.
    pub exposure_time_s: Option<f64>,
    /// Standard deviation, e-/s, that the exposure gives its faint pixels; none where it says nothing.
    pub faint_error_e_per_s: Option<f64>,
    /// Its A A^T.
    pub forward: &'a ForwardRows,
    /// Largest level sigma / mu that the sampler will ask for, e-/s.
    pub largest_level_e_per_s: f64,
}

/// What may be wrong with a noise model that fits by all else.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct NoiseDoubts {
    /// The exposure time lies outside of the range of training.
    pub exposure_time: bool,
    /// The exposure's errors differ from the noise of training by more than [`ERROR_TOLERANCE`].
    pub error_level: bool,
    /// The exposure does not show enough of its A A^T to compare it.
    pub forward_unseen: bool,
    /// The model is for something else, and the job accepted that.
    pub accepted_mismatch: bool,
}

impl NoiseModel {
    /// Reads and checks a noise model.
    ///
    /// # Errors
    /// [`PosteriorError::Io`] when the file cannot be read; [`PosteriorError::Model`] with the reason when it is
    /// truncated, no noise model, of an unknown version, incomplete, of the wrong shapes, or holds NaN.
    pub fn load(path: &Path, device: Device) -> Result<Self, PosteriorError> {
        let (metadata, score, sha256) = load_learned(path, device)?;
        let lags = score.forward().lags();
        let forward = Autocovariance::new("forward", lags)?;
        Ok(Self { metadata, net: Rc::new(score), forward, sha256, path: path.to_owned() })
    }

    /// What a file says of itself, without its weights.
    ///
    /// # Errors
    /// As [`NoiseModel::load`], weights aside.
    pub fn read_metadata(path: &Path) -> Result<NoiseMetadata, PosteriorError> {
        read(path, "noise").map(|(_, metadata)| metadata)
    }

    /// Whether the model is for this exposure.
    ///
    /// A A^T may differ from the model's by [`KERNEL_TOLERANCE`], pixel scales by 2 %, exposure times from their
    /// range by 10 %, the errors of faint pixels by [`ERROR_TOLERANCE`]; what lies beyond these last two is a doubt and
    /// no error: a residual will show it, and errors of exposures are often wrong themselves. An A A^T that the exposure
    /// does not show is a doubt, too.
    ///
    /// # Errors
    /// [`PosteriorError::Config`] naming the first difference, what the model needs and what it got.
    pub fn check(&self, wanted: &NoiseUse<'_>) -> Result<NoiseDoubts, PosteriorError> {
        let m = &self.metadata;
        let fail = |what: &str, need: String, got: String| {
            let what = format!("noise model {}: {what}", self.path.display());
            Err(PosteriorError::config(what, need, got))
        };
        let names = [
            ("instrument", &m.instrument, wanted.instrument),
            ("detector", &m.detector, wanted.detector),
            ("filter", &m.filter, wanted.filter),
        ];
        for (what, need, got) in names {
            if let (Some(need), Some(got)) = (need, got)
                && !need.eq_ignore_ascii_case(got)
            {
                return fail(what, need.clone(), got.into());
            }
        }
        let (need, got) = (m.pixel_scale_data_arcsec, wanted.pixel_scale_arcsec);
        // Asked this way round, NaN fails, here and below.
        let same = (got / need - 1.0).abs() <= SCALE_TOLERANCE;
        if !same {
            return fail("pixel scale of the exposure, arcsec", need.to_string(), got.to_string());
        }
        if m.unit != wanted.unit {
            return fail("unit", m.unit.clone(), wanted.unit.into());
        }
        if m.flux_convention != wanted.flux_convention {
            return fail(
                "flux convention",
                m.flux_convention.clone(),
                wanted.flux_convention.into(),
            );
        }
        let (need, got) = (m.largest_level_e_per_s, wanted.largest_level_e_per_s);
        let covered = got <= need * (1.0 + 1e-6);
        if !covered {
            return fail("largest noise level, e-/s", format!("0 to {need}"), got.to_string());
        }
        let difference = wanted.forward.difference(&self.forward);
        if let Some(difference) = difference
            && (difference > KERNEL_TOLERANCE || difference.is_nan())
        {
            let need = format!("A A^T within {KERNEL_TOLERANCE} of that of training");
            return fail(
                "PSF and model pixel scale",
                need,
                format!("a difference of {difference:.3}"),
            );
        }
        let outside = |[a, b]: [f64; 2], time: f64| {
            time < a / (1.0 + TIME_TOLERANCE) || time > b * (1.0 + TIME_TOLERANCE)
        };
        let times = m.exposure_time_s.zip(wanted.exposure_time_s);
        let off = |sigma: f64| {
            let ratio = sigma / m.core_sigma_e_per_s;
            !(1.0 / ERROR_TOLERANCE..=ERROR_TOLERANCE).contains(&ratio)
        };
        Ok(NoiseDoubts {
            exposure_time: times.is_some_and(|(range, time)| outside(range, time)),
            error_level: wanted.faint_error_e_per_s.is_some_and(off),
            forward_unseen: difference.is_none(),
            accepted_mismatch: false,
        })
    }
}

/// As [`NoiseModel::load`], with the score by its type; for the tools.
///
/// # Errors
/// As [`NoiseModel::load`].
pub fn load_learned(
    path: &Path,
    device: Device,
) -> Result<(NoiseMetadata, LearnedNoise, String), PosteriorError> {
    let (bytes, metadata) = read::<NoiseMetadata>(path, "noise")?;
    let in_file = |e: PosteriorError| model_error(path, e.to_string());
    let file = SafeTensors::deserialize(&bytes).map_err(|e| model_error(path, e.to_string()))?;
    metadata.validate().map_err(in_file)?;
    let score = build(&file, &metadata, device).map_err(in_file)?;
    Ok((metadata, score, hex(&Sha256::digest(&bytes))))
}

impl NoiseMetadata {
    fn validate(&self) -> Result<(), PosteriorError> {
        let numbers = [
            ("pixel_scale_data_arcsec", self.pixel_scale_data_arcsec),
            ("pixel_scale_model_arcsec", self.pixel_scale_model_arcsec),
            ("core_sigma_e_per_s", self.core_sigma_e_per_s),
            ("largest_level_e_per_s", self.largest_level_e_per_s),
            ("largest_white_e_per_s", self.largest_white_e_per_s),
        ];
        for (what, got) in numbers {
            if !(got > 0.0 && got.is_finite()) {
                return Err(PosteriorError::config(what, "a positive number", got));
            }
        }
        if self.unit != "e-/s" {
            return Err(PosteriorError::config("unit", "e-/s", &self.unit));
        }
        self.residual_reference.as_ref().map_or(Ok(()), NoiseReference::validate)
    }
}

fn build(
    file: &SafeTensors<'_>,
    metadata: &NoiseMetadata,
    device: Device,
) -> Result<LearnedNoise, PosteriorError> {
    let covariance = |name: &str| Autocovariance::new(name, &fetch(file, name, &[-1, -1])?);
    let (core, forward) = (covariance("core")?, covariance("forward")?);
    let (need, got) = (core.variance().sqrt(), metadata.core_sigma_e_per_s);
    if (got / need - 1.0).abs() > 1e-6 {
        let need = format!("{need}, the root of tensor core's middle");
        return Err(PosteriorError::config("core_sigma_e_per_s", need, got));
    }
    let estimate = match &metadata.architecture {
        NoiseArchitecture::StationaryGaussian {} => Estimate::Gaussian,
        NoiseArchitecture::WhitenedUnet { net } => {
            net.validate()?;
            let parameters = network_weights(file)?;
            parameters.check(&net.layout())?;
            Estimate::Net(net.clone(), parameters.to(device, Kind::Float))
        }
    };
    let limits =
        Limits { r: metadata.largest_level_e_per_s, white: metadata.largest_white_e_per_s };
    Ok(LearnedNoise::new(estimate, core, forward, limits, device))
}

/// Writes a noise model; the file appears under its name only when it is complete.
///
/// # Errors
/// [`PosteriorError::Io`] or [`PosteriorError::Model`] naming the file.
pub fn write_noise(
    path: &Path,
    metadata: &NoiseMetadata,
    weights: &Parameters,
    core: &Autocovariance,
    forward: &Autocovariance,
) -> Result<(), PosteriorError> {
    debug_assert_eq!(metadata.format, FORMAT);
    let mut tensors: Vec<(String, Tensor)> = prefixed(weights);
    tensors.push(("core".into(), core.lags().shallow_clone()));
    tensors.push(("forward".into(), forward.lags().shallow_clone()));
    write(path, metadata, &tensors)
}
