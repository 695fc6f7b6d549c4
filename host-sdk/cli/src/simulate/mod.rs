//! `pellucid simulate`.
//!
//! Writes `exposure_1.fits` to `exposure_N.fits` (SCI, ERR, DQ), `psf.fits` (4 samples per
//! detector pixel) and `truth.fits`, all labelled as simulated; with `--field` exposures of a blank
//! field and the truth of each. Everything follows from the seed.

mod convolve;
mod detector;
mod field;
mod files;
mod instrument;
mod optics;
mod pointing;
mod scene;

use std::path::Path;

use ndarray::Array2;
use pellucid_host::HostError;
use pellucid_host::fits::FitsAddress;
use pellucid_host::input::Stamp;
use pellucid_host::session::{Engine, FluxConvention};
use pellucid_host::sky::{ModelGrid, SkyPosition};

use crate::args::SimulateArgs;
use crate::failure::{Failure, Outcome, Run};
use crate::terminal::say;
use crate::{engine, interrupt, outputs};
use instrument::Instrument;
use pointing::Pointing;
use scene::Scene;

const PSF_OVERSAMPLE: usize = 4;

/// Runs the command.
pub fn run(args: &SimulateArgs) -> Run {
    if args.exposures == 0 || args.size == 0 {
        return Err(Failure::Usage("--exposures and --size: needed at least 1".into()));
    }
    let mut instrument = Instrument::new(args.instrument);
    if let Some(seconds) = args.exposure_time {
        instrument.exposure_time = seconds;
    }
    match args.field {
        Some(side) => field::run(&instrument, args, side),
        None => galaxy(&instrument, args),
    }
}

/// Exposures of one galaxy.
fn galaxy(instrument: &Instrument, args: &SimulateArgs) -> Run {
    let grid = ModelGrid {
        nx: args.size,
        ny: args.size,
        centre: SkyPosition { ra_deg: args.ra, dec_deg: args.dec },
        pixel_scale_arcsec: model_scale_arcsec(args),
    };
    let pixel_area = instrument.pixel_area_arcsec2();
    let mut scene = match args.scene.as_str() {
        "random" => Scene::random(&grid, args.seed, pixel_area / grid.pixel_scale_arcsec.powi(2)),
        file => {
            let address = file.parse().unwrap_or_else(|never| match never {});
            check_outputs(args, &address)?;
            Scene::image(&address)?
        }
    };
    let pointings: Result<Vec<_>, HostError> = (0..args.exposures)
        .map(|k| pointing::point(instrument, &scene.truth_grid, args.seed, k))
        .collect();
    let pointings = pointings?;
    let kernel = optics::psf(instrument, pixel_area.sqrt());

    let engine = engine::start(&args.engine, &[])?;
    let mut seen = expose(&engine, &scene, &pointings, &kernel)?;
    if let Some(snr) = args.snr {
        let peak = seen.iter().flatten().fold(0.0f32, |m, v| m.max(*v));
        let factor = detector::factor_for_snr(instrument, f64::from(peak), snr)?;
        scene.scale(factor);
        for image in &mut seen {
            image.mapv_inplace(|v| (f64::from(v) * factor) as f32);
        }
    }
    interrupt::check()?;
    let folder = &args.output;
    make_folder(folder)?;
    let mut truths = Vec::new();
    for (k, (image, pointing)) in seen.iter().zip(&pointings).enumerate() {
        let exposed = detector::observe(instrument, image, &pointing.region, args, k);
        files::write_exposure(folder, instrument, pointing, &exposed, args, k)?;
        truths.push(exposed);
    }
    files::write_psf(folder, instrument, &kernel, args)?;
    files::write_truth(folder, &scene, &truths, args)?;
    let size = &pointings[0].region;
    say(format_args!(
        "{}: {} exposures of about {} x {} pixels, psf.fits, truth.fits",
        folder.display(),
        args.exposures,
        size.nx,
        size.ny
    ));
    Ok(Outcome::Done)
}

fn make_folder(folder: &Path) -> Result<(), HostError> {
    std::fs::create_dir_all(folder).map_err(|source| HostError::Io {
        action: "make the folder",
        path: folder.to_owned(),
        source,
    })
}

/// Pixel scale of the model.
pub fn model_scale_arcsec(args: &SimulateArgs) -> f64 {
    args.pixel_scale.unwrap_or_else(|| Instrument::new(args.instrument).model_scale)
}

/// The scene may well be the truth of an earlier run; not of this one.
fn check_outputs(args: &SimulateArgs, scene: &FitsAddress) -> Result<(), Failure> {
    let names = (1..=args.exposures).map(|k| format!("exposure_{k}.fits"));
    let names = names.chain(["psf.fits".into(), "truth.fits".into()]);
    let paths: Vec<_> = names.map(|name| args.output.join(name)).collect();
    let outputs: Vec<_> = paths.iter().map(|path| ("the simulated", &**path)).collect();
    outputs::check(&outputs, [("--scene", &*scene.path)])
}

/// A x of the scene for every pointing.
fn expose(
    engine: &Engine,
    scene: &Scene,
    pointings: &[Pointing],
    kernel: &Array2<f64>,
) -> Result<Vec<Array2<f32>>, HostError> {
    let psf = engine.psf(kernel.view(), PSF_OVERSAMPLE, false)?;
    let exposures: Result<Vec<_>, HostError> = pointings
        .iter()
        .enumerate()
        .map(|(k, pointing)| {
            let shape = (pointing.region.ny, pointing.region.nx);
            let stamp = Stamp {
                id: format!("simulated exposure {}", k + 1),
                region: pointing.region,
                pixels: Array2::zeros(shape),
                sigma: Array2::ones(shape),
                quality: None,
                bad_bits: 0,
                flux_convention: FluxConvention::SurfaceBrightness,
                header: pointing.wcs.iter().cloned().collect(),
                tables: Vec::new(),
            };
            stamp.to_exposure(engine, &psf, None)
        })
        .collect();
    let exposures = exposures?;
    let handles: Vec<_> = exposures.iter().collect();
    engine.predict(&handles, &scene.drawn_grid, scene.drawn.view())
}
