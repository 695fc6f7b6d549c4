//! `dist`: a tarball and a .deb of everything a host needs, and the proof that they work.
//!
//! One tree serves both: whatever its prefix, programs find the plugin, the plugin its engine, the
//! engine libtorch and the models, each by where it lies itself. libtorch (0.36 GB stripped) has a
//! private folder beside the plugin's engine: no other program sees it, and no other libtorch is
//! taken for it.

mod pack;
mod paths;
mod stage;
mod verify;

use std::fs;
use std::path::{Path, PathBuf};

use crate::error::{Error, Result};
use crate::packages::Purpose;
use crate::process::{command, output, release_dir, root, timed};
use crate::setup::{self, Libtorch, Options as SetUp};
use crate::{build, recipe};

/// The flags of `dist`.
#[derive(Debug, Default)]
pub(crate) struct Options {
    /// Pack without compression, verify, keep nothing.
    check: bool,
    /// Built files, instead of those of a build now.
    bin_dir: Option<PathBuf>,
}

impl Options {
    /// The flags of `dist`.
    pub(crate) fn parse(flags: &[&str]) -> Result<Self> {
        let mut options = Self::default();
        let mut flags = flags.iter();
        while let Some(flag) = flags.next() {
            match (*flag, flags.as_slice().first()) {
                ("--check", _) => options.check = true,
                ("--bin-dir", Some(dir)) => {
                    options.bin_dir = Some(root().join(dir));
                    flags.next();
                }
                _ => return Err(Error::Usage(format!("dist: cannot make sense of {flag}"))),
            }
        }
        Ok(options)
    }
}

/// How much to compress.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Compression {
    /// For a test.
    None,
    /// For shipping.
    Xz,
}

/// What is packed, and when it was made.
#[derive(Debug)]
struct Release {
    version: &'static str,
    /// Of the commit, so that the same commit gives the same bytes: reproducible-builds.org/specs/source-date-epoch
    epoch_s: u64,
}

impl Release {
    fn new() -> Result<Self> {
        // One version for the whole workspace, this crate included.
        let version = env!("CARGO_PKG_VERSION");
        let given = std::env::var("SOURCE_DATE_EPOCH").ok().and_then(|text| text.parse().ok());
        if let Some(epoch_s) = given {
            return Ok(Self { version, epoch_s });
        }
        let mut git = command("git");
        git.args(["-c", "safe.directory=*", "log", "-1", "--format=%ct"]);
        let epoch_s = output(&mut git)?.trim().parse();
        let unclear = |_| Error::Output { command: "git log".into(), need: "commit time" };
        Ok(Self { version, epoch_s: epoch_s.map_err(unclear)? })
    }
}

/// Set up, build, pack, verify.
pub(crate) fn run(options: &Options) -> Result<()> {
    let (libtorch, _) = timed("set-up", || setup::run(&SetUp::of(Purpose::Test)))?;
    if options.check {
        if options.bin_dir.is_none() {
            timed("build", || build::compile(&libtorch))?;
            timed("recipe", recipe::build)?;
        }
        return check(&libtorch, &options.bin_dir.clone().unwrap_or_else(release_dir));
    }
    let built = match &options.bin_dir {
        Some(folder) => folder.clone(),
        None => {
            let target = build_for_others();
            timed("build", || build::compile_for_others(&libtorch, &target))?;
            target.join("release")
        }
    };
    let folder = release_dir().with_file_name("dist");
    let release = Release::new()?;
    let packages = timed("pack", || pack(&release, &libtorch, &built, &folder, Compression::Xz))?.0;
    timed("verify", || verify::packages(&packages, &folder.join("verify")))?;
    for package in packages.files() {
        let size = package.metadata().map_err(Error::io("read", package))?.len();
        println!("{}  {:.1} MB", package.display(), size as f64 / 1e6);
    }
    Ok(())
}

/// Pack what is built without compression, twice to the same bytes, verify it, keep nothing.
pub(crate) fn check(libtorch: &Libtorch, built: &Path) -> Result<()> {
    let folder = release_dir().with_file_name(format!("dist-check-{}", std::process::id()));
    let again = folder.join("again");
    // Of one moment: a commit between the two would make two releases.
    let release = Release::new()?;
    let verified = timed("pack", || pack(&release, libtorch, built, &folder, Compression::None))
        .and_then(|(packages, _)| {
            timed("pack again", || {
                verify::same(
                    &packages,
                    &pack(&release, libtorch, built, &again, Compression::None)?,
                )
            })?;
            timed("verify", || verify::packages(&packages, &folder))
        });
    fs::remove_dir_all(&folder).map_err(Error::io("remove", &folder))?;
    verified.map(drop)
}

/// The target folder of builds that name no path of this machine.
fn build_for_others() -> PathBuf {
    release_dir().with_file_name("dist-build")
}

fn pack(
    release: &Release,
    libtorch: &Libtorch,
    built: &Path,
    folder: &Path,
    compression: Compression,
) -> Result<pack::Packages> {
    if folder.exists() {
        fs::remove_dir_all(folder).map_err(Error::io("remove", folder))?;
    }
    let tree = folder.join(format!("pellucid-{}-x86_64-linux", release.version));
    stage::tree(release, libtorch, built, &tree)?;
    let named = paths::named(&tree)?;
    // A build for tests has them.
    if built.starts_with(build_for_others()) && !named.is_empty() {
        let rule = "no path of this machine in what is packed";
        return Err(Error::Rules { rule, broken: named });
    }
    if compression == Compression::Xz {
        named.iter().for_each(|named| eprintln!("dist: {named}"));
    }
    pack::packages(release, &tree, compression)
}
