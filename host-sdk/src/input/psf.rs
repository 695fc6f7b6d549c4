//! A PSF image and how it is sampled.

use std::path::PathBuf;
use std::str::FromStr;

use ndarray::{Array2, s};

use super::hash::HashCache;
use crate::error::{HostError, Result};
use crate::fits::{FitsAddress, FitsInput, Header};

/// What the command line says of a PSF file; `None` asks its header.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct PsfOptions {
    /// Samples per detector pixel and axis. Asked of the header: OVERSAMP, OVERSMPL or SAMPFACT;
    /// in the end 4, with a warning.
    pub oversample: Option<usize>,
    /// Whether the kernel includes the detector pixel, as STScI's empirical PSFs do. Asked of the
    /// header: the logical PIXINT; in the end no.
    pub pixel_integrated: Option<bool>,
    /// Where its centre is, unless in the middle of the array.
    pub centre: Option<PsfCentre>,
}

/// The centre of a kernel: 0-based row and column of its array, each on a sample or half-way
/// between two. Tiny Tim's arrays of even size n have it on the sample n/2.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PsfCentre {
    /// Twice the row and the column.
    twice: [usize; 2],
}

impl PsfCentre {
    /// The kernel with zeros added at one end of each axis, so that its centre c is the middle of
    /// the new array: of n samples, n - 1 - 2c are added before the first or 2c - (n - 1) after the
    /// last. Nothing is resampled. `None` for a centre outside the array.
    fn to_middle(self, kernel: &Array2<f64>) -> Option<Array2<f64>> {
        let (ny, nx) = kernel.dim();
        let padding = |twice: usize, n: usize| {
            let inside = twice + 2 <= 2 * n;
            inside.then(|| ((n - 1).saturating_sub(twice), twice.saturating_sub(n - 1)))
        };
        let [y, x] = self.twice;
        let ((y0, y1), (x0, x1)) = (padding(y, ny)?, padding(x, nx)?);
        let mut padded = Array2::zeros((y0 + ny + y1, x0 + nx + x1));
        padded.slice_mut(s![y0..y0 + ny, x0..x0 + nx]).assign(kernel);
        Some(padded)
    }
}

impl FromStr for PsfCentre {
    type Err = String;

    /// `Y,X`.
    fn from_str(text: &str) -> Result<Self, String> {
        let twice = |coordinate: &str| {
            let twice = 2.0 * coordinate.trim().parse::<f64>().ok()?;
            ((0.0..1e6).contains(&twice) && twice.fract() == 0.0).then_some(twice as usize)
        };
        let both = text.split_once(',').and_then(|(y, x)| Some([twice(y)?, twice(x)?]));
        both.map(|twice| Self { twice }).ok_or_else(|| {
            "needs row,column, 0-based, each an integer or a half-integer (109,109 or 31.5,31.5); \
             a kernel centred elsewhere has to be resampled"
                .into()
        })
    }
}

/// A PSF read from a file.
#[derive(Debug, Clone)]
pub struct PsfImage {
    /// Where it came from.
    pub path: PathBuf,
    /// SHA-256 of that file.
    pub sha256: String,
    /// The kernel, [y, x], its centre in the middle, not normalised.
    pub kernel: Array2<f64>,
    /// Samples per detector pixel and axis.
    pub oversample: usize,
    /// Whether it includes the detector pixel.
    pub pixel_integrated: bool,
}

impl PsfImage {
    /// Reads a 2-D image: the HDU the address names, else the first that holds one. For grids over a
    /// detector see [`PsfFile`](super::PsfFile).
    ///
    /// # Errors
    /// [`HostError::Fits`] or [`HostError::Shape`] if it is not a 2-D image, [`HostError::Value`]
    /// for an oversampling of 0, a pixel that is not finite or a centre outside the image.
    pub fn read(address: &FitsAddress, options: PsfOptions) -> Result<Self> {
        Self::read_hashed(address, options, &HashCache::default())
    }

    /// As [`PsfImage::read`], with the hashes of files seen before.
    ///
    /// # Errors
    /// Those of [`PsfImage::read`].
    pub fn read_hashed(
        address: &FitsAddress,
        options: PsfOptions,
        hashes: &HashCache,
    ) -> Result<Self> {
        let mut file = FitsInput::open(&address.path)?;
        let hdu = file.image_hdu(address.extension.as_ref())?;
        let (index, at) = (hdu.index, file.at(hdu));
        let header = hdu.header.clone();
        let kernel = file.image_2d(index)?;
        if let Some(((y, x), value)) = kernel.indexed_iter().find(|(_, v)| !v.is_finite()) {
            let what = format!("{at}: PSF at pixel (x, y) = ({x}, {y})");
            return Err(HostError::value(what, "a finite value", value));
        }
        let source = (address.path.clone(), hashes.sha256(&address.path)?);
        Self::from_kernel(kernel, options, &header, &at, source)
    }

    /// A kernel with what options and header say of it. `at` names it in errors.
    pub(super) fn from_kernel(
        kernel: Array2<f64>,
        options: PsfOptions,
        header: &Header,
        at: &str,
        (path, sha256): (PathBuf, String),
    ) -> Result<Self> {
        let oversample = match options.oversample.or_else(|| sampling(header)) {
            Some(0) => {
                let what = format!("{at}: PSF oversampling");
                return Err(HostError::value(what, "at least 1", 0));
            }
            Some(n) => n,
            None => {
                log::warn!("{at}: oversampling not stated; taken as 4 (--psf-oversample)");
                4
            }
        };
        let kernel = match options.centre {
            None => kernel,
            Some(centre) => centre.to_middle(&kernel).ok_or_else(|| {
                let (ny, nx) = kernel.dim();
                let [y, x] = centre.twice.map(|twice| twice as f64 / 2.0);
                let need = format!("a place in the array of {ny} rows, {nx} columns");
                HostError::value(
                    format!("{at}: centre of the PSF (y, x)"),
                    need,
                    format!("{y}, {x}"),
                )
            })?,
        };
        let stated = options.pixel_integrated.or_else(|| header.logical("PIXINT"));
        Ok(Self { sha256, path, kernel, oversample, pixel_integrated: stated.unwrap_or(false) })
    }
}

pub(super) fn sampling(header: &Header) -> Option<usize> {
    let keys = ["OVERSAMP", "OVERSMPL", "SAMPFACT"];
    let stated = keys.iter().find_map(|key| header.integer(key))?;
    usize::try_from(stated).ok()
}
