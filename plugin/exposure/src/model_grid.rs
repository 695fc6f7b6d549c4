//! The grid on which galaxies are reconstructed.

use serde::{Deserialize, Serialize};

use crate::sky::TangentPlane;
use crate::{ExposureError, Result, Wcs};

/// A TAN grid of square pixels, north up, east left, with (ra, dec) at the 0-based pixel
/// ((nx-1)/2, (ny-1)/2).
///
/// x = (nx-1)/2 - xi / scale, y = (ny-1)/2 + eta / scale, (xi, eta) of Paper II eqs 54-55.
///
/// Accuracy: within 2e-10 arcsec, one unit in the last place of a right ascension in degrees, of
/// wcslib with [`ModelGrid::header_cards`] (`model_grid::agrees_with_wcslib`).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModelGrid {
    /// Rows.
    pub ny: usize,
    /// Columns.
    pub nx: usize,
    /// Right ascension of the centre, ICRS degrees.
    pub ra_deg: f64,
    /// Declination of the centre, ICRS degrees.
    pub dec_deg: f64,
    /// Side of a pixel at the centre, arcsec.
    pub pixel_scale_arcsec: f64,
}

/// The value of a FITS header card.
#[derive(Debug, Clone, PartialEq)]
pub enum CardValue {
    /// An integer.
    Integer(i64),
    /// A floating-point number.
    Real(f64),
    /// A string, unquoted.
    Text(String),
}

impl ModelGrid {
    /// A validated grid; see [`ModelGrid`].
    ///
    /// # Errors
    /// As [`ModelGrid::check`].
    pub fn new(
        ny: usize,
        nx: usize,
        ra_deg: f64,
        dec_deg: f64,
        pixel_scale_arcsec: f64,
    ) -> Result<Self> {
        let grid = Self { ny, nx, ra_deg, dec_deg, pixel_scale_arcsec };
        grid.check()?;
        Ok(grid)
    }

    /// # Errors
    /// [`ExposureError::Value`] unless 1 <= ny nx < 2^31, the position is on the sphere and
    /// 0 < `pixel_scale_arcsec` <= 3600.
    pub fn check(&self) -> Result<()> {
        let n = self.ny.checked_mul(self.nx).filter(|n| (1..=i32::MAX as usize).contains(n));
        let (ra, dec, scale) = (self.ra_deg, self.dec_deg, self.pixel_scale_arcsec);
        if n.is_none() {
            let got = format!("{} x {}", self.ny, self.nx);
            Err(ExposureError::value("size of the model grid", "1 to 2^31 - 1 pixels", got))
        } else if !(-360.0..=360.0).contains(&ra) {
            Err(ExposureError::value("right ascension of the model grid", "-360..360 degrees", ra))
        } else if !(-90.0..=90.0).contains(&dec) {
            Err(ExposureError::value("declination of the model grid", "-90..90 degrees", dec))
        } else if !(scale > 0.0 && scale <= 3600.0) {
            Err(ExposureError::value("pixel scale of the model grid", "0..3600 arcsec", scale))
        } else {
            Ok(())
        }
    }

    /// 0-based pixel of (ra, dec).
    pub fn centre_px(&self) -> [f64; 2] {
        [(self.nx as f64 - 1.0) / 2.0, (self.ny as f64 - 1.0) / 2.0]
    }

    /// The WCS of an image on this grid as FITS cards (key, value, comment), in order.
    pub fn header_cards(&self) -> Vec<(String, CardValue, String)> {
        use CardValue::{Integer, Real, Text};
        let [x, y] = self.centre_px();
        let scale_deg = self.pixel_scale_arcsec / 3600.0;
        let text = |s: &str| Text(s.to_owned());
        let cards = [
            ("WCSAXES", Integer(2), "number of coordinate axes"),
            ("CTYPE1", text("RA---TAN"), "gnomonic projection"),
            ("CTYPE2", text("DEC--TAN"), "gnomonic projection"),
            ("CUNIT1", text("deg"), "unit of axis 1"),
            ("CUNIT2", text("deg"), "unit of axis 2"),
            ("CRPIX1", Real(x + 1.0), "reference pixel, 1-based"),
            ("CRPIX2", Real(y + 1.0), "reference pixel, 1-based"),
            ("CRVAL1", Real(self.ra_deg), "[deg] right ascension there"),
            ("CRVAL2", Real(self.dec_deg), "[deg] declination there"),
            ("CD1_1", Real(-scale_deg), "[deg] east is left"),
            ("CD1_2", Real(0.0), "[deg]"),
            ("CD2_1", Real(0.0), "[deg]"),
            ("CD2_2", Real(scale_deg), "[deg] north is up"),
            // The default is 0 at the north pole only.
            ("LONPOLE", Real(180.0), "[deg] native longitude of the pole"),
            ("RADESYS", text("ICRS"), "frame"),
        ];
        cards.map(|(key, value, comment)| (key.to_owned(), value, comment.to_owned())).into()
    }

    pub(crate) fn projector(&self) -> Projector {
        Projector {
            plane: TangentPlane::new([self.ra_deg, self.dec_deg]),
            centre: self.centre_px(),
            scale_rad: (self.pixel_scale_arcsec / 3600.0).to_radians(),
        }
    }
}

/// A grid with its trigonometry done once.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Projector {
    plane: TangentPlane,
    centre: [f64; 2],
    pub(crate) scale_rad: f64,
}

impl Projector {
    /// Sky to 0-based model pixel; `None` for the far hemisphere.
    pub(crate) fn pixel(&self, radec_deg: [f64; 2]) -> Option<[f64; 2]> {
        let [xi, eta] = self.plane.project(radec_deg)?;
        Some([self.centre[0] - xi / self.scale_rad, self.centre[1] + eta / self.scale_rad])
    }

    /// Solid angle at a model pixel relative to that of the central one: (1 + rho^2)^(-3/2).
    pub(crate) fn relative_area(&self, [x, y]: [f64; 2]) -> f64 {
        let rho = (x - self.centre[0]).hypot(y - self.centre[1]) * self.scale_rad;
        (1.0 + rho * rho).powf(-1.5)
    }
}

impl Wcs for ModelGrid {
    fn pixel_to_sky(&self, xy: &[[f64; 2]]) -> Result<Vec<[f64; 2]>> {
        let Projector { plane, centre, scale_rad } = self.projector();
        let sky = |&[x, y]: &[f64; 2]| {
            plane.deproject([(centre[0] - x) * scale_rad, (y - centre[1]) * scale_rad])
        };
        Ok(xy.iter().map(sky).collect())
    }

    fn sky_to_pixel(&self, radec_deg: &[[f64; 2]]) -> Result<Vec<[f64; 2]>> {
        let projector = self.projector();
        let pixel = |&[ra, dec]: &[f64; 2]| {
            let far = || format!("ra {ra}, dec {dec} is more than 90 degrees from the centre");
            projector.pixel([ra, dec]).ok_or_else(|| ExposureError::wcs("the model grid", far()))
        };
        radec_deg.iter().map(pixel).collect()
    }

    fn reference_px(&self) -> Option<[f64; 2]> {
        Some(self.centre_px())
    }
}
