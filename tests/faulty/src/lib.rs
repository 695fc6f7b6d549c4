//! A plugin with a planted fault: the table of the library that `PELLUCID_FAULTY_TARGET` names, with
//! the slots replaced that the fault of `PELLUCID_FAULTY_FAULT` needs (see [`FAULTS`]); without a
//! fault it forwards everything. `pellucid-conformance` must tell which.

#![allow(clippy::missing_safety_doc, reason = "slots: their contract is the header's")]

mod jobs;
mod memory;
mod misuse;
mod numbers;

use std::path::Path;
use std::sync::OnceLock;
use std::time::Duration;
use std::{ptr, thread};

use libloading::os::unix::{Library, RTLD_LOCAL, RTLD_NOW};
use pellucid_ffi::*;

/// A fault and the change of the table that plants it.
pub struct Fault {
    /// Its name in `PELLUCID_FAULTY_FAULT`.
    pub name: &'static str,
    plant: fn(&mut pellucid_api),
}

macro_rules! faults {
    ($($name:literal: $plant:expr;)*) => {
        /// Every fault.
        pub const FAULTS: &[Fault] = &[$(Fault { name: $name, plant: $plant }),*];
    };
}

faults! {
    "none": |_| {};
    // The table.
    "any-level": |_| {};
    "early-thread": |_| drop(thread::spawn(idle));
    "null-slot": |api| api.result_percentiles = None;
    "small-table": |api| api.struct_size -= 8;
    // Statuses and errors.
    "wrong-status": |api| api.engine_memory = Some(misuse::wrong_status);
    "empty-message": |api| api.error_message = Some(misuse::empty_message);
    "stale-error": |api| api.engine_memory = Some(misuse::stale_error);
    "stale-output": |api| api.psf_from_array = Some(misuse::stale_output);
    "accepts-unknown-key": |api| api.engine_create = Some(misuse::accepts_unknown_key);
    "aborts-on-null": |api| api.job_poll = Some(misuse::aborts_on_null);
    "trusts-handles": |api| api.wcs_release = Some(misuse::trusts_handles);
    "fork-unaware": |api| {
        misuse::process();
        api.engine_memory = Some(misuse::fork_unaware);
    };
    "writes-too-far": |api| api.engine_memory = Some(misuse::writes_too_far);
    // Ownership.
    "leaks-release": |api| api.psf_from_array = Some(memory::leaks_release);
    "releases-twice": |api| api.psf_from_array = Some(memory::releases_twice);
    "releases-on-failure": |api| api.psf_from_array = Some(memory::releases_on_failure);
    "leaks-memory": |api| api.exposure_create = Some(memory::leaks_memory);
    "leaks-thread": |api| api.engine_create = Some(memory::leaks_thread);
    // Threads, jobs, logs.
    "logs-elsewhere": |api| api.engine_create = Some(jobs::logs_elsewhere);
    "prints": |api| api.engine_create = Some(jobs::prints);
    "hangs-in-cancel": |api| api.job_cancel = Some(jobs::hangs_in_cancel);
    "early-timeout": |api| api.job_wait = Some(jobs::early_timeout);
    "tells-states-twice": |api| api.job_submit = Some(jobs::tells_states_twice);
    "ignores-priority": |api| api.job_submit = Some(jobs::ignores_priority);
    "ignores-seed": |api| api.job_submit = Some(jobs::ignores_seed);
    "halves-seed": |api| api.job_submit = Some(jobs::halves_seed);
    "seeds-by-count": |api| api.job_submit = Some(jobs::seeds_by_count);
    // Numbers.
    "half-pixel": |api| api.wcs_from_grid = Some(numbers::half_pixel);
    "flipped-psf": |api| api.psf_from_array = Some(numbers::flipped_psf);
    "flux-one-percent": |api| api.get_extension = Some(numbers::flux_one_percent);
    "ignores-mask": |api| api.exposure_create = Some(numbers::ignores_mask);
    "overconfident": |api| api.job_result = Some(numbers::overconfident);
    "biased": |api| api.job_result = Some(numbers::biased);
}

/// The table of the library that is wrapped.
pub(crate) fn real() -> &'static pellucid_api {
    static REAL: OnceLock<&pellucid_api> = OnceLock::new();
    REAL.get_or_init(|| {
        let path = std::env::var("PELLUCID_FAULTY_TARGET")
            .expect("PELLUCID_FAULTY_TARGET names a library");
        // SAFETY: a plugin, by the word of who set the variable.
        unsafe {
            let library =
                Library::open(Some(Path::new(&path)), RTLD_NOW | RTLD_LOCAL).expect("it loads");
            let get_api =
                *library.get::<pellucid_get_api_fn>(PELLUCID_GET_API).expect("it is a plugin");
            std::mem::forget(library);
            get_api(PELLUCID_ABI, ptr::null_mut()).as_ref().expect("it has this level")
        }
    })
}

fn table(fault: &Fault) -> &'static pellucid_api {
    static TABLE: OnceLock<pellucid_api> = OnceLock::new();
    TABLE.get_or_init(|| {
        let mut table = *real();
        (fault.plant)(&mut table);
        table
    })
}

/// The faulty table.
///
/// # Safety
/// `range` is NULL or points to memory for two `u32`.
///
/// # Panics
/// If the variables name no library or no fault.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn pellucid_get_api(abi: u32, range: *mut u32) -> *const pellucid_api {
    let name = std::env::var("PELLUCID_FAULTY_FAULT").unwrap_or_else(|_| "none".into());
    let fault = FAULTS.iter().find(|fault| fault.name == name).expect("a fault of this name");
    if !range.is_null() {
        // SAFETY: memory for two.
        unsafe { range.cast::<[u32; 2]>().write([PELLUCID_ABI; 2]) };
    }
    if abi == PELLUCID_ABI || name == "any-level" { table(fault) } else { ptr::null() }
}

fn idle() {
    loop {
        thread::sleep(Duration::from_secs(3600));
    }
}

/// Calls a slot of the wrapped library.
macro_rules! forward {
    ($name:ident($($arg:expr),* $(,)?)) => {
        // SAFETY: the caller's arguments, or copies of them.
        unsafe { ($crate::real().$name.expect("the wrapped library is whole"))($($arg),*) }
    };
}
pub(crate) use forward;
