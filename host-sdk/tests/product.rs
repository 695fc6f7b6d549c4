//! A product made from invented samples: standard-conforming, complete, and readable again.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

use ndarray::{Array2, Array3};
use pellucid_host::fits::Card;
use pellucid_host::product::{
    Cost, Diagnostics, ExposureFit, ExposureProduct, Flags, NightRecord, NoiseCheck, Product,
    Provenance, Statistics, write_figure,
};
use pellucid_host::sky::{ModelGrid, SkyPosition};

const N: usize = 5;
const SIDE: usize = 16;

fn product() -> Product {
    let grid = ModelGrid {
        nx: SIDE,
        ny: SIDE,
        centre: SkyPosition { ra_deg: 150.1, dec_deg: -2.5 },
        pixel_scale_arcsec: 0.03,
    };
    let blob = |y: usize, x: usize| {
        let r2 = (y as f32 - 7.5).powi(2) + (x as f32 - 7.0).powi(2);
        (-r2 / 8.0).exp()
    };
    let plane = |factor: f32| Array2::from_shape_fn((SIDE, SIDE), |(y, x)| factor * blob(y, x));
    let mut samples =
        Array3::from_shape_fn((N, SIDE, SIDE), |(k, y, x)| blob(y, x) * (1.0 + 0.1 * k as f32));
    samples.index_axis_mut(ndarray::Axis(0), 2).fill(f32::NAN);
    let exposure = |k: usize| {
        let mut data = Array2::from_shape_fn((12, 10), |(y, x)| blob(y, x));
        data[[3, k]] = f32::NAN;
        ExposureProduct {
            id: format!("exposure_{k}.fits[SCI,1][2:11,4:15]"),
            sigma: data.mapv(|v| if v.is_nan() { v } else { 0.05 }),
            model: Array2::from_elem((12, 10), 0.25),
            residual: data.mapv(|v| v - 0.25),
            data,
            pixel_scale_arcsec: 0.05,
            wcs: grid.cards(),
            source: (format!("exposure_{k}.fits").into(), "a".repeat(64)),
            psf: ("psf.fits".into(), "b".repeat(64)),
        }
    };
    let fit = |k: usize| ExposureFit {
        id: format!("exposure_{k}.fits[SCI,1][2:11,4:15]"),
        dof: 119,
        chi2: vec![110.0, 119.0, f64::NAN, 125.5, 130.0],
        whiteness: vec![0.01, -0.02, f64::NAN, 0.0, 0.03],
        whiteness_se: 0.07,
        p_values: vec![0.7, 0.5, f64::NAN, 0.3, 0.2],
        ppp: 0.425,
        chi2_mean_reduced: 1.01,
        effective_parameters: 20.5,
        noise: (k == 1).then(|| NoiseCheck {
            checked: true,
            significance: vec![5.5, 6.5, f64::NAN, 7.5, 4.5],
            worst: Some("beyond_4".into()),
            statistics: Vec::new(),
        }),
        flags: Flags {
            whiteness: k == 1,
            noise_mismatch: k == 1,
            mismatch: k == 1,
            ..Flags::default()
        },
    };
    Product {
        grid,
        samples,
        statistics: Statistics {
            median: plane(1.1),
            mean: plane(1.2),
            std: plane(0.1),
            p16: plane(1.0),
            p84: plane(1.3),
        },
        exposures: vec![exposure(0), exposure(1)],
        diagnostics: Diagnostics {
            exposures: vec![fit(0), fit(1)],
            edge_flux_fraction: vec![0.01, 0.02, f64::NAN, 0.01, 0.015],
            failed_samples: vec![2],
            sample_errors: Vec::new(),
            flags: Flags {
                whiteness: true,
                noise_mismatch: true,
                mismatch: true,
                ..Flags::default()
            },
            cost: Cost {
                flux_scale: 0.125,
                network_evaluations: 675,
                network_time_share: 0.93,
                sampling_seconds: 12.5,
                cg_iterations: vec![250],
                cg_breakdowns: vec![32],
                noise_evaluations: 480,
                noise_time_share: 0.25,
                proposals: vec![30],
                accepted: vec![26],
                step_sizes: vec![0.21],
            },
        },
        provenance: Provenance {
            host_version: "pellucid 0.1.0".into(),
            plugin_version: "pellucid 0.1.0 (engine: none)".into(),
            prior: ("field".into(), "c".repeat(64)),
            noise: ("gaussian".into(), String::new()),
            noise_correlation: Some(("cf.fits".into(), "d".repeat(64))),
            seed: u64::MAX,
            device: "cpu".into(),
            config: serde_json::json!({"steps": 25, "note": "it's long".repeat(20)}).to_string(),
            plugin_record: "{}".into(),
            date: "2026-01-02T03:04:05".into(),
            night: Some(NightRecord {
                night: "2026-11-28".into(),
                target: "ngc1".into(),
                inputs_sha256: "ab".repeat(32),
                sha256: "cd".repeat(32),
            }),
        },
    }
}

/// A folder that is gone when the test is.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("pellucid-{}-{name}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn files(&self) -> usize {
        std::fs::read_dir(&self.0).unwrap().count()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn verify(path: &Path) {
    match Command::new("fitsverify").arg(path).output() {
        Ok(output) => {
            let text = String::from_utf8_lossy(&output.stdout);
            let clean = text.contains("found 0 warning(s) and 0 error(s)");
            assert!(clean, "{text}");
        }
        Err(_) => {
            // Straight to the stream: the test harness hides what eprintln! writes.
            let (mut stderr, path) = (std::io::stderr(), path.display());
            let _ = writeln!(stderr, "SKIPPED: fitsverify is not installed; {path} not verified");
        }
    }
}

#[test]
fn a_product_is_clean_and_reads_back() {
    let folder = Folder::new("product");
    let path = folder.0.join("posterior.fits");
    let made = product();
    made.write(&path).unwrap();
    assert_eq!(folder.files(), 1, "only the product");
    verify(&path);

    let read = Product::read(&path).unwrap();
    assert_eq!(read.grid.centre, made.grid.centre);
    assert!((read.grid.pixel_scale_arcsec - 0.03).abs() < 1e-15);
    assert!(read.samples.index_axis(ndarray::Axis(0), 2).iter().all(|v| v.is_nan()));
    assert_eq!(read.samples[[4, 3, 2]], made.samples[[4, 3, 2]]);
    assert_eq!(read.statistics.p84, made.statistics.p84);
    assert_eq!(read.exposures[1].id, made.exposures[1].id);
    assert!(read.exposures[1].data[[3, 1]].is_nan());
    assert_eq!(read.exposures[1].residual[[0, 0]], made.exposures[1].residual[[0, 0]]);
    assert_eq!(read.exposures[0].source, made.exposures[0].source);
    assert_eq!(read.provenance, made.provenance);
    let (a, b) = (&read.diagnostics, &made.diagnostics);
    assert_eq!((a.flags, &a.failed_samples, &a.cost), (b.flags, &b.failed_samples, &b.cost));
    assert_eq!(a.exposures[1].flags, b.exposures[1].flags);
    assert_eq!(a.exposures[0].chi2[3], 125.5);
    assert_eq!((a.cost.acceptance(), a.cost.step_size()), (Some(26.0 / 30.0), 0.21));
    let noise = |d: &Diagnostics, k: usize| d.exposures[k].noise.clone();
    assert!(noise(a, 0).is_none() && noise(a, 1).unwrap().significance[2].is_nan());
    assert_eq!(a.exposures[1].noise_significance(), Some((6.0, "beyond_4")));
    assert_eq!(a.exposures[0].reduced_chi2(), b.exposures[0].reduced_chi2());
    assert_eq!(read.fluxes(), made.fluxes());
    assert_eq!(read.fluxes().len(), N - 1);
}

#[test]
fn the_figure_is_a_png_of_three_rows() {
    let folder = Folder::new("figure");
    let path = folder.0.join("figure.png");
    write_figure(&product(), &path).unwrap();
    let decoder = png::Decoder::new(std::io::BufReader::new(std::fs::File::open(&path).unwrap()));
    let mut reader = decoder.read_info().unwrap();
    let mut pixels = vec![0; reader.output_buffer_size().unwrap()];
    let info = reader.next_frame(&mut pixels).unwrap();
    assert!(info.width > 1000 && info.height > 1000);
    let colours: std::collections::HashSet<_> = pixels.chunks_exact(3).collect();
    assert!(colours.len() > 50, "{} colours", colours.len());
}

#[test]
fn a_failed_write_leaves_nothing() {
    let folder = Folder::new("failed");
    let path = folder.0.join("no/such/folder/posterior.fits");
    let error = product().write(&path).unwrap_err().to_string();
    assert!(error.contains("no/such/folder"), "{error}");
    assert_eq!(folder.files(), 0);
}

#[test]
fn another_kind_of_file_is_told_apart() {
    let folder = Folder::new("other");
    let path = folder.0.join("image.fits");
    let mut file =
        pellucid_host::fits::FitsOutput::create(&path, &[Card::comment("not a product")]).unwrap();
    file.image("SCI", 1, Array2::<f32>::zeros((3, 3)).view(), &[]).unwrap();
    file.commit().unwrap();
    verify(&path);
    let error = Product::read(&path).unwrap_err().to_string();
    assert!(error.contains("SAMPLES") && error.contains("image.fits"), "{error}");
}
