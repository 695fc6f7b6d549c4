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
    let program = folder.join(source).with_extension(standard);
    let compiler = if standard.starts_with("c++") { "g++" } else { "gcc" };
    let language = if standard.starts_with("c++") { "c++" } else { "c" };
    let mut command = Command::new(compiler);
    command.args(["-Wall", "-Wextra", "-pedantic", "-Werror", "-O1", "-g"]);
    command.arg(format!("-std={standard}")).args(["-x", language]);
    command.arg("-I").arg(root().join("include"));
    command.arg(root().join("tests/c").join(source)).arg("-o").arg(&program);
    command.args(["-ldl", "-lpthread", "-lm"]);
    let output = command.output().expect("gcc and g++ are installed");
    assert!(output.status.success(), "{source} as {standard}:\n{}", printed(&output));
    program
}

/// What a program printed, both streams.
pub fn printed(output: &Output) -> String {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    text(&output.stdout) + &text(&output.stderr)
}
