//! Faults in jobs, their seeds, callbacks and logs.

use std::ffi::{c_char, c_void};
use std::ptr;
use std::thread;

use pellucid_ffi::*;

use crate::{forward, idle};

type ErrorOut = *mut *mut pellucid_error;

pub(crate) unsafe extern "C" fn logs_elsewhere(
    config: *const c_char,
    host: *const pellucid_host,
    engine: *mut *mut pellucid_engine,
    error: ErrorOut,
) -> pellucid_status {
    let status = forward!(engine_create(config, host, engine, error));
    // SAFETY: NULL or a host as the header says.
    if let (PELLUCID_OK, Some(host)) = (status, unsafe { host.as_ref() })
        && let Some(log) = host.log
    {
        let ctx = host.ctx.addr();
        let logged = thread::spawn(move || {
            let ctx = ptr::without_provenance_mut(ctx);
            // SAFETY: the host's own function; the wrong thread is the fault.
            unsafe { log(ctx, PELLUCID_LOG_ERROR, c"pellucid".as_ptr(), c"elsewhere".as_ptr()) };
        });
        let _ = logged.join();
    }
    status
}

pub(crate) unsafe extern "C" fn prints(
    config: *const c_char,
    host: *const pellucid_host,
    engine: *mut *mut pellucid_engine,
    error: ErrorOut,
) -> pellucid_status {
    eprintln!("engine_create");
    forward!(engine_create(config, host, engine, error))
}

pub(crate) unsafe extern "C" fn hangs_in_cancel(_: *mut pellucid_job) -> pellucid_status {
    idle();
    PELLUCID_OK
}

pub(crate) unsafe extern "C" fn early_timeout(
    job: *mut pellucid_job,
    timeout_ms: i64,
    error: ErrorOut,
) -> pellucid_status {
    forward!(job_wait(job, timeout_ms.min(0), error))
}

/// Submits a changed copy of a description.
unsafe fn submit(
    engine: *mut pellucid_engine,
    desc: *const pellucid_job_desc,
    job: *mut *mut pellucid_job,
    error: ErrorOut,
    change: impl FnOnce(&mut pellucid_job_desc),
) -> pellucid_status {
    // SAFETY: NULL or a description as the header says, here of this version.
    match unsafe { desc.as_ref() } {
        Some(known) if known.struct_size as usize == size_of::<pellucid_job_desc>() => {
            let mut copy = *known;
            change(&mut copy);
            forward!(job_submit(engine, &copy, job, error))
        }
        _ => forward!(job_submit(engine, desc, job, error)),
    }
}

struct Teller {
    user: *mut c_void,
    on_state: unsafe extern "C" fn(*mut c_void, i32),
}

unsafe extern "C" fn tell_twice(user: *mut c_void, state: i32) {
    // SAFETY: made below and never freed.
    unsafe {
        let teller = &*user.cast::<Teller>();
        (teller.on_state)(teller.user, state);
        (teller.on_state)(teller.user, state);
    }
}

macro_rules! submits {
    ($($name:ident: $change:expr;)*) => {$(
        pub(crate) unsafe extern "C" fn $name(
            engine: *mut pellucid_engine,
            desc: *const pellucid_job_desc,
            job: *mut *mut pellucid_job,
            error: ErrorOut,
        ) -> pellucid_status {
            // SAFETY: the header's contract.
            unsafe { submit(engine, desc, job, error, $change) }
        }
    )*};
}

submits! {
    tells_states_twice: |desc| {
        if let Some(on_state) = desc.on_state {
            let teller = Box::leak(Box::new(Teller { user: desc.user, on_state }));
            desc.user = ptr::from_mut(teller).cast();
            desc.on_state = Some(tell_twice);
        }
    };
    ignores_priority: |desc| desc.priority = 0;
    ignores_seed: |desc| desc.seed = 1;
    halves_seed: |desc| desc.seed &= 0xffff_ffff;
    seeds_by_count: |desc| desc.seed ^= u64::from(desc.n_samples.unsigned_abs());
}
