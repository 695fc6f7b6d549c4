//! Loading with layout checks. `PELLUCID_LOADER` names the installed kind of plugin, which has the
//! root module: `cargo xtask test` sets it.
#![cfg(feature = "abi-stable")]

use std::io::Write;
use std::path::PathBuf;

use pellucid_host::HostError;
use pellucid_host::session::Plugin;

#[test]
fn an_installed_plugin_is_laid_out_as_this_host() {
    let Some(path) = std::env::var_os("PELLUCID_LOADER").map(PathBuf::from) else {
        let _ =
            writeln!(std::io::stderr(), "SKIPPED: loading with layout checks: no PELLUCID_LOADER");
        return;
    };
    let checked = Plugin::load_checked(&path).expect("it was built with this host");
    let plain = Plugin::load(&path).expect("it is a plugin");
    assert_eq!((checked.abi(), checked.version()), (plain.abi(), plain.version()));
    assert!(checked.can_predict());
}

#[test]
fn a_library_without_a_root_module_is_refused() {
    let no_plugin = std::fs::read_dir("/usr/lib/x86_64-linux-gnu").into_iter().flatten().flatten();
    let library = no_plugin.map(|entry| entry.path()).find(|path| path.ends_with("libm.so.6"));
    let Some(library) = library else {
        let _ =
            writeln!(std::io::stderr(), "SKIPPED: a library without a root module: no libm.so.6");
        return;
    };
    let error = Plugin::load_checked(&library).expect_err("it is no plugin");
    assert!(matches!(error, HostError::PluginLoad { .. }), "{error}");
}
