//! Spherical trigonometry without loss of digits near the point of tangency.

/// The gnomonic projection about one point (TAN, Paper II eqs 54-55).
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct TangentPlane {
    ra_deg: f64,
    dec_rad: f64,
    sin_dec: f64,
    cos_dec: f64,
}

impl TangentPlane {
    /// The plane that touches the sphere at `[ra, dec]`, degrees.
    pub(crate) fn new([ra_deg, dec_deg]: [f64; 2]) -> Self {
        let dec_rad = dec_deg.to_radians();
        let (sin_dec, cos_dec) = dec_rad.sin_cos();
        Self { ra_deg, dec_rad, sin_dec, cos_dec }
    }

    /// `[ra, dec]` in degrees to `[xi, eta]` in radians, xi to the east, eta to the north; `None`
    /// for the far hemisphere.
    pub(crate) fn project(&self, [ra_deg, dec_deg]: [f64; 2]) -> Option<[f64; 2]> {
        let delta_deg = ra_deg - self.ra_deg;
        // Exact: degrees are reduced before they become radians, so 359.99 and 0.01 are close.
        let delta = (delta_deg - 360.0 * (delta_deg / 360.0).round()).to_radians();
        let dec = dec_deg.to_radians();
        let cos_dec = dec.cos();
        // 1 - cos(delta) as 2 sin^2(delta / 2): differences instead of products of large terms.
        let versine = 2.0 * (delta / 2.0).sin().powi(2);
        let (sin_ddec, cos_ddec) = (dec - self.dec_rad).sin_cos();
        let cos_distance = cos_ddec - self.cos_dec * cos_dec * versine;
        (cos_distance > 0.0).then(|| {
            [
                cos_dec * delta.sin() / cos_distance,
                (sin_ddec + self.sin_dec * cos_dec * versine) / cos_distance,
            ]
        })
    }

    /// The inverse of [`TangentPlane::project`]; right ascension in [0, 360).
    pub(crate) fn deproject(&self, [xi, eta]: [f64; 2]) -> [f64; 2] {
        let across = self.cos_dec - eta * self.sin_dec;
        let ra_deg = (self.ra_deg + xi.atan2(across).to_degrees()).rem_euclid(360.0);
        // rem_euclid rounds a tiny negative angle up to 360 itself.
        let ra_deg = if ra_deg < 360.0 { ra_deg } else { 0.0 };
        let dec = (self.sin_dec + eta * self.cos_dec).atan2(xi.hypot(across));
        [ra_deg, dec.to_degrees()]
    }
}

#[cfg(test)]
mod tests {
    use super::TangentPlane;

    #[test]
    fn projects_and_returns_across_the_wrap_and_at_the_poles() {
        for centre in [[0.0, 0.0], [359.9999, 85.0], [12.0, 90.0], [200.0, -90.0], [83.6, -72.05]] {
            let plane = TangentPlane::new(centre);
            for at in [[0.0, 0.0], [1e-4, -2e-4], [-3e-3, 5e-3], [0.1, 0.2]] {
                let [xi, eta] = plane.project(plane.deproject(at)).expect("near side");
                assert!((xi - at[0]).abs() < 1e-15 + 1e-13 * at[0].abs(), "{centre:?} {at:?} {xi}");
                assert!((eta - at[1]).abs() < 1e-15 + 1e-13 * at[1].abs(), "{centre:?} {at:?}");
            }
        }
    }

    #[test]
    fn refuses_the_far_hemisphere() {
        assert_eq!(TangentPlane::new([10.0, 20.0]).project([190.0, -20.0]), None);
    }
}
