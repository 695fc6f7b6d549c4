//! Running other programs from the root of the workspace.

use std::env;
use std::ffi::OsString;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use crate::error::{Error, Result};

/// The root of the workspace this xtask was built in.
pub(crate) fn root() -> &'static Path {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.ancestors().nth(2).expect("because xtask lives in packaging/xtask")
}

/// The release folder: executables, the plugin and its symbols.
pub(crate) fn release_dir() -> PathBuf {
    env::var_os("CARGO_TARGET_DIR")
        .map_or_else(|| root().join("target"), |dir| root().join(dir))
        .join("release")
}

/// Whether a machine and not a person reads the output.
pub(crate) fn ci() -> bool {
    env::var_os("CI").is_some_and(|value| !value.is_empty() && value != "false")
}

/// `program`, to be started in the root of the workspace.
pub(crate) fn command(program: impl Into<OsString>) -> Command {
    let mut command = Command::new(program.into());
    command.current_dir(root());
    command
}

/// The cargo that started this xtask. In CI the committed Cargo.lock is law.
pub(crate) fn cargo(subcommand: &str) -> Command {
    let mut cargo = command(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.arg(subcommand);
    if ci() && subcommand != "fmt" {
        cargo.arg("--locked");
    }
    cargo
}

/// The command much as a user would type it, without the program's folder.
pub(crate) fn display(command: &Command) -> String {
    let program = command.get_program();
    let program = Path::new(program).file_name().unwrap_or(program);
    let words = std::iter::once(program).chain(command.get_args());
    words.map(|word| word.to_string_lossy()).collect::<Vec<_>>().join(" ")
}

/// Announce the command, run it, and fail if it fails.
pub(crate) fn run(command: &mut Command) -> Result<()> {
    eprintln!("$ {}", display(command));
    let status = command.status().map_err(spawn_error(command))?;
    succeed(command, status)
}

/// Run quietly and return standard output.
pub(crate) fn output(command: &mut Command) -> Result<String> {
    let output = command.stderr(Stdio::inherit()).output().map_err(spawn_error(command))?;
    succeed(command, output.status)?;
    String::from_utf8(output.stdout)
        .map_err(|_| Error::Output { command: display(command), need: "UTF-8" })
}

/// Run with `text` on standard input.
pub(crate) fn run_with_input(command: &mut Command, text: &str) -> Result<()> {
    let mut child = command.stdin(Stdio::piped()).spawn().map_err(spawn_error(command))?;
    let mut stdin = child.stdin.take().expect("because stdin is piped");
    // A child that gave up early reports by its exit status, not by a broken pipe here.
    let _ = stdin.write_all(text.as_bytes());
    drop(stdin);
    let status = child.wait().map_err(spawn_error(command))?;
    succeed(command, status)
}

/// Whether the command can be started and succeeds, its output discarded.
pub(crate) fn succeeds(command: &mut Command) -> bool {
    let status = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status();
    status.is_ok_and(|status| status.success())
}

/// Run `work` under a heading and return how long it took.
pub(crate) fn timed<T>(name: &str, work: impl FnOnce() -> Result<T>) -> Result<(T, Duration)> {
    eprintln!("== {name}");
    let start = Instant::now();
    let value = work()?;
    let took = start.elapsed();
    eprintln!("== {name}: {:.1} s", took.as_secs_f64());
    Ok((value, took))
}

fn succeed(command: &Command, status: ExitStatus) -> Result<()> {
    if status.success() {
        return Ok(());
    }
    Err(Error::Failed { command: display(command), status: status.to_string() })
}

fn spawn_error(command: &Command) -> impl FnOnce(std::io::Error) -> Error {
    let program = command.get_program().to_string_lossy().into_owned();
    move |source| Error::Spawn { program, source }
}
