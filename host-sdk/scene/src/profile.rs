//! Radial profiles as tables: Sersic, softened in the centre and tapered to zero.

use std::f64::consts::PI;

const STEPS: usize = 768;

/// Smooth step from 0 at `a` to 1 at `b`, with zero slope at both.
pub(crate) fn smoothstep(a: f32, b: f32, x: f32) -> f32 {
    let t = ((x - a) / (b - a)).clamp(0.0, 1.0);
    t * t * (3.0 - 2.0 * t)
}

/// b_n of the Sersic profile, eq. (18) of Ciotti & Bertin (1999); 1e-4 relative for n > 0.4.
pub(crate) fn sersic_b(n: f64) -> f64 {
    2.0 * n - 1.0 / 3.0 + 4.0 / (405.0 * n) + 46.0 / (25515.0 * n * n)
}

/// A profile tabulated in steps of `r_max / STEPS`, zero from `r_max` on.
#[derive(Clone, Debug)]
pub(crate) struct Profile {
    table: Vec<f32>,
    inverse_step: f32,
    pub(crate) r_max: f32,
}

impl Profile {
    /// Any function of radius on 0..r_max.
    pub(crate) fn tabulate(r_max: f64, f: impl Fn(f64) -> f64) -> Self {
        let step = r_max / STEPS as f64;
        let mut table: Vec<f32> = (0..STEPS).map(|i| f(i as f64 * step) as f32).collect();
        table.extend([0.0, 0.0]);
        Self { table, inverse_step: (1.0 / step) as f32, r_max: r_max as f32 }
    }

    /// Sersic profile of unit flux on a circle,
    /// `exp(-b ((r^2 + core^2)^(1/2n) / r_half^(1/n)))` times a taper from 1 at `0.55 r_max` to 0 at `r_max`.
    ///
    /// Softening and taper move the true half-light radius from `r_half` by a few per cent for discs, and
    /// by more for large n: the flux is normalised with them in.
    pub(crate) fn sersic(n: f64, r_half: f64, core: f64, r_max: f64) -> Self {
        let (b, exponent) = (sersic_b(n), 0.5 / n);
        let shape = |r: f64| {
            let s = (r * r + core * core) / (r_half * r_half);
            let taper = 1.0 - f64::from(smoothstep(0.55, 1.0, (r / r_max) as f32));
            (-b * s.powf(exponent)).exp() * taper
        };
        let mut profile = Self::tabulate(r_max, shape);
        let flux = profile.flux();
        profile.table.iter_mut().for_each(|v| *v /= flux as f32);
        profile
    }

    /// `2 pi Int f r dr` of the piecewise linear table.
    fn flux(&self) -> f64 {
        let step = 1.0 / f64::from(self.inverse_step);
        let sum: f64 = (0..STEPS)
            .map(|i| {
                let (f, g) = (f64::from(self.table[i]), f64::from(self.table[i + 1]));
                let i = i as f64;
                f * (i / 2.0 + 1.0 / 6.0) + g * (i / 2.0 + 1.0 / 3.0)
            })
            .sum();
        2.0 * PI * step * step * sum
    }

    /// The profile at `r >= 0`.
    #[inline]
    pub(crate) fn at(&self, r: f32) -> f32 {
        let t = r * self.inverse_step;
        if t >= STEPS as f32 {
            return 0.0;
        }
        let i = t as usize;
        let (f, g) = (self.table[i], self.table[i + 1]);
        f + (g - f) * (t - i as f32)
    }

    /// The same light seen edge-on, per unit length: `2 Int_0^inf f(sqrt(u^2 + l^2)) dl`.
    pub(crate) fn edge_on(&self) -> Self {
        let r_max = f64::from(self.r_max);
        let coarse = 160;
        let step = self.r_max / coarse as f32;
        Self::tabulate(r_max, |u| {
            let u = u as f32;
            let sum: f32 = (0..coarse).map(|i| self.at(u.hypot((i as f32 + 0.5) * step))).sum();
            f64::from(2.0 * step * sum)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_of_an_untapered_disc_lies_within_its_half_light_radius() {
        let p = Profile::sersic(1.0, 5.0, 0.0, 80.0);
        let inner: f64 = (0..5000)
            .map(|i| (i as f64 + 0.5) * 1e-3)
            .map(|r| 2.0 * PI * r * f64::from(p.at(r as f32)) * 1e-3)
            .sum();
        assert!((inner - 0.5).abs() < 2e-3, "{inner}");
    }

    #[test]
    fn edge_on_keeps_the_flux() {
        let p = Profile::sersic(1.0, 5.0, 0.5, 20.0).edge_on();
        let sum: f64 =
            (0..4000).map(|i| 2.0 * 5e-3 * f64::from(p.at((i as f32 + 0.5) * 5e-3))).sum();
        assert!((sum - 1.0).abs() < 3e-3, "{sum}");
    }
}
