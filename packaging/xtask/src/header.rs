//! `header`: the public headers compile in every language they promise, also when included twice.

use std::env;

use crate::error::{Error, Result};
use crate::process::{command, root, run_with_input};

const FLAGS: &[&str] =
    &["-Wall", "-Wextra", "-pedantic", "-Werror", "-Wconversion", "-Wshadow", "-fsyntax-only"];

/// A header and what it promises to compile as.
struct Promise {
    header: &'static str,
    language: &'static str,
    /// Variable that names the compiler, and what to take without it.
    compiler: (&'static str, &'static str),
    standards: &'static [&'static str],
}

const C: (&str, &str) = ("CC", "cc");
const CXX: (&str, &str) = ("CXX", "c++");
const PROMISES: &[Promise] = &[
    Promise {
        header: "pellucid/pellucid.h",
        language: "c",
        compiler: C,
        standards: &["c89", "c99", "c11"],
    },
    Promise {
        header: "pellucid/pellucid.h",
        language: "c++",
        compiler: CXX,
        standards: &["c++17", "c++20"],
    },
    Promise {
        header: "pellucid/pellucid.hpp",
        language: "c++",
        compiler: CXX,
        standards: &["c++17", "c++20"],
    },
];

/// Compile all of them.
pub(crate) fn run() -> Result<()> {
    for Promise { header, language, compiler: (variable, default), standards } in PROMISES {
        let path = root().join("include").join(header);
        if let Err(source) = path.metadata() {
            return Err(Error::Io { what: "find", path, source });
        }
        let text =
            format!("#include <{header}>\n#include <{header}>\nint main(void) {{ return 0; }}\n");
        for standard in *standards {
            let mut compiler = command(env::var_os(variable).unwrap_or_else(|| default.into()));
            compiler.arg(format!("-std={standard}")).args(FLAGS);
            compiler.args(["-I", "include", "-x", language, "-"]);
            run_with_input(&mut compiler, &text)?;
            println!("header: {header} as {standard}");
        }
    }
    Ok(())
}
