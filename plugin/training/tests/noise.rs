//! `pellucid-train noise` end to end: cutouts of a synthetic image, a tiny net.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::OnceLock;

use ndarray::Array2;
use pellucid_host::fits::FitsOutput;
use pellucid_posterior::score::noise::file::NoiseModel;
use tch::Device;

fn path(name: &str) -> PathBuf {
    let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
    let _ = std::fs::remove_dir_all(&path);
    path
}

fn tool(arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_pellucid-train"));
    command.args(arguments).output().expect("because the binary was built for this test")
}

fn done(arguments: &[&str]) -> String {
    let out = tool(arguments);
    assert!(out.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&out.stderr));
    String::from_utf8_lossy(&out.stdout).into_owned()
}

fn write(path: &Path, image: &Array2<f32>) {
    let mut file = FitsOutput::create(path, &[]).expect("a writable folder");
    file.image("SCI", 1, image.view(), &[]).expect("an image");
    file.commit().expect("a writable folder");
}

/// Cutouts of irregular values of unit variance, and a PSF.
fn input() -> &'static (String, String) {
    static INPUT: OnceLock<(String, String)> = OnceLock::new();
    INPUT.get_or_init(|| {
        let names = ["noise.fits", "noise-set.safetensors", "noise-psf.fits"];
        let [image, set, psf] = names.map(|n| PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(n));
        let value =
            |y: usize, x: usize| (((y * 256 + x) as f64 * 12.9898).sin() * 43758.5453).fract();
        write(&image, &Array2::from_shape_fn((256, 256), |(y, x)| (value(y, x) * 1.7) as f32));
        write(
            &psf,
            &Array2::from_shape_fn((9, 9), |(y, x)| {
                let r2 = (y as f32 - 4.0).powi(2) + (x as f32 - 4.0).powi(2);
                (-r2 / 8.0).exp()
            }),
        );
        let [image, set, psf] = [image, set, psf].map(|p| p.to_str().expect("UTF-8").to_owned());
        let more = ["--size", "32", "--count", "20", "--sky", "none", "--source-snr", "1e9"];
        let rest = ["--flux-cut", "1e9", "--unit", "electrons/s", "--pixel-scale-data", "0.06"];
        done(&[&["cutouts", &image, "-o", &set][..], &more, &rest].concat());
        (set, psf)
    })
}

fn train(run: &Path, more: &[&str]) -> Output {
    let (set, psf) = input();
    let net = ["--widths", "8,8", "--batch", "2", "--size", "24", "--warm-up", "2"];
    let scales = ["--psf", psf, "--psf-oversample", "4", "--pixel-scale", "0.03"];
    let rest = ["--largest-level", "20", "--run", run.to_str().expect("UTF-8")];
    tool(&[&["noise", set][..], &scales, &net, &rest, more].concat())
}

/// The same bits in one go and stopped after every step: `--minutes 0` ends a run after one step.
#[test]
fn a_resumed_run_is_the_uninterrupted_one() {
    let (whole, pieces) = (path("noise-whole"), path("noise-pieces"));
    let out = train(&whole, &["--steps", "3", "--checkpoint-every", "3"]);
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    for _ in 0..3 {
        assert!(train(&pieces, &["--steps", "3", "--minutes", "0"]).status.success());
    }
    let [a, b] = [&whole, &pieces].map(|run| std::fs::read(run.join("noise.safetensors")).unwrap());
    assert!(a == b, "the models differ");
    assert!(whole.join("sheet.png").is_file());
    let log = std::fs::read_to_string(pieces.join("log.jsonl")).expect("a log");
    assert_eq!(log.lines().filter(|l| l.contains("validation_loss")).count(), 3);

    let model = whole.join("noise.safetensors");
    let loaded = NoiseModel::load(&model, Device::Cpu).expect("a sound model").metadata;
    assert_eq!((loaded.training_steps, loaded.training_images), (3, 12));
    // The cutouts' pixel scale went through a WCS.
    assert!((loaded.pixel_scale_data_arcsec / 0.06 - 1.0).abs() < 1e-12);
    assert_eq!(loaded.pixel_scale_model_arcsec, 0.03);
    // Uniform to +-1.7: standard deviation 0.98.
    assert!((loaded.core_sigma_e_per_s - 0.98).abs() < 0.03, "{}", loaded.core_sigma_e_per_s);

    let model = model.to_str().expect("UTF-8");
    let shown = done(&["show", model]);
    assert!(shown.contains("whitened_unet") && shown.contains("sha256"), "{shown}");
    let sheet = whole.join("drawn.png");
    let options = ["--count", "2", "--steps", "4", "--size", "17", "--compare", &input().0];
    let rows =
        done(&[&["sample", model, "-o", sheet.to_str().expect("UTF-8")][..], &options].concat());
    assert!(sheet.is_file());
    assert_eq!(rows.lines().filter(|l| l.contains("\"metric\"")).count(), 8, "{rows}");
}

#[test]
fn what_does_not_fit_is_refused_by_name() {
    let run = path("noise-mismatch");
    assert!(train(&run, &["--steps", "1"]).status.success());
    for (more, reason) in [
        (&["--seed", "9"][..], "choose another --run folder"),
        (&["--zero-share", "1.5"], "--zero-share"),
        (&["--minutes=-1"], "--minutes"),
        (&["--learning-rate", "NaN"], "--learning-rate"),
        (&["--cool-down=-3"], "--cool-down"),
        (&["--clip", "0"], "--clip"),
        (&["--pixel-scale-data", "0"], "pixel scale"),
    ] {
        let out = train(&run, &[&["--steps", "2"], more].concat());
        let message = String::from_utf8_lossy(&out.stderr).into_owned();
        assert!(!out.status.success() && message.contains(reason), "{message}");
    }
}
