//! Inputs that once crashed, hung, or were let through; and that the targets do get where they should.

use std::path::Path;

use pellucid_fuzz::scratch::Scratch;
use pellucid_fuzz::{abi, fits, manifest, seeds, text, wcs};
use pellucid_host::fits::FitsAddress;
use pellucid_host::input::{
    ExposureFile, ExposureOptions, HashCache, NoiseCorrelation, PsfFile, PsfImage, PsfOptions,
};
use pellucid_host::product::Product;

fn replay(target: &str, run: fn(&[u8])) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("regressions").join(target);
    let entries = folder.read_dir().unwrap_or_else(|e| panic!("{}: {e}", folder.display()));
    let mut files: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    files.sort();
    assert!(!files.is_empty(), "{} is empty", folder.display());
    for path in files {
        // The last name printed is the one that failed.
        eprintln!("{}", path.display());
        run(&std::fs::read(path).unwrap());
    }
    for (name, bytes) in seeds::of(target) {
        eprintln!("{target}: seed {name}");
        run(&bytes);
    }
}

#[test]
fn fits_files() {
    replay("fits", fits::run);
}

#[test]
fn wcs_headers() {
    replay("wcs", wcs::run);
}

#[test]
#[cfg(feature = "torch")]
fn model_files() {
    replay("models", pellucid_fuzz::models::run);
}

#[test]
#[cfg(feature = "torch")]
fn model_seeds_are_valid() {
    use pellucid_posterior::score::model_file::{Device, Precision, PriorModel};
    use pellucid_posterior::score::noise::file::NoiseModel;

    for (name, bytes) in seeds::of("models") {
        let file = Scratch::new("safetensors", &bytes);
        let prior = PriorModel::load(file.path(), Device::Cpu, Precision::F32);
        let noise = NoiseModel::load(file.path(), Device::Cpu);
        match name {
            "field" | "turbulent" | "mixture" => drop(prior.unwrap()),
            "noise" => drop(noise.unwrap()),
            // As far as the weights, of which it has one.
            "unet" => assert!(prior.unwrap_err().to_string().contains("embed.0")),
            _ => assert!(prior.is_err() && noise.is_err()),
        }
    }
}

#[test]
fn calls_of_the_interface() {
    replay("abi", abi::run);
}

#[test]
fn manifests() {
    replay("manifest", manifest::run);
}

#[test]
fn texts() {
    replay("text", text::run);
}

#[test]
fn seeds_are_valid() {
    for (name, bytes) in seeds::of("fits") {
        let file = Scratch::new("fits", &bytes);
        let address = FitsAddress::file(file.path());
        match name {
            "exposure" => {
                let mut file = ExposureFile::open(&address, &ExposureOptions::default()).unwrap();
                assert_eq!((file.chips().len(), file.chips()[0].tables.len()), (2, 2));
                let whole = file.chips()[0].whole();
                file.stamp(0, whole).unwrap();
            }
            "product" => assert_eq!(Product::read(file.path()).unwrap().samples.dim(), (2, 4, 4)),
            "grid" => {
                let grid = PsfFile::open(&address, PsfOptions::default(), &HashCache::default());
                assert!(matches!(grid, Ok(PsfFile::Grid(_))), "{grid:?}");
            }
            _ => {
                PsfImage::read(&address, PsfOptions::default()).unwrap();
                let correlation = NoiseCorrelation::read(&address);
                assert_eq!(correlation.is_ok(), name == "kernel");
            }
        }
    }
}
