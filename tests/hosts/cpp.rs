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

/// Uses that do not compile, since what they name would be gone or owned twice.
const DELETED: [&str; 7] = [
    "(void)j.result().mean().data();",
    "(void)j.result().samples().slice(0);",
    "(void)j.result().header();",
    "(void)j.result().diagnostics();",
    "(void)pellucid::array_ref::constant(1.0, 2, 2);",
    "pellucid::engine copy(e);",
    "(void)j.release();",
];

#[test]
fn temporaries_give_no_pointers_and_owners_no_copies() {
    let folder = c::scratch("deleted");
    let compile = |lines: &[&str]| {
        let source = folder.join("deleted.cpp");
        let head =
            "#include <pellucid/pellucid.hpp>\nvoid f(pellucid::engine &e, pellucid::job &j) {";
        std::fs::write(&source, format!("{head}\n{}\n(void)e; }}\n", lines.join("\n")))
            .expect("the folder is writable");
        let mut command = Command::new("g++");
        command.args(["-std=c++17", "-fsyntax-only", "-I"]).arg(c::root().join("include"));
        c::printed(&command.arg(source).output().expect("g++ is installed"))
    };
    assert_eq!(compile(&["auto m = j.result().mean(); (void)m.data();"]), "");
    let errors = compile(&DELETED);
    for (k, line) in DELETED.iter().enumerate() {
        let place = format!("deleted.cpp:{}:", k + 3);
        let found = errors.lines().any(|error| {
            error.contains(&place) && error.contains("error: use of deleted function")
        });
        assert!(found, "{line} compiles: {errors}");
    }
}

/// The first block of code in a language of the headers' README.
fn quick_start(language: &str) -> String {
    let readme = std::fs::read_to_string(c::root().join("include/pellucid/README.md"));
    let readme = readme.expect("in the tree");
    let rest = readme.split_once(&format!("```{language}\n")).expect("a quick start").1;
    rest.split_once("```").expect("an end").0.to_owned()
}

#[test]
fn the_quick_starts_of_the_readme_run() {
    let folder = c::scratch("readme");
    for (language, standard) in [("c", "c89"), ("cpp", "c++17")] {
        let source = folder.join(format!("quick_start.{language}"));
        std::fs::write(&source, quick_start(language)).expect("the folder is writable");
        let program = c::Build::new(standard).program(&[source.to_str().unwrap()], &folder);
        // Under the name that the program asks for.
        let library = folder.join(pellucid_ffi::PELLUCID_SONAME);
        let _ = std::fs::remove_file(&library);
        std::os::unix::fs::symlink(c::plugin(), &library).expect("the folder is writable");
        let output = Command::new(program).env("LD_LIBRARY_PATH", &*folder).output();
        let output = output.expect("it runs");
        let printed = c::printed(&output);
        assert!(output.status.success() && printed.starts_with('['), "{language}: {printed}");
    }
}
