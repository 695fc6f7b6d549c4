//! PSFs over a detector.

use std::io::Write;
use std::path::{Path, PathBuf};

use ndarray::{Array3, s};
use pellucid_host::fits::{Card, FitsAddress, FitsOutput};
use pellucid_host::input::{HashCache, PsfFile, PsfGrid, PsfOptions};
use pellucid_host::ndarray;

fn path(name: &str) -> PathBuf {
    std::env::temp_dir().join(format!("pellucid-psf-grid-{}-{name}", std::process::id()))
}

/// Plane k is k + 1 everywhere, so that an interpolated PSF tells its weights.
fn write(path: &Path, x: &[f64], y: &[f64], planes: usize) {
    let cube = Array3::from_shape_fn((planes, 5, 5), |(k, ..)| (k + 1) as f32);
    let mut cards = vec![Card::new("NXPSFS", x.len(), ""), Card::new("NYPSFS", y.len(), "")];
    for (stem, places) in [("IPSFX", x), ("JPSFY", y)] {
        let place = |(k, v): (usize, &f64)| Card::new(&format!("{stem}{:02}", k + 1), *v, "");
        cards.extend(places.iter().enumerate().map(place));
    }
    let mut file = FitsOutput::create(path, &[]).unwrap();
    file.image("PSFS", 1, cube.view(), &cards).unwrap();
    file.commit().unwrap();
}

fn open(path: &Path) -> pellucid_host::Result<PsfGrid> {
    let file =
        PsfFile::open(&FitsAddress::file(path), PsfOptions::default(), &HashCache::default());
    file.map(|file| match file {
        PsfFile::Grid(grid) => grid,
        PsfFile::Image(_) => panic!("an image"),
    })
}

fn value(grid: &PsfGrid, at: [f64; 2], chip: Option<i64>) -> f64 {
    let psf = grid.at(at, chip, "test").unwrap();
    assert_eq!((psf.oversample, psf.pixel_integrated), (4, true));
    psf.kernel[[2, 2]]
}

#[test]
fn bilinear_between_four_and_constant_beyond() {
    let path = path("one.fits");
    write(&path, &[0.0, 100.0, 200.0], &[0.0, 50.0], 6);
    let grid = open(&path).unwrap();
    for (at, expected) in [
        ([0.0, 0.0], 1.0),
        ([200.0, 0.0], 3.0),
        ([100.0, 50.0], 5.0),
        ([50.0, 0.0], 1.5),
        ([125.0, 20.0], 2.25 + 3.0 * 0.4),
        ([-40.0, -9.0], 1.0),
        ([900.0, 900.0], 6.0),
    ] {
        assert!((value(&grid, at, None) - expected).abs() < 1e-12, "{at:?}");
        assert_eq!(
            value(&grid, at, Some(1)),
            value(&grid, at, None),
            "one chip whatever its number"
        );
    }
    std::fs::remove_file(path).unwrap();
}

#[test]
fn two_chips_are_told_apart() {
    let path = path("two.fits");
    write(&path, &[0.0, 100.0], &[0.0, 50.0, 50.0, 100.0], 8);
    let grid = open(&path).unwrap();
    // CCDCHIP 2 is the lower one. Near the gap nothing of the other chip comes in.
    assert_eq!(value(&grid, [0.0, 49.9], Some(2)), 1.0 + 2.0 * 49.9 / 50.0);
    assert_eq!(value(&grid, [0.0, 60.0], Some(2)), 3.0);
    assert_eq!(value(&grid, [0.0, 0.0], Some(1)), 5.0);
    assert_eq!(value(&grid, [100.0, 50.0], Some(1)), 8.0);
    let error = grid.at([0.0, 0.0], None, "a.fits[SCI,1]").unwrap_err().to_string();
    assert!(error.contains("a.fits[SCI,1]") && error.contains("CCDCHIP"), "{error}");
    std::fs::remove_file(path).unwrap();
}

#[test]
fn grids_that_cannot_be() {
    let path = path("bad.fits");
    let says = |words: &[&str]| {
        let error = open(&path).unwrap_err().to_string();
        assert!(words.iter().all(|word| error.contains(word)), "{error}");
    };
    write(&path, &[0.0, 100.0], &[0.0], 3);
    says(&["bad.fits", "2 x 1 planes", "5x5x3"]);
    write(&path, &[100.0, 0.0], &[0.0], 2);
    says(&["IPSFX", "ascending"]);
    let cube = Array3::<f32>::zeros((1, 3, 3));
    let mut file = FitsOutput::create(&path, &[]).unwrap();
    let cards =
        [Card::new("NXPSFS", 1, ""), Card::new("NYPSFS", 1, ""), Card::new("IPSFX01", 0, "")];
    file.image("PSFS", 1, cube.view(), &cards).unwrap();
    file.commit().unwrap();
    says(&["JPSFY01", "nothing"]);
    std::fs::remove_file(path).unwrap();
}

#[test]
fn stsci_grids() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data/psf");
    let uvis = folder.join("PSFSTD_WFC3UV_F814W.fits");
    if !uvis.exists() {
        let _ = writeln!(std::io::stderr(), "SKIPPED: stsci_grids: no {}", uvis.display());
        return;
    }
    let grid = open(&uvis).unwrap();
    let sum = |at, chip| grid.at(at, Some(chip), "test").unwrap().kernel.sum() / 16.0;
    // The light of a star within 12 pixels.
    for chip in [1, 2] {
        let flux = sum([1000.0, 700.0], chip);
        assert!((0.9..1.05).contains(&flux), "{flux}");
    }
    let kernel = |at, chip| grid.at(at, Some(chip), "test").unwrap().kernel;
    let (upper, lower) = (kernel([2048.0, 0.0], 1), kernel([2048.0, 2048.0], 2));
    let (middle, off) =
        (upper.slice(s![50, 50]).into_scalar(), (&upper - &lower).mapv(f64::abs).sum());
    assert!(*middle > 0.1 && off > 0.0, "{middle} {off}");
    assert!(grid.at([0.0, 0.0], None, "test").is_err());
    open(&folder.join("PSFSTD_WFC3IR_F160W.fits")).unwrap().at([500.0, 20.0], None, "ir").unwrap();
}
