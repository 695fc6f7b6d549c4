//! Size and place of every field, in C and in Rust.

use std::fmt::Write as _;
use std::process::Command;

use pellucid_ffi::*;
use pellucid_tests::c;

macro_rules! structs {
    ($($name:ident)*) => {
        &[$((stringify!($name), size_of::<$name>(), $name::FIELDS)),*]
    };
}

type Layout = (&'static str, usize, &'static [(&'static str, usize)]);

const STRUCTS: &[Layout] = structs! {
    pellucid_array pellucid_host pellucid_device pellucid_lookup_table pellucid_wcs_callback
    pellucid_psf_callback pellucid_exposure_desc pellucid_job_desc pellucid_progress pellucid_mem
    pellucid_api pellucid_predict_ext
};

/// Since no struct has padding, a field ends where the next begins.
fn fields((_, size, fields): &Layout) -> impl Iterator<Item = (&'static str, usize, usize)> {
    let ends = fields.iter().skip(1).map(|field| field.1).chain([*size]);
    fields.iter().zip(ends).map(|((name, start), end)| (*name, *start, end - start))
}

#[test]
fn c_and_rust_agree() {
    let mut program = String::from(
        "#include <stdio.h>\n#include <pellucid/pellucid.h>\n#define F(s, f) \
         printf(#s \".\" #f \" %lu %lu\\n\", (unsigned long)offsetof(s, f), \
         (unsigned long)sizeof(((s *)0)->f))\nint main(void) {\n",
    );
    let mut expected = String::new();
    for layout in STRUCTS {
        let (name, size, _) = layout;
        writeln!(program, "printf(\"{name} %lu\\n\", (unsigned long)sizeof({name}));").unwrap();
        writeln!(expected, "{name} {size}").unwrap();
        for (field, offset, size) in fields(layout) {
            writeln!(program, "F({name}, {field});").unwrap();
            writeln!(expected, "{name}.{field} {offset} {size}").unwrap();
        }
    }
    program += "return 0; }\n";
    let folder = c::scratch("layout");
    std::fs::write(folder.join("layout.c"), program).expect("the folder is writable");
    let source = folder.join("layout.c");
    let program = c::compile(source.to_str().expect("UTF-8"), "c99", &folder);
    let output = Command::new(program).output().expect("it runs");
    assert_eq!(String::from_utf8_lossy(&output.stdout), expected);
}
