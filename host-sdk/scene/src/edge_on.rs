//! Discs seen edge-on, with their dust lane.

use crate::disc::{Patches, warp};
use crate::profile::Profile;
use crate::texture::fractal;

/// A disc integrated along the line of sight, `f(u) sech^2(v / z0) / 2 z0`.
#[derive(Clone, Debug, PartialEq)]
pub struct EdgeOn {
    /// Flux before dust, e-/s.
    pub flux: f64,
    /// Half-light radius of the disc seen face-on, before taper, pixels.
    pub half_light_radius: f64,
    /// Sersic index seen face-on.
    pub sersic_index: f64,
    /// Radius where the disc has reached zero, pixels.
    pub truncation: f64,
    /// Scale height z0, pixels.
    pub height: f64,
    /// Direction of the plane from +x towards +y, radians.
    pub position_angle: f64,
    /// Height of the integral-sign warp at the truncation radius over that radius.
    pub warp: f64,
    /// Patches along the plane.
    pub patches: Option<Patches>,
    /// Dust lane.
    pub lane: Option<Lane>,
}

/// A dust lane of optical depth `depth exp(-|u| / length) sech^2((v - offset) / height)`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Lane {
    /// Optical depth in the centre.
    pub depth: f64,
    /// Scale height, pixels.
    pub height: f64,
    /// Scale length, pixels.
    pub length: f64,
    /// Shift across the plane, pixels: not quite edge-on.
    pub offset: f64,
}

/// An edge-on disc ready to be evaluated.
pub(crate) struct Prepared<'a> {
    disc: &'a EdgeOn,
    along: Profile,
    scale: f32,
    cos: f32,
    sin: f32,
}

#[inline]
fn sech2(t: f32) -> f32 {
    let e = (-2.0 * t.abs()).exp();
    4.0 * e / ((1.0 + e) * (1.0 + e))
}

impl EdgeOn {
    /// Where (u along the plane, v above it) appears, (x, y) from the galaxy's centre.
    pub fn project(&self, plane: [f64; 2]) -> [f64; 2] {
        let v =
            plane[1] + f64::from(warp(self.warp as f32, self.truncation as f32, plane[0] as f32));
        let (sin, cos) = self.position_angle.sin_cos();
        [plane[0] * cos - v * sin, plane[0] * sin + v * cos]
    }

    pub(crate) fn prepare(&self, core: f64) -> Prepared<'_> {
        let (sin, cos) = (self.position_angle as f32).sin_cos();
        let face_on =
            Profile::sersic(self.sersic_index, self.half_light_radius, core, self.truncation);
        let scale = (self.flux / (2.0 * self.height)) as f32;
        let mut prepared = Prepared { disc: self, along: face_on.edge_on(), scale, cos, sin };
        if self.patches.is_some() {
            let (steps, r_max) = (200, prepared.along.r_max);
            let (mut plain, mut patched) = (0.0, 0.0);
            for i in 0..steps {
                let u = r_max * ((i as f32 + 0.5) / steps as f32 * 2.0 - 1.0);
                plain += prepared.along.at(u.abs());
                patched += prepared.along.at(u.abs()) * prepared.patch(u, 0.0);
            }
            prepared.scale *= plain / patched;
        }
        prepared
    }
}

impl Prepared<'_> {
    /// Radius of what is not zero, pixels.
    pub(crate) fn radius(&self) -> f32 {
        self.along.r_max * (1.0 + self.disc.warp.abs() as f32)
    }

    fn patch(&self, u: f32, v: f32) -> f32 {
        self.disc.patches.map_or(1.0, |p| {
            let scale = p.scale as f32;
            (p.amplitude as f32 * fractal(u / scale, 0.5 * v / scale, 0, p.seed)).exp()
        })
    }

    /// Surface brightness and optical depth at (x, y) from the galaxy's centre.
    #[inline]
    pub(crate) fn at(&self, x: f32, y: f32) -> (f32, f32) {
        let u = x * self.cos + y * self.sin;
        let v = y * self.cos - x * self.sin - warp(self.disc.warp as f32, self.along.r_max, u);
        let height = self.disc.height as f32;
        if v.abs() > 8.0 * height || u.abs() >= self.along.r_max {
            return (0.0, 0.0);
        }
        let light = self.scale * self.along.at(u.abs()) * sech2(v / height) * self.patch(u, v);
        let depth = self.disc.lane.map_or(0.0, |l| {
            let ragged = 1.0 + 0.35 * fractal(0.6 * u, 0.3 * v, 0, 0x51);
            let decay = (-u.abs() / l.length as f32).exp() * ragged.max(0.0);
            l.depth as f32 * decay * sech2((v - l.offset as f32) / l.height as f32)
        });
        (light, depth)
    }
}
