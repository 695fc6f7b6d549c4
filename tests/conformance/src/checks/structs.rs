//! Structs of other versions, reserved fields, flags.

use std::mem::offset_of;
use std::ptr::null_mut;

use pellucid_ffi::*;

use crate::arrays::{array, sized};
use crate::check::{Check, Fault, Verdict, ensure, pass};
use crate::host::{Ask, Host, SHORT, Shot, describe};
use crate::session::Session;

pub(crate) const CHECKS: &[Check] = &[
    Check::new(
        "structs.too-small",
        "a struct_size below the first version's, or absurd, is E_ABI",
        too_small,
    ),
    Check::new(
        "structs.older",
        "an older caller's shorter description gets defaults, and no byte beyond it is read",
        older,
    ),
    Check::new(
        "structs.newer-zero",
        "a newer caller's longer struct is fine while its new fields are zero",
        newer_zero,
    ),
    Check::new(
        "structs.newer-set",
        "a field the library is too old for is E_ABI unless it is zero",
        newer_set,
    ),
    Check::new(
        "structs.output-size",
        "an output is written no further than its struct_size, which stays",
        output_size,
    ),
    Check::new("structs.reserved", "reserved fields must be 0", reserved),
    Check::new("structs.flags", "bits that are not listed are E_ARG", flags),
    Check::new("structs.enumerations", "values that are not listed are refused", enumerations),
];

/// A struct followed by fields of a newer version.
#[repr(C)]
#[derive(Clone, Copy)]
struct Newer<T> {
    known: T,
    unknown: [u64; 2],
}

fn newer<T: Copy>(known: T, unknown: u64) -> Newer<T> {
    let mut newer = Newer { known, unknown: [0, unknown] };
    // SAFETY: each struct of the ABI starts with its size.
    unsafe { (&raw mut newer).cast::<u32>().write(size_of::<Newer<T>>() as u32) };
    newer
}

fn too_small(session: &Session) -> Verdict {
    let host = Host::new(session)?;
    let (api, h) = (host.api, host.raw());
    let abi = PELLUCID_E_ABI;
    let ones = [1.0_f64; 4];
    let exposure = host.exposure(&Shot::plain())?;
    for wrong in [0, 4, 8, 1 << 30, u32::MAX] {
        let mut kernel = array(&ones, &[2, 2]);
        kernel.struct_size = wrong;
        fails!(api, abi, psf_from_array(h, &kernel, 1, 0, &mut null_mut()))?;
        let mut memory: pellucid_mem = sized();
        memory.struct_size = wrong;
        fails!(api, abi, engine_memory(h, &mut memory))?;
        let mut desc: pellucid_exposure_desc = sized();
        desc.struct_size = wrong;
        fails!(api, abi, exposure_create(h, &desc, &mut null_mut()))?;
        let mut functions: pellucid_host = sized();
        functions.struct_size = wrong;
        fails!(api, abi, engine_create(c"{}".as_ptr(), &functions, &mut null_mut()))?;
        let ask = Ask { spoil: &|d| d.struct_size = wrong, ..Ask::new(SHORT) };
        host.describe(&[exposure.get()], &ask, |desc| {
            fails!(api, abi, job_submit(h, desc, &mut null_mut()))
        })??;
        let mut wcs: pellucid_wcs_callback = sized();
        wcs.struct_size = wrong;
        fails!(api, abi, wcs_from_callback(h, &wcs, &mut null_mut()))?;
        let mut psf: pellucid_psf_callback = sized();
        psf.struct_size = wrong;
        fails!(api, abi, psf_from_callback(h, &psf, &mut null_mut()))?;
    }
    pass()
}

fn older(session: &Session) -> Verdict {
    let host = Host::new(session)?;
    let exposure = host.exposure_with(&Shot::plain(), |desc| {
        // Beyond the older struct: garbage.
        desc.flux_convention = 77;
        desc.noise_correlation = null_mut::<pellucid_array>().wrapping_byte_add(1);
        desc.struct_size = offset_of!(pellucid_exposure_desc, flux_convention) as u32;
    })?;
    let ask = Ask {
        spoil: &|d| {
            d.user = null_mut::<u8>().wrapping_byte_add(1).cast();
            d.struct_size = offset_of!(pellucid_job_desc, user) as u32;
        },
        ..Ask::new(SHORT)
    };
    host.draw(&[exposure.get()], &ask)?;
    pass()
}

fn exposed<T>(
    host: &Host<'_>,
    body: impl FnOnce(pellucid_exposure_desc) -> Result<T, Fault>,
) -> Result<T, Fault> {
    let shot = Shot::plain();
    let (wcs, psf) = (host.grid(&shot.wcs)?, host.psf(&shot.psf)?);
    let (sci, err) = (array(&shot.sci, &shot.shape), array(&shot.sigma, &shot.shape));
    body(describe(&sci, &err, wcs.get(), psf.get()))
}

fn newer_zero(session: &Session) -> Verdict {
    let host = Host::new(session)?;
    exposed(&host, |desc| {
        let desc = newer(desc, 0);
        let exposure = host.expose(&desc.known)?;
        let ask = Ask::new(SHORT);
        host.describe(&[exposure.get()], &ask, |desc| {
            let desc = newer(*desc, 0);
            let mut job = null_mut();
            ok!(host.api, job_submit(host.raw(), (&raw const desc).cast(), &mut job))?;
            slot!(host.api, job_release(job))
        })?
    })?;
    let functions = newer(sized::<pellucid_host>(), 0);
    Host::with(session, "{}", (&raw const functions).cast())?;
    pass()
}

fn newer_set(session: &Session) -> Verdict {
    let host = Host::new(session)?;
    let (api, h) = (host.api, host.raw());
    exposed(&host, |desc| {
        let desc = newer(desc, 1);
        let desc = (&raw const desc).cast();
        fails!(api, PELLUCID_E_ABI, exposure_create(h, desc, &mut null_mut()))
    })?;
    let functions = newer(sized::<pellucid_host>(), 1);
    let functions = (&raw const functions).cast();
    fails!(api, PELLUCID_E_ABI, engine_create(c"{}".as_ptr(), functions, &mut null_mut()))?;
    let ones = [1.0_f64; 4];
    let kernel = newer(array(&ones, &[2, 2]), 1);
    let kernel = (&raw const kernel).cast();
    fails!(api, PELLUCID_E_ABI, psf_from_array(h, kernel, 1, 0, &mut null_mut()))?;
    pass()
}

fn output_size(session: &Session) -> Verdict {
    let host = Host::new(session)?;
    let api = host.api;
    let mut memory = newer(sized::<pellucid_mem>(), 42);
    ok!(api, engine_memory(host.raw(), (&raw mut memory).cast()))?;
    ensure!(memory.unknown == [0, 42], "engine_memory writes beyond what it knows");
    let size = memory.known.struct_size as usize;
    ensure!(size == size_of_val(&memory), "engine_memory changes struct_size to {size}");
    let job = host.job(SHORT)?;
    let mut progress = newer(sized::<pellucid_progress>(), 42);
    ok!(api, job_poll(job.get(), (&raw mut progress).cast()))?;
    ensure!(progress.unknown == [0, 42], "job_poll writes beyond what it knows");
    let result = host.finish(&job)?;
    let mut out = newer(sized::<pellucid_array>(), 42);
    ok!(api, result_samples(result.get(), 0, 1, (&raw mut out).cast()))?;
    ensure!(out.unknown == [0, 42], "result_samples writes beyond what it knows");
    ensure!(out.known.struct_size as usize == size_of_val(&out), "struct_size was changed");
    crate::arrays::release(&mut out.known)?;
    pass()
}

fn reserved(session: &Session) -> Verdict {
    let host = Host::new(session)?;
    let (api, h) = (host.api, host.raw());
    let arg = PELLUCID_E_ARG;
    exposed(&host, |good| {
        for bad in [
            pellucid_exposure_desc { reserved: 1, ..good },
            pellucid_exposure_desc { reserved2: 1, ..good },
        ] {
            fails!(api, arg, exposure_create(h, &bad, &mut null_mut()))?;
        }
        Ok(())
    })?;
    let mut wcs: pellucid_wcs_callback = sized();
    wcs.reserved = 1;
    fails!(api, arg, wcs_from_callback(h, &wcs, &mut null_mut()))?;
    let mut psf: pellucid_psf_callback = sized();
    psf.reserved = 1;
    fails!(api, arg, psf_from_callback(h, &psf, &mut null_mut()))?;
    pass()
}

fn flags(session: &Session) -> Verdict {
    let host = Host::new(session)?;
    let (api, h) = (host.api, host.raw());
    let arg = PELLUCID_E_ARG;
    exposed(&host, |good| {
        let bad = pellucid_exposure_desc { flags: 1, ..good };
        fails!(api, arg, exposure_create(h, &bad, &mut null_mut()))
    })?;
    let ones = [1.0_f64; 4];
    let kernel = array(&ones, &[2, 2]);
    fails!(api, arg, psf_from_array(h, &kernel, 1, 2, &mut null_mut()))?;
    let bad = pellucid_array { flags: 2, ..kernel };
    fails!(api, arg, psf_from_array(h, &bad, 1, 0, &mut null_mut()))?;
    let mut wcs: pellucid_wcs_callback = sized();
    wcs.flags = 2;
    fails!(api, arg, wcs_from_callback(h, &wcs, &mut null_mut()))?;
    let mut psf: pellucid_psf_callback = sized();
    psf.flags = 2;
    fails!(api, arg, psf_from_callback(h, &psf, &mut null_mut()))?;
    pass()
}

fn enumerations(session: &Session) -> Verdict {
    let host = Host::new(session)?;
    let (api, h) = (host.api, host.raw());
    exposed(&host, |good| {
        for (code, bad) in [
            (PELLUCID_E_ARG, pellucid_exposure_desc { err_kind: 0, ..good }),
            (PELLUCID_E_ARG, pellucid_exposure_desc { err_kind: 4, ..good }),
            (PELLUCID_E_ARG, pellucid_exposure_desc { flux_convention: 2, ..good }),
            (PELLUCID_E_ARG, pellucid_exposure_desc { flux_convention: -1, ..good }),
            (PELLUCID_E_UNSUPPORTED, pellucid_exposure_desc { band: 1, ..good }),
        ] {
            fails!(api, code, exposure_create(h, &bad, &mut null_mut()))?;
        }
        Ok(())
    })?;
    pass()
}
