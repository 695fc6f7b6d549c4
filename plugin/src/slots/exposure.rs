//! Exposures.

use std::sync::Arc;

use ::pellucid_exposure::Exposure;
use pellucid_ffi::*;

use super::EngineObject;
use super::wcs::WcsObject;
use crate::boundary::array::Input;
use crate::boundary::borrow::{self, Out};
use crate::boundary::handle::{self, Object};
use crate::boundary::{guard, text};
use crate::convert;
use crate::convert::exposure::{self, Parts};
use crate::convert::psf::PsfSource;
use crate::engine::Engine;

/// An exposure as the host holds it.
pub(crate) struct ExposureObject {
    pub(crate) exposure: Arc<Exposure>,
    /// AB magnitude of one unit per second; 0 unknown.
    pub(crate) zero_point: f64,
}

impl Object for ExposureObject {
    type Opaque = pellucid_exposure;
    const KIND: &'static str = "exposure";
}

pub(super) unsafe extern "C" fn exposure_create<E: Engine>(
    engine: *mut pellucid_engine,
    desc: *const pellucid_exposure_desc,
    exposure: *mut *mut pellucid_exposure,
    error: *mut *mut pellucid_error,
) -> pellucid_status {
    // SAFETY: the header's contract.
    unsafe {
        guard::call(error, || {
            let out = Out::new(exposure, "exposure")?;
            EngineObject::<E>::enter(engine, "exposure_create", |_| {
                let desc = borrow::read(desc, "desc")?;
                convert::flags(desc.flags, 0, "flags of the exposure")?;
                convert::flags(desc.reserved, 0, "reserved field of the exposure")?;
                convert::flags(desc.reserved2, 0, "reserved2 field of the exposure")?;
                let id = text::required(desc.id, "id of the exposure")?;
                let sci = Input::new(desc.sci, "sci")?;
                let err = Input::new(desc.err, "err")?;
                let optional = |array: *const pellucid_array, what| match array.is_null() {
                    true => Ok(None),
                    false => Input::new(array, what).map(Some),
                };
                let dq = optional(desc.dq, "dq")?;
                let correlation = optional(desc.noise_correlation, "noise_correlation")?;
                let wcs = handle::find::<WcsObject>(desc.wcs)?;
                let psf = handle::find::<PsfSource>(desc.psf)?;
                let parts = Parts {
                    sci: sci.floats(2)?,
                    err: err.floats(2)?,
                    dq: dq.as_ref().map(|dq| dq.masks(2)).transpose()?,
                    correlation: correlation.as_ref().map(|c| c.floats(2)).transpose()?,
                    wcs: Arc::clone(&wcs.0),
                    psf: &psf,
                };
                let name = format!("exposure {id}");
                let made = exposure::build(&id, &desc, parts).map_err(|failure| {
                    match failure.chain[0].contains(&name) {
                        true => failure,
                        false => failure.within(name),
                    }
                })?;
                let made = ExposureObject { exposure: Arc::new(made), zero_point: desc.zero_point };
                [Some(sci), Some(err), dq, correlation]
                    .into_iter()
                    .flatten()
                    .for_each(Input::release);
                out.set(handle::mint(Arc::new(made)));
                Ok(())
            })
        })
    }
}

pub(super) unsafe extern "C" fn exposure_release(exposure: *mut pellucid_exposure) {
    guard::plain((), || drop(handle::take::<ExposureObject>(exposure)));
}
