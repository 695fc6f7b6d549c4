//! Paths of the building machine in what is packed: they tell strangers about it, and the same source gives other
//! bytes elsewhere.

use std::env;
use std::fs;
use std::path::Path;

use super::stage::BINARIES;
use crate::build::cargo_home;
use crate::error::{Error, Result};
use crate::process::{release_dir, root};

/// The binaries of a tree that name a folder of this machine, each with the folder.
pub(super) fn named(tree: &Path) -> Result<Vec<String>> {
    let target = release_dir().parent().map(Path::to_owned).unwrap_or_default();
    let home = env::home_dir().unwrap_or_default();
    let mut places = vec![root().to_owned(), cargo_home(), target, home];
    places.extend(env::var_os("LIBTORCH").map(Into::into));
    places.retain(|place| place.components().count() > 1);
    places.dedup();
    let mut found = Vec::new();
    for (_, place, _) in BINARIES {
        let file = tree.join(place);
        if !file.exists() {
            continue;
        }
        let bytes = fs::read(&file).map_err(Error::io("read", &file))?;
        let named = places.iter().filter(|folder| names(&bytes, folder));
        found.extend(named.map(|folder| format!("{place} names {}", folder.display())));
    }
    Ok(found)
}

/// Whether bytes hold a path, followed by a slash.
fn names(bytes: &[u8], folder: &Path) -> bool {
    let needle = [folder.as_os_str().as_encoded_bytes(), b"/"].concat();
    bytes.windows(needle.len()).any(|window| window == needle)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_found_and_its_namesake_is_not() {
        let found = |place: &str| names(b"\0/home/annette/x.rs\0", Path::new(place));
        assert!(found("/home/annette") && !found("/home/ann") && !found("/home/annette/x"));
    }
}
