//! Hamiltonian Monte Carlo for a target known by its score, near a Gaussian reference.
//!
//! With the reference N(m, P) split off, ln target = ln N(x; m, P) - Phi(x), and velocities drawn from
//! N(0, P), the Gaussian part of the motion is a rotation in the plane of (x - m, v), done exactly; only
//! the force f = -grad Phi is left to kicks v += (step / 2) P f (Beskos et al. 2011, Stoch. Proc. Appl.
//! 121, 2201; Shahbaba et al. 2014, Stat. Comput. 24, 339). Where the reference is the target nothing is
//! ever rejected and a quarter turn forgets the start.
//!
//! The Metropolis ratio needs differences of Phi: line integrals of f by the trapezoid rule along the
//! steps, exact for a linear force. So that the target is left invariant up to that rule.

use std::f64::consts::FRAC_PI_2;

use tch::{Kind, Tensor};

use super::SamplerOptions;
use super::batch::Batch;
use super::solver::level_tensor;
use crate::error::PosteriorError;
use crate::likelihood::Reference;
use crate::rng::normal;

/// Acceptance that the step size is tuned to.
const ACCEPTANCE: f64 = 0.85;
/// Change of ln step for an acceptance that is off by one.
const RATE: f64 = 1.0;
/// Spread of ln step between trajectories, against resonances.
const JITTER: f64 = 0.1;

/// Where a trajectory stands: x, the force there, and P times the force.
struct State {
    x: Tensor,
    force: Tensor,
    pushed: Tensor,
}

impl State {
    fn new(reference: &Reference, x: Tensor, force: Tensor) -> Self {
        let pushed = reference.covariance(&force);
        Self { x, force, pushed }
    }

    fn copy(&self) -> Self {
        let [x, force, pushed] = [&self.x, &self.force, &self.pushed].map(|t| t.shallow_clone());
        Self { x, force, pushed }
    }
}

/// `o.trajectories` trajectories a row from x [B, 1, H, W]; the first half tunes each row's step size.
/// `force` is f = grad ln target - grad ln N(m, P).
pub(super) fn explore(
    batch: &mut Batch<'_>,
    x: Tensor,
    reference: &Reference,
    mut force: impl FnMut(&mut Batch<'_>, &Tensor) -> Tensor,
    o: &SamplerOptions,
) -> Result<Tensor, PosteriorError> {
    let tuning = o.trajectories / 2;
    let (device, rows) = (x.device(), batch.rngs.len());
    let longest = FRAC_PI_2 / o.leapfrog_steps as f64;
    let mut step = vec![longest; rows];
    let at = force(batch, &x);
    let mut here = State::new(reference, x, at);
    for trajectory in 0..o.trajectories {
        let mut v = reference.draw(&mut batch.rngs, device);
        // a^2 / 2 + b^2 / 2 is -ln of a uniform number.
        let random = rows_of(&normal(&mut batch.rngs, &[3], device))?;
        let angles: Vec<f64> =
            step.iter().zip(&random).map(|(s, z)| s * (-JITTER * z[2].abs()).exp()).collect();
        let mut there = here.copy();
        let mut energy = vec![0.0; rows];
        for _ in 0..o.leapfrog_steps {
            kick(&mut v, &there, &angles, &mut energy)?;
            let moved = rotate(&there.x, &mut v, reference.mean(), &angles);
            let force_there = force(batch, &moved);
            let work = dot(&((&there.force + &force_there) * 0.5), &(&moved - &there.x))?;
            energy.iter_mut().zip(work).for_each(|(e, w)| *e -= w);
            there = State::new(reference, moved, force_there);
            kick(&mut v, &there, &angles, &mut energy)?;
            batch.tick()?;
        }
        let mut accept = vec![false; rows];
        for row in 0..rows {
            // A comparison with NaN rejects.
            let z = &random[row];
            accept[row] = energy[row] < 0.5 * (z[0] * z[0] + z[1] * z[1]);
            if trajectory < tuning {
                let acceptance = (-energy[row]).exp().min(1.0);
                let acceptance = if acceptance.is_finite() { acceptance } else { 0.0 };
                step[row] = (step[row] * (RATE * (acceptance - ACCEPTANCE)).exp()).min(longest);
            } else {
                batch.accepted[row] += usize::from(accept[row]);
            }
        }
        batch.proposals += usize::from(trajectory >= tuning);
        let chosen = Tensor::from_slice(&accept).reshape([-1, 1, 1, 1]).to_device(device);
        let pick = |new: &Tensor, old: &Tensor| new.where_self(&chosen, old);
        here = State {
            x: pick(&there.x, &here.x),
            force: pick(&there.force, &here.force),
            pushed: pick(&there.pushed, &here.pushed),
        };
    }
    if o.trajectories > 0 {
        batch.step_sizes = step;
    }
    Ok(here.x)
}

/// v += (step / 2) P f, and the change of v^T P^-1 v / 2.
fn kick(
    v: &mut Tensor,
    at: &State,
    angles: &[f64],
    energy: &mut [f64],
) -> Result<(), PosteriorError> {
    let (along, own) = (dot(&at.force, v)?, dot(&at.force, &at.pushed)?);
    for (row, e) in energy.iter_mut().enumerate() {
        let half = 0.5 * angles[row];
        *e += half * along[row] + 0.5 * half * half * own[row];
    }
    *v += &at.pushed * column(angles.iter().map(|a| 0.5 * a), v);
    Ok(())
}

/// x after a turn of (x - m, v) by `angles`.
fn rotate(x: &Tensor, v: &mut Tensor, m: &Tensor, angles: &[f64]) -> Tensor {
    let (cos, sin) =
        (column(angles.iter().map(|a| a.cos()), x), column(angles.iter().map(|a| a.sin()), x));
    let offset = x - m;
    let moved = m + &offset * &cos + &*v * &sin;
    *v = &*v * cos - offset * sin;
    moved
}

fn column(values: impl Iterator<Item = f64>, like: &Tensor) -> Tensor {
    level_tensor(&values.collect::<Vec<_>>(), like.device()).reshape([-1, 1, 1, 1])
}

/// a . b of every row, summed in f64.
fn dot(a: &Tensor, b: &Tensor) -> Result<Vec<f64>, PosteriorError> {
    let product = (a * b).sum_dim_intlist([1i64, 2, 3].as_slice(), false, Kind::Double);
    Ok(Vec::<f64>::try_from(product)?)
}

fn rows_of(t: &Tensor) -> Result<Vec<Vec<f64>>, PosteriorError> {
    Ok(Vec::<Vec<f64>>::try_from(t.to_kind(Kind::Double))?)
}
