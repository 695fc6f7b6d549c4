//! A batch of samples, possibly of several jobs, that walk in step.

use std::cell::Cell;
use std::ops::{ControlFlow, Range};
use std::rc::Rc;
use std::time::Instant;

use tch::{Device, Kind, Tensor};

use super::solver::level_tensor;
use super::{CPU_BATCH, Observer, Slot, SlotOutcome, finite};
use crate::error::PosteriorError;
use crate::likelihood::GaussianLikelihood;
use crate::rng::{SampleRng, normal};
use crate::score::model_file::PriorModel;
use crate::score::{Denoiser, Linearized};

/// Neighbouring rows of the batch that share a likelihood.
pub(super) struct Group {
    pub likelihood: Rc<GaussianLikelihood>,
    pub rows: Range<usize>,
}

/// Data-space vectors, one tensor [CPU_BATCH, k_g] f64 a group; only the group's rows mean anything.
pub(super) type DataVectors = Vec<Tensor>;

/// The batch's slots sorted by likelihood and padded to [`CPU_BATCH`] rows with copies of the last.
pub(super) struct Batch<'a> {
    pub groups: Vec<Group>,
    pub model: &'a PriorModel,
    pub rngs: Vec<SampleRng>,
    pub cg_iterations: Vec<usize>,
    pub cg_breakdowns: Vec<usize>,
    /// Split-Gibbs sweeps of every row.
    pub sweeps: usize,
    /// Metropolis proposals and acceptances of every row.
    pub proposals: usize,
    pub accepted: Vec<usize>,
    /// Step size of every row's trajectories, radians.
    pub step_sizes: Vec<f64>,
    /// Evaluations of the noise's score and the seconds inside them.
    pub noise_evaluations: usize,
    pub noise_seconds: f64,
    /// Row of each slot.
    order: Vec<usize>,
    net: Counted<'a>,
    observer: &'a mut dyn Observer,
    steps_done: usize,
    pub steps_total: usize,
}

impl<'a> Batch<'a> {
    pub fn new(model: &'a PriorModel, slots: &[Slot], observer: &'a mut dyn Observer) -> Self {
        let mut groups: Vec<Group> = Vec::new();
        let mut order = vec![0; slots.len()];
        let mut rngs = Vec::with_capacity(CPU_BATCH);
        let mut placed = vec![false; slots.len()];
        for first in 0..slots.len() {
            if placed[first] {
                continue;
            }
            let likelihood = &slots[first].likelihood;
            let start = rngs.len();
            for (i, slot) in slots.iter().enumerate().skip(first) {
                if slot.likelihood.is_same(likelihood) {
                    placed[i] = true;
                    order[i] = rngs.len();
                    rngs.push(SampleRng::new(slot.seed, slot.sample));
                }
            }
            groups
                .push(Group { likelihood: likelihood.gaussian().clone(), rows: start..rngs.len() });
        }
        let last = rngs.last().expect("because a batch has at least one slot").clone();
        rngs.resize(CPU_BATCH, last);
        if let Some(group) = groups.last_mut() {
            group.rows.end = CPU_BATCH;
        }
        Self {
            groups,
            model,
            rngs,
            cg_iterations: vec![0; CPU_BATCH],
            cg_breakdowns: vec![0; CPU_BATCH],
            sweeps: 0,
            proposals: 0,
            accepted: vec![0; CPU_BATCH],
            step_sizes: vec![f64::NAN; CPU_BATCH],
            noise_evaluations: 0,
            noise_seconds: 0.0,
            order,
            net: Counted::new(&*model.denoiser),
            observer,
            steps_done: 0,
            steps_total: 1,
        }
    }

    /// Rows and columns of the images.
    pub fn image_shape(&self) -> [i64; 3] {
        let [h, w] = self.model.metadata.image_size;
        [1, h as i64, w as i64]
    }

    /// Device of the computation.
    pub fn device(&self) -> Device {
        self.groups[0].likelihood.w.device()
    }

    /// The denoiser, counted and timed.
    pub fn net(&self) -> &Counted<'a> {
        &self.net
    }

    /// Both the denoiser and the random streams, for the prior-only stages.
    pub fn net_and_rngs(&mut self) -> (&Counted<'a>, &mut [SampleRng], Progress<'_>) {
        let progress = Progress {
            observer: self.observer,
            done: &mut self.steps_done,
            total: self.steps_total,
        };
        (&self.net, &mut self.rngs, progress)
    }

    /// Standard normal images [B, 1, H, W].
    pub fn noise(&mut self) -> Tensor {
        let (shape, device) = (self.image_shape(), self.device());
        normal(&mut self.rngs, &shape, device)
    }

    /// Standard normal data of a group, [CPU_BATCH, k_g] f64, zero in the other groups' rows: only
    /// the group's own streams advance.
    pub fn data_noise(&mut self, group: usize) -> Tensor {
        let Group { likelihood, rows } = &self.groups[group];
        let (k, device) = (likelihood.s2.size()[0], likelihood.w.device());
        let e = normal(&mut self.rngs[rows.clone()], &[k], device).to_kind(Kind::Double);
        let padded = Tensor::zeros([CPU_BATCH as i64, k], (Kind::Double, device));
        padded.narrow(0, rows.start as i64, rows.len() as i64).copy_(&e);
        padded
    }

    /// Each row's posterior mean under the prior's Gaussian approximation, [B, 1, H, W].
    pub fn gaussian_means(&self) -> Result<Tensor, PosteriorError> {
        let [c, h, w] = self.image_shape();
        let mut parts = Vec::with_capacity(self.groups.len());
        for group in &self.groups {
            let mean = group.likelihood.gaussian_mean(&*self.model.denoiser)?;
            parts
                .push(mean.reshape([1, c, h, w]).expand([group.rows.len() as i64, c, h, w], false));
        }
        Ok(Tensor::cat(&parts, 0))
    }

    /// One value a row, from the row's likelihood.
    pub fn per_row(&self, f: impl Fn(&GaussianLikelihood) -> f64) -> Vec<f64> {
        let mut values = vec![0.0; CPU_BATCH];
        for group in &self.groups {
            values[group.rows.clone()].fill(f(&group.likelihood));
        }
        values
    }

    /// Counts one step; an error when the observer cancels.
    pub fn tick(&mut self) -> Result<(), PosteriorError> {
        if self.net_and_rngs().2.tick() { Ok(()) } else { Err(PosteriorError::Cancelled) }
    }

    /// W x in every group.
    pub fn apply(&self, x: &Tensor) -> DataVectors {
        let flat = x.reshape([CPU_BATCH as i64, -1]);
        let product = |g: &Group| flat.matmul(&g.likelihood.w.tr()).to_kind(Kind::Double);
        self.groups.iter().map(product).collect()
    }

    /// W^T u, each row by its own group, [B, 1, H, W].
    pub fn adjoint(&self, u: &DataVectors) -> Tensor {
        let parts: Vec<Tensor> = self
            .groups
            .iter()
            .zip(u)
            .map(|(g, u)| {
                let all = u.to_kind(Kind::Float).matmul(&g.likelihood.w);
                all.narrow(0, g.rows.start as i64, g.rows.len() as i64)
            })
            .collect();
        let [c, h, w] = self.image_shape();
        Tensor::cat(&parts, 0).reshape([CPU_BATCH as i64, c, h, w])
    }

    /// y - W x in every group.
    pub fn residual(&self, x: &Tensor) -> DataVectors {
        self.apply(x).iter().zip(&self.groups).map(|(wx, g)| &g.likelihood.y - wx).collect()
    }

    /// Images of the slots in their order, or why there are none.
    pub fn images(&self, x: &Tensor) -> Result<Vec<Result<Vec<f32>, String>>, PosteriorError> {
        let x = x.to_device(Device::Cpu);
        Ok(self.order.iter().map(|&row| finite(&x.get(row as i64))).collect())
    }

    /// Attaches the counters to the images.
    pub fn outcomes(&self, images: Vec<Result<Vec<f32>, String>>) -> Vec<SlotOutcome> {
        let rows = self.order.iter();
        rows.zip(images)
            .map(|(&row, image)| SlotOutcome {
                image,
                cg_iterations: self.cg_iterations[row],
                cg_breakdowns: self.cg_breakdowns[row],
                sweeps: self.sweeps,
                proposals: self.proposals,
                accepted: self.accepted[row],
                step_size: self.step_sizes[row],
            })
            .collect()
    }

    pub fn evaluations(&self) -> usize {
        self.net.evaluations.get()
    }

    pub fn network_seconds(&self) -> f64 {
        self.net.seconds.get()
    }
}

/// Progress of a batch towards its observer.
pub(super) struct Progress<'a> {
    observer: &'a mut dyn Observer,
    done: &'a mut usize,
    total: usize,
}

impl Progress<'_> {
    /// Counts one step; false when the observer cancels.
    pub fn tick(&mut self) -> bool {
        *self.done += 1;
        matches!(self.observer.step(*self.done, self.total), ControlFlow::Continue(()))
    }
}

/// A denoiser that counts its evaluations and the time they take.
pub(super) struct Counted<'a> {
    net: &'a dyn Denoiser,
    evaluations: Rc<Cell<usize>>,
    seconds: Rc<Cell<f64>>,
}

impl<'a> Counted<'a> {
    fn new(net: &'a dyn Denoiser) -> Self {
        Self { net, evaluations: Rc::default(), seconds: Rc::default() }
    }

    /// D(x, sigma) with its vector-Jacobian product; `levels` holds B values.
    pub fn linearize_at(&self, x: &Tensor, levels: &[f64]) -> Linearized {
        let sigma = level_tensor(levels, x.device());
        let inner = self.timed(|| self.net.linearize(x, &sigma));
        let value = inner.value.shallow_clone();
        let (evaluations, seconds) = (self.evaluations.clone(), self.seconds.clone());
        Linearized::new(value, move |u| timed(&evaluations, &seconds, || inner.vjp(u)))
    }

    fn timed<T>(&self, f: impl FnOnce() -> T) -> T {
        timed(&self.evaluations, &self.seconds, f)
    }
}

fn timed<T>(evaluations: &Cell<usize>, seconds: &Cell<f64>, f: impl FnOnce() -> T) -> T {
    let started = Instant::now();
    let value = f();
    evaluations.set(evaluations.get() + 1);
    seconds.set(seconds.get() + started.elapsed().as_secs_f64());
    value
}

impl Denoiser for Counted<'_> {
    fn denoise(&self, x: &Tensor, sigma: &Tensor) -> Tensor {
        self.timed(|| self.net.denoise(x, sigma))
    }

    fn linearize(&self, x: &Tensor, sigma: &Tensor) -> Linearized {
        self.timed(|| self.net.linearize(x, sigma))
    }

    fn mean(&self) -> &Tensor {
        self.net.mean()
    }

    fn power(&self) -> &Tensor {
        self.net.power()
    }
}
