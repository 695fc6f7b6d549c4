//! The statistics behind the diagnostics.

use ndarray::Array2;

/// P(chi^2_dof >= chi2) = Q(dof/2, chi2/2), the regularised upper incomplete gamma function.
///
/// NaN for NaN and for no degrees of freedom. Accuracy: 1e-8 absolute for dof <= 1e5, against
/// the closed form for even dof (test `survival_of_chi2`).
pub fn chi2_survival(chi2: f64, dof: usize) -> f64 {
    if chi2.is_nan() || chi2 < 0.0 || dof == 0 {
        return f64::NAN;
    }
    if chi2 == 0.0 {
        return 1.0;
    }
    statrs::function::gamma::checked_gamma_ur(dof as f64 / 2.0, chi2 / 2.0).unwrap_or(f64::NAN)
}

/// Lag-one autocorrelation of an image and its standard error for white noise: Moran's I
/// (Moran 1950) about mean zero, neighbours sharing an edge,
///
/// I = (1/P) sum over pairs of w_i w_j / (1/m) sum of w_i^2,  se = 1/sqrt(P)
///
/// for m finite pixels in P pairs; pixels that are NaN take no part. The products of different
/// pairs are uncorrelated, hence the standard error. Positive: smooth structure is left.
pub fn lag_one(image: &Array2<f64>) -> (f64, f64) {
    let (ny, nx) = image.dim();
    let (mut pairs, mut products, mut pixels, mut power) = (0usize, 0.0, 0usize, 0.0);
    for ((y, x), w) in image.indexed_iter() {
        if w.is_nan() {
            continue;
        }
        pixels += 1;
        power += w * w;
        let right = (x + 1 < nx).then(|| image[[y, x + 1]]);
        let above = (y + 1 < ny).then(|| image[[y + 1, x]]);
        for neighbour in [right, above].into_iter().flatten().filter(|v| !v.is_nan()) {
            pairs += 1;
            products += w * neighbour;
        }
    }
    let p = pairs as f64;
    (products / p / (power / pixels as f64), 1.0 / p.sqrt())
}

/// Median of the values that are not NaN; NaN when there are none.
pub fn median(values: &[f64]) -> f64 {
    let mut sorted: Vec<f64> = values.iter().copied().filter(|v| !v.is_nan()).collect();
    sorted.sort_by(f64::total_cmp);
    match sorted.len() {
        0 => f64::NAN,
        n if n % 2 == 1 => sorted[n / 2],
        n => (sorted[n / 2 - 1] + sorted[n / 2]) / 2.0,
    }
}
