//! What was packed is installed elsewhere and used as a stranger would use it: no variable of this
//! workspace is set, and its headers and libraries are on no search path.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::Compression;
use super::pack::Packages;
use super::stage::{copy, create};
use crate::error::{Error, Result};
use crate::process::{command, output, root, run, succeeds};

/// The prior that the C host asks for, its side in pixels and pixel scale in arcsec.
const PRIOR: [&str; 3] = ["galaxies64-ve", "64", "0.03"];

/// Install and use both packages in folders under `scratch`, which are removed.
pub(super) fn packages(packages: &Packages, scratch: &Path) -> Result<()> {
    let unpacked = scratch.join("unpacked");
    create(&unpacked)?;
    let mut tar = command("tar");
    tar.arg("--extract").arg("--file").arg(&packages.tarball).arg("--directory").arg(&unpacked);
    run(&mut tar)?;
    let place = Place::new(only_folder(&unpacked)?, scratch.join("work"))?;
    place.c_host()?;
    place.cxx_hosts()?;
    place.doctor()?;
    place.conformance()?;
    place.remove()?;
    remove(&unpacked)?;
    if let Some(deb) = &packages.deb {
        let system = scratch.join("system");
        install(deb, &system)?;
        let place = Place::new(system.join("usr"), scratch.join("work"))?;
        place.c_host()?;
        place.cxx_hosts()?;
        place.doctor()?;
        place.programs()?;
        place.recipe()?;
        place.remove()?;
        remove(&system)?;
        lintian(deb, packages.compression)?;
    }
    Ok(())
}

/// Whether two packings of the same build have the same bytes; the second is removed.
pub(super) fn same(packages: &Packages, again: &Packages) -> Result<()> {
    for (one, other) in packages.files().zip(again.files()) {
        if !succeeds(command("cmp").arg("--silent").arg(one).arg(other)) {
            let broken = vec![format!("{} and {} differ", one.display(), other.display())];
            return Err(Error::Rules { rule: "the same build packs to the same bytes", broken });
        }
        println!("dist: packed twice to the same bytes: {}", one.display());
        fs::remove_file(other).map_err(Error::io("remove", other))?;
    }
    Ok(())
}

/// An installation, and a folder to work in.
struct Place {
    prefix: PathBuf,
    work: PathBuf,
}

impl Place {
    fn new(prefix: PathBuf, work: PathBuf) -> Result<Self> {
        create(&work)?;
        Ok(Self { prefix, work })
    }

    fn remove(self) -> Result<()> {
        remove(&self.work)
    }

    /// A command of a stranger: an empty environment, but that waiting threads do not spin.
    fn stranger(&self, program: impl AsRef<Path>) -> Command {
        let mut stranger = command(program.as_ref());
        stranger.env_clear().current_dir(&self.work).env("PATH", "/usr/bin:/bin");
        stranger.env("HOME", &self.work).env("OMP_WAIT_POLICY", "passive");
        stranger
    }

    /// A C host, with what pkg-config says and nothing else.
    fn c_host(&self) -> Result<()> {
        let ask = |questions: &[&str]| {
            let mut ask = self.stranger("pkg-config");
            ask.env("PKG_CONFIG_LIBDIR", self.prefix.join("lib/pkgconfig"));
            output(ask.args(questions).arg("pellucid"))
        };
        let flags = ask(&["--cflags", "--libs"])?;
        let source = self.work.join("host.c");
        copy(&root().join("tests/c/host.c"), &source)?;
        let mut cc = self.stranger("cc");
        cc.args(["-std=c99", "-Wall", "-Wextra", "-pedantic", "-Werror", "host.c", "-o", "c-host"]);
        run(cc.args(flags.split_whitespace()).arg("-lm"))?;
        let plugin = ask(&["--variable=plugin"])?;
        run(self.stranger(self.work.join("c-host")).arg(plugin.trim()).args(PRIOR))
    }

    /// C++ hosts, by find_package: one that opens the plugin and one that is linked to it.
    fn cxx_hosts(&self) -> Result<()> {
        if !succeeds(command("cmake").arg("--version")) {
            return skipped("the C++ hosts", "cmake");
        }
        let source = self.work.join("package");
        create(&source)?;
        for name in ["CMakeLists.txt", "host.cpp"] {
            copy(&root().join("tests/package").join(name), &source.join(name))?;
        }
        let configure = |folder: &str, version: &str| {
            let mut cmake = self.stranger("cmake");
            cmake.args(["-S", "package", "-B", folder]);
            cmake.arg(format!("-DCMAKE_PREFIX_PATH={}", self.prefix.display()));
            cmake.args(["-DCMAKE_FIND_USE_CMAKE_SYSTEM_PATH=OFF"]);
            cmake.args(["-DCMAKE_FIND_USE_PACKAGE_REGISTRY=OFF"]);
            cmake.arg(format!("-DPELLUCID_NEED={version}"));
            cmake
        };
        if succeeds(&mut configure("future", "99.0")) {
            let broken = vec!["find_package(pellucid 99.0) succeeds".into()];
            return Err(Error::Rules { rule: "SameMajorVersion", broken });
        }
        run(&mut configure("build", "0.1"))?;
        run(self.stranger("cmake").args(["--build", "build"]))?;
        run(&mut self.stranger(self.work.join("build/host")))?;
        run(&mut self.stranger(self.work.join("build/linked")))
    }

    fn program(&self, name: &str) -> Command {
        self.stranger(self.prefix.join("bin").join(name))
    }

    /// Plugin, engine, models, forward model.
    fn doctor(&self) -> Result<()> {
        run(self.program("pellucid").arg("doctor"))
    }

    /// The programs, from simulation to samples.
    fn programs(&self) -> Result<()> {
        let program = |name: &str| self.program(name);
        let mut simulate = program("pellucid");
        simulate.args(["simulate", "--exposures", "2", "--size", "32", "--seed", "1", "-o", "."]);
        run(&mut simulate)?;
        let mut sample = program("pellucid");
        sample.args(["sample", "exposure_1.fits", "exposure_2.fits", "--psf", "psf.fits"]);
        sample.args(["--prior", PRIOR[0], "--samples", "2", "--seed", "1", "--steps", "8"]);
        run(sample.args(["--sweeps", "0", "-o", "posterior.fits"]))?;
        run(program("pellucid").args(["inspect", "posterior.fits"]))?;
        let model = self.prefix.join("share/pellucid/models/galaxies64-vp.safetensors");
        run(program("pellucid-train").arg("show").arg(model))
    }

    /// The conformance harness on the installed plugin.
    fn conformance(&self) -> Result<()> {
        let harness = self.prefix.join("bin/pellucid-conformance");
        if !harness.exists() {
            return skipped("the conformance harness", "pellucid-conformance");
        }
        run(self.stranger(harness).arg(self.prefix.join("lib/libpellucid.so.1")))
    }

    /// EsoRex lists the recipe and runs it on what `programs` simulated: it finds the engine it was
    /// installed with, whatever the prefix.
    fn recipe(&self) -> Result<()> {
        let folder = self.prefix.join("lib/cpl/plugins");
        if !folder.exists() {
            return skipped("the recipe", "pellucid_sample.so");
        }
        if !succeeds(command("esorex").arg("--version")) {
            return skipped("the recipe", "esorex");
        }
        let esorex = || {
            let mut esorex = self.stranger("esorex");
            esorex.arg(format!("--recipe-dir={}", folder.display()));
            esorex
        };
        let wrong = |what: String| Error::Rules { rule: "installed recipes", broken: vec![what] };
        let list = output(esorex().arg("--recipes"))?;
        if !list.contains("pellucid_sample") {
            return Err(wrong(format!("pellucid_sample is not in: {list}")));
        }
        let frames = self.work.join("in.sof");
        let list = "exposure_1.fits CALIBRATED_EXPOSURE\nexposure_2.fits CALIBRATED_EXPOSURE\npsf.fits PSF\n";
        fs::write(&frames, list).map_err(Error::io("write", &frames))?;
        let mut sample = esorex();
        sample.args(["pellucid_sample", "--n_samples=2", "--seed=1", "--steps=8", "--sweeps=0"]);
        let said = output(sample.arg(format!("--prior={}", PRIOR[0])).arg(&frames))?;
        let engine = self.prefix.join("lib/cpl/plugins/pellucid/../../../libpellucid.so.1");
        let found = said.lines().any(|line| line.contains("$ORIGIN/../../../libpellucid.so.1"));
        let product = self.work.join("pellucid_sample_samples.fits");
        match (found, product.exists()) {
            (true, true) => Ok(()),
            (false, _) => Err(wrong(format!("its engine is not {}: {said}", engine.display()))),
            (true, false) => Err(wrong(format!("no {}: {said}", product.display()))),
        }
    }
}

/// Into a root of its own, with nothing else in it.
fn install(deb: &Path, system: &Path) -> Result<()> {
    let database = system.join("var/lib/dpkg");
    for folder in ["info", "updates", "triggers"] {
        create(&database.join(folder))?;
    }
    let status = database.join("status");
    fs::write(&status, "").map_err(Error::io("write", &status))?;
    if output(command("id").arg("-u"))?.trim() != "0" {
        eprintln!("dist: not root: the .deb is unpacked, not installed");
        return run(command("dpkg-deb").arg("--extract").arg(deb).arg(system));
    }
    let mut dpkg = command("dpkg");
    // What it depends on is on this system, not in that root.
    dpkg.arg(format!("--root={}", system.display())).arg("--force-depends");
    run(dpkg.arg("--install").arg(deb))
}

fn lintian(deb: &Path, compression: Compression) -> Result<()> {
    if !succeeds(command("lintian").arg("--version")) {
        return skipped("Debian's rules for packages", "lintian");
    }
    let mut lintian = command("lintian");
    lintian.args(["--allow-root", "--fail-on=error,warning", "--tag-display-limit=0"]);
    if compression == Compression::None {
        lintian.arg("--suppress-tags");
        lintian.arg("uses-no-compression-for-control-tarball,uses-no-compression-for-data-tarball");
    }
    run(lintian.arg("--no-cfg").arg(deb))
}

/// What is not tested is said.
fn skipped(what: &str, without: &str) -> Result<()> {
    eprintln!("dist: SKIPPED: {what}: no {without}");
    Ok(())
}

fn only_folder(folder: &Path) -> Result<PathBuf> {
    let entry = fs::read_dir(folder).map_err(Error::io("list", folder))?.next();
    let empty = || Error::Rules { rule: "tarball", broken: vec!["it is empty".into()] };
    entry.ok_or_else(empty)?.map(|entry| entry.path()).map_err(Error::io("list", folder))
}

fn remove(folder: &Path) -> Result<()> {
    fs::remove_dir_all(folder).map_err(Error::io("remove", folder))
}
