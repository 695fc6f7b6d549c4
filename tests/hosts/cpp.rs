//! pellucid.hpp: that it compiles wherever it says, and hosts over it.

use std::path::Path;
use std::process::{Command, Output};

use pellucid_tests::{c, prior};

/// The strictest that the header promises.
pub(crate) const STRICT: [&str; 2] = ["-Wconversion", "-Wshadow"];
/// Sources of `tests/cpp/host.cpp`: two translation units.
pub(crate) const HOST: [&str; 2] = ["../cpp/host.cpp", "../cpp/second.cpp"];

fn build(standard: &str, compiler: &str, sources: &[&str], folder: &Path) -> std::path::PathBuf {
    let build = c::Build::new(standard).compiler(compiler);
    STRICT.iter().fold(build, |build, flag| build.flag(*flag)).program(sources, folder)
}

/// Runs `program LIBRARY PRIOR MODEL_SIDE PIXEL_SCALE MODEL_DIR`.
pub(crate) fn run_host(command: &mut Command, folder: &Path) -> Output {
    let (side, scale) = (32, 0.03);
    prior::write_gaussian_field(&folder.join("field.safetensors"), side, scale);
    let name = if cfg!(feature = "torch") { "field" } else { "stub" };
    command.arg(c::plugin()).args([name, &side.to_string(), &scale.to_string()]).arg(folder);
    let output = command.output().expect("the program runs");
    assert!(output.status.success(), "{command:?}: {}", c::printed(&output));
    output
}

/// g++, and clang++ where it is installed.
fn compilers() -> Vec<&'static str> {
    let clang = Command::new("clang++").arg("--version").output().is_ok_and(|o| o.status.success());
    if !clang {
        eprintln!("SKIPPED: clang++ is not installed; the headers were compiled by g++ only");
    }
    ["g++", "clang++"].into_iter().take(if clang { 2 } else { 1 }).collect()
}

#[test]
fn every_wrapper_works() {
    let folder = c::scratch("hpp");
    for compiler in compilers() {
        for standard in ["c++17", "c++20"] {
            let program = build(standard, compiler, &HOST, &folder);
            run_host(&mut Command::new(program), &folder);
        }
    }
}

#[test]
fn a_cpp_host_goes_from_exposures_to_samples() {
    let folder = c::scratch("end-to-end");
    let program = build("c++17", "g++", &["../cpp/end_to_end.cpp"], &folder);
    let output = run_host(&mut Command::new(program), &folder);
    println!("{}", c::printed(&output));
    assert!(String::from_utf8_lossy(&output.stdout).ends_with("ok\n"));
}

#[test]
fn every_slot_is_used_by_the_cpp_header() {
    let include = c::root().join("include/pellucid");
    let read = |name: &str| std::fs::read_to_string(include.join(name)).expect("in the tree");
    let text = read("pellucid.hpp") + &read("pellucid_core.hpp");
    for (slot, _) in &pellucid_ffi::pellucid_api::FIELDS[4..] {
        // error_code is what the status says already.
        let words = [format!(".{slot}("), format!("->{slot}("), format!("pellucid_api::{slot}>")];
        let used = words.iter().any(|word| text.contains(word.as_str()));
        let named = text.contains(&format!("api.{slot})"));
        assert!(used || named || *slot == "error_code", "{slot}");
    }
}

#[test]
fn a_temporary_gives_no_pointer() {
    let folder = c::scratch("dangling");
    let refused = |line: &str| {
        let source = folder.join("dangling.cpp");
        let text = format!(
            "#include <pellucid/pellucid.hpp>\nvoid f(const pellucid::engine &e, pellucid::job &j) \
             {{\n  (void)e;\n  (void)j;\n  {line}\n}}\n"
        );
        std::fs::write(&source, text).expect("the folder is writable");
        let mut command = Command::new("g++");
        command.args(["-std=c++17", "-fsyntax-only", "-I"]).arg(c::root().join("include"));
        let output = command.arg(source).output().expect("g++ is installed");
        (!output.status.success()).then(|| c::printed(&output))
    };
    assert_eq!(refused("auto m = j.result().mean(); (void)m.data();"), None);
    for line in [
        "(void)j.result().mean().data();",
        "(void)j.result().samples().slice(0);",
        "(void)j.result().header();",
        "(void)j.result().diagnostics();",
        "(void)pellucid::array_ref::constant(1.0, 2, 2);",
        "pellucid::engine copy(e);",
        "(void)j.release();",
    ] {
        let message = refused(line).unwrap_or_else(|| panic!("{line} compiles"));
        assert!(message.contains("deleted"), "{line}: {message}");
    }
}
