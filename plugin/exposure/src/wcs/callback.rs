//! A WCS that the host computes.

use super::{Wcs, invert};
use crate::{ExposureError, Result};

type Map = dyn Fn(&[[f64; 2]], &mut [[f64; 2]]) -> Result<(), i32> + Send + Sync;

/// A WCS given as functions: `forward` maps 0-based pixels to ICRS degrees, `inverse` back.
///
/// Without `inverse`, Newton's method inverts `forward` to 1e-8 pixel.
pub struct CallbackWcs {
    forward: Box<Map>,
    inverse: Option<Box<Map>>,
}

impl std::fmt::Debug for CallbackWcs {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CallbackWcs").field("has_inverse", &self.inverse.is_some()).finish()
    }
}

impl CallbackWcs {
    /// Each function fills its second argument, which is as long as its first, or returns a code.
    pub fn new(
        forward: impl Fn(&[[f64; 2]], &mut [[f64; 2]]) -> Result<(), i32> + Send + Sync + 'static,
        inverse: Option<Box<Map>>,
    ) -> Self {
        Self { forward: Box::new(forward), inverse }
    }
}

impl Wcs for CallbackWcs {
    fn pixel_to_sky(&self, xy: &[[f64; 2]]) -> Result<Vec<[f64; 2]>> {
        let radec = call(&*self.forward, xy, "pixel-to-sky callback")?;
        match radec.iter().position(|[_, dec]| dec.abs() > 90.0) {
            Some(i) => {
                let [x, y] = xy[i];
                let reason =
                    format!("declination {} at x = {x}, y = {y}, need -90..90", radec[i][1]);
                Err(ExposureError::wcs("the pixel-to-sky callback", reason))
            }
            None => Ok(radec),
        }
    }

    fn sky_to_pixel(&self, radec_deg: &[[f64; 2]]) -> Result<Vec<[f64; 2]>> {
        if let Some(inverse) = &self.inverse {
            return call(&**inverse, radec_deg, "sky-to-pixel callback");
        }
        let invert = |&radec: &[f64; 2]| {
            invert::newton(|xy| self.pixel_to_sky(xy), radec, [0.0; 2], "the pixel-to-sky callback")
        };
        radec_deg.iter().map(invert).collect()
    }
}

fn call(map: &Map, from: &[[f64; 2]], what: &str) -> Result<Vec<[f64; 2]>> {
    // NaN, so that a function that forgets to write is caught below.
    let mut to = vec![[f64::NAN; 2]; from.len()];
    map(from, &mut to).map_err(|code| ExposureError::Callback { what: what.into(), code })?;
    match to.iter().position(|p| !p.iter().all(|v| v.is_finite())) {
        Some(i) => {
            let reason = format!("{:?} for input {:?}, need finite numbers", to[i], from[i]);
            Err(ExposureError::wcs(format!("the {what}"), reason))
        }
        None => Ok(to),
    }
}
