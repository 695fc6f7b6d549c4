//! An exposure's file: its chips, their units, quality bits, distortion, and where they look.

use std::path::{Path, PathBuf};

use ndarray::Array2;

use super::hash::HashCache;
use super::quality::default_bad_bits;
use super::stamp::Stamp;
use super::tables;
use super::units::to_electrons_per_second;
use crate::error::{HostError, Result};
use crate::fits::{FitsAddress, FitsInput, Hdu, Header, Region};
use crate::session::{FluxConvention, LookupTable};
use crate::sky::{ModelGrid, SkyPosition, TanSip};

/// Sky background to subtract.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub enum SkyLevel {
    /// Nothing: the file is sky-subtracted, or its sky is to be modelled. MDRIZSKY, which
    /// AstroDrizzle writes without subtracting it, is not used.
    #[default]
    None,
    /// The value of MDRIZSKY, in the file's unit.
    Header,
    /// This value, in the file's unit.
    Value(f64),
}

/// What the command line says of exposures; `None` asks the file.
#[derive(Debug, Clone, Default)]
pub struct ExposureOptions {
    /// Noise rms of every pixel, in the file's unit, instead of an ERR extension.
    pub sigma: Option<f64>,
    /// Noise rms to fall back on where there is neither `sigma` nor ERR, in the file's unit.
    pub fallback_sigma: Option<f64>,
    /// Effective exposure time, s, by which the photon noise of the source is added to a constant noise rms, which
    /// knows only the sky: variance + max(pixel, 0) / time, pixel in e-/s. ERR extensions have it already.
    pub photon_noise_s: Option<f64>,
    /// The file's unit, instead of BUNIT.
    pub unit: Option<String>,
    /// Whether pixels were multiplied by the pixel area map. Asked of the header: the logical
    /// PAMCORR, or PAMCORR = 'COMPLETE'; in the end no, as in HST's flt and flc files.
    pub pixel_area_corrected: Option<bool>,
    /// DQ bits that exclude a pixel; else [`default_bad_bits`].
    pub bad_bits: Option<u32>,
    /// Pixel scale in arcsec of an image without a WCS: it is taken to be north up, its centre
    /// pixel ((n-1)/2) at the target or at (0, 0).
    pub pixel_scale_arcsec: Option<f64>,
    /// Sky to subtract.
    pub sky: SkyLevel,
    /// Where images without a WCS are on the sky.
    pub target: Option<SkyPosition>,
}

/// One image of an exposure's file, with what belongs to it.
#[derive(Debug, Clone)]
pub struct Chip {
    /// `file.fits[SCI,1]`.
    pub label: String,
    /// Rows and columns.
    pub shape: (usize, usize),
    /// Header of the science image (with a WCS made up from the pixel scale if it had none).
    pub header: Header,
    /// Rough WCS, to find things on the chip.
    pub wcs: TanSip,
    /// Factor from the file's unit to e-/s.
    pub to_electrons_per_second: f64,
    /// DQ bits that exclude a pixel.
    pub bad_bits: u32,
    /// What a pixel's value measures.
    pub flux_convention: FluxConvention,
    /// Distortion tables of the whole chip.
    pub tables: Vec<LookupTable>,
    /// HDUs: science, error, quality.
    science: usize,
    error: Option<usize>,
    quality: Option<usize>,
    /// Sky to subtract, in the file's unit.
    sky: f64,
}

impl Chip {
    /// The sky position of its middle.
    pub fn centre(&self) -> SkyPosition {
        let (ny, nx) = self.shape;
        let middle = |n: usize| (n as f64 - 1.0) / 2.0;
        self.wcs.pixel_to_sky([middle(nx), middle(ny)])
    }

    /// The 0-based pixel (x, y) of a sky position, if it is on the chip.
    pub fn locate(&self, sky: SkyPosition) -> Option<[f64; 2]> {
        let (ny, nx) = self.shape;
        let inside = |v: f64, n: usize| v >= -0.5 && v < n as f64 - 0.5;
        self.wcs.sky_to_pixel(sky).filter(|[x, y]| inside(*x, nx) && inside(*y, ny))
    }

    /// The pixels that see a model grid: its outline's bounding box and one pixel more, cut at
    /// the chip's edges. `None` if there are none.
    pub fn footprint(&self, grid: &ModelGrid) -> Option<Region> {
        let outline: Option<Vec<_>> =
            grid.outline().into_iter().map(|sky| self.wcs.sky_to_pixel(sky)).collect();
        let outline = outline?;
        let range = |axis: usize, n: usize| {
            let values = outline.iter().map(|p| p[axis]);
            let (low, high) = values.fold((f64::MAX, f64::MIN), |(l, h), v| (l.min(v), h.max(v)));
            let first = (low.round() - 1.0).max(0.0);
            let last = (high.round() + 1.0).min(n as f64 - 1.0);
            (first <= last).then(|| (first as usize, (last - first) as usize + 1))
        };
        let ((x0, nx), (y0, ny)) = (range(0, self.shape.1)?, range(1, self.shape.0)?);
        Some(Region { x0, y0, nx, ny })
    }

    /// The `n` x `n` pixels around a position (0-based pixel x, y), cut at the chip's edges.
    pub fn cutout(&self, [x, y]: [f64; 2], n: usize) -> Region {
        let range = |centre: f64, size: usize| {
            let first = (centre - (n as f64 - 1.0) / 2.0).round();
            let start = first.clamp(0.0, size as f64) as usize;
            let end = (first + n as f64).clamp(0.0, size as f64) as usize;
            (start, end - start)
        };
        let ((x0, nx), (y0, ny)) = (range(x, self.shape.1), range(y, self.shape.0));
        Region { x0, y0, nx, ny }
    }

    fn place(
        &self,
        region: Region,
        pixels: Array2<f64>,
        sigma: Array2<f64>,
        quality: Option<Array2<u32>>,
    ) -> Stamp {
        let (x0, y0) = (region.x0, region.y0);
        Stamp {
            id: match region == self.whole() {
                true => self.label.clone(),
                false => format!("{}{region}", self.label),
            },
            region,
            pixels,
            sigma,
            quality,
            bad_bits: self.bad_bits,
            flux_convention: self.flux_convention,
            header: self.header.shifted(x0, y0),
            tables: self.tables.iter().map(|t| t.shifted(x0, y0)).collect(),
        }
    }

    /// The whole chip.
    pub fn whole(&self) -> Region {
        Region { x0: 0, y0: 0, nx: self.shape.1, ny: self.shape.0 }
    }
}

/// What a file holds for a region of a chip. Arrays are [y, x].
#[derive(Debug, Clone)]
pub struct Planes {
    /// e-/s, the sky of the options subtracted.
    pub pixels: Array2<f64>,
    /// Standard deviation from the ERR extension, e-/s.
    pub error: Option<Array2<f64>>,
    /// Data-quality bits.
    pub quality: Option<Array2<u32>>,
}

/// An opened exposure file.
#[derive(Debug)]
pub struct ExposureFile {
    path: PathBuf,
    sha256: String,
    file: FitsInput,
    chips: Vec<Chip>,
    options: ExposureOptions,
}

impl ExposureFile {
    /// Opens a file: HST style (SCI, ERR, DQ by EXTNAME and EXTVER, one or more chips), or a plain
    /// image (the first 2-D one, or the HDU of the address) with ERR and DQ extensions if there are
    /// any. With an HDU in the address, only that chip.
    ///
    /// # Errors
    /// What is missing or wrong, naming file, HDU and keyword.
    pub fn open(address: &FitsAddress, options: &ExposureOptions) -> Result<Self> {
        Self::open_hashed(address, options, &HashCache::default())
    }

    /// As [`ExposureFile::open`], with the hashes of files seen before.
    ///
    /// # Errors
    /// Those of [`ExposureFile::open`].
    pub fn open_hashed(
        address: &FitsAddress,
        options: &ExposureOptions,
        hashes: &HashCache,
    ) -> Result<Self> {
        let mut file = FitsInput::open(&address.path)?;
        let science: Vec<Hdu> = match &address.extension {
            Some(extension) => vec![file.image_hdu(Some(extension))?.clone()],
            None => {
                let hst = file.hdus().iter().filter(|h| h.name == "SCI" && h.shape.len() == 2);
                let hst: Vec<_> = hst.cloned().collect();
                match hst.is_empty() {
                    true => vec![file.image_hdu(None)?.clone()],
                    false => hst,
                }
            }
        };
        let chips: Result<Vec<_>> =
            science.iter().map(|hdu| chip(&mut file, hdu, options)).collect();
        Ok(Self {
            path: address.path.clone(),
            sha256: hashes.sha256(&address.path)?,
            chips: chips?,
            file,
            options: options.clone(),
        })
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// SHA-256 of the file.
    pub fn sha256(&self) -> &str {
        &self.sha256
    }

    /// Its chips, in the order of the file.
    pub fn chips(&self) -> &[Chip] {
        &self.chips
    }

    /// The chip that holds the target, where it is best centred if several do; the first chip if
    /// there is no target.
    ///
    /// # Errors
    /// [`HostError::OffChip`].
    pub fn chip_at(&self, target: Option<SkyPosition>) -> Result<usize> {
        let Some(sky) = target else {
            return Ok(0);
        };
        let edge = |chip: &Chip| {
            let (ny, nx) = chip.shape;
            chip.locate(sky).map(|[x, y]| {
                let far = [x, y, nx as f64 - 1.0 - x, ny as f64 - 1.0 - y];
                far.into_iter().fold(f64::MAX, f64::min)
            })
        };
        let found = self.chips.iter().enumerate();
        found
            .filter_map(|(i, chip)| Some((i, edge(chip)?)))
            .max_by(|a, b| a.1.total_cmp(&b.1))
            .map(|(i, _)| i)
            .ok_or_else(|| HostError::OffChip {
                at: self.path.display().to_string(),
                ra_deg: sky.ra_deg,
                dec_deg: sky.dec_deg,
                chips: self.chips.len(),
            })
    }

    /// A region of a chip without its pixels: zero, unit noise, all good. For prediction.
    pub fn blank(&self, chip: usize, region: Region) -> Stamp {
        let pixels = Array2::zeros((region.ny, region.nx));
        self.chips[chip].place(region, pixels, Array2::ones((region.ny, region.nx)), None)
    }

    /// Header of the primary HDU, which holds what all chips share.
    pub fn primary(&self) -> &Header {
        &self.file.hdus()[0].header
    }

    /// Reads what the file holds for a region of a chip.
    ///
    /// # Errors
    /// [`HostError::Fits`].
    pub fn planes(&mut self, chip: usize, region: Region) -> Result<Planes> {
        let chip = &self.chips[chip];
        let file = &mut self.file;
        let scale = chip.to_electrons_per_second;
        let pixels = (file.region(chip.science, region)? - chip.sky) * scale;
        let mut read = |hdu: Option<usize>| hdu.map(|h| file.region(h, region)).transpose();
        Ok(Planes {
            pixels,
            error: read(chip.error)?.map(|e| e * scale),
            // DQ arrays are 16-bit integers; a float one would be a different thing altogether.
            quality: read(chip.quality)?.map(|q| q.mapv(|v| v as i64 as u32)),
        })
    }

    /// Reads the pixels of a region of a chip, in e-/s, with their noise.
    ///
    /// # Errors
    /// [`HostError::Value`] if there is no noise estimate, [`HostError::Fits`].
    pub fn stamp(&mut self, chip: usize, region: Region) -> Result<Stamp> {
        let planes = self.planes(chip, region)?;
        let chip = &self.chips[chip];
        let constant = match (self.options.sigma, &planes.error) {
            (Some(sigma), _) => Some(sigma),
            (None, Some(_)) => None,
            (None, None) => self.options.fallback_sigma,
        };
        let sigma = match (constant, planes.error) {
            (Some(sigma), _) => {
                let sky = sigma * chip.to_electrons_per_second;
                let per_flux = self.options.photon_noise_s.map_or(0.0, f64::recip);
                planes.pixels.mapv(|v| sky.hypot((v.max(0.0) * per_flux).sqrt()))
            }
            (None, Some(error)) => error,
            (None, None) => {
                return Err(HostError::value(
                    format!("{}: noise", chip.label),
                    "an ERR extension, --sigma, or a covariance as --noise-correlation",
                    "none of them",
                ));
            }
        };
        Ok(chip.place(region, planes.pixels, sigma, planes.quality))
    }
}

fn chip(file: &mut FitsInput, hdu: &Hdu, options: &ExposureOptions) -> Result<Chip> {
    let label = file.at(hdu);
    let [ny, nx] = hdu.shape[..] else {
        return Err(HostError::Shape {
            what: label,
            need: "a 2-D image".into(),
            got: hdu.describe(),
        });
    };
    let primary = file.hdus()[0].header.clone();
    // A plain image may come first and have its ERR without a version.
    let version = if hdu.name == "SCI" { hdu.version } else { 1 };
    let partner = |name: &str| -> Result<Option<usize>> {
        let Some(found) = file.find(name, version) else {
            return Ok(None);
        };
        // HST writes a constant plane as a header without pixels (NPIX1, PIXVALUE).
        if found.shape.is_empty() {
            return Ok(None);
        }
        if found.shape != hdu.shape {
            return Err(HostError::Shape {
                what: file.at(found),
                need: format!("the shape of {}", hdu.describe()),
                got: found.describe(),
            });
        }
        Ok(Some(found.index))
    };
    let (error, quality) = (partner("ERR")?, partner("DQ")?);
    let mut header = hdu.header.clone();
    if !header.has_celestial_wcs() {
        let scale =
            options.pixel_scale_arcsec.filter(|s| *s > 0.0).ok_or_else(|| HostError::Keyword {
                at: label.clone(),
                key: "CTYPE1, CTYPE2".into(),
                need: "a celestial WCS, or the pixel scale with --pixel-scale-data ARCSEC".into(),
                got: "neither".into(),
            })?;
        header = ModelGrid {
            nx,
            ny,
            centre: options.target.unwrap_or(SkyPosition { ra_deg: 0.0, dec_deg: 0.0 }),
            pixel_scale_arcsec: scale,
        }
        .header();
    }
    let stated = || match header.string("PAMCORR") {
        Some(text) => Some(text.eq_ignore_ascii_case("complete")),
        None => header.logical("PAMCORR"),
    };
    let sky = match options.sky {
        SkyLevel::None => 0.0,
        SkyLevel::Value(value) => value,
        SkyLevel::Header => header.real("MDRIZSKY").ok_or_else(|| HostError::Keyword {
            at: label.clone(),
            key: "MDRIZSKY".into(),
            need: "the sky level, since --sky header asks for it".into(),
            got: "nothing".into(),
        })?,
    };
    let scale = to_electrons_per_second(options.unit.as_deref(), &hdu.header, &primary, &label)?;
    let area_corrected = options.pixel_area_corrected.or_else(stated).unwrap_or(false);
    Ok(Chip {
        shape: (ny, nx),
        wcs: TanSip::from_header(&header, &label)?,
        to_electrons_per_second: scale,
        bad_bits: options.bad_bits.unwrap_or_else(|| default_bad_bits(&header, &primary)),
        flux_convention: match area_corrected {
            true => FluxConvention::PerPixel,
            false => FluxConvention::SurfaceBrightness,
        },
        tables: tables::read(file, &header, &label)?,
        science: hdu.index,
        error,
        quality,
        sky,
        header,
        label,
    })
}
