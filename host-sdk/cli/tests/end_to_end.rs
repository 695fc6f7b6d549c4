//! Simulate, sample, inspect and predict through the real plugin.

mod support;

use std::process::{Command, Output};

use ndarray::{Array2, s};
use pellucid_host::fits::{Card, FitsInput, FitsOutput};
use support::{Folder, GRID, Parts, SIDE, pellucid, write_noise, write_prior, write_psf};

#[track_caller]
fn works(output: Output) -> String {
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{stderr}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn a_posterior_and_its_figure() {
    if !support::engine("a_posterior_and_its_figure") {
        return;
    }
    let folder = Folder::new("sample");
    let path = |name: &str| folder.path(name).display().to_string();
    Parts::default().write(&folder.path("a.fits"));
    write_psf(&folder.path("psf.fits"));
    write_prior(&folder.path("prior.safetensors"));
    let sample = |output: &str| {
        works(pellucid([
            "sample",
            &path("a.fits"),
            "--psf",
            &path("psf.fits"),
            "--prior",
            &path("prior.safetensors"),
            "--flux-scale",
            "1",
            "--samples",
            "4",
            "--seed",
            "7",
            "--figure",
            &path("figure.png"),
            "--json",
            "-o",
            &path(output),
        ]))
    };
    let summary: serde_json::Value = serde_json::from_str(&sample("one.fits")).unwrap();
    assert_eq!(summary["samples"], 4);
    assert_eq!(summary["grid"]["nx"], SIDE);
    let chi2 = summary["exposures"][0]["chi2_dof"].as_f64().unwrap();
    assert!((0.3..2.0).contains(&chi2), "{chi2}");
    sample("two.fits");
    let names = ["a.fits", "figure.png", "one.fits", "prior.safetensors", "psf.fits", "two.fits"];
    assert_eq!(folder.names(), names);

    let samples = |name: &str| {
        let mut file = FitsInput::open(&folder.path(name)).unwrap();
        let index = file.find("SAMPLES", 1).unwrap().index;
        file.image(index).unwrap()
    };
    assert_eq!(samples("one.fits"), samples("two.fits"), "same seed, same samples");
    let text = works(pellucid(["inspect", &path("one.fits")]));
    assert!(text.contains("4 samples"), "{text}");
    match Command::new("fitsverify").arg(path("one.fits")).output() {
        Ok(output) => {
            let text = String::from_utf8_lossy(&output.stdout).into_owned();
            assert!(text.contains("found 0 warning(s) and 0 error(s)"), "{text}");
        }
        Err(_) => support::skipped("fitsverify is not installed"),
    }
}

/// 16 pixels of 0.02" cover the middle 6.4 x 6.4 pixels of a source that is wider.
#[test]
fn a_grid_that_fits_neither_prior_nor_galaxy_is_flagged() {
    if !support::engine("a_grid_that_fits_neither_prior_nor_galaxy_is_flagged") {
        return;
    }
    let folder = Folder::new("grid");
    let path = |name: &str| folder.path(name).display().to_string();
    Parts::default().write(&folder.path("a.fits"));
    write_psf(&folder.path("psf.fits"));
    write_prior(&folder.path("prior.safetensors"));
    let (exposure, psf, prior) = (path("a.fits"), path("psf.fits"), path("prior.safetensors"));
    let output = path("p.fits");
    let sample = |scale: &str| {
        let mut args = vec!["sample", &exposure, "--psf", &psf, "--prior", &prior, "-o", &output];
        args.extend(["--flux-scale", "1", "--samples", "1", "--steps", "4", "--sweeps", "0"]);
        let run = pellucid(args.into_iter().chain(["--pixel-scale", scale]));
        let stderr = String::from_utf8_lossy(&run.stderr).into_owned();
        works(run);
        let file = FitsInput::open(&folder.path("p.fits")).unwrap();
        let flags = file.hdus()[0].header.string("FLAGS").unwrap().to_owned();
        (stderr, flags)
    };
    let (stderr, flags) = sample("0.02");
    assert!(stderr.contains("trained at 0.05\"") && stderr.contains("2.500 times"), "{stderr}");
    assert!(stderr.contains("0.32\" x 0.32\"") && stderr.contains("flux is lost"), "{stderr}");
    assert!(flags.contains("prior-scale") && flags.contains("edge-flux"), "{flags}");
    let (stderr, flags) = sample("0.0504");
    assert!(!stderr.contains("trained at") && !stderr.contains("lost"), "{stderr}");
    assert!(!flags.contains("prior-scale"), "{flags}");
}

/// A noise model by name: its file's hash is in the product. For two filters, as it may be asked to serve: both are
/// named, and the product is flagged.
#[test]
fn a_noise_model_by_name_for_two_filters() {
    if !support::engine("a_noise_model_by_name_for_two_filters") {
        return;
    }
    let folder = Folder::new("two-filters");
    let path = |name: &str| folder.path(name).display().to_string();
    for (name, filter) in [("a.fits", "F814W"), ("b.fits", "F606W")] {
        let mut parts = Parts::default();
        for (key, value) in [("INSTRUME", "ACS"), ("DETECTOR", "WFC"), ("FILTER", filter)] {
            parts.wcs.push(Card::new(key, value, ""));
        }
        parts.write(&folder.path(name));
    }
    write_psf(&folder.path("psf.fits"));
    write_prior(&folder.path("prior.safetensors"));
    write_noise(&folder.path("white.safetensors"), &serde_json::json!({}));
    let [a, b, psf, prior] = ["a.fits", "b.fits", "psf.fits", "prior.safetensors"].map(path);
    let (models, output) = (folder.0.display().to_string(), path("p.fits"));
    let sample = |more: &[&str]| {
        let mut args = vec!["sample", &a, &b, "--psf", &psf, "--prior", &prior, "-o", &output];
        args.extend(["--models", &models, "--noise", "white", "--flux-scale", "1"]);
        args.extend(["--samples", "1", "--steps", "4", "--trajectories", "2"]);
        pellucid(args.into_iter().chain(more.iter().copied()))
    };
    let refused = sample(&[]);
    assert_eq!(refused.status.code(), Some(2));
    let accepted = sample(&["--accept-noise-mismatch"]);
    for run in [&refused, &accepted] {
        let stderr = String::from_utf8_lossy(&run.stderr).into_owned();
        assert!(stderr.contains("ACS WFC F814W") && stderr.contains("ACS WFC F606W"), "{stderr}");
        assert!(stderr.contains("a.fits") && stderr.contains("b.fits"), "{stderr}");
    }
    works(accepted);
    let file = FitsInput::open(&folder.path("p.fits")).unwrap();
    let header = &file.hdus()[0].header;
    assert!(header.string("FLAGS").unwrap().contains("noise-mismatch"));
    let hash = pellucid_host::input::sha256_file(&folder.path("white.safetensors")).unwrap();
    assert_eq!((header.string("NOISE"), header.string("NOISESHA")), (Some("white"), Some(&*hash)));
}

/// The program is copied to a prefix of its own; the plugin stays where it is.
#[test]
fn models_are_found_around_the_program() {
    if !support::engine("models_are_found_around_the_program") {
        return;
    }
    let folder = Folder::new("installed");
    let checks = String::from_utf8(pellucid(["doctor", "--json"]).stdout).unwrap();
    let checks: serde_json::Value = serde_json::from_str(&checks).unwrap();
    assert_eq!(checks[0]["check"], "plugin");
    let plugin = checks[0]["detail"].as_str().unwrap();
    for name in ["bin", "share/pellucid/models", "listed"] {
        std::fs::create_dir_all(folder.path(name)).unwrap();
    }
    let program = folder.path("bin/pellucid");
    std::fs::copy(env!("CARGO_BIN_EXE_pellucid"), &program).unwrap();
    for model in ["bin/beside", "share/pellucid/models/shared", "listed/shared", "bin/shared"] {
        write_prior(&folder.path(&format!("{model}.safetensors")));
    }
    let models = |listed: &str| {
        let mut run = Command::new(&program);
        run.args(["models", "--json", "--plugin", plugin]).env("PELLUCID_MODELS", listed);
        let models: serde_json::Value =
            serde_json::from_str(&works(run.output().unwrap())).unwrap();
        move |name: &str| {
            let found = models.as_array().unwrap().iter().find(|m| m["name"] == name);
            found.expect(name)["path"].as_str().unwrap().to_owned()
        }
    };
    let file = |name: &str| folder.path(name).canonicalize().unwrap().display().to_string();
    let installed = models("");
    assert_eq!(installed("shared"), file("share/pellucid/models/shared.safetensors"));
    assert_eq!(installed("beside"), file("bin/beside.safetensors"));
    let listed = file("listed");
    assert_eq!(models(&listed)("shared"), file("listed/shared.safetensors"));
}

/// An even kernel centred on the sample n/2, as Tiny Tim's are, is the odd one in it.
#[test]
fn the_centre_of_the_psf_can_be_stated() {
    if !support::engine("the_centre_of_the_psf_can_be_stated") {
        return;
    }
    let folder = Folder::new("centre");
    let path = |name: &str| folder.path(name).display().to_string();
    let write = |name: &str, image: Array2<f32>, cards: &[Card]| {
        let mut file = FitsOutput::create(&folder.path(name), &[]).unwrap();
        file.image("IMAGE", 1, image.view(), cards).unwrap();
        file.commit().unwrap();
    };
    Parts::default().write(&folder.path("exposure.fits"));
    let model = Array2::from_shape_fn((SIDE, SIDE), |(y, x)| ((7 * y + 13 * x) % 11) as f32);
    write("model.fits", model, &GRID.cards());
    let odd = Array2::from_shape_fn((9, 9), |(y, x)| 1.0 / (1 + y * y + 2 * x) as f32);
    let mut even = Array2::zeros((10, 10));
    even.slice_mut(s![1.., 1..]).assign(&odd);
    let sampling = [Card::new("OVERSAMP", 4, "")];
    write("odd.fits", odd, &sampling);
    write("even.fits", even, &sampling);
    let predict = |psf: &str, more: &[&str]| {
        let (image, exposure, psf) = (path("model.fits"), path("exposure.fits"), path(psf));
        let output = path("predicted.fits");
        let args = ["predict", "--image", &image, &exposure, "--psf", &psf, "-o", &output];
        works(pellucid(args.iter().chain(more)));
        let mut file = FitsInput::open(&folder.path("predicted.fits")).unwrap();
        let index = file.find("SCI", 1).unwrap().index;
        file.image_2d(index).unwrap()
    };
    let expected = predict("odd.fits", &[]);
    let worst = |image: Array2<f64>| (&image - &expected).fold(0.0f64, |m, d| m.max(d.abs()));
    let stated = worst(predict("even.fits", &["--psf-centre", "5,5"]));
    assert!(stated < 1e-5, "{stated}");
    let assumed = worst(predict("even.fits", &[]));
    assert!(assumed > 0.05, "half a sample aside: {assumed}");
}

#[test]
fn simulated_exposures_are_what_prediction_says() {
    if !support::engine("simulated_exposures_are_what_prediction_says") {
        return;
    }
    let folder = Folder::new("simulate");
    let path = |name: &str| folder.path(name).display().to_string();
    let simulate = |output: &str| {
        works(pellucid([
            "simulate",
            "--instrument",
            "plain",
            "--exposures",
            "2",
            "--size",
            "32",
            "--snr",
            "50",
            "--seed",
            "3",
            "-o",
            &path(output),
        ]))
    };
    simulate("sim");
    simulate("again");
    for name in ["exposure_1.fits", "exposure_2.fits", "psf.fits", "truth.fits"] {
        let read =
            |folder_name: &str| std::fs::read(folder.0.join(folder_name).join(name)).unwrap();
        assert_eq!(read("sim"), read("again"), "{name} follows from the seed");
    }
    works(pellucid([
        "predict",
        "--image",
        &path("sim/truth.fits"),
        &path("sim/exposure_2.fits"),
        "--psf",
        &path("sim/psf.fits"),
        "-o",
        &path("predicted.fits"),
    ]));
    let image = |name: &str, hdu: &str| {
        let mut file = FitsInput::open(&folder.path(name)).unwrap();
        let index = file.find(hdu, 1).unwrap().index;
        file.image_2d(index).unwrap()
    };
    let seen = image("sim/exposure_2.fits", "SCI");
    let sigma = image("sim/exposure_2.fits", "ERR");
    let quality = image("sim/exposure_2.fits", "DQ");
    let predicted = image("predicted.fits", "SCI");
    assert_eq!(seen.dim(), predicted.dim());
    let good: Vec<f64> = (0..seen.len())
        .map(|i| (i / seen.ncols(), i % seen.ncols()))
        .filter(|at| quality[*at] == 0.0)
        .map(|at| ((seen[at] - predicted[at]) / sigma[at]).powi(2))
        .collect();
    let reduced = good.iter().sum::<f64>() / good.len() as f64;
    // The truth's pixels are twice as coarse as what was simulated: a little more than noise.
    assert!((0.7..1.6).contains(&reduced), "{reduced}");
}

#[test]
fn cosmic_rays_are_simulated_flagged_and_known() {
    if !support::engine("cosmic_rays_are_simulated_flagged_and_known") {
        return;
    }
    let folder = Folder::new("cosmic");
    let output = folder.path("sim").display().to_string();
    let camera = ["--instrument", "acs-f814w", "--noise", "cosmic-rays"];
    let size = ["--exposures", "2", "--size", "64", "--seed", "3", "-o", &output];
    works(pellucid([&["simulate"], &camera[..], &size[..]].concat()));
    let image = |name: &str, hdu: &str, version: i64| {
        let mut file = FitsInput::open(&folder.path("sim").join(name)).unwrap();
        let index = file.find(hdu, version).unwrap().index;
        file.image_2d(index).unwrap()
    };
    for k in 1..=2 {
        let exposure = format!("exposure_{k}.fits");
        let [error, quality] = ["ERR", "DQ"].map(|hdu| image(&exposure, hdu, 1));
        let rays = image("truth.fits", "CRAYS", k);
        assert_eq!(rays.dim(), error.dim());
        assert!(rays.iter().any(|v| *v > 0.0));
        for (at, added) in rays.indexed_iter().filter(|(at, _)| quality[*at] as i32 & 4 == 0) {
            let flagged = quality[at] as i32 & 4096 != 0;
            let sigma = added / error[at];
            assert!(flagged == (sigma > 3.0) || (sigma - 3.0).abs() < 1e-4, "{at:?}: {sigma}");
        }
    }
}
