//! Writes the seeds of a target into a folder: `seeds TARGET FOLDER`.

// Instrumented code calls its run time, also here.
use libfuzzer_sys as _;

use std::path::PathBuf;
use std::process::ExitCode;

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let [target, folder] = &words[..] else {
        eprintln!("usage: seeds TARGET FOLDER");
        return ExitCode::from(2);
    };
    let folder = PathBuf::from(folder);
    let seeds = pellucid_fuzz::seeds::of(target);
    let written = std::fs::create_dir_all(&folder).and_then(|()| {
        seeds.iter().try_for_each(|(name, bytes)| std::fs::write(folder.join(name), bytes))
    });
    match written {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("cannot write to {}: {error}", folder.display());
            ExitCode::FAILURE
        }
    }
}
