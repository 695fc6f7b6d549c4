//! The pellucid command: simulate, predict, sample, inspect, models, night, doctor.
//!
//! Works through the plugin's C interface only. Exit codes: 0 done, 1 failed, 2 wrong usage,
//! 3 done but some samples or targets failed.

#![deny(unsafe_code)]

mod args;
mod doctor;
mod engine;
mod failure;
mod inspect;
mod interrupt;
mod models;
mod night;
mod outputs;
mod predict;
mod sample;
mod simulate;
mod summary;
mod terminal;

use std::process::ExitCode;

use clap::Parser;

use args::{Command, Options};
use failure::Outcome;

fn main() -> ExitCode {
    let options = Options::parse();
    terminal::start_log(options.verbose);
    interrupt::watch();
    let done = match options.command {
        Command::Simulate(args) => simulate::run(&args),
        Command::Predict(args) => predict::run(&args),
        Command::Sample(args) => sample::run(&args),
        Command::Night(args) => night::run_command(&args),
        Command::Inspect(args) => inspect::run(&args),
        Command::Models(args) => models::run(&args),
        Command::Doctor(args) => doctor::run(&args),
    };
    match done {
        Ok(Outcome::Done) => ExitCode::SUCCESS,
        Ok(Outcome::Partial) => ExitCode::from(3),
        Err(failure) => {
            eprintln!("error: {failure}");
            ExitCode::from(failure.exit_code())
        }
    }
}
