//! `pellucid simulate`.
//!
//! Writes `exposure_1.fits` to `exposure_N.fits` (SCI, ERR, DQ), `psf.fits` (4 samples per
//! detector pixel) and `truth.fits`, all labelled as simulated. Everything follows from the seed.

mod detector;
mod instrument;
mod optics;
mod pointing;
mod scene;

use std::path::Path;

use ndarray::Array2;
use pellucid_host::HostError;
use pellucid_host::fits::{Card, FitsAddress, FitsOutput};
use pellucid_host::input::Stamp;
use pellucid_host::session::{Engine, FluxConvention};
use pellucid_host::sky::{ModelGrid, SkyPosition};

use crate::args::SimulateArgs;
use crate::failure::{Failure, Outcome, Run};
use crate::terminal::say;
use crate::{engine, interrupt, outputs};
use detector::Exposed;
use instrument::Instrument;
use pointing::Pointing;
use scene::Scene;

const PSF_OVERSAMPLE: usize = 4;

/// Runs the command.
pub fn run(args: &SimulateArgs) -> Run {
    if args.exposures == 0 || args.size == 0 {
        return Err(Failure::Usage("--exposures and --size: needed at least 1".into()));
    }
    let instrument = Instrument::new(args.instrument);
    let grid = ModelGrid {
        nx: args.size,
        ny: args.size,
        centre: SkyPosition { ra_deg: args.ra, dec_deg: args.dec },
        pixel_scale_arcsec: model_scale_arcsec(args),
    };
    let [[a, b], [c, d]] = instrument.linear;
    let pixel_area = (a * d - b * c).abs();
    let mut scene = match args.scene.as_str() {
        "random" => Scene::random(&grid, args.seed, pixel_area / grid.pixel_scale_arcsec.powi(2)),
        file => {
            let address = file.parse().unwrap_or_else(|never| match never {});
            check_outputs(args, &address)?;
            Scene::image(&address)?
        }
    };
    let pointings: Result<Vec<_>, HostError> = (0..args.exposures)
        .map(|k| pointing::point(&instrument, &scene.truth_grid, args.seed, k))
        .collect();
    let pointings = pointings?;
    let kernel = optics::psf(&instrument, pixel_area.sqrt());

    let engine = engine::start(&args.engine, None)?;
    let mut seen = expose(&engine, &scene, &pointings, &kernel)?;
    if let Some(snr) = args.snr {
        let peak = seen.iter().flatten().fold(0.0f32, |m, v| m.max(*v));
        let factor = detector::factor_for_snr(&instrument, f64::from(peak), snr)?;
        scene.scale(factor);
        for image in &mut seen {
            image.mapv_inplace(|v| (f64::from(v) * factor) as f32);
        }
    }
    interrupt::check()?;
    let folder = &args.output;
    std::fs::create_dir_all(folder).map_err(|source| HostError::Io {
        action: "make the folder",
        path: folder.clone(),
        source,
    })?;
    for (k, (image, pointing)) in seen.iter().zip(&pointings).enumerate() {
        let exposed = detector::observe(&instrument, image, args, k);
        let path = folder.join(format!("exposure_{}.fits", k + 1));
        write_exposure(&path, &instrument, pointing, &exposed, args, k)?;
    }
    write_psf(&folder.join("psf.fits"), &instrument, &kernel, args)?;
    write_truth(&folder.join("truth.fits"), &scene, args)?;
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

/// Cards every simulated file starts with.
fn labels(args: &SimulateArgs) -> Vec<Card> {
    let seed = args.seed.to_string();
    vec![
        Card::new("ORIGIN", "SIMULATED", "pellucid simulate"),
        Card::new("SIMULATE", true, "no telescope has seen this"),
        Card::new("OBJECT", "SIMULATED GALAXY", ""),
        Card::new("CREATOR", format!("pellucid {}", env!("CARGO_PKG_VERSION")), ""),
        Card::new("SEED", seed, "seed of the simulation"),
    ]
}

fn write_exposure(
    path: &Path,
    instrument: &Instrument,
    pointing: &Pointing,
    exposed: &Exposed,
    args: &SimulateArgs,
    k: usize,
) -> Result<(), HostError> {
    let [name, detector, filter] = instrument.names;
    let mut primary = labels(args);
    primary.extend([
        Card::new("TELESCOP", "HST", "SIMULATED"),
        Card::new("INSTRUME", name, ""),
        Card::new("DETECTOR", detector, ""),
        Card::new("FILTER", filter, ""),
        Card::new("EXPTIME", instrument.exposure_time, "[s] exposure time"),
        Card::new("ROOTNAME", format!("sim{}", k + 1), ""),
        Card::new("READNSE", instrument.read_noise, "[electron] read noise"),
        Card::new("BACKGRND", instrument.background, "[electron/s] sky and dark, subtracted"),
        Card::new("ROLL", pointing.roll_deg, "[deg] position angle of y"),
    ]);
    let place = |unit: &str| {
        let mut cards = vec![
            Card::new("BUNIT", unit, ""),
            Card::new("LTV1", -(pointing.region.x0 as f64), "offset of the stamp on the chip"),
            Card::new("LTV2", -(pointing.region.y0 as f64), "offset of the stamp on the chip"),
        ];
        cards.extend(pointing.wcs.iter().cloned());
        cards
    };
    let mut file = FitsOutput::create(path, &primary)?;
    file.image("SCI", 1, exposed.science.view(), &place("ELECTRONS/S"))?;
    file.image("ERR", 1, exposed.error.view(), &place("ELECTRONS/S"))?;
    file.image_i16("DQ", 1, exposed.quality.view(), &place("UNITLESS"))?;
    file.commit()
}

fn write_psf(
    path: &Path,
    instrument: &Instrument,
    kernel: &Array2<f64>,
    args: &SimulateArgs,
) -> Result<(), HostError> {
    let cards = [
        Card::new("FILTER", instrument.names[2], ""),
        Card::new("OVERSAMP", PSF_OVERSAMPLE, "samples per detector pixel"),
        Card::new("PIXINT", false, "the detector pixel is not included"),
    ];
    let mut file = FitsOutput::create(path, &labels(args))?;
    file.image("PSF", 1, kernel.mapv(|v| v as f32).view(), &cards)?;
    file.commit()
}

fn write_truth(path: &Path, scene: &Scene, args: &SimulateArgs) -> Result<(), HostError> {
    let mut cards = vec![Card::new("BUNIT", "electron/s", "per detector pixel")];
    cards.extend(scene.truth_grid.cards());
    cards.extend(scene.cards.iter().cloned());
    let mut file = FitsOutput::create(path, &labels(args))?;
    file.image("TRUTH", 1, scene.truth.view(), &cards)?;
    file.commit()
}
