//! Which data-quality bits make an HST pixel bad.

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
    let text = |key: &str| image.string(key).or_else(|| primary.string(key));
    const WARM: u32 = 64;
    const RAMP: u32 = 512 | 2048 | 8192;
    match (text("INSTRUME"), text("DETECTOR")) {
        (Some("WFC3"), Some("IR")) => !(WARM | RAMP),
        (Some("WFC3" | "ACS"), _) => !WARM,
        _ => u32::MAX,
    }
}
