//! `pellucid-train simulate`, `sample` and `show`: look at scenes, at a prior's samples, at a model.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use pellucid_posterior::score::model_file::{Precision, PriorModel, read_tensors, write_tensors};
use tch::{Device, Tensor, no_grad};

use crate::bank::Bank;
use crate::cutouts::CutoutSet;
use crate::error::TrainingError;
use crate::{prior, sheet};

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

/// Draws unconditional samples of a prior.
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
    /// Steps of the reverse SDE, before 6 restarts of 24 steps
    #[arg(long, default_value_t = 64)]
    steps: usize,
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
    let model = PriorModel::load(&args.model, Device::Cpu, Precision::F32)?;
    let [h, w] = model.metadata.image_size;
    let sde = model.metadata.sde;
    let batches = (0..args.count).step_by(COLUMNS).map(|first| {
        let n = COLUMNS.min(args.count - first);
        prior::draw(&*model.denoiser, &sde, [h, w], n, args.seed, first as u64, args.steps)
    });
    let parts: Vec<Tensor> = no_grad(|| batches.collect());
    write(&args.output, "samples", &Tensor::cat(&parts, 0).squeeze_dim(1))?;
    println!("{}: {} samples of {}", args.output.display(), args.count, args.model.display());
    Ok(())
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
    let model = PriorModel::load(&args.file, Device::Cpu, Precision::F32)?;
    println!("{}\nsha256 {}", pretty(serde_json::to_string_pretty(&model.metadata)), model.sha256);
    Ok(())
}

/// Writes images [count, H, W] by the ending of `path`.
fn write(path: &Path, name: &str, images: &Tensor) -> Result<(), TrainingError> {
    if path.extension().is_some_and(|e| e == "png") {
        let size = images.size()[2] as usize;
        let flat = Vec::<f32>::try_from(images.flatten(0, -1))?;
        let tiles: Vec<&[f32]> = flat.chunks(size * size).collect();
        return sheet::write(path, &tiles, size, COLUMNS, 1, sheet::galaxy);
    }
    Ok(write_tensors(path, HashMap::new(), &[(name.to_owned(), images.shallow_clone())])?)
}
