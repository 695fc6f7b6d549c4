//! NIGHT.toml: which targets, and how.
//!
//! ```toml
#![doc = include_str!("example.toml")]
//! ```
//!
//! Keys of `[defaults]` and of targets are the options of `pellucid sample`, with `_` for `-` and the
//! same meaning; a target's own key wins. A table of targets is CSV with a header line, or the first
//! binary table of a FITS file, with the same keys as columns; an empty cell leaves a key to the
//! defaults, and a cell of paths holds them separated by `;`. Paths are relative to the file that names
//! them. In the paths of exposures `*`, `?` and `**` stand for what they stand for in a shell; an HDU in
//! brackets (`a.fits[SCI,2]`) may follow. Names are unique, of `A-Z a-z 0-9 . _ + -`, and begin with no
//! point: products are called after them.
//!
//! Whatever is unknown, missing or out of range is an error that names file, line or row, and key.

mod load;
mod settings;
mod table;
mod values;

use std::path::PathBuf;

use pellucid_host::fits::FitsAddress;
use pellucid_host::target::Target;
use serde::Deserialize;

use crate::fault::Fault;
use crate::slurm::SlurmConfig;

/// A night as its manifest describes it.
#[derive(Debug, Clone)]
pub struct Night {
    /// The manifest, absolute.
    pub manifest: PathBuf,
    /// Its name; the manifest's stem if it says none.
    pub name: String,
    /// Where everything is written ([`Folder`](crate::folder::Folder)).
    pub output: PathBuf,
    /// In the manifest's order, its own before those of the table.
    pub targets: Vec<NightTarget>,
    /// How it is to run.
    pub run: RunSettings,
    /// How it is to be submitted.
    pub slurm: SlurmConfig,
}

/// One target of a night.
#[derive(Debug, Clone)]
pub struct NightTarget {
    /// Its name.
    pub name: String,
    /// Where it is described: `NIGHT.toml line 12`, `targets.csv line 3`.
    pub origin: String,
    /// Exposures as they are named: absolute paths, globs among them.
    pub exposures: Vec<String>,
    /// PSFs, absolute paths.
    pub psf: Vec<String>,
    /// Noise correlation, an absolute path.
    pub noise_correlation: Option<String>,
    /// Everything else; its lists of files are empty.
    pub settings: Target,
}

/// `[run]`.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RunSettings {
    /// `auto`, `cpu` or `cuda:0`.
    pub device: String,
    /// CPU threads of the engine; 0: one per core.
    pub threads: usize,
    /// Targets in the plugin at once.
    pub in_flight: values::AtLeastOne,
    /// Threads that read exposures.
    pub readers: values::AtLeastOne,
    /// Attempts at a target, per run.
    pub attempts: values::AtLeastOne,
    /// Pause after the first failed attempt, s; it doubles with each.
    pub backoff_s: values::NotNegative,
    /// Draw a figure of each target.
    pub figures: bool,
}

impl Default for RunSettings {
    fn default() -> Self {
        Self {
            device: "auto".into(),
            threads: 0,
            in_flight: values::AtLeastOne(4),
            readers: values::AtLeastOne(1),
            attempts: values::AtLeastOne(3),
            backoff_s: values::NotNegative(5.0),
            figures: true,
        }
    }
}

pub use values::{AtLeastOne, NotNegative, Positive};

impl NightTarget {
    /// The target with the files there are now: globs are looked up, HDUs told from names.
    ///
    /// # Errors
    /// A [`Fault`] for a glob that nothing matches.
    pub fn resolve(&self) -> Result<Target, Fault> {
        let mut exposures = Vec::with_capacity(self.exposures.len());
        for pattern in &self.exposures {
            let address = FitsAddress::from(pattern.as_str());
            let path = address.path.to_string_lossy();
            if !path.contains(['*', '?']) {
                exposures.push(address);
                continue;
            }
            let wrong = |reason: String| Fault::permanent(format!("exposures {path}: {reason}"));
            // Brackets are those of folders' names: no classes are promised.
            let found = glob::glob(&path.replace('[', "[[]")).map_err(|e| wrong(e.to_string()))?;
            let files: Result<Vec<PathBuf>, _> = found.collect();
            let mut files = files.map_err(|e| wrong(e.to_string()))?;
            if files.is_empty() {
                return Err(wrong("no file matches".into()));
            }
            files.sort();
            let extension = &address.extension;
            exposures.extend(
                files.into_iter().map(|path| FitsAddress { path, extension: extension.clone() }),
            );
        }
        let address = |text: &String| FitsAddress::from(text.as_str());
        Ok(Target {
            exposures,
            psf: self.psf.iter().map(address).collect(),
            noise_correlation: self.noise_correlation.as_ref().map(address),
            ..self.settings.clone()
        })
    }
}
