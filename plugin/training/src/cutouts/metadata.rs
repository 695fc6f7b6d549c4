//! What a set of cutouts says of itself.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::args::CutoutArgs;
use super::sharp::SharpRule;
use super::source::SourceRule;
use crate::error::TrainingError;

/// Version of the description this crate reads and writes.
pub const FORMAT: u32 = 1;

/// The description of a set, under the file's metadata key `pellucid`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CutoutMetadata {
    /// Version of this description, see [`FORMAT`].
    pub format: u32,
    /// `cutouts`.
    pub kind: String,
    /// Program and version that made the set.
    pub tool: String,
    /// Whose noise it is.
    pub instrument: Instrument,
    /// Rows and columns of a cutout.
    pub size: usize,
    /// `e-/s`.
    pub unit: String,
    /// The images that were cut, one for each chip; `exposure` counts them from 0.
    pub exposures: Vec<ExposureFacts>,
    /// How the sky was subtracted.
    pub sky: SkyMethod,
    /// Size of the tiles of sky and noise, pixels; none: once an exposure.
    pub sky_tile: Option<usize>,
    /// The flux cut asked for, e-/s; none: by exposure.
    pub flux_cut_e_per_s: Option<f64>,
    /// Largest share of masked pixels.
    pub max_masked: f64,
    /// Whether cutouts may share pixels.
    pub overlaps: bool,
    /// Whether sources were looked for in a reference image.
    pub reference: bool,
    /// What counted as too sharp for the PSF.
    pub sharp_rule: SharpRule,
    /// What counted as a source.
    pub source_rule: SourceRule,
    /// Seed of the positions.
    pub seed: u64,
    /// What became of the positions tried.
    pub tally: Tally,
}

/// What must be the same in all exposures of a set.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Instrument {
    /// INSTRUME.
    pub instrument: Option<String>,
    /// DETECTOR.
    pub detector: Option<String>,
    /// FILTER, or whichever of FILTER1 and FILTER2 is not clear.
    pub filter: Option<String>,
    /// From the WCS.
    pub pixel_scale_arcsec: f64,
    /// `surface_brightness`, or `per_pixel` after multiplication by the pixel area map.
    pub flux_convention: String,
}

/// One image that was cut.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ExposureFacts {
    /// File and HDU, `a.fits[SCI,1]`.
    pub label: String,
    /// SHA-256 of the file.
    pub sha256: String,
    /// Rows and columns.
    pub shape: [usize; 2],
    /// Factor from the file's unit to e-/s.
    pub to_e_per_s: f64,
    /// SAMPTIME of this read, or EXPTIME.
    pub exposure_time_s: Option<f64>,
    /// Mean of the amplifiers' READNSE, e-.
    pub read_noise_e: Option<f64>,
    /// Mean of the amplifiers' ATODGN, or CCDGAIN, e-/count.
    pub gain_e_per_count: Option<f64>,
    /// DQ bits whose pixels have no value.
    pub dq_bits: u32,
    /// Sky that was subtracted (mean over the tiles).
    pub sky_e_per_s: f64,
    /// Clipped standard deviation of the sky (mean over the tiles).
    pub sigma_e_per_s: f64,
    /// Share of pixels with a value.
    pub valid: f64,
    /// Share of pixels too sharp for the PSF.
    pub sharp: f64,
    /// Share of pixels in sources.
    pub source: f64,
    /// Largest total flux of a cutout of this image.
    pub flux_cut_e_per_s: f64,
    /// Mean and standard deviation of the total flux of its source-free pieces; none without any.
    pub flux_spread_e_per_s: Option<[f64; 2]>,
}

/// How the sky is subtracted.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SkyMethod {
    /// The mean after 3-sigma clipping, without sources and particles.
    SigmaClip,
    /// Not at all.
    None,
    /// MDRIZSKY.
    Header,
    /// This value, in the file's unit.
    Value(f64),
}

/// What became of the positions tried; each is counted under the first reason against it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tally {
    /// Positions drawn.
    pub tried: usize,
    /// Cutouts in the set.
    pub kept: usize,
    /// Too many pixels without value.
    pub masked: usize,
    /// Touching a source.
    pub source: usize,
    /// Total flux above the cut.
    pub flux: usize,
    /// Taken before, or sharing pixels with a cutout where that is not allowed.
    pub overlap: usize,
}

impl Tally {
    /// The error of an empty set: the reason that dominated, and what to change.
    pub(super) fn nothing_kept(&self, args: &CutoutArgs) -> TrainingError {
        let reasons = [
            (
                self.masked,
                "have too many pixels without value",
                "raise --max-masked, look at --dq-bits",
            ),
            (
                self.source,
                "touch a source",
                "raise --source-snr, check --psf-fwhm, or take an emptier field",
            ),
            (self.flux, "exceed the flux cut", "raise --flux-cut, or check --sky"),
            (self.overlap, "overlap", "leave out --no-overlap"),
        ];
        let (count, reason, advice) =
            reasons.into_iter().max_by_key(|r| r.0).expect("because there are four");
        TrainingError::NothingKept { size: args.size, tried: self.tried, count, reason, advice }
    }
}

impl CutoutMetadata {
    /// Mean noise of the exposures, e-/s.
    pub fn sigma(&self) -> f64 {
        let sum: f64 = self.exposures.iter().map(|e| e.sigma_e_per_s).sum();
        sum / self.exposures.len().max(1) as f64
    }
}

impl FromStr for SkyMethod {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match (text, text.parse::<f64>()) {
            ("sigma-clip", _) => Ok(Self::SigmaClip),
            ("none", _) => Ok(Self::None),
            ("header", _) => Ok(Self::Header),
            (_, Ok(value)) if value.is_finite() => Ok(Self::Value(value)),
            _ => Err("sigma-clip, none, header or a number".into()),
        }
    }
}

impl fmt::Display for SkyMethod {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::SigmaClip => f.write_str("sigma-clip"),
            Self::None => f.write_str("none"),
            Self::Header => f.write_str("header"),
            Self::Value(value) => write!(f, "{value}"),
        }
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { kept, masked, source, flux, overlap, .. } = self;
        write!(
            f,
            "{kept} kept; rejected {masked} for masked pixels, {source} for sources, {flux} for flux, {overlap} for overlap"
        )
    }
}

impl fmt::Display for Instrument {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for name in [&self.instrument, &self.detector, &self.filter] {
            write!(f, "{} ", name.as_deref().unwrap_or("-"))?;
        }
        write!(f, "{:.4} arcsec {}", self.pixel_scale_arcsec, self.flux_convention)
    }
}

impl fmt::Display for ExposureFacts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}: sky {:.4e}, sigma {:.4e} e-/s (file x {:.4e}); {:.1} % valid, {:.2} % sharp, {:.1} % in sources; total flux below {:.4} e-/s",
            self.label,
            self.sky_e_per_s,
            self.sigma_e_per_s,
            self.to_e_per_s,
            100.0 * self.valid,
            100.0 * self.sharp,
            100.0 * self.source,
            self.flux_cut_e_per_s
        )?;
        match self.flux_spread_e_per_s {
            Some([mean, sigma]) => write!(f, " (source-free pieces: {mean:.4} +- {sigma:.4})"),
            None => f.write_str(" (no source-free pieces)"),
        }
    }
}

impl fmt::Display for CutoutMetadata {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (n, size) = (self.tally.kept, self.size);
        write!(
            f,
            "{n} cutouts {size}x{size} of {} image(s), {}",
            self.exposures.len(),
            self.instrument
        )
    }
}
