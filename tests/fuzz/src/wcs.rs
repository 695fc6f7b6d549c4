//! World coordinate systems of header text, and wcslib beneath.

use pellucid_exposure::{HeaderWcs, Wcs};
use pellucid_wcslib::Celestial;

const PIXELS: [[f64; 2]; 5] = [[0.0, 0.0], [3.5, -2.0], [1013.0, 20.0], [1e5, -1e5], [1e300, 1.0]];
const SKY: [[f64; 2]; 4] = [[10.0, 5.0], [150.1, 2.2], [0.0, 90.0], [-400.0, -91.0]];

/// Maps pixels both ways by the WCS of `data`, as the exposures' code and as the binding take it.
pub fn run(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    if let Ok(wcs) = HeaderWcs::new(&text, Vec::new()) {
        for at in PIXELS {
            if let Ok(sky) = wcs.pixel_to_sky(&[at]) {
                assert!(sky[0].iter().all(|v| v.is_finite()), "{at:?} is at {sky:?}");
                let _ = wcs.sky_to_pixel(&sky);
            }
        }
        for at in SKY {
            let _ = wcs.sky_to_pixel(&[at]);
        }
        let _ = wcs.reference_px();
    }
    // The binding takes whole cards; lines are made such.
    let lines = text.contains('\n');
    let cards: String = match lines {
        true => text.lines().map(|line| format!("{line:80.80}")).collect(),
        false => text.chars().take(text.chars().count() / 80 * 80).collect(),
    };
    if let Ok(wcs) = Celestial::parse(&cards) {
        let _ = (wcs.pixel_to_world(&PIXELS), wcs.world_to_pixel(&SKY));
        let _ = wcs.prior_distortion(&PIXELS);
    }
}
