//! Reading: the HDUs of a file, and rectangles of their pixels.

use std::fmt;
use std::path::{Path, PathBuf};

use ndarray::{Array2, ArrayD, IxDyn};

use super::address::Extension;
use super::header::Header;
use super::raw::RawFile;
use crate::error::{HostError, Result};

/// Refuses what is no regular file: a pipe or a device may never answer, or never end.
///
/// # Errors
/// [`HostError::Io`] if there is none, [`HostError::Value`].
pub(crate) fn regular(path: &Path) -> Result<()> {
    match path.metadata().map_err(HostError::io("open", path))?.is_file() {
        true => Ok(()),
        false => {
            Err(HostError::value(path.display(), "a regular file", "a folder, pipe or device"))
        }
    }
}

/// A rectangle of pixels, 0-based.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Region {
    /// First column.
    pub x0: usize,
    /// First row.
    pub y0: usize,
    /// Columns.
    pub nx: usize,
    /// Rows.
    pub ny: usize,
}

impl fmt::Display for Region {
    /// `[101:164,201:264]`: a FITS section, x first, 1-based, both ends included.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (x, y) = (self.x0 + 1, self.y0 + 1);
        write!(f, "[{x}:{},{y}:{}]", self.x0 + self.nx, self.y0 + self.ny)
    }
}

/// What one HDU is.
#[derive(Debug, Clone)]
pub struct Hdu {
    /// 0-based position in the file.
    pub index: usize,
    /// EXTNAME, upper case; empty if it has none.
    pub name: String,
    /// EXTVER, 1 if it has none.
    pub version: i64,
    /// Image axes in C order (y, x); empty for tables and HDUs without pixels.
    pub shape: Vec<usize>,
    /// Its header.
    pub header: Header,
}

/// An open FITS file.
pub struct FitsInput {
    path: PathBuf,
    file: RawFile,
    hdus: Vec<Hdu>,
}

impl FitsInput {
    /// Opens a file and reads all its headers.
    ///
    /// # Errors
    /// [`HostError::Io`] if there is no such file, [`HostError::Fits`] if it is not a FITS file.
    pub fn open(path: &Path) -> Result<Self> {
        regular(path)?;
        std::fs::File::open(path).map_err(HostError::io("open", path))?;
        let broken = |reason: String| HostError::fits(path.display(), reason);
        let mut file = RawFile::open(path).map_err(broken)?;
        let count = file.count().map_err(broken)?;
        let mut hdus = Vec::with_capacity(count);
        for index in 0..count {
            let at = || format!("{}[{index}]", path.display());
            file.go_to(index).map_err(|e| HostError::fits(at(), e))?;
            let text = file.header_text().map_err(|e| HostError::fits(at(), e))?;
            let header = Header::from_cards(text);
            let shape = file.shape().map_err(|e| HostError::fits(at(), e))?;
            file.check_end().map_err(|e| HostError::fits(at(), e))?;
            hdus.push(Hdu {
                index,
                name: header.string("EXTNAME").unwrap_or("").to_ascii_uppercase(),
                version: header.integer("EXTVER").unwrap_or(1),
                shape,
                header,
            });
        }
        Ok(Self { path: path.into(), file, hdus })
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Its HDUs, the primary one first.
    pub fn hdus(&self) -> &[Hdu] {
        &self.hdus
    }

    /// The HDU with this EXTNAME and EXTVER.
    pub fn find(&self, name: &str, version: i64) -> Option<&Hdu> {
        self.hdus.iter().find(|h| h.name.eq_ignore_ascii_case(name) && h.version == version)
    }

    /// The HDU an address names; without one, the first that holds a 2-D image.
    ///
    /// # Errors
    /// [`HostError::Fits`] that lists what the file does hold.
    pub fn image_hdu(&self, extension: Option<&Extension>) -> Result<&Hdu> {
        let found = match extension {
            Some(Extension::Number(n)) => self.hdus.get(*n),
            Some(Extension::Name(name, version)) => self.hdus.iter().find(|h| {
                h.name.eq_ignore_ascii_case(name) && version.is_none_or(|v| v == h.version)
            }),
            None => self.hdus.iter().find(|h| h.shape.len() == 2),
        };
        found.ok_or_else(|| {
            let wanted = extension.map_or("a 2-D image".into(), |e| format!("an HDU [{e}]"));
            let held: Vec<_> = self.hdus.iter().map(Hdu::describe).collect();
            HostError::fits(
                self.path.display(),
                format!("needed {wanted}, the file holds {}", held.join(", ")),
            )
        })
    }

    /// `file.fits[3]`, for messages.
    pub fn at(&self, hdu: &Hdu) -> String {
        match hdu.name.as_str() {
            "" => format!("{}[{}]", self.path.display(), hdu.index),
            name => format!("{}[{name},{}]", self.path.display(), hdu.version),
        }
    }

    /// All pixels of an HDU as f64 (BSCALE and BZERO applied), in C order.
    ///
    /// # Errors
    /// [`HostError::Fits`] if it is not an image or the file is cut short.
    pub fn image(&mut self, index: usize) -> Result<ArrayD<f64>> {
        let shape = self.hdus[index].shape.clone();
        let values = self.read(index, |file| file.pixels(&shape))?;
        ArrayD::from_shape_vec(IxDyn(&shape), values)
            .map_err(|e| HostError::fits(self.at(&self.hdus[index]), e))
    }

    /// All pixels of an HDU that must hold a 2-D image, [y, x].
    ///
    /// # Errors
    /// [`HostError::Shape`] if it has not two axes.
    pub fn image_2d(&mut self, index: usize) -> Result<Array2<f64>> {
        let hdu = &self.hdus[index];
        let wrong = HostError::Shape {
            what: self.at(hdu),
            need: "a 2-D image".into(),
            got: hdu.describe(),
        };
        if hdu.shape.len() != 2 {
            return Err(wrong);
        }
        self.image(index)?.into_dimensionality().map_err(|_| wrong)
    }

    /// A rectangle of a 2-D image, [y, x]; only these pixels are read from disk.
    ///
    /// # Errors
    /// [`HostError::Shape`] if the rectangle is empty or leaves the image, or there is no 2-D
    /// image; [`HostError::Fits`] if the file is cut short.
    pub fn region(&mut self, index: usize, region: Region) -> Result<Array2<f64>> {
        let hdu = &self.hdus[index];
        let within = |first: usize, n: usize, all: usize| n > 0 && n <= all && first <= all - n;
        let sound = matches!(hdu.shape[..], [ny, nx]
            if within(region.x0, region.nx, nx) && within(region.y0, region.ny, ny));
        // cfitsio reads such a rectangle backwards, past the end of the buffer.
        if !sound {
            return Err(HostError::Shape {
                what: format!("rectangle read from {}", self.at(hdu)),
                need: format!("at least one pixel, all of them in {}", hdu.describe()),
                got: format!(
                    "{} x {} pixels from 0-based (x, y) = ({}, {})",
                    region.nx, region.ny, region.x0, region.y0
                ),
            });
        }
        let values = self.read(index, |file| file.region(region))?;
        Array2::from_shape_vec((region.ny, region.nx), values)
            .map_err(|e| HostError::fits(self.at(&self.hdus[index]), e))
    }

    /// A column of a binary table as numbers, one a row.
    ///
    /// # Errors
    /// [`HostError::Fits`] if there is no such table or column, or it holds anything else.
    pub fn column(&mut self, index: usize, name: &str) -> Result<Vec<f64>> {
        self.read(index, |file| file.column(name))
    }

    /// A column of a binary table as strings, one a row.
    ///
    /// # Errors
    /// [`HostError::Fits`] if there is no such table or column, or it holds anything else.
    pub fn text_column(&mut self, index: usize, name: &str) -> Result<Vec<String>> {
        self.read(index, |file| file.text_column(name))
    }

    fn read<T>(
        &mut self,
        index: usize,
        get: impl FnOnce(&mut RawFile) -> Result<T, String>,
    ) -> Result<T> {
        let result = self.file.go_to(index).and_then(|()| get(&mut self.file));
        result.map_err(|e| HostError::fits(self.at(&self.hdus[index]), e))
    }
}

impl Hdu {
    /// `SCI,1 (1014x1014)`, for messages.
    pub fn describe(&self) -> String {
        let label = match self.name.as_str() {
            "" => self.index.to_string(),
            name => format!("{name},{}", self.version),
        };
        let axes: Vec<_> = self.shape.iter().rev().map(usize::to_string).collect();
        match axes.is_empty() {
            true => format!("{label} (no image)"),
            false => format!("{label} ({})", axes.join("x")),
        }
    }
}

impl fmt::Debug for FitsInput {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FitsInput")
            .field("path", &self.path)
            .field("hdus", &self.hdus.len())
            .finish()
    }
}
