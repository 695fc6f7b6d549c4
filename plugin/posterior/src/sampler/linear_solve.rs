//! Conjugate gradients for (1 + W C W^T) u = r, in every row of a batch at once.

use std::rc::Rc;

use tch::{Kind, Tensor};

use super::batch::{Batch, DataVectors, Group};
use crate::error::PosteriorError;
use crate::likelihood::Preconditioner;

/// When a row stops.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limit {
    /// Most iterations.
    pub iterations: usize,
    /// rms of what is left of r, per datum: r is whitened, so this is in sigma of the data.
    pub rms: f64,
}

/// start + C W^T u with (1 + W C W^T) u = r, by preconditioned conjugate gradients (Hestenes & Stiefel 1952).
///
/// A network's Jacobian is not symmetric positive: where p^T W C W^T p <= 0, a row stops and keeps
/// what it has (the preconditioned start if that was the first step). Such breakdowns are counted.
/// Rows stop by themselves: what a row does depends on nothing else in the batch. One whose residual is zero is
/// solved: it keeps what it has, and is no breakdown.
///
/// # Shapes
/// start [B, 1, H, W], as is what `covariance` takes and returns; levels holds the B noise levels of
/// the preconditioner.
pub(super) fn pull_back(
    batch: &mut Batch<'_>,
    start: &Tensor,
    mut r: DataVectors,
    covariance: impl Fn(&Tensor) -> Tensor,
    levels: &[f64],
    limit: Limit,
) -> Result<Tensor, PosteriorError> {
    let device = start.device();
    let precondition = preconditioners(batch, levels)?;
    let mut result = start.copy();
    let mut s = apply_each(&precondition, &r);
    let mut p: DataVectors = s.iter().map(Tensor::shallow_clone).collect();
    let mut rs = dot(&r, &s);
    let mut active = vec![true; levels.len()];
    stop_solved(batch, &r, limit.rms, &mut active)?;
    for iteration in 0..limit.iterations {
        if !active.contains(&true) {
            break;
        }
        let pulled = batch.adjoint(&p);
        let cp = covariance(&pulled);
        // p^T q = p^T p + (W^T p)^T C (W^T p): the last iteration needs no W.
        let curvature =
            (pulled * &cp).sum_dim_intlist([1i64, 2, 3].as_slice(), false, Kind::Double);
        let curvature = Vec::<f64>::try_from(curvature)?;
        let pp = dot(&p, &p);
        let mut step = vec![0.0; levels.len()];
        for (g, group) in batch.groups.iter().enumerate() {
            let (pp, rs) = (column(&pp[g])?, column(&rs[g])?);
            for row in group.rows.clone() {
                if !active[row] {
                    continue;
                }
                batch.cg_iterations[row] += 1;
                if curvature[row] > 0.0 {
                    step[row] = rs[row] / (pp[row] + curvature[row]);
                    continue;
                }
                active[row] = false;
                // p = 0 is an exact solution, not a breakdown; so is one whose curvature f32 cannot hold.
                if pp[row] > f64::from(f32::MIN_POSITIVE) {
                    batch.cg_breakdowns[row] += 1;
                    step[row] = if iteration == 0 { 1.0 } else { 0.0 };
                }
            }
        }
        let steps = Tensor::from_slice(&step).to_device(device);
        result += &cp * steps.to_kind(Kind::Float).reshape([-1, 1, 1, 1]);
        if iteration + 1 == limit.iterations {
            break;
        }
        let steps = steps.unsqueeze(1);
        let q = batch.apply(&cp).into_iter().zip(&p).map(|(wc, p)| wc + p);
        r = r.iter().zip(q).map(|(r, q)| r - &steps * q).collect();
        stop_solved(batch, &r, limit.rms, &mut active)?;
        s = apply_each(&precondition, &r);
        let rs_next = dot(&r, &s);
        p = (0..p.len()).map(|g| &s[g] + &p[g] * ratio(&rs_next[g], &rs[g])).collect();
        rs = rs_next;
    }
    Ok(result)
}

/// a / b, and 0 where b is zero: a solved row's next direction is its residual, zero. 0 / 0 would make the row NaN
/// though it has stopped, since a step of zero times NaN is NaN.
fn ratio(a: &Tensor, b: &Tensor) -> Tensor {
    let none = b.eq(0.0);
    (a / b.masked_fill(&none, 1.0)).masked_fill(&none, 0.0)
}

/// Stops the rows whose residual is small enough.
fn stop_solved(
    batch: &Batch<'_>,
    r: &DataVectors,
    rms: f64,
    active: &mut [bool],
) -> Result<(), PosteriorError> {
    for (group, r) in batch.groups.iter().zip(r) {
        let mean_square = r.square().mean_dim([1i64].as_slice(), false, Kind::Double);
        let mean_square = Vec::<f64>::try_from(mean_square)?;
        for row in group.rows.clone() {
            active[row] &= mean_square[row] > rms * rms;
        }
    }
    Ok(())
}

/// Row sums of a b, [B, 1] f64, one tensor a group.
fn dot(a: &DataVectors, b: &DataVectors) -> DataVectors {
    let sum =
        |(a, b): (&Tensor, &Tensor)| (a * b).sum_dim_intlist([1i64].as_slice(), true, Kind::Double);
    a.iter().zip(b).map(sum).collect()
}

fn column(t: &Tensor) -> Result<Vec<f64>, PosteriorError> {
    Ok(Vec::<f64>::try_from(t.flatten(0, -1))?)
}

/// The preconditioner of every group at its noise level.
fn preconditioners(
    batch: &Batch<'_>,
    levels: &[f64],
) -> Result<Vec<Rc<Preconditioner>>, PosteriorError> {
    let of = |group: &Group| group.likelihood.preconditioner(levels[group.rows.start]);
    batch.groups.iter().map(of).collect()
}

fn apply_each(preconditioners: &[Rc<Preconditioner>], vectors: &DataVectors) -> DataVectors {
    preconditioners.iter().zip(vectors).map(|(m, v)| m.apply(v)).collect()
}

#[cfg(test)]
mod tests {
    use std::ops::ControlFlow;
    use std::sync::Arc;

    use ndarray::Array2;
    use pellucid_exposure::{Exposure, ModelGrid, Psf};
    use tch::Device;

    use super::*;
    use crate::likelihood::GaussianLikelihood;
    use crate::sampler::{CPU_BATCH, Observer, Slot};
    use crate::score::Denoiser;
    use crate::score::analytic::GaussianField;
    use crate::score::model_file::{Architecture, FORMAT, Metadata, PriorModel};
    use crate::sde::Sde;

    const SIDE: usize = 8;

    struct Patient;

    impl Observer for Patient {
        fn step(&mut self, _: usize, _: usize) -> ControlFlow<()> {
            ControlFlow::Continue(())
        }
    }

    fn field() -> PriorModel {
        let shape = [SIDE as i64, SIDE as i64];
        let full = |v: f64| Tensor::full(shape, v, (Kind::Double, Device::Cpu));
        let field = GaussianField::new(&full(0.0), &full(1.0), Device::Cpu).expect("a field");
        let metadata = Metadata {
            format: FORMAT,
            kind: "prior".into(),
            architecture: Architecture::GaussianField {},
            sde: Sde::Ve { sigma_min: 0.002, sigma_max: 50.0 },
            image_size: [SIDE, SIDE],
            channels: 1,
            pixel_scale_arcsec: 0.1,
            flux_convention: "surface_brightness".into(),
            flux_scale: None,
            licence: "MIT".into(),
            trained_on: "closed form".into(),
            training_steps: 0,
            training_images: 0,
        };
        PriorModel { metadata, denoiser: Box::new(field), sha256: String::new(), path: "".into() }
    }

    fn likelihood(denoiser: &dyn Denoiser) -> Rc<GaussianLikelihood> {
        let grid = ModelGrid::new(SIDE, SIDE, 10.0, -20.0, 0.1).expect("a grid");
        let shape = (SIDE, SIDE);
        let pixels = Array2::from_shape_fn(shape, |(y, x)| ((3 * y + 5 * x) % 7) as f64);
        let (variance, good) = (Array2::ones(shape), Array2::from_elem(shape, true));
        let psf = Arc::new(Psf::new(Array2::ones((1, 1)), 1, false).expect("a PSF"));
        let wcs = Arc::new(grid.clone());
        let exposure = Exposure::new("e", pixels, variance, good, wcs, psf).expect("an exposure");
        let exposures = [Arc::new(exposure)];
        let built = GaussianLikelihood::new(&exposures, &grid, denoiser, 1.0, Device::Cpu);
        Rc::new(built.expect("a likelihood"))
    }

    /// Row 0 has nothing left to solve, row 1 so little that its curvature is zero in f32, the others go on.
    #[test]
    fn a_solved_row_stops_without_nan_or_breakdown() {
        let model = field();
        let likelihood = likelihood(&*model.denoiser);
        let slot = |sample| Slot { likelihood: likelihood.clone().into(), seed: 1, sample };
        let slots: Vec<Slot> = (0..CPU_BATCH as u64).map(slot).collect();
        let mut observer = Patient;
        let mut batch = Batch::new(&model, &slots, &mut observer);
        let size = [CPU_BATCH as i64, 1, SIDE as i64, SIDE as i64];
        let start = Tensor::full(size, 0.5, (Kind::Float, Device::Cpu));
        let r = batch.residual(&start);
        let _ = r[0].get(0).fill_(0.0);
        let _ = r[0].get(1).fill_(1e-24);
        let left = r[0].copy();
        let limit = Limit { iterations: 6, rms: 0.0 };
        let levels = vec![1.3; CPU_BATCH];
        let solved =
            pull_back(&mut batch, &start, r, |u| u * 1.3 * 1.3, &levels, limit).expect("solved");
        assert_eq!(solved.isfinite().all().int64_value(&[]), 1, "{solved:?}");
        assert_eq!(batch.cg_breakdowns, vec![0; CPU_BATCH]);
        let moved = (&solved - &start).abs().flatten(1, 3);
        let moved =
            Vec::<f64>::try_from(moved.amax([1i64].as_slice(), false).to_kind(Kind::Double));
        let moved = moved.expect("a number a row");
        assert!(moved[0] == 0.0 && moved[1] < 1e-6 && moved[2] > 0.1, "{moved:?}");
        // The others have (1 + W C W^T) u = r: data of unit noise, A = 1.
        let s2 = &likelihood.s2 * (1.3 * 1.3) + 1.0;
        let exact = batch.adjoint(&vec![&left / &s2]) * (1.3 * 1.3) + &start;
        let error = (exact - &solved).narrow(0, 2, 6).abs().max().double_value(&[]);
        assert!(error < 1e-5, "{error}");
    }
}
