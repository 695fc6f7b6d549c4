//! Model files: one safetensors file, whose metadata key `pellucid` holds a JSON description.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use safetensors::tensor::{Dtype, TensorView};
use safetensors::{SafeTensors, serialize};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
pub use tch::Device;
use tch::{Kind, Tensor};

use super::Denoiser;
use super::analytic::{GaussianField, GaussianMixture, checked_power};
use super::edm::UnetDenoiser;
use super::parameters::Parameters;
use super::unet::UnetConfig;
use crate::error::PosteriorError;
use crate::sde::Sde;

/// Version of the metadata this crate reads and writes.
pub const FORMAT: u32 = 1;
/// Prefix of the network's weights in the file; other tensors describe the prior.
const WEIGHTS: &str = "net.";
/// Largest image side a model may declare.
const MAX_SIZE: usize = 4096;

/// What a model file says of itself.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Metadata {
    /// Version of this description, see [`FORMAT`].
    pub format: u32,
    /// `prior` or `noise`.
    pub kind: String,
    /// The network or closed form.
    pub architecture: Architecture,
    /// The SDE the score was trained for.
    pub sde: Sde,
    /// Rows and columns of the model grid.
    pub image_size: [usize; 2],
    /// Bands.
    pub channels: usize,
    /// Pixel scale of the training images, arcsec.
    pub pixel_scale_arcsec: f64,
    /// `surface_brightness`: per data pixel, so that a constant sky maps to the same constant.
    pub flux_convention: String,
    /// Surface brightness (e-/s) that was one network unit in training, when there was one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub flux_scale: Option<f64>,
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
}

/// The network or closed form of a model, with its parameters.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "name", rename_all = "snake_case", deny_unknown_fields)]
pub enum Architecture {
    /// Closed form: tensors `mean` and `power` [1, H, W].
    GaussianField {},
    /// Closed form: tensors `weights` [K], `means` and `power` [K, 1, H, W].
    GaussianMixture {},
    /// The U-Net with EDM preconditioning.
    EdmUnet {
        /// Standard deviation of the training images, network units.
        sigma_d: f64,
        /// Sizes of the net.
        unet: UnetConfig,
    },
}

/// Arithmetic of the network.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Precision {
    /// 32-bit floats.
    #[default]
    F32,
    /// bfloat16 inside the network, 32-bit floats around it.
    Bf16,
}

impl Precision {
    fn kind(self) -> Kind {
        match self {
            Self::F32 => Kind::Float,
            Self::Bf16 => Kind::BFloat16,
        }
    }
}

/// A loaded prior.
pub struct PriorModel {
    /// What the file says of itself.
    pub metadata: Metadata,
    /// The prior's denoiser on its device.
    pub denoiser: Box<dyn Denoiser>,
    /// SHA-256 of the file, hexadecimal.
    pub sha256: String,
    /// The file.
    pub path: PathBuf,
}

impl std::fmt::Debug for PriorModel {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PriorModel").field("path", &self.path).finish_non_exhaustive()
    }
}

impl PriorModel {
    /// Reads and checks a prior.
    ///
    /// # Errors
    /// [`PosteriorError::Io`] when the file cannot be read; [`PosteriorError::Model`] with the
    /// reason when it is truncated, of an unknown version, incomplete, of the wrong shapes, or
    /// holds NaN.
    pub fn load(path: &Path, device: Device, precision: Precision) -> Result<Self, PosteriorError> {
        let (bytes, metadata) = read::<Metadata>(path, "prior")?;
        let in_file = |e: PosteriorError| model_error(path, e.to_string());
        metadata.check_prior().map_err(in_file)?;
        let file =
            SafeTensors::deserialize(&bytes).map_err(|e| model_error(path, e.to_string()))?;
        let denoiser = build(&file, &metadata, device, precision).map_err(in_file)?;
        let sha256 = hex(&Sha256::digest(&bytes));
        Ok(Self { metadata, denoiser, sha256, path: path.to_owned() })
    }

    /// Reads the description alone.
    ///
    /// # Errors
    /// As [`PriorModel::load`], less the tensors.
    pub fn read_metadata(path: &Path) -> Result<Metadata, PosteriorError> {
        read(path, "prior").map(|(_, metadata)| metadata)
    }
}

impl Metadata {
    fn check_prior(&self) -> Result<(), PosteriorError> {
        if self.channels != 1 {
            return Err(PosteriorError::config("channels", 1, self.channels));
        }
        if self.image_size.iter().any(|n| !(1..=MAX_SIZE).contains(n)) {
            let need = format!("1 to {MAX_SIZE} rows and columns");
            return Err(PosteriorError::config(
                "image_size",
                need,
                format!("{:?}", self.image_size),
            ));
        }
        if !(self.pixel_scale_arcsec > 0.0 && self.pixel_scale_arcsec.is_finite()) {
            let got = self.pixel_scale_arcsec;
            return Err(PosteriorError::config("pixel_scale_arcsec", "a positive number", got));
        }
        if self.flux_convention != "surface_brightness" {
            let got = &self.flux_convention;
            return Err(PosteriorError::config("flux_convention", "surface_brightness", got));
        }
        self.sde.validate()
    }
}

fn build(
    file: &SafeTensors<'_>,
    metadata: &Metadata,
    device: Device,
    precision: Precision,
) -> Result<Box<dyn Denoiser>, PosteriorError> {
    let [h, w] = metadata.image_size.map(|n| n as i64);
    let fetch = |name: &str, shape: &[i64]| fetch(file, name, shape);
    Ok(match &metadata.architecture {
        Architecture::GaussianField {} => {
            let (mean, power) = (fetch("mean", &[1, h, w])?, fetch("power", &[1, h, w])?);
            Box::new(GaussianField::new(&mean.squeeze_dim(0), &power.squeeze_dim(0), device)?)
        }
        Architecture::GaussianMixture {} => Box::new(GaussianMixture::new(
            &fetch("weights", &[-1])?,
            &fetch("means", &[-1, 1, h, w])?.squeeze_dim(1),
            &fetch("power", &[-1, 1, h, w])?.squeeze_dim(1),
            device,
        )?),
        Architecture::EdmUnet { sigma_d, unet } => {
            unet.validate(metadata.image_size)?;
            if !(*sigma_d > 0.0 && sigma_d.is_finite()) {
                return Err(PosteriorError::config("sigma_d", "a positive number", sigma_d));
            }
            let parameters = network_weights(file)?;
            parameters.check(&unet.layout())?;
            Box::new(UnetDenoiser {
                config: unet.clone(),
                parameters: parameters.to(device, precision.kind()),
                sigma_d: *sigma_d,
                mean: fetch("mean", &[1, h, w])?
                    .squeeze_dim(0)
                    .to_device(device)
                    .to_kind(Kind::Float),
                power: checked_power(&fetch("power", &[1, h, w])?.squeeze_dim(0), device)?,
            })
        }
    })
}

/// A finite tensor of a model; -1 in `shape` leaves that size free.
pub(super) fn fetch(
    file: &SafeTensors<'_>,
    name: &str,
    shape: &[i64],
) -> Result<Tensor, PosteriorError> {
    let fail =
        |need: String, got: String| Err(PosteriorError::Weights { name: name.into(), need, got });
    let need = || format!("shape {shape:?}");
    let Ok(view) = file.tensor(name) else {
        return fail(need(), "no such tensor".into());
    };
    let tensor = to_weight(name, &view)?;
    let fits = tensor.dim() == shape.len()
        && tensor.size().iter().zip(shape).all(|(got, need)| *need == -1 || got == need);
    if !fits {
        return fail(need(), format!("shape {:?}", tensor.size()));
    }
    // In f32, as which a model computes: an f64 may be finite where that is not.
    if tensor.to_kind(Kind::Float).isfinite().all().int64_value(&[]) == 0 {
        return fail("values finite in f32".into(), "NaN, infinity or beyond f32".into());
    }
    Ok(tensor)
}

/// The network's weights, without prefix, unchecked.
pub(super) fn network_weights(file: &SafeTensors<'_>) -> Result<Parameters, PosteriorError> {
    let mut parameters = Parameters::default();
    for (name, view) in file.tensors() {
        if let Some(short) = name.strip_prefix(WEIGHTS) {
            parameters.insert(short, to_weight(&name, &view)?);
        }
    }
    Ok(parameters)
}

/// Weights under the names they have in a file.
pub(super) fn prefixed(weights: &Parameters) -> NamedTensors {
    weights.iter().map(|(name, t)| (format!("{WEIGHTS}{name}"), t.shallow_clone())).collect()
}

/// Writes a U-Net prior: weights (without prefix), mean and power [H, W], description.
///
/// The file appears under its name only when it is complete.
///
/// # Errors
/// [`PosteriorError::Io`] or [`PosteriorError::Model`] naming the file.
pub fn write_unet(
    path: &Path,
    metadata: &Metadata,
    weights: &Parameters,
    mean: &Tensor,
    power: &Tensor,
) -> Result<(), PosteriorError> {
    let mut tensors = prefixed(weights);
    tensors.push(("mean".into(), mean.unsqueeze(0)));
    tensors.push(("power".into(), power.unsqueeze(0)));
    write(path, metadata, &tensors)
}

/// Writes a model file of any kind and architecture.
///
/// # Errors
/// As [`write_unet`].
pub fn write<M: Serialize>(
    path: &Path,
    metadata: &M,
    tensors: &[(String, Tensor)],
) -> Result<(), PosteriorError> {
    let json = serde_json::to_string(metadata).map_err(|e| model_error(path, e.to_string()))?;
    write_tensors(path, HashMap::from([("pellucid".to_owned(), json)]), tensors)
}

/// Writes named tensors with string metadata, atomically. f64, i64 and u8 stay what they are, all
/// else is f32 on disk.
///
/// # Errors
/// As [`write_unet`].
pub fn write_tensors(
    path: &Path,
    metadata: HashMap<String, String>,
    tensors: &[(String, Tensor)],
) -> Result<(), PosteriorError> {
    let mut raw = Vec::with_capacity(tensors.len());
    for (name, tensor) in tensors {
        let tensor = tensor.detach().to_device(Device::Cpu).contiguous();
        let shape: Vec<usize> = tensor.size().iter().map(|&n| n as usize).collect();
        let flat = tensor.flatten(0, -1);
        let (dtype, bytes): (_, Vec<u8>) = match tensor.kind() {
            Kind::Double => {
                let values = Vec::<f64>::try_from(flat)?;
                (Dtype::F64, values.iter().flat_map(|v| v.to_le_bytes()).collect())
            }
            Kind::Int64 => {
                let values = Vec::<i64>::try_from(flat)?;
                (Dtype::I64, values.iter().flat_map(|v| v.to_le_bytes()).collect())
            }
            Kind::Uint8 => (Dtype::U8, Vec::<u8>::try_from(flat)?),
            _ => {
                let values = Vec::<f32>::try_from(flat.to_kind(Kind::Float))?;
                (Dtype::F32, values.iter().flat_map(|v| v.to_le_bytes()).collect())
            }
        };
        raw.push((name.as_str(), dtype, shape, bytes));
    }
    let views = raw
        .iter()
        .map(|(name, dtype, shape, bytes)| {
            TensorView::new(*dtype, shape.clone(), bytes).map(|view| (*name, view))
        })
        .collect::<Result<Vec<_>, _>>()
        .map_err(|e| model_error(path, e.to_string()))?;
    let bytes = serialize(views, Some(metadata)).map_err(|e| model_error(path, e.to_string()))?;
    let mut partial = path.as_os_str().to_owned();
    partial.push(".partial");
    let partial = PathBuf::from(partial);
    let io = |source| PosteriorError::Io { path: path.to_owned(), source };
    std::fs::write(&partial, bytes).map_err(io)?;
    std::fs::rename(&partial, path).map_err(io)
}

/// Tensors with their names, in the order of the file.
pub type NamedTensors = Vec<(String, Tensor)>;

/// Reads named tensors and string metadata written by [`write_tensors`].
///
/// # Errors
/// As [`PriorModel::load`].
pub fn read_tensors(
    path: &Path,
) -> Result<(HashMap<String, String>, NamedTensors), PosteriorError> {
    let io = |source| PosteriorError::Io { path: path.to_owned(), source };
    let bytes = std::fs::read(path).map_err(io)?;
    let fail = |e: safetensors::SafeTensorError| model_error(path, e.to_string());
    let (_, header) = SafeTensors::read_metadata(&bytes).map_err(fail)?;
    let file = SafeTensors::deserialize(&bytes).map_err(fail)?;
    let mut tensors = Vec::new();
    for (name, view) in file.tensors() {
        let tensor = to_tensor(&name, &view)?;
        tensors.push((name, tensor));
    }
    Ok((header.metadata().clone().unwrap_or_default(), tensors))
}

/// The bytes and the description of a model of this `kind`.
pub(super) fn read<M: DeserializeOwned>(
    path: &Path,
    kind: &str,
) -> Result<(Vec<u8>, M), PosteriorError> {
    let io = |source| PosteriorError::Io { path: path.to_owned(), source };
    let bytes = std::fs::read(path).map_err(io)?;
    let (_, header) = SafeTensors::read_metadata(&bytes)
        .map_err(|e| model_error(path, format!("not a complete safetensors file: {e}")))?;
    let json = header
        .metadata()
        .as_ref()
        .and_then(|m| m.get("pellucid"))
        .ok_or_else(|| model_error(path, "the metadata key \"pellucid\" is missing".into()))?;
    // Version and kind first: another may not even parse as this one.
    #[derive(Deserialize)]
    struct Version {
        format: u32,
        kind: String,
    }
    let version: Version = serde_json::from_str(json)
        .map_err(|e| model_error(path, format!("metadata \"pellucid\": {e}")))?;
    if version.format != FORMAT {
        let got = version.format;
        return Err(model_error(path, format!("format {got}; this version reads format {FORMAT}")));
    }
    if version.kind != kind {
        return Err(model_error(path, format!("kind: need {kind}, got {}", version.kind)));
    }
    let metadata = serde_json::from_str(json)
        .map_err(|e| model_error(path, format!("metadata \"pellucid\": {e}")))?;
    Ok((bytes, metadata))
}

/// A weight or parameter of a model.
fn to_weight(name: &str, view: &TensorView<'_>) -> Result<Tensor, PosteriorError> {
    match view.dtype() {
        Dtype::F32 | Dtype::F64 => to_tensor(name, view),
        other => Err(wrong_type(name, "f32 or f64", other)),
    }
}

fn to_tensor(name: &str, view: &TensorView<'_>) -> Result<Tensor, PosteriorError> {
    // An empty tensor may have sides whose product is beyond any integer.
    let shape: Option<Vec<i64>> = view.shape().iter().map(|&n| i64::try_from(n).ok()).collect();
    let shape =
        shape.filter(|s| s.iter().try_fold(1_i64, |n, side| n.checked_mul(*side)).is_some());
    let Some(shape) = shape else {
        let (need, got) = ("a shape that fits an i64".into(), format!("shape {:?}", view.shape()));
        return Err(PosteriorError::Weights { name: name.into(), need, got });
    };
    let kind = match view.dtype() {
        Dtype::F32 => Kind::Float,
        Dtype::F64 => Kind::Double,
        Dtype::I64 => Kind::Int64,
        Dtype::U8 => Kind::Uint8,
        other => return Err(wrong_type(name, "f32, f64, i64 or u8", other)),
    };
    Ok(Tensor::f_from_data_size(view.data(), &shape, kind)?)
}

fn wrong_type(name: &str, need: &str, got: Dtype) -> PosteriorError {
    PosteriorError::Weights { name: name.into(), need: need.into(), got: format!("{got:?}") }
}

pub(super) fn model_error(path: &Path, reason: String) -> PosteriorError {
    PosteriorError::Model { path: path.to_owned(), reason }
}

pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}
