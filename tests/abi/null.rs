//! NULL for every pointer argument that is not a handle (those: `misuse`).

use std::ptr::{null, null_mut};

use pellucid_ffi::*;
use pellucid_tests::{Host, JobDesc, PSF, SIDE, array, exposure_desc, fails, ok, sized, slot};

type Spoil = fn(&mut pellucid_exposure_desc);

#[test]
fn every_required_pointer_is_named_when_null() {
    let host = Host::new("{}");
    let (api, engine) = (host.api, host.engine);
    let refused =
        |name: &str, call: &mut dyn FnMut(*mut *mut pellucid_error) -> pellucid_status| {
            let message = fails(api, PELLUCID_E_ARG, call);
            assert!(message.contains(name) && message.contains("NULL"), "{name}: {message}");
        };
    let mut room = 1;
    refused("n", &mut |e| slot!(api, devices(null_mut(), null_mut(), e)));
    refused("out", &mut |e| slot!(api, devices(null_mut(), &mut room, e)));
    refused("engine", &mut |e| slot!(api, engine_create(null(), null(), null_mut(), e)));
    refused("json", &mut |e| slot!(api, list_models(engine, null_mut(), e)));
    refused("memory", &mut |e| slot!(api, engine_memory(engine, null_mut(), e)));

    let (mut wcs, mut psf) = (null_mut(), null_mut());
    refused("cards", &mut |e| {
        slot!(api, wcs_from_fits_header(engine, null(), 80, null(), 0, &mut wcs, e))
    });
    refused("tables", &mut |e| {
        slot!(api, wcs_from_fits_header(engine, c"X".as_ptr(), 1, null(), 1, &mut wcs, e))
    });
    refused("wcs", &mut |e| {
        slot!(api, wcs_from_fits_header(engine, c"X".as_ptr(), 1, null(), 0, null_mut(), e))
    });
    let mut table: pellucid_lookup_table = sized();
    (table.kind, table.axis) = (PELLUCID_NPOL, 1);
    refused("values", &mut |e| {
        slot!(api, wcs_from_fits_header(engine, c"X".as_ptr(), 1, &table, 1, &mut wcs, e))
    });
    refused("radec", &mut |e| {
        slot!(api, wcs_from_grid(engine, null(), 0.0, 0.0, 1.0, &mut wcs, e))
    });
    let grid = array(&[0.0_f64; 8], &[2, 2, 2]);
    refused("wcs", &mut |e| slot!(api, wcs_from_grid(engine, &grid, 0.0, 0.0, 1.0, null_mut(), e)));
    refused("callback", &mut |e| slot!(api, wcs_from_callback(engine, null(), &mut wcs, e)));
    refused("pix2sky", &mut |e| slot!(api, wcs_from_callback(engine, &sized(), &mut wcs, e)));
    refused("wcs", &mut |e| slot!(api, wcs_from_callback(engine, &sized(), null_mut(), e)));
    refused("kernel", &mut |e| slot!(api, psf_from_array(engine, null(), 1, 0, &mut psf, e)));
    let kernel = array(&PSF, &[3, 3]);
    refused("psf", &mut |e| slot!(api, psf_from_array(engine, &kernel, 1, 0, null_mut(), e)));
    let kernels = array(&PSF, &[1, 1, 3, 3]);
    let grid =
        |kernels, x, y, out, e| slot!(api, psf_from_grid(engine, kernels, x, y, 1, 0, out, e));
    refused("kernels", &mut |e| grid(null(), &0.0, &0.0, &mut psf, e));
    refused("x", &mut |e| grid(&kernels, null(), &0.0, &mut psf, e));
    refused("y", &mut |e| grid(&kernels, &0.0, null(), &mut psf, e));
    refused("psf", &mut |e| grid(&kernels, &0.0, &0.0, null_mut(), e));
    refused("callback", &mut |e| slot!(api, psf_from_callback(engine, null(), &mut psf, e)));
    refused("eval", &mut |e| slot!(api, psf_from_callback(engine, &sized(), &mut psf, e)));
    refused("psf", &mut |e| slot!(api, psf_from_callback(engine, &sized(), null_mut(), e)));

    let ones = [1.0_f32; SIDE * SIDE];
    let sci = array(&ones, &[SIDE, SIDE]);
    let (wcs, psf) = (host.wcs(), host.psf());
    let good = exposure_desc(&sci, wcs, psf);
    let mut exposure = null_mut();
    refused("desc", &mut |e| slot!(api, exposure_create(engine, null(), &mut exposure, e)));
    refused("exposure", &mut |e| slot!(api, exposure_create(engine, &good, null_mut(), e)));
    let spoil: [(&str, Spoil); 5] = [
        ("id", |d| d.id = null()),
        ("sci", |d| d.sci = null()),
        ("err", |d| d.err = null()),
        ("wcs", |d| d.wcs = null_mut()),
        ("psf", |d| d.psf = null_mut()),
    ];
    for (name, spoil) in spoil {
        let mut desc = good;
        spoil(&mut desc);
        refused(name, &mut |e| slot!(api, exposure_create(engine, &desc, &mut exposure, e)));
    }
    ok(api, |e| slot!(api, exposure_create(engine, &good, &mut exposure, e)));

    let mut job = JobDesc::new(&[exposure], "{}");
    let mut handle = null_mut();
    refused("desc", &mut |e| slot!(api, job_estimate(engine, null(), &mut sized(), e)));
    refused("need", &mut |e| slot!(api, job_estimate(engine, &job.desc, null_mut(), e)));
    refused("desc", &mut |e| slot!(api, job_submit(engine, null(), &mut handle, e)));
    refused("job", &mut |e| slot!(api, job_submit(engine, &job.desc, null_mut(), e)));
    job.desc.prior = null();
    refused("prior", &mut |e| slot!(api, job_submit(engine, &job.desc, &mut handle, e)));
    job.desc.prior = c"stub".as_ptr();
    job.desc.exposures = null();
    refused("exposures", &mut |e| slot!(api, job_submit(engine, &job.desc, &mut handle, e)));
    let none = JobDesc::new(&[null_mut()], "{}");
    refused("exposure", &mut |e| slot!(api, job_submit(engine, &none.desc, &mut handle, e)));

    let job = host.submit("{}");
    refused("progress", &mut |e| slot!(api, job_poll(job, null_mut(), e)));
    refused("result", &mut |e| slot!(api, job_result(job, null_mut(), e)));
    let result = host.result("{}");
    refused("out", &mut |e| slot!(api, result_samples(result, 0, 1, null_mut(), e)));
    refused("out", &mut |e| slot!(api, result_stat(result, c"mean".as_ptr(), null_mut(), e)));
    refused("stat", &mut |e| slot!(api, result_stat(result, null(), &mut sized(), e)));
    refused("q", &mut |e| slot!(api, result_percentiles(result, null(), 1, &mut sized(), e)));
    refused("out", &mut |e| slot!(api, result_percentiles(result, &1.0, 1, null_mut(), e)));
    refused("out", &mut |e| slot!(api, result_residuals(result, 0, 0, null_mut(), e)));
    refused("json", &mut |e| slot!(api, result_diagnostics(result, null_mut(), e)));
    refused("cards", &mut |e| slot!(api, result_header(result, null_mut(), &mut 0, e)));
    refused("len", &mut |e| slot!(api, result_header(result, &mut null(), null_mut(), e)));

    let ext = pellucid::predict_extension::<pellucid::stub::StubEngine>();
    let mut out: pellucid_array = sized();
    refused("exposures", &mut |e| {
        slot!(ext, predict(engine, null(), 1, 0.0, 0.0, 1.0, &sci, &mut out, e))
    });
    refused("model", &mut |e| {
        slot!(ext, predict(engine, &exposure, 1, 0.0, 0.0, 1.0, null(), &mut out, e))
    });
    refused("out", &mut |e| {
        slot!(ext, predict(engine, &exposure, 1, 0.0, 0.0, 1.0, &sci, null_mut(), e))
    });
    assert!(slot!(api, get_extension(null())).is_null());
}

#[test]
fn optional_pointers_may_be_null() {
    let api = pellucid_tests::stub_api();
    let mut engine = null_mut();
    ok(api, |e| slot!(api, engine_create(null(), null(), &mut engine, e)));
    let host = Host { api, engine };
    let exposure = host.exposure();
    let mut job = JobDesc::new(&[exposure], "{}");
    (job.desc.options_json, job.desc.likelihood) = (null(), null());
    let mut handle = null_mut();
    ok(api, |e| slot!(api, job_submit(engine, &job.desc, &mut handle, e)));
    ok(api, |e| slot!(api, job_wait(handle, -1, e)));
}
