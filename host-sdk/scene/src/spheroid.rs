//! Bulges, ellipticals and companions.

use crate::profile::Profile;

/// A Sersic spheroid with boxy or pointed isophotes.
#[derive(Clone, Debug, PartialEq)]
pub struct Spheroid {
    /// Flux, e-/s.
    pub flux: f64,
    /// Offset (x, y) from the galaxy's centre, pixels.
    pub offset: [f64; 2],
    /// Half-light radius along the major axis before taper, pixels.
    pub half_light_radius: f64,
    /// Sersic index.
    pub sersic_index: f64,
    /// Minor over major axis.
    pub axis_ratio: f64,
    /// Major axis from +x towards +y, radians.
    pub position_angle: f64,
    /// Isophote amplitude of cos 4 theta over the radius: negative is boxy, positive is pointed.
    pub a4: f64,
    /// Radius over which the cusp is flattened, pixels.
    pub core: f64,
    /// Radius along the major axis where the profile has reached zero, pixels.
    pub truncation: f64,
}

/// A spheroid ready to be evaluated.
pub(crate) struct Prepared {
    profile: Profile,
    offset: [f32; 2],
    cos: f32,
    sin: f32,
    inverse_q: f32,
    a4: f32,
    scale: f32,
}

impl Spheroid {
    pub(crate) fn prepare(&self) -> Prepared {
        let (sin, cos) = (self.position_angle as f32).sin_cos();
        Prepared {
            profile: Profile::sersic(
                self.sersic_index,
                self.half_light_radius,
                self.core,
                self.truncation,
            ),
            offset: self.offset.map(|o| o as f32),
            cos,
            sin,
            inverse_q: (1.0 / self.axis_ratio) as f32,
            a4: self.a4 as f32,
            // The isophotes r = rho (1 + a4 cos 4t) enclose (1 + a4^2 / 2) times the area.
            scale: (self.flux / self.axis_ratio / (1.0 + 0.5 * self.a4 * self.a4)) as f32,
        }
    }
}

impl Prepared {
    /// Centre relative to the galaxy's, and radius, of what is not zero.
    pub(crate) fn extent(&self) -> ([f32; 2], f32) {
        (self.offset, self.profile.r_max * (1.0 + self.a4.abs()))
    }

    /// Surface brightness at (x, y) from the galaxy's centre.
    #[inline]
    pub(crate) fn at(&self, x: f32, y: f32) -> f32 {
        let (x, y) = (x - self.offset[0], y - self.offset[1]);
        let u = x * self.cos + y * self.sin;
        let v = (y * self.cos - x * self.sin) * self.inverse_q;
        let r2 = u * u + v * v;
        let mut r = r2.sqrt();
        if self.a4 != 0.0 && r2 > 0.0 {
            let c = u * u / r2;
            r /= 1.0 + self.a4 * (8.0 * c * (c - 1.0) + 1.0);
        }
        self.scale * self.profile.at(r)
    }
}
