//! libtorch: the user's own, or a per-user cache made from published wheels.
//!
//! The cache holds the CPU half only (0.5 GB, not 3.5). Without libtorch_cuda.so torch-sys links none,
//! so one plugin binary runs on CPUs and, beside a full install, on GPUs.

use std::env;
use std::fs::{self, File};
use std::path::{Path, PathBuf};

use crate::error::{Error, Result};
use crate::manifest::Manifest;
use crate::process::{command, run};
use crate::wheel::WHEELS;

/// The version that tch 0.24 binds.
const VERSION: &str = "2.11.0";
/// torch-sys asks for a libtorch.so; the wheel's own would pull in CUDA.
const LINKER_SCRIPT: &str = "INPUT(libtorch_cpu.so)\n";

/// Where libtorch comes from.
#[derive(Debug)]
pub(crate) enum Source {
    /// `LIBTORCH`, version checked.
    User(PathBuf),
    /// The per-user cache.
    Cache { dir: PathBuf, check: Check, sound: bool },
}

/// How closely to look at the cache.
type Check = fn(&Path) -> Result<()>;

impl Source {
    /// `LIBTORCH` if set, else the cache. `verify`: look at its every byte, not just at sizes.
    pub(crate) fn find(verify: bool) -> Result<Self> {
        if let Some(path) = env::var_os("LIBTORCH").filter(|path| !path.is_empty()) {
            let path = PathBuf::from(path);
            check_version(&path)?;
            return Ok(Self::User(path));
        }
        let dir = cache_dir(env::var_os("XDG_CACHE_HOME").map(PathBuf::from), env::home_dir())?;
        let check = if verify { Manifest::check_bytes } else { Manifest::check_sizes };
        let sound = check(&folder(&dir)).is_ok();
        Ok(Self::Cache { dir, check, sound })
    }

    /// Whether `provide` will download.
    pub(crate) fn needs_fetching(&self) -> bool {
        matches!(self, Self::Cache { sound: false, .. })
    }

    /// The libtorch folder, fetched if need be.
    pub(crate) fn provide(&self) -> Result<PathBuf> {
        match self {
            Self::User(path) => Ok(path.clone()),
            Self::Cache { dir, check, sound } => {
                if !sound {
                    install(dir, *check)?;
                }
                Ok(folder(dir))
            }
        }
    }
}

fn folder(dir: &Path) -> PathBuf {
    dir.join(format!("libtorch-{VERSION}"))
}

/// The XDG base directory specification, "XDG_CACHE_HOME": relative values are to be ignored.
fn cache_dir(xdg: Option<PathBuf>, home: Option<PathBuf>) -> Result<PathBuf> {
    let base =
        xdg.filter(|path| path.is_absolute()).or_else(|| home.map(|home| home.join(".cache")));
    let none = || Error::Environment("neither XDG_CACHE_HOME, HOME nor LIBTORCH is set".into());
    base.map(|base| base.join("pellucid")).ok_or_else(none)
}

fn install(dir: &Path, check: Check) -> Result<()> {
    if env::consts::ARCH != "x86_64" || env::consts::OS != "linux" {
        let what =
            format!("no packaged libtorch for this machine; set LIBTORCH to libtorch {VERSION}");
        return Err(Error::Environment(what));
    }
    fs::create_dir_all(dir).map_err(Error::io("create", dir))?;
    // The kernel drops the lock with the process, however that ends.
    let lock_path = dir.join("lock");
    let lock = File::create(&lock_path).map_err(Error::io("create", &lock_path))?;
    if lock.try_lock().is_err() {
        eprintln!("set-up: waiting for another set-up in {}", dir.display());
        lock.lock().map_err(Error::io("lock", &lock_path))?;
    }
    let target = folder(dir);
    match check(&target) {
        Ok(()) => return Ok(()),
        Err(error) if target.exists() => eprintln!("set-up: fetching libtorch anew: {error}"),
        Err(_) => eprintln!("set-up: fetching libtorch {VERSION} (0.55 GB) into {}", dir.display()),
    }
    remove_partial(dir)?;
    let downloads = dir.join("downloads");
    let partial = dir.join(format!("libtorch-{VERSION}.partial-{}", std::process::id()));
    unpack(&downloads, &partial)?;
    // One syncfs instead of an fsync for each of nine thousand headers.
    run(command("sync").arg("--file-system").arg(&partial))?;
    if target.exists() {
        let old = partial.with_extension(format!("partial-{}-old", std::process::id()));
        fs::rename(&target, &old).map_err(Error::io("move aside", &target))?;
    }
    fs::rename(&partial, &target).map_err(Error::io("rename", &partial))?;
    remove_partial(dir)?;
    fs::remove_dir_all(&downloads).map_err(Error::io("remove", &downloads))
}

fn unpack(downloads: &Path, partial: &Path) -> Result<()> {
    let mut manifest = Manifest::new(partial);
    for wheel in WHEELS {
        let file = wheel.fetch(downloads)?;
        eprintln!("set-up: unpacking {}", wheel.file);
        wheel.unpack(&file, &mut manifest)?;
    }
    manifest.add("lib/libtorch.so", &mut LINKER_SCRIPT.as_bytes())?;
    manifest.add("build-version", &mut format!("{VERSION}\n").as_bytes())?;
    manifest.write()
}

/// Remove what a killed set-up left; the lock is held, so no living one owns it.
fn remove_partial(dir: &Path) -> Result<()> {
    for entry in fs::read_dir(dir).map_err(Error::io("list", dir))? {
        let path = entry.map_err(Error::io("list", dir))?.path();
        if path.file_name().is_some_and(|name| name.to_string_lossy().contains(".partial-")) {
            fs::remove_dir_all(&path).map_err(Error::io("remove", &path))?;
        }
    }
    Ok(())
}

fn check_version(path: &Path) -> Result<()> {
    let header = path.join("include/torch/headeronly/version.h");
    let text = fs::read_to_string(path.join("build-version"));
    let version =
        text.ok().or_else(|| fs::read_to_string(&header).ok().as_deref().and_then(header_version));
    let got = version.as_deref().map_or("unknown (no build-version, no version.h)", str::trim);
    if got.split('+').next() == Some(VERSION) {
        return Ok(());
    }
    Err(Error::Version { path: path.to_owned(), need: VERSION, got: got.to_owned() })
}

/// The version in torch/headeronly/version.h.
fn header_version(text: &str) -> Option<String> {
    let number = |name: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix("#define ")?.strip_prefix(name));
        line.map(str::trim)
    };
    let parts =
        ["TORCH_VERSION_MAJOR ", "TORCH_VERSION_MINOR ", "TORCH_VERSION_PATCH "].map(number);
    let [Some(major), Some(minor), Some(patch)] = parts else {
        return None;
    };
    Some(format!("{major}.{minor}.{patch}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cache_follows_xdg() {
        let home = Some(PathBuf::from("/home/a"));
        let dir = |xdg: Option<&str>| cache_dir(xdg.map(PathBuf::from), home.clone());
        assert_eq!(dir(None).expect("because HOME is set"), Path::new("/home/a/.cache/pellucid"));
        assert_eq!(dir(Some("/x")).expect("because it is absolute"), Path::new("/x/pellucid"));
        assert_eq!(
            dir(Some("x")).expect("because HOME is set"),
            Path::new("/home/a/.cache/pellucid")
        );
        assert!(cache_dir(None, None).is_err());
    }

    #[test]
    fn version_from_header() {
        let text = "#define TORCH_VERSION_MAJOR 2\n#define TORCH_VERSION_MINOR 11\n\
                    #define TORCH_VERSION_PATCH 0\n";
        assert_eq!(header_version(text).as_deref(), Some("2.11.0"));
        assert_eq!(header_version("#define TORCH_VERSION_MAJOR 2\n"), None);
    }
}
