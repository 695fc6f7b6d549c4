//! Declarations of `shim/celestial.h`, field for field.

use std::ffi::{c_char, c_double, c_int};

#[repr(C)]
pub(crate) struct Celestial {
    _opaque: [u8; 0],
}

#[repr(C)]
pub(crate) struct Facts {
    pub(crate) n_axes: c_int,
    pub(crate) longitude_axis: c_int,
    pub(crate) latitude_axis: c_int,
    pub(crate) has_prior: c_int,
    pub(crate) reference: [c_double; 2],
    pub(crate) linear: [c_double; 4],
    pub(crate) equinox: c_double,
    pub(crate) frame: [c_char; 72],
    pub(crate) longitude: [c_char; 5],
}

/// `celestial_p2s` and `celestial_s2p`.
pub(crate) type Transform = unsafe extern "C" fn(
    *mut Celestial,
    c_int,
    *const c_double,
    *mut c_double,
    *mut c_double,
    *mut c_double,
    *mut c_double,
    *mut c_int,
    *mut c_char,
    usize,
) -> c_int;

unsafe extern "C" {
    pub(crate) fn celestial_parse(
        cards: *const c_char,
        n_cards: c_int,
        out: *mut *mut Celestial,
        facts: *mut Facts,
        message: *mut c_char,
        message_size: usize,
    ) -> c_int;
    pub(crate) fn celestial_free(this: *mut Celestial);
    pub(crate) fn celestial_p2s(
        this: *mut Celestial,
        n: c_int,
        pixel: *const c_double,
        world: *mut c_double,
        image: *mut c_double,
        phi: *mut c_double,
        theta: *mut c_double,
        status: *mut c_int,
        message: *mut c_char,
        message_size: usize,
    ) -> c_int;
    pub(crate) fn celestial_s2p(
        this: *mut Celestial,
        n: c_int,
        world: *const c_double,
        pixel: *mut c_double,
        image: *mut c_double,
        phi: *mut c_double,
        theta: *mut c_double,
        status: *mut c_int,
        message: *mut c_char,
        message_size: usize,
    ) -> c_int;
    pub(crate) fn celestial_prior(
        this: *mut Celestial,
        n: c_int,
        pixel: *const c_double,
        corrected: *mut c_double,
        message: *mut c_char,
        message_size: usize,
    ) -> c_int;
    pub(crate) fn celestial_enable_messages();
}
