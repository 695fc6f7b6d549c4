//! The list of devices.

use std::ptr::null_mut;

use pellucid_ffi::*;

use crate::arrays::sized;
use crate::check::{Check, Verdict, ensure};
use crate::session::{Session, text};

pub(crate) const CHECKS: &[Check] = &[
    Check::new(
        "devices.count",
        "with *n = 0 out may be NULL and *n receives the number of devices",
        count,
    ),
    Check::new(
        "devices.list",
        "as many devices as fit are written, the CPU among them, with names",
        list,
    ),
    Check::new(
        "devices.stride",
        "elements lie struct_size bytes apart; bytes a newer caller appends stay as they are",
        stride,
    ),
];

fn counted(api: &pellucid_api) -> Result<usize, crate::check::Fault> {
    let mut n = 0;
    ok!(api, devices(null_mut(), &mut n))?;
    ensure!(n >= 1, "there is no device, not even a CPU");
    Ok(n)
}

fn count(session: &Session) -> Verdict {
    Ok(format!("{} devices", counted(session.api()?)?).into())
}

fn list(session: &Session) -> Verdict {
    let api = session.api()?;
    let all = counted(api)?;
    let mut list = vec![sized::<pellucid_device>(); all + 1];
    let mut n = all + 1;
    ok!(api, devices(list.as_mut_ptr(), &mut n))?;
    ensure!(n == all, "{all} devices, then {n}");
    ensure!(list[all].kind == 0, "an element beyond the last device was written");
    for device in &list[..all] {
        let known = [PELLUCID_DEVICE_CPU, PELLUCID_DEVICE_CUDA].contains(&device.kind);
        ensure!(known, "a device is of kind {}", device.kind);
        ensure!(device.name[63] == 0, "a name has no NUL");
        ensure!(!text(device.name.as_ptr())?.is_empty(), "a device has no name");
    }
    let cpu = list[..all].iter().find(|device| device.kind == PELLUCID_DEVICE_CPU);
    ensure!(cpu.is_some_and(|cpu| cpu.index == -1), "there is no CPU of index -1");
    Ok(text(list[0].name.as_ptr())?.into())
}

#[repr(C)]
#[derive(Clone, Copy)]
struct Newer {
    known: pellucid_device,
    unknown: [u64; 2],
}

fn stride(session: &Session) -> Verdict {
    let api = session.api()?;
    let all = counted(api)?;
    let mut list = vec![Newer { known: sized(), unknown: [42; 2] }; all];
    list.iter_mut().for_each(|device| device.known.struct_size = size_of::<Newer>() as u32);
    let mut n = all;
    ok!(api, devices(list.as_mut_ptr().cast(), &mut n))?;
    for device in &list {
        ensure!(device.known.kind != 0, "an element was not written");
        ensure!(device.unknown == [42; 2], "bytes beyond the known fields were written");
        ensure!(device.known.struct_size as usize == size_of::<Newer>(), "struct_size was written");
    }
    let mut small = sized::<pellucid_device>();
    small.struct_size = 8;
    fails!(api, PELLUCID_E_ABI, devices(&mut small, &mut 1))?;
    Ok("".into())
}
