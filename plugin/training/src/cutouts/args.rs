//! Options of `cutouts`.

use std::path::PathBuf;

use pellucid_host::fits::FitsAddress;

use super::metadata::SkyMethod;
use super::source::SourceRule;

/// Cuts empty pieces out of exposures: the training set of a noise model.
///
/// Cosmic rays and hot pixels are kept, since they are noise; pieces that touch a galaxy or a star are
/// not. Corners are drawn uniformly over all exposures; cutouts may overlap, but none is taken twice.
#[derive(Clone, Debug, clap::Args)]
pub struct CutoutArgs {
    /// Exposures of one instrument and filter: HST-style SCI/ERR/DQ files (all chips) or plain
    /// images; `file.fits[EXT]` picks an HDU
    #[arg(required = true, value_name = "EXPOSURE.fits")]
    pub exposures: Vec<FitsAddress>,
    /// The set, one safetensors file
    #[arg(short, long)]
    pub output: PathBuf,
    /// Contact sheet (default: beside the output, ending in .png)
    #[arg(long, value_name = "PNG")]
    pub sheet: Option<PathBuf>,
    /// Rows and columns of a cutout
    #[arg(long, default_value_t = 64, value_parser = size)]
    pub size: usize,
    /// Number of cutouts
    #[arg(long, default_value_t = 1000)]
    pub count: usize,
    /// Seed of the positions
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// Positions tried at most (default: 200 for each cutout)
    #[arg(long, value_name = "N")]
    pub max_tries: Option<usize>,
    /// No two cutouts share a pixel of an exposure
    #[arg(long)]
    pub no_overlap: bool,
    /// Largest total flux of a cutout without its cosmic rays, e-/s (Adam et al. 2023: 0.02 for
    /// 64 x 64 COSMOS pixels, 0.01 for 32 x 32). Default: by exposure, 3 sigma above the mean of its
    /// source-free pieces. A cut near zero pulls the mean of the noise below zero
    #[arg(long, value_name = "E_PER_S", allow_negative_numbers = true)]
    pub flux_cut: Option<f64>,
    /// Sky to subtract: sigma-clip, none, header (MDRIZSKY) or a value in the file's unit
    #[arg(long, default_value = "sigma-clip", allow_negative_numbers = true)]
    pub sky: SkyMethod,
    /// Measure sky and noise in tiles of about N pixels and interpolate, instead of once an exposure
    #[arg(long, value_name = "N")]
    pub sky_tile: Option<usize>,
    /// Pixel area map that the exposures are multiplied by after sky subtraction: one for all, or
    /// one for each chip
    #[arg(long, value_name = "FITS")]
    pub pixel_area: Vec<FitsAddress>,
    /// Image of the same pixels without cosmic rays (deep, combined), in which to look for sources
    /// instead: one for each exposure, in their order
    #[arg(long, value_name = "FITS")]
    pub reference: Vec<FitsAddress>,
    /// DQ bits whose pixels have no value (default: by instrument; cosmic rays and hot pixels are
    /// not among them)
    #[arg(long, value_name = "BITS")]
    pub dq_bits: Option<u32>,
    /// Largest share of pixels without value in a cutout
    #[arg(long, default_value_t = 0.05, value_name = "SHARE")]
    pub max_masked: f64,
    /// Full width at half maximum of the PSF, pixels: about 1.9 on ACS/WFC and WFC3/UVIS (F814W), 1.3 on
    /// WFC3/IR (F160W), 3.9 in COSMOS mosaics
    #[arg(long, default_value_t = 2.0, value_name = "PIXELS")]
    pub psf_fwhm: f64,
    /// Least signal-to-noise ratio of a source
    #[arg(long, default_value_t = SourceRule::default().threshold)]
    pub source_snr: f32,
    /// The files' unit instead of BUNIT: electrons, electrons/s, counts, counts/s
    #[arg(long)]
    pub unit: Option<String>,
    /// Pixel scale of images without a WCS
    #[arg(long, value_name = "ARCSEC")]
    pub pixel_scale_data: Option<f64>,
}

fn size(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(n @ 8..=1024) => Ok(n),
        _ => Err("8 to 1024 pixels".into()),
    }
}
