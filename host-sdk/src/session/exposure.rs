//! WCS, PSF and exposure handles.

#![expect(unsafe_code, reason = "calls through the C table")]

use std::ptr;

use ndarray::{Array2, ArrayView2, ArrayView4};
use pellucid_ffi as ffi;

use super::array::Lent;
use super::call::call;
use super::engine::{Engine, c_string};
use super::handle::Handle;
use crate::error::{HostError, Result};
use crate::fits::Header;

/// What a detector pixel's value measures.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum FluxConvention {
    /// Flat-fielded: a constant sky is a constant image. HST's flt and flc files.
    #[default]
    SurfaceBrightness,
    /// Multiplied by the pixel area map: flux per pixel.
    PerPixel,
}

/// Which distortion a look-up table holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TableKind {
    /// NPOL, in WCSDVARR extensions: added to the pixel's offset beside SIP.
    Npol,
    /// D2IM, in D2IMARR extensions: added to the raw pixel position.
    D2im,
}

/// Which pixel axis a look-up table shifts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TableAxis {
    /// Columns.
    X,
    /// Rows.
    Y,
}

/// A distortion look-up table, described by the words of its own FITS header (1-based pixels).
#[derive(Debug, Clone)]
pub struct LookupTable {
    /// Which distortion.
    pub kind: TableKind,
    /// Which axis it shifts.
    pub axis: TableAxis,
    /// Shifts in pixels, [y, x].
    pub values: Array2<f64>,
    /// CRPIX1, CRPIX2 of the table.
    pub crpix: [f64; 2],
    /// CRVAL1, CRVAL2 of the table, pixels of the image.
    pub crval: [f64; 2],
    /// CDELT1, CDELT2 of the table, pixels of the image.
    pub cdelt: [f64; 2],
}

impl LookupTable {
    /// The same table for the sub-image whose first pixel is (`x0`, `y0`), 0-based.
    pub fn shifted(&self, x0: usize, y0: usize) -> Self {
        let mut table = self.clone();
        table.crval = [self.crval[0] - x0 as f64, self.crval[1] - y0 as f64];
        table
    }
}

/// A world coordinate system.
pub struct Wcs {
    handle: Handle<ffi::pellucid_wcs>,
}

/// A point-spread function.
pub struct Psf {
    handle: Handle<ffi::pellucid_psf>,
}

/// A calibrated exposure.
pub struct Exposure {
    pub(super) handle: Handle<ffi::pellucid_exposure>,
}

/// Everything an exposure is made of. Arrays are [y, x].
#[derive(Clone)]
pub struct ExposureBuilder<'a> {
    /// Name in errors and products.
    pub id: &'a str,
    /// e-/s; finite at every good pixel.
    pub pixels: ArrayView2<'a, f64>,
    /// Standard deviation, e-/s; positive at every good pixel.
    pub sigma: ArrayView2<'a, f64>,
    /// Data-quality bits; `None`: every pixel is good.
    pub quality: Option<ArrayView2<'a, u32>>,
    /// A pixel is bad where `quality & bad_bits` is not 0.
    pub bad_bits: u32,
    /// What a pixel's value measures.
    pub flux_convention: FluxConvention,
    /// Stationary correlation of the noise, odd x odd, centre in the middle.
    pub noise_correlation: Option<ArrayView2<'a, f64>>,
    /// Its WCS.
    pub wcs: &'a Wcs,
    /// Its PSF.
    pub psf: &'a Psf,
}

impl<'a> ExposureBuilder<'a> {
    /// Every pixel good, surface brightness, white noise; other fields by struct update.
    pub fn new(
        id: &'a str,
        pixels: ArrayView2<'a, f64>,
        sigma: ArrayView2<'a, f64>,
        wcs: &'a Wcs,
        psf: &'a Psf,
    ) -> Self {
        Self {
            id,
            pixels,
            sigma,
            quality: None,
            bad_bits: 0,
            flux_convention: FluxConvention::default(),
            noise_correlation: None,
            wcs,
            psf,
        }
    }
}

impl Engine {
    /// A WCS from a FITS header, with HST's look-up tables if it has any.
    ///
    /// # Errors
    /// [`HostError::Plugin`](crate::HostError::Plugin): a header without a usable solution.
    pub fn wcs(&self, header: &Header, tables: &[LookupTable]) -> Result<Wcs> {
        let arrays: Vec<_> = tables.iter().map(|t| Lent::new(t.values.view())).collect();
        let raw_tables: Vec<_> = tables
            .iter()
            .zip(&arrays)
            .map(|(table, values)| ffi::pellucid_lookup_table {
                struct_size: size_of::<ffi::pellucid_lookup_table>() as u32,
                kind: match table.kind {
                    TableKind::Npol => ffi::PELLUCID_NPOL,
                    TableKind::D2im => ffi::PELLUCID_D2IM,
                },
                axis: match table.axis {
                    TableAxis::X => 1,
                    TableAxis::Y => 2,
                },
                reserved: 0,
                values: values.as_ptr(),
                crpix: table.crpix,
                crval: table.crval,
                cdelt: table.cdelt,
            })
            .collect();
        let text = header.text();
        let list = match raw_tables.is_empty() {
            true => ptr::null(),
            false => raw_tables.as_ptr(),
        };
        let (engine, mut raw) = (self.handle.as_ptr(), ptr::null_mut());
        let plugin = self.plugin();
        // SAFETY: the engine is live; text, tables and the arrays they point to outlive the call.
        unsafe {
            call!(
                plugin,
                wcs_from_fits_header(
                    engine,
                    text.as_ptr().cast(),
                    text.len(),
                    list,
                    raw_tables.len(),
                    &mut raw
                )
            )
        }?;
        let handle = Handle::new(plugin, raw, plugin.table().wcs_release, "WCS")?;
        Ok(Wcs { handle })
    }

    /// A PSF from an image sampled `oversample` times per detector pixel.
    ///
    /// Its centre is the middle of the array, 0-based row (ny - 1)/2 and column (nx - 1)/2: between
    /// two samples where the size is even. [`PsfCentre`](crate::input::PsfCentre) is for others.
    /// `pixel_integrated` says that the kernel includes the detector pixel.
    ///
    /// # Errors
    /// [`HostError::Plugin`](crate::HostError::Plugin): not finite, no positive sum, bad size.
    pub fn psf(
        &self,
        kernel: ArrayView2<'_, f64>,
        oversample: usize,
        pixel_integrated: bool,
    ) -> Result<Psf> {
        let lent = Lent::new(kernel);
        let (oversample, flags) = sampling(oversample, pixel_integrated);
        let (engine, mut raw) = (self.handle.as_ptr(), ptr::null_mut());
        let plugin = self.plugin();
        // SAFETY: the engine and the lent kernel are live for the call.
        unsafe {
            call!(plugin, psf_from_array(engine, lent.as_ptr(), oversample, flags, &mut raw))
        }?;
        let handle = Handle::new(plugin, raw, plugin.table().psf_release, "PSF")?;
        Ok(Psf { handle })
    }

    /// A PSF that depends on position, from images at the nodes of a rectangular grid.
    ///
    /// Bilinear between the nodes, constant beyond the outermost. The engine takes it at the centre of
    /// an exposure, whose blur it is throughout: cut a stamp around the galaxy first.
    ///
    /// Shapes: `kernels` [rows of nodes, columns of nodes, ny, nx], each kernel as in [`Engine::psf`];
    /// `x` and `y` are the columns' and rows' 0-based pixels in the exposure, ascending, also outside
    /// of it (of a stamp, subtract its corner from the detector's positions).
    ///
    /// # Errors
    /// [`HostError::Value`] for nodes that are not as many as the kernels',
    /// [`HostError::MissingSlot`] for a plugin older than minor 1, [`HostError::Plugin`]: as
    /// [`Engine::psf`], or nodes out of order.
    pub fn psf_grid(
        &self,
        kernels: ArrayView4<'_, f64>,
        (x, y): (&[f64], &[f64]),
        oversample: usize,
        pixel_integrated: bool,
    ) -> Result<Psf> {
        let (rows, columns, ..) = kernels.dim();
        if (rows, columns) != (y.len(), x.len()) {
            let need = format!("{rows} rows and {columns} columns, as many as kernels");
            let got = format!("{} and {}", y.len(), x.len());
            return Err(HostError::value("nodes of the PSF", need, got));
        }
        let lent = Lent::new(kernels);
        let (oversample, flags) = sampling(oversample, pixel_integrated);
        let (engine, mut raw) = (self.handle.as_ptr(), ptr::null_mut());
        let plugin = self.plugin();
        // SAFETY: the engine, the lent kernels and as many positions as they have are live for the call.
        unsafe {
            call!(
                plugin,
                psf_from_grid(
                    engine,
                    lent.as_ptr(),
                    x.as_ptr(),
                    y.as_ptr(),
                    oversample,
                    flags,
                    &mut raw
                )
            )
        }?;
        let handle = Handle::new(plugin, raw, plugin.table().psf_release, "PSF")?;
        Ok(Psf { handle })
    }

    /// An exposure; pixels are copied.
    ///
    /// # Errors
    /// [`HostError::Plugin`](crate::HostError::Plugin), naming the exposure and the pixel.
    pub fn exposure(&self, parts: &ExposureBuilder<'_>) -> Result<Exposure> {
        let id = c_string("exposure id", parts.id)?;
        let (sci, err) = (Lent::new(parts.pixels), Lent::new(parts.sigma));
        let dq = parts.quality.map(Lent::new);
        let correlation = parts.noise_correlation.map(Lent::new);
        let pointer = |lent: &Option<Lent<'_>>| lent.as_ref().map_or(ptr::null(), Lent::as_ptr);
        let desc = ffi::pellucid_exposure_desc {
            struct_size: size_of::<ffi::pellucid_exposure_desc>() as u32,
            flags: 0,
            id: id.as_ptr(),
            band: 0,
            err_kind: ffi::PELLUCID_ERR_SIGMA,
            sci: sci.as_ptr(),
            err: err.as_ptr(),
            dq: pointer(&dq),
            dq_bad_mask: parts.bad_bits,
            reserved: 0,
            gain: 1.0,
            zero_point: 0.0,
            wcs: parts.wcs.handle.as_ptr(),
            psf: parts.psf.handle.as_ptr(),
            flux_convention: match parts.flux_convention {
                FluxConvention::SurfaceBrightness => ffi::PELLUCID_SURFACE_BRIGHTNESS,
                FluxConvention::PerPixel => ffi::PELLUCID_PER_PIXEL,
            },
            reserved2: 0,
            noise_correlation: pointer(&correlation),
        };
        let (engine, mut raw) = (self.handle.as_ptr(), ptr::null_mut());
        let plugin = self.plugin();
        // SAFETY: everything `desc` points to is live for the call.
        unsafe { call!(plugin, exposure_create(engine, &desc, &mut raw)) }?;
        let handle = Handle::new(plugin, raw, plugin.table().exposure_release, "exposure")?;
        Ok(Exposure { handle })
    }
}

/// Oversampling and flags of a kernel, as the ABI has them.
fn sampling(oversample: usize, pixel_integrated: bool) -> (i32, u32) {
    let flags = match pixel_integrated {
        true => ffi::PELLUCID_PSF_PIXEL_INTEGRATED,
        false => 0,
    };
    (i32::try_from(oversample).unwrap_or(i32::MAX), flags)
}
