//! The header in every language it promises.

use pellucid_tests::c;

#[test]
fn the_header_compiles_everywhere_and_twice() {
    let folder = c::scratch("header");
    for standard in ["c89", "c99", "c11", "c17", "c++98", "c++11", "c++17", "c++20"] {
        let program = c::compile("header.c", standard, &folder);
        assert!(std::process::Command::new(program).status().expect("it runs").success());
    }
}

/// Lines `PELLUCID_NAME = value` of a file, without comments.
pub(crate) fn constants(text: &str) -> Vec<(String, i64)> {
    let mut found: Vec<_> = text
        .lines()
        .filter_map(|line| {
            let (name, rest) = line.trim().split_once(" = ")?;
            let value = rest.split([',', ';', ' ']).next()?;
            name.starts_with("PELLUCID_").then(|| Some((name.to_owned(), value.parse().ok()?)))?
        })
        .collect();
    found.sort();
    found
}

#[test]
fn the_header_and_the_rust_types_have_the_same_constants() {
    let read = |path: &str| std::fs::read_to_string(c::root().join(path)).expect("in the tree");
    let header = read("include/pellucid/pellucid.h");
    let rust = constants(&read("ffi/src/codes.rs"));
    assert!(rust.len() > 40, "{rust:?}");
    assert_eq!(constants(&header), rust);
    for define in [
        format!("#define PELLUCID_ABI {}u", pellucid_ffi::PELLUCID_ABI),
        format!("#define PELLUCID_ABI_MINOR {}u", pellucid_ffi::PELLUCID_ABI_MINOR),
        format!("#define PELLUCID_SONAME \"{}\"", pellucid_ffi::PELLUCID_SONAME),
        format!("#define PELLUCID_EXT_PREDICT \"{}\"", pellucid_ffi::PELLUCID_EXT_PREDICT),
    ] {
        assert!(header.contains(&define), "{define}");
    }
}

#[test]
fn every_slot_is_used_by_the_c_host() {
    let read = |name: &str| std::fs::read_to_string(c::root().join("tests/c").join(name)).unwrap();
    let host = read("host.c");
    for (slot, _) in &pellucid_ffi::pellucid_api::FIELDS[4..] {
        assert!(host.contains(&format!("api->{slot}(")), "{slot}");
    }
}
