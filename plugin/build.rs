//! Link arguments of libpellucid.so.

use std::env;

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rerun-if-env-changed=LIBTORCH");
    let mut args = vec![
        "-Wl,-soname,libpellucid.so.1".to_owned(),
        // Threads, the panic hook and the logger live in the library: it must never be unmapped.
        "-Wl,-z,nodelete".to_owned(),
        // C++ code of libtorch's shim is linked in; none of its symbols is ours to offer.
        "-Wl,--exclude-libs,ALL".to_owned(),
        "-Wl,-z,relro,-z,now".to_owned(),
        "-Wl,-rpath,$ORIGIN".to_owned(),
    ];
    if env::var_os("CARGO_FEATURE_TORCH").is_some()
        && let Ok(libtorch) = env::var("LIBTORCH")
    {
        args.push(format!("-Wl,-rpath,{libtorch}/lib"));
    }
    for arg in args {
        println!("cargo:rustc-cdylib-link-arg={arg}");
    }
}
