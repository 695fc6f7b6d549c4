//! The tree of an installation.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use super::Release;
use crate::error::{Error, Result};
use crate::process::{command, output, root, run};
use crate::setup::Libtorch;

/// What the plugin's engine and pellucid-train need of libtorch.
const LIBTORCH: &[&str] = &["libtorch_cpu.so", "libc10.so", "libgomp.so.1"];
/// And of CUDA: to be passed on as they are, not even stripped (their licence, 2.3).
const CUDA: &[&str] = &["libcudart.so.13", "libcupti.so.13"];
/// Built file, place in the tree, what to do if it is not there.
pub(super) const BINARIES: &[(&str, &str, Absent)] = &[
    ("libpellucid_loader.so", "lib/libpellucid.so.1", Absent::Fail),
    ("libpellucid.so", ENGINE, Absent::Fail),
    ("pellucid", "bin/pellucid", Absent::Fail),
    ("pellucid-train", "bin/pellucid-train", Absent::Fail),
    ("pellucid-conformance", "bin/pellucid-conformance", Absent::LeaveOut),
    // EsoRex opens every library of its recipe folder: the recipe has one of its own.
    ("cpl/pellucid_sample.so", "lib/cpl/plugins/pellucid/pellucid_sample.so", Absent::LeaveOut),
];
const ENGINE: &str = "lib/pellucid/libpellucid_engine.so";
const DOCUMENTS: &[&str] = &[
    "README.md",
    "ARCHITECTURE.md",
    "CHANGELOG.md",
    "LICENSE-MIT",
    "LICENSE-APACHE",
    "include/pellucid/README.md",
];
/// Hosts to start from.
const EXAMPLES: &[&str] =
    &["tests/c/host.c", "tests/package/host.cpp", "tests/package/CMakeLists.txt"];

/// What to do without a file that is to be packed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Absent {
    Fail,
    LeaveOut,
}

/// Make `tree`.
pub(super) fn tree(
    release: &Release,
    libtorch: &Libtorch,
    built: &Path,
    tree: &Path,
) -> Result<()> {
    for (name, place, absent) in BINARIES {
        let file = built.join(name);
        if *absent == Absent::LeaveOut && !file.exists() {
            eprintln!("dist: {name} is not built: left out");
            continue;
        }
        stripped(&file, &tree.join(place))?;
    }
    for name in LIBTORCH {
        stripped(&libtorch.libraries().join(name), &tree.join("lib/pellucid").join(name))?;
    }
    for name in CUDA {
        copy(&libtorch.libraries().join(name), &tree.join("lib/pellucid").join(name))?;
    }
    // The build's own libtorch must not be found by the installed engine.
    run_path(&tree.join(ENGINE))?;
    link("libpellucid.so.1", &tree.join("lib/libpellucid.so"))?;
    fill(release, "packaging/pkg-config/pellucid.pc.in", &tree.join("lib/pkgconfig/pellucid.pc"))?;
    let cmake = tree.join("lib/cmake/pellucid");
    copy(
        &root().join("packaging/cmake/pellucidConfig.cmake"),
        &cmake.join("pellucidConfig.cmake"),
    )?;
    let version = "pellucidConfigVersion.cmake";
    fill(release, &format!("packaging/cmake/{version}.in"), &cmake.join(version))?;
    for file in listed("include/pellucid", &["h", "hpp"])? {
        copy(&file, &tree.join("include/pellucid").join(name(&file)))?;
    }
    for file in listed("packaging/models", &["safetensors", "md"])? {
        copy(&file, &tree.join("share/pellucid/models").join(name(&file)))?;
    }
    let documents = tree.join("share/doc/pellucid");
    for document in DOCUMENTS {
        let renamed = document.replace("include/pellucid/README", "ABI");
        copy(&root().join(document), &documents.join(renamed))?;
    }
    for example in EXAMPLES {
        let file = root().join(example);
        copy(&file, &documents.join("examples").join(name(&file)))?;
    }
    for example in listed("host-sdk/examples", &["rs", "py"])? {
        copy(&example, &documents.join("examples").join(name(&example)))?;
    }
    copy(&root().join("packaging/deb/copyright"), &documents.join("copyright"))?;
    licences(libtorch, &documents.join("third-party"))?;
    manuals(release, tree)
}

/// Under which what is not ours may be passed on, in the words of those whose it is.
fn licences(libtorch: &Libtorch, folder: &Path) -> Result<()> {
    let own = libtorch.licences();
    if !own.is_dir() {
        eprintln!(
            "dist: SKIPPED: the licences of libtorch and CUDA, which belong into what is passed on: not \
             in {}; a cache made anew by cargo xtask setup has them",
            own.display()
        );
        return Ok(());
    }
    for file in files(&own)? {
        let name = name(&file).display().to_string();
        copy(&file, &folder.join(format!("{}.txt", name.trim_end_matches(".txt"))))?;
    }
    Ok(())
}

/// A page for each program, from its own `--help`.
fn manuals(release: &Release, tree: &Path) -> Result<()> {
    let folder = tree.join("share/man/man1");
    create(&folder)?;
    for program in ["pellucid", "pellucid-train", "pellucid-conformance"] {
        let path = tree.join("bin").join(program);
        if !path.exists() {
            continue;
        }
        let page = folder.join(format!("{program}.1"));
        let mut help2man = command("help2man");
        help2man.env("SOURCE_DATE_EPOCH", release.epoch_s.to_string()).env("LC_ALL", "C");
        // It must run as installed.
        help2man.env_remove("LD_LIBRARY_PATH");
        help2man.args(["--no-info", "--no-discard-stderr", "--version-string", release.version]);
        help2man.args(["--name", "Bayesian deconvolution of astronomical images"]);
        run(help2man.arg("--output").arg(&page).arg(path))?;
        run(command("gzip").args(["--best", "--no-name"]).arg(&page))?;
    }
    Ok(())
}

fn stripped(file: &Path, to: &Path) -> Result<()> {
    copy(file, to)?;
    let mode = if to.components().any(|part| part.as_os_str() == "bin") { 0o755 } else { 0o644 };
    fs::set_permissions(to, fs::Permissions::from_mode(mode))
        .map_err(Error::io("set mode of", to))?;
    run(command("strip").args(["--strip-unneeded", "--remove-section=.comment"]).arg(to))
}

/// Leave `$ORIGIN` alone in a library's run path.
fn run_path(library: &Path) -> Result<()> {
    run(command("chrpath").args(["--replace", "$ORIGIN"]).arg(library))?;
    let dynamic = output(command("readelf").args(["--dynamic", "--wide"]).arg(library))?;
    let path = dynamic.lines().find(|line| line.contains("(RUNPATH)")).unwrap_or_default();
    if path.ends_with("[$ORIGIN]") {
        return Ok(());
    }
    let broken = vec![format!("{}: {path}", library.display())];
    Err(Error::Rules { rule: "run path of the installed engine: $ORIGIN alone", broken })
}

/// The files of a folder of the workspace with one of these extensions, sorted; none without the folder.
fn listed(folder: &str, extensions: &[&str]) -> Result<Vec<PathBuf>> {
    let folder = root().join(folder);
    if !folder.exists() {
        return Ok(Vec::new());
    }
    let mut paths = files(&folder)?;
    let wanted = |path: &PathBuf| {
        path.extension().is_some_and(|found| extensions.iter().any(|one| found == *one))
    };
    paths.retain(wanted);
    Ok(paths)
}

/// What is in a folder, sorted.
fn files(folder: &Path) -> Result<Vec<PathBuf>> {
    let entries = fs::read_dir(folder).map_err(Error::io("list", folder))?;
    let paths = entries.map(|entry| entry.map(|entry| entry.path()));
    let mut paths: Vec<_> =
        paths.collect::<std::io::Result<_>>().map_err(Error::io("list", folder))?;
    paths.sort();
    Ok(paths)
}

/// A template of the workspace with its placeholders filled in.
pub(super) fn fill(release: &Release, template: &str, to: &Path) -> Result<()> {
    let template = root().join(template);
    let text = fs::read_to_string(&template).map_err(Error::io("read", &template))?;
    write(to, &text.replace("@VERSION@", release.version).replace("@ABI@", "1"))
}

pub(super) fn write(to: &Path, text: &str) -> Result<()> {
    to.parent().map_or(Ok(()), create)?;
    fs::write(to, text).map_err(Error::io("write", to))
}

pub(super) fn copy(from: &Path, to: &Path) -> Result<()> {
    to.parent().map_or(Ok(()), create)?;
    fs::copy(from, to).map(drop).map_err(Error::io("copy", from))?;
    fs::set_permissions(to, fs::Permissions::from_mode(0o644)).map_err(Error::io("set mode of", to))
}

pub(super) fn create(folder: &Path) -> Result<()> {
    fs::create_dir_all(folder).map_err(Error::io("create", folder))
}

fn link(target: &str, at: &Path) -> Result<()> {
    symlink(target, at).map_err(Error::io("link", at))
}

fn name(path: &Path) -> PathBuf {
    path.file_name().map(PathBuf::from).unwrap_or_default()
}
