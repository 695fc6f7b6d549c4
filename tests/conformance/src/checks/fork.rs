//! Forked processes.

use std::ptr::{null, null_mut};

use pellucid_ffi::*;

use crate::arrays::{array, sized};
use crate::check::{Check, Fault, Verdict, pass};
use crate::host::{Host, SHORT, Shot};
use crate::process::in_fork;
use crate::session::Session;

pub(crate) const CHECKS: &[Check] = &[
    Check::new("fork.before", "a child forked before the first handle may use the library", before)
        .fresh(),
    Check::new(
        "fork.every-slot",
        "in a child forked later every fallible slot is E_FORKED, with an error to read",
        every_slot,
    ),
    Check::new("fork.releases", "in such a child releases do nothing and return", releases),
    Check::new("fork.parent", "the parent of such a child goes on", parent),
];

fn before(session: &Session) -> Verdict {
    let api = session.api()?;
    in_fork(|| {
        let mut engine = null_mut();
        let status = slot!(api, engine_create(null(), null(), &mut engine, null_mut()));
        i32::from(status.ok() != Some(PELLUCID_OK))
    })?;
    pass()
}

/// The number of the first slot that does not say E_FORKED, from 1.
fn first_wrong(host: &Host<'_>, exposure: *mut pellucid_exposure) -> Result<i32, Fault> {
    let (api, h) = (host.api, host.raw());
    let mut error = null_mut();
    let kernel = array(&[1.0_f64], &[1, 1]);
    let mut text = null();
    let mut out: pellucid_array = sized();
    let e: *mut *mut pellucid_error = &mut error;
    let (mut job, mut result, mut wcs) = (null_mut(), null_mut(), null_mut());
    let ask = crate::host::Ask::new(SHORT);
    let submit =
        host.describe(&[exposure], &ask, |desc| slot!(api, job_submit(h, desc, &mut job, e)))?;
    let statuses = [
        slot!(api, engine_memory(h, &mut sized(), e)),
        slot!(api, list_models(h, &mut text, e)),
        slot!(api, engine_create(null(), null(), &mut null_mut(), e)),
        slot!(api, devices(null_mut(), &mut 0, e)),
        slot!(api, psf_from_array(h, &kernel, 1, 0, &mut null_mut(), e)),
        slot!(api, wcs_from_grid(h, &kernel, 0.0, 0.0, 1.0, &mut wcs, e)),
        slot!(api, exposure_create(h, &sized(), &mut null_mut(), e)),
        submit,
        slot!(api, job_poll(null_mut(), &mut sized(), e)),
        slot!(api, job_wait(null_mut(), -1, e)),
        slot!(api, job_cancel(null_mut())),
        slot!(api, job_result(null_mut(), &mut result, e)),
        slot!(api, result_samples(null_mut(), 0, 1, &mut out, e)),
        slot!(api, result_diagnostics(null_mut(), &mut text, e)),
    ];
    for (k, status) in statuses.into_iter().enumerate() {
        if status? != PELLUCID_E_FORKED {
            return Ok(k as i32 + 1);
        }
    }
    slot!(api, engine_memory(h, &mut sized(), e))?;
    if slot!(api, error_code(error))? != PELLUCID_E_FORKED {
        return Ok(50);
    }
    if crate::session::text(slot!(api, error_message(error))?)?.is_empty() {
        return Ok(51);
    }
    let json = crate::session::text(slot!(api, error_json(error))?)?;
    if !json.contains("PELLUCID_E_FORKED") {
        return Ok(52);
    }
    slot!(api, error_release(error))?;
    Ok(if slot!(api, log_drain(h, 1))? == 0 { 0 } else { 53 })
}

fn every_slot(session: &Session) -> Verdict {
    let host = Host::new(session)?;
    let exposure = host.exposure(&Shot::plain())?;
    in_fork(|| first_wrong(&host, exposure.get()).unwrap_or(99))?;
    pass()
}

fn releases(session: &Session) -> Verdict {
    let host = Host::new(session)?;
    let api = host.api;
    let job = host.job(crate::host::LONG)?;
    in_fork(|| {
        let released = [
            slot!(api, job_release(job.get())),
            slot!(api, engine_release(host.raw())),
            slot!(api, wcs_release(null_mut())),
        ];
        i32::from(released.iter().any(Result::is_err))
    })?;
    // Here they are alive still.
    super::jobs::poll(&host, &job)?;
    pass()
}

fn parent(session: &Session) -> Verdict {
    let host = Host::new(session)?;
    in_fork(|| i32::from(first_wrong(&host, null_mut()).is_err()))?;
    host.result()?;
    pass()
}
