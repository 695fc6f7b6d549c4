//! Files of a target, the model grid, and the stamps that see it.

use std::path::PathBuf;

use serde_json::{Map, Value};

use super::{GAUSSIAN, Target};
use crate::error::{HostError, Result};
use crate::input::{
    EdgeLight, ExposureFile, HashCache, InstrumentNames, NoiseCorrelation, PsfFile, PsfImage, Stamp,
};
use crate::product::Flags;
use crate::session::Model;
use crate::sky::{ModelGrid, SkyPosition};

/// By how much the model's pixel scale may be off the prior's.
const SCALE_TOLERANCE: f64 = 0.01;

/// A target's files, opened and found to be what they should be.
pub struct Opened {
    files: Vec<ExposureFile>,
    psfs: Vec<PsfFile>,
    correlation: Option<NoiseCorrelation>,
}

/// A target's pixels on its model grid; the files are closed.
pub struct Cut {
    /// The grid of the samples.
    pub grid: ModelGrid,
    /// One per exposure.
    pub exposures: Vec<CutExposure>,
    /// One for all exposures or one for each.
    pub psfs: Vec<PsfImage>,
    /// Correlation of the noise.
    pub correlation: Option<NoiseCorrelation>,
    /// What is wrong with the grid whatever the samples.
    pub doubts: Flags,
    /// The same in words, and what to do.
    pub warnings: Vec<String>,
    /// The options for the plugin.
    pub options: Map<String, Value>,
    pub(super) target: Target,
    /// The prior's file, if the plugin says.
    pub(super) prior_file: Option<PathBuf>,
}

/// One exposure of a [`Cut`].
pub struct CutExposure {
    /// Its pixels.
    pub stamp: Stamp,
    /// The detector's pixel scale, arcsec.
    pub pixel_scale_arcsec: f64,
    /// Its file and that file's SHA-256.
    pub source: (PathBuf, String),
}

impl Target {
    /// Opens exposures, PSFs and noise correlation.
    ///
    /// # Errors
    /// What is missing or wrong, naming file, HDU and keyword; [`HostError::Request`] for a number
    /// of PSFs that is neither 1 nor that of the exposures.
    pub fn open(&self, hashes: &HashCache) -> Result<Opened> {
        self.check_psf_count()?;
        let correlation = self.noise_correlation.as_ref().map(NoiseCorrelation::read);
        let correlation = correlation.transpose()?;
        let options = self.exposure_options(correlation.as_ref());
        let files: Result<_> = self
            .exposures
            .iter()
            .map(|address| ExposureFile::open_hashed(address, &options, hashes))
            .collect();
        let files = files?;
        let psfs: Result<_> = self
            .psf
            .iter()
            .map(|address| PsfFile::open(address, self.psf_options, hashes))
            .collect();
        Ok(Opened { files, psfs: psfs?, correlation })
    }

    /// One PSF for all exposures, or one for each.
    ///
    /// # Errors
    /// [`HostError::Request`].
    pub fn check_psf_count(&self) -> Result<()> {
        let (n, got) = (self.exposures.len(), self.psf.len());
        if got == 1 || got == n {
            return Ok(());
        }
        let need = format!("needed once for all exposures or once for each of the {n}");
        Err(HostError::Request { reason: format!("--psf: {need}, got {got}") })
    }
}

impl Opened {
    /// Chooses the model grid, finds the chip that holds the target in every exposure, cuts out the
    /// pixels that see the model, and picks the PSF there.
    ///
    /// # Errors
    /// [`HostError::OffChip`], [`HostError::Request`] if neither target nor prior says what is
    /// needed, [`HostError::Fits`], [`HostError::Value`] where there is no noise estimate.
    pub fn cut(mut self, target: &Target, prior: Option<&Model>) -> Result<Cut> {
        let grid = model_grid(target, &self.files, prior)?;
        let (doubts, warnings) = doubts(&mut self.files, &grid, prior)?;
        let mut exposures = Vec::with_capacity(self.files.len());
        for file in &mut self.files {
            exposures.push(cut(file, &grid, target.cutout)?);
        }
        let psfs = self.psfs_at(&grid)?;
        let names = taken_by(&self.files, target)?;
        let times = exposure_times(&self.files, target)?;
        Ok(Cut {
            grid,
            exposures,
            psfs,
            correlation: self.correlation,
            doubts,
            warnings,
            options: target.job_options(&names, &times),
            target: target.clone(),
            prior_file: prior.and_then(|model| model.path.clone()),
        })
    }

    fn psfs_at(&self, grid: &ModelGrid) -> Result<Vec<PsfImage>> {
        if let [PsfFile::Image(image)] = &self.psfs[..] {
            return Ok(vec![image.clone()]);
        }
        let mut picked = Vec::with_capacity(self.files.len());
        for (k, file) in self.files.iter().enumerate() {
            let psf = if self.psfs.len() == 1 { &self.psfs[0] } else { &self.psfs[k] };
            let chip = &file.chips()[file.chip_at(Some(grid.centre))?];
            picked.push(psf.at(chip, file.primary(), grid.centre)?);
        }
        Ok(picked)
    }
}

/// The grid asked for, completed by the prior's size and scale and the exposures' centre.
fn model_grid(target: &Target, files: &[ExposureFile], prior: Option<&Model>) -> Result<ModelGrid> {
    let unknown = |what: &str, flag: &str| HostError::Request {
        reason: format!(
            "the plugin does not tell the {what} of prior {}; give {flag}",
            target.prior
        ),
    };
    let size = prior.and_then(|m| m.image_size);
    let (ny, nx) = match (target.size, size) {
        (Some(n), _) => (n, n),
        (None, Some([ny, nx])) => (ny, nx),
        (None, None) => return Err(unknown("image size", "--size")),
    };
    let scale = target
        .pixel_scale_arcsec
        .or_else(|| prior.and_then(|m| m.pixel_scale_arcsec))
        .ok_or_else(|| unknown("pixel scale", "--pixel-scale"))?;
    let centres: Vec<_> = files.iter().map(|f| f.chips()[0].centre()).collect();
    let centre = target.position.or_else(|| SkyPosition::mean(&centres));
    let centre = centre.ok_or_else(|| HostError::Request {
        reason: "the exposures have no common centre".into(),
    })?;
    Ok(ModelGrid { nx, ny, centre, pixel_scale_arcsec: scale })
}

/// What is wrong with a grid whatever the samples: as flags for the product, and in words.
fn doubts(
    files: &mut [ExposureFile],
    grid: &ModelGrid,
    prior: Option<&Model>,
) -> Result<(Flags, Vec<String>)> {
    let mut warnings = Vec::new();
    let scale = grid.pixel_scale_arcsec;
    let trained = prior.and_then(|model| model.pixel_scale_arcsec).unwrap_or(scale);
    let prior_scale = (scale / trained - 1.0).abs() > SCALE_TOLERANCE;
    if prior_scale {
        warnings.push(format!(
            "the model's pixels are {scale}\", those the prior was trained at {trained}\": \
             it takes galaxies for {:.3} times as large as they are",
            trained / scale
        ));
    }
    let mut light = EdgeLight::default();
    for file in files {
        let chip = file.chip_at(Some(grid.centre))?;
        light += file.edge_light(chip, grid)?;
    }
    if let Some(share) = light.share() {
        let [width, height] = [grid.nx, grid.ny].map(|n| n as f64 * scale);
        warnings.push(format!(
            "the model covers {width:.2}\" x {height:.2}\" and just beyond its edge the exposures have \
             {:.0} % of the light within: that flux is lost. Use a larger --pixel-scale or --size with a \
             prior for it, centre it with --ra and --dec, or subtract the sky with --sky",
            100.0 * share
        ));
    }
    let flags = Flags { edge_flux: light.share().is_some(), prior_scale, ..Flags::default() };
    Ok((flags, warnings))
}

/// The stamp of an exposure that sees the model.
fn cut(file: &mut ExposureFile, grid: &ModelGrid, cutout: Option<usize>) -> Result<CutExposure> {
    let index = file.chip_at(Some(grid.centre))?;
    let chip = &file.chips()[index];
    let off = || HostError::OffChip {
        at: chip.label.clone(),
        ra_deg: grid.centre.ra_deg,
        dec_deg: grid.centre.dec_deg,
        chips: 1,
    };
    let region = match cutout {
        Some(n) => chip.cutout(chip.locate(grid.centre).ok_or_else(off)?, n),
        None => chip.footprint(grid).ok_or_else(off)?,
    };
    let pixel_scale_arcsec = chip.wcs.pixel_scale_arcsec();
    Ok(CutExposure {
        stamp: file.stamp(index, region)?,
        pixel_scale_arcsec,
        source: (file.path().into(), file.sha256().into()),
    })
}

/// The camera and filter that a noise model must be for: all exposures share them.
fn taken_by(files: &[ExposureFile], target: &Target) -> Result<InstrumentNames> {
    let names = |file: &ExposureFile| -> Result<InstrumentNames> {
        let chip = &file.chips()[file.chip_at(target.position)?];
        Ok(InstrumentNames::of(&chip.header, file.primary()))
    };
    let Some((first_file, others)) = files.split_first() else {
        return Ok(InstrumentNames::default());
    };
    let first = names(first_file)?;
    if target.noise == GAUSSIAN || target.accept_noise_mismatch {
        return Ok(first);
    }
    for file in others {
        let other = names(file)?;
        if other != first {
            return Err(HostError::Request {
                reason: format!(
                    "--noise {}: one noise model serves one instrument and filter, got {first} ({}) and {other} ({})",
                    target.noise,
                    first_file.path().display(),
                    file.path().display()
                ),
            });
        }
    }
    Ok(first)
}

/// EXPTIME of every exposure; nothing where one does not say.
fn exposure_times(files: &[ExposureFile], target: &Target) -> Result<Vec<f64>> {
    let mut times = Vec::with_capacity(files.len());
    for file in files {
        let chip = &file.chips()[file.chip_at(target.position)?];
        times.extend(chip.header.real("EXPTIME").or_else(|| file.primary().real("EXPTIME")));
    }
    Ok(if times.len() == files.len() { times } else { Vec::new() })
}
