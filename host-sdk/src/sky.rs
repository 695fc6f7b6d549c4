//! Where pixels are on the sky, well enough to choose chips and cut stamps.
//!
//! TAN and TAN-SIP without look-up tables: right to the size of those tables' shifts (below 0.1
//! pixel on HST). What exposures really see is computed by the plugin from the full solution; this
//! module never enters the forward model.

use std::f64::consts::PI;

use crate::error::{HostError, Result};
use crate::fits::{Card, Header};

const DEGREE: f64 = PI / 180.0;
/// The highest order of the SIP convention (Shupe et al. 2005).
const SIP_ORDERS: std::ops::RangeInclusive<i64> = 0..=9;

/// A position on the sky, ICRS degrees.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SkyPosition {
    /// Right ascension, degrees.
    pub ra_deg: f64,
    /// Declination, degrees.
    pub dec_deg: f64,
}

impl SkyPosition {
    /// The mean direction of several positions; `None` for none of them.
    pub fn mean(positions: &[Self]) -> Option<Self> {
        let sum = positions.iter().fold([0.0; 3], |sum, p| {
            let v = p.unit_vector();
            [sum[0] + v[0], sum[1] + v[1], sum[2] + v[2]]
        });
        let norm = sum.iter().map(|c| c * c).sum::<f64>().sqrt();
        (norm > 0.0).then(|| Self {
            ra_deg: (sum[1].atan2(sum[0]) / DEGREE).rem_euclid(360.0),
            dec_deg: (sum[2] / norm).asin() / DEGREE,
        })
    }

    fn unit_vector(self) -> [f64; 3] {
        let (sin_a, cos_a) = (self.ra_deg * DEGREE).sin_cos();
        let (sin_d, cos_d) = (self.dec_deg * DEGREE).sin_cos();
        [cos_d * cos_a, cos_d * sin_a, sin_d]
    }
}

/// A TAN or TAN-SIP solution. Pixels are 0-based (x, y), integers at pixel centres.
#[derive(Debug, Clone)]
pub struct TanSip {
    reference_pixel: [f64; 2],
    reference: SkyPosition,
    cd: [[f64; 2]; 2],
    cd_inverse: [[f64; 2]; 2],
    sip: [Vec<SipTerm>; 2],
}

#[derive(Debug, Clone, Copy)]
struct SipTerm {
    p: i32,
    q: i32,
    coefficient: f64,
}

impl TanSip {
    /// Reads the solution of a header. `at` names it in errors.
    ///
    /// # Errors
    /// [`HostError::Keyword`] for another projection, a missing keyword or an order of SIP above 9,
    /// [`HostError::Value`] for a singular matrix.
    pub fn from_header(header: &Header, at: &str) -> Result<Self> {
        let ctype = [1, 2].map(|i| header.string(&format!("CTYPE{i}")).unwrap_or("none"));
        let keyword = |key: &str, need: &str, got: &str| HostError::Keyword {
            at: at.into(),
            key: key.into(),
            need: need.into(),
            got: got.into(),
        };
        let sip = match ctype {
            ["RA---TAN", "DEC--TAN"] => false,
            ["RA---TAN-SIP", "DEC--TAN-SIP"] => true,
            _ => {
                let got = format!("{}, {}", ctype[0], ctype[1]);
                return Err(keyword("CTYPE1, CTYPE2", "RA---TAN[-SIP], DEC--TAN[-SIP]", &got));
            }
        };
        let number =
            |key: &str| header.real(key).ok_or_else(|| keyword(key, "a number", "nothing"));
        let polynomial = |axis: char| {
            if !sip {
                return Ok(Vec::new());
            }
            let key = format!("{axis}_ORDER");
            let order = header.integer(&key).unwrap_or(0);
            if !SIP_ORDERS.contains(&order) {
                return Err(keyword(&key, "an order of 0 to 9", &order.to_string()));
            }
            let order = order as i32;
            let powers = (0..=order).flat_map(|p| (0..=order - p).map(move |q| (p, q)));
            let term = |(p, q)| {
                let coefficient = header.real(&format!("{axis}_{p}_{q}"))?;
                Some(SipTerm { p, q, coefficient })
            };
            Ok(powers.filter_map(term).collect())
        };
        let cd = cd_matrix(header);
        let determinant = cd[0][0] * cd[1][1] - cd[0][1] * cd[1][0];
        let size = cd.iter().flatten().fold(0.0f64, |m, c| m.max(c.abs()));
        if !determinant.is_finite() || determinant.abs() <= 1e-12 * size * size {
            return Err(HostError::value(
                format!("{at}: WCS matrix (CD, or PC and CDELT)"),
                "an invertible matrix",
                format!("{cd:?}, determinant {determinant:e} (singular)"),
            ));
        }
        let d = determinant;
        Ok(Self {
            // FITS counts pixels from 1.
            reference_pixel: [number("CRPIX1")? - 1.0, number("CRPIX2")? - 1.0],
            reference: SkyPosition { ra_deg: number("CRVAL1")?, dec_deg: number("CRVAL2")? },
            cd,
            cd_inverse: [[cd[1][1] / d, -cd[0][1] / d], [-cd[1][0] / d, cd[0][0] / d]],
            sip: [polynomial('A')?, polynomial('B')?],
        })
    }

    /// The solution of a model grid.
    fn of_grid(grid: &ModelGrid) -> Self {
        let scale = grid.pixel_scale_arcsec / 3600.0;
        let middle = |n: usize| (n as f64 - 1.0) / 2.0;
        Self {
            reference_pixel: [middle(grid.nx), middle(grid.ny)],
            reference: grid.centre,
            cd: [[-scale, 0.0], [0.0, scale]],
            cd_inverse: [[-1.0 / scale, 0.0], [0.0, 1.0 / scale]],
            sip: [Vec::new(), Vec::new()],
        }
    }

    /// The sky position of a pixel.
    pub fn pixel_to_sky(&self, [x, y]: [f64; 2]) -> SkyPosition {
        let u = [x - self.reference_pixel[0], y - self.reference_pixel[1]];
        let plane = apply(&self.cd, self.distort(u));
        deproject(self.reference, [plane[0] * DEGREE, plane[1] * DEGREE])
    }

    /// The pixel of a sky position; `None` if it is more than 90 degrees away, or so far off the detector that its
    /// distortion cannot be inverted there.
    pub fn sky_to_pixel(&self, sky: SkyPosition) -> Option<[f64; 2]> {
        let plane = project(self.reference, sky)?;
        let undistorted = apply(&self.cd_inverse, [plane[0] / DEGREE, plane[1] / DEGREE]);
        // HST's distortion is a few per cent, so that fixed-point steps shrink the error ~20-fold.
        let mut u = undistorted;
        for _ in 0..12 {
            let f = self.distort(u);
            u = [u[0] + undistorted[0] - f[0], u[1] + undistorted[1] - f[1]];
        }
        // Far off, where the polynomial is beyond its range, the steps end anywhere, on the detector too.
        let f = self.distort(u);
        let missed = (f[0] - undistorted[0]).hypot(f[1] - undistorted[1]);
        let x = u[0] + self.reference_pixel[0];
        let y = u[1] + self.reference_pixel[1];
        (x.is_finite() && y.is_finite() && missed < 0.01).then_some([x, y])
    }

    /// The pixel scale at the reference pixel, arcsec: square root of a pixel's area.
    pub fn pixel_scale_arcsec(&self) -> f64 {
        let determinant = self.cd[0][0] * self.cd[1][1] - self.cd[0][1] * self.cd[1][0];
        3600.0 * determinant.abs().sqrt()
    }

    fn distort(&self, [u, v]: [f64; 2]) -> [f64; 2] {
        let sum = |terms: &[SipTerm]| -> f64 {
            terms.iter().map(|t| t.coefficient * u.powi(t.p) * v.powi(t.q)).sum()
        };
        [u + sum(&self.sip[0]), v + sum(&self.sip[1])]
    }
}

/// A TAN grid with square pixels, north up, east left; (ra, dec) at 0-based ((nx-1)/2, (ny-1)/2).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ModelGrid {
    /// Columns.
    pub nx: usize,
    /// Rows.
    pub ny: usize,
    /// Centre.
    pub centre: SkyPosition,
    /// Pixel size, arcsec.
    pub pixel_scale_arcsec: f64,
}

impl ModelGrid {
    /// The grid an image with these header cards lies on.
    ///
    /// # Errors
    /// [`HostError::Value`] if the image is not TAN with square pixels, north up, east left and
    /// its reference at the centre to 1e-3 pixel: the only grids the plugin knows.
    pub fn from_header(header: &Header, shape: (usize, usize), at: &str) -> Result<Self> {
        let (ny, nx) = shape;
        let wcs = TanSip::from_header(header, at)?;
        let [[a, b], [c, d]] = wcs.cd;
        let scale = d.abs();
        let skew = (a + d).abs().max(b.abs()).max(c.abs());
        let distorted = wcs.sip.iter().any(|terms| !terms.is_empty());
        if d <= 0.0 || distorted || skew > 1e-6 * scale {
            return Err(HostError::value(
                format!("{at}: WCS of a model image"),
                "TAN, square pixels, north up, east left (CD = [[-s, 0], [0, s]])",
                format!("CD = {:?}{}", wcs.cd, if distorted { " with SIP" } else { "" }),
            ));
        }
        let middle = [(nx as f64 - 1.0) / 2.0, (ny as f64 - 1.0) / 2.0];
        let off = (middle[0] - wcs.reference_pixel[0]).hypot(middle[1] - wcs.reference_pixel[1]);
        if off > 1e-3 {
            return Err(HostError::value(
                format!("{at}: reference pixel of a model image"),
                format!("the centre, CRPIX = ({}, {})", middle[0] + 1.0, middle[1] + 1.0),
                format!(
                    "CRPIX = ({}, {})",
                    wcs.reference_pixel[0] + 1.0,
                    wcs.reference_pixel[1] + 1.0
                ),
            ));
        }
        Ok(Self { nx, ny, centre: wcs.reference, pixel_scale_arcsec: 3600.0 * scale })
    }

    /// The header cards of this grid.
    pub fn cards(&self) -> Vec<Card> {
        let degrees = self.pixel_scale_arcsec / 3600.0;
        let middle = |n: usize| (n as f64 + 1.0) / 2.0;
        let centre = self.centre;
        vec![
            Card::new("WCSAXES", 2, "celestial axes"),
            Card::new("CTYPE1", "RA---TAN", "gnomonic projection"),
            Card::new("CTYPE2", "DEC--TAN", "gnomonic projection"),
            Card::new("CUNIT1", "deg", ""),
            Card::new("CUNIT2", "deg", ""),
            Card::new("CRPIX1", middle(self.nx), "centre of the grid"),
            Card::new("CRPIX2", middle(self.ny), "centre of the grid"),
            Card::new("CRVAL1", centre.ra_deg, "[deg] right ascension at CRPIX"),
            Card::new("CRVAL2", centre.dec_deg, "[deg] declination at CRPIX"),
            Card::new("CD1_1", -degrees, "[deg] east is left"),
            Card::new("CD1_2", 0.0, ""),
            Card::new("CD2_1", 0.0, ""),
            Card::new("CD2_2", degrees, "[deg] north is up"),
            Card::new("RADESYS", "ICRS", ""),
        ]
    }

    /// The header text of this grid, 80-character cards.
    pub fn header(&self) -> Header {
        self.cards().into_iter().collect()
    }

    /// Positions along the outer edge of the grid's pixels, corners included.
    pub fn outline(&self) -> Vec<SkyPosition> {
        let wcs = TanSip::of_grid(self);
        let (w, h) = (self.nx as f64, self.ny as f64);
        let steps = (0..=8).map(|i| f64::from(i) / 8.0);
        let edge = steps.flat_map(|t| [[t * w, 0.0], [t * w, h], [0.0, t * h], [w, t * h]]);
        edge.map(|[x, y]| wcs.pixel_to_sky([x - 0.5, y - 0.5])).collect()
    }
}

/// CD, or PC with CDELT, or CDELT with CROTA2; degrees a pixel.
fn cd_matrix(header: &Header) -> [[f64; 2]; 2] {
    let real = |key: &str| header.real(key);
    let named = |name: &str| {
        let get = |i, j| real(&format!("{name}{i}_{j}"));
        let all = [[get(1, 1), get(1, 2)], [get(2, 1), get(2, 2)]];
        let any = all.iter().flatten().any(Option::is_some);
        any.then_some(all)
    };
    if let Some(cd) = named("CD") {
        return cd.map(|row| row.map(|c| c.unwrap_or(0.0)));
    }
    let step = [real("CDELT1").unwrap_or(1.0), real("CDELT2").unwrap_or(1.0)];
    let [[a, b], [c, d]] = named("PC").unwrap_or_else(|| {
        let (sin, cos) = (real("CROTA2").unwrap_or(0.0) * DEGREE).sin_cos();
        let (up, right) = (step[1] / step[0], step[0] / step[1]);
        [[Some(cos), Some(-sin * up)], [Some(sin * right), Some(cos)]]
    });
    let row = |s: f64, c: Option<f64>, d: Option<f64>, diagonal: [f64; 2]| {
        [s * c.unwrap_or(diagonal[0]), s * d.unwrap_or(diagonal[1])]
    };
    [row(step[0], a, b, [1.0, 0.0]), row(step[1], c, d, [0.0, 1.0])]
}

fn apply(m: &[[f64; 2]; 2], [x, y]: [f64; 2]) -> [f64; 2] {
    [m[0][0] * x + m[0][1] * y, m[1][0] * x + m[1][1] * y]
}

/// Gnomonic projection, radians on the tangent plane (Calabretta & Greisen 2002, section 5.1.3).
fn project(centre: SkyPosition, sky: SkyPosition) -> Option<[f64; 2]> {
    let (sin_d, cos_d) = (sky.dec_deg * DEGREE).sin_cos();
    let (sin_0, cos_0) = (centre.dec_deg * DEGREE).sin_cos();
    let (sin_a, cos_a) = ((sky.ra_deg - centre.ra_deg) * DEGREE).sin_cos();
    let towards = sin_d * sin_0 + cos_d * cos_0 * cos_a;
    (towards > 0.0)
        .then(|| [cos_d * sin_a / towards, (sin_d * cos_0 - cos_d * sin_0 * cos_a) / towards])
}

fn deproject(centre: SkyPosition, [xi, eta]: [f64; 2]) -> SkyPosition {
    let (sin_0, cos_0) = (centre.dec_deg * DEGREE).sin_cos();
    let along = cos_0 - eta * sin_0;
    SkyPosition {
        ra_deg: (centre.ra_deg + xi.atan2(along) / DEGREE).rem_euclid(360.0),
        dec_deg: (sin_0 + eta * cos_0).atan2(xi.hypot(along)) / DEGREE,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(lines: &[&str]) -> Header {
        Header::from_cards(lines.iter().map(|l| format!("{l:<80}")).collect::<String>())
    }

    /// astropy 7: `WCS(header).all_pix2world([[0, 0], [1013, 20]], 0)`, SIP of a WFC3/IR flt.
    #[test]
    fn agrees_with_astropy() {
        let wcs = TanSip::from_header(
            &header(&[
                "CTYPE1  = 'RA---TAN-SIP'",
                "CTYPE2  = 'DEC--TAN-SIP'",
                "CRPIX1  = 507.0",
                "CRPIX2  = 507.0",
                "CRVAL1  = 36.85374208875",
                "CRVAL2  = 48.92264646942",
                "CD1_1   = -3.1758778512629E-05",
                "CD1_2   = -1.8099259044494E-05",
                "CD2_1   = -2.0157648752092E-05",
                "CD2_2   = 2.83052387051731E-05",
                "A_ORDER = 2",
                "B_ORDER = 2",
                "A_1_1   = 2.44176437155426E-05",
                "B_0_2   = 2.98815054868485E-05",
                "B_2_0   = 6.92276069494587E-06",
            ]),
            "test",
        )
        .unwrap();
        for (pixel, ra_deg, dec_deg) in ASTROPY {
            let sky = wcs.pixel_to_sky(pixel);
            assert!((sky.ra_deg - ra_deg).abs() < 1e-10, "{sky:?}");
            assert!((sky.dec_deg - dec_deg).abs() < 1e-10, "{sky:?}");
            let back = wcs.sky_to_pixel(sky).unwrap();
            assert!((back[0] - pixel[0]).hypot(back[1] - pixel[1]) < 1e-6);
        }
    }
    const ASTROPY: [([f64; 2], f64, f64); 2] = [
        ([0.0, 0.0], 36.89157184968934, 48.918658307829716),
        ([1013.0, 20.0], 36.84267657899924, 48.899041091299),
    ];

    #[test]
    fn a_grid_survives_its_own_header() {
        let grid = ModelGrid {
            nx: 64,
            ny: 48,
            centre: SkyPosition { ra_deg: 359.99, dec_deg: -64.9 },
            pixel_scale_arcsec: 0.03,
        };
        let read = ModelGrid::from_header(&grid.header(), (48, 64), "test").unwrap();
        assert_eq!((read.nx, read.ny, read.centre), (64, 48, grid.centre));
        assert!((read.pixel_scale_arcsec - 0.03).abs() < 1e-15);
        assert_eq!(grid.outline().len(), 36);
    }

    #[test]
    fn a_singular_matrix_is_named() {
        let lines = [
            "CTYPE1  = 'RA---TAN'",
            "CTYPE2  = 'DEC--TAN'",
            "CRPIX1  = 1.0",
            "CRPIX2  = 1.0",
            "CRVAL1  = 1.0",
            "CRVAL2  = 1.0",
            "CD1_1   = 1E-5",
            "CD1_2   = 1E-5",
            "CD2_1   = 1E-5",
            "CD2_2   = 1E-5",
        ];
        let error = TanSip::from_header(&header(&lines), "a.fits[SCI,1]").unwrap_err();
        let text = error.to_string();
        assert!(text.contains("a.fits[SCI,1]") && text.contains("singular"), "{text}");
    }

    #[test]
    fn the_mean_crosses_zero_hours() {
        let at = |ra_deg| SkyPosition { ra_deg, dec_deg: 0.0 };
        let mean = SkyPosition::mean(&[at(359.0), at(1.0)]).unwrap();
        assert!(mean.ra_deg.abs() < 1e-9 || (mean.ra_deg - 360.0).abs() < 1e-9);
    }
}
