//! Samplers of the posterior p(x | y).
//!
//! State: images x [B, 1, H, W] in network units, in the scaled variable x_t / mu(t) (see
//! [`crate::sde`]). A batch always has [`CPU_BATCH`] rows: a matrix product of another shape may
//! round differently, and a sample must not depend on what it was batched with.

mod batch;
mod calibrated;
mod conditional;
mod convolved;
mod guidance;
mod hamiltonian;
mod linear_solve;
mod slic;
pub mod solver;

pub(crate) use calibrated::is_sharp;
pub(crate) use slic::is_gaussian_only;

use std::ops::ControlFlow;
use std::time::Instant;

use serde::{Deserialize, Serialize};
use tch::{Kind, Tensor};

use crate::error::PosteriorError;
use crate::likelihood::Likelihood;
use crate::score::model_file::PriorModel;

/// Rows of every batch.
pub const CPU_BATCH: usize = 8;

/// Which sampler.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SamplerKind {
    /// Moment-matched guidance, split-Gibbs sweeps, prior-only finish.
    #[default]
    Calibrated,
    /// The convolved-likelihood approximation with Euler-Maruyama (Adam et al. 2023).
    Convolved,
}

/// Settings of a sampler.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SamplerOptions {
    /// Which sampler.
    pub kind: SamplerKind,
    /// Guided steps (`calibrated`, default 32; twice as many where no sweep can follow) or Euler-Maruyama
    /// steps (`convolved`, default 1000).
    pub steps: usize,
    /// Split-Gibbs sweeps.
    pub sweeps: usize,
    /// Steps of the prior-only reverse SDE in each sweep.
    pub sweep_steps: usize,
    /// Steps of the prior-only finish.
    pub finish_steps: usize,
    /// Conjugate-gradient iterations a guided step.
    pub cg_iterations: usize,
    /// Hamiltonian trajectories, where the noise is known by its score; the first half finds the step.
    pub trajectories: usize,
    /// Steps of a trajectory, one evaluation of the network each.
    pub leapfrog_steps: usize,
}

impl SamplerOptions {
    /// The defaults of `kind`.
    pub fn new(kind: SamplerKind) -> Self {
        let steps = match kind {
            SamplerKind::Calibrated => 32,
            SamplerKind::Convolved => 1000,
        };
        Self {
            kind,
            steps,
            sweeps: 4,
            sweep_steps: 16,
            finish_steps: 24,
            cg_iterations: 2,
            trajectories: 12,
            leapfrog_steps: 5,
        }
    }
}

/// One sample to draw.
#[derive(Clone, Debug)]
pub struct Slot {
    /// The job's likelihood; slots of one job share it.
    pub likelihood: Likelihood,
    /// Seed of the job.
    pub seed: u64,
    /// Number of the sample in the job.
    pub sample: u64,
}

/// Told of progress after every step of the batch.
pub trait Observer {
    /// `done` of `total` steps; `Break` cancels the batch.
    fn step(&mut self, done: usize, total: usize) -> ControlFlow<()>;
}

/// One drawn sample.
#[derive(Clone, Debug)]
pub struct SlotOutcome {
    /// The image [H * W] in network units, or why there is none.
    pub image: Result<Vec<f32>, String>,
    /// Conjugate-gradient iterations begun.
    pub cg_iterations: usize,
    /// Iterations stopped because the denoiser's Jacobian was not positive along the direction.
    pub cg_breakdowns: usize,
    /// Split-Gibbs sweeps done: 0 where the data are as sharp as the net's smallest level, or sharper. There the
    /// last step, conditioned on the data, is all that corrects the guidance: the sample fits the data, but what
    /// they hardly constrain is as the guidance left it.
    pub sweeps: usize,
    /// Metropolis proposals after the step size was found.
    pub proposals: usize,
    /// How many of them were accepted.
    pub accepted: usize,
    /// The step size that was found, radians; NaN without trajectories.
    pub step_size: f64,
}

/// A finished batch.
#[derive(Clone, Debug)]
pub struct BatchOutcome {
    /// One outcome a slot, in the order given.
    pub slots: Vec<SlotOutcome>,
    /// Evaluations of the network (a vector-Jacobian product counts as one).
    pub network_evaluations: usize,
    /// Seconds inside them.
    pub network_seconds: f64,
    /// Evaluations of the noise's score, one an exposure.
    pub noise_evaluations: usize,
    /// Seconds inside them.
    pub noise_seconds: f64,
    /// Seconds of the whole batch.
    pub total_seconds: f64,
}

/// Draws one posterior sample for each of at most [`CPU_BATCH`] slots.
///
/// # Errors
/// [`PosteriorError::Cancelled`] when the observer says so, [`PosteriorError::Config`] for options
/// out of range or a wrong number of slots, [`PosteriorError::Torch`]. A sample that leaves the
/// finite numbers fails alone, in its [`SlotOutcome`].
pub fn run(
    model: &PriorModel,
    slots: &[Slot],
    options: &SamplerOptions,
    observer: &mut dyn Observer,
) -> Result<BatchOutcome, PosteriorError> {
    let started = Instant::now();
    for (what, value) in [
        ("steps", options.steps),
        ("sweep_steps", options.sweep_steps),
        ("finish_steps", options.finish_steps),
        ("leapfrog_steps", options.leapfrog_steps),
    ] {
        if !(1..=100_000).contains(&value) {
            return Err(PosteriorError::config(what, "1 to 100000", value));
        }
    }
    if slots.is_empty() || slots.len() > CPU_BATCH {
        return Err(PosteriorError::config("slots", format!("1 to {CPU_BATCH}"), slots.len()));
    }
    // Data sharper than the net's smallest level take another path through the sampler. In one
    // batch with others they would make a sample depend on its neighbours. Jobs with learned noise
    // stay alone.
    let together = |a: &Slot, b: &Slot| match (&a.likelihood, &b.likelihood) {
        (Likelihood::Gaussian(a), Likelihood::Gaussian(b)) => {
            let sharp = |l| options.kind == SamplerKind::Calibrated && is_sharp(model, l);
            sharp(a) == sharp(b)
        }
        (a, b) => a.is_same(b),
    };
    let (first, second): (Vec<usize>, Vec<usize>) =
        (0..slots.len()).partition(|&i| together(&slots[i], &slots[0]));
    if !second.is_empty() {
        return run_apart(model, slots, [first, second], options, observer);
    }
    let _no_grad = tch::no_grad_guard();
    let mut batch = batch::Batch::new(model, slots, observer);
    let x = match (&slots[0].likelihood, options.kind) {
        (Likelihood::Gaussian(_), SamplerKind::Calibrated) => {
            calibrated::sample(&mut batch, options)?
        }
        (Likelihood::Gaussian(_), SamplerKind::Convolved) => {
            let score = |batch: &mut batch::Batch<'_>, x: &Tensor, v| {
                convolved::gaussian_score(batch, x, v)
            };
            convolved::sample(&mut batch, options, score)?
        }
        (Likelihood::Slic(l), SamplerKind::Calibrated) => slic::sample(&mut batch, l, options)?,
        (Likelihood::Slic(l), SamplerKind::Convolved) => slic::convolved(&mut batch, l, options)?,
    };
    let images = batch.images(&x.to_kind(Kind::Float))?;
    Ok(BatchOutcome {
        slots: batch.outcomes(images),
        network_evaluations: batch.evaluations(),
        network_seconds: batch.network_seconds(),
        noise_evaluations: batch.noise_evaluations,
        noise_seconds: batch.noise_seconds,
        total_seconds: started.elapsed().as_secs_f64(),
    })
}

/// Runs two parts of the slots one after the other; outcomes come in the slots' order.
fn run_apart(
    model: &PriorModel,
    slots: &[Slot],
    parts: [Vec<usize>; 2],
    options: &SamplerOptions,
    observer: &mut dyn Observer,
) -> Result<BatchOutcome, PosteriorError> {
    let mut placed = Vec::with_capacity(slots.len());
    let mut joint = BatchOutcome {
        slots: Vec::new(),
        network_evaluations: 0,
        network_seconds: 0.0,
        noise_evaluations: 0,
        noise_seconds: 0.0,
        total_seconds: 0.0,
    };
    for part in parts {
        let chosen: Vec<Slot> = part.iter().map(|&i| slots[i].clone()).collect();
        let outcome = run(model, &chosen, options, observer)?;
        joint.network_evaluations += outcome.network_evaluations;
        joint.network_seconds += outcome.network_seconds;
        joint.noise_evaluations += outcome.noise_evaluations;
        joint.noise_seconds += outcome.noise_seconds;
        joint.total_seconds += outcome.total_seconds;
        placed.extend(part.into_iter().zip(outcome.slots));
    }
    placed.sort_by_key(|(i, _)| *i);
    joint.slots = placed.into_iter().map(|(_, outcome)| outcome).collect();
    Ok(joint)
}

fn finite(image: &Tensor) -> Result<Vec<f32>, String> {
    let values = Vec::<f32>::try_from(image.flatten(0, -1)).map_err(|e| e.to_string())?;
    match values.iter().position(|v| !v.is_finite()) {
        None => Ok(values),
        Some(at) => {
            Err(format!("the sample left the finite numbers (pixel {at} is {})", values[at]))
        }
    }
}
