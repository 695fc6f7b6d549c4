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

/// A type of the Rust tables as C writes it.
fn in_c(rust: &str) -> String {
    if let Some(to) = rust.strip_prefix("*const ") {
        // Const binds to what is on its left.
        return format!("{} const *", in_c(to));
    }
    if let Some(to) = rust.strip_prefix("*mut ") {
        return format!("{} *", in_c(to));
    }
    match rust {
        "" | "c_void" => "void",
        "c_char" => "char",
        "usize" => "size_t",
        "f64" => "double",
        "f32" => "float",
        "i32" => "int32_t",
        "i64" => "int64_t",
        "u32" => "uint32_t",
        "u64" => "uint64_t",
        "Err" => "pellucid_error **",
        name if name.starts_with("pellucid_") => name,
        other => panic!("{other} has no C name here"),
    }
    .to_owned()
}

/// Assigns each slot of the C table to a pointer of the Rust slot's type.
fn assignments(table: &str, slots: &[(&str, &[&str], &str)], but: &str) -> String {
    let mut text = format!("void check_{table}(const {table} *t);\n");
    writeln!(text, "void check_{table}(const {table} *t) {{").unwrap();
    for (slot, arguments, output) in slots {
        let mut list: Vec<_> = arguments.iter().map(|a| in_c(a)).collect();
        if *slot == but {
            list[0] = "const char *".into();
        }
        let list = if list.is_empty() { "void".into() } else { list.join(", ") };
        writeln!(text, "{{ {} (*f)({list}) = t->{slot}; (void)f; }}", in_c(output)).unwrap();
    }
    text + "}\n"
}

#[test]
fn c_and_rust_agree_on_every_prototype() {
    let folder = c::scratch("prototypes");
    let source = folder.join("prototypes.c");
    let compiles = |but| {
        let mut program = String::from("#include <pellucid/pellucid.h>\n");
        program += &assignments("pellucid_api", pellucid_api::SIGNATURES, but);
        program += &assignments("pellucid_predict_ext", pellucid_predict_ext::SIGNATURES, "");
        std::fs::write(&source, program).expect("the folder is writable");
        let mut command = Command::new("gcc");
        command.args(["-std=c11", "-Wall", "-Wextra", "-pedantic", "-Werror", "-fsyntax-only"]);
        command.arg("-I").arg(c::root().join("include")).arg(&source);
        let output = command.output().expect("gcc is installed");
        output.status.success().then_some(()).ok_or_else(|| c::printed(&output))
    };
    assert_eq!(compiles(""), Ok(()));
    let wrong = compiles("job_wait").expect_err("one prototype is wrong");
    assert!(wrong.contains("incompatible") && wrong.contains("job_wait"), "{wrong}");
}

/// The interface as it was at each minor, one line a constant, size or field.
fn contract() -> Vec<String> {
    let codes = std::fs::read_to_string(c::root().join("ffi/src/codes.rs")).expect("in the tree");
    let constants = crate::header::constants(&codes);
    let mut lines: Vec<_> =
        constants.into_iter().map(|(name, value)| format!("{name} = {value}")).collect();
    for layout in STRUCTS {
        let fields = fields(layout)
            .map(|(field, offset, size)| format!("{}.{field}: {size} bytes at {offset}", layout.0));
        lines.extend(fields);
    }
    lines
}

#[test]
fn the_interface_only_grows() {
    let frozen = include_str!("interface-1.txt");
    let now = contract();
    let gone: Vec<_> = frozen
        .lines()
        .filter(|line| !line.starts_with('#') && !now.iter().any(|have| have == line))
        .collect();
    assert!(gone.is_empty(), "an incompatible change, which needs a new PELLUCID_ABI: {gone:?}");
    let new: Vec<_> =
        now.iter().filter(|line| !frozen.lines().any(|old| old == line.as_str())).collect();
    assert!(new.is_empty(), "raise PELLUCID_ABI_MINOR and add to interface-1.txt: {new:#?}");
}
