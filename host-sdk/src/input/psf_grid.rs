//! PSFs over a detector: STScI's PSFSTD cubes, interpolated at a target's place.
//!
//! A cube [plane, y, x] of effective PSFs, 4 samples a pixel, the detector pixel included. NXPSFS
//! and NYPSFS say how many columns and rows of the detector have one, IPSFXnn and JPSFYnn where,
//! x varying fastest over the planes. Files of two-chip cameras (ACS/WFC, WFC3/UVIS) stack the
//! chips: the row of the gap comes twice, JPSFY below it belong to CCDCHIP 2 and those above it,
//! which count on, to CCDCHIP 1.

use std::path::PathBuf;

use ndarray::{Array2, Array3, Axis, s};

use super::exposure::Chip;
use super::hash::HashCache;
use super::psf::{PsfImage, PsfOptions, sampling};
use crate::error::{HostError, Result};
use crate::fits::{FitsAddress, FitsInput, Header};
use crate::sky::SkyPosition;

/// A PSF file: one image, or a grid over the detector.
#[derive(Debug, Clone)]
pub enum PsfFile {
    /// The same everywhere.
    Image(PsfImage),
    /// By position.
    Grid(PsfGrid),
}

/// PSFs over a detector.
#[derive(Debug, Clone)]
pub struct PsfGrid {
    path: PathBuf,
    sha256: String,
    at: String,
    /// [row * columns + column, y, x].
    planes: Array3<f64>,
    /// Detector columns that have PSFs, pixels.
    x: Vec<f64>,
    /// Detector rows that have PSFs, pixels of the stacked field.
    y: Vec<f64>,
    options: PsfOptions,
}

impl PsfFile {
    /// Reads an image, or a cube with NXPSFS and NYPSFS.
    ///
    /// # Errors
    /// Those of [`PsfImage::read`]; [`HostError::Keyword`] for a grid that does not say where its
    /// PSFs are, [`HostError::Shape`] if it has not as many planes as it says.
    pub fn open(address: &FitsAddress, options: PsfOptions, hashes: &HashCache) -> Result<Self> {
        let mut file = FitsInput::open(&address.path)?;
        let named = address.extension.as_ref();
        let cube = file.hdus().iter().find(|hdu| {
            let meant =
                named.is_none() || file.image_hdu(named).is_ok_and(|h| h.index == hdu.index);
            meant && hdu.shape.len() == 3 && count(&hdu.header, "NXPSF").is_some()
        });
        let Some(hdu) = cube.cloned() else {
            return PsfImage::read_hashed(address, options, hashes).map(Self::Image);
        };
        let at = file.at(&hdu);
        let values = file.image(hdu.index)?.into_dimensionality::<ndarray::Ix3>();
        let planes = values.map_err(|e| HostError::fits(&at, e))?;
        let (x, y) =
            (axis(&hdu.header, "NXPSF", "IPSFX", &at)?, axis(&hdu.header, "NYPSF", "JPSFY", &at)?);
        if planes.dim().0 != x.len() * y.len() {
            return Err(HostError::Shape {
                what: at,
                need: format!("{} x {} planes, NXPSFS times NYPSFS", x.len(), y.len()),
                got: hdu.describe(),
            });
        }
        if let Some(((k, row, column), value)) = planes.indexed_iter().find(|(_, v)| !v.is_finite())
        {
            let what = format!("{at}: PSF {k} at pixel (x, y) = ({column}, {row})");
            return Err(HostError::value(what, "a finite value", value));
        }
        let sha256 = hashes.sha256(&address.path)?;
        let options = PsfOptions {
            oversample: options.oversample.or_else(|| sampling(&hdu.header)),
            pixel_integrated: options.pixel_integrated.or_else(|| hdu.header.logical("PIXINT")),
            centre: options.centre,
        };
        Ok(Self::Grid(PsfGrid { path: address.path.clone(), sha256, at, planes, x, y, options }))
    }

    /// The PSF at a sky position on a chip.
    ///
    /// # Errors
    /// [`HostError::Keyword`] for a grid of two chips where the exposure does not say which it is
    /// (CCDCHIP), [`HostError::OffChip`].
    pub fn at(&self, chip: &Chip, primary: &Header, sky: SkyPosition) -> Result<PsfImage> {
        match self {
            Self::Image(image) => Ok(image.clone()),
            Self::Grid(grid) => {
                let pixel = chip.wcs.sky_to_pixel(sky).ok_or_else(|| HostError::OffChip {
                    at: chip.label.clone(),
                    ra_deg: sky.ra_deg,
                    dec_deg: sky.dec_deg,
                    chips: 1,
                })?;
                let header = |key: &str| chip.header.real(key).or_else(|| primary.real(key));
                // A subarray counts its pixels from its own corner; LTV says where that is.
                let shift = [header("LTV1").unwrap_or(0.0), header("LTV2").unwrap_or(0.0)];
                let raw = [pixel[0] - shift[0], pixel[1] - shift[1]];
                grid.at(raw, header("CCDCHIP").map(|c| c as i64), &chip.label)
            }
        }
    }
}

impl PsfGrid {
    /// The PSF at a raw pixel (x, y) of a chip: bilinear between the four nearest, and the nearest
    /// ones' own beyond the grid's edge.
    ///
    /// # Errors
    /// [`HostError::Keyword`] if the grid has two chips and `ccdchip` is neither 1 nor 2,
    /// [`HostError::Value`] for a sampling or centre that cannot be.
    pub fn at(&self, [x, y]: [f64; 2], ccdchip: Option<i64>, label: &str) -> Result<PsfImage> {
        let (first, rows, offset) = match (self.gap(), ccdchip) {
            (None, _) => (0, &self.y[..], 0.0),
            (Some(gap), Some(2)) => (0, &self.y[..gap], 0.0),
            (Some(gap), Some(1)) => (gap, &self.y[gap..], self.y[gap]),
            (Some(_), other) => {
                return Err(HostError::Keyword {
                    at: label.into(),
                    key: "CCDCHIP".into(),
                    need: format!("1 or 2, since {} holds the PSFs of two chips", self.at),
                    got: other.map_or("nothing".into(), |c| c.to_string()),
                });
            }
        };
        let (i, u) = bracket(&self.x, x);
        let (j, v) = bracket(rows, y + offset);
        let plane = |row: usize, column: usize| {
            let row = row.min(rows.len() - 1) + first;
            let k = row * self.x.len() + column.min(self.x.len() - 1);
            self.planes.index_axis(Axis(0), k)
        };
        let mut kernel: Array2<f64> = Array2::zeros(plane(0, 0).dim());
        for (row, column, weight) in [
            (j, i, (1.0 - v) * (1.0 - u)),
            (j, i + 1, (1.0 - v) * u),
            (j + 1, i, v * (1.0 - u)),
            (j + 1, i + 1, v * u),
        ] {
            kernel.scaled_add(weight, &plane(row, column));
        }
        PsfImage::from_kernel(
            kernel.slice(s![.., ..]).to_owned(),
            PsfOptions {
                // What the format is, where neither the options nor the file say otherwise.
                oversample: self.options.oversample.or(Some(4)),
                pixel_integrated: self.options.pixel_integrated.or(Some(true)),
                centre: self.options.centre,
            },
            &Header::default(),
            &self.at,
            (self.path.clone(), self.sha256.clone()),
        )
    }

    /// The first row of the upper chip: where JPSFY comes (nearly) twice.
    fn gap(&self) -> Option<usize> {
        self.y.windows(2).position(|pair| pair[1] - pair[0] <= 1.0).map(|k| k + 1)
    }
}

/// The place below `value` in ascending `places` and how far it is to the next, 0 to 1.
fn bracket(places: &[f64], value: f64) -> (usize, f64) {
    let k = places.partition_point(|p| *p <= value).clamp(1, places.len().max(2) - 1) - 1;
    match (places.get(k), places.get(k + 1)) {
        (Some(low), Some(high)) => (k, ((value - low) / (high - low)).clamp(0.0, 1.0)),
        _ => (0, 0.0),
    }
}

/// NXPSFS, which STScI also writes as NXPSFs.
fn count(header: &Header, stem: &str) -> Option<usize> {
    let found = header.integer(&format!("{stem}S")).or_else(|| header.integer(&format!("{stem}s")));
    found.and_then(|n| usize::try_from(n).ok()).filter(|n| *n > 0)
}

/// Where an axis has PSFs.
fn axis(header: &Header, number: &str, place: &str, at: &str) -> Result<Vec<f64>> {
    let missing = |key: String, need: &str| HostError::Keyword {
        at: at.into(),
        key,
        need: need.into(),
        got: "nothing".into(),
    };
    let n = count(header, number)
        .ok_or_else(|| missing(format!("{number}S"), "the number of PSFs along the axis"))?;
    let places: Result<Vec<f64>> = (1..=n)
        .map(|k| {
            let key = format!("{place}{k:02}");
            header.real(&key).ok_or_else(|| missing(key, "a detector position, pixels"))
        })
        .collect();
    let places = places?;
    if places.windows(2).any(|pair| pair[1] < pair[0]) {
        return Err(HostError::Keyword {
            at: at.into(),
            key: format!("{place}nn"),
            need: "positions in ascending order".into(),
            got: format!("{places:?}"),
        });
    }
    Ok(places)
}
