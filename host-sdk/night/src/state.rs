//! What is known of a night's targets now: manifest, ledger and products together.

mod gather;

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::ledger::Seconds;

pub use gather::{gather, quality};

/// A night, as `status`, `report` and `summary.json` tell it.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct NightState {
    /// The night's name.
    pub name: String,
    /// In the manifest's order.
    pub targets: Vec<TargetState>,
}

/// One target.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TargetState {
    /// Its name, unique in the night.
    pub name: String,
    /// Right ascension, ICRS degrees, if the manifest says.
    pub ra_deg: Option<f64>,
    /// Declination, ICRS degrees, if the manifest says.
    pub dec_deg: Option<f64>,
    /// How far it is.
    pub status: Status,
    /// Attempts begun, all runs together.
    pub attempts: u32,
    /// Of the last attempt that ended well.
    pub seconds: Option<Seconds>,
    /// Why it failed, is retried or was abandoned: the whole chain of the last error.
    pub reason: Option<String>,
    /// Who worked on it last.
    pub worker: Option<String>,
    /// Its product, if there is one that holds.
    pub product: Option<PathBuf>,
    /// Its figure, if there is one.
    pub figure: Option<PathBuf>,
    /// What the product says, if there is one.
    pub quality: Option<Quality>,
}

/// How far a target is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// Not begun.
    Pending,
    /// Begun, not ended.
    Running,
    /// Product there, verified, of these inputs and this configuration.
    Done,
    /// Done, but some samples failed.
    Partial,
    /// Failed in a way that may pass; the next run tries again.
    Failed,
    /// Failed for good until its inputs or its description change.
    Quarantined,
}

impl Status {
    /// As in JSON.
    pub fn name(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Running => "running",
            Self::Done => "done",
            Self::Partial => "partial",
            Self::Failed => "failed",
            Self::Quarantined => "quarantined",
        }
    }
}

/// The figures of a product that a table shows.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Quality {
    /// Samples that were delivered.
    pub samples: usize,
    /// Samples that failed.
    pub failed_samples: usize,
    /// chi2/dof of each exposure, median over the samples.
    pub chi2_reduced: Vec<f64>,
    /// Residual whiteness of each exposure, median over the samples.
    pub whiteness: Vec<f64>,
    /// As in the product: `chi2,whiteness`; `-` for none.
    pub flags: String,
    /// Median and standard deviation of the samples' total flux, e-/s.
    pub flux_e_per_s: (f64, f64),
}
