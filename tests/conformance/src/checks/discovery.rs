//! The library as a file, the entry symbol and the table.

use std::collections::BTreeSet;
use std::ffi::CString;
use std::mem::size_of;
use std::ptr::{self, null, null_mut};
use std::time::Instant;

use object::elf::{DF_1_NODELETE, DT_FLAGS_1, DT_SONAME};
use object::read::elf::{Dyn, ElfFile64, FileHeader, SectionHeader};
use object::{Endianness, Object, ObjectSymbol};
use pellucid_ffi::*;

use crate::check::{Check, Fault, Pass, Verdict, ensure, pass};
use crate::process;
use crate::session::{self, Session, text};

/// The one symbol of the C ABI.
const ENTRY: &str = "pellucid_get_api";
/// May stand beside it: abi_stable's root module, for Rust hosts.
const ROOT_MODULE: &str = "_1as_0lib_1header_0root_bmodule_bloader";

pub(crate) const CHECKS: &[Check] = &[
    Check::new(
        "discovery.symbols",
        "the library exports pellucid_get_api and nothing else (but abi_stable's root module, if it has one)",
        symbols,
    ),
    Check::new(
        "discovery.soname",
        "the soname is libpellucid.so.PELLUCID_ABI, and the library is never unmapped (NODELETE)",
        soname,
    ),
    Check::new("discovery.load", "dlopen(RTLD_NOW | RTLD_LOCAL) and dlsym find the table", load)
        .fresh(),
    Check::new(
        "discovery.starts-nothing",
        "no thread starts before engine_create, whatever else is called",
        starts_nothing,
    )
    .fresh(),
    Check::new(
        "discovery.range",
        "range receives the lowest and the highest level, and may be NULL",
        range,
    ),
    Check::new(
        "discovery.level-too-high",
        "a level above the library's is refused with NULL",
        level_too_high,
    ),
    Check::new(
        "discovery.level-too-low",
        "a level below the library's is refused with NULL",
        level_too_low,
    ),
    Check::new(
        "discovery.table-is-static",
        "every call on every thread gives the same table",
        table_is_static,
    ),
    Check::new(
        "discovery.table-size",
        "struct_size covers the slots of this minor version, abi is the level asked for",
        table_size,
    ),
    Check::new("discovery.slots", "every slot within struct_size is there", slots),
    Check::new(
        "discovery.version-string",
        "version_string is \"pellucid X.Y.Z (engine: ...)\", static",
        version_string,
    ),
    Check::new(
        "discovery.status-names",
        "status_name knows every code of the header and says PELLUCID_E_? for others",
        status_names,
    ),
    Check::new(
        "discovery.extensions",
        "get_extension is NULL for an unknown name and for NULL",
        extensions,
    ),
];

fn elf<T>(
    session: &Session,
    read: impl FnOnce(&ElfFile64<'_, Endianness>, &[u8]) -> Result<T, object::Error>,
) -> Result<T, Fault> {
    let bytes = std::fs::read(&session.path)?;
    let file = ElfFile64::parse(&*bytes).and_then(|file| read(&file, &bytes));
    file.map_err(|error| Fault::Broken(format!("not a 64-bit ELF library: {error}")))
}

fn symbols(session: &Session) -> Verdict {
    let exported = elf(session, |file, _| {
        let defined = file.dynamic_symbols().filter(|s| s.is_definition() && s.is_global());
        defined.map(|s| Ok(s.name()?.to_owned())).collect::<Result<BTreeSet<_>, object::Error>>()
    })?;
    ensure!(exported.contains(ENTRY), "it does not export {ENTRY}");
    let mut others = exported.iter().filter(|name| *name != ENTRY && *name != ROOT_MODULE);
    ensure!(others.next().is_none(), "it exports {exported:?}");
    Ok(format!("{exported:?}").into())
}

fn soname(session: &Session) -> Verdict {
    let (name, flags) = elf(session, |file, bytes| {
        let endian = file.endian();
        let header = file.elf_header();
        let sections = header.sections(endian, bytes)?;
        let (mut soname, mut flags) = (None, 0);
        for section in sections.iter() {
            let Some((entries, link)) = section.dynamic(endian, bytes)? else { continue };
            let strings = sections.strings(endian, bytes, link)?;
            for entry in entries {
                match entry.d_tag(endian) as u32 {
                    DT_SONAME => soname = entry.string(endian, strings).ok(),
                    DT_FLAGS_1 => flags = entry.d_val(endian) as u32,
                    _ => {}
                }
            }
        }
        Ok((soname.map(|name| String::from_utf8_lossy(name).into_owned()), flags))
    })?;
    let need = format!("libpellucid.so.{PELLUCID_ABI}");
    ensure!(name.as_deref() == Some(&*need), "the soname is {name:?}, need {need}");
    ensure!(flags & DF_1_NODELETE != 0, "the library is not marked NODELETE");
    Ok(need.into())
}

fn load(session: &Session) -> Verdict {
    let before = process::resident();
    let start = Instant::now();
    let get_api = session::open(&session.path)?;
    let opened = start.elapsed();
    let start = Instant::now();
    // SAFETY: the range may be NULL.
    let table = unsafe { get_api(PELLUCID_ABI, null_mut()) };
    let got = start.elapsed();
    ensure!(!table.is_null(), "pellucid_get_api({PELLUCID_ABI}) is NULL");
    let grown = process::resident().saturating_sub(before) as f64 / 1e6;
    let ms = opened.as_secs_f64() * 1e3;
    Ok(Pass::from(format!("dlopen {ms:.1} ms, {grown:.1} MB resident"))
        .with("dlopen", ms, "ms")
        .with("pellucid_get_api", got.as_secs_f64() * 1e3, "ms")
        .with("resident memory before", before as f64 / 1e6, "MB")
        .with("resident memory after", before as f64 / 1e6 + grown, "MB"))
}

fn starts_nothing(session: &Session) -> Verdict {
    let before = process::threads();
    let api = session.api()?;
    for abi in [PELLUCID_ABI, PELLUCID_ABI + 1] {
        // SAFETY: the range may be NULL.
        unsafe { (session.library()?.get_api)(abi, null_mut()) };
    }
    slot!(api, version_string())?;
    slot!(api, status_name(PELLUCID_E_ARG))?;
    slot!(api, get_extension(c"org.pellucid.predict/1".as_ptr()))?;
    let mut n = 0;
    ok!(api, devices(null_mut(), &mut n))?;
    fails!(api, PELLUCID_E_ARG, list_models(null_mut(), &mut null()))?;
    slot!(api, engine_release(null_mut()))?;
    let config = c"{\"no such key\": 1}";
    fails!(api, PELLUCID_E_CONFIG, engine_create(config.as_ptr(), null(), &mut null_mut()))?;
    // Time for a thread that starts late.
    std::thread::sleep(std::time::Duration::from_millis(20));
    let after = process::threads();
    ensure!(after == before, "{before} threads before dlopen, {after} before any engine");
    Ok(format!("{after} thread").into())
}

fn range(session: &Session) -> Verdict {
    let get_api = session.library()?.get_api;
    let mut range = [99, 99];
    // SAFETY: room for two.
    let table = unsafe { get_api(PELLUCID_ABI, range.as_mut_ptr()) };
    ensure!(!table.is_null(), "level {PELLUCID_ABI} is NULL");
    let [low, high] = range;
    ensure!((low..=high).contains(&PELLUCID_ABI), "range is {low} to {high}");
    Ok(format!("levels {low} to {high}").into())
}

fn refused(session: &Session, abi: impl Fn([u32; 2]) -> u32) -> Verdict {
    let get_api = session.library()?.get_api;
    let mut known = [99, 99];
    // SAFETY: room for two.
    unsafe { get_api(PELLUCID_ABI, known.as_mut_ptr()) };
    let (asked, mut range) = (abi(known), [99, 99]);
    // SAFETY: room for two, or NULL.
    let tables = unsafe { [get_api(asked, range.as_mut_ptr()), get_api(asked, null_mut())] };
    ensure!(tables.iter().all(|table| table.is_null()), "level {asked} is not NULL");
    ensure!(range == known, "range is {range:?} for level {asked}, need {known:?}");
    pass()
}

fn level_too_high(session: &Session) -> Verdict {
    refused(session, |[_, high]| high + 1)?;
    refused(session, |_| u32::MAX)
}

fn level_too_low(session: &Session) -> Verdict {
    refused(session, |[low, _]| low - 1)?;
    refused(session, |_| 0)
}

fn table_is_static(session: &Session) -> Verdict {
    let library = session.library()?;
    let get_api = library.get_api;
    // SAFETY: the range may be NULL.
    let ask = move || unsafe { get_api(PELLUCID_ABI, null_mut()) }.addr();
    let there = std::thread::spawn(ask).join();
    let first = ptr::from_ref(library.table).addr();
    ensure!(ask() == first && there.is_ok_and(|table| table == first), "tables differ");
    pass()
}

fn table_size(session: &Session) -> Verdict {
    let table = session.library()?.table;
    let (size, need) = (table.struct_size as usize, size_of::<pellucid_api>());
    ensure!(size >= need, "struct_size is {size}, need {need} for minor {PELLUCID_ABI_MINOR}");
    ensure!(table.abi == PELLUCID_ABI, "abi is {}, need {PELLUCID_ABI}", table.abi);
    ensure!(table.reserved == 0, "reserved is {}", table.reserved);
    let larger = size > need;
    ensure!(!larger || table.minor > PELLUCID_ABI_MINOR, "{size} bytes at minor {}", table.minor);
    Ok(format!("{size} bytes, abi {}, minor {}", table.abi, table.minor).into())
}

fn slots(session: &Session) -> Verdict {
    let api = session.api()?;
    let slots = pellucid_api::FIELDS.iter().skip_while(|(name, _)| *name != "version_string");
    let mut empty = Vec::new();
    let mut count = 0;
    for (name, offset) in slots {
        // SAFETY: a slot of the copied table, read as a number.
        let slot = unsafe { ptr::from_ref(api).byte_add(*offset).cast::<usize>().read() };
        count += 1;
        if slot == 0 {
            empty.push(*name);
        }
    }
    ensure!(empty.is_empty(), "NULL: {}", empty.join(", "));
    Ok(format!("{count} slots").into())
}

fn version_string(session: &Session) -> Verdict {
    let api = session.api()?;
    let version = text(slot!(api, version_string())?)?;
    let number = version.strip_prefix("pellucid ").and_then(|rest| rest.split(' ').next());
    let parts = number.map_or(0, |n| n.split('.').filter(|p| p.parse::<u32>().is_ok()).count());
    ensure!(parts == 3 && version.contains("(engine: "), "it is {version:?}");
    ensure!(ptr::eq(version, text(slot!(api, version_string())?)?), "it is not static");
    Ok(version.into())
}

fn status_names(session: &Session) -> Verdict {
    let api = session.api()?;
    let name = |code| text(slot!(api, status_name(code))?);
    for (code, need) in [
        (PELLUCID_OK, "PELLUCID_OK"),
        (PELLUCID_E_ARG, "PELLUCID_E_ARG"),
        (PELLUCID_E_ABI, "PELLUCID_E_ABI"),
        (PELLUCID_E_STATE, "PELLUCID_E_STATE"),
        (PELLUCID_E_CONFIG, "PELLUCID_E_CONFIG"),
        (PELLUCID_E_MODEL, "PELLUCID_E_MODEL"),
        (PELLUCID_E_DEVICE, "PELLUCID_E_DEVICE"),
        (PELLUCID_E_NOMEM, "PELLUCID_E_NOMEM"),
        (PELLUCID_E_CALLBACK, "PELLUCID_E_CALLBACK"),
        (PELLUCID_E_CANCELLED, "PELLUCID_E_CANCELLED"),
        (PELLUCID_E_TIMEOUT, "PELLUCID_E_TIMEOUT"),
        (PELLUCID_E_UNSUPPORTED, "PELLUCID_E_UNSUPPORTED"),
        (PELLUCID_E_FORKED, "PELLUCID_E_FORKED"),
        (PELLUCID_E_NUMERIC, "PELLUCID_E_NUMERIC"),
        (PELLUCID_E_PANIC, "PELLUCID_E_PANIC"),
        (-1, "PELLUCID_E_?"),
        (i32::MAX, "PELLUCID_E_?"),
    ] {
        let got = name(code)?;
        ensure!(got == need, "status {code} is {got}, need {need}");
        ensure!(ptr::eq(got, name(code)?), "the name of {code} is not static");
    }
    pass()
}

fn extensions(session: &Session) -> Verdict {
    let api = session.api()?;
    for id in ["", "org.pellucid.no-such-thing/1", "org.pellucid.predict/99"] {
        let id = CString::new(id).expect("because it has no NUL");
        ensure!(slot!(api, get_extension(id.as_ptr()))?.is_null(), "{id:?} is not NULL");
    }
    ensure!(slot!(api, get_extension(null()))?.is_null(), "NULL is not NULL");
    let predict = session.predict()?;
    let (size, need) = (predict.struct_size as usize, size_of::<pellucid_predict_ext>());
    ensure!(size >= need && predict.predict.is_some(), "predict/1: {size} bytes, need {need}");
    Ok(PELLUCID_EXT_PREDICT.into())
}
