//! The set as a file.

use std::collections::HashMap;
use std::path::Path;

use ndarray::s;
use pellucid_posterior::score::model_file::{read_tensors, write_tensors};
use tch::{Kind, Tensor};

use super::args::CutoutArgs;
use super::frame::{Frame, rule};
use super::metadata::{CutoutMetadata, FORMAT, Tally};
use super::select::Place;
use super::sharp::SharpRule;
use crate::error::TrainingError;

/// Metadata key of the description.
const KEY: &str = "pellucid";

/// Cutouts of empty sky, with what is known of them.
#[derive(Debug)]
pub struct CutoutSet {
    /// What the set is.
    pub metadata: CutoutMetadata,
    /// Pixels, e-/s, sky subtracted, [n, h, w] f32; 0 where masked.
    pub cutouts: Tensor,
    /// 1 where a pixel has a value, [n, h, w] u8.
    pub mask: Tensor,
    /// Index into the metadata's exposures, [n] i64.
    pub exposure: Tensor,
    /// First pixel (y, x) in that image, [n, 2] i64.
    pub corner: Tensor,
}

impl CutoutSet {
    /// Cuts `places` out of `frames`.
    pub(super) fn cut(frames: &[Frame], places: &[Place], tally: Tally, args: &CutoutArgs) -> Self {
        let (n, size) = (places.len(), args.size);
        let (mut cutouts, mut mask) = (Vec::with_capacity(n * size * size), Vec::new());
        for Place { frame, corner: [y, x] } in places {
            let window = s![*y..y + size, *x..x + size];
            cutouts.extend(frames[*frame].pixels.slice(window).iter().copied());
            mask.extend(frames[*frame].valid.slice(window).iter().map(|v| u8::from(*v)));
        }
        let exposure: Vec<i64> = places.iter().map(|p| p.frame as i64).collect();
        let corner: Vec<i64> = places.iter().flat_map(|p| p.corner).map(|c| c as i64).collect();
        let shape = [n as i64, size as i64, size as i64];
        Self {
            metadata: CutoutMetadata {
                format: FORMAT,
                kind: "cutouts".into(),
                tool: concat!("pellucid-train ", env!("CARGO_PKG_VERSION")).into(),
                instrument: frames[0].instrument.clone(),
                size,
                unit: "e-/s".into(),
                exposures: frames.iter().map(|f| f.facts.clone()).collect(),
                sky: args.sky,
                sky_tile: args.sky_tile,
                flux_cut_e_per_s: args.flux_cut,
                max_masked: args.max_masked,
                overlaps: !args.no_overlap,
                reference: !args.reference.is_empty(),
                sharp_rule: SharpRule::for_psf(args.psf_fwhm),
                source_rule: rule(args),
                seed: args.seed,
                tally,
            },
            cutouts: Tensor::from_slice(&cutouts).reshape(shape),
            mask: Tensor::from_slice(&mask).reshape(shape),
            exposure: Tensor::from_slice(&exposure),
            corner: Tensor::from_slice(&corner).reshape([n as i64, 2]),
        }
    }

    /// Writes the set; the file appears under its name only when it is complete.
    ///
    /// # Errors
    /// [`TrainingError::Posterior`] naming the file.
    pub fn write(&self, path: &Path) -> Result<(), TrainingError> {
        let json = serde_json::to_string(&self.metadata)
            .map_err(|e| set_error(path, format!("description: {e}")))?;
        let tensors = [
            ("cutouts", &self.cutouts),
            ("mask", &self.mask),
            ("exposure", &self.exposure),
            ("corner", &self.corner),
        ];
        let tensors = tensors.map(|(name, t)| (name.to_owned(), t.shallow_clone()));
        Ok(write_tensors(path, HashMap::from([(KEY.to_owned(), json)]), &tensors)?)
    }

    /// Whether the description in a file's metadata is that of a set of cutouts.
    pub fn is_one(metadata: &HashMap<String, String>) -> bool {
        let json = metadata.get(KEY).and_then(|j| serde_json::from_str(j).ok());
        json.is_some_and(|j: serde_json::Value| j["kind"] == "cutouts")
    }

    /// Reads and checks a set.
    ///
    /// # Errors
    /// [`TrainingError::Posterior`] when the file cannot be read; [`TrainingError::CutoutSet`] with
    /// the reason when it is not a set, of an unknown version, or its tensors do not fit its
    /// description or each other.
    pub fn read(path: &Path) -> Result<Self, TrainingError> {
        let fail = |reason: String| set_error(path, reason);
        let (metadata, tensors) = read_tensors(path)?;
        let json = metadata.get(KEY);
        let json = json.ok_or_else(|| fail(format!("the metadata key {KEY:?} is missing")))?;
        let metadata = describe(json).map_err(fail)?;
        let mut tensors: HashMap<String, Tensor> = tensors.into_iter().collect();
        let mut take = |name: &str, kind: Kind, shape: &[i64]| -> Result<Tensor, TrainingError> {
            let tensor = tensors.remove(name).ok_or_else(|| fail(format!("no tensor {name:?}")))?;
            if tensor.kind() != kind || tensor.size() != shape {
                let got = format!("{:?} {:?}", tensor.kind(), tensor.size());
                return Err(fail(format!("tensor {name}: needed {kind:?} {shape:?}, got {got}")));
            }
            Ok(tensor)
        };
        let (n, size) = (metadata.tally.kept as i64, metadata.size as i64);
        let set = Self {
            cutouts: take("cutouts", Kind::Float, &[n, size, size])?,
            mask: take("mask", Kind::Uint8, &[n, size, size])?,
            exposure: take("exposure", Kind::Int64, &[n])?,
            corner: take("corner", Kind::Int64, &[n, 2])?,
            metadata,
        };
        set.check().map_err(fail)?;
        Ok(set)
    }

    /// Values, indices and corners.
    fn check(&self) -> Result<(), String> {
        let all = |t: Tensor| t.all().int64_value(&[]) == 1;
        if !all(self.cutouts.isfinite()) {
            return Err("tensor cutouts: needed finite values, got NaN or infinity".into());
        }
        if !all(self.mask.le(1)) {
            return Err("tensor mask: needed 0 and 1".into());
        }
        let failed = |e: tch::TchError| e.to_string();
        let exposure = Vec::<i64>::try_from(&self.exposure).map_err(failed)?;
        let corner = Vec::<i64>::try_from(self.corner.flatten(0, -1)).map_err(failed)?;
        for (k, (exposure, corner)) in exposure.iter().zip(corner.chunks(2)).enumerate() {
            let image = usize::try_from(*exposure).ok();
            let Some(image) = image.and_then(|i| self.metadata.exposures.get(i)) else {
                let count = self.metadata.exposures.len();
                return Err(format!("cutout {k}: exposure {exposure} of {count}"));
            };
            let inside =
                |c: i64, n: usize| usize::try_from(c).is_ok_and(|c| c + self.metadata.size <= n);
            if !corner.iter().zip(image.shape).all(|(c, n)| inside(*c, n)) {
                return Err(format!("cutout {k}: corner {corner:?} leaves {}", image.label));
            }
        }
        Ok(())
    }
}

fn describe(json: &str) -> Result<CutoutMetadata, String> {
    let value: serde_json::Value =
        serde_json::from_str(json).map_err(|e| format!("metadata {KEY:?}: {e}"))?;
    if value["kind"] != "cutouts" {
        return Err(format!("needed kind \"cutouts\", got {}", value["kind"]));
    }
    // The version first: a later format may not even parse as this one.
    if value["format"] != FORMAT {
        let got = &value["format"];
        return Err(format!("format {got}; this version reads format {FORMAT}"));
    }
    let metadata: CutoutMetadata =
        serde_json::from_value(value).map_err(|e| format!("metadata {KEY:?}: {e}"))?;
    match (metadata.size, metadata.exposures.is_empty()) {
        (1.., false) => Ok(metadata),
        _ => Err("needed cutouts of at least one pixel of at least one exposure".into()),
    }
}

fn set_error(path: &Path, reason: String) -> TrainingError {
    TrainingError::CutoutSet { path: path.into(), reason }
}
