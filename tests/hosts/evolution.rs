//! Hosts compiled with another age of the header, run against this library.

use std::process::Command;

use pellucid_tests::{c, prior};

/// Cuts from `from` up to `to`, which stays.
fn cut(text: &mut String, from: &str, to: &str) {
    let start = text.find(from).unwrap_or_else(|| panic!("{from:?} is in the header"));
    let end = start + text[start..].find(to).unwrap_or_else(|| panic!("{to:?} follows {from:?}"));
    text.replace_range(start..end, "");
}

fn insert_before(text: &mut String, place: &str, addition: &str) {
    let at = text.find(place).unwrap_or_else(|| panic!("{place:?} is in the header"));
    text.insert_str(at, addition);
}

/// The header of minor 0, without the fields that were optional in it.
fn older(header: &str) -> String {
    let mut text = header.to_owned();
    let minor = format!("MINOR {}u", pellucid_ffi::PELLUCID_ABI_MINOR);
    text = text.replace(&minor, "MINOR 0u");
    cut(&mut text, "  int32_t flux_convention;", "} pellucid_exposure_desc;");
    cut(&mut text, "  void *user;", "} pellucid_job_desc;");
    cut(&mut text, "  /* Since minor 1.", "} pellucid_api;");
    text
}

/// A header in which everything has grown.
fn newer(header: &str) -> String {
    let minor = pellucid_ffi::PELLUCID_ABI_MINOR;
    let mut text = header.replace(&format!("MINOR {minor}u"), &format!("MINOR {}u", minor + 1));
    for name in [
        "array",
        "host",
        "device",
        "lookup_table",
        "wcs_callback",
        "psf_callback",
        "exposure_desc",
        "job_desc",
        "progress",
        "mem",
    ] {
        let end = format!("}} pellucid_{name};");
        insert_before(&mut text, &end, "  uint64_t from_the_future;\n");
    }
    let slot = "  pellucid_status (*from_the_future)(pellucid_engine *engine);\n";
    insert_before(&mut text, "} pellucid_api;", slot);
    text
}

fn runs_with(name: &str, edit: impl Fn(&str) -> String) {
    let folder = c::scratch(&format!("evolve-{name}"));
    let header = std::fs::read_to_string(c::root().join("include/pellucid/pellucid.h"));
    let include = folder.join("include");
    std::fs::create_dir_all(include.join("pellucid")).expect("the folder is writable");
    std::fs::write(include.join("pellucid/pellucid.h"), edit(&header.expect("it is in the tree")))
        .expect("the folder is writable");
    let define = format!("-D{}", name.to_uppercase());
    let program =
        c::Build::new("c99").include(&include).flag(define).program(&["evolve.c"], &folder);
    prior::write_gaussian_field(&folder.join("field.safetensors"), 32, 0.03);
    let prior = if cfg!(feature = "torch") { "field" } else { "stub" };
    let output =
        Command::new(program).arg(c::plugin()).arg(prior).arg(&*folder).output().expect("it runs");
    assert!(output.status.success(), "{name}: {}", c::printed(&output));
}

#[test]
fn a_host_of_this_header_runs() {
    runs_with("same", str::to_owned);
}

#[test]
fn a_host_of_an_older_header_runs() {
    runs_with("older", older);
}

#[test]
fn a_host_of_a_newer_header_runs_with_what_this_library_knows() {
    runs_with("newer", newer);
}
