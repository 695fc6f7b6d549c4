//! The shared library as the linker sees it.

use std::process::Command;

use pellucid_tests::c;

fn run(tool: &str, arguments: &[&str]) -> String {
    let output = Command::new(tool).args(arguments).arg(c::plugin()).output();
    let output = output.unwrap_or_else(|error| panic!("{tool} (binutils): {error}"));
    assert!(output.status.success(), "{}", c::printed(&output));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn it_exports_one_symbol() {
    let symbols = run("nm", &["-D", "--defined-only"]);
    let names: Vec<_> = symbols.lines().map(|line| line.split(' ').next_back()).collect();
    assert_eq!(names, [Some("pellucid_get_api")], "{symbols}");
}

#[test]
fn it_has_its_soname_and_stays_loaded() {
    let dynamic = run("readelf", &["-d"]);
    assert!(dynamic.contains("soname: [libpellucid.so.1]"), "{dynamic}");
    assert!(dynamic.lines().any(|l| l.contains("FLAGS_1") && l.contains("NODELETE")), "{dynamic}");
    assert!(dynamic.contains("$ORIGIN"), "{dynamic}");
}
