//! Arrays on their way in.

use std::ffi::c_void;
use std::ptr::null_mut;
use std::sync::atomic::{AtomicUsize, Ordering};

use pellucid_ffi::*;
use pellucid_tests::{Host, PSF, array, fails, ok, slot};

unsafe extern "C" fn count(array: *mut pellucid_array) {
    // SAFETY: the owner is the counter below.
    unsafe { &*(*array).owner.cast::<AtomicUsize>() }.fetch_add(1, Ordering::SeqCst);
}

#[test]
fn a_moved_array_is_released_once_on_success_and_never_on_failure() {
    let host = Host::new("{}");
    let released = AtomicUsize::new(0);
    let mut kernel = array(&PSF, &[3, 3]);
    kernel.release = Some(count);
    kernel.owner = (&raw const released).cast_mut().cast::<c_void>();
    let mut psf = null_mut();
    fails(host.api, PELLUCID_E_ARG, |e| {
        slot!(host.api, psf_from_array(host.engine, &kernel, 0, 0, &mut psf, e))
    });
    assert_eq!(released.load(Ordering::SeqCst), 0);
    ok(host.api, |e| slot!(host.api, psf_from_array(host.engine, &kernel, 1, 0, &mut psf, e)));
    assert_eq!(released.load(Ordering::SeqCst), 1);
    slot!(host.api, psf_release(psf));
    assert_eq!(released.load(Ordering::SeqCst), 1);
}

#[test]
fn every_nonsense_array_is_an_error() {
    let host = Host::new("{}");
    let refuse = |code, spoil: fn(&mut pellucid_array)| {
        let mut kernel = array(&PSF, &[3, 3]);
        spoil(&mut kernel);
        fails(host.api, code, |e| {
            slot!(host.api, psf_from_array(host.engine, &kernel, 1, 0, &mut null_mut(), e))
        })
    };
    refuse(PELLUCID_E_ABI, |a| a.struct_size = 0);
    refuse(PELLUCID_E_ABI, |a| a.struct_size -= 8);
    refuse(PELLUCID_E_ARG, |a| a.flags = 2);
    refuse(PELLUCID_E_ARG, |a| a.data = null_mut());
    refuse(PELLUCID_E_ARG, |a| a.dtype = 0);
    refuse(PELLUCID_E_ARG, |a| a.dtype = PELLUCID_U8);
    refuse(PELLUCID_E_ARG, |a| a.ndim = 0);
    refuse(PELLUCID_E_ARG, |a| a.ndim = 7);
    refuse(PELLUCID_E_ARG, |a| a.ndim = -1);
    refuse(PELLUCID_E_ARG, |a| a.ndim = 1);
    refuse(PELLUCID_E_ARG, |a| a.shape[0] = 0);
    refuse(PELLUCID_E_ARG, |a| a.shape[1] = i64::MAX);
    refuse(PELLUCID_E_ARG, |a| a.stride[0] = i64::MIN);
    let shape = refuse(PELLUCID_E_ARG, |a| (a.shape[2], a.ndim) = (1, 3));
    assert!(shape.contains("[3, 3, 1]") && shape.contains("2 dimensions"), "{shape}");
}

#[test]
fn a_misaligned_struct_is_an_error() {
    let host = Host::new("{}");
    let kernel = array(&PSF, &[3, 3]);
    let odd = (&raw const kernel).wrapping_byte_add(1);
    let message = fails(host.api, PELLUCID_E_ARG, |e| {
        slot!(host.api, psf_from_array(host.engine, odd, 1, 0, &mut null_mut(), e))
    });
    assert!(message.contains("aligned"), "{message}");
}
