//! The command line. Names and flags are a contract.

use std::path::PathBuf;

use clap::builder::RangedU64ValueParser;
use clap::{Args, Parser, Subcommand, ValueEnum};
use pellucid_host::fits::FitsAddress;
use pellucid_host::input::{PsfCentre, SkyLevel};

use crate::night::NightArgs;

/// Bayesian deconvolution of galaxy images: independent samples of what a galaxy may look like.
#[derive(Debug, Parser)]
#[command(name = "pellucid", version, max_term_width = 100)]
pub struct Options {
    /// Say more on stderr; twice: everything.
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    pub verbose: u8,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Make dithered exposures of a scene, with realistic distortion, PSF and noise.
    Simulate(SimulateArgs),
    /// What an exposure would see of a model image, without noise.
    Predict(PredictArgs),
    /// Sample the posterior of one galaxy from its exposures.
    Sample(Box<SampleArgs>),
    /// Sum up a posterior file.
    Inspect(InspectArgs),
    /// List the models.
    Models(ModelsArgs),
    /// Many targets, unattended.
    Night(NightArgs),
    /// Check the installation.
    Doctor(DoctorArgs),
}

/// Which plugin, on what.
#[derive(Debug, Args)]
pub struct EngineArgs {
    /// The plugin; else PELLUCID_PLUGIN, else libpellucid.so.1 beside this program or in ../lib.
    #[arg(long, value_name = "FILE")]
    pub plugin: Option<PathBuf>,
    /// auto, cpu or cuda:0.
    #[arg(long, default_value = "auto", value_parser = device)]
    pub device: String,
    /// CPU threads, at most four per core; 0 takes one per core.
    #[arg(long)]
    pub threads: Option<usize>,
    /// A folder of models, searched first; may be repeated.
    #[arg(long, value_name = "DIR")]
    pub models: Vec<PathBuf>,
}

/// How exposures are to be read where their headers do not say.
#[derive(Debug, Args)]
pub struct InputArgs {
    /// Noise rms of every pixel, in the file's unit, instead of its ERR extension.
    #[arg(long, value_name = "RMS", value_parser = positive, allow_negative_numbers = true)]
    pub sigma: Option<f64>,
    /// Add the photon noise of the source to a constant noise rms: variance + pixel / SECONDS, pixel in
    /// e-/s. ERR extensions have it already.
    #[arg(long, value_name = "SECONDS", value_parser = positive, allow_negative_numbers = true)]
    pub photon_noise: Option<f64>,
    /// The file's unit instead of BUNIT: electrons, electrons/s, counts, counts/s.
    #[arg(long)]
    pub unit: Option<String>,
    /// Pixels were multiplied by the pixel area map (else the header's PAMCORR; else they were not).
    #[arg(long)]
    pub pixel_area_corrected: bool,
    /// DQ bits that exclude a pixel (else by instrument: all but warm pixels, and on WFC3/IR but
    /// blobs, zero-read signal and cosmic rays the ramp fit removed).
    #[arg(long, value_name = "BITS")]
    pub dq_bad_bits: Option<u32>,
    /// Sky to subtract: none, header (MDRIZSKY) or a value in the file's unit.
    #[arg(long, default_value = "none", value_parser = sky_level, allow_negative_numbers = true)]
    pub sky: SkyLevel,
    /// Pixel scale in arcsec of an image without a WCS (then north up, centred on the target).
    #[arg(long, value_name = "ARCSEC", value_parser = positive, allow_negative_numbers = true)]
    pub pixel_scale_data: Option<f64>,
    /// Use the N x N pixels around the target instead of those that see the model.
    #[arg(long, value_name = "N", value_parser = at_least_one())]
    pub cutout: Option<usize>,
    /// PSF image, once for all exposures or once for each; or a grid of PSFs over the detector (STScI's
    /// PSFSTD files), interpolated at the target's place on it.
    #[arg(long, value_name = "FITS", required = true, value_parser = address)]
    pub psf: Vec<FitsAddress>,
    /// PSF samples per detector pixel (else the PSF header's OVERSAMP, OVERSMPL or SAMPFACT; else 4).
    #[arg(long, value_name = "N", value_parser = at_least_one())]
    pub psf_oversample: Option<usize>,
    /// Centre of the PSF, 0-based row and column of its array, integers or half-integers (else its
    /// middle, (n-1)/2). Tiny Tim's arrays of even size n have it at n/2,n/2.
    #[arg(long, value_name = "Y,X")]
    pub psf_centre: Option<PsfCentre>,
    /// The PSF includes the detector pixel, as STScI's empirical ones do (else the header's PIXINT).
    #[arg(long)]
    pub psf_pixel_integrated: bool,
}

/// `pellucid sample`.
#[derive(Debug, Args)]
pub struct SampleArgs {
    /// Exposures of one galaxy: HST-style SCI/ERR/DQ files or plain images; `file.fits[EXT]` picks an HDU.
    #[arg(required = true, value_name = "EXPOSURE.fits", value_parser = address)]
    pub exposures: Vec<FitsAddress>,
    #[command(flatten)]
    pub input: InputArgs,
    /// The prior: a name that `pellucid models` lists, or a file.
    #[arg(long)]
    pub prior: String,
    /// The noise model: gaussian, a name or a file.
    #[arg(long, default_value = "gaussian")]
    pub noise: String,
    /// Use the noise model even where it was trained for another instrument, filter, pixel scale or PSF.
    #[arg(long)]
    pub accept_noise_mismatch: bool,
    /// Correlation (or covariance) of the noise by pixel offset: an odd x odd image. The centre of a
    /// covariance is the noise variance where there is neither --sigma nor an ERR extension.
    #[arg(long, value_name = "FITS", value_parser = address)]
    pub noise_correlation: Option<FitsAddress>,
    /// Right ascension of the model's centre, degrees (default: the exposures' common centre).
    #[arg(long, value_name = "DEG", requires = "dec", allow_negative_numbers = true)]
    pub ra: Option<f64>,
    /// Declination of the model's centre, degrees.
    #[arg(long, value_name = "DEG", requires = "ra", allow_negative_numbers = true)]
    pub dec: Option<f64>,
    /// Pixel scale of the model (default: the prior's).
    #[arg(long, value_name = "ARCSEC", value_parser = positive, allow_negative_numbers = true)]
    pub pixel_scale: Option<f64>,
    /// Side of the model in pixels (default: the prior's).
    #[arg(long, value_name = "N", value_parser = at_least_one())]
    pub size: Option<usize>,
    /// Surface brightness (e-/s per detector pixel) of one network unit (default: from the data).
    #[arg(long, value_name = "F", value_parser = positive, allow_negative_numbers = true)]
    pub flux_scale: Option<f64>,
    /// How many samples.
    #[arg(long, default_value_t = 32, value_name = "N", value_parser = at_least_one())]
    pub samples: usize,
    /// Seed; the same seed gives the same samples.
    #[arg(long, default_value_t = 0, value_name = "S")]
    pub seed: u64,
    /// The method (default: calibrated).
    #[arg(long, value_parser = ["calibrated", "convolved", "smc"])]
    pub sampler: Option<String>,
    /// Noise levels of the guided stage.
    #[arg(long, value_name = "N")]
    pub steps: Option<usize>,
    /// Split-Gibbs sweeps of the calibrated sampler (else 4).
    #[arg(long, value_name = "N")]
    pub sweeps: Option<usize>,
    /// Hamiltonian trajectories of a sample with a noise model (else 12); half of them find the step size.
    #[arg(long, value_name = "N")]
    pub trajectories: Option<usize>,
    /// Leapfrog steps of a trajectory (else 5).
    #[arg(long, value_name = "N")]
    pub leapfrog_steps: Option<usize>,
    /// Arithmetic of the network (default: f32).
    #[arg(long, value_parser = ["f32", "bf16"])]
    pub precision: Option<String>,
    /// Draw a figure as well.
    #[arg(long, value_name = "PNG")]
    pub figure: Option<PathBuf>,
    /// Print the summary as JSON.
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    pub engine: EngineArgs,
    /// The posterior file to write.
    #[arg(short, long, value_name = "POSTERIOR.fits")]
    pub output: PathBuf,
}

/// `pellucid predict`.
#[derive(Debug, Args)]
pub struct PredictArgs {
    /// Model image with a TAN WCS, e-/s per detector pixel.
    #[arg(long, value_name = "MODEL.fits", value_parser = address)]
    pub image: FitsAddress,
    /// The exposure whose frame to predict.
    #[arg(value_name = "EXPOSURE.fits", value_parser = address)]
    pub exposure: FitsAddress,
    /// PSF image.
    #[arg(long, value_name = "FITS", value_parser = address)]
    pub psf: FitsAddress,
    /// PSF samples per detector pixel (else the PSF's header; else 4).
    #[arg(long, value_name = "N", value_parser = at_least_one())]
    pub psf_oversample: Option<usize>,
    /// Centre of the PSF, 0-based row and column of its array (else its middle, (n-1)/2).
    #[arg(long, value_name = "Y,X")]
    pub psf_centre: Option<PsfCentre>,
    /// The PSF includes the detector pixel.
    #[arg(long)]
    pub psf_pixel_integrated: bool,
    /// Predict flux per pixel, as after multiplication by the pixel area map.
    #[arg(long)]
    pub pixel_area_corrected: bool,
    /// Pixel scale in arcsec of an exposure without a WCS (then centred on the model).
    #[arg(long, value_name = "ARCSEC", value_parser = positive, allow_negative_numbers = true)]
    pub pixel_scale_data: Option<f64>,
    #[command(flatten)]
    pub engine: EngineArgs,
    /// The file to write.
    #[arg(short, long, value_name = "PREDICTED.fits")]
    pub output: PathBuf,
}

/// `pellucid simulate`.
#[derive(Debug, Args)]
pub struct SimulateArgs {
    /// `random`, or an image of the truth in e-/s per detector pixel (its TAN WCS is used).
    #[arg(long, default_value = "random", value_name = "FITS|random")]
    pub scene: String,
    /// How many dithered exposures.
    #[arg(long, default_value_t = 4, value_name = "N")]
    pub exposures: usize,
    /// Camera and filter.
    #[arg(long, value_enum, default_value_t = InstrumentName::AcsF814w)]
    pub instrument: InstrumentName,
    /// Gaussian noise alone, or a detector's with all its faults; its truth is written as well.
    #[arg(long, value_enum, default_value_t = NoiseName::Gaussian)]
    pub noise: NoiseName,
    /// Leave cosmic rays and hot pixels out of DQ.
    #[arg(long)]
    pub unflagged: bool,
    /// Instead of one galaxy, expose N x N pixels of the chip to a blank field of faint galaxies and stars, to
    /// train noise models on cutouts of it: `pellucid simulate --field 1014 --instrument wfc3ir-f160w
    /// --noise cosmic-rays --exposures 4 --seed 1 -o DIR`. Needs no plugin. Writes truth_K.fits beside
    /// exposure_K.fits (LIGHT, CRAYS, HOT: what the scene, cosmic rays and unknown hot pixels add to SCI),
    /// psf.fits and sources.fits.
    #[arg(long, value_name = "N", conflicts_with_all = ["scene", "snr", "size", "pixel_scale"])]
    pub field: Option<usize>,
    /// Galaxies and stars of the field, relative to the number counts; 0 leaves it empty.
    #[arg(long, default_value_t = 1.0, value_name = "X", value_parser = not_negative, requires = "field")]
    pub density: f64,
    /// Leave the sky in the exposures; MDRIZSKY says how much.
    #[arg(long)]
    pub keep_sky: bool,
    /// Exposure time (default: 600 s for wfc3ir, else 500 s).
    #[arg(long, value_name = "SECONDS", value_parser = positive, allow_negative_numbers = true)]
    pub exposure_time: Option<f64>,
    /// Scale the scene so that the brightest pixel of the exposures has this signal-to-noise ratio.
    #[arg(long, value_name = "X", value_parser = positive, allow_negative_numbers = true)]
    pub snr: Option<f64>,
    /// Side of the model in pixels.
    #[arg(long, default_value_t = 64, value_name = "N")]
    pub size: usize,
    /// Pixel scale of the model (default: 0.065 for wfc3ir, else 0.03).
    #[arg(long, value_name = "ARCSEC", value_parser = positive, allow_negative_numbers = true)]
    pub pixel_scale: Option<f64>,
    /// Right ascension of the target, degrees.
    #[arg(long, default_value_t = 150.1163, value_name = "DEG")]
    pub ra: f64,
    /// Declination of the target, degrees.
    #[arg(long, default_value_t = 2.2057, value_name = "DEG", allow_negative_numbers = true)]
    pub dec: f64,
    /// Seed; the same seed gives the same files.
    #[arg(long, default_value_t = 0, value_name = "S")]
    pub seed: u64,
    #[command(flatten)]
    pub engine: EngineArgs,
    /// Folder to write into; made if it is not there.
    #[arg(short, long, value_name = "DIR")]
    pub output: PathBuf,
}

/// `--instrument`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum InstrumentName {
    /// WFC3/IR F160W: 0.128", SIP.
    #[value(name = "wfc3ir-f160w")]
    Wfc3irF160w,
    /// ACS/WFC F814W: 0.05", SIP.
    #[value(name = "acs-f814w")]
    AcsF814w,
    /// 0.06", TAN.
    Plain,
}

/// `--noise` of `simulate`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum NoiseName {
    /// Sky, source and read noise.
    Gaussian,
    /// Cosmic rays (on wfc3ir what the ramp fit leaves), hot pixels, read noise by amplifier, stripes,
    /// inter-pixel capacitance; cosmic rays above 3 sigma and known hot pixels are flagged in DQ.
    CosmicRays,
}

/// `pellucid inspect`.
#[derive(Debug, Args)]
pub struct InspectArgs {
    /// A file that `pellucid sample` wrote.
    #[arg(value_name = "POSTERIOR.fits")]
    pub posterior: PathBuf,
    /// Draw its figure.
    #[arg(long, value_name = "PNG")]
    pub figure: Option<PathBuf>,
    /// Print JSON.
    #[arg(long)]
    pub json: bool,
}

/// `pellucid models`.
#[derive(Debug, Args)]
pub struct ModelsArgs {
    #[command(flatten)]
    pub engine: EngineArgs,
    /// Print JSON.
    #[arg(long)]
    pub json: bool,
}

/// `pellucid doctor`.
#[derive(Debug, Args)]
pub struct DoctorArgs {
    #[command(flatten)]
    pub engine: EngineArgs,
    /// Print JSON.
    #[arg(long)]
    pub json: bool,
}

fn address(text: &str) -> Result<FitsAddress, std::convert::Infallible> {
    text.parse()
}

fn positive(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(x) if x > 0.0 && x.is_finite() => Ok(x),
        _ => Err("needs a positive number".into()),
    }
}

fn not_negative(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(x) if x >= 0.0 && x.is_finite() => Ok(x),
        _ => Err("needs a number that is not negative".into()),
    }
}

/// `auto`, `cpu` or `cuda:0`.
pub fn device(text: &str) -> Result<String, String> {
    let known = match text.split_once(':') {
        None => matches!(text, "auto" | "cpu"),
        Some((kind, index)) => kind == "cuda" && index.parse::<u32>().is_ok(),
    };
    known.then(|| text.into()).ok_or_else(|| "needs auto, cpu or cuda:0, cuda:1, ...".into())
}

fn at_least_one() -> RangedU64ValueParser<usize> {
    RangedU64ValueParser::new().range(1..)
}

fn sky_level(text: &str) -> Result<SkyLevel, String> {
    match text {
        "none" => Ok(SkyLevel::None),
        "header" => Ok(SkyLevel::Header),
        value => match value.parse::<f64>() {
            Ok(x) if x.is_finite() => Ok(SkyLevel::Value(x)),
            _ => Err("needs none, header or a number".into()),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        Options::command().debug_assert();
    }

    /// Else the default simulation, sampled by default, loses what lies beyond the prior's grid.
    #[test]
    fn default_simulations_fit_the_shipped_prior() {
        let parsed = Options::parse_from(["pellucid", "simulate", "-o", "folder"]);
        let Command::Simulate(args) = parsed.command else { panic!("not simulate") };
        let simulated = crate::simulate::model_scale_arcsec(&args);

        let models = concat!(env!("CARGO_MANIFEST_DIR"), "/../../packaging/models");
        let file = std::fs::read(format!("{models}/galaxies64-ve.safetensors")).unwrap();
        // A safetensors file starts with the length of its JSON header.
        let length = u64::from_le_bytes(file[..8].try_into().unwrap()) as usize;
        let header: serde_json::Value = serde_json::from_slice(&file[8..8 + length]).unwrap();
        let metadata = header["__metadata__"]["pellucid"].as_str().unwrap();
        let metadata: serde_json::Value = serde_json::from_str(metadata).unwrap();
        assert_eq!(metadata["pixel_scale_arcsec"], simulated);
        assert_eq!(metadata["image_size"], serde_json::json!([args.size, args.size]));
    }
}
