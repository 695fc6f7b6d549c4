//! `pellucid-train noise`: score models of detector noise (SLIC) by denoising score matching.

mod args;
mod batch;
mod core;
pub mod quality;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Instant;

use pellucid_exposure::Psf;
use pellucid_host::input::{PsfImage, PsfOptions, sha256_file};
use pellucid_posterior::PosteriorError;
use pellucid_posterior::rng::SampleRng;
use pellucid_posterior::score::model_file::FORMAT;
use pellucid_posterior::score::noise::aligned::aligned;
use pellucid_posterior::score::noise::file::{NoiseArchitecture, NoiseMetadata, write_noise};
use pellucid_posterior::score::noise::learned::{
    BRIGHTEST, Estimate, LearnedNoise, Limits, Perturbation,
};
use pellucid_posterior::score::noise::net::{NoiseNetConfig, SMALLEST_SIDE};
use pellucid_posterior::score::noise::reference::NoiseReference;
use pellucid_posterior::score::parameters::Parameters;
use serde_json::json;
use tch::{Device, Kind, Tensor, no_grad};

pub use args::NoiseArgs;
use batch::{Levels, NoiseBank, NoiseBatch, per_pair};

use crate::adam::Adam;
use crate::checkpoint;
use crate::cutouts::CutoutSet;
use crate::error::TrainingError;
use crate::journal::{Journal, LOG_EVERY, Window, progress};
use crate::schedule::{Schedule, average_decay, check_options, time_limit};
use crate::sheet;

/// Lags of A A^T, exposure pixels each way.
const KERNEL_LAGS: usize = 12;
/// Largest white perturbation by the brightest pixel: what is left of the noise there is 5 % of the variance.
const AMPLE: f64 = 2.0;
/// Images in a row of the contact sheet, and steps of the reverse SDE that draws them.
const SHEET_COLUMNS: usize = 8;
const SHEET_STEPS: usize = 200;
/// Pairs of the validation loss.
const VALIDATION: usize = 128;

/// A noise model under training.
struct Run {
    args: NoiseArgs,
    config: NoiseNetConfig,
    metadata: NoiseMetadata,
    score: LearnedNoise,
    bank: NoiseBank,
    held_out: Tensor,
    levels: Levels,
    adam: Adam,
    journal: Journal,
}

/// Runs the command.
///
/// # Errors
/// [`TrainingError`] naming what failed; the last checkpoint stays usable.
pub fn run(args: NoiseArgs) -> Result<(), TrainingError> {
    let set = CutoutSet::read(&args.cutouts)?;
    check(&args, &set)?;
    let config =
        NoiseNetConfig { widths: args.widths.clone(), blocks: args.blocks, ..Default::default() };
    config.validate()?;
    std::fs::create_dir_all(&args.run).map_err(TrainingError::io(&args.run))?;

    let n = set.cutouts.size()[0];
    let held = (n / 10).max(1);
    let valid = set.mask.to_kind(Kind::Float);
    let core =
        core::measure(&set.cutouts.narrow(0, 0, n - held), &set.mask.narrow(0, 0, n - held))?;
    let image = PsfImage::read(
        &args.psf,
        PsfOptions {
            oversample: args.psf_oversample,
            pixel_integrated: args.psf_pixel_integrated.then_some(true),
            centre: args.psf_centre,
        },
    )?;
    let psf = Psf::new(image.kernel.clone(), image.oversample, image.pixel_integrated);
    let data_scale = args.pixel_scale_data.unwrap_or(set.metadata.instrument.pixel_scale_arcsec);
    let psf = Arc::new(psf.map_err(PosteriorError::from)?);
    let forward = aligned(psf, [data_scale, args.pixel_scale], KERNEL_LAGS)?;

    let sigma = core.variance().sqrt();
    let pixels = &set.cutouts * valid;
    let brightest = pixels.narrow(0, 0, n - held).abs().max().double_value(&[]) / sigma;
    let largest_white = AMPLE * brightest.min(BRIGHTEST);
    let limits = Limits { r: args.largest_level, white: largest_white * sigma };
    let metadata = describe(&args, &set, &config, &image, [sigma, limits.white], data_scale)?;
    let bank = NoiseBank::new(&pixels.narrow(0, 0, n - held), sigma)?;
    let levels = Levels {
        zero_share: args.zero_share,
        white_share: args.white_share,
        largest_white,
        largest: args.largest_level / sigma,
        rms: forward.variance().sqrt(),
    };
    let adam = start(&args, &metadata, &config)?;
    let estimate = Estimate::Net(config.clone(), adam.weights.map(Tensor::shallow_clone));
    let score = LearnedNoise::new(estimate, core, forward, limits, Device::Cpu);
    let journal = Journal::open(&args.run)?;
    println!(
        "{} parameters, core sigma {sigma:.4e} e-/s, levels to {:.1} core sigma (rms {:.1}), white to {largest_white:.1}, {}",
        adam.weights.count(),
        levels.largest,
        levels.largest * levels.rms,
        set.metadata
    );
    let held_out = pixels.narrow(0, n - held, held);
    Run { args, config, metadata, score, bank, held_out, levels, adam, journal }.train()
}

fn check(args: &NoiseArgs, set: &CutoutSet) -> Result<(), TrainingError> {
    let fail = |what: &str, need: String, got: String| {
        Err(TrainingError::Value { what: what.into(), need, got })
    };
    if set.cutouts.size()[0] < 10 {
        let need = "at least 10 cutouts".into();
        return fail("cutouts", need, set.cutouts.size()[0].to_string());
    }
    let side = set.metadata.size;
    if !(SMALLEST_SIDE as usize..=side).contains(&args.size) {
        let need = format!("{SMALLEST_SIDE} to {side}, the size of a cutout");
        return fail("--size", need, args.size.to_string());
    }
    if args.batch == 0 {
        return fail("--batch", "at least 1".into(), "0".into());
    }
    for (name, share) in [("--zero-share", args.zero_share), ("--white-share", args.white_share)] {
        if !(share > 0.0 && args.zero_share + args.white_share < 1.0) {
            let need = "a share above 0; --zero-share and --white-share together below 1".into();
            return fail(name, need, share.to_string());
        }
    }
    check_options(args.learning_rate, args.cool_down, args.clip, args.average_half_life)?;
    if !(args.largest_level > 0.0 && args.largest_level.is_finite()) {
        let got = args.largest_level.to_string();
        return fail("--largest-level", "a positive number".into(), got);
    }
    Ok(())
}

fn describe(
    args: &NoiseArgs,
    set: &CutoutSet,
    config: &NoiseNetConfig,
    psf: &PsfImage,
    [core_sigma, largest_white]: [f64; 2],
    data_scale: f64,
) -> Result<NoiseMetadata, TrainingError> {
    let m = &set.metadata;
    let times: Vec<f64> = m.exposures.iter().filter_map(|e| e.exposure_time_s).collect();
    let range = times.iter().fold([f64::MAX, 0.0], |[a, b], t| [a.min(*t), b.max(*t)]);
    let name = psf.path.file_name().unwrap_or_default().to_string_lossy();
    Ok(NoiseMetadata {
        format: FORMAT,
        kind: "noise".into(),
        architecture: NoiseArchitecture::WhitenedUnet { net: config.clone() },
        instrument: m.instrument.instrument.clone(),
        detector: m.instrument.detector.clone(),
        filter: m.instrument.filter.clone(),
        exposure_time_s: (!times.is_empty()).then_some(range),
        pixel_scale_data_arcsec: data_scale,
        pixel_scale_model_arcsec: args.pixel_scale,
        flux_convention: m.instrument.flux_convention.clone(),
        unit: m.unit.clone(),
        core_sigma_e_per_s: core_sigma,
        largest_level_e_per_s: args.largest_level,
        largest_white_e_per_s: largest_white,
        psf: format!("{name}, {}x, sha256 {}", psf.oversample, psf.sha256),
        licence: "MIT OR Apache-2.0".into(),
        trained_on: format!("{m}, sha256 {}", sha256_file(&args.cutouts)?),
        training_steps: 0,
        training_images: 0,
        residual_reference: None,
    })
}

/// Resumes the folder's checkpoint, or starts afresh.
fn start(
    args: &NoiseArgs,
    metadata: &NoiseMetadata,
    config: &NoiseNetConfig,
) -> Result<Adam, TrainingError> {
    let path = args.run.join("checkpoint.safetensors");
    if path.exists() {
        let adam = checkpoint::load(&path, &identity(args, metadata))?;
        adam.weights.check(&config.layout())?;
        println!("resuming {} at step {}", path.display(), adam.step);
        return Ok(adam);
    }
    Ok(Adam::new(Parameters::initialise(&config.layout(), args.seed)))
}

/// Settings that a resumed run must share with its checkpoint.
fn identity(args: &NoiseArgs, metadata: &NoiseMetadata) -> Vec<(&'static str, String)> {
    vec![
        ("cutouts", metadata.trained_on.clone()),
        ("psf", metadata.psf.clone()),
        ("pixel scales", format!("{} {}", metadata.pixel_scale_data_arcsec, args.pixel_scale)),
        ("largest level", args.largest_level.to_string()),
        ("seed", args.seed.to_string()),
        ("batch", format!("{} of {}", args.batch, args.size)),
        ("shares", format!("{} {}", args.zero_share, args.white_share)),
        ("net", format!("{:?} x {}", args.widths, args.blocks)),
        ("learning rate", format!("{} after {}", args.learning_rate, args.warm_up)),
        ("clip", args.clip.to_string()),
        ("average", args.average_half_life.to_string()),
    ]
}

impl Run {
    fn train(&mut self) -> Result<(), TrainingError> {
        let bar = progress(self.args.steps, self.adam.step);
        let started = Instant::now();
        let limit = time_limit(self.args.minutes)?;
        let mut window = Window::default();
        while self.adam.step < self.args.steps {
            let (loss, norm) = self.step()?;
            window.add(loss, norm);
            bar.inc(1);
            let step = self.adam.step;
            if step.is_multiple_of(LOG_EVERY) {
                bar.set_message(format!("loss {:.4}", window.loss()));
                self.journal.write(&json!({
                    "step": step, "loss": window.loss(), "gradient_norm": window.norm(),
                    "learning_rate": self.learning_rate(), "steps_per_s": window.steps_per_s(),
                }))?;
                window = Window::default();
            }
            let out_of_time = limit.is_some_and(|l| started.elapsed() > l);
            if step.is_multiple_of(self.args.checkpoint_every)
                || step == self.args.steps
                || out_of_time
            {
                self.keep()?;
                window = Window::default();
            }
            if out_of_time {
                break;
            }
        }
        bar.finish();
        self.write_sheet()
    }

    /// A row of held-out cutouts above rows drawn from the averaged net.
    fn write_sheet(&self) -> Result<(), TrainingError> {
        let net = Estimate::Net(self.config.clone(), self.adam.average.map(Tensor::detach));
        let score = self.score.with(net);
        let (side, sigma) = (self.held_out.size()[1], self.metadata.core_sigma_e_per_s);
        let mut rngs: Vec<_> =
            (0..2 * SHEET_COLUMNS as u64).map(|k| SampleRng::new(self.args.seed, k)).collect();
        let drawn = quality::draw(&score, side, SHEET_STEPS, &mut rngs);
        let shown = self.held_out.size()[0].min(SHEET_COLUMNS as i64);
        let images = Tensor::cat(&[&self.held_out.narrow(0, 0, shown) / sigma, drawn], 0);
        let flat = Vec::<f32>::try_from(images.flatten(0, -1))?;
        let tiles: Vec<&[f32]> = flat.chunks((side * side) as usize).collect();
        let path = self.args.run.join("sheet.png");
        sheet::write(&path, &tiles, side as usize, SHEET_COLUMNS, 1, sheet::noise(1.0))
    }

    /// One optimiser step: loss and gradient norm.
    fn step(&mut self) -> Result<(f64, f64), TrainingError> {
        let (a, step) = (&self.args, self.adam.step);
        let batch = self.bank.draw(&self.levels, a.batch, a.size, a.seed, step);
        let loss = per_pair(&self.score, &batch).mean(Kind::Float);
        loss.backward();
        let value = loss.double_value(&[]);
        if !value.is_finite() {
            return Err(TrainingError::Diverged { step, loss: value });
        }
        let decay = average_decay(step, a.batch, a.average_half_life);
        let (rate, clip) = (self.learning_rate(), a.clip);
        Ok((value, self.adam.update(rate, clip, decay)))
    }

    fn learning_rate(&self) -> f64 {
        let a = &self.args;
        let (peak, warm_up, cool_down, steps) = (a.learning_rate, a.warm_up, a.cool_down, a.steps);
        Schedule { peak, warm_up, cool_down, steps }.rate(self.adam.step)
    }

    /// Checkpoint, validation loss and model file.
    fn keep(&mut self) -> Result<(), TrainingError> {
        let path = self.args.run.join("checkpoint.safetensors");
        checkpoint::save(&path, &self.adam, &identity(&self.args, &self.metadata))?;
        let step = self.adam.step;
        let (bands, base) = self.validate()?;
        self.journal.write(&json!({
            "step": step, "validation_loss": mean(&bands), "bands": bands,
            "base_loss": mean(&base), "base_bands": base,
        }))?;
        self.metadata.training_steps = step;
        self.metadata.training_images = 2 * step * self.args.batch as u64;
        self.metadata.residual_reference = self.reference()?;
        let model = self.args.run.join("noise.safetensors");
        let (core, forward) = (self.score.core(), self.score.forward());
        Ok(write_noise(&model, &self.metadata, &self.adam.average, core, forward)?)
    }

    /// What held-out noise looks like to the averaged net. Masked pixels are zero, and others never exactly.
    fn reference(&self) -> Result<Option<NoiseReference>, TrainingError> {
        let net = Estimate::Net(self.config.clone(), self.adam.average.map(Tensor::detach));
        let used = self.held_out.not_equal(0.0).to_kind(Kind::Float);
        Ok(NoiseReference::measure(&self.score.with(net), &self.held_out, &used)?)
    }

    /// Loss on held-out cutouts in eight bands (by default two at level zero, two of white noise, four of blurs,
    /// rising), of the averaged net and of the base alone.
    fn validate(&self) -> Result<(Vec<f64>, Vec<f64>), TrainingError> {
        let a = &self.args;
        let bank = NoiseBank::new(&self.held_out, self.metadata.core_sigma_e_per_s)?;
        let batch = bank.draw(&self.levels, VALIDATION, a.size, a.seed, u64::MAX);
        let untrained = Parameters::initialise(&self.config.layout(), a.seed);
        let losses = |p: &Parameters| {
            let net = Estimate::Net(self.config.clone(), p.map(Tensor::detach));
            no_grad(|| bands(&self.score.with(net), &batch))
        };
        Ok((losses(&self.adam.average), losses(&untrained)))
    }
}

fn bands(score: &LearnedNoise, batch: &NoiseBatch) -> Vec<f64> {
    let rows = (VALIDATION / 8) as i64;
    let band = |k: i64| {
        let part = |t: &Tensor| t.narrow(0, k * rows, rows);
        let [x0, xi, rho, white] = [&batch.x0, &batch.xi, &batch.by.rho, &batch.by.white].map(part);
        per_pair(score, &NoiseBatch { x0, xi, by: Perturbation { rho, white } })
            .mean(Kind::Double)
            .double_value(&[])
    };
    (0..8).map(band).collect()
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}
