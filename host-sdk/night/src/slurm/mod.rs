//! A night on Slurm: one job array, one task per worker, each running its share of the targets.
//!
//! Slurm decides when and where; nothing here schedules. A task is safe to start again, because a
//! target is done if and only if its product verifies: a requeued or resubmitted task keeps what
//! is done. [`script`] writes the batch script, [`submit`] hands it over, [`view`](view::view)
//! asks Slurm how the tasks are and [`merge`] sets its answer beside the state of the targets.

mod client;
mod config;
mod error;
mod merge;
mod sacct;
mod script;
mod squeue;
mod submit;
mod task;
mod view;

pub use config::{Estimate, SlurmConfig};
pub use error::{Result, SlurmError};
pub use merge::merge;
pub use script::{Job, Program, report_script, script};
pub use submit::{Submission, dry_run, submit};
pub use task::{Exit, Task, TaskState};
pub use view::{Source, View, view};
