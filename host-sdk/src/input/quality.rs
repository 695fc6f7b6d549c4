//! Which data-quality bits make an HST pixel bad.

use super::instrument::InstrumentNames;
use crate::fits::Header;

/// The bits of an HST DQ array that exclude a pixel, by instrument.
///
/// | bit | WFC3/IR | ACS, WFC3/UVIS | used by default |
/// |---|---|---|---|
/// | 1, 2 | decoding error, data lost | the same | no |
/// | 4, 8 | bad or unstable detector pixel | bad pixel, masked by aperture | no |
/// | 16 | hot | hot | no |
/// | 32 | unstable | CTE tail, unstable | no |
/// | 64 | warm (dark-subtracted) | warm (dark-subtracted) | **yes** |
/// | 128 | bad reference pixel | bias structure | no |
/// | 256 | saturated | saturated | no |
/// | 512 | blob (flat-fielded) | bad flat | **yes** on WFC3/IR |
/// | 1024 | - | charge trap | no |
/// | 2048 | signal in the zero read (corrected) | A-to-D saturation | **yes** on WFC3/IR |
/// | 4096 | cosmic ray (AstroDrizzle) | the same | no |
/// | 8192 | cosmic ray, removed by the ramp fit | cosmic ray (CR-SPLIT) | **yes** on WFC3/IR |
/// | 16384 | ghost, crosstalk | manual | no |
///
/// Any set bit is bad for other instruments. `--dq-bad-bits` replaces all of this.
pub fn default_bad_bits(image: &Header, primary: &Header) -> u32 {
    const WARM: u32 = 64;
    const RAMP: u32 = 512 | 2048 | 8192;
    match detector(image, primary) {
        Detector::Ir => !(WARM | RAMP),
        Detector::Ccd => !WARM,
        Detector::Other => u32::MAX,
    }
}

/// The bits of an HST DQ array that say that a pixel's value means nothing: decoding errors and
/// lost data (1, 2), dead and masked pixels (4), unstable zero read or shadow of the aperture (8),
/// bad reference pixels (128, WFC3/IR), saturation (256), and on CCDs bad flats (512) and
/// saturation of the converter (2048).
///
/// What is left over is noise with a value: cosmic rays (4096, 8192), hot, warm and unstable pixels
/// (16, 64, 32), bias structure, charge traps. Any set bit counts for other instruments.
pub fn no_value_bits(image: &Header, primary: &Header) -> u32 {
    const ALWAYS: u32 = 1 | 2 | 4 | 8 | 256;
    match detector(image, primary) {
        Detector::Ir => ALWAYS | 128,
        Detector::Ccd => ALWAYS | 512 | 2048,
        Detector::Other => u32::MAX,
    }
}

/// Detectors whose bits are known.
enum Detector {
    /// WFC3/IR.
    Ir,
    /// ACS, WFC3/UVIS.
    Ccd,
    /// All others.
    Other,
}

fn detector(image: &Header, primary: &Header) -> Detector {
    let names = InstrumentNames::of(image, primary);
    match (names.instrument.as_deref(), names.detector.as_deref()) {
        (Some("WFC3"), Some("IR")) => Detector::Ir,
        (Some("WFC3" | "ACS"), _) => Detector::Ccd,
        _ => Detector::Other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fits::Card;

    #[test]
    fn noise_has_a_value_and_dead_pixels_have_none() {
        let primary = |instrument: &str, detector: &str| -> Header {
            let cards =
                [Card::new("INSTRUME", instrument, ""), Card::new("DETECTOR", detector, "")];
            cards.into_iter().collect()
        };
        for (instrument, name) in [("WFC3", "IR"), ("ACS", "WFC"), ("WFC3", "UVIS")] {
            let bits = no_value_bits(&Header::default(), &primary(instrument, name));
            assert_eq!(bits & (16 | 32 | 64 | 4096 | 8192), 0, "{instrument}/{name}");
            assert_eq!(bits & (4 | 256), 4 | 256, "{instrument}/{name}");
        }
        let other = primary("NIRCAM", "NRCA1");
        assert_eq!(no_value_bits(&Header::default(), &other), u32::MAX);
        assert_eq!(default_bad_bits(&Header::default(), &primary("ACS", "WFC")) & 64, 0);
    }
}
