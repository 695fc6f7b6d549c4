//! Star-forming clumps and clusters.

/// A round Gaussian, cut where it has fallen to e^-8 and lowered by that much, so that it ends at zero.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Clump {
    /// Flux, e-/s.
    pub flux: f64,
    /// Offset (x, y) on the sky from the galaxy's centre, pixels.
    pub offset: [f64; 2],
    /// Standard deviation, pixels.
    pub sigma: f64,
}

impl Clump {
    /// Radius of what is not zero, pixels.
    pub(crate) fn radius(&self) -> f64 {
        4.0 * self.sigma
    }

    /// Surface brightness as a function of (x, y) from the galaxy's centre.
    pub(crate) fn light(&self) -> impl Fn(f32, f32) -> f32 + use<> {
        let floor = (-8f64).exp();
        let area = std::f64::consts::TAU * self.sigma * self.sigma * (1.0 - 9.0 * floor);
        let [x0, y0] = self.offset.map(|o| o as f32);
        let (peak, floor) = ((self.flux / area) as f32, floor as f32);
        let k = (-0.5 / (self.sigma * self.sigma)) as f32;
        move |x, y| {
            let r2 = (x - x0) * (x - x0) + (y - y0) * (y - y0);
            peak * ((k * r2).exp() - floor).max(0.0)
        }
    }
}
