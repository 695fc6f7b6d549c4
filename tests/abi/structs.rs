//! Structs of other versions.

use std::mem::offset_of;
use std::ptr::null_mut;

use pellucid_ffi::*;
use pellucid_tests::{Host, JobDesc, SIDE, array, exposure_desc, fails, ok, sized, slot};

/// A struct followed by fields of a newer version.
#[repr(C)]
#[derive(Clone, Copy)]
struct Newer<T> {
    known: T,
    unknown: u64,
}

fn newer<T: Copy>(known: T, unknown: u64) -> Newer<T> {
    let mut newer = Newer { known, unknown };
    // SAFETY: each struct of the ABI starts with its size.
    unsafe { (&raw mut newer).cast::<u32>().write(size_of::<Newer<T>>() as u32) };
    newer
}

#[test]
fn an_older_description_gets_defaults() {
    let host = Host::new("{}");
    let ones = [1.0_f32; SIDE * SIDE];
    let sci = array(&ones, &[SIDE, SIDE]);
    let mut desc = exposure_desc(&sci, host.wcs(), host.psf());
    // Beyond the older struct: garbage that must not be read.
    desc.flux_convention = 77;
    desc.noise_correlation = null_mut::<pellucid_array>().wrapping_byte_add(1);
    desc.struct_size = offset_of!(pellucid_exposure_desc, flux_convention) as u32;
    let mut exposure = null_mut();
    ok(host.api, |e| slot!(host.api, exposure_create(host.engine, &desc, &mut exposure, e)));
    let mut job = JobDesc::new(&[exposure], "{}");
    job.desc.struct_size = offset_of!(pellucid_job_desc, user) as u32;
    let mut handle = null_mut();
    ok(host.api, |e| slot!(host.api, job_submit(host.engine, &job.desc, &mut handle, e)));
    ok(host.api, |e| slot!(host.api, job_wait(handle, -1, e)));
    desc.struct_size -= 1;
    let message = fails(host.api, PELLUCID_E_ABI, |e| {
        slot!(host.api, exposure_create(host.engine, &desc, &mut exposure, e))
    });
    assert!(message.contains("struct_size"), "{message}");
    job.desc.struct_size -= 8;
    fails(host.api, PELLUCID_E_ABI, |e| {
        slot!(host.api, job_submit(host.engine, &job.desc, &mut handle, e))
    });
}

#[test]
fn a_newer_description_may_only_use_known_fields() {
    let host = Host::new("{}");
    let ones = [1.0_f32; SIDE * SIDE];
    let sci = newer(array(&ones, &[SIDE, SIDE]), 0);
    let desc = exposure_desc((&raw const sci).cast(), host.wcs(), host.psf());
    let mut exposure = null_mut();
    let mut create = |desc: &Newer<pellucid_exposure_desc>, e| {
        slot!(host.api, exposure_create(host.engine, (&raw const *desc).cast(), &mut exposure, e))
    };
    ok(host.api, |e| create(&newer(desc, 0), e));
    let message = fails(host.api, PELLUCID_E_ABI, |e| create(&newer(desc, 1), e));
    assert!(message.contains("too old"), "{message}");
}

#[test]
fn outputs_are_written_as_far_as_the_caller_knows() {
    let host = Host::new("{}");
    let mut memory = newer(sized::<pellucid_mem>(), 42);
    ok(host.api, |e| slot!(host.api, engine_memory(host.engine, (&raw mut memory).cast(), e)));
    assert_eq!((memory.known.host_now, memory.unknown), (1, 42));
    assert_eq!(memory.known.struct_size as usize, size_of_val(&memory));
    let job = host.submit("{}");
    for size in [0, 8, size_of::<pellucid_progress>() as u32 - 1, u32::MAX] {
        let mut progress: pellucid_progress = sized();
        progress.struct_size = size;
        fails(host.api, PELLUCID_E_ABI, |e| slot!(host.api, job_poll(job, &mut progress, e)));
        assert_eq!(progress.n_steps, 0, "nothing written on failure");
    }
}

#[test]
fn arrays_of_structs_have_the_stride_of_their_first() {
    let host = Host::new("{}");
    let mut list = [newer(sized::<pellucid_device>(), 42); 2];
    let mut n = 2;
    ok(host.api, |e| slot!(host.api, devices((&raw mut list).cast(), &mut n, e)));
    assert_eq!((n, list[0].known.kind, list[0].unknown), (1, PELLUCID_DEVICE_CPU, 42));
}

#[test]
fn reserved_fields_and_unknown_flags_are_refused() {
    let host = Host::new("{}");
    let ones = [1.0_f32; SIDE * SIDE];
    let sci = array(&ones, &[SIDE, SIDE]);
    let good = exposure_desc(&sci, host.wcs(), host.psf());
    let spoil: [fn(&mut pellucid_exposure_desc); 5] = [
        |d| d.flags = 1,
        |d| d.reserved = 1,
        |d| d.reserved2 = 1,
        |d| d.flux_convention = 2,
        |d| d.err_kind = 0,
    ];
    for spoil in spoil {
        let mut desc = good;
        spoil(&mut desc);
        fails(host.api, PELLUCID_E_ARG, |e| {
            slot!(host.api, exposure_create(host.engine, &desc, &mut null_mut(), e))
        });
    }
    let mut functions: pellucid_host = sized();
    functions.flags = 2;
    fails(host.api, PELLUCID_E_ARG, |e| {
        slot!(host.api, engine_create(c"{}".as_ptr(), &functions, &mut null_mut(), e))
    });
    let psf = array(&pellucid_tests::PSF, &[3, 3]);
    fails(host.api, PELLUCID_E_ARG, |e| {
        slot!(host.api, psf_from_array(host.engine, &psf, 1, 2, &mut null_mut(), e))
    });
}
