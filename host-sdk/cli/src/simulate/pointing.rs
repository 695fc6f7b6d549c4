//! Where a simulated exposure looks: roll, dither, and its WCS header.

use pellucid_host::HostError;
use pellucid_host::fits::{Card, Header, Region};
use pellucid_host::sky::{ModelGrid, SkyPosition, TanSip};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::instrument::Instrument;

/// Pixels of a stamp beyond the model's footprint.
const MARGIN: f64 = 3.0;

/// One exposure's pointing.
pub struct Pointing {
    /// The WCS cards of the stamp, CRPIX already moved.
    pub wcs: Vec<Card>,
    /// The stamp on the chip.
    pub region: Region,
    /// Position angle of the detector's y axis, degrees east of north.
    pub roll_deg: f64,
}

/// The WCS of the whole chip, and the roll, of exposure `k` of a visit: the target falls on the camera's target
/// pixel, moved by the dither; the visit's roll is drawn from the seed, each exposure deviates a little from it.
fn visit(
    instrument: &Instrument,
    target_sky: SkyPosition,
    seed: u64,
    k: usize,
) -> Result<(Vec<Card>, f64), HostError> {
    let mut all = ChaCha8Rng::seed_from_u64(seed);
    all.set_stream(1 << 32);
    let roll = all.random_range(0.0..360.0);
    let mut own = ChaCha8Rng::seed_from_u64(seed);
    own.set_stream((1 << 32) + 1 + k as u64);
    let roll_deg = roll + own.random_range(-0.3..0.3);
    let box_point = instrument.dither[k % 4];
    // A second box is shifted by a quarter pixel, and so on.
    let shift = 0.25 * (k / 4) as f64;
    let jitter = [(); 2].map(|()| own.random_range(-0.05..0.05));
    let target = [0, 1].map(|i| instrument.target_pixel[i] + box_point[i] + shift + jitter[i]);
    Ok((aim(instrument, target_sky, target, roll_deg)?, roll_deg))
}

/// Places exposure `k` of a visit and cuts the stamp that sees the model.
///
/// # Errors
/// [`HostError::Value`] if the model is larger than the chip.
pub fn point(
    instrument: &Instrument,
    grid: &ModelGrid,
    seed: u64,
    k: usize,
) -> Result<Pointing, HostError> {
    let (cards, roll_deg) = visit(instrument, grid.centre, seed, k)?;
    let wcs = TanSip::from_header(&header(&cards), "simulated exposure")?;

    let outline: Vec<_> =
        grid.outline().into_iter().filter_map(|sky| wcs.sky_to_pixel(sky)).collect();
    let (ny, nx) = instrument.chip;
    let range = |axis: usize, n: usize| {
        let (low, high) = outline
            .iter()
            .map(|p| p[axis])
            .fold((f64::MAX, f64::MIN), |(l, h), v| (l.min(v), h.max(v)));
        let (first, last) = ((low - MARGIN).floor(), (high + MARGIN).ceil());
        (first >= 0.0 && last < n as f64).then(|| (first as usize, (last - first) as usize + 1))
    };
    let (Some((x0, w)), Some((y0, h))) = (range(0, nx), range(1, ny)) else {
        return Err(HostError::Value {
            what: "size of the model (--size, --pixel-scale)".into(),
            need: format!("a footprint that fits on the {nx} x {ny} chip"),
            got: format!("{} x {} pixels of {}\"", grid.nx, grid.ny, grid.pixel_scale_arcsec),
        });
    };
    let region = Region { x0, y0, nx: w, ny: h };
    Ok(cut(instrument, cards, roll_deg, region))
}

/// Exposure `k` of a visit to a target, in the `side` x `side` pixels of the chip around where the first falls,
/// as far as the chip reaches.
///
/// # Errors
/// [`HostError::Value`] if the chip has fewer pixels.
pub fn frame(
    instrument: &Instrument,
    target: SkyPosition,
    side: usize,
    seed: u64,
    k: usize,
) -> Result<Pointing, HostError> {
    let (ny, nx) = instrument.chip;
    if side == 0 || side > ny.min(nx) {
        return Err(HostError::Value {
            what: "--field".into(),
            need: format!("1 to {}, the chip has {nx} x {ny} pixels", ny.min(nx)),
            got: side.to_string(),
        });
    }
    let first = |axis: usize, n: usize| {
        let centred = instrument.target_pixel[axis] - (side as f64 - 1.0) / 2.0;
        (centred.round().max(0.0) as usize).min(n - side)
    };
    let region = Region { x0: first(0, nx), y0: first(1, ny), nx: side, ny: side };
    let (cards, roll_deg) = visit(instrument, target, seed, k)?;
    Ok(cut(instrument, cards, roll_deg, region))
}

/// A region of the chip, with its WCS.
fn cut(instrument: &Instrument, cards: Vec<Card>, roll_deg: f64, region: Region) -> Pointing {
    let mut wcs = cards;
    for card in &mut wcs {
        let shift = match card.key.as_str() {
            "CRPIX1" => region.x0,
            "CRPIX2" => region.y0,
            _ => continue,
        };
        let index = usize::from(card.key == "CRPIX2");
        card.value = Some((instrument.reference_pixel[index] - shift as f64).into());
    }
    Pointing { wcs, region, roll_deg }
}

/// The chip's WCS with the target on a pixel: CRVAL follows by iteration.
fn aim(
    instrument: &Instrument,
    target: SkyPosition,
    pixel: [f64; 2],
    roll_deg: f64,
) -> Result<Vec<Card>, HostError> {
    let mut reference = target;
    for _ in 0..8 {
        let cards = cards(instrument, reference, roll_deg);
        let wcs = TanSip::from_header(&header(&cards), "simulated exposure")?;
        let seen = wcs.pixel_to_sky(pixel);
        reference.ra_deg += target.ra_deg - seen.ra_deg;
        reference.dec_deg += target.dec_deg - seen.dec_deg;
    }
    Ok(cards(instrument, reference, roll_deg))
}

fn cards(instrument: &Instrument, reference: SkyPosition, roll_deg: f64) -> Vec<Card> {
    let (sin, cos) = roll_deg.to_radians().sin_cos();
    let l = instrument.linear;
    let degrees = |v: f64| v / 3600.0;
    // Sky offsets (east, north), turned by the roll: y then points to position angle `roll_deg`.
    let cd = [
        [cos * l[0][0] + sin * l[1][0], cos * l[0][1] + sin * l[1][1]],
        [cos * l[1][0] - sin * l[0][0], cos * l[1][1] - sin * l[0][1]],
    ];
    let (suffix, note) = match instrument.sip {
        Some(_) => ("-SIP", "TAN (gnomonic) projection + SIP distortions"),
        None => ("", "TAN (gnomonic) projection"),
    };
    let mut cards = vec![
        Card::new("WCSAXES", 2, "number of coordinate axes"),
        Card::new("CRPIX1", instrument.reference_pixel[0], "reference pixel"),
        Card::new("CRPIX2", instrument.reference_pixel[1], "reference pixel"),
        Card::new("CRVAL1", reference.ra_deg, "[deg] right ascension at CRPIX"),
        Card::new("CRVAL2", reference.dec_deg, "[deg] declination at CRPIX"),
        Card::new("CTYPE1", format!("RA---TAN{suffix}"), note),
        Card::new("CTYPE2", format!("DEC--TAN{suffix}"), note),
        Card::new("CUNIT1", "deg", ""),
        Card::new("CUNIT2", "deg", ""),
        Card::new("CD1_1", degrees(cd[0][0]), "[deg] partial of RA w.r.t. x"),
        Card::new("CD1_2", degrees(cd[0][1]), "[deg] partial of RA w.r.t. y"),
        Card::new("CD2_1", degrees(cd[1][0]), "[deg] partial of Dec w.r.t. x"),
        Card::new("CD2_2", degrees(cd[1][1]), "[deg] partial of Dec w.r.t. y"),
        Card::new("RADESYS", "ICRS", ""),
        Card::new("ORIENTAT", roll_deg, "[deg] position angle of y, east of north"),
    ];
    if let Some(sip) = &instrument.sip {
        for (axis, terms) in [('A', sip.a), ('B', sip.b)] {
            cards.push(Card::new(&format!("{axis}_ORDER"), sip.order, "SIP polynomial order"));
            let each = terms.iter().map(|(p, q, coefficient)| {
                Card::new(&format!("{axis}_{p}_{q}"), *coefficient, "SIP distortion coefficient")
            });
            cards.extend(each);
        }
    }
    cards
}

fn header(cards: &[Card]) -> Header {
    cards.iter().cloned().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::args::InstrumentName;

    #[test]
    fn the_target_lands_where_the_dither_says() {
        let grid = ModelGrid {
            nx: 64,
            ny: 64,
            centre: SkyPosition { ra_deg: 150.1, dec_deg: -70.0 },
            pixel_scale_arcsec: 0.065,
        };
        let instrument = Instrument::new(InstrumentName::Wfc3irF160w);
        let at = |k| {
            let pointing = point(&instrument, &grid, 5, k).unwrap();
            let wcs = TanSip::from_header(&header(&pointing.wcs), "t").unwrap();
            let pixel = wcs.sky_to_pixel(grid.centre).unwrap();
            let region = pointing.region;
            assert!(region.nx < 64 && region.ny < 64, "{region:?}");
            [pixel[0] + region.x0 as f64, pixel[1] + region.y0 as f64]
        };
        let (first, second) = (at(0), at(1));
        assert!((second[0] - first[0] - 4.0).abs() < 0.11);
        assert!((second[1] - first[1] - 1.5).abs() < 0.11);
        assert!((first[0] - 620.0).abs() < 0.06 && (first[1] - 430.0).abs() < 0.06);
    }

    #[test]
    fn the_roll_is_the_position_angle_of_y() {
        let instrument = Instrument::new(InstrumentName::Plain);
        let centre = SkyPosition { ra_deg: 10.0, dec_deg: 0.0 };
        let cards = cards(&instrument, centre, 30.0);
        let wcs = TanSip::from_header(&header(&cards), "t").unwrap();
        let up = wcs.pixel_to_sky([511.5, 611.5]);
        let (east, north) = (up.ra_deg - 10.0, up.dec_deg);
        assert!((east.atan2(north).to_degrees() - 30.0).abs() < 1e-3);
    }
}
