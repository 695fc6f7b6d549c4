//! Blank fields: `simulate --field`, which needs no plugin.

mod support;

use ndarray::Array2;
use pellucid_host::fits::{FitsInput, Header};
use pellucid_host::sky::TanSip;
use support::{Folder, pellucid};

const SIDE: usize = 96;

/// Simulates into a folder of its own.
#[track_caller]
fn simulate(folder: &Folder, name: &str, more: &[&str]) {
    let (side, output) = (SIDE.to_string(), folder.path(name).display().to_string());
    let mut args = vec!["simulate", "--field", &side, "--exposures", "2", "--seed", "1"];
    args.extend(["-o", &output]);
    args.extend(more);
    let done = pellucid(&args);
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
}

fn read(folder: &Folder, file: &str, hdu: &str) -> (Array2<f64>, Header) {
    let mut input = FitsInput::open(&folder.path(file)).unwrap();
    let found = input.find(hdu, 1).unwrap().clone();
    (input.image_2d(found.index).unwrap(), found.header)
}

fn primary(folder: &Folder, file: &str) -> Header {
    FitsInput::open(&folder.path(file)).unwrap().hdus()[0].header.clone()
}

const DETECTOR: [&str; 2] = ["--noise", "cosmic-rays"];

#[test]
fn exposures_are_labelled_as_hst_labels_them() {
    let folder = Folder::new("field-keywords");
    for (camera, names, amplifiers) in [
        ("acs-f814w", ["ACS", "WFC", "F814W"], ["READNSEA", "READNSEB"].as_slice()),
        ("wfc3ir-f160w", ["WFC3", "IR", "F160W"], &["READNSEA", "READNSEC", "READNSED"]),
        ("plain", ["PLAIN", "PLAIN", "F814W"], &["READNSE"]),
    ] {
        simulate(&folder, camera, &[&DETECTOR[..], &["--instrument", camera]].concat());
        let file = format!("{camera}/exposure_2.fits");
        let header = primary(&folder, &file);
        for (key, value) in ["INSTRUME", "DETECTOR", "FILTER"].into_iter().zip(names) {
            assert_eq!(header.string(key), Some(value));
        }
        assert!(header.real("EXPTIME").unwrap() >= 500.0);
        for key in amplifiers {
            assert!((3.0..25.0).contains(&header.real(key).unwrap()), "{key}");
        }
        let (science, sci) = read(&folder, &file, "SCI");
        assert_eq!(science.dim(), (SIDE, SIDE));
        assert_eq!(sci.string("BUNIT"), Some("ELECTRONS/S"));
        assert!(TanSip::from_header(&sci, "SCI").is_ok());
        assert!(read(&folder, &file, "ERR").0.iter().all(|e| *e > 0.0));
        read(&folder, &file, "DQ");
    }
}

#[test]
fn the_truth_is_what_was_added() {
    let folder = Folder::new("field-truth");
    simulate(&folder, "f", &[&DETECTOR[..], &["--instrument", "acs-f814w"]].concat());
    simulate(&folder, "again", &[&DETECTOR[..], &["--instrument", "acs-f814w"]].concat());
    let names = ["exposure_1.fits", "exposure_2.fits", "psf.fits", "sources.fits", "truth_1.fits"];
    for name in names {
        let bytes = |sub: &str| std::fs::read(folder.path(sub).join(name)).unwrap();
        assert_eq!(bytes("f"), bytes("again"), "{name} follows from the seed");
    }
    let (science, _) = read(&folder, "f/exposure_1.fits", "SCI");
    let (error, _) = read(&folder, "f/exposure_1.fits", "ERR");
    let (quality, _) = read(&folder, "f/exposure_1.fits", "DQ");
    let [light, rays, hot] =
        ["LIGHT", "CRAYS", "HOT"].map(|hdu| read(&folder, "f/truth_1.fits", hdu).0);
    let dead = |at: (usize, usize)| quality[at] as i32 & 4 != 0;
    let known = &light + &rays + &hot;
    let good: Vec<f64> = science
        .indexed_iter()
        .filter(|(at, _)| !dead(*at))
        .map(|(at, v)| ((v - known[at]) / error[at]).powi(2))
        .collect();
    let reduced = good.iter().sum::<f64>() / good.len() as f64;
    // Stripes make it a little more than 1.
    assert!((0.9..1.2).contains(&reduced), "{reduced}");
    let mut flagged = 0;
    for (at, added) in rays.indexed_iter().filter(|(at, _)| !dead(*at)) {
        let flag = quality[at] as i32 & 4096 != 0;
        flagged += usize::from(flag);
        assert!(flag == (*added > 3.0 * error[at]) || (added / error[at] - 3.0).abs() < 1e-4);
    }
    // 1.1 % of the pixels of such an exposure.
    assert!((30..250).contains(&flagged), "{flagged}");

    // Hot pixels stay, the sky moves.
    let (_, first) = read(&folder, "f/exposure_1.fits", "SCI");
    let (_, second) = read(&folder, "f/exposure_2.fits", "SCI");
    let [a, b] = [first, second].map(|h| TanSip::from_header(&h, "SCI").unwrap());
    let moved = b.sky_to_pixel(a.pixel_to_sky([50.0, 50.0])).unwrap();
    assert!((moved[0] - 55.0).abs() < 0.6, "{moved:?}");
    let again = read(&folder, "f/truth_2.fits", "HOT").0;
    assert!(hot.iter().any(|v| *v > 0.0));
    let both = hot.iter().zip(&again).filter(|(a, b)| a != b).count();
    assert_eq!(both, 0, "the detector is the same");
}

#[test]
fn sky_density_and_flags_are_as_asked() {
    let folder = Folder::new("field-options");
    simulate(&folder, "sky", &["--keep-sky", "--density", "0", "--instrument", "plain"]);
    let (science, header) = read(&folder, "sky/exposure_1.fits", "SCI");
    let sky = header.real("MDRIZSKY").unwrap();
    let mean = science.mean().unwrap();
    assert!((mean / sky - 1.0).abs() < 0.02, "{mean}");
    assert!(read(&folder, "sky/truth_1.fits", "LIGHT").0.iter().all(|v| *v == 0.0));
    let plain = [&DETECTOR[..], &["--instrument", "plain", "--unflagged"]].concat();
    simulate(&folder, "unflagged", &[&plain[..], &["--exposure-time", "1000"]].concat());
    assert_eq!(primary(&folder, "unflagged/exposure_1.fits").real("EXPTIME"), Some(1000.0));
    let (quality, _) = read(&folder, "unflagged/exposure_1.fits", "DQ");
    assert!(quality.iter().all(|q| *q == 0.0 || *q == 4.0));
    let rays = read(&folder, "unflagged/truth_1.fits", "CRAYS").0;
    assert!(rays.iter().any(|v| *v > 1.0));
}

#[test]
fn fields_that_cannot_be() {
    let folder = Folder::new("field-bad");
    let output = folder.path("f").display().to_string();
    for (code, words, args) in [
        (1, "--field", vec!["--field", "3000", "--instrument", "acs-f814w"]),
        (1, "1024", vec!["--field", "0", "--instrument", "plain"]),
        (2, "--scene", vec!["--field", "64", "--scene", "x.fits"]),
        (2, "--field", vec!["--density", "2"]),
        (2, "negative", vec!["--field", "64", "--density=-1"]),
        (2, "positive", vec!["--field", "64", "--exposure-time", "0"]),
    ] {
        let done = pellucid([&["simulate", "-o", &output], &args[..]].concat());
        let stderr = String::from_utf8_lossy(&done.stderr).into_owned();
        assert_eq!(done.status.code(), Some(code), "{args:?}: {stderr}");
        assert!(stderr.contains(words), "{words:?} is not in: {stderr}");
    }
    assert!(folder.names().is_empty(), "nothing was written");
}
