//! `pellucid predict`.

use ndarray::{Array2, s};
use pellucid_host::fits::{Card, FitsAddress, FitsInput, FitsOutput, Region};
use pellucid_host::input::{Chip, ExposureFile, ExposureOptions, PsfImage, PsfOptions};
use pellucid_host::sky::ModelGrid;
use pellucid_host::{HostError, check_output};

use crate::args::PredictArgs;
use crate::failure::{Outcome, Run};
use crate::{engine, outputs};

/// Runs the command. Pixels that the PSF cannot reach from the model are zero.
pub fn run(args: &PredictArgs) -> Run {
    let inputs = [
        ("--image", &*args.image.path),
        ("the exposure", &*args.exposure.path),
        ("--psf", &*args.psf.path),
    ];
    outputs::check(&[("-o", &args.output)], inputs)?;
    check_output(&args.output)?;
    let (image, grid) = read_model(&args.image)?;
    let psf = PsfImage::read(
        &args.psf,
        PsfOptions {
            oversample: args.psf_oversample,
            pixel_integrated: args.psf_pixel_integrated.then_some(true),
            centre: args.psf_centre,
        },
    )?;
    let options = ExposureOptions {
        pixel_area_corrected: args.pixel_area_corrected.then_some(true),
        pixel_scale_arcsec: args.pixel_scale_data,
        target: Some(grid.centre),
        // Only its frame matters, not what its pixels measure.
        unit: Some("electrons/s".into()),
        ..ExposureOptions::default()
    };
    let file = ExposureFile::open(&args.exposure, &options)?;
    let index = file.chip_at(Some(grid.centre))?;
    let chip = &file.chips()[index];
    let footprint = chip.footprint(&grid).ok_or_else(|| HostError::OffChip {
        at: chip.label.clone(),
        ra_deg: grid.centre.ra_deg,
        dec_deg: grid.centre.dec_deg,
        chips: 1,
    })?;
    let region = reach(chip, footprint, &psf);
    let stamp = file.blank(index, region);

    let engine = engine::start(&args.engine, &[])?;
    let kernel = engine.psf(psf.kernel.view(), psf.oversample, psf.pixel_integrated)?;
    let exposure = stamp.to_exposure(&engine, &kernel, None)?;
    let seen = engine.predict(&[&exposure], &grid, image.view())?;
    let mut frame = Array2::<f32>::zeros(chip.shape);
    let Region { x0, y0, nx, ny } = region;
    frame.slice_mut(s![y0..y0 + ny, x0..x0 + nx]).assign(&seen[0]);

    let mut cards = vec![
        Card::new("BUNIT", "electron/s", "per pixel"),
        Card::new("IMAGE", args.image.to_string(), "model image"),
        Card::new("EXPOSURE", args.exposure.to_string(), "whose frame this is"),
    ];
    cards.extend(chip.header.wcs_cards());
    let origin = Card::new("ORIGIN", "Pellucid", "predicted, not observed");
    let mut output = FitsOutput::create(&args.output, &[origin])?;
    output.image("SCI", 1, frame.view(), &cards)?;
    output.commit()?;
    Ok(Outcome::Done)
}

/// A model image and its grid.
///
/// # Errors
/// [`HostError::Value`] if its WCS is not that of a model grid, or a pixel is not finite.
pub fn read_model(address: &FitsAddress) -> Result<(Array2<f32>, ModelGrid), HostError> {
    let mut file = FitsInput::open(&address.path)?;
    let hdu = file.image_hdu(address.extension.as_ref())?.clone();
    let at = file.at(&hdu);
    let image = file.image_2d(hdu.index)?.mapv(|v| v as f32);
    if let Some(((y, x), value)) = image.indexed_iter().find(|(_, v)| !v.is_finite()) {
        return Err(HostError::Value {
            what: format!("{at}: pixel (x, y) = ({x}, {y})"),
            need: "a finite value".into(),
            got: value.to_string(),
        });
    }
    let grid = ModelGrid::from_header(&hdu.header, image.dim(), &at)?;
    Ok((image, grid))
}

/// A region grown by the PSF's half size, cut at the chip's edges.
fn reach(chip: &Chip, region: Region, psf: &PsfImage) -> Region {
    let half = |n: usize| n / (2 * psf.oversample) + 1;
    let (gx, gy) = (half(psf.kernel.ncols()), half(psf.kernel.nrows()));
    let (ny, nx) = chip.shape;
    let x0 = region.x0.saturating_sub(gx);
    let y0 = region.y0.saturating_sub(gy);
    Region {
        x0,
        y0,
        nx: (region.x0 + region.nx + gx).min(nx) - x0,
        ny: (region.y0 + region.ny + gy).min(ny) - y0,
    }
}
