//! Compiles the C shim against the installed wcslib headers and links libwcs dynamically (LGPL).

fn main() {
    println!("cargo:rerun-if-changed=shim/celestial.c");
    println!("cargo:rerun-if-changed=shim/celestial.h");
    cc::Build::new()
        .file("shim/celestial.c")
        .warnings(true)
        .extra_warnings(true)
        .warnings_into_errors(true)
        .compile("pellucid_wcslib_shim");
    println!("cargo:rustc-link-lib=dylib=wcs");
}
