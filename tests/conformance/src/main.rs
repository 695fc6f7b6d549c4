//! `pellucid-conformance`: does a libpellucid.so keep the contract of `pellucid.h`?
//!
//! Every promise of the header is a named check. Checks run in worker processes of this same
//! program, so that a library which crashes or hangs fails a check and not the harness. It knows
//! the library through `dlopen` and the C ABI alone; the numbers it compares with are its own.

#![allow(
    clippy::not_unsafe_ptr_arg_deref,
    clippy::macro_metavars_in_unsafe,
    reason = "checks hand handles and pointers around the way a C program does"
)]

#[macro_use]
mod session;
mod arrays;
mod check;
mod checks;
mod cholesky;
mod field;
mod host;
mod process;
mod report;
mod runner;
mod scratch;
mod telescope;
mod worker;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;

/// Does a libpellucid.so keep the contract of pellucid.h? Exit codes: 0 every check passes, 1 some
/// fail, 2 wrong usage.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    /// The library to judge.
    #[arg(required_unless_present = "list")]
    library: Option<PathBuf>,
    /// Write JSON to FILE beside the table, or instead of the table to standard output.
    #[arg(long, value_name = "FILE", num_args = 0..=1)]
    json: Option<Option<PathBuf>>,
    /// List the checks and the promises they stand for.
    #[arg(long)]
    list: bool,
    /// Run only checks that match GLOB ('*' stands for anything); may be repeated.
    #[arg(long, value_name = "GLOB")]
    only: Vec<String>,
    /// Leave out checks that match GLOB; may be repeated.
    #[arg(long, value_name = "GLOB")]
    skip: Vec<String>,
    /// Seconds after which a check has failed and its process is ended.
    #[arg(long, value_name = "SECONDS", default_value_t = 60, value_parser = clap::value_parser!(u64).range(1..=86_400))]
    timeout: u64,
    /// Take names of checks from standard input, one a line, and answer each with a line of JSON; put
    /// files into FOLDER.
    #[arg(long, hide = true, value_name = "FOLDER")]
    worker: Option<PathBuf>,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let chosen = check::select(&arguments.only, &arguments.skip);
    if arguments.list {
        report::list(&chosen);
        return ExitCode::SUCCESS;
    }
    let Some(library) = arguments.library else { return usage("name a library") };
    let library = match library.canonicalize() {
        Ok(path) => path,
        Err(error) => return usage(&format!("{}: {error}", library.display())),
    };
    if let Some(folder) = arguments.worker {
        worker::serve(library, folder);
        return ExitCode::SUCCESS;
    }
    if chosen.is_empty() {
        return usage("no check has such a name; see --list");
    }
    let to_stdout = matches!(arguments.json, Some(None));
    let limit = Duration::from_secs(arguments.timeout);
    let report = runner::run(&library, &chosen, limit, |row| {
        if !to_stdout {
            report::row(row);
        }
    });
    let report = match report {
        Ok(report) => report,
        Err(error) => return usage(&format!("cannot start a worker process: {error}")),
    };
    let text = serde_json::to_string_pretty(&report).expect("because a report is plain data");
    match arguments.json {
        Some(None) => println!("{text}"),
        Some(Some(file)) => {
            report::summary(&report);
            if let Err(error) = std::fs::write(&file, text + "\n") {
                return usage(&format!("cannot write {}: {error}", file.display()));
            }
        }
        None => report::summary(&report),
    }
    ExitCode::from(u8::from(report.failed > 0))
}

fn usage(message: &str) -> ExitCode {
    eprintln!("pellucid-conformance: {message}");
    ExitCode::from(2)
}
