//! Light that outliers do not touch.

use std::collections::HashMap;

use tch::{Kind, Tensor};

use crate::error::PosteriorError;

/// Pixels fainter than this, in sigma, are no sharp outliers.
const BRIGHT: f32 = 10.0;
/// Standard errors by which a pixel must exceed what its neighbours allow.
const SIGNIFICANCE: f32 = 4.0;
/// Factor on the PSF's share in the neighbours, for PSFs that are broader than the telescope's.
const MARGIN: f32 = 0.7;
/// Offsets (dy, dx) of a pair of opposite neighbours.
const PAIRS: [(isize, isize); 6] = [(0, 1), (1, 0), (1, 1), (1, -1), (0, 2), (2, 0)];
/// Model pixels with less of a row's largest value do not enter its bound.
const FAINT: f64 = 0.01;

/// Residual, in sigma, at which a pixel's weight is half.
const HALF_WEIGHT: f64 = 3.0;
/// Rounds of the fit.
const ROUNDS: usize = 40;
/// Smallest factor of a pixel in one round: what was once dark can shine again.
const SLOWEST: f64 = 0.2;

/// Which pixels of one exposure are sharper than any light: positions into `used`, its used pixels by flat index.
///
/// Light x >= 0 gives a pixel p and its neighbours p +- d values y = A x with
///
/// y_p <= (y_{p+d} + y_{p-d}) / 2 f,  f = min over m of (A_{p+d,m} + A_{p-d,m}) / 2 A_pm
///
/// whatever x. A pixel that exceeds the bound significantly in any direction is a ray or hot: a ray along d has
/// dark neighbours across. A [m, n] f32, y [m] of unit noise.
///
/// # Errors
/// [`PosteriorError::Torch`].
pub(super) fn sharp(
    a: &Tensor,
    y: &[f32],
    used: &[usize],
    nx: usize,
) -> Result<Vec<bool>, PosteriorError> {
    let place: HashMap<(isize, isize), usize> =
        used.iter().enumerate().map(|(k, i)| (((i / nx) as isize, (i % nx) as isize), k)).collect();
    let mut found = vec![false; y.len()];
    for (dy, dx) in PAIRS {
        let pair = |k: usize| {
            let (v, u) = ((used[k] / nx) as isize, (used[k] % nx) as isize);
            let [one, other] = [(v + dy, u + dx), (v - dy, u - dx)].map(|at| place.get(&at));
            Some([k, *one?, *other?])
        };
        let bright = (0..y.len()).filter(|&k| y[k] > BRIGHT && !found[k]);
        let candidates: Vec<[usize; 3]> = bright.filter_map(pair).collect();
        for part in candidates.chunks(256) {
            let rows = |j: usize| {
                let index: Vec<i64> = part.iter().map(|c| c[j] as i64).collect();
                a.index_select(0, &Tensor::from_slice(&index))
            };
            let own = rows(0);
            let counts = own.gt_tensor(&(own.amax([1i64].as_slice(), true) * FAINT));
            let ratio = (rows(1) + rows(2)) / (&own * 2.0);
            let ratio = ratio.where_self(&counts, &Tensor::from(f32::INFINITY));
            let share = Vec::<f32>::try_from(ratio.amin([1i64].as_slice(), false))?;
            for ([k, one, other], f) in part.iter().zip(share) {
                let f = (MARGIN * f).max(1e-3);
                let excess = y[*k] - (y[*one] + y[*other]) / (2.0 * f);
                found[*k] |= excess > SIGNIFICANCE * (1.0 + 0.5 / (f * f)).sqrt();
            }
        }
    }
    Ok(found)
}

/// Non-negative x [n] f32 that fits y [m], of unit noise, as A x, A [m, n] >= 0, under Cauchy's loss
/// sum ln(1 + (r / 3)^2) of the residuals r = y - A x of the pixels where `counts` [m] is 1, and not 0.
///
/// Both steps of a round lower it: weights w = 1 / (1 + (r / 3)^2) make it a sum of squares that touches it from
/// above (iteratively reweighted least squares: Holland & Welsch 1977, Commun. Stat. A6, 813), and
///
/// x <- x A^T w y / A^T w A x
///
/// lowers the sum of squares (ISRA: Daube-Witherspoon & Muehllehner 1986, IEEE Trans. Med. Imaging 5, 61).
///
/// The loss has many minima; the start decides. From a faint flat sky light grows where a pixel and its
/// neighbours agree. A ray's weight is small from the first round on, and its dark neighbours hold the light
/// beneath it down.
pub(super) fn light(a: &Tensor, y: &Tensor, counts: &Tensor) -> Tensor {
    let sums = a.sum_dim_intlist([0i64].as_slice(), false, Kind::Float);
    let mean_row = (sums.sum(Kind::Double) / a.size()[0]).double_value(&[]);
    let mut x = Tensor::ones_like(&sums) / mean_row.max(f64::MIN_POSITIVE);
    for _ in 0..ROUNDS {
        let fitted = a.mv(&x);
        let weight = (((y - &fitted) / HALF_WEIGHT).square() + 1.0).reciprocal() * counts;
        let pull = Tensor::stack(&[&weight * y, &weight * &fitted], 0).matmul(a);
        // Model pixels that no data see have 0 / 0: they keep what they have.
        let factor =
            (pull.get(0) / pull.get(1).clamp_min(f64::from(f32::MIN_POSITIVE))).clamp_min(SLOWEST);
        x = (&x * factor).where_self(&sums.gt(0.0), &x);
    }
    x
}
