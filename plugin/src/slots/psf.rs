//! Point-spread functions; [`PsfSource`] is what the host holds.

use std::sync::Arc;

use pellucid_ffi::*;

use super::EngineObject;
use crate::boundary::array::Input;
use crate::boundary::borrow::{self, Out};
use crate::boundary::callback::PsfFunction;
use crate::boundary::handle::{self, Object};
use crate::boundary::{BoundaryError, guard};
use crate::convert;
use crate::convert::psf::PsfSource;
use crate::engine::Engine;

impl Object for PsfSource {
    type Opaque = pellucid_psf;
    const KIND: &'static str = "psf";
}

pub(super) unsafe extern "C" fn psf_from_array<E: Engine>(
    engine: *mut pellucid_engine,
    kernel: *const pellucid_array,
    oversample: i32,
    flags: u32,
    psf: *mut *mut pellucid_psf,
    error: *mut *mut pellucid_error,
) -> pellucid_status {
    // SAFETY: the header's contract.
    unsafe {
        guard::call(error, || {
            let out = Out::new(psf, "psf")?;
            EngineObject::<E>::enter(engine, "psf_from_array", |_| {
                convert::flags(flags, PELLUCID_PSF_PIXEL_INTEGRATED, "PSF flags")?;
                let kernel = Input::new(kernel, "kernel")?;
                let made = convert::psf::from_array(kernel.floats(2)?, oversample, flags)?;
                kernel.release();
                out.set(handle::mint(Arc::new(PsfSource::Fixed(made))));
                Ok(())
            })
        })
    }
}

pub(super) unsafe extern "C" fn psf_from_grid<E: Engine>(
    engine: *mut pellucid_engine,
    kernels: *const pellucid_array,
    x: *const f64,
    y: *const f64,
    oversample: i32,
    flags: u32,
    psf: *mut *mut pellucid_psf,
    error: *mut *mut pellucid_error,
) -> pellucid_status {
    // SAFETY: the header's contract.
    unsafe {
        guard::call(error, || {
            let out = Out::new(psf, "psf")?;
            EngineObject::<E>::enter(engine, "psf_from_grid", |_| {
                convert::flags(flags, PELLUCID_PSF_PIXEL_INTEGRATED, "PSF flags")?;
                let kernels = Input::new(kernels, "kernels")?;
                let values = kernels.floats(4)?;
                let x = borrow::slice(x, values.shape()[1], "x")?;
                let y = borrow::slice(y, values.shape()[0], "y")?;
                let made = convert::psf::from_grid(&values, (&x, &y), oversample, flags)?;
                kernels.release();
                out.set(handle::mint(Arc::new(PsfSource::Fixed(made))));
                Ok(())
            })
        })
    }
}

pub(super) unsafe extern "C" fn psf_from_callback<E: Engine>(
    engine: *mut pellucid_engine,
    callback: *const pellucid_psf_callback,
    psf: *mut *mut pellucid_psf,
    error: *mut *mut pellucid_error,
) -> pellucid_status {
    // SAFETY: the header's contract.
    unsafe {
        guard::call(error, || {
            let out = Out::new(psf, "psf")?;
            EngineObject::<E>::enter(engine, "psf_from_callback", |_| {
                let callback = borrow::read(callback, "callback")?;
                convert::flags(
                    callback.flags,
                    PELLUCID_PSF_PIXEL_INTEGRATED,
                    "PSF callback flags",
                )?;
                convert::flags(
                    callback.reserved.cast_unsigned(),
                    0,
                    "reserved field of the PSF callback",
                )?;
                if callback.eval.is_none() {
                    return Err(BoundaryError::Null { what: "eval" }.into());
                }
                convert::psf::size(callback.ny, callback.nx)?;
                convert::psf::oversample(callback.oversample)?;
                let function = PsfFunction::new(&callback);
                function.adopt();
                out.set(handle::mint(Arc::new(PsfSource::Function(function))));
                Ok(())
            })
        })
    }
}

pub(super) unsafe extern "C" fn psf_release(psf: *mut pellucid_psf) {
    guard::plain((), || drop(handle::take::<PsfSource>(psf)));
}
