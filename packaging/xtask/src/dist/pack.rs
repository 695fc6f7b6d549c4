//! A tree becomes a tarball and a .deb, the same bytes for the same commit and compiler.

use std::fs;
use std::path::{Path, PathBuf};

use super::stage::{copy, create, write};
use super::{Compression, Release};
use crate::error::{Error, Result};
use crate::process::{command, output, root, run, succeeds};

/// The packages of a release.
#[derive(Debug)]
pub(super) struct Packages {
    pub(super) tarball: PathBuf,
    /// None where there is no dpkg-deb.
    pub(super) deb: Option<PathBuf>,
    pub(super) compression: Compression,
}

impl Packages {
    pub(super) fn files(&self) -> impl Iterator<Item = &PathBuf> {
        std::iter::once(&self.tarball).chain(&self.deb)
    }
}

/// Pack `tree`; the packages lie beside it. The tree itself moves into the .deb's.
pub(super) fn packages(
    release: &Release,
    tree: &Path,
    compression: Compression,
) -> Result<Packages> {
    let tarball = tarball(release, tree, compression)?;
    let deb = if succeeds(command("dpkg-deb").arg("--version")) {
        Some(deb(release, tree, compression)?)
    } else {
        eprintln!("dist: SKIPPED: no dpkg-deb here, so no .deb");
        None
    };
    Ok(Packages { tarball, deb, compression })
}

fn tarball(release: &Release, tree: &Path, compression: Compression) -> Result<PathBuf> {
    let extension = match compression {
        Compression::None => ".tar",
        Compression::Xz => ".tar.xz",
    };
    let mut tarball = tree.as_os_str().to_owned();
    tarball.push(extension);
    let tarball = PathBuf::from(tarball);
    let mut tar = command("tar");
    if compression == Compression::Xz {
        // Blocks, and so bytes, depend on there being threads, not on how many.
        tar.arg("--use-compress-program=xz -6 --threads=2");
    }
    tar.args(["--create", "--sort=name", "--format=gnu", "--owner=0", "--group=0"]);
    tar.args(["--numeric-owner", "--mode=u=rwX,go=rX", &format!("--mtime=@{}", release.epoch_s)]);
    tar.arg("--file").arg(&tarball).arg("--directory").arg(beside(tree));
    run(tar.arg(tree.file_name().unwrap_or_default()))?;
    Ok(tarball)
}

fn deb(release: &Release, tree: &Path, compression: Compression) -> Result<PathBuf> {
    let Release { version, epoch_s } = release;
    let deb = beside(tree).join(format!("pellucid_{version}_amd64.deb"));
    let package = beside(tree).join("deb");
    create(&package)?;
    let usr = package.join("usr");
    fs::rename(tree, &usr).map_err(Error::io("move", tree))?;
    // Debian keeps the texts of common licences, and changelogs under another name.
    let documents = usr.join("share/doc/pellucid");
    for surplus in ["LICENSE-APACHE", "CHANGELOG.md"] {
        let path = documents.join(surplus);
        fs::remove_file(&path).map_err(Error::io("remove", &path))?;
    }
    changelog(release, &documents)?;
    let overrides = root().join("packaging/deb/lintian-overrides");
    copy(&overrides, &usr.join("share/lintian/overrides/pellucid"))?;
    control(release, &package)?;
    let mut touch = command("find");
    touch.arg(&package).args(["-exec", "touch", "--no-dereference", "--date"]);
    run(touch.arg(format!("@{epoch_s}")).args(["{}", "+"]))?;
    let mut dpkg = command("dpkg-deb");
    dpkg.env("SOURCE_DATE_EPOCH", epoch_s.to_string()).args(["--root-owner-group"]);
    match compression {
        Compression::None => dpkg.arg("-Znone"),
        Compression::Xz => dpkg.args(["-Zxz", "-z6", "--threads-max=2"]),
    };
    run(dpkg.arg("--build").arg(&package).arg(&deb))?;
    fs::remove_dir_all(&package).map_err(Error::io("remove", &package))?;
    Ok(deb)
}

/// CHANGELOG.md, with Debian's heading.
fn changelog(release: &Release, documents: &Path) -> Result<()> {
    let mut date = command("date");
    date.args(["--utc", "--rfc-email", "--date"]).arg(format!("@{}", release.epoch_s));
    let date = output(date.env("LC_ALL", "C"))?;
    copy(&root().join("CHANGELOG.md"), &documents.join("changelog"))?;
    let text = format!(
        "pellucid ({}) unstable; urgency=medium\n\n  * See changelog.gz.\n\n \
         -- Pellucid developers <pellucid@localhost>  {}\n",
        release.version,
        date.trim()
    );
    write(&documents.join("changelog.Debian"), &text)?;
    for name in ["changelog", "changelog.Debian"] {
        run(command("gzip").args(["--best", "--no-name"]).arg(documents.join(name)))?;
    }
    Ok(())
}

fn control(release: &Release, package: &Path) -> Result<()> {
    let folder = package.join("DEBIAN");
    create(&folder)?;
    // Debian policy 8.6.3: a library in /usr/lib has the loader's cache refreshed.
    write(&folder.join("triggers"), "activate-noawait ldconfig\n")?;
    write(&folder.join("shlibs"), &format!("libpellucid 1 pellucid (>= {})\n", release.version))?;
    let mut sums = command("find");
    sums.current_dir(package).args(["usr", "-type", "f", "-exec", "md5sum", "{}", "+"]);
    let sums = output(&mut sums)?;
    let mut sums: Vec<&str> = sums.lines().collect();
    sums.sort_by_key(|line| line.split_once("  ").map(|(_, path)| path));
    write(&folder.join("md5sums"), &(sums.join("\n") + "\n"))?;
    let mut size = command("du");
    size.args(["--summarize", "--apparent-size", "--block-size=1024"]);
    let size = output(size.arg(package.join("usr")))?;
    let template = root().join("packaging/deb/control.in");
    let text = fs::read_to_string(&template).map_err(Error::io("read", &template))?;
    let text = text.replace("@VERSION@", release.version).replace("@DEPENDS@", &depends(package)?);
    let size = size.split_whitespace().next().unwrap_or_default();
    write(&folder.join("control"), &text.replace("@INSTALLED_SIZE@", size))
}

/// The Debian packages whose libraries the programs, the engine and libtorch use.
fn depends(package: &Path) -> Result<String> {
    // dpkg-shlibdeps wants to stand in a source package.
    let source = package.with_file_name("shlibdeps");
    write(
        &source.join("debian/control"),
        "Source: pellucid\n\nPackage: pellucid\nArchitecture: amd64\n",
    )?;
    let mut shlibdeps = command("dpkg-shlibdeps");
    shlibdeps.current_dir(&source).env_remove("LD_LIBRARY_PATH").args(["-O", "--warnings=0"]);
    shlibdeps.arg("--ignore-missing-info");
    let usr = package.join("usr");
    for folder in ["lib", "lib/pellucid"] {
        shlibdeps.arg(format!("-l{}", usr.join(folder).display()));
        shlibdeps.args(objects(&usr.join(folder))?);
    }
    shlibdeps.args(objects(&usr.join("bin"))?);
    let answer = output(&mut shlibdeps)?;
    fs::remove_dir_all(&source).map_err(Error::io("remove", &source))?;
    let depends = answer.lines().find_map(|line| line.strip_prefix("shlibs:Depends="));
    let missing = Error::Output { command: "dpkg-shlibdeps".into(), need: "shlibs:Depends" };
    Ok(depends.ok_or(missing)?.to_owned())
}

/// The plain files of a folder: here, programs and libraries.
fn objects(folder: &Path) -> Result<Vec<PathBuf>> {
    let entries = fs::read_dir(folder).map_err(Error::io("list", folder))?;
    let mut paths = Vec::new();
    for entry in entries {
        let entry = entry.map_err(Error::io("list", folder))?;
        if entry.file_type().is_ok_and(|kind| kind.is_file()) {
            paths.push(entry.path());
        }
    }
    paths.sort();
    Ok(paths)
}

fn beside(tree: &Path) -> &Path {
    tree.parent().expect("because the tree lies in a folder of its own")
}
