//! Programs and folders of these tests.

use std::ffi::OsStr;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::OnceLock;

/// A folder of the test's own, gone when the test is.
pub struct Folder(PathBuf);

impl Folder {
    pub fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("pellucid-cpl-{}-{name}", std::process::id()));
        let _ = std::fs::remove_dir_all(&path);
        std::fs::create_dir_all(path.join("products")).unwrap();
        Self(path)
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    pub fn text(&self, name: &str) -> String {
        self.path(name).display().to_string()
    }

    /// Names of the FITS files among the products, sorted.
    pub fn products(&self) -> Vec<String> {
        names(&self.path("products"))
    }

    /// A set of frames, a line of file and tag each.
    pub fn set_of_frames(&self, name: &str, frames: &[(String, &str)]) -> String {
        let lines = frames.iter().map(|(file, tag)| format!("{file} {tag}\n"));
        std::fs::write(self.path(name), lines.collect::<String>()).unwrap();
        self.text(name)
    }

    /// `esorex`, to be started here, products to `products`.
    pub fn esorex<S: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = S>) -> Command {
        let mut command = Command::new("esorex");
        command.current_dir(&self.0);
        command.arg(format!("--recipe-dir={}", recipe_folder().display()));
        command.arg(format!("--log-dir={}", self.0.display()));
        command.arg(format!("--output-dir={}", self.path("products").display()));
        command.args(args);
        command
    }

    /// What the recipe leaves where it runs: EsoRex moves products away when all is done.
    pub fn litter(&self) -> Vec<String> {
        names(&self.0).into_iter().filter(|name| name.starts_with("pellucid_sample")).collect()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn names(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).unwrap();
    let mut names: Vec<_> =
        entries.map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
    names.retain(|name| name.ends_with(".fits"));
    names.sort();
    names
}

/// What a program printed, both streams.
pub fn printed(output: &Output) -> String {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    text(&output.stdout) + &text(&output.stderr)
}

/// Its output, if it went well.
#[track_caller]
pub fn works(command: &mut Command) -> String {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}\n{}", printed(&output));
    printed(&output)
}

/// `cargo xtask recipe`, once; what it said.
pub fn built() -> &'static str {
    static SAID: OnceLock<String> = OnceLock::new();
    SAID.get_or_init(|| works(Command::new(env!("CARGO_BIN_EXE_xtask")).arg("recipe")))
}

fn release() -> PathBuf {
    let test = std::env::current_exe().unwrap();
    test.ancestors().nth(2).expect("tests are in release/deps").to_owned()
}

pub fn recipe_folder() -> PathBuf {
    let line = built().lines().find_map(|line| line.strip_prefix("recipe: "));
    Path::new(line.expect("xtask says where it is")).parent().unwrap().to_owned()
}

/// Whether EsoRex and the recipe are here; if not, says that the test is skipped.
pub fn esorex(test: &str) -> bool {
    if Command::new("esorex").arg("--version").output().is_err() {
        return skipped(test, "esorex is not installed");
    }
    if built().contains("skipped") {
        return skipped(test, "libcpl-dev is not installed");
    }
    true
}

/// Whether there are, besides, a real engine and the command-line host that `cargo xtask build` made.
pub fn engine(test: &str) -> bool {
    if !esorex(test) {
        return false;
    }
    if !plugin().is_file() || !release().join("pellucid").is_file() {
        return skipped(test, "`cargo xtask build` was not run");
    }
    let said = printed(&pellucid(["doctor"]).output().unwrap());
    if said.contains("engine: stub") {
        return skipped(test, "the engine is the stub");
    }
    assert!(said.contains("ok    ABI"), "{said}");
    true
}

/// The engine: what PELLUCID_PLUGIN names, else the one of the build.
pub fn plugin() -> PathBuf {
    let named = std::env::var_os("PELLUCID_PLUGIN").map(PathBuf::from);
    named.unwrap_or_else(|| release().join("libpellucid.so"))
}

/// The command-line host.
pub fn pellucid<S: AsRef<OsStr>>(args: impl IntoIterator<Item = S>) -> Command {
    let mut command = Command::new(release().join("pellucid"));
    command.env("PELLUCID_PLUGIN", plugin()).args(args);
    command
}

/// Straight to the stream: the test harness hides what eprintln! writes.
pub fn skipped(test: &str, why: &str) -> bool {
    let _ = writeln!(std::io::stderr(), "SKIPPED: {test}: {why}");
    false
}
