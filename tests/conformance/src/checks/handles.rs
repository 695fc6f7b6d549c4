//! Handles that are dead, of another kind, or invented.

use std::collections::BTreeSet;
use std::ptr::{null, null_mut, without_provenance_mut};

use pellucid_ffi::*;

use crate::arrays::{array, sized};
use crate::check::{Check, Fault, Verdict, ensure, pass};
use crate::host::{Ask, Host, SHORT, Shot, describe};
use crate::session::{Session, text};

pub(crate) const CHECKS: &[Check] = &[
    Check::new("handles.null", "a NULL handle is E_ARG; releasing NULL does nothing", null_handles),
    Check::new(
        "handles.invented",
        "a number that never was a handle is E_ARG; releasing it does nothing",
        invented,
    ),
    Check::new(
        "handles.mistyped",
        "a live handle of another kind is E_ARG, and a release of another kind leaves it alive",
        mistyped,
    ),
    Check::new(
        "handles.released",
        "a released handle is E_ARG; a second release does nothing",
        released,
    ),
    Check::new(
        "handles.not-reused",
        "the number of a released handle is not given to another object",
        not_reused,
    ),
    Check::new(
        "handles.retained",
        "an exposure keeps its WCS and PSF, a job its exposures",
        retained,
    ),
    Check::new(
        "handles.between-engines",
        "WCS, PSF and exposures belong to no engine and outlive the one they were made with",
        between_engines,
    ),
    Check::new("handles.any-order", "objects may be released in any order", any_order),
];

const ARG: pellucid_status = PELLUCID_E_ARG;

/// A call of each slot that takes a handle, with `h` for every handle but those of kind `but`.
fn use_as_every(host: &Host<'_>, h: *mut pellucid_engine, but: &str) -> Result<(), Fault> {
    let api = host.api;
    let mut json = null();
    let mut out: pellucid_array = sized();
    let kernel = array(&[1.0_f64], &[1, 1]);
    let radec = array(&[0.0_f64; 8], &[2, 2, 2]);
    let card = c"SIMPLE  =                    T".as_ptr();
    if but != "engine" {
        fails!(api, ARG, list_models(h, &mut json))?;
        fails!(api, ARG, engine_memory(h, &mut sized()))?;
        ensure!(slot!(api, log_drain(h, usize::MAX))? == 0, "log_drain of a dead engine");
        fails!(api, ARG, wcs_from_fits_header(h, card, 30, null(), 0, &mut null_mut()))?;
        fails!(api, ARG, wcs_from_grid(h, &radec, 0.0, 0.0, 1.0, &mut null_mut()))?;
        fails!(api, ARG, wcs_from_callback(h, &sized(), &mut null_mut()))?;
        fails!(api, ARG, psf_from_array(h, &kernel, 1, 0, &mut null_mut()))?;
        fails!(api, ARG, psf_from_callback(h, &sized(), &mut null_mut()))?;
        fails!(api, ARG, exposure_create(h, &sized(), &mut null_mut()))?;
    }
    host.describe(&[h.cast()], &Ask::new(SHORT), |desc| -> Result<(), Fault> {
        if but != "engine" {
            fails!(api, ARG, job_estimate(h, desc, &mut sized()))?;
            fails!(api, ARG, job_submit(h, desc, &mut null_mut()))?;
        }
        if but != "exposure" {
            fails!(api, ARG, job_submit(host.raw(), desc, &mut null_mut()))?;
        }
        Ok(())
    })??;
    if but != "job" {
        fails!(api, ARG, job_poll(h.cast(), &mut sized()))?;
        fails!(api, ARG, job_wait(h.cast(), 0))?;
        ensure!(slot!(api, job_cancel(h.cast()))? == ARG, "job_cancel takes what is no job");
        fails!(api, ARG, job_result(h.cast(), &mut null_mut()))?;
    }
    if but != "result" {
        fails!(api, ARG, result_samples(h.cast(), 0, 1, &mut out))?;
        fails!(api, ARG, result_stat(h.cast(), c"mean".as_ptr(), &mut out))?;
        fails!(api, ARG, result_percentiles(h.cast(), &50.0, 1, &mut out))?;
        fails!(api, ARG, result_residuals(h.cast(), 0, 0, &mut out))?;
        fails!(api, ARG, result_diagnostics(h.cast(), &mut json))?;
        fails!(api, ARG, result_header(h.cast(), &mut json, &mut 0))?;
    }
    ensure!(out.data.is_null() && out.release.is_none(), "an array was written on failure");
    let shot = Shot::plain();
    let (wcs, psf) = (host.grid(&shot.wcs)?, host.psf(&shot.psf)?);
    let ones = array(&shot.sci, &shot.shape);
    if but != "wcs" {
        let desc = describe(&ones, &ones, h.cast(), psf.get());
        fails!(api, ARG, exposure_create(host.raw(), &desc, &mut null_mut()))?;
    }
    if but != "psf" {
        let desc = describe(&ones, &ones, wcs.get(), h.cast());
        fails!(api, ARG, exposure_create(host.raw(), &desc, &mut null_mut()))?;
    }
    if but != "error" {
        ensure!(slot!(api, error_code(h.cast()))? == ARG, "error_code of what is no error");
    }
    Ok(())
}

/// Every release of `h` but that of kind `but`.
fn release_as_every(api: &pellucid_api, h: *mut pellucid_engine, but: &str) -> Result<(), Fault> {
    type Release<'a> = (&'a str, &'a dyn Fn() -> Result<(), Fault>);
    let releases: [Release<'_>; 7] = [
        ("error", &|| slot!(api, error_release(h.cast()))),
        ("engine", &|| slot!(api, engine_release(h))),
        ("wcs", &|| slot!(api, wcs_release(h.cast()))),
        ("psf", &|| slot!(api, psf_release(h.cast()))),
        ("exposure", &|| slot!(api, exposure_release(h.cast()))),
        ("job", &|| slot!(api, job_release(h.cast()))),
        ("result", &|| slot!(api, result_release(h.cast()))),
    ];
    releases.iter().filter(|(kind, _)| *kind != but).try_for_each(|(_, release)| release())
}

fn null_handles(session: &Session) -> Verdict {
    let host = Host::new(session)?;
    use_as_every(&host, null_mut(), "")?;
    release_as_every(host.api, null_mut(), "")?;
    pass()
}

fn invented(session: &Session) -> Verdict {
    let host = Host::new(session)?;
    let local = 0_u64;
    for number in [1, 24, usize::MAX, 1 << 40, (&raw const local).addr()] {
        use_as_every(&host, without_provenance_mut(number), "")?;
        release_as_every(host.api, without_provenance_mut(number), "")?;
    }
    pass()
}

/// A live handle of each kind, its owner forgotten.
fn one_of_each(
    host: &Host<'_>,
    other: Host<'_>,
) -> Result<Vec<(&'static str, *mut pellucid_engine)>, Fault> {
    let shot = Shot::plain();
    let mut error = null_mut();
    slot!(host.api, job_wait(null_mut(), 0, &mut error))?;
    let (wcs, psf) = (host.grid(&shot.wcs)?, host.psf(&shot.psf)?);
    let (exposure, job, result) = (host.exposure(&shot)?, host.job(SHORT)?, host.result()?);
    let handles = vec![
        ("engine", other.raw()),
        ("wcs", wcs.get().cast()),
        ("psf", psf.get().cast()),
        ("exposure", exposure.get().cast()),
        ("job", job.get().cast()),
        ("result", result.get().cast()),
        ("error", error.cast()),
    ];
    std::mem::forget((other, wcs, psf, exposure, job, result));
    Ok(handles)
}

fn mistyped(session: &Session) -> Verdict {
    let host = Host::new(session)?;
    let handles = one_of_each(&host, Host::new(session)?)?;
    for &(kind, handle) in &handles {
        use_as_every(&host, handle, kind)?;
        release_as_every(host.api, handle, kind)?;
    }
    // All alive still.
    let api = host.api;
    let of = |kind: &str| handles.iter().find(|(k, _)| *k == kind).map_or(null_mut(), |(_, h)| *h);
    ok!(api, engine_memory(of("engine"), &mut sized()))?;
    ok!(api, job_poll(of("job").cast(), &mut sized()))?;
    ok!(api, result_diagnostics(of("result").cast(), &mut null()))?;
    let message = text(slot!(api, error_message(of("error").cast()))?)?;
    ensure!(!message.is_empty(), "the error is dead");
    let shot = Shot::plain();
    let (sci, err) = (array(&shot.sci, &shot.shape), array(&shot.sigma, &shot.shape));
    host.expose(&describe(&sci, &err, of("wcs").cast(), of("psf").cast()))?;
    host.draw(&[of("exposure").cast()], &Ask::new(SHORT))?;
    handles.iter().try_for_each(|(_, handle)| release_as_every(api, *handle, ""))?;
    pass()
}

fn released(session: &Session) -> Verdict {
    let host = Host::new(session)?;
    for (_, handle) in one_of_each(&host, Host::new(session)?)? {
        release_as_every(host.api, handle, "")?;
        use_as_every(&host, handle, "")?;
        release_as_every(host.api, handle, "")?;
    }
    pass()
}

fn not_reused(session: &Session) -> Verdict {
    let host = Host::new(session)?;
    let shot = Shot::plain();
    let mut seen = BTreeSet::new();
    for _ in 0..100 {
        let (wcs, psf) = (host.grid(&shot.wcs)?, host.psf(&shot.psf)?);
        for number in [wcs.number(), psf.number()] {
            ensure!(seen.insert(number), "handle {number:#x} was given twice");
        }
    }
    Ok(format!("{} handles", seen.len()).into())
}

fn retained(session: &Session) -> Verdict {
    let host = Host::new(session)?;
    // `exposure` releases its WCS and PSF, `job` its exposure.
    let exposure = host.exposure(&Shot::plain())?;
    let job = host.submit(&[exposure.get()], &Ask::new(SHORT))?;
    drop(exposure);
    host.finish(&job)?;
    pass()
}

fn between_engines(session: &Session) -> Verdict {
    let first = Host::new(session)?;
    let shot = Shot::plain();
    let (wcs, psf) = (first.grid(&shot.wcs)?, first.psf(&shot.psf)?);
    let exposure = first.exposure(&shot)?;
    drop(first);
    let second = Host::new(session)?;
    let (sci, err) = (array(&shot.sci, &shot.shape), array(&shot.sigma, &shot.shape));
    let other = second.expose(&describe(&sci, &err, wcs.get(), psf.get()))?;
    second.draw(&[exposure.get(), other.get()], &Ask::new(SHORT))?;
    pass()
}

fn any_order(session: &Session) -> Verdict {
    let host = Host::new(session)?;
    let api = host.api;
    let exposure = host.exposure(&Shot::plain())?;
    let job = host.submit(&[exposure.get()], &Ask::new(SHORT))?;
    let result = host.finish(&job)?;
    let mut out: pellucid_array = sized();
    ok!(api, result_samples(result.get(), 0, 1, &mut out))?;
    drop(host);
    drop(exposure);
    drop(result);
    drop(job);
    crate::arrays::release(&mut out)?;
    pass()
}
