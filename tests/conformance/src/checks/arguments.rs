//! NULL for every pointer that must not be, and what a failed call leaves behind.

use std::ptr::{null, null_mut};

use pellucid_ffi::*;

use crate::arrays::{array, sized};
use crate::check::{Check, Fault, Verdict, ensure, pass};
use crate::host::{Ask, Host, SHORT, SIDE, Shot, describe};
use crate::session::{Session, fail};
use crate::telescope::Kernel;

pub(crate) const CHECKS: &[Check] = &[
    Check::new(
        "arguments.null-engine",
        "NULL for a required pointer of the engine's slots is E_ARG",
        engine,
    ),
    Check::new("arguments.null-wcs", "NULL for a required pointer of the WCS slots is E_ARG", wcs),
    Check::new("arguments.null-psf", "NULL for a required pointer of the PSF slots is E_ARG", psf),
    Check::new(
        "arguments.null-exposure",
        "NULL for a required field of an exposure is E_ARG",
        exposure,
    ),
    Check::new("arguments.null-job", "NULL for a required pointer of the job slots is E_ARG", job),
    Check::new(
        "arguments.null-result",
        "NULL for a required pointer of the result slots is E_ARG",
        result,
    ),
    Check::new(
        "arguments.null-predict",
        "NULL for a required pointer of predict is E_ARG",
        predict,
    ),
    Check::new(
        "arguments.outputs-null",
        "handle and string outputs are NULL after a failure",
        outputs_null,
    ),
    Check::new(
        "arguments.outputs-untouched",
        "struct and array outputs are not written on failure",
        outputs_untouched,
    ),
    Check::new("arguments.misaligned", "a misaligned struct is E_ARG", misaligned),
    Check::new("arguments.job-ranges", "numbers of a job out of range are E_ARG", job_ranges),
];

const ARG: pellucid_status = PELLUCID_E_ARG;

type Spoil = fn(&mut pellucid_exposure_desc);

fn engine(session: &Session) -> Verdict {
    let host = Host::new(session)?;
    let (api, h) = (host.api, host.raw());
    fails!(api, ARG, devices(null_mut(), null_mut()))?;
    fails!(api, ARG, devices(null_mut(), &mut 1))?;
    fails!(api, ARG, engine_create(null(), null(), null_mut()))?;
    fails!(api, ARG, list_models(h, null_mut()))?;
    fails!(api, ARG, engine_memory(h, null_mut()))?;
    pass()
}

fn wcs(session: &Session) -> Verdict {
    let host = Host::new(session)?;
    let (api, h) = (host.api, host.raw());
    let mut wcs = null_mut();
    let card = c"SIMPLE  =                    T".as_ptr();
    fails!(api, ARG, wcs_from_fits_header(h, null(), 30, null(), 0, &mut wcs))?;
    fails!(api, ARG, wcs_from_fits_header(h, card, 30, null(), 1, &mut wcs))?;
    fails!(api, ARG, wcs_from_fits_header(h, card, 30, null(), 0, null_mut()))?;
    let mut table: pellucid_lookup_table = sized();
    (table.kind, table.axis) = (PELLUCID_NPOL, 1);
    fails!(api, ARG, wcs_from_fits_header(h, card, 30, &table, 1, &mut wcs))?;
    let grid = array(&[0.0_f64; 8], &[2, 2, 2]);
    fails!(api, ARG, wcs_from_grid(h, null(), 0.0, 0.0, 1.0, &mut wcs))?;
    fails!(api, ARG, wcs_from_grid(h, &grid, 0.0, 0.0, 1.0, null_mut()))?;
    fails!(api, ARG, wcs_from_callback(h, null(), &mut wcs))?;
    fails!(api, ARG, wcs_from_callback(h, &sized(), &mut wcs))?;
    fails!(api, ARG, wcs_from_callback(h, &sized(), null_mut()))?;
    pass()
}

fn psf(session: &Session) -> Verdict {
    let host = Host::new(session)?;
    let (api, h) = (host.api, host.raw());
    let kernel = array(&[1.0_f64], &[1, 1]);
    let mut psf = null_mut();
    fails!(api, ARG, psf_from_array(h, null(), 1, 0, &mut psf))?;
    fails!(api, ARG, psf_from_array(h, &kernel, 1, 0, null_mut()))?;
    fails!(api, ARG, psf_from_callback(h, null(), &mut psf))?;
    let mut callback: pellucid_psf_callback = sized();
    (callback.ny, callback.nx, callback.oversample) = (3, 3, 1);
    fails!(api, ARG, psf_from_callback(h, &callback, &mut psf))?;
    fails!(api, ARG, psf_from_callback(h, &callback, null_mut()))?;
    pass()
}

fn exposure(session: &Session) -> Verdict {
    let host = Host::new(session)?;
    let (api, h) = (host.api, host.raw());
    let shot = Shot::plain();
    let (wcs, psf) = (host.grid(&shot.wcs)?, host.psf(&shot.psf)?);
    let ones = array(&shot.sci, &shot.shape);
    let good = describe(&ones, &ones, wcs.get(), psf.get());
    let mut exposure = null_mut();
    fails!(api, ARG, exposure_create(h, null(), &mut exposure))?;
    fails!(api, ARG, exposure_create(h, &good, null_mut()))?;
    let spoil: [(&str, Spoil); 5] = [
        ("id", |d| d.id = null()),
        ("sci", |d| d.sci = null()),
        ("err", |d| d.err = null()),
        ("wcs", |d| d.wcs = null_mut()),
        ("psf", |d| d.psf = null_mut()),
    ];
    for (field, spoil) in spoil {
        let mut desc = good;
        spoil(&mut desc);
        let message = fails!(api, ARG, exposure_create(h, &desc, &mut exposure))?;
        ensure!(message.contains(field), "{field} is NULL, and the message is: {message}");
    }
    pass()
}

fn job(session: &Session) -> Verdict {
    let host = Host::new(session)?;
    let (api, h) = (host.api, host.raw());
    let exposure = host.exposure(&Shot::plain())?;
    let mut job = null_mut();
    fails!(api, ARG, job_estimate(h, null(), &mut sized()))?;
    fails!(api, ARG, job_submit(h, null(), &mut job))?;
    host.describe(&[exposure.get()], &Ask::new(SHORT), |desc| -> Result<(), Fault> {
        fails!(api, ARG, job_estimate(h, desc, null_mut()))?;
        fails!(api, ARG, job_submit(h, desc, null_mut()))?;
        for bad in [
            pellucid_job_desc { prior: null(), ..*desc },
            pellucid_job_desc { exposures: null(), ..*desc },
            pellucid_job_desc { exposures: [null_mut()].as_ptr(), ..*desc },
        ] {
            fails!(api, ARG, job_submit(h, &bad, &mut job))?;
        }
        Ok(())
    })??;
    let job = host.job(SHORT)?;
    fails!(api, ARG, job_poll(job.get(), null_mut()))?;
    ok!(api, job_wait(job.get(), -1))?;
    fails!(api, ARG, job_result(job.get(), null_mut()))?;
    pass()
}

fn result(session: &Session) -> Verdict {
    let host = Host::new(session)?;
    let (api, result) = (host.api, host.result()?);
    let r = result.get();
    fails!(api, ARG, result_samples(r, 0, 1, null_mut()))?;
    fails!(api, ARG, result_stat(r, c"mean".as_ptr(), null_mut()))?;
    fails!(api, ARG, result_stat(r, null(), &mut sized()))?;
    fails!(api, ARG, result_percentiles(r, null(), 1, &mut sized()))?;
    fails!(api, ARG, result_percentiles(r, &1.0, 1, null_mut()))?;
    fails!(api, ARG, result_residuals(r, 0, 0, null_mut()))?;
    fails!(api, ARG, result_diagnostics(r, null_mut()))?;
    fails!(api, ARG, result_header(r, null_mut(), &mut 0))?;
    fails!(api, ARG, result_header(r, &mut null(), null_mut()))?;
    pass()
}

fn predict(session: &Session) -> Verdict {
    let host = Host::new(session)?;
    let (api, h, table) = (host.api, host.raw(), session.predict()?);
    let exposure = host.exposure(&Shot::plain())?;
    let model = array(&[1.0_f32; SIDE * SIDE], &[SIDE, SIDE]);
    let one = exposure.get();
    let mut out: pellucid_array = sized();
    let mut refuse = |list, model: *const pellucid_array, null_out: bool| {
        let out: *mut pellucid_array = if null_out { null_mut() } else { &mut out };
        fail(api, ARG, "predict", |e| {
            slot!(table, predict(h, list, 1, 150.0, 2.0, 0.05, model, out, e))
        })
    };
    refuse(null(), &model, false)?;
    refuse(&one, null(), false)?;
    refuse(&one, &model, true)?;
    refuse([null_mut()].as_ptr(), &model, false)?;
    pass()
}

fn poison<T>() -> *mut T {
    null_mut::<T>().wrapping_byte_add(16)
}

fn outputs_null(session: &Session) -> Verdict {
    let host = Host::new(session)?;
    let (api, h) = (host.api, host.raw());
    let (mut wcs, mut psf, mut exposure) = (poison(), poison(), poison());
    let (mut job, mut result) = (poison(), poison());
    let (mut text, mut cards) = (poison::<i8>().cast_const(), poison::<i8>().cast_const());
    fails!(api, ARG, list_models(null_mut(), &mut text))?;
    fails!(api, ARG, wcs_from_fits_header(h, null(), 1, null(), 0, &mut wcs))?;
    ensure!(wcs.is_null(), "wcs_from_fits_header leaves its handle");
    wcs = poison();
    fails!(api, ARG, wcs_from_grid(h, null(), 0.0, 0.0, 1.0, &mut wcs))?;
    ensure!(wcs.is_null(), "wcs_from_grid leaves its handle");
    wcs = poison();
    fails!(api, ARG, wcs_from_callback(h, null(), &mut wcs))?;
    fails!(api, ARG, psf_from_array(h, null(), 1, 0, &mut psf))?;
    ensure!(psf.is_null(), "psf_from_array leaves its handle");
    psf = poison();
    fails!(api, ARG, psf_from_callback(h, null(), &mut psf))?;
    fails!(api, ARG, exposure_create(h, null(), &mut exposure))?;
    fails!(api, ARG, job_submit(h, null(), &mut job))?;
    fails!(api, ARG, job_result(null_mut(), &mut result))?;
    fails!(api, ARG, result_header(null_mut(), &mut cards, &mut 0))?;
    ensure!(wcs.is_null() && psf.is_null() && exposure.is_null(), "a create leaves its handle");
    ensure!(job.is_null() && result.is_null(), "job_submit or job_result leaves its handle");
    ensure!(text.is_null() && cards.is_null(), "a text output is left");
    text = poison();
    fails!(api, ARG, result_diagnostics(null_mut(), &mut text))?;
    ensure!(text.is_null(), "result_diagnostics leaves its text");
    pass()
}

fn outputs_untouched(session: &Session) -> Verdict {
    let host = Host::new(session)?;
    let (api, h) = (host.api, host.raw());
    let mut memory: pellucid_mem = sized();
    memory.host_now = 4242;
    fails!(api, ARG, engine_memory(null_mut(), &mut memory))?;
    fails!(api, ARG, job_estimate(h, null(), &mut memory))?;
    ensure!(memory.host_now == 4242, "pellucid_mem was written on failure");
    let mut progress: pellucid_progress = sized();
    progress.n_steps = 4242;
    fails!(api, ARG, job_poll(null_mut(), &mut progress))?;
    ensure!(progress.n_steps == 4242, "pellucid_progress was written on failure");
    let result = host.result()?;
    let mut out: pellucid_array = sized();
    out.ndim = 42;
    fails!(api, ARG, result_samples(result.get(), 99, 1, &mut out))?;
    fails!(api, ARG, result_stat(result.get(), c"mode".as_ptr(), &mut out))?;
    fails!(api, ARG, result_percentiles(result.get(), &101.0, 1, &mut out))?;
    fails!(api, ARG, result_residuals(result.get(), 0, 99, &mut out))?;
    ensure!(out.ndim == 42 && out.data.is_null(), "pellucid_array was written on failure");
    let mut len = 4242;
    fails!(api, ARG, result_header(null_mut(), &mut null(), &mut len))?;
    ensure!(len == 4242, "len was written on failure");
    pass()
}

fn misaligned(session: &Session) -> Verdict {
    let host = Host::new(session)?;
    let kernel = Kernel::point();
    let values = array(&kernel.values, &kernel.shape);
    let odd = (&raw const values).wrapping_byte_add(1);
    fails!(host.api, ARG, psf_from_array(host.raw(), odd, 1, 0, &mut null_mut()))?;
    pass()
}

fn job_ranges(session: &Session) -> Verdict {
    let host = Host::new(session)?;
    let (api, h) = (host.api, host.raw());
    let exposure = host.exposure(&Shot::plain())?;
    let spoil: [fn(&mut pellucid_job_desc); 11] = [
        |d| d.n_exposures = 0,
        |d| d.n_exposures = usize::MAX,
        |d| d.out_ny = 0,
        |d| d.out_nx = -1,
        |d| d.n_samples = 0,
        |d| d.n_samples = -3,
        |d| d.pixscale = 0.0,
        |d| d.pixscale = f64::INFINITY,
        |d| d.ra = f64::NAN,
        |d| d.dec = 91.0,
        |d| d.flags = 1,
    ];
    for spoil in spoil {
        host.describe(&[exposure.get()], &Ask { spoil: &spoil, ..Ask::new(SHORT) }, |desc| {
            fails!(api, ARG, job_estimate(h, desc, &mut sized()))?;
            fails!(api, ARG, job_submit(h, desc, &mut null_mut()))
        })??;
    }
    pass()
}
