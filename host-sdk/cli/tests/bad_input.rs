//! Bad input ends in an error that names the thing, the documented exit code, and no output.

mod support;

use std::path::PathBuf;
use std::process::Output;

use pellucid_host::fits::{Card, FitsOutput};
use serde_json::json;
use support::{Folder, Parts, SIDE, pellucid, write_noise, write_prior, write_psf};

/// A folder with a good exposure, PSF and prior, and the command line that samples them.
struct Bench {
    folder: Folder,
    exposure: PathBuf,
    psf: PathBuf,
    prior: PathBuf,
    output: PathBuf,
}

impl Bench {
    fn new(name: &str) -> Self {
        let folder = Folder::new(name);
        let bench = Self {
            exposure: folder.path("exposure.fits"),
            psf: folder.path("psf.fits"),
            prior: folder.path("prior.safetensors"),
            output: folder.path("posterior.fits"),
            folder,
        };
        Parts::default().write(&bench.exposure);
        write_psf(&bench.psf);
        write_prior(&bench.prior);
        bench
    }

    fn spoil(self, change: impl FnOnce(&mut Parts)) -> Self {
        let mut parts = Parts::default();
        change(&mut parts);
        parts.write(&self.exposure);
        self
    }

    /// Runs `sample`, which must fail, and gives its message.
    #[track_caller]
    fn fails(&self, code: i32, more: &[&str]) -> String {
        let before = self.folder.names();
        let text = |path: &PathBuf| path.display().to_string();
        let side = SIDE.to_string();
        let mut args = vec!["sample".to_owned(), text(&self.exposure)];
        for (flag, value) in [
            ("--psf", text(&self.psf)),
            ("--prior", text(&self.prior)),
            ("--size", side),
            ("--pixel-scale", "0.05".into()),
            ("--samples", "2".into()),
            ("-o", text(&self.output)),
        ] {
            if !more.contains(&flag) {
                args.extend([flag.into(), value]);
            }
        }
        args.extend(more.iter().map(|s| (*s).to_owned()));
        let message = fails(&pellucid(&args), code);
        assert_eq!(self.folder.names(), before, "partial output: {message}");
        message
    }
}

/// stderr of a run, with the exit code checked.
#[track_caller]
fn fails(output: &Output, code: i32) -> String {
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(code), "{stderr}");
    stderr
}

#[track_caller]
fn says(message: &str, words: &[&str]) {
    for word in words {
        assert!(message.contains(word), "{word:?} is not in: {message}");
    }
}

#[test]
fn usage() {
    let bench = Bench::new("usage");
    says(&bench.fails(2, &["--no-such-flag"]), &["--no-such-flag"]);
    says(&bench.fails(2, &["--ra", "150"]), &["--dec"]);
    says(&bench.fails(2, &["--sigma", "-1"]), &["--sigma", "positive"]);
    for flag in ["--samples", "--size", "--cutout", "--psf-oversample"] {
        says(&bench.fails(2, &[flag, "0"]), &[flag, "0"]);
    }
    for (flag, value, known) in [
        ("--sampler", "magic", "calibrated"),
        ("--precision", "f16", "bf16"),
        ("--device", "abacus", "cuda:0"),
        ("--device", "cuda:first", "cuda:0"),
        ("--device", "cuda", "cuda:0"),
    ] {
        says(&bench.fails(2, &[flag, value]), &[flag, value, known]);
    }
    says(&bench.fails(2, &["--psf-centre", "8.25,8"]), &["--psf-centre", "half-integer"]);
    says(&bench.fails(1, &["--psf-centre", "8,17"]), &["psf.fits", "8, 17", "17 columns"]);
    let psf = bench.psf.display().to_string();
    let twice = ["--psf", &psf, "--psf", &psf];
    says(&bench.fails(2, &twice), &["--psf", "got 2"]);
    assert_eq!(pellucid(["frobnicate"]).status.code(), Some(2));
    assert_eq!(pellucid(["--version"]).status.code(), Some(0));
}

/// Else they were ignored, and recorded in the product.
#[test]
fn what_a_noise_model_has_no_use_for() {
    let bench = Bench::new("unused");
    let noise = ["--noise", "noise-acs-f814w"];
    let fails = |more: &[&str]| bench.fails(2, &[&noise[..], more].concat());
    says(&fails(&["--sweeps", "3"]), &["--sweeps", "need none", "noise-acs-f814w", "got 3"]);
    let psf = bench.psf.display().to_string();
    let correlation = fails(&["--noise-correlation", &psf]);
    says(&correlation, &["--noise-correlation", "need none", "noise-acs-f814w", &psf]);
}

#[test]
fn outputs_that_would_replace_something() {
    let bench = Bench::new("overwrite");
    let text = |path: &PathBuf| path.display().to_string();
    let [exposure, psf, prior, output] =
        [&bench.exposure, &bench.psf, &bench.prior, &bench.output].map(text);
    for (input, name) in [(&exposure, "exposure"), (&psf, "--psf"), (&prior, "--prior")] {
        let before = std::fs::read(input).unwrap();
        says(&bench.fails(2, &["-o", input]), &["-o", input, name]);
        says(&bench.fails(2, &["--figure", input]), &["--figure", input, name]);
        assert_eq!(std::fs::read(input).unwrap(), before);
    }
    let correlation = ["--noise-correlation", &psf, "--figure", &psf];
    says(&bench.fails(2, &correlation), &["--figure", &psf]);
    says(&bench.fails(2, &["--figure", &output]), &["--figure", "-o", &output]);

    let predict = ["predict", "--image", &prior, &exposure, "--psf", &psf, "-o"];
    for (input, name) in [(&exposure, "exposure"), (&psf, "--psf"), (&prior, "--image")] {
        let run = pellucid(predict.iter().copied().chain([input.as_str()]));
        says(&fails(&run, 2), &["-o", input, name]);
    }
    let inspect = pellucid(["inspect", &exposure, "--figure", &exposure]);
    says(&fails(&inspect, 2), &["--figure", &exposure]);
    let truth = text(&bench.folder.path("truth.fits"));
    std::fs::rename(&bench.exposure, &truth).unwrap();
    let simulate = pellucid(["simulate", "--scene", &truth, "-o", &text(&bench.folder.0)]);
    says(&fails(&simulate, 2), &["--scene", &truth]);
}

#[test]
fn files_that_are_not_there() {
    let mut bench = Bench::new("missing");
    says(&bench.fails(1, &["--psf", "/nowhere/p.fits"]), &["/nowhere/p.fits"]);
    says(&bench.fails(1, &["-o", "/nowhere/o.fits"]), &["/nowhere"]);
    let folder = bench.folder.0.display().to_string();
    says(&bench.fails(1, &["-o", &folder]), &["folder", &folder]);
    bench.exposure = "/nowhere/e.fits".into();
    says(&bench.fails(1, &[]), &["/nowhere/e.fits", "No such file"]);
    let inspect = pellucid(["inspect", "/nowhere/post.fits"]);
    says(&fails(&inspect, 1), &["/nowhere/post.fits"]);
}

#[test]
fn a_plugin_that_is_not_there_or_is_something_else() {
    let bench = Bench::new("plugin");
    says(&bench.fails(1, &["--plugin", "/nowhere/l.so"]), &["/nowhere/l.so", "--plugin"]);
    let psf = bench.psf.display().to_string();
    says(&bench.fails(1, &["--plugin", &psf]), &["cannot load", &psf]);
}

#[test]
fn a_psf_that_is_no_image() {
    let bench = Bench::new("psf");
    let mut file = FitsOutput::create(&bench.psf, &[]).unwrap();
    let cube = ndarray::Array3::<f32>::ones((2, 5, 5));
    file.image("PSF", 1, cube.view(), &[]).unwrap();
    file.commit().unwrap();
    says(&bench.fails(1, &[]), &["psf.fits", "2-D image", "5x5x2"]);

    let mut file = FitsOutput::create(&bench.psf, &[]).unwrap();
    let mut image = ndarray::Array2::<f32>::ones((5, 5));
    image[[1, 3]] = f32::NAN;
    file.image("PSF", 1, image.view(), &[]).unwrap();
    file.commit().unwrap();
    says(&bench.fails(1, &[]), &["PSF,1", "(3, 1)", "NaN"]);
}

#[test]
fn a_wcs_that_is_singular_or_elsewhere() {
    let flat = |parts: &mut Parts| {
        for card in &mut parts.wcs {
            if card.key.starts_with("CD") {
                *card = Card::new(&card.key, 1e-5, "");
            }
        }
    };
    let bench = Bench::new("singular").spoil(flat);
    says(&bench.fails(1, &[]), &["exposure.fits[SCI,1]", "singular"]);

    let bench = Bench::new("none").spoil(|parts| parts.wcs.clear());
    says(&bench.fails(1, &[]), &["CTYPE1", "--pixel-scale-data"]);
}

#[test]
fn pixels_and_noise_that_cannot_be() {
    if !support::plugin("pixels_and_noise_that_cannot_be") {
        return;
    }
    let bench = Bench::new("nan").spoil(|parts| parts.science[[5, 9]] = f32::NAN);
    says(&bench.fails(1, &[]), &["exposure.fits", "NaN"]);
    let bench = Bench::new("masked").spoil(|parts| parts.quality.fill(4));
    says(&bench.fails(1, &[]), &["exposure.fits", "unmasked"]);
    let bench = Bench::new("negative").spoil(|parts| parts.error[[5, 9]] = -0.1);
    says(&bench.fails(1, &[]), &["exposure.fits"]);
    let bench = Bench::new("away");
    let away = ["--ra", "151", "--dec", "2"];
    says(&bench.fails(1, &away), &["exposure.fits", "151", "--ra"]);
    let none = ["--prior", "no-such-prior"];
    says(&bench.fails(1, &none), &["no-such-prior", "--prior"]);
}

#[test]
fn models_that_cannot_be() {
    if !support::engine("models_that_cannot_be") {
        return;
    }
    let bench = Bench::new("models");
    let bytes = std::fs::read(&bench.prior).unwrap();
    std::fs::write(&bench.prior, &bytes[..bytes.len() - 100]).unwrap();
    says(&bench.fails(1, &[]), &["prior"]);
    std::fs::write(&bench.prior, &bytes[..20]).unwrap();
    says(&bench.fails(1, &[]), &["prior"]);
    says(&bench.fails(1, &["--prior", "/nowhere/p.safetensors"]), &["/nowhere/p.safetensors"]);
}

#[test]
fn noise_models_that_cannot_be() {
    if !support::engine("noise_models_that_cannot_be") {
        return;
    }
    let taken_by = |parts: &mut Parts| {
        parts.wcs.push(Card::new("INSTRUME", "ACS", ""));
        parts.wcs.push(Card::new("FILTER", "F814W", ""));
    };
    let bench = Bench::new("noise").spoil(taken_by);
    // Not in the folder whose files are counted.
    let models = Folder::new("noise-models");
    let file = models.path("noise.safetensors");
    let noise = file.display().to_string();
    let fails = |change: serde_json::Value, more: &[&str]| {
        write_noise(&file, &change);
        let scale = ["--noise", &noise, "--flux-scale", "1"];
        bench.fails(1, &[&scale[..], more].concat())
    };
    for (change, words) in [
        (json!({"instrument": "WFC3"}), ["instrument", "need WFC3", "got ACS"]),
        (json!({"filter": "F606W"}), ["filter", "need F606W", "got F814W"]),
        (json!({"pixel_scale_data_arcsec": 0.13}), ["pixel scale", "need 0.13", "got 0.0"]),
        (json!({"flux_convention": "per_pixel"}), ["need per_pixel", "got surface", &noise]),
        (json!({}), ["PSF and model pixel scale", "A A^T within 0.1", "a difference of"]),
        (json!({"kind": "prior"}), [&noise, "need noise", "got prior"]),
        (json!({"unit": "counts"}), ["unit", "need e-/s", "got counts"]),
        (json!({"core_sigma_e_per_s": 0.1}), ["core_sigma_e_per_s", "need 0.05", "got 0.1"]),
    ] {
        says(&fails(change, &[]), &words);
    }
    // The prior's largest level is 50.
    let message = fails(json!({}), &["--sampler", "convolved"]);
    says(&message, &["largest noise level", "need 0 to 5", "got 50"]);
    says(&fails(json!({}), &["--leapfrog-steps", "0"]), &["leapfrog_steps", "1 to 1000", "got 0"]);
    says(&fails(json!({}), &["--trajectories", "2000"]), &["trajectories", "got 2000"]);

    let prior = bench.prior.display().to_string();
    says(&bench.fails(1, &["--noise", &prior]), &[&prior, "need noise", "got prior"]);
    let bytes = std::fs::read(&file).unwrap();
    for kept in [20, bytes.len() - 8] {
        std::fs::write(&file, &bytes[..kept]).unwrap();
        says(&bench.fails(1, &["--noise", &noise]), &[&noise]);
    }
    says(&bench.fails(1, &["--noise", "no-such-noise"]), &["no-such-noise", "PELLUCID_MODELS"]);
    let nowhere = "/nowhere/n.safetensors";
    says(&bench.fails(1, &["--noise", nowhere]), &[nowhere, "no such file"]);
}
