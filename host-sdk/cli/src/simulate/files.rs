//! The files of a simulation, all labelled as such.

use std::path::{Path, PathBuf};

use ndarray::Array2;
use pellucid_host::HostError;
use pellucid_host::fits::{Card, Column, ColumnValues, FitsOutput};
use pellucid_host::sky::SkyPosition;
use pellucid_scene::field::Source;
use pellucid_scene::noise::Exposed;

use super::PSF_OVERSAMPLE;
use super::instrument::Instrument;
use super::pointing::Pointing;
use super::scene::Scene;
use crate::args::{NoiseName, SimulateArgs};

/// Cards every simulated file starts with.
fn labels(args: &SimulateArgs) -> Vec<Card> {
    let seed = args.seed.to_string();
    let object = if args.field.is_some() { "SIMULATED FIELD" } else { "SIMULATED GALAXY" };
    vec![
        Card::new("ORIGIN", "SIMULATED", "pellucid simulate"),
        Card::new("SIMULATE", true, "no telescope has seen this"),
        Card::new("OBJECT", object, ""),
        Card::new("CREATOR", format!("pellucid {}", env!("CARGO_PKG_VERSION")), ""),
        Card::new("SEED", seed, "seed of the simulation"),
    ]
}

/// `exposure_K.fits`.
pub fn write_exposure(
    folder: &Path,
    instrument: &Instrument,
    pointing: &Pointing,
    exposed: &Exposed,
    args: &SimulateArgs,
    k: usize,
) -> Result<(), HostError> {
    let [name, detector, filter] = instrument.names;
    let read_noise = match (args.noise, &instrument.noise.read_noise) {
        (NoiseName::CosmicRays, Some(noise)) => noise.mean_rms_e(),
        _ => instrument.read_noise,
    };
    let background = match args.keep_sky {
        true => "[electron/s] sky and dark",
        false => "[electron/s] sky and dark, subtracted",
    };
    let mut primary = labels(args);
    primary.extend([
        Card::new("TELESCOP", "HST", "SIMULATED"),
        Card::new("INSTRUME", name, ""),
        Card::new("DETECTOR", detector, ""),
        Card::new("FILTER", filter, ""),
        Card::new("EXPTIME", instrument.exposure_time, "[s] exposure time"),
        Card::new("ROOTNAME", format!("sim{}", k + 1), ""),
        Card::new("READNSE", read_noise, "[electron] read noise"),
        Card::new("BACKGRND", instrument.background, background),
        Card::new("ROLL", pointing.roll_deg, "[deg] position angle of y"),
    ]);
    if args.noise == NoiseName::CosmicRays {
        primary.extend(instrument.detector_cards());
    }
    let mut science = place(pointing, "ELECTRONS/S");
    if args.keep_sky {
        let sky = instrument.sky_e_per_s();
        science.push(Card::new("MDRIZSKY", sky, "[electron/s] sky in this image"));
    }
    let mut file = FitsOutput::create(&numbered(folder, "exposure", k), &primary)?;
    file.image("SCI", 1, exposed.science.view(), &science)?;
    file.image("ERR", 1, exposed.error.view(), &place(pointing, "ELECTRONS/S"))?;
    file.image_i16("DQ", 1, exposed.quality.view(), &place(pointing, "UNITLESS"))?;
    file.commit()
}

fn numbered(folder: &Path, name: &str, k: usize) -> PathBuf {
    folder.join(format!("{name}_{}.fits", k + 1))
}

/// Unit, place on the chip and WCS of an image.
fn place(pointing: &Pointing, unit: &str) -> Vec<Card> {
    let mut cards = vec![
        Card::new("BUNIT", unit, ""),
        Card::new("LTV1", -(pointing.region.x0 as f64), "offset of the stamp on the chip"),
        Card::new("LTV2", -(pointing.region.y0 as f64), "offset of the stamp on the chip"),
    ];
    cards.extend(pointing.wcs.iter().cloned());
    cards
}

/// `psf.fits`.
pub fn write_psf(
    folder: &Path,
    instrument: &Instrument,
    kernel: &Array2<f64>,
    args: &SimulateArgs,
) -> Result<(), HostError> {
    let cards = [
        Card::new("FILTER", instrument.names[2], ""),
        Card::new("OVERSAMP", PSF_OVERSAMPLE, "samples per detector pixel"),
        Card::new("PIXINT", false, "the detector pixel is not included"),
    ];
    let mut file = FitsOutput::create(&folder.join("psf.fits"), &labels(args))?;
    file.image("PSF", 1, kernel.mapv(|v| v as f32).view(), &cards)?;
    file.commit()
}

/// `truth.fits`: the scene, and what the faults of the detector added to each exposure.
pub fn write_truth(
    folder: &Path,
    scene: &Scene,
    exposures: &[Exposed],
    args: &SimulateArgs,
) -> Result<(), HostError> {
    let mut cards = vec![Card::new("BUNIT", "electron/s", "per detector pixel")];
    cards.extend(scene.truth_grid.cards());
    cards.extend(scene.cards.iter().cloned());
    let mut file = FitsOutput::create(&folder.join("truth.fits"), &labels(args))?;
    file.image("TRUTH", 1, scene.truth.view(), &cards)?;
    if args.noise == NoiseName::CosmicRays {
        let cards = [Card::new("BUNIT", "ELECTRONS/S", "")];
        for (k, exposed) in (1..).zip(exposures) {
            file.image("CRAYS", k, exposed.cosmic_rays.view(), &cards)?;
            file.image("HOT", k, exposed.hot_pixels.view(), &cards)?;
        }
    }
    file.commit()
}

/// `truth_K.fits` of a field: its light, and what the faults of the detector added.
pub fn write_frame_truth(
    folder: &Path,
    light: &Array2<f32>,
    pointing: &Pointing,
    exposed: &Exposed,
    args: &SimulateArgs,
    k: usize,
) -> Result<(), HostError> {
    let cards = place(pointing, "ELECTRONS/S");
    let mut file = FitsOutput::create(&numbered(folder, "truth", k), &labels(args))?;
    file.image("LIGHT", 1, light.view(), &cards)?;
    file.image("CRAYS", 1, exposed.cosmic_rays.view(), &cards)?;
    file.image("HOT", 1, exposed.hot_pixels.view(), &cards)?;
    file.commit()
}

/// `sources.fits`: the sources of a field and where they are.
pub fn write_sources(
    folder: &Path,
    sources: &[(SkyPosition, Source)],
    args: &SimulateArgs,
) -> Result<(), HostError> {
    let real = |name: &str, unit: &str, value: &dyn Fn(&(SkyPosition, Source)) -> f64| Column {
        unit: unit.into(),
        ..Column::new(name, ColumnValues::Real(sources.iter().map(value).collect()))
    };
    let kind = |source: &Source| match &source.galaxy {
        Some(galaxy) => format!("{:?}", galaxy.kind),
        None => "Star".into(),
    };
    let kinds = sources.iter().map(|(_, source)| kind(source)).collect();
    let columns = [
        real("RA", "deg", &|(sky, _)| sky.ra_deg),
        real("DEC", "deg", &|(sky, _)| sky.dec_deg),
        real("MAG", "mag", &|(_, source)| source.magnitude),
        real("FLUX", "electron/s", &|(_, source)| source.flux_e_per_s),
        Column::new("KIND", ColumnValues::Text(kinds)),
    ];
    let mut file = FitsOutput::create(&folder.join("sources.fits"), &labels(args))?;
    file.table("SOURCES", &columns, &[])?;
    file.commit()
}
