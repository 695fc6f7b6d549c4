//! Every entry of the function table, called in any order with hostile arguments over the stub engine.
//!
//! An input is a list of calls: a byte for the slot, a byte for how many more belong to it, and those.
//! Where they end, arguments are the usual ones, so that calls of zeros make a job that succeeds. The memory behind
//! every pointer is what the header demands (`memory`); a pointer that lies is outside of any contract.

mod callbacks;
mod calls;
mod memory;
mod take;

use std::ffi::CStr;
use std::ptr::{null_mut, without_provenance_mut};

use pellucid_ffi::*;

use memory::Elements;
use take::Take;

/// Most calls of one input.
const CALLS: usize = 64;

/// The table under test.
pub(crate) fn api() -> &'static pellucid_api {
    pellucid::table::<pellucid::stub::StubEngine>()
}

/// Kinds of handles, as indices of [`Session::handles`].
#[derive(Clone, Copy)]
enum Kind {
    Engine,
    Wcs,
    Psf,
    Exposure,
    Job,
    Result,
    Error,
}

/// What the calls so far have left.
struct Session {
    /// Every handle that was given, released or not, by kind.
    handles: [Vec<usize>; 7],
    arrays: Vec<pellucid_array>,
    elements: Elements,
    /// Whether a job may have been told to panic, or to go on for long.
    told: bool,
}

/// Makes the calls of `data`, then releases everything.
///
/// # Panics
/// If a call ends in a caught panic, or without the error object that it owes.
pub fn run(data: &[u8]) {
    let mut session = Session {
        handles: Default::default(),
        arrays: Vec::new(),
        elements: Elements::new(),
        told: false,
    };
    let mut take = Take(data);
    for _ in 0..CALLS {
        if take.0.is_empty() {
            break;
        }
        let (slot, length) = (take.byte(), take.byte());
        let mut arguments = take.part(usize::from(length));
        session.call(slot, &mut arguments);
    }
    session.end();
}

impl Session {
    /// Usually the last handle of a kind.
    fn handle<T>(&self, take: &mut Take<'_>, kind: Kind) -> *mut T {
        let last = self.handles[kind as usize].last().copied().unwrap_or(0);
        let number = match take.odd() {
            false => last,
            true => match take.byte() % 4 {
                0 => 0,
                1 => take.size(last),
                2 => {
                    let own = &self.handles[kind as usize];
                    own.get(take.byte() as usize % own.len().max(1)).copied().unwrap_or(1)
                }
                _ => {
                    let all: Vec<usize> = self.handles.iter().flatten().copied().collect();
                    all.get(take.byte() as usize % all.len().max(1)).copied().unwrap_or(8)
                }
            },
        };
        without_provenance_mut(number)
    }

    fn keep<T>(&mut self, kind: Kind, handle: *mut T) {
        if !handle.is_null() {
            self.handles[kind as usize].push(handle.addr());
        }
    }

    /// Makes one call and checks what it owes: an error object if and only if it fails, with its code and
    /// a message; no caught panic.
    fn status(
        &mut self,
        take: &mut Take<'_>,
        slot: &str,
        call: impl FnOnce(*mut *mut pellucid_error) -> pellucid_status,
    ) -> bool {
        let mut places = [null_mut::<pellucid_error>(); 2];
        let first: *mut *mut pellucid_error = places.as_mut_ptr();
        let (place, given) = match take.odd() {
            false => (first, true),
            true => (take.of(&[null_mut(), first.wrapping_byte_add(3)]), false),
        };
        let status = call(place);
        assert!(
            (0..=13).contains(&status) || status == PELLUCID_E_PANIC,
            "{slot}: status {status}"
        );
        let error = places[0];
        if given {
            assert_eq!(status == PELLUCID_OK, error.is_null(), "{slot}: status {status}");
        }
        let message = if error.is_null() { String::new() } else { self.error(error, status) };
        assert!(status != PELLUCID_E_PANIC || self.told, "{slot} panicked: {message}");
        status == PELLUCID_OK
    }

    fn error(&mut self, error: *mut pellucid_error, status: pellucid_status) -> String {
        let api = api();
        // SAFETY: the slots take any handle; texts are NUL-terminated and live as long as the error.
        let message = unsafe {
            let code = api.error_code.expect("a slot")(error);
            assert_eq!(code, status);
            let json = CStr::from_ptr(api.error_json.expect("a slot")(error));
            let json: serde_json::Value =
                serde_json::from_slice(json.to_bytes()).expect("error_json is JSON");
            assert_eq!(json["code"], status);
            CStr::from_ptr(api.error_message.expect("a slot")(error)).to_string_lossy().into_owned()
        };
        assert!(!message.is_empty());
        self.keep(Kind::Error, error);
        message
    }

    /// Reads an outbound array, which must be whole, and keeps it.
    fn keep_array(&mut self, array: pellucid_array) {
        let sides = &array.shape[..array.ndim as usize];
        let n: i64 = sides.iter().product();
        // SAFETY: the plugin's arrays are f32 in C order.
        let values = unsafe { std::slice::from_raw_parts(array.data.cast::<f32>(), n as usize) };
        let _ = values.iter().fold(0_u32, |sum, value| sum ^ value.to_bits());
        self.arrays.push(array);
    }

    fn release_array(array: &mut pellucid_array) {
        if let Some(release) = array.release {
            // SAFETY: the plugin filled it in; a copy of one that has ended is refused by its handle.
            unsafe { release(array) };
            assert!(array.release.is_none() && array.data.is_null());
        }
    }

    /// Releases everything, in an order that no one promised.
    fn end(mut self) {
        let api = api();
        for mut array in std::mem::take(&mut self.arrays) {
            let mut copy = array;
            Self::release_array(&mut array);
            Self::release_array(&mut copy);
        }
        macro_rules! release {
            ($index:literal, $slot:ident) => {
                for handle in &self.handles[$index] {
                    // SAFETY: releasing a live, a dead or a NULL handle is within the contract.
                    unsafe { api.$slot.expect("a slot")(without_provenance_mut(*handle)) };
                }
            };
        }
        release!(0, engine_release);
        release!(1, wcs_release);
        release!(2, psf_release);
        release!(3, exposure_release);
        release!(4, job_release);
        release!(5, result_release);
        release!(6, error_release);
    }
}
