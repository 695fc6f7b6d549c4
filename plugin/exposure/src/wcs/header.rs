//! A WCS from FITS header text: wcslib for SIP and the projection, HST's tables around them.

use pellucid_wcslib::{Celestial, WcslibError};

use super::cards::{Cards, is_sip};
use super::{LookupTable, TableKind, Wcs};
use crate::{ExposureError, Result};

/// A header's WCS, evaluated by wcslib, with optional lookup tables.
///
/// With p the 1-based pixel, in astropy's order (`all_pix2world`):
/// q = p + D2IM(p); f = q + SIP(q) + NPOL(q); sky = projection(CD (f - CRPIX)).
///
/// Accuracy: within 1e-7 pixel (what the table of answers resolves) of astropy 8.0.2, SIP only and
/// with tables; the inverse returns to 1e-8 pixel (`wcs_reference::agrees_with_astropy`).
#[derive(Debug)]
pub struct HeaderWcs {
    /// The header with SIP, used for its prior distortion only.
    sip: Option<Celestial>,
    /// The header without any distortion of pixel coordinates.
    core: Celestial,
    d2im: [Option<LookupTable>; 2],
    npol: [Option<LookupTable>; 2],
}

const WHAT: &str = "the header";
/// The fixed-point inverse stops here; doubles resolve 1e-12 of a 4k detector.
const INVERSE_TOLERANCE_PX: f64 = 1e-10;
const INVERSE_ITERATIONS: usize = 200;

impl HeaderWcs {
    /// Parse `cards`: header text as 80-character cards, concatenated or one per line.
    ///
    /// Tables that the header names but `tables` lacks are left out: for HST's ACS that is an
    /// error of up to 0.1 pixel.
    ///
    /// # Errors
    /// Missing keywords, a singular matrix, a frame other than ICRS or FK5 J2000, SIP coefficients
    /// without the -SIP suffix, malformed tables.
    pub fn new(cards: &str, tables: Vec<LookupTable>) -> Result<Self> {
        let cards = Cards::parse(cards)?;
        require_keywords(&cards)?;
        require_degrees(&cards)?;
        let cards = without_lookups(cards.without(|key| key.starts_with("CUNIT")));
        let suffixed =
            ["CTYPE1", "CTYPE2"].map(|key| cards.text(key).is_some_and(|v| v.ends_with("-SIP")));
        let coefficients = cards.any(is_sip);
        if coefficients && suffixed != [true; 2] {
            let reason = "it has SIP coefficients (A_*, B_*) but CTYPE1 and CTYPE2 do not end in -SIP; \
                          add the suffix or remove the coefficients";
            return Err(ExposureError::wcs(WHAT, reason));
        }
        let plain = cards.clone().without(is_sip).cut("CTYPE1", "-SIP").cut("CTYPE2", "-SIP");
        let core = parse(&plain)?;
        check_frame(&core)?;
        let sip = coefficients.then(|| parse(&cards)).transpose()?;
        let (mut d2im, mut npol) = ([None, None], [None, None]);
        for table in tables {
            table.check(WHAT)?;
            let slot = match table.kind {
                TableKind::D2im { axis } => &mut d2im[axis],
                TableKind::Npol { axis } => &mut npol[axis],
            };
            if slot.is_some() {
                return Err(ExposureError::wcs(WHAT, format!("two {:?} tables", table.kind)));
            }
            *slot = Some(table);
        }
        Ok(Self { sip, core, d2im, npol })
    }

    /// 1-based detector pixels to the 1-based pixels on which the linear transform acts.
    fn focal(&self, pixel: &[[f64; 2]]) -> Result<Vec<[f64; 2]>> {
        let image: Vec<_> = pixel.iter().map(|&p| add(p, lookup(&self.d2im, p))).collect();
        let mut focal = match &self.sip {
            Some(sip) => sip.prior_distortion(&image).map_err(|e| from_wcslib(e, &image))?,
            None => image.clone(),
        };
        for (f, &q) in focal.iter_mut().zip(&image) {
            *f = add(*f, lookup(&self.npol, q));
        }
        Ok(focal)
    }

    fn is_distorted(&self) -> bool {
        self.sip.is_some() || self.d2im.iter().chain(&self.npol).any(Option::is_some)
    }

    /// Longitude first, whichever CTYPE comes first.
    fn ordered(&self, world: [f64; 2]) -> [f64; 2] {
        match self.core.facts().celestial_axes {
            Some([1, 0]) => [world[1], world[0]],
            _ => world,
        }
    }
}

impl Wcs for HeaderWcs {
    fn pixel_to_sky(&self, xy: &[[f64; 2]]) -> Result<Vec<[f64; 2]>> {
        let focal = self.focal(&shift(xy, 1.0))?;
        let world = self.core.pixel_to_world(&focal).map_err(|e| from_wcslib(e, xy))?;
        match world.iter().position(|w| !w.iter().all(|v| v.is_finite())) {
            Some(i) => {
                Err(ExposureError::wcs(WHAT, format!("no sky position at pixel {:?}", xy[i])))
            }
            None => Ok(world.into_iter().map(|w| self.ordered(w)).collect()),
        }
    }

    fn sky_to_pixel(&self, radec_deg: &[[f64; 2]]) -> Result<Vec<[f64; 2]>> {
        let world: Vec<_> = radec_deg.iter().map(|&w| self.ordered(w)).collect();
        let focal = self.core.world_to_pixel(&world).map_err(|e| from_wcslib(e, radec_deg))?;
        let mut pixel = focal.clone();
        if !self.is_distorted() {
            return Ok(shift(&pixel, -1.0));
        }
        // p <- p + (f - focal(p)): a contraction while distortions change by less than a pixel per
        // pixel; HST's change by 0.05 at most.
        for _ in 0..INVERSE_ITERATIONS {
            let mut worst = 0.0_f64;
            let reached = self.focal(&pixel)?;
            for (p, (&f, g)) in pixel.iter_mut().zip(focal.iter().zip(reached)) {
                let step = [f[0] - g[0], f[1] - g[1]];
                *p = add(*p, step);
                let size = step[0].hypot(step[1]);
                worst = if size.is_finite() { worst.max(size) } else { f64::INFINITY };
            }
            if worst < INVERSE_TOLERANCE_PX {
                return Ok(shift(&pixel, -1.0));
            }
            if worst == f64::INFINITY {
                break;
            }
        }
        let reason =
            "the distortion cannot be inverted there: a sky position lies too far off the detector";
        Err(ExposureError::wcs(WHAT, reason))
    }

    fn reference_px(&self) -> Option<[f64; 2]> {
        shift(&[self.core.facts().reference_px], -1.0).first().copied()
    }
}

/// 0-based to 1-based pixels (`by` = 1) and back (`by` = -1).
fn shift(xy: &[[f64; 2]], by: f64) -> Vec<[f64; 2]> {
    xy.iter().map(|&[x, y]| [x + by, y + by]).collect()
}

fn add(a: [f64; 2], b: [f64; 2]) -> [f64; 2] {
    [a[0] + b[0], a[1] + b[1]]
}

fn lookup(tables: &[Option<LookupTable>; 2], pixel: [f64; 2]) -> [f64; 2] {
    [0, 1].map(|axis| tables[axis].as_ref().map_or(0.0, |table| table.at(pixel)))
}

fn require_keywords(cards: &Cards) -> Result<()> {
    let required = ["CTYPE1", "CTYPE2", "CRVAL1", "CRVAL2", "CRPIX1", "CRPIX2"];
    let mut missing: Vec<&str> = required.into_iter().filter(|key| !cards.has(key)).collect();
    let scales = ["CD1_1", "CD1_2", "CDELT1"];
    if !scales.iter().any(|key| cards.has(key)) {
        missing.push("CDi_j or CDELTi");
    }
    if missing.is_empty() {
        return Ok(());
    }
    let reason = format!("it lacks {}; give a header with a celestial WCS", missing.join(", "));
    Err(ExposureError::wcs(WHAT, reason))
}

fn require_degrees(cards: &Cards) -> Result<()> {
    for key in ["CUNIT1", "CUNIT2"] {
        let unit = cards.text(key).unwrap_or_default().trim().to_ascii_lowercase();
        if !["", "deg", "degree", "degrees"].contains(&unit.as_str()) {
            return Err(ExposureError::wcs(WHAT, format!("{key} is {unit:?}, need 'deg'")));
        }
    }
    Ok(())
}

/// Drop what `wcsset` rejects (status 5) and [`LookupTable`] replaces: CPDISj = 'Lookup' and its
/// DPj. Other prior distortions are wcslib's own and stay.
fn without_lookups(cards: Cards) -> Cards {
    let of_lookup = ["1", "2"].into_iter().filter(|axis| {
        let kind = cards.text(&format!("CPDIS{axis}"));
        kind.is_none_or(|kind| kind.eq_ignore_ascii_case("lookup"))
    });
    let dropped: Vec<String> =
        of_lookup.flat_map(|axis| [format!("CPDIS{axis}"), format!("DP{axis}")]).collect();
    cards.without(|key| dropped.iter().any(|dropped| dropped == key))
}

fn parse(cards: &Cards) -> Result<Celestial> {
    let celestial = Celestial::parse(&cards.concat()).map_err(|e| from_wcslib(e, &[]))?;
    let [[a, b], [c, d]] = celestial.facts().linear_deg;
    let determinant = a * d - b * c;
    let scale = a.hypot(c) * b.hypot(d);
    if determinant.abs() <= 1e-9 * scale || !determinant.is_normal() {
        return Err(ExposureError::SingularWcs { what: WHAT.into(), determinant });
    }
    Ok(celestial)
}

/// FK5 J2000 passes as ICRS: they differ by 0.03 arcsec at most.
fn check_frame(celestial: &Celestial) -> Result<()> {
    let facts = celestial.facts();
    let refuse = |reason: String| Err(ExposureError::wcs(WHAT, reason));
    if !facts.longitude.starts_with("RA") {
        return refuse(format!("its longitude is {:?}, need RA and DEC", facts.longitude));
    }
    match (facts.frame.as_str(), facts.equinox_yr) {
        ("ICRS", _) | ("" | "FK5", None | Some(2000.0)) => Ok(()),
        (frame, equinox) => {
            let equinox = equinox.map_or("none".to_owned(), |yr| yr.to_string());
            refuse(format!("RADESYS {frame:?} with EQUINOX {equinox}, need ICRS or FK5 2000"))
        }
    }
}

fn from_wcslib(error: WcslibError, points: &[[f64; 2]]) -> ExposureError {
    const SINGULAR_MATRIX: i32 = 3;
    if error.status == SINGULAR_MATRIX {
        let [[a, b], [c, d]] = error.linear_deg;
        return ExposureError::SingularWcs { what: WHAT.into(), determinant: a * d - b * c };
    }
    let at = error.coordinate.and_then(|i| points.get(i));
    let place = at.map_or(String::new(), |[a, b]| format!(" at ({a}, {b})"));
    ExposureError::wcs(WHAT, format!("{error}{place}"))
}
