//! What the command-line tests share: files to work on, and the program to run.
#![allow(dead_code, reason = "each test binary uses its part")]

pub mod sky;

use std::ffi::OsStr;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use ndarray::Array2;
use pellucid_host::fits::{Card, FitsOutput};
use pellucid_host::sky::{ModelGrid, SkyPosition};

/// Side of every image.
pub const SIDE: usize = 16;
/// Centre and pixel scale of every image.
pub const GRID: ModelGrid = ModelGrid {
    nx: SIDE,
    ny: SIDE,
    centre: SkyPosition { ra_deg: 150.0, dec_deg: 2.0 },
    pixel_scale_arcsec: 0.05,
};

/// A folder of the test's own, gone when the test is.
pub struct Folder(pub PathBuf);

impl Folder {
    pub fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("pellucid-cli-{}-{name}", std::process::id()));
        let _ = std::fs::remove_dir_all(&path);
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    /// Names of what is in it, sorted.
    pub fn names(&self) -> Vec<String> {
        let entries = std::fs::read_dir(&self.0).unwrap();
        let mut names: Vec<_> =
            entries.map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Runs the program.
pub fn pellucid<S: AsRef<OsStr>>(args: impl IntoIterator<Item = S>) -> Output {
    Command::new(env!("CARGO_BIN_EXE_pellucid")).args(args).output().unwrap()
}

/// Whether any plugin can be had, the stub included; if not, says that the test is skipped.
///
/// # Panics
/// If `PELLUCID_PLUGIN` names one that does not load: who names a plugin wants it tested.
#[track_caller]
pub fn plugin(test: &str) -> bool {
    loaded(test).is_some()
}

/// As [`plugin`], with a real engine.
#[track_caller]
pub fn engine(test: &str) -> bool {
    let said = loaded(test);
    let real = said.as_ref().is_some_and(|said| !said.contains("engine: stub"));
    if said.is_some() && !real {
        skipped(&format!("{test}: the plugin is the stub"));
    }
    real
}

/// What `doctor` says of the plugin.
#[track_caller]
fn loaded(test: &str) -> Option<String> {
    let doctor = pellucid(["doctor"]);
    let said = String::from_utf8_lossy(&doctor.stdout).into_owned();
    if said.contains("ok    ABI") {
        return Some(said);
    }
    assert!(std::env::var_os("PELLUCID_PLUGIN").is_none(), "PELLUCID_PLUGIN does not load\n{said}");
    skipped(&format!("{test}: no plugin (PELLUCID_PLUGIN)"));
    None
}

/// Straight to the stream: the test harness hides what eprintln! writes.
pub fn skipped(what: &str) {
    let _ = writeln!(std::io::stderr(), "SKIPPED: {what}");
}

/// What an exposure is made of; change a field to spoil it.
pub struct Parts {
    pub science: Array2<f32>,
    pub error: Array2<f32>,
    pub quality: Array2<i16>,
    pub wcs: Vec<Card>,
}

impl Default for Parts {
    /// A round source of peak 1 on a noise of 0.05, every pixel good.
    fn default() -> Self {
        let blob = |(y, x): (usize, usize)| {
            let r2 = (y as f32 - 7.5).powi(2) + (x as f32 - 7.5).powi(2);
            let ripple = 0.05 * ((7 * y + 13 * x) as f32).sin();
            (-r2 / 8.0).exp() + ripple
        };
        Self {
            science: Array2::from_shape_fn((SIDE, SIDE), blob),
            error: Array2::from_elem((SIDE, SIDE), 0.05),
            quality: Array2::zeros((SIDE, SIDE)),
            wcs: GRID.cards(),
        }
    }
}

impl Parts {
    pub fn write(&self, path: &Path) {
        let mut cards = vec![Card::new("BUNIT", "ELECTRONS/S", "")];
        cards.extend(self.wcs.iter().cloned());
        let mut file = FitsOutput::create(path, &[]).unwrap();
        file.image("SCI", 1, self.science.view(), &cards).unwrap();
        file.image("ERR", 1, self.error.view(), &cards).unwrap();
        file.image_i16("DQ", 1, self.quality.view(), &cards).unwrap();
        file.commit().unwrap();
    }
}

/// A round PSF, 4 samples a pixel.
pub fn write_psf(path: &Path) {
    let kernel = Array2::from_shape_fn((17, 17), |(y, x)| {
        let r2 = (y as f32 - 8.0).powi(2) + (x as f32 - 8.0).powi(2);
        (-r2 / 18.0).exp()
    });
    let mut file = FitsOutput::create(path, &[]).unwrap();
    let cards = [Card::new("OVERSAMP", 4, "")];
    file.image("PSF", 1, kernel.view(), &cards).unwrap();
    file.commit().unwrap();
}

/// A Gaussian-field prior: white spectrum falling with frequency, mean zero.
pub fn write_prior(path: &Path) {
    let metadata = serde_json::json!({
        "format": 1,
        "kind": "prior",
        "architecture": {"name": "gaussian_field"},
        "sde": {"name": "ve", "sigma_min": 0.002, "sigma_max": 50.0},
        "image_size": [SIDE, SIDE],
        "channels": 1,
        "pixel_scale_arcsec": 0.05,
        "flux_convention": "surface_brightness",
        "licence": "MIT OR Apache-2.0",
        "trained_on": "nothing: invented for tests",
    });
    let frequency = |i: usize| i.min(SIDE - i) as f32;
    let mut values = vec![0.0f32; SIDE * SIDE];
    values.extend((0..SIDE * SIDE).map(|i| {
        let k2 = frequency(i / SIDE).powi(2) + frequency(i % SIDE).powi(2);
        1.0 / (1.0 + k2 / 4.0)
    }));
    let size = 4 * SIDE * SIDE;
    let header = serde_json::json!({
        "__metadata__": {"pellucid": metadata.to_string()},
        "mean": {"dtype": "F32", "shape": [1, SIDE, SIDE], "data_offsets": [0, size]},
        "power": {"dtype": "F32", "shape": [1, SIDE, SIDE], "data_offsets": [size, 2 * size]},
    });
    write_safetensors(path, &header, values.iter().flat_map(|v| v.to_le_bytes()));
}

/// A noise model for the default exposure, of white Gaussian noise of 0.05, with some fields of its metadata
/// changed.
pub fn write_noise(path: &Path, change: &serde_json::Value) {
    let mut metadata = serde_json::json!({
        "format": 1,
        "kind": "noise",
        "architecture": {"name": "stationary_gaussian"},
        "instrument": "ACS",
        "detector": "WFC",
        "filter": "F814W",
        "exposure_time_s": [500.0, 500.0],
        "pixel_scale_data_arcsec": 0.05,
        "pixel_scale_model_arcsec": 0.05,
        "flux_convention": "surface_brightness",
        "unit": "e-/s",
        "core_sigma_e_per_s": 0.05,
        "largest_level_e_per_s": 5.0, "largest_white_e_per_s": 1.0,
        "psf": "none",
        "licence": "MIT OR Apache-2.0",
        "trained_on": "nothing: invented for tests",
    });
    for (key, value) in change.as_object().unwrap() {
        metadata[key] = value.clone();
    }
    // A A^T of a telescope that does not blur.
    let values = [0.05f64 * 0.05, 1.0];
    let header = serde_json::json!({
        "__metadata__": {"pellucid": metadata.to_string()},
        "core": {"dtype": "F64", "shape": [1, 1], "data_offsets": [0, 8]},
        "forward": {"dtype": "F64", "shape": [1, 1], "data_offsets": [8, 16]},
    });
    write_safetensors(path, &header, values.iter().flat_map(|v| v.to_le_bytes()));
}

fn write_safetensors(path: &Path, header: &serde_json::Value, values: impl Iterator<Item = u8>) {
    let mut text = header.to_string();
    text += &" ".repeat(text.len().next_multiple_of(8) - text.len());
    let mut bytes = (text.len() as u64).to_le_bytes().to_vec();
    bytes.extend(text.bytes());
    bytes.extend(values);
    std::fs::write(path, bytes).unwrap();
}
