//! The Python host against the library that was built with this test.

use std::io::Write;
use std::process::Command;

use pellucid_tests::{c, prior};

#[test]
fn a_python_host_goes_from_an_exposure_to_samples() {
    if !cfg!(feature = "torch") {
        return;
    }
    // The first in the path may be another than Debian's, which python3-numpy is for.
    let has_numpy = |python: &&str| {
        let imported = Command::new(python).args(["-c", "import numpy"]).output();
        imported.is_ok_and(|output| output.status.success())
    };
    let Some(python) = ["python3", "/usr/bin/python3"].into_iter().find(has_numpy) else {
        // Straight to the stream: the test harness hides what eprintln! writes.
        let _ = writeln!(std::io::stderr(), "SKIPPED: the Python host: no python3 with numpy");
        return;
    };
    let folder = c::scratch("python");
    prior::write_gaussian_field(&folder.join("field.safetensors"), 32, 0.03);
    let mut host = Command::new(python);
    host.arg(c::root().join("host-sdk/examples/host.py")).arg(c::plugin());
    let output = host.args(["field", "32", "0.03"]).arg(&*folder).output().expect("python3 runs");
    assert!(output.status.success(), "{}", c::printed(&output));
    assert!(String::from_utf8_lossy(&output.stdout).ends_with("ok\n"), "{}", c::printed(&output));
}
