//! The Python host against the library that was built with this test.

use std::io::Write;
use std::process::Command;

use pellucid_tests::{c, prior};

#[test]
fn a_python_host_goes_from_an_exposure_to_samples() {
    if !cfg!(feature = "torch") {
        return;
    }
    let numpy = Command::new("python3").args(["-c", "import numpy"]).output();
    if !numpy.is_ok_and(|output| output.status.success()) {
        // Straight to the stream: the test harness hides what eprintln! writes.
        let _ = writeln!(std::io::stderr(), "SKIPPED: the Python host: no python3 with numpy");
        return;
    }
    let folder = c::scratch("python");
    prior::write_gaussian_field(&folder.join("field.safetensors"), 32, 0.03);
    let mut host = Command::new("python3");
    host.arg(c::root().join("host-sdk/examples/host.py")).arg(c::plugin());
    let output = host.args(["field", "32", "0.03"]).arg(&*folder).output().expect("python3 runs");
    assert!(output.status.success(), "{}", c::printed(&output));
    assert!(String::from_utf8_lossy(&output.stdout).ends_with("ok\n"), "{}", c::printed(&output));
}
