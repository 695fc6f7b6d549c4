//! C and C++ programs of these tests.

use std::ops::Deref;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// The repository.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("tests has a parent").to_owned()
}

/// The shared library that was built with the running test.
pub fn plugin() -> PathBuf {
    let test = std::env::current_exe().expect("a test has a path");
    let plugin = test.with_file_name("libpellucid.so");
    assert!(plugin.exists(), "{} was not built", plugin.display());
    plugin
}

/// A folder for a test's files, removed when dropped.
pub struct Scratch(PathBuf);

impl Deref for Scratch {
    type Target = Path;

    fn deref(&self) -> &Path {
        &self.0
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// A new folder, named after the test.
pub fn scratch(name: &str) -> Scratch {
    let folder = std::env::temp_dir().join(format!("pellucid-{}-{name}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("the temporary folder is writable");
    Scratch(folder)
}

/// Compiles `tests/c/<source>` strictly and returns the program.
pub fn compile(source: &str, standard: &str, folder: &Path) -> PathBuf {
    Build::new(standard).program(&[source], folder)
}

/// A strict compilation: every warning is an error.
pub struct Build {
    compiler: String,
    standard: String,
    include: PathBuf,
    flags: Vec<String>,
}

impl Build {
    /// With gcc, or g++ for a standard of C++, and the repository's headers.
    pub fn new(standard: &str) -> Self {
        Self {
            compiler: if standard.starts_with("c++") { "g++" } else { "gcc" }.into(),
            standard: standard.into(),
            include: root().join("include"),
            flags: Vec::new(),
        }
    }

    /// Another compiler.
    pub fn compiler(mut self, name: &str) -> Self {
        self.compiler = name.into();
        self
    }

    /// Another copy of the headers.
    pub fn include(mut self, folder: &Path) -> Self {
        self.include = folder.into();
        self
    }

    /// One more flag.
    pub fn flag(mut self, flag: impl Into<String>) -> Self {
        self.flags.push(flag.into());
        self
    }

    /// Compiles and links sources of `tests/c` (or of anywhere, by an absolute path).
    pub fn program(&self, sources: &[&str], folder: &Path) -> PathBuf {
        let name = Path::new(sources[0]).file_stem().expect("a source has a name");
        let program = folder.join(name).with_extension(&self.standard);
        let language = if self.standard.starts_with("c++") { "c++" } else { "c" };
        let mut command = Command::new(&self.compiler);
        command.args(["-Wall", "-Wextra", "-pedantic", "-Werror", "-O1", "-g"]);
        command.arg(format!("-std={}", self.standard)).args(["-x", language]).args(&self.flags);
        command.arg("-I").arg(&self.include);
        command.args(sources.iter().map(|source| root().join("tests/c").join(source)));
        command.arg("-o").arg(&program).args(["-ldl", "-lpthread", "-lm"]);
        let output = command.output().unwrap_or_else(|e| panic!("{}: {e}", self.compiler));
        assert!(output.status.success(), "{command:?}:\n{}", printed(&output));
        program
    }
}

/// What a program printed, both streams.
pub fn printed(output: &Output) -> String {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    text(&output.stdout) + &text(&output.stderr)
}
