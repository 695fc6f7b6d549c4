//! The Pellucid C ABI as repr(C) types: no logic, no dependencies.
//!
//! Names, order and layout are those of `include/pellucid/pellucid.h`, which documents meaning,
//! ownership and units; the test `layout` of `pellucid-tests` compares the two field by field.
//! Function pointers are `Option`, since a host may meet a table with an empty slot.
#![no_std]
#![forbid(unsafe_code)]
#![allow(non_camel_case_types, reason = "the names of the C header")]

mod api;
mod codes;
mod structs;

pub use api::*;
pub use codes::*;
pub use structs::*;

use core::marker::{PhantomData, PhantomPinned};

macro_rules! opaque {
    ($($(#[$doc:meta])* $name:ident)*) => {$(
        $(#[$doc])*
        #[repr(C)]
        pub struct $name {
            _private: [u8; 0],
            _marker: PhantomData<(*mut u8, PhantomPinned)>,
        }
    )*};
}

opaque! {
    /// Handle of an error object.
    pellucid_error
    /// Handle of an engine.
    pellucid_engine
    /// Handle of a world coordinate system.
    pellucid_wcs
    /// Handle of a point-spread function.
    pellucid_psf
    /// Handle of an exposure.
    pellucid_exposure
    /// Handle of a job.
    pellucid_job
    /// Handle of a job's result.
    pellucid_result
}
