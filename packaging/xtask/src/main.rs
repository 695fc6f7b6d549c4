//! Set-up, build, test and packaging commands: `cargo xtask`.

mod abi;
mod bench;
mod build;
mod demo;
mod deps;
mod dist;
mod download;
mod error;
mod fuzz;
mod header;
mod layout;
mod libtorch;
mod manifest;
mod packages;
mod process;
mod recipe;
mod setup;
mod wheel;
mod witness;

use std::process::ExitCode;

use error::{Error, Result};
use packages::Purpose;

const USAGE: &str = "\
usage: cargo xtask COMMAND

  setup [--all] [--verify]  install what is missing; --all: also what only some tests need;
                            --verify: look at every byte of the libtorch cache, repair it
  env                       shell lines that let plain cargo find libtorch: eval \"$(cargo xtask env)\"
  build                     set-up, then the whole workspace, release profile, and the recipe
  recipe                    the EsoRex recipe, where CPL is installed: target/release/cpl/pellucid_sample.so
  check                     rustfmt, clippy -D warnings, deps, header
  test                      set-up, check, build, abi, dist --check, then every test and doc test
  demo                      set-up, build, simulate four exposures, sample, write FITS and PNG to demo/
  bench NAME [--json F]     set-up, then one statistical or speed bench; bench --list names them
  dist [--check] [--bin-dir DIR]  set-up, build, tarball and .deb in target/dist, both installed and used;
                            --check: keep nothing; --bin-dir: pack what is built there
  deps                      dependency arrows, top-level folders, file lengths
  header                    compile the public headers as C89, C99, C11, C++17 and C++20
  abi [--update]            symbols and soname of the built plugin, types of the header against
                            the baseline; --update: the header of today becomes the baseline
  fuzz [TARGET] [--seconds N]  the parsers and the C interface under libFuzzer and AddressSanitizer, 600 s a
                            target; findings in target/fuzz/found (targets: tests/fuzz/README.md)
  miri                      tests of the C boundary under Miri (needs a nightly with miri), minutes

exit codes: 0 done, 1 failed, 2 wrong usage
";

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = args.iter().map(String::as_str).collect();
    match dispatch(&words) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("xtask: {error}");
            ExitCode::from(if matches!(error, Error::Usage(_)) { 2 } else { 1 })
        }
    }
}

fn dispatch(words: &[&str]) -> Result<()> {
    match words {
        [] | ["help" | "-h" | "--help", ..] => {
            print!("{USAGE}");
            Ok(())
        }
        ["setup", flags @ ..] => setup::run(&setup::Options::parse(flags)?).map(drop),
        ["env"] => setup::print_env(),
        ["build"] => build::build().map(drop),
        ["check"] => build::check(Purpose::default()).map(drop),
        ["test"] => build::test(),
        ["demo"] => demo::run(),
        ["bench", "--list"] => bench::list(),
        ["bench", name] => bench::run(name, None),
        ["bench", name, "--json", file] | ["bench", "--json", file, name] => {
            bench::run(name, Some(file))
        }
        ["dist", flags @ ..] => dist::run(&dist::Options::parse(flags)?),
        ["deps"] => deps::run().and_then(|()| layout::run()),
        ["header"] => header::run(),
        ["abi"] => abi::run(),
        ["abi", "--update"] => witness::run(true),
        ["fuzz", words @ ..] => fuzz::run(words),
        ["miri"] => build::miri(),
        ["recipe"] => recipe::build(),
        _ => Err(Error::Usage(format!("cannot make sense of `{}`\n\n{USAGE}", words.join(" ")))),
    }
}
