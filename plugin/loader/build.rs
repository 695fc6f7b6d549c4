//! Link arguments of the installed libpellucid.so.1.

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    for arg in [
        "-Wl,-soname,libpellucid.so.1",
        // Hosts keep its table: it must never be unmapped.
        "-Wl,-z,nodelete",
        "-Wl,-z,relro,-z,now",
    ] {
        println!("cargo:rustc-cdylib-link-arg={arg}");
    }
}
