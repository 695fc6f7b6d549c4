//! From files to images with their sky subtracted, their sources and their particles found.

use ndarray::{Array2, Zip};
use pellucid_host::HostError;
use pellucid_host::fits::{FitsAddress, FitsInput};
use pellucid_host::input::{Chip, ExposureFile, ExposureOptions, Planes, no_value_bits};
use pellucid_host::session::FluxConvention;

use super::args::CutoutArgs;
use super::facts;
use super::metadata::{ExposureFacts, Instrument, SkyMethod};
use super::sharp::{self, SharpRule};
use super::sky::SkyMap;
use super::source::{self, SourceRule};
use super::squares::Squares;
use crate::error::TrainingError;

/// One image, ready to be cut up. Arrays are [y, x].
pub(super) struct Frame {
    pub facts: ExposureFacts,
    pub instrument: Instrument,
    /// e-/s, sky subtracted; 0 where not valid.
    pub pixels: Array2<f32>,
    /// Pixels with a value.
    pub valid: Array2<bool>,
    /// `pixels` without cosmic rays and hot pixels.
    pub cleaned: Array2<f32>,
    /// Pixels of galaxies and stars.
    pub source: Array2<bool>,
}

/// Reads all images of all files.
///
/// # Errors
/// What is missing or wrong, or differs between files.
pub(super) fn load(args: &CutoutArgs) -> Result<Vec<Frame>, TrainingError> {
    check(args)?;
    let mut frames: Vec<Frame> = Vec::new();
    for (k, address) in args.exposures.iter().enumerate() {
        let mut file = open(address, args)?;
        let mut reference = args.reference.get(k).map(|r| open(r, args)).transpose()?;
        for index in 0..file.chips().len() {
            let area = match &args.pixel_area[..] {
                [] => None,
                [one] => Some(one),
                many => Some(many.get(index).ok_or_else(|| {
                    let need = format!("one map, or one for each of {} chips", file.chips().len());
                    value("--pixel-area", need, format!("{} maps", many.len()))
                })?),
            };
            let deep = reference.as_mut().map(|r| reference_planes(r, &file, index)).transpose()?;
            let Some(frame) = frame(&mut file, index, deep, area, args)? else {
                eprintln!("warning: {} is left out: {}", file.chips()[index].label, no_room(args));
                continue;
            };
            if let Some(first) = frames.first() {
                same_instrument(first, &frame)?;
            }
            frames.push(frame);
        }
    }
    match frames.is_empty() {
        true => {
            Err(value("exposures", "a piece to cut (see --max-masked, --dq-bits)", no_room(args)))
        }
        false => Ok(frames),
    }
}

fn no_room(args: &CutoutArgs) -> String {
    let (size, percent) = (args.size, 100.0 * (1.0 - args.max_masked));
    format!("no {size}x{size} piece has {percent} % of its pixels valid")
}

fn check(args: &CutoutArgs) -> Result<(), TrainingError> {
    if args.count == 0 {
        return Err(value("--count", "at least 1", 0));
    }
    if !(0.0..1.0).contains(&args.max_masked) {
        return Err(value("--max-masked", "a share, 0 to 1", args.max_masked));
    }
    if !(args.psf_fwhm > 0.5 && args.psf_fwhm < 50.0) {
        return Err(value("--psf-fwhm", "0.5 to 50 pixels", args.psf_fwhm));
    }
    if args.source_snr.is_nan() || args.source_snr < 2.0 {
        return Err(value("--source-snr", "at least 2", args.source_snr));
    }
    if let Some(tile) = args.sky_tile.filter(|t| *t < args.size) {
        // A smaller tile would subtract the noise that the cutouts are to show.
        return Err(value("--sky-tile", format!("at least --size, {}", args.size), tile));
    }
    let (references, exposures) = (args.reference.len(), args.exposures.len());
    if references != 0 && references != exposures {
        let need = format!("one for each of {exposures} exposures");
        return Err(value("--reference", need, references));
    }
    Ok(())
}

fn value(what: impl ToString, need: impl ToString, got: impl ToString) -> TrainingError {
    let (what, need, got) = (what.to_string(), need.to_string(), got.to_string());
    TrainingError::Value { what, need, got }
}

fn open(address: &FitsAddress, args: &CutoutArgs) -> Result<ExposureFile, TrainingError> {
    let options = ExposureOptions {
        unit: args.unit.clone(),
        bad_bits: args.dq_bits,
        pixel_scale_arcsec: args.pixel_scale_data,
        ..ExposureOptions::default()
    };
    Ok(ExposureFile::open(address, &options)?)
}

fn reference_planes(
    reference: &mut ExposureFile,
    file: &ExposureFile,
    index: usize,
) -> Result<Planes, TrainingError> {
    let need = &file.chips()[index];
    let got = reference.chips().get(index).filter(|c| c.shape == need.shape);
    let Some(region) = got.map(Chip::whole) else {
        let shapes: Vec<_> = reference.chips().iter().map(|c| c.shape).collect();
        return Err(value(
            format!("--reference {}", reference.path().display()),
            format!("the pixels of {}, (rows, columns) {:?}", need.label, need.shape),
            format!("{shapes:?}"),
        ));
    };
    Ok(reference.planes(index, region)?)
}

fn frame(
    file: &mut ExposureFile,
    index: usize,
    reference: Option<Planes>,
    area: Option<&FitsAddress>,
    args: &CutoutArgs,
) -> Result<Option<Frame>, TrainingError> {
    let chip = file.chips()[index].clone();
    let (rows, columns) = chip.shape;
    if rows.min(columns) < args.size {
        let need = format!("at least {0} x {0} pixels, the size of a cutout", args.size);
        return Err(value(&chip.label, need, format!("{columns} x {rows}")));
    }
    let bits = args.dq_bits.unwrap_or_else(|| no_value_bits(&chip.header, file.primary()));
    let planes = file.planes(index, chip.whole())?;
    let valid = valid(&planes, bits);
    let least = (1.0 - args.max_masked) * (args.size * args.size) as f64;
    if Squares::count(&valid, args.size).largest() < least {
        return Ok(None);
    }
    let sky = measure(&planes.pixels, &valid, args.sky_tile, &chip.label)?;
    let constant = match args.sky {
        SkyMethod::SigmaClip => None,
        SkyMethod::None => Some(0.0),
        SkyMethod::Value(level) => Some(level * chip.to_electrons_per_second),
        SkyMethod::Header => Some(header_sky(&chip)? * chip.to_electrons_per_second),
    };
    let [_, sigma] = sky.mean();
    let facts = facts::exposure(file, &chip, bits);

    // The rule works on z: units of the noise, sky subtracted, 0 where there is no value.
    let mut z = scaled(&planes.pixels, &valid, &sky);
    let original = z.clone();
    let mut usable = valid.clone();
    let poisson = facts.exposure_time_s.map_or(0.0, |t| 1.0 / (sigma * t));
    sharp::clean(&mut z, &mut usable, poisson as f32, &SharpRule::for_psf(args.psf_fwhm));
    let rule = rule(args);
    let found = source::find(&mut z, &original, &mut usable, &valid, &rule);
    let source = match reference {
        None => found,
        Some(planes) => {
            let valid = self::valid(&planes, bits);
            let sky = measure(&planes.pixels, &valid, args.sky_tile, "--reference")?;
            source::significant(&scaled(&planes.pixels, &valid, &sky), &valid, &rule)
        }
    };

    // What galaxies and particles add to the sky is known by now: measure again without.
    let empty = Zip::from(&usable).and(&source).map_collect(|v, s| *v && !s);
    let empty = measure(&planes.pixels, &empty, args.sky_tile, &chip.label)?;
    let [level, _] = empty.mean();

    let area = area.map(|a| pixel_area(a, &chip)).transpose()?;
    let area = area.unwrap_or_else(|| Array2::ones(chip.shape));
    let mut pixels = Array2::zeros(chip.shape);
    let mut cleaned = Array2::zeros(chip.shape);
    for (p, value) in planes.pixels.indexed_iter().filter(|(p, _)| valid[*p]) {
        let [level, sigma] = sky.at(p);
        let subtracted = constant.unwrap_or(empty.at(p)[0]);
        pixels[p] = ((value - subtracted) * area[p]) as f32;
        let clean = if usable[p] { *value } else { f64::from(z[p]) * sigma + level };
        cleaned[p] = ((clean - subtracted) * area[p]) as f32;
    }
    let share = |count: usize| count as f64 / valid.len() as f64;
    let count = |mask: &Array2<bool>| mask.iter().filter(|m| **m).count();
    Ok(Some(Frame {
        instrument: facts::instrument(file.primary(), &chip, !args.pixel_area.is_empty()),
        facts: ExposureFacts {
            sky_e_per_s: constant.unwrap_or(level),
            sigma_e_per_s: empty.mean()[1],
            valid: share(count(&valid)),
            sharp: share(count(&valid) - count(&usable)),
            source: share(count(&source)),
            ..facts
        },
        pixels,
        valid,
        cleaned,
        source,
    }))
}

/// The rule for sources that the options ask for.
pub(super) fn rule(args: &CutoutArgs) -> SourceRule {
    SourceRule { psf_fwhm_px: args.psf_fwhm, threshold: args.source_snr, ..SourceRule::default() }
}

/// Finite pixels without bad bits, with a positive ERR if there is one, and not inside a patch of
/// one and the same value, with which mosaics fill what no exposure saw.
fn valid(planes: &Planes, bits: u32) -> Array2<bool> {
    let pixels = &planes.pixels;
    let mut valid = pixels.mapv(f64::is_finite);
    if let Some(quality) = &planes.quality {
        Zip::from(&mut valid).and(quality).for_each(|v, q| *v &= q & bits == 0);
    }
    if let Some(error) = &planes.error {
        Zip::from(&mut valid).and(error).for_each(|v, e| *v &= *e > 0.0 && e.is_finite());
    }
    for ((y, x), window) in pixels.windows((3, 3)).into_iter().enumerate().map(|(k, w)| {
        let columns = pixels.ncols() - 2;
        ((k / columns, k % columns), w)
    }) {
        if window.iter().all(|v| *v == window[[1, 1]]) {
            valid.slice_mut(ndarray::s![y..y + 3, x..x + 3]).fill(false);
        }
    }
    valid
}

fn measure(
    pixels: &Array2<f64>,
    valid: &Array2<bool>,
    tile: Option<usize>,
    label: &str,
) -> Result<SkyMap, TrainingError> {
    SkyMap::measure(pixels, valid, tile).ok_or_else(|| {
        let good = valid.iter().filter(|v| **v).count();
        value(
            format!("{label}: sky"),
            "pixels with a value, not all the same (see --dq-bits)",
            format!("{good} of {} pixels with a value", valid.len()),
        )
    })
}

fn scaled(pixels: &Array2<f64>, valid: &Array2<bool>, sky: &SkyMap) -> Array2<f32> {
    Array2::from_shape_fn(pixels.dim(), |p| {
        let [level, sigma] = sky.at(p);
        if valid[p] { ((pixels[p] - level) / sigma) as f32 } else { 0.0 }
    })
}

fn header_sky(chip: &Chip) -> Result<f64, TrainingError> {
    let found = chip.header.real("MDRIZSKY");
    Ok(found.ok_or_else(|| HostError::Keyword {
        at: chip.label.clone(),
        key: "MDRIZSKY".into(),
        need: "the sky level, since --sky header asks for it".into(),
        got: "nothing".into(),
    })?)
}

fn pixel_area(address: &FitsAddress, chip: &Chip) -> Result<Array2<f64>, TrainingError> {
    if chip.flux_convention == FluxConvention::PerPixel {
        let need = "an exposure that was not multiplied by the pixel area map yet";
        return Err(value(format!("--pixel-area and {}", chip.label), need, "PAMCORR is set"));
    }
    let mut file = FitsInput::open(&address.path)?;
    let index = file.image_hdu(address.extension.as_ref())?.index;
    let area = file.image_2d(index)?;
    if area.dim() != chip.shape {
        let need = format!("the shape of {}, (rows, columns) {:?}", chip.label, chip.shape);
        return Err(value(format!("--pixel-area {address}"), need, format!("{:?}", area.dim())));
    }
    Ok(area)
}

/// A noise model is of one instrument and filter. Chips of a camera differ in scale by a few per
/// cent.
fn same_instrument(first: &Frame, other: &Frame) -> Result<(), TrainingError> {
    let (a, b) = (&first.instrument, &other.instrument);
    let scale = a.pixel_scale_arcsec;
    let same = Instrument { pixel_scale_arcsec: scale, ..b.clone() } == *a;
    if same && (b.pixel_scale_arcsec / scale - 1.0).abs() < 0.05 {
        return Ok(());
    }
    let need = format!("{a}, as {} (one set for each instrument and filter)", first.facts.label);
    Err(value(&other.facts.label, need, b))
}
