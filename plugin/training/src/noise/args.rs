//! Options of `noise`.

use std::path::PathBuf;

use pellucid_host::fits::FitsAddress;
use pellucid_host::input::PsfCentre;

/// Trains a noise model on cutouts of empty sky by denoising score matching.
#[derive(Clone, Debug, clap::Args)]
pub struct NoiseArgs {
    /// The set, made by `pellucid-train cutouts`; its last tenth is held out
    pub cutouts: PathBuf,
    /// PSF image, in the pixel frame of the exposures
    #[arg(long, value_name = "FITS")]
    pub psf: FitsAddress,
    /// PSF samples per detector pixel (else the PSF header's OVERSAMP, OVERSMPL or SAMPFACT; else 4)
    #[arg(long, value_name = "N")]
    pub psf_oversample: Option<usize>,
    /// Centre of the PSF, 0-based row and column of its array (else its middle, (n-1)/2)
    #[arg(long, value_name = "Y,X")]
    pub psf_centre: Option<PsfCentre>,
    /// The PSF includes the detector pixel (else the header's PIXINT)
    #[arg(long)]
    pub psf_pixel_integrated: bool,
    /// Pixel scale of the model images, arcsec (`pellucid sample --pixel-scale`, or the prior's)
    #[arg(long, value_name = "ARCSEC")]
    pub pixel_scale: f64,
    /// Pixel scale of the exposures, arcsec (default: the cutouts')
    #[arg(long, value_name = "ARCSEC")]
    pub pixel_scale_data: Option<f64>,
    /// Largest level sigma / mu of the model image, e-/s: the prior's largest noise level times the flux scale
    #[arg(long, value_name = "E_PER_S")]
    pub largest_level: f64,
    /// Optimiser steps of the whole run; may be raised or lowered when a run is resumed
    #[arg(long)]
    pub steps: u64,
    /// Pairs of images a step, with opposite perturbations
    #[arg(long, default_value_t = 16)]
    pub batch: usize,
    /// Rows and columns of a training image, at most a cutout's
    #[arg(long, default_value_t = 48)]
    pub size: usize,
    /// Share of the images at level zero
    #[arg(long, default_value_t = 0.25)]
    pub zero_share: f64,
    /// Share of the images with white noise alone, up to twice the brightest pixel, from which noise is drawn
    #[arg(long, default_value_t = 0.25)]
    pub white_share: f64,
    /// Peak learning rate
    #[arg(long, default_value_t = 2e-3)]
    pub learning_rate: f64,
    /// Steps over which the learning rate rises from zero
    #[arg(long, default_value_t = 100)]
    pub warm_up: u64,
    /// Share of the steps, at the end, over which the learning rate falls to zero
    #[arg(long, default_value_t = 0.5)]
    pub cool_down: f64,
    /// Largest gradient norm
    #[arg(long, default_value_t = 1.0)]
    pub clip: f64,
    /// Half-life of the average of the weights, images (at most a twentieth of those seen)
    #[arg(long, default_value_t = 10_000.0)]
    pub average_half_life: f64,
    /// Widths of the U-Net's levels
    #[arg(long, value_delimiter = ',', default_value = "16,32,64")]
    pub widths: Vec<i64>,
    /// Residual blocks a level
    #[arg(long, default_value_t = 1)]
    pub blocks: i64,
    /// Seed of the weights and the batches
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// Stop with a checkpoint after this many minutes; the same command goes on from there
    #[arg(long)]
    pub minutes: Option<f64>,
    /// Steps between checkpoints
    #[arg(long, default_value_t = 500)]
    pub checkpoint_every: u64,
    /// Folder of the run: checkpoint, log, sheet, model. An existing run is resumed
    #[arg(long)]
    pub run: PathBuf,
}
