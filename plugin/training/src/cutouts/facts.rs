//! What headers say of exposures.

use pellucid_host::fits::Header;
use pellucid_host::input::{Chip, ExposureFile, InstrumentNames};
use pellucid_host::session::FluxConvention;

use super::metadata::{ExposureFacts, Instrument};

/// What the headers say of an image; what is measured is still 0.
pub(super) fn exposure(file: &ExposureFile, chip: &Chip, dq_bits: u32) -> ExposureFacts {
    let real = |key: &str| chip.header.real(key).or_else(|| file.primary().real(key));
    let amplifiers = |stem: &str| {
        let all = ["A", "B", "C", "D"].map(|a| real(&format!("{stem}{a}")));
        let all: Vec<f64> = all.into_iter().flatten().filter(|v| *v > 0.0).collect();
        (!all.is_empty()).then(|| all.iter().sum::<f64>() / all.len() as f64)
    };
    let name = file.path().file_name().unwrap_or_default().to_string_lossy();
    ExposureFacts {
        // The name without its folder: the set is the same wherever it is made.
        label: chip.label.replacen(&file.path().display().to_string(), &name, 1),
        sha256: file.sha256().into(),
        shape: [chip.shape.0, chip.shape.1],
        to_e_per_s: chip.to_electrons_per_second,
        exposure_time_s: real("SAMPTIME").or_else(|| real("EXPTIME")).filter(|t| *t > 0.0),
        read_noise_e: amplifiers("READNSE"),
        gain_e_per_count: amplifiers("ATODGN").or_else(|| real("CCDGAIN")),
        dq_bits,
        sky_e_per_s: 0.0,
        sigma_e_per_s: 0.0,
        valid: 0.0,
        sharp: 0.0,
        source: 0.0,
        flux_cut_e_per_s: 0.0,
        flux_spread_e_per_s: None,
    }
}

/// What must be the same in all images; `area`: they are multiplied by the pixel area map.
pub(super) fn instrument(primary: &Header, chip: &Chip, area: bool) -> Instrument {
    let InstrumentNames { instrument, detector, filter } =
        InstrumentNames::of(&chip.header, primary);
    let per_pixel = area || chip.flux_convention == FluxConvention::PerPixel;
    Instrument {
        instrument,
        detector,
        filter,
        pixel_scale_arcsec: chip.wcs.pixel_scale_arcsec(),
        flux_convention: if per_pixel { "per_pixel" } else { "surface_brightness" }.into(),
    }
}
