//! World coordinate systems.

use std::ffi::c_char;
use std::sync::Arc;

use ::pellucid_exposure::Wcs;
use pellucid_ffi::*;

use super::EngineObject;
use crate::boundary::BoundaryError;
use crate::boundary::array::Input;
use crate::boundary::borrow::{self, Out};
use crate::boundary::callback::WcsFunctions;
use crate::boundary::guard;
use crate::boundary::handle::{self, Object};
use crate::convert;
use crate::engine::Engine;
use crate::limits::{MAX_HEADER, MAX_TABLES};

/// A WCS as the host holds it.
pub(crate) struct WcsObject(pub(crate) Arc<dyn Wcs>);

impl Object for WcsObject {
    type Opaque = pellucid_wcs;
    const KIND: &'static str = "wcs";
}

pub(super) unsafe extern "C" fn wcs_from_fits_header<E: Engine>(
    engine: *mut pellucid_engine,
    cards: *const c_char,
    len: usize,
    tables: *const pellucid_lookup_table,
    n_tables: usize,
    wcs: *mut *mut pellucid_wcs,
    error: *mut *mut pellucid_error,
) -> pellucid_status {
    // SAFETY: the header's contract.
    unsafe {
        guard::call(error, || {
            let out = Out::new(wcs, "wcs")?;
            EngineObject::<E>::enter(engine, "wcs_from_fits_header", |_| {
                convert::within(len, 1, MAX_HEADER, "len", "1 byte to 16 MiB")?;
                let bytes = borrow::slice(cards.cast::<u8>(), len, "cards")?;
                let cards = String::from_utf8(bytes).map_err(|error| {
                    let at = error.utf8_error().valid_up_to();
                    BoundaryError::Text { what: "cards", at }
                })?;
                convert::within(n_tables, 0, MAX_TABLES, "n_tables", "at most 16")?;
                let mut loaned = Vec::with_capacity(n_tables);
                let mut converted = Vec::with_capacity(n_tables);
                let size = match n_tables {
                    0 => 0,
                    _ => borrow::struct_size(tables, "tables")?,
                };
                for index in 0..n_tables {
                    let table = borrow::read(borrow::element(tables, size, index), "tables")?;
                    let values = Input::new(table.values, "values of a look-up table")?;
                    converted.push(convert::wcs::table(&table, &values)?);
                    loaned.push(values);
                }
                let made = convert::wcs::from_header(&cards, converted)?;
                loaned.into_iter().for_each(Input::release);
                out.set(handle::mint(Arc::new(WcsObject(made))));
                Ok(())
            })
        })
    }
}

pub(super) unsafe extern "C" fn wcs_from_grid<E: Engine>(
    engine: *mut pellucid_engine,
    radec: *const pellucid_array,
    x0: f64,
    y0: f64,
    step: f64,
    wcs: *mut *mut pellucid_wcs,
    error: *mut *mut pellucid_error,
) -> pellucid_status {
    // SAFETY: the header's contract.
    unsafe {
        guard::call(error, || {
            let out = Out::new(wcs, "wcs")?;
            EngineObject::<E>::enter(engine, "wcs_from_grid", |_| {
                let radec = Input::new(radec, "radec")?;
                let made = convert::wcs::from_grid(radec.floats(3)?, x0, y0, step)?;
                radec.release();
                out.set(handle::mint(Arc::new(WcsObject(made))));
                Ok(())
            })
        })
    }
}

pub(super) unsafe extern "C" fn wcs_from_callback<E: Engine>(
    engine: *mut pellucid_engine,
    callback: *const pellucid_wcs_callback,
    wcs: *mut *mut pellucid_wcs,
    error: *mut *mut pellucid_error,
) -> pellucid_status {
    // SAFETY: the header's contract.
    unsafe {
        guard::call(error, || {
            let out = Out::new(wcs, "wcs")?;
            EngineObject::<E>::enter(engine, "wcs_from_callback", |_| {
                let callback = borrow::read(callback, "callback")?;
                convert::flags(callback.flags, PELLUCID_WCS_REENTRANT, "WCS callback flags")?;
                convert::flags(callback.reserved, 0, "reserved field of the WCS callback")?;
                if callback.pix2sky.is_none() {
                    return Err(BoundaryError::Null { what: "pix2sky" }.into());
                }
                let functions = Arc::new(WcsFunctions::new(&callback));
                let made = convert::wcs::from_functions(&callback, &functions)?;
                functions.adopt();
                out.set(handle::mint(Arc::new(WcsObject(made))));
                Ok(())
            })
        })
    }
}

pub(super) unsafe extern "C" fn wcs_release(wcs: *mut pellucid_wcs) {
    guard::plain((), || drop(handle::take::<WcsObject>(wcs)));
}
