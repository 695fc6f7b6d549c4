//! Discs seen at less than edge-on: arms, bar, ring, dust, patches, warp.

use std::f64::consts::TAU;

use crate::profile::{Profile, smoothstep};
use crate::texture::fractal;

/// A disc, described in its own plane: x along the line of nodes, r the radius there.
#[derive(Clone, Debug, PartialEq)]
pub struct Disc {
    /// Flux of the disc without bar and ring, before dust, e-/s.
    pub flux: f64,
    /// Half-light radius before taper, pixels.
    pub half_light_radius: f64,
    /// Sersic index; 1 is exponential.
    pub sersic_index: f64,
    /// Radius where the disc has reached zero, pixels.
    pub truncation: f64,
    /// Apparent minor over major axis, `q^2 = cos^2 i + q0^2 sin^2 i` for thickness q0.
    pub axis_ratio: f64,
    /// Line of nodes from +x towards +y, radians.
    pub position_angle: f64,
    /// Height of the integral-sign warp at the truncation radius over that radius.
    pub warp: f64,
    /// One side brighter than the other.
    pub lopsided: Option<Lopsided>,
    /// Spiral arms.
    pub arms: Option<Arms>,
    /// Bar.
    pub bar: Option<Bar>,
    /// Ring.
    pub ring: Option<Ring>,
    /// Patches.
    pub patches: Option<Patches>,
}

/// Factor `1 + amplitude r/(r + r_half) cos(theta - phase)`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Lopsided {
    /// 0..1.
    pub amplitude: f64,
    /// Direction of the bright side, radians.
    pub phase: f64,
}

/// Logarithmic arms: the factor `(1 - a) + a exp(k cos psi) / I0(k)`,
/// `psi = m (theta - phase - ln(r / inner) / tan pitch)`, whose azimuthal mean is 1.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Arms {
    /// Number of arms m.
    pub count: u32,
    /// Pitch angle, radians; its sign is the handedness.
    pub pitch: f64,
    /// Azimuth of the first arm at `inner`, radians.
    pub phase: f64,
    /// Radius where the arms begin, pixels.
    pub inner: f64,
    /// Share a of the light that is in the arms, 0..1.
    pub contrast: f64,
    /// Sharpness k: the arms' width is about `pi / (m sqrt(k))` in azimuth.
    pub sharpness: f64,
    /// Optical depth of the dust lane on the arms' inner edge.
    pub dust: f64,
    /// Standard deviation of the arms' phase psi, radians: frayed arms.
    pub wobble: f64,
}

/// A bar: `(1 - m^2)^2`, `m^2 = (|x|/a)^2.5 + (|y|/b)^2.5`, a softened Ferrers bar,
/// with optional ansae at its ends.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bar {
    /// Flux, e-/s.
    pub flux: f64,
    /// Semi-major axis a, pixels.
    pub length: f64,
    /// b / a.
    pub axis_ratio: f64,
    /// Direction in the plane, radians.
    pub angle: f64,
    /// Share of the flux in the ansae.
    pub ansae: f64,
}

/// A ring of Gaussian section.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Ring {
    /// Flux, e-/s.
    pub flux: f64,
    /// Radius, pixels.
    pub radius: f64,
    /// Standard deviation of the section, pixels.
    pub width: f64,
}

/// Log-normal patches `exp(amplitude * noise)`, sheared along a spiral where `pitch` is given.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Patches {
    /// Amplitude; 1 makes light vary by a factor of about 2.
    pub amplitude: f64,
    /// Size of a patch, pixels; with `pitch`, patches per turn.
    pub scale: f64,
    /// Pitch angle of the shear, radians: the flocculent spiral.
    pub pitch: Option<f64>,
    /// Seed of the pattern.
    pub seed: u32,
}

/// A disc ready to be evaluated.
pub(crate) struct Prepared<'a> {
    disc: &'a Disc,
    profile: Profile,
    scale: f32,
    cos: f32,
    sin: f32,
    inverse_q: f32,
    arms: Option<PreparedArms>,
    bar: Option<PreparedBar>,
}

struct PreparedArms {
    count: f32,
    winding: f32,
    phase: f32,
    inner: f32,
    contrast: f32,
    sharpness: f32,
    norm: f32,
    dust: f32,
    wobble: f32,
}

struct PreparedBar {
    cos: f32,
    sin: f32,
    length: f32,
    inverse_width: f32,
    body: f32,
    ansae: f32,
}

/// Modified Bessel function I0, by its power series.
fn bessel_i0(k: f64) -> f64 {
    let (mut term, mut sum) = (1.0, 1.0);
    for j in 1..40 {
        term *= (k / 2.0 / f64::from(j)).powi(2);
        sum += term;
    }
    sum
}

/// Bend of an integral-sign warp at `u` along the major axis.
#[inline]
pub(crate) fn warp(height: f32, r_max: f32, u: f32) -> f32 {
    let t = ((u / r_max).abs() - 0.3).max(0.0) / 0.7;
    height * r_max * t * t * u.signum()
}

impl Disc {
    /// Where a point of the plane appears, (x, y) from the galaxy's centre.
    pub fn project(&self, plane: [f64; 2]) -> [f64; 2] {
        let bend = f64::from(warp(self.warp as f32, self.truncation as f32, plane[0] as f32));
        let (u, v) = (plane[0], plane[1] * self.axis_ratio + bend);
        let (sin, cos) = self.position_angle.sin_cos();
        [u * cos - v * sin, u * sin + v * cos]
    }

    pub(crate) fn prepare(&self, core: f64) -> Prepared<'_> {
        let (sin, cos) = (self.position_angle as f32).sin_cos();
        let mut prepared = Prepared {
            disc: self,
            profile: Profile::sersic(
                self.sersic_index,
                self.half_light_radius,
                core,
                self.truncation,
            ),
            scale: 1.0,
            cos,
            sin,
            inverse_q: (1.0 / self.axis_ratio) as f32,
            arms: self.arms.as_ref().map(Arms::prepare),
            bar: self.bar.as_ref().map(|b| b.prepare(self.axis_ratio)),
        };
        prepared.scale = (self.flux / self.axis_ratio / prepared.plane_flux()) as f32;
        prepared
    }
}

impl Arms {
    fn prepare(&self) -> PreparedArms {
        PreparedArms {
            count: self.count as f32,
            winding: (1.0 / self.pitch.tan()) as f32,
            phase: self.phase as f32,
            inner: self.inner as f32,
            contrast: self.contrast as f32,
            sharpness: self.sharpness as f32,
            norm: (1.0 / bessel_i0(self.sharpness)) as f32,
            dust: self.dust as f32,
            wobble: self.wobble as f32,
        }
    }
}

/// Standard deviation of an ansa over the bar's length.
const ANSA: f64 = 0.13;

impl Bar {
    fn prepare(&self, q: f64) -> PreparedBar {
        let (sin, cos) = (self.angle as f32).sin_cos();

        let area = self.length * self.length * self.axis_ratio * BAR_AREA * q;
        let ansa_area = 2.0 * TAU * (ANSA * self.length).powi(2) * q;
        PreparedBar {
            cos,
            sin,
            length: self.length as f32,
            inverse_width: (1.0 / (self.length * self.axis_ratio)) as f32,
            body: (self.flux * (1.0 - self.ansae) / area) as f32,
            ansae: (self.flux * self.ansae / ansa_area) as f32,
        }
    }
}

/// `Int (1 - m^2)^2 dx dy` for a = b = 1 and exponent 2.5:
/// `4 G(1.4)^2 / G(1.8) * Int_0^1 (1 - s)^2 d(s^0.8) = 4 G(1.4)^2 / G(1.8) * 2 / (1.8 * 2.8)`.
const BAR_AREA: f64 = 1.341_641;

impl PreparedBar {
    #[inline]
    fn at(&self, x: f32, y: f32) -> f32 {
        let u = (x * self.cos + y * self.sin).abs() / self.length;
        if u > 1.6 {
            return 0.0;
        }
        let w = y * self.cos - x * self.sin;
        let v = (w * self.inverse_width).abs();
        let m2 = u * u * u.sqrt() + v * v * v.sqrt();
        let mut light = self.body * (1.0 - m2).max(0.0).powi(2);
        if self.ansae > 0.0 {
            let (du, dv) = (u - 0.9, w / self.length);
            let e = (du * du + dv * dv) * (0.5 / (ANSA * ANSA)) as f32;
            light += self.ansae * ((-e).exp() - (-8f32).exp()).max(0.0);
        }
        light
    }
}

impl Prepared<'_> {
    /// Radius of what is not zero, pixels.
    pub(crate) fn radius(&self) -> f32 {
        self.profile.r_max * (1.0 + self.disc.warp.abs() as f32)
    }

    /// Flux in the plane before scaling: 48 radii times 128 azimuths.
    fn plane_flux(&self) -> f64 {
        if self.arms.is_none() && self.disc.patches.is_none() {
            return 1.0;
        }
        let (radii, azimuths) = (48, 128);
        let step = self.profile.r_max / radii as f32;
        let mut sum = 0.0;
        for i in 0..radii {
            let r = (i as f32 + 0.5) * step;
            let mean = (0..azimuths)
                .map(|j| {
                    let (sin, cos) = (j as f32 * (TAU as f32 / azimuths as f32)).sin_cos();
                    self.structure(r, r * cos, r * sin).0
                })
                .sum::<f32>()
                / azimuths as f32;
            sum += TAU * f64::from(r * step * mean * self.profile.at(r));
        }
        sum
    }

    /// Factor on the smooth disc and optical depth at a point of the plane.
    #[inline]
    fn structure(&self, r: f32, x: f32, y: f32) -> (f32, f32) {
        let disc = self.disc;
        let (mut factor, mut depth) = (1.0, 0.0);
        let half = disc.half_light_radius as f32;
        let theta = y.atan2(x);
        let ln_r = r.max(1e-3).ln();
        if let Some(l) = disc.lopsided {
            factor += l.amplitude as f32 * r / (r + half) * (theta - l.phase as f32).cos();
        }
        if let Some(p) = disc.patches {
            let (amplitude, scale) = (p.amplitude as f32, p.scale as f32);
            let n = match p.pitch {
                Some(pitch) => {
                    let turn = (theta - ln_r / pitch.tan() as f32) / TAU as f32;
                    fractal(turn * scale, ln_r * 1.6, scale as i32, p.seed)
                }
                None => fractal(x / scale, y / scale, 0, p.seed),
            };
            factor *= (amplitude * r / (r + 0.3 * half) * n).exp();
        }
        if let Some(a) = &self.arms {
            let frays = fractal(x / half * 1.3 + 40.0, y / half * 1.3, 0, 7 ^ a.phase.to_bits());
            let psi = a.count * (theta - a.phase - (ln_r - a.inner.ln()) * a.winding)
                + 2.2 * a.wobble * frays;
            let window = smoothstep(0.5 * a.inner, 1.1 * a.inner, r);
            let share = a.contrast * window;
            factor *= 1.0 - share + share * a.norm * (a.sharpness * psi.cos()).exp();
            if a.dust > 0.0 {
                // At one azimuth psi grows inwards, for either handedness of winding: the inner edge is psi > 0
                // there, or psi < 0 where the winding is negative.
                let lane = psi - 0.9 * a.winding.signum();
                depth += a.dust
                    * window
                    * (5.0 * (lane.cos() - 1.0)).exp()
                    * (1.0 + 0.8 * frays).max(0.0);
            }
        }
        (factor, depth)
    }

    /// Surface brightness and optical depth at (x, y) from the galaxy's centre.
    #[inline]
    pub(crate) fn at(&self, x: f32, y: f32) -> (f32, f32) {
        let u = x * self.cos + y * self.sin;
        let mut v = y * self.cos - x * self.sin;
        if self.disc.warp != 0.0 {
            v -= warp(self.disc.warp as f32, self.profile.r_max, u);
        }
        v *= self.inverse_q;
        let r = (u * u + v * v).sqrt();
        if r >= self.profile.r_max {
            return (0.0, 0.0);
        }
        let (factor, mut depth) = self.structure(r, u, v);
        let mut light = self.scale * self.profile.at(r) * factor;
        if let Some(bar) = &self.bar {
            light += bar.at(u, v);
        }
        if let Some(ring) = &self.disc.ring {
            let (width, radius) = (ring.width as f32, ring.radius as f32);
            let t = (r - radius) / width;
            let area =
                TAU as f32 * radius * width * (TAU as f32).sqrt() * self.disc.axis_ratio as f32;
            light += ring.flux as f32 / area * ((-0.5 * t * t).exp() - (-8f32).exp()).max(0.0);
        }
        // Dust in front of more of the light on the near side of an inclined disc.
        let tilt = 1.0 - self.disc.axis_ratio as f32;
        depth *= 1.0 + tilt * v / self.profile.r_max * 2.0;
        (light, depth.max(0.0))
    }
}
