//! Moment-matching posterior sampling (MMPS; Rozet et al. 2024, arXiv 2405.13712, eqs 11-16).
//!
//! p(y | x_t) is approximated by N(W D, 1 + W C W^T) with C = sigma^2 dD/dx the covariance of x_0
//! given x_t (second-order Tweedie). It is exact for a Gaussian prior.

use std::rc::Rc;

use tch::{Kind, Tensor};

use super::batch::{Batch, DataVectors, Group};
use crate::error::PosteriorError;
use crate::likelihood::Preconditioner;
use crate::score::Linearized;

/// Row sums of a b, [B, 1] f64, one tensor a group.
fn dot(a: &DataVectors, b: &DataVectors) -> DataVectors {
    let sum =
        |(a, b): (&Tensor, &Tensor)| (a * b).sum_dim_intlist([1i64].as_slice(), true, Kind::Double);
    a.iter().zip(b).map(sum).collect()
}

/// The guided denoised image D* = D + C W^T u with (1 + W C W^T) u = y - W D, by `iterations`
/// preconditioned conjugate-gradient steps.
///
/// A network's Jacobian is not symmetric positive: where p^T W C W^T p <= 0, a row stops and keeps
/// what it has (the preconditioned start if that was the first step). Such breakdowns are counted.
///
/// # Shapes
/// x [B, 1, H, W]; levels holds B noise levels.
pub(super) fn guide(
    batch: &mut Batch<'_>,
    x: &Tensor,
    levels: &[f64],
    iterations: usize,
) -> Result<Tensor, PosteriorError> {
    let at = batch.net().linearize_at(x, levels);
    let sigma2 = super::solver::level_tensor(levels, x.device()).square().reshape([-1, 1, 1, 1]);
    let precondition = preconditioners(batch, levels)?;
    let covariance = |at: &Linearized, v: &Tensor| at.vjp(v) * &sigma2;

    let mut r = batch.residual(&at.value);
    let mut guided = at.value.shallow_clone();
    let mut s = apply_each(&precondition, &r);
    let mut p: DataVectors = s.iter().map(Tensor::shallow_clone).collect();
    let mut rs = dot(&r, &s);
    let mut active = vec![true; levels.len()];
    for iteration in 0..iterations {
        let pulled = batch.adjoint(&p);
        let cp = covariance(&at, &pulled);
        // p^T q = p^T p + (W^T p)^T C (W^T p): the last iteration needs no W.
        let curvature =
            (pulled * &cp).sum_dim_intlist([1i64, 2, 3].as_slice(), false, Kind::Double);
        let curvature = Vec::<f64>::try_from(curvature)?;
        let pp = dot(&p, &p);
        let mut step = vec![0.0; levels.len()];
        for (g, group) in batch.groups.iter().enumerate() {
            let column = |t: &Tensor| Vec::<f64>::try_from(t.flatten(0, -1));
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
        let steps = Tensor::from_slice(&step).to_device(x.device());
        guided += &cp * steps.to_kind(Kind::Float).reshape([-1, 1, 1, 1]);
        if iteration + 1 == iterations || !active.contains(&true) {
            break;
        }
        let steps = steps.unsqueeze(1);
        let q = batch.apply(&cp).into_iter().zip(&p).map(|(wc, p)| wc + p);
        r = r.iter().zip(q).map(|(r, q)| r - &steps * q).collect();
        s = apply_each(&precondition, &r);
        let rs_next = dot(&r, &s);
        p = (0..p.len()).map(|g| &s[g] + &p[g] * (&rs_next[g] / &rs[g])).collect();
        rs = rs_next;
    }
    Ok(guided)
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
