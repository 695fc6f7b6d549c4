//! One task of the array, as Slurm knows it.

use std::fmt;

use serde::{Deserialize, Serialize};

/// One task.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Task {
    /// How it is.
    pub state: TaskState,
    /// Why it waits or ended so, in Slurm's word, if it says.
    pub reason: Option<String>,
    /// The node or nodes it is or was on.
    pub node: Option<String>,
    /// How its script ended, if it has.
    pub exit: Option<Exit>,
    /// How often Slurm has started it again.
    pub restarts: u32,
    /// When its present or last run began, seconds since 1970.
    pub started_s: Option<i64>,
    /// When it ended, seconds since 1970.
    pub ended_s: Option<i64>,
    /// The exit code of its program, where the script has left it: 0 all done, 3 some failed.
    pub program_exit: Option<u8>,
}

impl Task {
    /// A task in a state of which nothing else is known.
    pub(super) fn new(state: TaskState) -> Self {
        Self {
            state,
            reason: None,
            node: None,
            exit: None,
            restarts: 0,
            started_s: None,
            ended_s: None,
            program_exit: None,
        }
    }
}

/// How a script ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Exit {
    /// Its exit code.
    pub code: u8,
    /// The signal that killed it; 0: none.
    pub signal: u8,
}

/// How a task is. The names are Slurm's.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum TaskState {
    /// Queued.
    Pending,
    /// At work.
    Running,
    /// Ending; its processes may still be there.
    Completing,
    /// Ended with exit code 0.
    Completed,
    /// Ended with another.
    Failed,
    /// Cancelled by a user.
    Cancelled,
    /// Ended by its time limit.
    Timeout,
    /// Ended by its memory limit.
    OutOfMemory,
    /// Its node died.
    NodeFail,
    /// Ended for a job of higher priority.
    Preempted,
    /// Ended, to be queued again.
    Requeued,
    /// In another state; an ended one is not among those.
    Other(String),
    /// Slurm no longer knows it: it ended, and accounting, if any, has not kept it.
    Forgotten,
}

impl TaskState {
    /// From Slurm's word; `CANCELLED by 1000` and the like are understood.
    pub(super) fn parse(word: &str) -> Self {
        let first = word.split_whitespace().next().unwrap_or_default();
        match first.trim_end_matches('+') {
            "PENDING" => Self::Pending,
            "RUNNING" => Self::Running,
            "COMPLETING" => Self::Completing,
            "COMPLETED" => Self::Completed,
            "FAILED" | "BOOT_FAIL" => Self::Failed,
            "CANCELLED" | "REVOKED" => Self::Cancelled,
            "TIMEOUT" | "DEADLINE" => Self::Timeout,
            "OUT_OF_MEMORY" => Self::OutOfMemory,
            "NODE_FAIL" => Self::NodeFail,
            "PREEMPTED" => Self::Preempted,
            "REQUEUED" => Self::Requeued,
            other => Self::Other(other.to_owned()),
        }
    }

    /// Whether it will not go on by itself.
    pub fn is_over(&self) -> bool {
        match self {
            Self::Pending | Self::Running | Self::Completing | Self::Requeued | Self::Other(_) => {
                false
            }
            Self::Completed
            | Self::Failed
            | Self::Cancelled
            | Self::Timeout
            | Self::OutOfMemory
            | Self::NodeFail
            | Self::Preempted
            | Self::Forgotten => true,
        }
    }

    /// Whether its processes may exist.
    pub fn is_alive(&self) -> bool {
        matches!(self, Self::Running | Self::Completing | Self::Other(_))
    }
}

impl fmt::Display for TaskState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Pending => "PENDING",
            Self::Running => "RUNNING",
            Self::Completing => "COMPLETING",
            Self::Completed => "COMPLETED",
            Self::Failed => "FAILED",
            Self::Cancelled => "CANCELLED",
            Self::Timeout => "TIMEOUT",
            Self::OutOfMemory => "OUT_OF_MEMORY",
            Self::NodeFail => "NODE_FAIL",
            Self::Preempted => "PREEMPTED",
            Self::Requeued => "REQUEUED",
            Self::Other(word) => word,
            Self::Forgotten => "no longer known to Slurm",
        })
    }
}

impl fmt::Display for Task {
    /// On one line: `FAILED (NonZeroExitCode), exit code 1, on node7, started again 1 time(s)`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.state)?;
        if let Some(reason) = &self.reason {
            write!(f, " ({reason})")?;
        }
        if let (true, Some(exit)) = (self.state.is_over(), self.exit) {
            match exit {
                Exit { signal: 0, code: 0 } => {}
                Exit { signal: 0, code } => write!(f, ", exit code {code}")?,
                Exit { signal, .. } => write!(f, ", killed by signal {signal}")?,
            }
        }
        if let Some(node) = &self.node {
            write!(f, ", on {node}")?;
        }
        if self.restarts > 0 {
            write!(f, ", started again {} time(s)", self.restarts)?;
        }
        match self.program_exit {
            Some(3) => write!(f, "; some of its targets failed"),
            _ => Ok(()),
        }
    }
}

/// A time of Slurm's in seconds since 1970 (`SLURM_TIME_FORMAT=%s`); it writes words for none.
pub(super) fn seconds(text: &str) -> Option<i64> {
    text.parse().ok()
}

/// A text of Slurm's; it writes words for none.
pub(super) fn word(text: &str) -> Option<String> {
    let none = ["", "None", "None assigned", "N/A", "(null)", "Unknown"];
    (!none.contains(&text)).then(|| text.to_owned())
}
