//! Medians of small windows.

use ndarray::Array2;

/// The median of `values`, the upper one of an even number; `None` of nothing. Reorders them.
pub(super) fn of(values: &mut [f32]) -> Option<f32> {
    let middle = values.len() / 2;
    (!values.is_empty()).then(|| *values.select_nth_unstable_by(middle, f32::total_cmp).1)
}

/// The median of `value` over the (2 `half` + 1)^2 pixels about (y, x), cut at the edges, of those
/// it returns something for. `half` is at most 3.
pub(super) fn window(
    shape: (usize, usize),
    (y, x): (usize, usize),
    half: usize,
    value: impl Fn((usize, usize)) -> Option<f32>,
) -> Option<f32> {
    let mut found = [0f32; 49];
    let mut count = 0;
    for j in y.saturating_sub(half)..(y + half + 1).min(shape.0) {
        for i in x.saturating_sub(half)..(x + half + 1).min(shape.1) {
            if let Some(v) = value((j, i)) {
                found[count] = v;
                count += 1;
            }
        }
    }
    of(&mut found[..count])
}

/// Median of the valid 5 x 5 neighbours that are not in `without`; 0, the sky, if there are none.
pub(super) fn neighbours(z: &Array2<f32>, at: (usize, usize), usable: &Array2<bool>) -> f32 {
    window(z.dim(), at, 2, |p| usable[p].then(|| z[p])).unwrap_or(0.0)
}
