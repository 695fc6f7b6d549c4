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
/// Rows stop by themselves: what a row does depends on nothing else in the batch.
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
                // p = 0 is an exact solution, not a breakdown.
                if pp[row] > 0.0 {
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
        p = (0..p.len()).map(|g| &s[g] + &p[g] * (&rs_next[g] / &rs[g])).collect();
        rs = rs_next;
    }
    Ok(result)
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
