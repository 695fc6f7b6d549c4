//! The manifest of a night and its table of targets.

use std::path::Path;

use pellucid_night::Night;

use crate::scratch::Scratch;

/// Reads `data` as a manifest, and as the table that a manifest names.
///
/// # Panics
/// If a night has no target, or two of one name.
pub fn run(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    if let Ok(night) = Night::parse(&text, Path::new("/nowhere/night.toml")) {
        let mut names: Vec<_> = night.targets.iter().map(|target| &target.name).collect();
        let count = names.len();
        names.sort();
        names.dedup();
        assert!(count > 0 && names.len() == count);
        assert!(names.iter().all(|name| !name.contains('/') && !name.starts_with('.')));
    }
    let table = Scratch::new("table", data);
    let text = format!(
        "format = 1\ntargets = {:?}\n[defaults]\npsf = 'p.fits'\nprior = 'p'\nexposures = ['a.fits']\n",
        table.path()
    );
    let _ = Night::parse(&text, Path::new("/nowhere/night.toml"));
}
