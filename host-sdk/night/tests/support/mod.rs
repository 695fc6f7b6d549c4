//! Invented nights with invented products.

#![allow(dead_code, reason = "each test file uses its part")]

use std::io::Write;
use std::path::{Path, PathBuf};

use pellucid_host::ndarray::{Array2, Array3, Axis};
use pellucid_host::product::{
    Cost, Diagnostics, ExposureFit, ExposureProduct, Flags, Product, Provenance, Statistics,
};
use pellucid_host::sky::{ModelGrid, SkyPosition};
use pellucid_night::ledger::Seconds;
use pellucid_night::state::{NightState, Quality, Status, TargetState};

/// A folder that is gone when the test is.
pub struct Folder(pub PathBuf);

impl Folder {
    pub fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("pellucid-{}-{name}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Straight to the stream: the test harness hides what eprintln! writes.
pub fn skipped(why: &str) {
    let _ = writeln!(std::io::stderr(), "SKIPPED: {why}");
}

/// Noise of unit rms that looks like noise and is the same each time.
fn noise(seed: usize) -> f32 {
    let uniform = |k: u64| {
        let mut z =
            (seed as u64).wrapping_mul(4).wrapping_add(k).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) >> 40) as f32 / (1u64 << 24) as f32
    };
    // Sum of three uniform numbers: rms 1/2.
    2.0 * (uniform(1) + uniform(2) + uniform(3) - 1.5)
}

/// A spiral, seen by pixel coordinates from -1 to 1.
fn galaxy(x: f32, y: f32, k: usize) -> f32 {
    let tilt = 0.5 + 0.45 * (k as f32 * 0.7).sin().abs();
    let (sin, cos) = (0.6 * k as f32).sin_cos();
    let (u, v) = (x * cos + y * sin, (y * cos - x * sin) / tilt);
    let r = (u * u + v * v).sqrt();
    let arms = 1.0 + 0.7 * (2.0 * v.atan2(u) - 9.0 * (r + 0.1).ln() + k as f32).cos();
    3.0 * (-r / 0.06).exp() + 0.5 * arms * (-r / 0.22).exp()
}

fn image(side: usize, f: impl Fn(f32, f32, usize) -> f32) -> Array2<f32> {
    Array2::from_shape_fn((side, side), |(y, x)| {
        let unit = |p: usize| (2 * p) as f32 / (side - 1) as f32 - 1.0;
        f(unit(x), unit(y), y * side + x)
    })
}

/// A product of `n` samples of side x side pixels from four exposures.
pub fn product(k: usize, n: usize, side: usize) -> Product {
    let centre = SkyPosition { ra_deg: 150.0 + 0.01 * k as f64, dec_deg: 2.2 };
    let grid = ModelGrid { nx: side, ny: side, centre, pixel_scale_arcsec: 0.03 };
    let truth = image(side, |x, y, _| galaxy(x, y, k));
    let mut samples = Array3::zeros((n, side, side));
    for (j, mut sample) in samples.axis_iter_mut(Axis(0)).enumerate() {
        let one = image(side, |x, y, p| {
            let flux = galaxy(x, y, k);
            (flux * (1.0 + 0.15 * noise(p + 7919 * j)) + 0.004 * noise(p + 104_729 * (j + k)))
                .max(0.0)
        });
        sample.assign(&one);
    }
    let spread = image(side, |x, y, _| 0.15 * galaxy(x, y, k) + 0.004);
    let exposure = |e: usize| {
        let stamp = side * 5 / 8;
        let mut residual = image(stamp, |_, _, p| 0.02 * noise(p + 15_485_863 * (e + 1) + k));
        residual[[e + 2, 5]] = f32::NAN;
        let model = image(stamp, |x, y, _| galaxy(x, y, k));
        ExposureProduct {
            id: format!("visit{k}_{e}.fits[SCI,1][101:140,201:240]"),
            data: &model + &residual,
            sigma: residual.mapv(|v| if v.is_nan() { v } else { 0.02 }),
            model,
            residual,
            pixel_scale_arcsec: 0.05,
            wcs: grid.cards(),
            source: (
                format!("raw/visit{k}_{e}.fits").into(),
                format!("{:064x}", 1_000_003 * (k + 1) + e),
            ),
            psf: ("psf_grid.fits".into(), "b".repeat(64)),
        }
    };
    let fit = |e: usize| ExposureFit {
        id: format!("visit{k}_{e}.fits[SCI,1][101:140,201:240]"),
        dof: 1599,
        chi2: (0..n).map(|j| 1599.0 * (1.0 + 0.02 * f64::from(noise(e + j + k)))).collect(),
        whiteness: (0..n).map(|j| 0.02 * f64::from(noise(9 * e + j))).collect(),
        whiteness_se: 0.025,
        p_values: vec![0.4; n],
        ppp: 0.43,
        chi2_mean_reduced: 1.0,
        effective_parameters: 300.0,
        noise: None,
        flags: Flags::default(),
    };
    Product {
        grid,
        statistics: Statistics {
            p16: &truth - &spread,
            p84: &truth + &spread,
            median: truth.clone(),
            mean: truth,
            std: spread,
        },
        samples,
        exposures: (0..4).map(exposure).collect(),
        diagnostics: Diagnostics {
            exposures: (0..4).map(fit).collect(),
            edge_flux_fraction: vec![0.01; n],
            cost: Cost { flux_scale: 0.1, sampling_seconds: 21.5, ..Cost::default() },
            ..Diagnostics::default()
        },
        provenance: Provenance {
            host_version: "pellucid 0.1.0".into(),
            plugin_version: "pellucid 0.1.0 (libtorch 2.11.0)".into(),
            prior: ("galaxies64-ve".into(), "c".repeat(64)),
            noise: ("gaussian".into(), String::new()),
            seed: 1,
            device: "cpu".into(),
            config: serde_json::json!({"sampler": "calibrated", "steps": 25, "samples": n})
                .to_string(),
            plugin_record:
                serde_json::json!({"device": "cpu", "threads": 2, "note": "x".repeat(120)})
                    .to_string(),
            date: format!("2026-11-28T0{}:{:02}:05", 1 + k / 60, k % 60),
            ..Provenance::default()
        },
    }
}

/// A target without anything yet.
pub fn target(name: &str, status: Status) -> TargetState {
    TargetState {
        name: name.into(),
        ra_deg: Some(150.1),
        dec_deg: Some(2.25),
        status,
        attempts: 1,
        seconds: None,
        reason: None,
        worker: Some("node1:4711".into()),
        product: None,
        figure: None,
        quality: None,
    }
}

/// A target that is done, with the product at `path`.
pub fn done(name: &str, k: usize, path: &Path) -> TargetState {
    let wobble = |j: usize| f64::from(noise(31 * k + j));
    TargetState {
        seconds: Some(Seconds { read: 0.4, sample: 21.0 + 2.0 * wobble(1), write: 0.3 }),
        product: Some(path.into()),
        quality: Some(Quality {
            samples: 16,
            failed_samples: 0,
            chi2_reduced: (0..4).map(|j| 1.0 + 0.02 * wobble(j)).collect(),
            whiteness: (0..4).map(|j| 0.01 * wobble(j + 5)).collect(),
            flags: "-".into(),
            flux_e_per_s: (31.4 + wobble(9), 0.41),
        }),
        ..target(name, Status::Done)
    }
}

/// What an archive or a typo may hand us as a name or a reason.
pub const HOSTILE: &str = "<script>document.body.remove()</script>\"'><img src=x onerror=alert(1)>&amp;\u{202e}gpj.exe\u{1b}[2J";

/// Twelve targets of all kinds, with products in `folder`.
pub fn night(folder: &Path) -> NightState {
    let mut targets: Vec<_> = (0..6)
        .map(|k| {
            let path = folder.join(format!("ngc{k}.fits"));
            product(k, 16, 64).write(&path).unwrap();
            done(&format!("ngc{k}"), k, &path)
        })
        .collect();
    let q = targets[1].quality.as_mut().unwrap();
    (q.flags, q.chi2_reduced[2], q.whiteness[2]) = ("chi2,whiteness".into(), 1.93, 0.21);

    let path = folder.join("partial.fits");
    let mut lossy = product(8, 16, 64);
    for k in [3, 7] {
        lossy.samples.index_axis_mut(Axis(0), k).fill(f32::NAN);
    }
    lossy.diagnostics.failed_samples = vec![3, 7];
    lossy.write(&path).unwrap();
    let mut partial = done("partial", 8, &path);
    partial.status = Status::Partial;
    let q = partial.quality.as_mut().unwrap();
    (q.samples, q.failed_samples) = (14, 2);
    targets.push(partial);

    let broken = folder.join("corrupt.fits");
    let whole = std::fs::read(&path).unwrap();
    std::fs::write(&broken, &whole[..whole.len() / 3]).unwrap();
    targets.push(done("corrupt", 9, &broken));

    let mut failed = target("cluster-7", Status::Failed);
    (failed.attempts, failed.reason) =
        (3, Some("reading raw/visit7_0.fits: No space left on device (os error 28)".into()));
    targets.push(failed);
    let mut quarantined = target("off-chip", Status::Quarantined);
    quarantined.reason = Some(
        "raw/visit9_1.fits: ra 150.300000, dec 2.900000 falls on none of its 2 chip(s)".into(),
    );
    targets.push(quarantined);
    let mut hostile = target(HOSTILE, Status::Quarantined);
    hostile.reason = Some(format!("cannot open {HOSTILE}"));
    targets.push(hostile);
    targets.push(target("later", Status::Pending));
    NightState { name: "2026-11-28".into(), targets }
}
