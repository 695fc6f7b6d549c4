//! C hosts against the library that was built with this test: the real one, or the stub without
//! the feature `torch`.

use std::process::{Command, Output};

use pellucid_tests::{c, prior};

fn run(command: &mut Command) -> Output {
    let output = command.output().expect("the program runs");
    assert!(output.status.success(), "{}", c::printed(&output));
    output
}

#[test]
fn a_c_host_goes_from_exposures_to_samples() {
    let folder = c::scratch("host");
    let host = c::compile("host.c", "c99", &folder);
    let model = folder.join("field.safetensors");
    let (side, scale) = (32, 0.03);
    prior::write_gaussian_field(&model, side, scale);
    let name = if cfg!(feature = "torch") { "field" } else { "stub" };
    let mut command = Command::new(host);
    command.arg(c::plugin()).args([name, &side.to_string(), &scale.to_string()]).arg(&*folder);
    let output = run(&mut command);
    println!("{}", c::printed(&output));
    assert!(String::from_utf8_lossy(&output.stdout).ends_with("ok\n"));
}

#[test]
fn a_forked_child_is_told_so() {
    let folder = c::scratch("fork");
    let program = c::compile("fork.c", "c99", &folder);
    run(Command::new(program).arg(c::plugin()));
}

#[test]
fn nothing_starts_before_an_engine() {
    let folder = c::scratch("quiet");
    let program = c::compile("quiet.c", "c99", &folder);
    let output = run(Command::new(program).arg(c::plugin()));
    println!("{}", c::printed(&output));
}
