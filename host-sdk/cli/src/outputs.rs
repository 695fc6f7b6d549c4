//! No output replaces an input, nor another output.

use std::path::{Path, PathBuf};

use crate::failure::Failure;

/// Refuses outputs that are the same file as an input or as one another, under whatever name.
/// Every path comes with the option or argument it was given as.
///
/// # Errors
/// [`Failure::Usage`] naming both.
pub fn check<'a>(
    outputs: &[(&str, &Path)],
    inputs: impl IntoIterator<Item = (&'a str, &'a Path)>,
) -> Result<(), Failure> {
    let mut taken: Vec<_> = inputs.into_iter().map(|(name, path)| (name, place(path))).collect();
    for &(name, path) in outputs {
        let here = place(path);
        if let Some((other, _)) = taken.iter().find(|(_, there)| *there == here) {
            let path = path.display();
            return Err(Failure::Usage(format!("{name} {path} would overwrite {other}")));
        }
        taken.push((name, here));
    }
    Ok(())
}

/// Where a path leads, links followed; a file that is not there yet has its folder's place.
fn place(path: &Path) -> PathBuf {
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    let new = || Some(folder.canonicalize().ok()?.join(path.file_name()?));
    path.canonicalize().ok().or_else(new).unwrap_or_else(|| path.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_do_not_hide_a_file() {
        let folder = std::env::temp_dir().join(format!("pellucid-outputs-{}", std::process::id()));
        std::fs::create_dir_all(folder.join("sub")).unwrap();
        let at = |name: &str| folder.join(name);
        std::fs::write(at("in.fits"), b"").unwrap();
        std::os::unix::fs::symlink(at("in.fits"), at("link.fits")).unwrap();
        let input = at("in.fits");
        let refused = |path: &Path| check(&[("-o", path)], [("the exposure", &*input)]).is_err();
        for same in ["in.fits", "sub/../in.fits", "link.fits"] {
            assert!(refused(&at(same)), "{same}");
        }
        assert!(!refused(&at("out.fits")) && !refused(&at("sub/in.fits")));
        let (new, again) = (at("out.fits"), at("sub/../out.fits"));
        let error = check(&[("-o", &new), ("--figure", &again)], []).unwrap_err();
        assert_eq!(error.exit_code(), 2);
        assert!(error.to_string().contains("--figure") && error.to_string().contains("-o"));
        std::fs::remove_dir_all(folder).unwrap();
    }
}
