//! `pellucid-train simulate`, `sample` and `show`: look at scenes, at a prior's samples, at a model.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use pellucid_posterior::rng::SampleRng;
use pellucid_posterior::score::model_file::{Precision, PriorModel, read_tensors, write_tensors};
use pellucid_posterior::score::noise::NoiseScore;
use pellucid_posterior::score::noise::file::{NoiseModel, load_learned};
use tch::{Device, Tensor, no_grad};

use crate::bank::Bank;
use crate::cutouts::CutoutSet;
use crate::error::TrainingError;
use crate::noise::quality;
use crate::{prior, sheet};

/// Core sigma at which values are cut for the robust rows of a comparison.
const CUT: f64 = 30.0;
/// Columns of a contact sheet.
const COLUMNS: usize = 16;

/// Draws simulated scenes.
#[derive(Debug, clap::Args)]
pub struct SimulateArgs {
    /// Number of scenes
    #[arg(long, default_value_t = 128)]
    count: usize,
    /// Rows and columns of a scene
    #[arg(long, default_value_t = 64)]
    size: usize,
    /// Seed of the scenes
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Number of the first scene
    #[arg(long, default_value_t = 0)]
    first: u64,
    /// Surface brightness that is one network unit, e-/s per pixel
    #[arg(long, default_value_t = 0.05)]
    flux_scale: f64,
    /// Contact sheet (.png) or the scenes as a tensor `scenes` [count, size, size] (.safetensors)
    #[arg(short, long)]
    output: PathBuf,
}

/// Draws unconditional samples of a prior, or noise from a noise model.
#[derive(Debug, clap::Args)]
pub struct SampleArgs {
    /// Model file
    model: PathBuf,
    /// Number of samples
    #[arg(long, default_value_t = 128)]
    count: usize,
    /// Seed of the samples
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Steps of the reverse SDE (default: 64 before 6 restarts of 24 steps; of noise, 200)
    #[arg(long, value_parser = clap::value_parser!(u64).range(2..))]
    steps: Option<u64>,
    /// Noise: rows and columns
    #[arg(long, default_value_t = 64, value_parser = clap::value_parser!(u16).range(16..=1024))]
    size: u16,
    /// Noise: compare power spectrum and kurtosis with these cutouts, which the model has not seen, and
    /// print JSON rows
    #[arg(long, value_name = "CUTOUTS")]
    compare: Option<PathBuf>,
    /// Contact sheet (.png) or the samples as a tensor `samples` [count, size, size] (.safetensors)
    #[arg(short, long)]
    output: PathBuf,
}

/// Prints what a model or a set of cutouts says of itself.
#[derive(Debug, clap::Args)]
pub struct ShowArgs {
    /// Model file or set of cutouts
    file: PathBuf,
}

/// Runs `simulate`.
///
/// # Errors
/// [`TrainingError`] naming the output.
pub fn simulate(args: &SimulateArgs) -> Result<(), TrainingError> {
    let bank = Bank::simulate(args.size, args.seed, args.first, args.count, args.flux_scale);
    write(&args.output, "scenes", &bank.tensor())?;
    println!("{}: {}", args.output.display(), bank.description);
    Ok(())
}

/// Runs `sample`.
///
/// # Errors
/// [`TrainingError`] for an unreadable model or output.
pub fn sample(args: &SampleArgs) -> Result<(), TrainingError> {
    if kind(&args.model)? == "noise" {
        return sample_noise(args);
    }
    let steps = args.steps.unwrap_or(64) as usize;
    let model = PriorModel::load(&args.model, Device::Cpu, Precision::F32)?;
    let [h, w] = model.metadata.image_size;
    let sde = model.metadata.sde;
    let batches = (0..args.count).step_by(COLUMNS).map(|first| {
        let n = COLUMNS.min(args.count - first);
        prior::draw(&*model.denoiser, &sde, [h, w], n, args.seed, first as u64, steps)
    });
    let parts: Vec<Tensor> = no_grad(|| batches.collect());
    write(&args.output, "samples", &Tensor::cat(&parts, 0).squeeze_dim(1))?;
    println!("{}: {} samples of {}", args.output.display(), args.count, args.model.display());
    Ok(())
}

/// Beside each row of the model's, the same of Gaussian noise with the core's covariance.
fn sample_noise(args: &SampleArgs) -> Result<(), TrainingError> {
    let (_, score, _) = load_learned(&args.model, Device::Cpu)?;
    let (sigma, side) = (score.core_sigma(), i64::from(args.size));
    let steps = args.steps.unwrap_or(200) as usize;
    let rngs = |first: usize, n: usize, seed: u64| -> Vec<_> {
        (first..first + n).map(|k| SampleRng::new(seed, k as u64)).collect()
    };
    let batches = (0..args.count).step_by(COLUMNS).map(|first| {
        let n = COLUMNS.min(args.count - first);
        quality::draw(&score, side, steps, &mut rngs(first, n, args.seed))
    });
    let drawn = Tensor::cat(&batches.collect::<Vec<_>>(), 0);
    let images = &drawn * sigma;
    if is_png(&args.output) {
        write_sheet(&args.output, &images, sheet::noise(sigma))?;
    } else {
        write(&args.output, "samples", &images)?;
    }
    println!("{}: {} samples of {}", args.output.display(), args.count, args.model.display());
    let Some(path) = &args.compare else { return Ok(()) };
    let held_out = CutoutSet::read(path)?.cutouts / sigma;
    let gaussian = quality::gaussian(&score, side, &mut rngs(0, args.count, args.seed + 1));
    for (case, noise) in [("learned", &drawn), ("gaussian", &gaussian)] {
        for row in quality::compare(noise, &held_out, case, CUT) {
            println!("{row}");
        }
    }
    Ok(())
}

/// `prior`, `noise` or what else the description of a file says.
fn kind(path: &Path) -> Result<String, TrainingError> {
    let metadata = read_tensors(path)?.0;
    let json = metadata.get("pellucid").and_then(|j| serde_json::from_str(j).ok());
    let kind = json.and_then(|j: serde_json::Value| Some(j["kind"].as_str()?.to_owned()));
    Ok(kind.unwrap_or_default())
}

/// Runs `show`.
///
/// # Errors
/// [`TrainingError`] for an unreadable file.
pub fn show(args: &ShowArgs) -> Result<(), TrainingError> {
    let pretty = |e: Result<String, serde_json::Error>| e.unwrap_or_else(|e| e.to_string());
    if CutoutSet::is_one(&read_tensors(&args.file)?.0) {
        let set = CutoutSet::read(&args.file)?;
        println!("{}", pretty(serde_json::to_string_pretty(&set.metadata)));
        return Ok(());
    }
    if kind(&args.file)? == "noise" {
        let NoiseModel { metadata, sha256, .. } = NoiseModel::load(&args.file, Device::Cpu)?;
        println!("{}\nsha256 {sha256}", pretty(serde_json::to_string_pretty(&metadata)));
        return Ok(());
    }
    let model = PriorModel::load(&args.file, Device::Cpu, Precision::F32)?;
    println!("{}\nsha256 {}", pretty(serde_json::to_string_pretty(&model.metadata)), model.sha256);
    Ok(())
}

/// Writes images [count, H, W] by the ending of `path`.
fn write(path: &Path, name: &str, images: &Tensor) -> Result<(), TrainingError> {
    if is_png(path) {
        return write_sheet(path, images, sheet::galaxy);
    }
    Ok(write_tensors(path, HashMap::new(), &[(name.to_owned(), images.shallow_clone())])?)
}

fn is_png(path: &Path) -> bool {
    path.extension().is_some_and(|e| e == "png")
}

fn write_sheet(
    path: &Path,
    images: &Tensor,
    grey: impl Fn(f32) -> u8,
) -> Result<(), TrainingError> {
    let size = images.size()[2] as usize;
    let flat = Vec::<f32>::try_from(images.flatten(0, -1))?;
    let tiles: Vec<&[f32]> = flat.chunks(size * size).collect();
    sheet::write(path, &tiles, size, COLUMNS, 1, grey)
}
