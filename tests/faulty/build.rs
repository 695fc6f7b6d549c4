//! Linked as libpellucid.so.1 is, so that only the planted fault differs.

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    for arg in ["-Wl,-soname,libpellucid.so.1", "-Wl,-z,nodelete", "-Wl,--exclude-libs,ALL"] {
        println!("cargo:rustc-cdylib-link-arg={arg}");
    }
}
