//! `pellucid-train prior`: denoising score matching on simulated scenes.

use std::path::PathBuf;
use std::time::Instant;

use pellucid_posterior::rng::SampleRng;
use pellucid_posterior::sampler::solver::draw_prior;
use pellucid_posterior::score::Denoiser;
use pellucid_posterior::score::edm::UnetDenoiser;
use pellucid_posterior::score::model_file::{
    Architecture, FORMAT, Metadata, read_tensors, write_unet,
};
use pellucid_posterior::score::parameters::Parameters;
use pellucid_posterior::score::unet::UnetConfig;
use pellucid_posterior::sde::Sde;
use serde_json::json;
use tch::{Kind, Tensor, no_grad};

use crate::adam::Adam;
use crate::bank::{Bank, Moments};
use crate::batch::{Batch, NoiseLevels};
use crate::error::TrainingError;
use crate::journal::{Journal, LOG_EVERY, Window, progress};
use crate::loss::{Weighting, per_image};
use crate::schedule::{Schedule, average_decay, check_options, time_limit};
use crate::{checkpoint, sheet};

/// Validation images.
const VALIDATION: usize = 256;
/// Smallest noise level of a prior, network units: a twentieth of the noise of a deep exposure at the
/// default flux scale. Below it a net learns nothing about galaxies, and its offset of the empty
/// sky, in units of sigma, takes the longest to train away.
const SMALLEST_LEVEL: f64 = 0.005;
/// Images on the sheet of samples.
const SHEET: usize = 32;

/// Trains a prior by denoising score matching.
#[derive(Debug, clap::Args)]
pub struct PriorArgs {
    /// Where the training images come from
    #[arg(long, default_value = "simulated", value_parser = ["simulated"])]
    pub scenes: String,
    /// Number of scenes drawn; each is seen under the eight symmetries of the square
    #[arg(long, default_value_t = 50_000)]
    pub scene_count: usize,
    /// Rows and columns of the model grid
    #[arg(long, default_value_t = 64)]
    pub size: usize,
    /// Pixel scale recorded in the model
    #[arg(long, default_value_t = 0.03)]
    pub pixel_scale_arcsec: f64,
    /// Surface brightness that is one network unit, e-/s per pixel
    #[arg(long, default_value_t = 0.05)]
    pub flux_scale: f64,
    /// SDE of the prior
    #[arg(long, default_value = "ve", value_parser = ["ve", "vp", "tsve"])]
    pub sde: String,
    /// Optimiser steps of the whole run; may be raised or lowered when a run is resumed
    #[arg(long)]
    pub steps: u64,
    /// Images a step
    #[arg(long, default_value_t = 32)]
    pub batch: usize,
    /// Peak learning rate
    #[arg(long, default_value_t = 1e-3)]
    pub learning_rate: f64,
    /// Steps over which the learning rate rises from zero
    #[arg(long, default_value_t = 500)]
    pub warm_up: u64,
    /// Share of the steps, at the end, over which the learning rate falls to zero
    #[arg(long, default_value_t = 0.3)]
    pub cool_down: f64,
    /// Largest gradient norm
    #[arg(long, default_value_t = 1.0)]
    pub clip: f64,
    /// Half-life of the average of the weights, images (at most a twentieth of those seen)
    #[arg(long, default_value_t = 25_000.0)]
    pub average_half_life: f64,
    /// Weight of the noise levels
    #[arg(long, value_enum, default_value_t = Weighting::Edm)]
    pub weighting: Weighting,
    /// Median of the training noise levels, network units
    #[arg(long, default_value_t = 0.5)]
    pub noise_median: f64,
    /// Standard deviation of their logarithm
    #[arg(long, default_value_t = 1.8)]
    pub noise_spread: f64,
    /// Widths of the U-Net's levels
    #[arg(long, value_delimiter = ',', default_value = "32,64,96")]
    pub widths: Vec<i64>,
    /// Residual blocks a level
    #[arg(long, default_value_t = 2)]
    pub blocks: i64,
    /// Channels of one attention head at the lowest level
    #[arg(long, default_value_t = 24)]
    pub attention_head: i64,
    /// Arithmetic of the network
    #[arg(long, default_value = "bf16", value_parser = ["f32", "bf16"])]
    pub precision: String,
    /// Start from the weights of this model instead of random ones; input channels it lacks start at zero
    #[arg(long)]
    pub init: Option<PathBuf>,
    /// Seed of the scenes, the weights and the batches
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// Stop with a checkpoint after this many minutes; the same command goes on from there
    #[arg(long)]
    pub minutes: Option<f64>,
    /// Steps between checkpoints
    #[arg(long, default_value_t = 500)]
    pub checkpoint_every: u64,
    /// Folder of the run: checkpoint, log, sheets, model. An existing run is resumed
    #[arg(long)]
    pub run: PathBuf,
    /// Folder of the scenes' cache
    #[arg(long)]
    pub cache: Option<PathBuf>,
}

/// A prior under training.
struct Run {
    args: PriorArgs,
    sde: Sde,
    unet: UnetConfig,
    bank: Bank,
    moments: Moments,
    levels: NoiseLevels,
    kind: Kind,
    adam: Adam,
    journal: Journal,
}

/// Runs the command.
///
/// # Errors
/// [`TrainingError`] naming what failed; the last checkpoint stays usable.
pub fn run(args: PriorArgs) -> Result<(), TrainingError> {
    check_options(args.learning_rate, args.cool_down, args.clip, args.average_half_life)?;
    let sde = match args.sde.as_str() {
        "vp" => Sde::Vp { beta_min: 0.1, beta_max: 20.0, epsilon: 2e-4 },
        "tsve" => Sde::Tsve { sigma_min: SMALLEST_LEVEL, sigma_max: 50.0, t_star: 0.6, beta: 15.0 },
        _ => Sde::Ve { sigma_min: SMALLEST_LEVEL, sigma_max: 50.0 },
    };
    let unet = UnetConfig {
        widths: args.widths.clone(),
        blocks: args.blocks,
        attention_head: args.attention_head,
        ..UnetConfig::default()
    };
    unet.validate([args.size, args.size])?;
    std::fs::create_dir_all(&args.run).map_err(TrainingError::io(&args.run))?;
    let cache = args.cache.clone().unwrap_or_else(|| args.run.clone());
    let bank = Bank::cached(&cache, args.size, args.seed, 0, args.scene_count, args.flux_scale)?;
    let moments = bank.moments();
    let levels = NoiseLevels::new(&sde, args.noise_median, args.noise_spread);
    let kind = if args.precision == "bf16" { Kind::BFloat16 } else { Kind::Float };

    let journal = Journal::open(&args.run)?;
    let adam = start(&args, &sde, &unet, &bank)?;
    let mut run = Run { args, sde, unet, bank, moments, levels, kind, adam, journal };
    println!(
        "{} parameters, sigma_d {:.3}, {}",
        run.adam.weights.count(),
        run.moments.rms,
        run.bank.description
    );
    run.train()
}

/// Resumes the folder's checkpoint, or starts afresh.
fn start(
    args: &PriorArgs,
    sde: &Sde,
    unet: &UnetConfig,
    bank: &Bank,
) -> Result<Adam, TrainingError> {
    let path = args.run.join("checkpoint.safetensors");
    if path.exists() {
        let adam = checkpoint::load(&path, &identity(args, sde, bank))?;
        adam.weights.check(&unet.layout())?;
        println!("resuming {} at step {}", path.display(), adam.step);
        return Ok(adam);
    }
    let mut weights = Parameters::initialise(&unet.layout(), args.seed);
    if let Some(init) = &args.init {
        for (name, tensor) in read_tensors(init)?.1 {
            if let Some(short) = name.strip_prefix("net.") {
                let wanted = weights.find(short).map(Tensor::size);
                weights.insert(short, widened(tensor, wanted));
            }
        }
        weights.check(&unet.layout())?;
    }
    Ok(Adam::new(weights))
}

/// `tensor` with zero weights for the input channels it lacks: the net starts as the same function.
fn widened(tensor: Tensor, wanted: Option<Vec<i64>>) -> Tensor {
    match wanted.as_deref() {
        Some([_, inputs, _, _]) if tensor.dim() == 4 && tensor.size()[1] < *inputs => {
            let missing = inputs - tensor.size()[1];
            tensor.constant_pad_nd([0, 0, 0, 0, 0, missing])
        }
        _ => tensor,
    }
}

/// Settings that a resumed run must share with its checkpoint.
fn identity(args: &PriorArgs, sde: &Sde, bank: &Bank) -> Vec<(&'static str, String)> {
    vec![
        ("scenes", bank.description.clone()),
        ("sde", serde_json::to_string(&sde).expect("because an SDE is plain JSON")),
        ("seed", args.seed.to_string()),
        ("batch", args.batch.to_string()),
        ("precision", args.precision.clone()),
        ("noise", format!("{} {}", args.noise_median, args.noise_spread)),
        ("weighting", format!("{:?}", args.weighting)),
        ("net", format!("{:?} x {}, {}", args.widths, args.blocks, args.attention_head)),
        ("learning rate", format!("{} after {}", args.learning_rate, args.warm_up)),
        ("clip", args.clip.to_string()),
        ("average", args.average_half_life.to_string()),
    ]
}

impl Run {
    fn train(&mut self) -> Result<(), TrainingError> {
        let bar = progress(self.args.steps, self.adam.step);
        let validation = self.validation_batch();
        let started = Instant::now();
        let limit = time_limit(self.args.minutes)?;
        let mut window = Window::default();
        while self.adam.step < self.args.steps {
            let (loss, norm) = self.step()?;
            window.add(loss, norm);
            bar.inc(1);
            let step = self.adam.step;
            if step.is_multiple_of(LOG_EVERY) {
                let images = step * self.args.batch as u64;
                bar.set_message(format!("loss {:.4}", window.loss()));
                self.journal.write(&json!({
                    "step": step, "images": images, "loss": window.loss(),
                    "gradient_norm": window.norm(),
                    "learning_rate": self.learning_rate(),
                    "images_per_s": window.steps_per_s() * self.args.batch as f64,
                }))?;
                window = Window::default();
            }
            let out_of_time = limit.is_some_and(|l| started.elapsed() > l);
            if step.is_multiple_of(self.args.checkpoint_every)
                || step == self.args.steps
                || out_of_time
            {
                self.keep(&validation)?;
                window = Window::default();
            }
            if out_of_time {
                break;
            }
        }
        bar.finish();
        Ok(())
    }

    /// One optimiser step: loss and gradient norm.
    fn step(&mut self) -> Result<(f64, f64), TrainingError> {
        let a = &self.args;
        let batch = Batch::draw(&self.bank, &self.levels, a.batch, a.seed, self.adam.step);
        let cast = self.adam.weights.map(|t| t.to_kind(self.kind));
        let loss = per_image(&self.unet, &cast, self.moments.rms, a.weighting, &batch);
        let loss = loss.mean(Kind::Float);
        loss.backward();
        let value = loss.double_value(&[]);
        if !value.is_finite() {
            return Err(TrainingError::Diverged { step: self.adam.step, loss: value });
        }
        let decay = average_decay(self.adam.step, a.batch, a.average_half_life);
        let (rate, clip) = (self.learning_rate(), a.clip);
        Ok((value, self.adam.update(rate, clip, decay)))
    }

    fn learning_rate(&self) -> f64 {
        let a = &self.args;
        let (peak, warm_up, cool_down, steps) = (a.learning_rate, a.warm_up, a.cool_down, a.steps);
        Schedule { peak, warm_up, cool_down, steps }.rate(self.adam.step)
    }

    /// Fresh scenes with levels at fixed quantiles of the training distribution.
    fn validation_batch(&self) -> Batch {
        let a = &self.args;
        let first = a.scene_count as u64;
        let held_out = Bank::simulate(a.size, a.seed, first, VALIDATION, a.flux_scale);
        let mut batch = Batch::draw(&held_out, &self.levels, VALIDATION, a.seed, u64::MAX);
        let [low, high] = self.levels.range.map(f64::ln);
        let sigma: Vec<f32> = (0..VALIDATION)
            .map(|k| (low + (high - low) * (k as f64 + 0.5) / VALIDATION as f64).exp() as f32)
            .collect();
        batch.sigma = Tensor::from_slice(&sigma);
        batch
    }

    /// Checkpoint, validation loss, model file and a sheet of samples.
    fn keep(&mut self, validation: &Batch) -> Result<(), TrainingError> {
        let path = self.args.run.join("checkpoint.safetensors");
        checkpoint::save(&path, &self.adam, &identity(&self.args, &self.sde, &self.bank))?;
        let losses = self.validation_losses(validation);
        // The levels run from small to large over the batch: eight bands of equal width in ln sigma.
        let bands: Vec<f64> =
            losses.chunk(8, 0).iter().map(|c| c.mean(Kind::Double).double_value(&[])).collect();
        let mean = losses.mean(Kind::Double).double_value(&[]);
        let step = self.adam.step;
        self.journal.write(&json!({"step": step, "validation_loss": mean, "bands": bands}))?;
        let model = self.args.run.join("prior.safetensors");
        let (mean_image, power) = (&self.moments.mean, &self.moments.power);
        write_unet(&model, &self.metadata(), &self.adam.average, mean_image, power)?;
        self.write_sheet(step)
    }

    fn validation_losses(&self, batch: &Batch) -> Tensor {
        no_grad(|| {
            let cast = self.adam.average.map(|t| t.to_kind(self.kind));
            per_image(&self.unet, &cast, self.moments.rms, self.args.weighting, batch)
        })
    }

    fn metadata(&self) -> Metadata {
        let a = &self.args;
        Metadata {
            format: FORMAT,
            kind: "prior".into(),
            architecture: Architecture::EdmUnet {
                sigma_d: self.moments.rms,
                unet: self.unet.clone(),
            },
            sde: self.sde,
            image_size: [a.size, a.size],
            channels: 1,
            pixel_scale_arcsec: a.pixel_scale_arcsec,
            flux_convention: "surface_brightness".into(),
            flux_scale: Some(a.flux_scale),
            licence: "MIT OR Apache-2.0".into(),
            trained_on: self.bank.description.clone(),
            training_steps: self.adam.step,
            training_images: self.adam.step * a.batch as u64,
        }
    }

    fn write_sheet(&self, step: u64) -> Result<(), TrainingError> {
        let net = UnetDenoiser {
            config: self.unet.clone(),
            parameters: self.adam.average.map(|t| t.to_kind(self.kind)),
            sigma_d: self.moments.rms,
            mean: self.moments.mean.shallow_clone(),
            power: self.moments.power.shallow_clone(),
        };
        let size = self.args.size;
        let samples = no_grad(|| draw(&net, &self.sde, [size, size], SHEET, self.args.seed, 0, 32));
        let flat = Vec::<f32>::try_from(samples.flatten(0, -1))?;
        let images: Vec<&[f32]> = flat.chunks(size * size).collect();
        let path = self.args.run.join(format!("samples_{step:06}.png"));
        sheet::write(&path, &images, size, 8, 2, sheet::galaxy)
    }
}

/// Samples `first`..`first + count` of the prior for `seed`, [count, 1, H, W], in `steps` steps and
/// restarts.
pub fn draw(
    net: &dyn Denoiser,
    sde: &Sde,
    size: [usize; 2],
    count: usize,
    seed: u64,
    first: u64,
    steps: usize,
) -> Tensor {
    let mut rngs: Vec<_> = (0..count as u64).map(|k| SampleRng::new(seed, first + k)).collect();
    draw_prior(net, sde, size, &mut rngs, steps)
}
