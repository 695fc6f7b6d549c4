//! A PSF image and how it is sampled.

use std::path::PathBuf;

use ndarray::Array2;

use super::hash::sha256_file;
use crate::error::{HostError, Result};
use crate::fits::{FitsAddress, FitsInput, Header};

/// What the command line says of a PSF file; `None` asks its header.
#[derive(Debug, Clone, Copy, Default)]
pub struct PsfOptions {
    /// Samples per detector pixel and axis. Asked of the header: OVERSAMP, OVERSMPL or SAMPFACT;
    /// in the end 4, with a warning.
    pub oversample: Option<usize>,
    /// Whether the kernel includes the detector pixel, as STScI's empirical PSFs do. Asked of the
    /// header: the logical PIXINT; in the end no.
    pub pixel_integrated: Option<bool>,
}

/// A PSF read from a file.
#[derive(Debug, Clone)]
pub struct PsfImage {
    /// Where it came from.
    pub path: PathBuf,
    /// SHA-256 of that file.
    pub sha256: String,
    /// The kernel, [y, x], not normalised.
    pub kernel: Array2<f64>,
    /// Samples per detector pixel and axis.
    pub oversample: usize,
    /// Whether it includes the detector pixel.
    pub pixel_integrated: bool,
}

impl PsfImage {
    /// Reads a 2-D image: the HDU the address names, else the first that holds one. STScI's PSFSTD
    /// grids, which are cubes, are not read yet: copy the plane nearest to the target into a file.
    ///
    /// # Errors
    /// [`HostError::Fits`] or [`HostError::Shape`] if it is not a 2-D image, [`HostError::Value`]
    /// for an oversampling of 0 or a pixel that is not finite.
    pub fn read(address: &FitsAddress, options: PsfOptions) -> Result<Self> {
        let mut file = FitsInput::open(&address.path)?;
        let hdu = file.image_hdu(address.extension.as_ref())?;
        let (index, at) = (hdu.index, file.at(hdu));
        let header = hdu.header.clone();
        let kernel = file.image_2d(index)?;
        if let Some(((y, x), value)) = kernel.indexed_iter().find(|(_, v)| !v.is_finite()) {
            let what = format!("{at}: PSF at pixel (x, y) = ({x}, {y})");
            return Err(HostError::value(what, "a finite value", value));
        }
        let oversample = match options.oversample.or_else(|| sampling(&header)) {
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
        let stated = options.pixel_integrated.or_else(|| header.logical("PIXINT"));
        Ok(Self {
            sha256: sha256_file(&address.path)?,
            path: address.path.clone(),
            kernel,
            oversample,
            pixel_integrated: stated.unwrap_or(false),
        })
    }
}

fn sampling(header: &Header) -> Option<usize> {
    let keys = ["OVERSAMP", "OVERSMPL", "SAMPFACT"];
    let stated = keys.iter().find_map(|key| header.integer(key))?;
    usize::try_from(stated).ok()
}
