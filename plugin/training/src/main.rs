//! Companion tools: train priors and noise models.

#![deny(unsafe_code)]

mod adam;
mod bank;
mod batch;
mod checkpoint;
pub mod cutouts;
mod error;
mod inspect;
mod journal;
mod loss;
mod noise;
mod prior;
mod schedule;
mod sheet;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Companion tools of Pellucid: train priors and look at what was trained.
#[derive(Debug, Parser)]
#[command(name = "pellucid-train", version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Train a prior by denoising score matching
    Prior(Box<prior::PriorArgs>),
    /// Train a noise model by denoising score matching
    Noise(Box<noise::NoiseArgs>),
    /// Cut the training set of a noise model out of exposures
    Cutouts(Box<cutouts::CutoutArgs>),
    /// Draw simulated scenes as a contact sheet or tensor
    Simulate(inspect::SimulateArgs),
    /// Draw unconditional samples of a prior as a contact sheet or tensor
    Sample(inspect::SampleArgs),
    /// Print what a model or a set of cutouts says of itself
    Show(inspect::ShowArgs),
}

fn main() -> ExitCode {
    let result = match Cli::parse().command {
        Command::Prior(args) => prior::run(*args),
        Command::Noise(args) => noise::run(*args),
        Command::Cutouts(args) => cutouts::run(&args),
        Command::Simulate(args) => inspect::simulate(&args),
        Command::Sample(args) => inspect::sample(&args),
        Command::Show(args) => inspect::show(&args),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("pellucid-train: {error}");
            ExitCode::FAILURE
        }
    }
}
