//! The runner that samples with libtorch.

use super::catalogue::Catalogue;
use super::job::{JobSpec, Ticket};
use super::memory::result_bytes;
use super::noise;
use super::options::Precision;
use super::posterior::{Held, Posterior, mean_of};
use super::queue::Tally;
use super::worker::{Draw, Runner};
use crate::diagnostics::{Cost, Diagnostics, ExposureDiagnostics};
use crate::error::PosteriorError;
use crate::forward_model::{ExposureOperator, ForwardModel};
use crate::likelihood::Likelihood;
use crate::sampler::{self, BatchOutcome, Observer, Slot, SlotOutcome};
use crate::score::model_file::PriorModel;
use crate::score::noise::file::{NoiseDoubts, NoiseModel};
use ndarray::{Array2, Array3, Array4, Axis, concatenate};
use pellucid_exposure::Exposure;
use serde_json::json;
use sha2::{Digest, Sha256};
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::slice;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::SystemTime;
use tch::{Device, Kind, Tensor};

/// Images that pass the forward model at a time: one takes 36 bytes per sub-pixel, so that four
/// and the operator (52) need less memory than building the operator did.
const PREDICT_BATCH: usize = 4;

/// Models and jobs of one worker, on one device.
pub(super) struct TorchRunner {
    device: Device,
    threads: usize,
    catalogue: Catalogue,
    models: Vec<Cached<PriorModel>>,
    noise_models: Vec<Cached<NoiseModel>>,
    results_held: Arc<AtomicU64>,
}

/// A model and the file it came from.
struct Cached<M> {
    path: PathBuf,
    /// Of a noise model f32.
    precision: Precision,
    /// Size in bytes and time of the last change.
    state: Option<(u64, SystemTime)>,
    model: Rc<M>,
}

/// The model of a file, loaded once per file and precision until the file changes.
fn cached<M>(
    known: &mut Vec<Cached<M>>,
    path: PathBuf,
    precision: Precision,
    load: impl FnOnce(&Path) -> Result<M, PosteriorError>,
) -> Result<Rc<M>, PosteriorError> {
    let state = path.metadata().ok().and_then(|m| Some((m.len(), m.modified().ok()?)));
    if let Some(at) = known.iter().position(|m| m.path == path && m.precision == precision) {
        if state.is_some() && known[at].state == state {
            return Ok(known[at].model.clone());
        }
        known.swap_remove(at);
    }
    let model = Rc::new(load(&path)?);
    known.push(Cached { path, precision, state, model: model.clone() });
    Ok(model)
}

/// A job ready to sample.
pub(super) struct Prepared {
    model: Rc<PriorModel>,
    likelihood: Likelihood,
    /// The noise model with its doubts about each exposure.
    noise_model: Option<(Rc<NoiseModel>, Vec<NoiseDoubts>)>,
    /// The likelihood, for the provenance.
    noise: serde_json::Value,
    flux_scale: f64,
}

impl TorchRunner {
    /// A runner for the calling thread, which will use `threads` threads inside libtorch.
    pub fn on_cpu(catalogue: Catalogue, results_held: Arc<AtomicU64>, threads: usize) -> Self {
        tch::set_num_threads(threads.try_into().unwrap_or(i32::MAX));
        let (models, noise_models) = (Vec::new(), Vec::new());
        Self { device: Device::Cpu, threads, catalogue, models, noise_models, results_held }
    }

    /// The prior of a job.
    fn model(&mut self, spec: &JobSpec) -> Result<Rc<PriorModel>, PosteriorError> {
        let (path, precision) = (self.catalogue.resolve(&spec.prior)?, spec.options.precision);
        cached(&mut self.models, path, precision, |path| {
            PriorModel::load(path, self.device, precision)
        })
    }

    /// The noise model of a job, if it asks for one.
    fn noise_model(&mut self, spec: &JobSpec) -> Result<Option<Rc<NoiseModel>>, PosteriorError> {
        if spec.likelihood == noise::GAUSSIAN {
            return Ok(None);
        }
        let path = self.catalogue.resolve(&spec.likelihood)?;
        cached(&mut self.noise_models, path, Precision::F32, |path| {
            NoiseModel::load(path, self.device)
        })
        .map(Some)
    }

    fn provenance(&self, spec: &JobSpec, prepared: &Prepared) -> serde_json::Value {
        let exposures: Vec<_> = spec
            .exposures
            .iter()
            .map(|e| json!({ "id": e.id, "sha256": hash_data(e), "psf_sha256": hash_psf(e) }))
            .collect();
        json!({
            "pellucid": env!("CARGO_PKG_VERSION"),
            "prior": {
                "name": spec.prior,
                "sha256": prepared.model.sha256,
                "licence": prepared.model.metadata.licence,
            },
            "likelihood": prepared.noise,
            "options": spec.options,
            "flux_scale": prepared.flux_scale,
            "grid": spec.grid,
            "n_samples": spec.n_samples,
            "seed": spec.seed,
            "device": "cpu",
            "threads": self.threads,
            "exposures": exposures,
        })
    }
}

impl Runner for TorchRunner {
    type Prepared = Prepared;

    fn prepare(&mut self, job: &Ticket) -> Result<Prepared, PosteriorError> {
        let spec = &job.spec;
        let model = self.model(spec)?;
        let [ny, nx] = model.metadata.image_size;
        if (ny, nx) != (spec.grid.ny, spec.grid.nx) {
            return Err(PosteriorError::Shape {
                what: "model grid".into(),
                need: format!("[{ny}, {nx}], the size of prior {}", spec.prior),
                got: format!("[{}, {}]", spec.grid.ny, spec.grid.nx),
            });
        }
        job.check_wanted()?;
        let noise_model = self.noise_model(spec)?;
        let flux_scale = match spec.options.flux_scale {
            Some(scale) => scale,
            None => noise::flux_scale(spec, noise_model.as_deref(), &model)?,
        };
        let doubts = match &noise_model {
            Some(noise) => noise::check(spec, noise, &model, flux_scale)?,
            None => Vec::new(),
        };
        job.check_wanted()?;
        let (likelihood, noise) =
            noise::likelihood(spec, noise_model.as_deref(), &model, flux_scale, self.device)?;
        if let Likelihood::Gaussian(gaussian) = &likelihood
            && sampler::is_sharp(&model, gaussian)
        {
            log::warn!(
                "the data are as sharp as the smallest noise level of prior {}, or sharper: the samples fit them, but no exact sweeps correct what the data hardly constrain, and the finest detail there is a Gaussian's; a smaller flux_scale avoids it",
                spec.prior
            );
        }
        if let Likelihood::Slic(slic) = &likelihood
            && sampler::is_gaussian_only(&model, &slic.gaussian)
        {
            log::warn!(
                "the data are within five times of the smallest noise level of prior {}, or sharper: the noise of each pixel is taken for Gaussian with the variance that the noise model expects there; a smaller flux_scale avoids it",
                spec.prior
            );
        }
        let noise_model = noise_model.map(|noise| (noise, doubts));
        Ok(Prepared { model, likelihood, noise_model, noise, flux_scale })
    }

    fn sample(
        &mut self,
        draws: &[Draw<'_, Prepared>],
        observer: &mut dyn Observer,
    ) -> Result<BatchOutcome, PosteriorError> {
        let lead = &draws[0];
        let model = &lead.prepared.model;
        if draws.iter().any(|draw| !Rc::ptr_eq(&draw.prepared.model, model)) {
            let reason = "the file changed between two jobs".into();
            return Err(PosteriorError::Model { path: model.path.clone(), reason });
        }
        let slots: Vec<Slot> = draws
            .iter()
            .map(|draw| Slot {
                likelihood: draw.prepared.likelihood.clone(),
                seed: draw.spec.seed,
                sample: draw.sample as u64,
            })
            .collect();
        sampler::run(model, &slots, &lead.spec.options.sampler_options()?, observer)
    }

    fn finish(
        &mut self,
        job: &Ticket,
        prepared: &Prepared,
        tally: Tally,
    ) -> Result<Posterior, PosteriorError> {
        let spec = &job.spec;
        let cost = cost(&tally, prepared.flux_scale);
        let (samples, sample_errors) =
            images(tally.slots, prepared.flux_scale, (spec.grid.ny, spec.grid.nx))?;
        let mean = mean_of(&samples, &sample_errors).insert_axis(Axis(0)).insert_axis(Axis(0));
        let x = concatenate![Axis(0), samples, mean];
        let (mut judged, mut models, mut used) = (Vec::new(), Vec::new(), Vec::new());
        // One operator at a time: that of a large frame takes more memory than all else.
        for (k, exposure) in spec.exposures.iter().enumerate() {
            let forward =
                ForwardModel::new(slice::from_ref(exposure), &spec.grid, Kind::Float, Device::Cpu)?;
            let operator = &forward.exposures()[0];
            let predicted = predict(&forward, &x, job)?;
            let used_pixels = operator.used();
            let fit = ExposureDiagnostics::new(exposure, used_pixels, &predicted)?;
            judged.push(match &prepared.noise_model {
                Some((noise, doubts)) => {
                    fit.with_noise(exposure, used_pixels, &predicted, noise, doubts[k])?
                }
                None => fit,
            });
            used.push(mask(operator, exposure.pixels.dim()));
            models.push(predicted);
        }
        let diagnostics = Diagnostics::new(judged, samples.view(), cost);
        let data: usize = spec.exposures.iter().map(|e| e.pixels.len()).sum();
        let image = spec.grid.ny * spec.grid.nx;
        let bytes = result_bytes(spec.n_samples as u64, image as u64, data as u64);
        Ok(Posterior {
            samples,
            sample_errors,
            exposures: spec.exposures.clone(),
            grid: spec.grid.clone(),
            diagnostics,
            provenance: self.provenance(spec, prepared),
            models,
            used,
            _held: Held::new(&self.results_held, bytes),
        })
    }
}

fn cost(tally: &Tally, flux_scale: f64) -> Cost {
    let count = |of: fn(&SlotOutcome) -> usize| tally.slots.iter().flatten().map(of).collect();
    Cost {
        flux_scale,
        network_evaluations: tally.network_evaluations,
        network_time_share: tally.network_seconds / tally.total_seconds,
        sampling_seconds: tally.total_seconds,
        cg_iterations: count(|slot| slot.cg_iterations),
        cg_breakdowns: count(|slot| slot.cg_breakdowns),
        sweeps: count(|slot| slot.sweeps),
        noise_evaluations: tally.noise_evaluations,
        noise_time_share: tally.noise_seconds / tally.total_seconds,
        proposals: count(|slot| slot.proposals),
        accepted: count(|slot| slot.accepted),
        step_sizes: tally.slots.iter().flatten().map(|slot| slot.step_size).collect(),
    }
}

/// Samples [n, 1, ny, nx] in flux, NaN where a sample failed, and why it did.
///
/// # Errors
/// [`PosteriorError::Numeric`] when every sample failed.
pub(super) fn images(
    slots: Vec<Option<SlotOutcome>>,
    flux_scale: f64,
    (ny, nx): (usize, usize),
) -> Result<(Array4<f32>, Vec<Option<String>>), PosteriorError> {
    let mut pixels = Vec::with_capacity(slots.len() * ny * nx);
    let mut errors = Vec::with_capacity(slots.len());
    for slot in slots.iter().flatten() {
        match &slot.image {
            Ok(image) if image.len() == ny * nx && image.iter().all(|v| v.is_finite()) => {
                pixels.extend(image.iter().map(|v| (f64::from(*v) * flux_scale) as f32));
                errors.push(None);
            }
            bad => {
                pixels.extend(std::iter::repeat_n(f32::NAN, ny * nx));
                let reason = bad.as_ref().err().cloned();
                errors.push(Some(reason.unwrap_or_else(|| "the sample is not finite".into())));
            }
        }
    }
    if let Some(reason) = errors.iter().flatten().next()
        && errors.iter().all(Option::is_some)
    {
        let what = format!("all {} samples failed", errors.len());
        return Err(PosteriorError::Numeric { what, reason: reason.clone() });
    }
    let samples = Array4::from_shape_vec((errors.len(), 1, ny, nx), pixels);
    Ok((samples.expect("one image was pushed per sample"), errors))
}

/// A x of images [n, 1, H, W] for the first exposure of `forward`: [n, ny, nx].
fn predict(
    forward: &ForwardModel,
    x: &Array4<f32>,
    job: &Ticket,
) -> Result<Array3<f32>, PosteriorError> {
    let mut parts = Vec::new();
    for chunk in x.axis_chunks_iter(Axis(0), PREDICT_BATCH) {
        job.check_wanted()?;
        let shape = chunk.shape().iter().map(|&n| n as i64).collect::<Vec<_>>();
        let values: Vec<f32> = chunk.iter().copied().collect();
        let predicted = forward.apply(&Tensor::from_slice(&values).f_view(&shape[..])?)?;
        parts.push(to_array3(&predicted[0])?);
    }
    let views: Vec<_> = parts.iter().map(|part| part.view()).collect();
    Ok(concatenate(Axis(0), &views).expect("the chunks differ in length only"))
}

/// A tensor [n, y, x] as an array.
pub(super) fn to_array3(tensor: &Tensor) -> Result<Array3<f32>, PosteriorError> {
    let (n, ny, nx) = tensor.size3()?;
    let flat = Vec::<f32>::try_from(tensor.to_kind(Kind::Float).f_reshape([-1])?)?;
    let shape = (n as usize, ny as usize, nx as usize);
    Ok(Array3::from_shape_vec(shape, flat).expect("a tensor has as many values as its shape says"))
}

fn mask(operator: &ExposureOperator, shape: (usize, usize)) -> Array2<bool> {
    let mut mask = Array2::from_elem(shape, false);
    operator.used().iter().for_each(|i| mask[[i / shape.1, i % shape.1]] = true);
    mask
}

fn hash_data(exposure: &Exposure) -> String {
    let mut hash = Sha256::new();
    for values in [&exposure.pixels, &exposure.variance] {
        values.iter().for_each(|v| hash.update(v.to_le_bytes()));
    }
    exposure.good.iter().for_each(|good| hash.update([u8::from(*good)]));
    hex(hash)
}

fn hash_psf(exposure: &Exposure) -> String {
    let mut hash = Sha256::new();
    exposure.kernel().iter().for_each(|v| hash.update(v.to_le_bytes()));
    hex(hash)
}

fn hex(hash: Sha256) -> String {
    hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}
