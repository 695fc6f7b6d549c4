//! Smooth lattice noise: the patchiness of star formation and the frayed edges of arms.

/// Hash of a lattice point to -1..1 (the finaliser of MurmurHash3).
#[inline]
fn lattice(x: i32, y: i32, seed: u32) -> f32 {
    let mut h = (x as u32).wrapping_mul(0x8da6_b343) ^ (y as u32).wrapping_mul(0xd816_3841) ^ seed;
    h = (h ^ (h >> 16)).wrapping_mul(0x85eb_ca6b);
    h = (h ^ (h >> 13)).wrapping_mul(0xc2b2_ae35);
    h ^= h >> 16;
    (h >> 8) as f32 * (2.0 / 16_777_216.0) - 1.0
}

/// Value noise in -1..1 with cells of side 1; `period` > 0 makes it periodic in x.
#[inline]
pub(crate) fn noise(x: f32, y: f32, period: i32, seed: u32) -> f32 {
    let (fx, fy) = (x.floor(), y.floor());
    let (tx, ty) = (x - fx, y - fy);
    let (sx, sy) = (tx * tx * (3.0 - 2.0 * tx), ty * ty * (3.0 - 2.0 * ty));
    let wrap = |i: i32| if period > 0 { i.rem_euclid(period) } else { i };
    let (i, j) = (fx as i32, fy as i32);
    let (i0, i1) = (wrap(i), wrap(i + 1));
    let bottom = lattice(i0, j, seed) * (1.0 - sx) + lattice(i1, j, seed) * sx;
    let top = lattice(i0, j + 1, seed) * (1.0 - sx) + lattice(i1, j + 1, seed) * sx;
    bottom + (top - bottom) * sy
}

/// Two octaves of [`noise`], standard deviation about 0.45.
#[inline]
pub(crate) fn fractal(x: f32, y: f32, period: i32, seed: u32) -> f32 {
    noise(x, y, period, seed) + 0.5 * noise(2.0 * x, 2.0 * y, 2 * period, seed ^ 0x9e37_79b9)
}
