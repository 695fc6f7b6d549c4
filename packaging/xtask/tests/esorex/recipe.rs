//! What EsoRex lists, and runs whose products are those of `pellucid sample`.

use std::path::Path;

use pellucid_host::fits::{Card, Header};

use crate::files::{self, SIDE, Table, assert_same, hierarch, image};
use crate::support::{self, Folder, built, pellucid, works};

const FEW: [&str; 2] = ["--n_samples=3", "--seed=7"];

#[test]
fn it_builds_without_a_warning_and_lists_itself() {
    if !support::esorex("it_builds_without_a_warning_and_lists_itself") {
        return;
    }
    assert!(!built().to_lowercase().contains("warning"), "{}", built());
    let folder = Folder::new("listing");
    // What listing needs of the engine is nothing.
    let esorex = |args: &[&str]| {
        works(folder.esorex(args).env("PELLUCID_PLUGIN", "/nowhere/libpellucid.so.1"))
    };
    let recipes = esorex(&["--recipes"]);
    assert!(recipes.contains("pellucid_sample       : Posterior samples"), "{recipes}");
    let page = esorex(&["--man-page", "pellucid_sample"]);
    let version = format!("version {}", env!("CARGO_PKG_VERSION"));
    for part in [
        "CALIBRATED_EXPOSURE",
        "POSTERIOR_SAMPLES",
        "--flux_scale",
        "Apache",
        "<default |",
        &version,
    ] {
        assert!(page.contains(part), "{part} in\n{page}");
    }
    assert!(!page.contains("GNU"), "the licence is Pellucid's\n{page}");

    let json = folder.text("sample.json");
    esorex(&[&format!("--create-config={json}"), "pellucid_sample"]);
    let config: serde_json::Value =
        serde_json::from_str(&std::fs::read_to_string(&json).unwrap()).unwrap();
    let parameters = config.as_array().or_else(|| config["parameters"].as_array()).unwrap();
    let named = |name: &str| {
        let found = parameters.iter().find(|p| p["display_name"] == name);
        found.unwrap_or_else(|| panic!("{name} in {config:#}"))
    };
    assert_eq!(parameters.len(), 29);
    assert_eq!(named("n_samples")["valmin"], 1);
    assert!(named("sampler").to_string().contains("\"smc\""));

    let rc = folder.text("sample.rc");
    esorex(&[&format!("--create-config={rc}"), "pellucid_sample"]);
    let text = std::fs::read_to_string(&rc).unwrap();
    // One without a default is there as a comment.
    let lines = text.lines().map(|line| line.trim_start_matches('#'));
    let set = lines.filter(|line| line.starts_with("pellucid.pellucid_sample."));
    assert_eq!(set.count(), 29, "{text}");
    esorex(&[&format!("--recipe-config={rc}"), "--man-page", "pellucid_sample"]);
}

/// Four dithered, distorted exposures with cosmic rays, no centre given: the hosts have to find the same.
#[test]
fn four_simulated_exposures() {
    if !support::engine("four_simulated_exposures") {
        return;
    }
    let folder = Folder::new("four");
    let prior = folder.text("field.safetensors");
    files::write_prior(&folder.path("field.safetensors"), 32, 0.03);
    let simulate = ["simulate", "--exposures", "4", "--noise", "cosmic-rays", "--size", "32"];
    works(pellucid(simulate).args(["--seed", "3", "-o", &folder.text("sim")]));
    let exposures: Vec<_> =
        (1..=4).map(|k| folder.text(&format!("sim/exposure_{k}.fits"))).collect();
    let psf = folder.text("sim/psf.fits");

    let mut frames: Vec<_> =
        exposures.iter().map(|path| (path.clone(), "CALIBRATED_EXPOSURE")).collect();
    frames.extend([(psf.clone(), "PSF"), (prior.clone(), "PRIOR")]);
    let frames = folder.set_of_frames("in.sof", &frames);
    let few = ["--steps=6", "--sweeps=1", "--flux_scale=1", "--device=cpu"];
    let args = ["pellucid_sample"].into_iter().chain(FEW).chain(few).chain([&*frames]);
    let said = works(folder.esorex(args).env("PELLUCID_PLUGIN", support::plugin()));
    assert!(said.contains("job queued: 3 samples of 4 exposures"), "{said}");
    assert!(said.contains("0 %, 0 of 3 samples"), "{said}");

    let mut expected: Vec<String> =
        ["diagnostics", "mean", "median", "p16", "p84", "samples", "std"]
            .into_iter()
            .map(|name| format!("pellucid_sample_{name}.fits"))
            .collect();
    expected.extend((1..=4).map(|k| format!("pellucid_sample_exposure_{k}.fits")));
    expected.sort();
    assert_eq!(folder.products(), expected);
    assert!(folder.litter().is_empty());
    let product = |name: &str| folder.path(&format!("products/pellucid_sample_{name}.fits"));
    expected.iter().for_each(|name| files::verify(&folder.path("products").join(name)));

    let posterior = folder.path("posterior.fits");
    let mut sample = pellucid(["sample", "--psf", &psf, "--prior", &prior, "--samples", "3"]);
    sample.args(["--seed", "7", "--steps", "6", "--sweeps", "1", "--flux-scale", "1"]);
    works(sample.args(["--device", "cpu"]).args(&exposures).arg("-o").arg(&posterior));

    let (cube, header) = image(&product("samples"), "");
    assert_eq!(cube.shape(), [3, 32, 32]);
    assert_same(&cube, &image(&posterior, "SAMPLES").0, "samples");
    for name in ["MEAN", "MEDIAN", "STD", "P16", "P84"] {
        let (ours, head) = image(&product(&name.to_lowercase()), "");
        assert_same(&ours, &image(&posterior, name).0, name);
        assert_eq!(hierarch(&head, "PRO CATG").unwrap(), format!("POSTERIOR_{name}"));
    }
    for k in 1..=4 {
        for name in ["DATA", "SIGMA", "MODEL", "RESIDUAL"] {
            let (ours, head) = image(&product(&format!("exposure_{k}")), name);
            let (theirs, other) = image(&posterior, &format!("{name}_{k}"));
            assert_same(&ours, &theirs, name);
            for key in ["CRPIX1", "CRPIX2", "CD1_2", "A_2_0", "B_0_3", "STAMPX0"] {
                let [a, b] = [&head, &other].map(|h| h.real(key).unwrap());
                assert!((a - b).abs() <= 1e-14 * b.abs(), "{name}_{k}: {key} {a} {b}");
            }
        }
    }
    // CPL writes 15 digits.
    let wcs = image(&posterior, "MEAN").1;
    for key in ["CRPIX1", "CRPIX2", "CRVAL1", "CRVAL2", "CD1_1", "CD2_2"] {
        let [a, b] = [&header, &wcs].map(|h| h.real(key).unwrap());
        assert!((a - b).abs() <= 1e-14 * b.abs(), "{key} {a} {b}");
    }
    assert_eq!(header.string("CTYPE1"), Some("RA---TAN"));
    assert_eq!(header.string("BUNIT"), Some("electron/s"));

    let main = image(&posterior, "MEAN").1;
    assert!(main.string("EXTNAME").is_some());
    let summary = works(&mut pellucid(["inspect", "--json", posterior.to_str().unwrap()]));
    let summary: serde_json::Value = serde_json::from_str(&summary).unwrap();
    let text = |key: &str| hierarch(&header, key).unwrap_or_else(|| panic!("{key} is there"));
    let close = |key: &str, value: &serde_json::Value| {
        let (got, need) = (text(key).parse::<f64>().unwrap(), value.as_f64().unwrap());
        assert!((got - need).abs() <= 1e-9 * need.abs(), "{key}: {got}, {need}");
    };
    assert_eq!(["QC NSAMPLES", "QC NFAILED", "QC NEXPO"].map(text), ["3", "0", "4"]);
    close("QC FLUX MEDIAN", &summary["flux"]["median"]);
    close("QC FLUXSCALE", &summary["flux_scale"]);
    for k in 0..4 {
        let fit = &summary["exposures"][k];
        close(&format!("QC EXPO{} CHI2", k + 1), &fit["chi2_dof"]);
        close(&format!("QC EXPO{} WHITENESS", k + 1), &fit["whiteness"]);
        close(&format!("QC EXPO{} PPP", k + 1), &fit["ppp"]);
    }
    let flags = files::column(&product("diagnostics"), "EXPOSURES", "FLAGS");
    assert_eq!(flags, files::column(&posterior, "EXPOSURES", "FLAGS"));
    let set = |key: &str| summary["flags"][key] == true;
    let named = [("chi2", "chi2"), ("whiteness", "whiteness"), ("edge_flux", "edge-flux")];
    for (key, name) in named {
        assert_eq!(text("QC FLAGS").contains(name), set(key), "{name}: {}", text("QC FLAGS"));
    }
    assert_eq!(text("PRO CATG"), "POSTERIOR_SAMPLES");
    assert_eq!(text("PRO REC1 RAW4 NAME"), "exposure_4.fits");
    assert_eq!(header.string("PRIORSHA").unwrap().len(), 64);
    let record = files::column(&product("diagnostics"), "PROVENANCE", "VALUE");
    assert!(record[5].starts_with('{') && record[5].contains("psf_sha256"), "{record:?}");
    same_provenance(&product("samples"), &posterior);
    for column in ["SOURCE", "SOURCE_SHA256", "PSF", "PSF_SHA256"] {
        let [ours, theirs] = [product("diagnostics"), posterior.clone()]
            .map(|path| files::column(&path, "EXPOSURES", column));
        assert_eq!(ours, theirs, "{column}");
    }
}

/// Cards that say how a product was made: those of the other host.
fn same_provenance(ours: &Path, theirs: &Path) {
    let (ours, theirs) = (files::primary(ours), files::primary(theirs));
    let text = |header: &Header, key: &str| {
        header.string(key).unwrap_or_else(|| panic!("{key} is there")).to_owned()
    };
    let mut same: Vec<String> =
        ["PLUGIN", "PRIOR", "PRIORSHA", "NOISE", "SEED", "DEVICE"].map(String::from).into();
    same.extend((1..=4).flat_map(|k| [format!("SRCSHA{k}"), format!("PSFSHA{k}")]));
    same.iter().for_each(|key| assert_eq!(text(&ours, key), text(&theirs, key), "{key}"));
    assert_eq!(text(&ours, "CREATOR"), format!("pellucid_sample {}", env!("CARGO_PKG_VERSION")));
    // Longer than a card.
    let json = |header: &Header, key: &str| {
        serde_json::from_str::<serde_json::Value>(&text(header, key)).unwrap()
    };
    let [config, other] = [&ours, &theirs].map(|header| json(header, "CONFIG"));
    for (key, value) in other.as_object().unwrap() {
        // 1 and 1.0 are the same number.
        let same = config[key].as_f64().zip(value.as_f64()).is_some_and(|(a, b)| a == b);
        assert!(same || &config[key] == value, "{key}: {config} {other}");
    }
    let [record, other] = [&ours, &theirs].map(|header| json(header, "RECORD"));
    for key in ["exposures", "prior", "grid", "seed", "options"] {
        assert!(!record[key].is_null(), "{key}: {record}");
        assert_eq!(record[key], other[key], "{key}");
    }
    // fitsverify has recomputed them.
    assert!(["CHECKSUM", "DATASUM"].iter().all(|key| ours.string(key).is_some()));
}

/// Counts with a gain, the sign bit of DQ, and HST's distortion tables: read as the other host reads them, and
/// each of them tells.
#[test]
fn calibration_is_that_of_the_other_host() {
    if !support::engine("calibration_is_that_of_the_other_host") {
        return;
    }
    let folder = Folder::new("calibration");
    let frames = files::plain_frames(&folder);
    let prior = folder.text("prior.safetensors");
    let unit = [Card::new("BUNIT", "COUNTS", ""), Card::new("ATODGNA", 2.0, "")];
    let npol = [
        Card::new("CPDIS1", "Lookup", ""),
        Card::new("DP1", "EXTVER: 1", ""),
        Card::new("DP1", "NAXES: 2", ""),
        Card::new("DP1", "AXIS.1: 1", ""),
        Card::new("DP1", "AXIS.2: 2", ""),
    ];
    let d2im = [Card::new("D2IMDIS2", "Lookup", ""), Card::new("D2IM2", "EXTVER: 2", "")];
    let cases: [(&str, f32, &[Card], &[Table]); 4] = [
        ("plain", 1.0, &[], &[]),
        ("counts", 250.0, &unit, &[]),
        ("npol", 1.0, &npol, &[("WCSDVARR", 1, 0.8)]),
        ("d2im", 1.0, &d2im, &[("D2IMARR", 2, -0.7)]),
    ];
    let mut cubes = Vec::new();
    for (name, scale, cards, tables) in &cases {
        files::write_exposure(&folder.path("a.fits"), *scale, cards, tables);
        let frames = folder.set_of_frames("in.sof", &frames);
        let few = ["--steps=6", "--sweeps=0", "--flux_scale=1", "--ra=150.0", "--dec=2.0"];
        let args = ["pellucid_sample"].into_iter().chain(FEW).chain(few).chain([&*frames]);
        works(folder.esorex(args).env("PELLUCID_PLUGIN", support::plugin()));
        let (cube, _) = image(&folder.path("products/pellucid_sample_samples.fits"), "");
        let output = folder.path("p.fits");
        let mut sample = pellucid(["sample", &folder.text("a.fits"), "--prior", &prior]);
        sample.args(["--psf", &folder.text("psf.fits"), "--samples", "3", "--seed", "7"]);
        sample.args(["--steps", "6", "--sweeps", "0", "--flux-scale", "1"]);
        sample.args(["--ra", "150", "--dec", "2", "-o"]).arg(&output);
        works(&mut sample);
        assert_same(&cube, &image(&output, "SAMPLES").0, name);
        let (data, head) = image(&folder.path("products/pellucid_sample_exposure_1.fits"), "DATA");
        assert_same(&data, &image(&output, "DATA_1").0, name);
        let bad = data.iter().filter(|v| v.is_nan()).count();
        // Tables shift some pixels off the model; of the others these two are flagged.
        assert!(tables.is_empty() == (bad == 2) && data.len() == SIDE * SIDE, "{name}: {bad}");
        assert!(data[[3, 4]].is_nan() && data[[9, 2]].is_nan() && data[[5, 5]].is_finite());
        // A WCS that needs tables does not travel.
        assert_eq!(head.has_celestial_wcs(), tables.is_empty(), "{name}");
        cubes.push(cube);
    }
    let apart = |a: usize, b: usize| {
        let pairs = cubes[a].iter().zip(&cubes[b]);
        pairs.map(|(x, y)| (x - y).abs()).fold(0.0, f64::max)
    };
    // 250 counts of gain 2 in 500 s are 1 e-/s, to float's rounding.
    assert!(apart(0, 1) < 1e-3, "{}", apart(0, 1));
    assert!(apart(0, 2) > 0.05 && apart(0, 3) > 0.05, "{} {}", apart(0, 2), apart(0, 3));
}

/// `$ORIGIN` stands for the recipe's folder, as the built-in path of a relocatable package needs it.
#[test]
fn the_engine_can_be_named_from_the_recipe() {
    if !support::engine("the_engine_can_be_named_from_the_recipe") {
        return;
    }
    let folder = Folder::new("origin");
    let frames = folder.set_of_frames("in.sof", &files::plain_frames(&folder));
    let up = "/..".repeat(support::recipe_folder().components().count());
    let engine = format!("--engine=$ORIGIN{up}{}", support::plugin().display());
    let few = ["pellucid_sample", "--n_samples=1", "--steps=4", "--sweeps=0", "--flux_scale=1"];
    let mut command = folder.esorex(few);
    works(command.args([&engine, &frames]).env("PELLUCID_PLUGIN", "/nowhere/libpellucid.so.1"));
    // One sample has no spread, but is a product all the same.
    let (std, _) = image(&folder.path("products/pellucid_sample_std.fits"), "");
    assert!(std.iter().all(|v| v.is_nan()));
}
