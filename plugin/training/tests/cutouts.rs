//! `pellucid-train cutouts` end to end.

use std::collections::HashMap;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use ndarray::{Array2, s};
use pellucid_host::fits::{Card, FitsOutput};
use pellucid_host::sky::{ModelGrid, SkyPosition};
use pellucid_posterior::score::model_file::{read_tensors, write_tensors};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, StandardNormal};
use serde_json::Value;
use tch::{Kind, Tensor};

const ROWS: usize = 150;
const COLUMNS: usize = 170;

fn folder(name: &str) -> PathBuf {
    let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("cutouts-{name}"));
    let _ = std::fs::remove_dir_all(&path);
    std::fs::create_dir_all(&path).expect("a folder for the test");
    path
}

fn noise(seed: u64) -> Array2<f32> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let normal = |rng: &mut ChaCha8Rng| -> f32 { StandardNormal.sample(rng) };
    Array2::from_shape_simple_fn((ROWS, COLUMNS), || 0.4 + 0.02 * normal(&mut rng))
}

/// One chip of an exposure to write.
struct Chip {
    science: Array2<f32>,
    error: Array2<f32>,
    quality: Array2<i16>,
}

impl Chip {
    fn new(seed: u64) -> Self {
        let shape = (ROWS, COLUMNS);
        Self {
            science: noise(seed),
            error: Array2::from_elem(shape, 0.02),
            quality: Array2::zeros(shape),
        }
    }
}

fn write(path: &Path, filter: &str, unit: &str, chips: &[Chip]) {
    let primary = [
        Card::new("INSTRUME", "ACS", ""),
        Card::new("DETECTOR", "WFC", ""),
        Card::new("FILTER1", "CLEAR1L", ""),
        Card::new("FILTER2", filter, ""),
        Card::new("EXPTIME", 500.0, ""),
        Card::new("READNSEA", 4.0, ""),
        Card::new("READNSEB", 5.0, ""),
        Card::new("CCDGAIN", 2.0, ""),
    ];
    let centre = SkyPosition { ra_deg: 150.0, dec_deg: 2.0 };
    let grid = ModelGrid { nx: COLUMNS, ny: ROWS, centre, pixel_scale_arcsec: 0.05 };
    let cards = [grid.cards(), vec![Card::new("BUNIT", unit, "")]].concat();
    let mut file = FitsOutput::create(path, &primary).expect("a writable folder");
    for (k, chip) in chips.iter().enumerate() {
        let version = k as i64 + 1;
        file.image("SCI", version, chip.science.view(), &cards).expect("SCI");
        file.image("ERR", version, chip.error.view(), &[]).expect("ERR");
        file.image_i16("DQ", version, chip.quality.view(), &[]).expect("DQ");
    }
    file.commit().expect("a writable folder");
}

fn cut(exposures: &[&Path], output: &Path, more: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_pellucid-train"));
    command.arg("cutouts").args(exposures).arg("-o").arg(output).args(more);
    command.output().expect("because the binary was built for this test")
}

struct Set {
    metadata: Value,
    tensors: HashMap<String, Tensor>,
}

fn read(path: &Path) -> Set {
    let (metadata, tensors) = read_tensors(path).expect("a set");
    let metadata = serde_json::from_str(&metadata["pellucid"]).expect("JSON");
    Set { metadata, tensors: tensors.into_iter().collect() }
}

impl Set {
    fn cut(exposures: &[&Path], output: &Path, more: &[&str]) -> Self {
        let out = cut(exposures, output, more);
        assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
        read(output)
    }

    fn floats(&self, name: &str) -> Vec<f32> {
        Vec::try_from(self.tensors[name].flatten(0, -1)).expect(name)
    }

    fn integers(&self, name: &str) -> Vec<i64> {
        Vec::try_from(self.tensors[name].to_kind(Kind::Int64).flatten(0, -1)).expect(name)
    }

    /// Exposure, first row and column of each cutout.
    fn places(&self) -> Vec<[usize; 3]> {
        let corners = self.integers("corner");
        let pairs = self.integers("exposure").into_iter().zip(corners.chunks(2));
        pairs.map(|(e, c)| [e as usize, c[0] as usize, c[1] as usize]).collect()
    }
}

#[test]
fn cutouts_are_the_pixels_at_their_corners() {
    let folder = folder("pixels");
    let paths = [folder.join("a.fits"), folder.join("b.fits")];
    for (k, path) in paths.iter().enumerate() {
        let seed = 10 * k as u64;
        write(path, "F814W", "ELECTRONS/S", &[Chip::new(seed), Chip::new(seed + 1)]);
    }
    let exposures = [paths[0].as_path(), &paths[1]];
    let output = folder.join("set.safetensors");
    let set = Set::cut(&exposures, &output, &["--size", "32", "--count", "60"]);
    assert_eq!(set.tensors["cutouts"].size(), [60, 32, 32]);
    assert_eq!(set.tensors["cutouts"].kind(), Kind::Float);
    assert_eq!(
        (set.tensors["mask"].size(), set.tensors["mask"].kind()),
        (vec![60, 32, 32], Kind::Uint8)
    );
    assert_eq!(
        (set.tensors["corner"].size(), set.tensors["corner"].kind()),
        (vec![60, 2], Kind::Int64)
    );
    assert!(set.integers("mask").iter().all(|m| *m == 1));

    let m = &set.metadata;
    let chips: Vec<Array2<f32>> = [0, 1, 10, 11].into_iter().map(noise).collect();
    let cutouts = set.floats("cutouts");
    let mut used = [0; 4];
    for ([image, y, x], cutout) in set.places().into_iter().zip(cutouts.chunks(32 * 32)) {
        let sky = m["exposures"][image]["sky_e_per_s"].as_f64().expect("a sky") as f32;
        assert!((sky - 0.4).abs() < 0.001);
        let window = chips[image].slice(s![y..y + 32, x..x + 32]);
        let far = window.iter().zip(cutout).fold(0f32, |m, (a, b)| m.max((a - sky - b).abs()));
        assert!(far < 1e-6, "{image} {y} {x}: {far}");
        used[image] += 1;
    }
    assert!(used.iter().all(|n| *n > 3), "{used:?}");

    assert_eq!(m["format"], 1);
    assert_eq!(m["kind"], "cutouts");
    assert_eq!(m["instrument"]["instrument"], "ACS");
    assert_eq!(m["instrument"]["detector"], "WFC");
    assert_eq!(m["instrument"]["filter"], "F814W");
    assert_eq!(m["instrument"]["flux_convention"], "surface_brightness");
    assert!((m["instrument"]["pixel_scale_arcsec"].as_f64().expect("a scale") - 0.05).abs() < 1e-9);
    assert_eq!(m["exposures"][3]["label"], "b.fits[SCI,2]");
    assert_eq!(m["exposures"][3]["exposure_time_s"], 500.0);
    assert_eq!(m["exposures"][3]["read_noise_e"], 4.5);
    assert_eq!(m["exposures"][3]["gain_e_per_count"], 2.0);
    assert_eq!(m["exposures"][2]["sha256"].as_str().map(str::len), Some(64));
    assert!(
        (m["exposures"][0]["sigma_e_per_s"].as_f64().expect("a sigma") / 0.02 - 1.0).abs() < 0.02
    );
    assert_eq!(m["tally"]["kept"], 60);
    assert!(output.with_extension("png").exists());

    // The same command, the same bytes; another seed, other cutouts.
    let again = folder.join("again.safetensors");
    let sheet = folder.join("sheet.png");
    let options = ["--size", "32", "--count", "60", "--sheet", sheet.to_str().expect("UTF-8")];
    Set::cut(&exposures, &again, &options);
    let bytes = |path: &Path| std::fs::read(path).expect("a file");
    assert!(bytes(&output) == bytes(&again));
    assert!(bytes(&sheet) == bytes(&output.with_extension("png")));
    let other = Set::cut(&exposures, &again, &["--size", "32", "--count", "60", "--seed", "2"]);
    assert_ne!(other.places(), set.places());

    let show = Command::new(env!("CARGO_BIN_EXE_pellucid-train")).arg("show").arg(&output).output();
    let text =
        String::from_utf8(show.expect("because the binary was built").stdout).expect("UTF-8");
    assert!(text.contains("\"kind\": \"cutouts\""), "{text}");
}

#[test]
fn pixels_without_a_value_are_masked_and_particles_are_not() {
    let folder = folder("masks");
    let path = folder.join("a.fits");
    let mut chip = Chip::new(3);
    // Row 40: dead; row 41: NaN; row 42: no error; rows 60..66: filled. Row 100 flagged as
    // cosmic ray and hot, which it is in one pixel.
    chip.quality.row_mut(40).fill(4);
    chip.science.row_mut(41).fill(f32::NAN);
    chip.error.row_mut(42).fill(0.0);
    chip.science.slice_mut(s![60..66, ..]).fill(0.0);
    chip.quality.row_mut(100).fill(16 | 4096);
    chip.science[[100, 80]] = 50.0;
    write(&path, "F814W", "ELECTRONS/S", &[chip]);
    let output = folder.join("set.safetensors");
    let most = ["--size", "32", "--count", "200", "--max-masked", "0.1"];
    let set = Set::cut(&[&path], &output, &most);
    let bad = |y: usize| (40..43).contains(&y) || (60..66).contains(&y);
    let (cutouts, mask) = (set.floats("cutouts"), set.integers("mask"));
    let (mut masked, mut hit) = (0, 0);
    for (k, [_, y, x]) in set.places().into_iter().enumerate() {
        let rows = (y..y + 32).filter(|y| bad(*y)).count();
        assert!(rows <= 3, "{rows} of 32 rows are masked");
        masked += usize::from(rows > 0);
        hit += usize::from((y..y + 32).contains(&100) && (x..x + 32).contains(&80));
        for p in 0..32 * 32 {
            let value = cutouts[k * 1024 + p];
            assert_eq!(mask[k * 1024 + p] == 0, bad(y + p / 32), "{k} {p}");
            assert!(if bad(y + p / 32) { value == 0.0 } else { value.abs() < 0.2 || value > 49.0 });
        }
    }
    assert!(masked > 10 && hit > 3, "{masked} with masked rows, {hit} with the particle");
    assert!(set.metadata["tally"]["masked"].as_u64() > Some(10));

    let all = Set::cut(&[&path], &output, &[&most[..], &["--dq-bits", "4112"]].concat());
    let row = |y: usize, value: i64| {
        all.places().into_iter().enumerate().all(|(k, [_, top, _])| {
            let inside = (top..top + 32).contains(&y);
            !inside || all.integers("mask")[k * 1024 + (y - top) * 32] == value
        })
    };
    assert!(row(100, 0) && row(40, 1));
}

#[test]
fn sky_and_pixel_area_are_as_asked() {
    let folder = folder("sky");
    let path = folder.join("a.fits");
    let mut chip = Chip::new(5);
    chip.science *= 500.0;
    write(&path, "F814W", "ELECTRONS", &[chip]);
    let area = folder.join("area.fits");
    let map = Array2::from_shape_fn((ROWS, COLUMNS), |(y, x)| 0.9 + 0.001 * (y + x) as f32);
    let mut file = FitsOutput::create(&area, &[]).expect("a writable folder");
    file.image("PAM", 1, map.view(), &[]).expect("an image");
    file.commit().expect("a writable folder");
    let output = folder.join("set.safetensors");
    let area_text = area.to_str().expect("UTF-8");
    let few = ["--size", "16", "--count", "20"];
    for (more, sky, area) in [
        (vec!["--sky", "none", "--flux-cut", "1000"], 0.0, false),
        (vec!["--sky", "100", "--flux-cut", "1000"], 0.2, false),
        (vec!["--sky", "200", "--pixel-area", area_text], 0.4, true),
    ] {
        let set = Set::cut(&[&path], &output, &[&few[..], &more].concat());
        let cutouts = set.floats("cutouts");
        for ([_, y, x], cutout) in set.places().into_iter().zip(cutouts.chunks(256)) {
            for (p, value) in cutout.iter().enumerate() {
                let at = [y + p / 16, x + p % 16];
                let expected = (noise(5)[at] - sky) * if area { map[at] } else { 1.0 };
                assert!((value - expected).abs() < 2e-6, "{more:?} {at:?}");
            }
        }
        let convention = if area { "per_pixel" } else { "surface_brightness" };
        assert_eq!(set.metadata["instrument"]["flux_convention"], convention);
    }
    let tiles = Set::cut(&[&path], &output, &[&few[..], &["--sky-tile", "50"]].concat());
    let mean = tiles.floats("cutouts").iter().sum::<f32>() / (20.0 * 256.0);
    assert!(mean.abs() < 0.002, "{mean}");
}

#[test]
fn no_overlap_means_no_shared_pixel() {
    let folder = folder("overlap");
    let path = folder.join("a.fits");
    write(&path, "F814W", "ELECTRONS/S", &[Chip::new(6), Chip::new(7)]);
    let output = folder.join("set.safetensors");
    let out = cut(&[&path], &output, &["--size", "32", "--count", "60", "--no-overlap"]);
    assert!(out.status.success());
    let warning = String::from_utf8_lossy(&out.stderr).into_owned();
    assert!(warning.contains("of 60 cutouts found"), "{warning}");
    let places = read(&output).places();
    assert!(places.len() > 16, "{}", places.len());
    for (k, a) in places.iter().enumerate() {
        for b in &places[..k] {
            let apart = a[0] != b[0] || a[1].abs_diff(b[1]) >= 32 || a[2].abs_diff(b[2]) >= 32;
            assert!(apart, "{a:?} {b:?}");
        }
    }
}

#[test]
fn a_cut_near_zero_is_warned_of() {
    let folder = folder("warning");
    let path = folder.join("a.fits");
    write(&path, "F814W", "ELECTRONS/S", &[Chip::new(9)]);
    let output = folder.join("set.safetensors");
    for (cut_e_per_s, warned) in [("0", true), ("10", false)] {
        let more = ["--size", "32", "--count", "20", "--flux-cut", cut_e_per_s];
        let out = cut(&[&path], &output, &more);
        assert!(out.status.success());
        let message = String::from_utf8_lossy(&out.stderr).into_owned();
        assert_eq!(message.contains("a.fits[SCI,1]: the flux cut"), warned, "{message}");
        assert_eq!(read(&output).metadata["flux_cut_e_per_s"].as_f64(), cut_e_per_s.parse().ok());
    }
}

#[test]
fn what_cannot_be_cut_is_said() {
    let folder = folder("errors");
    let (a, b) = (folder.join("a.fits"), folder.join("b.fits"));
    write(&a, "F814W", "ELECTRONS/S", &[Chip::new(1)]);
    write(&b, "F606W", "ELECTRONS/S", &[Chip::new(2)]);
    let area = folder.join("area.fits");
    let mut file = FitsOutput::create(&area, &[]).expect("a writable folder");
    file.image("PAM", 1, Array2::<f32>::ones((9, 9)).view(), &[]).expect("an image");
    file.commit().expect("a writable folder");
    let text = |path: &Path| path.to_str().expect("UTF-8").to_owned();
    let (area, other) = (text(&area), text(&a));
    let missing = folder.join("missing.fits");
    let output = folder.join("set.safetensors");
    let cases: &[(&[&Path], &[&str], &[&str])] = &[
        (&[&a, &b], &[], &["b.fits[SCI,1]", "F606W", "F814W", "a.fits[SCI,1]"]),
        (&[&missing], &[], &["missing.fits"]),
        (&[&a], &["--size", "160"], &["a.fits[SCI,1]", "160 x 160", "170 x 150"]),
        (&[&a], &["--flux-cut", "-1000"], &["no cutout kept", "exceed the flux cut", "--flux-cut"]),
        (&[&a], &["--sky-tile", "20"], &["--sky-tile", "64", "20"]),
        (&[&a], &["--pixel-area", &area], &["area.fits", "(150, 170)", "(9, 9)"]),
        (&[&a, &a], &["--reference", &other], &["--reference", "each of 2 exposures"]),
        (&[&a], &["--sky", "header"], &["MDRIZSKY"]),
        (&[&a], &["--unit", "jansky"], &["BUNIT", "jansky"]),
        (&[&a], &["--max-masked", "1.5"], &["--max-masked", "1.5"]),
        (&[&a], &["--dq-bits", "0", "--psf-fwhm", "0"], &["--psf-fwhm"]),
    ];
    for (exposures, more, words) in cases {
        let out = cut(exposures, &output, more);
        let message = String::from_utf8_lossy(&out.stderr).into_owned();
        assert_eq!(out.status.code(), Some(1), "{more:?}: {message}");
        assert!(words.iter().all(|w| message.contains(w)), "{more:?}: {message}");
        assert!(!output.exists(), "{more:?} left a file");
    }
}

#[test]
fn a_damaged_set_is_refused_by_name() {
    let folder = folder("damaged");
    let path = folder.join("a.fits");
    write(&path, "F814W", "ELECTRONS/S", &[Chip::new(8)]);
    let output = folder.join("set.safetensors");
    Set::cut(&[&path], &output, &["--size", "16", "--count", "5"]);
    let (metadata, tensors) = read_tensors(&output).expect("a set");
    let nan = Tensor::full([5, 16, 16], f64::NAN, (Kind::Float, tch::Device::Cpu));
    let change = |name: &str, by: &Tensor| -> Vec<(String, Tensor)> {
        let pairs = tensors.iter();
        pairs.map(|(n, t)| (n.clone(), if n == name { by } else { t }.shallow_clone())).collect()
    };
    let same = change("", &nan);
    let with = |from: &str, to: &str| {
        HashMap::from([("pellucid".to_owned(), metadata["pellucid"].replace(from, to))])
    };
    let cases = [
        (with("\"format\":1", "\"format\":2"), same, "format 2"),
        (metadata.clone(), change("cutouts", &nan), "NaN"),
        (
            metadata.clone(),
            change("mask", &(Tensor::ones([5, 16, 16], (Kind::Uint8, tch::Device::Cpu)) * 3)),
            "0 and 1",
        ),
        (
            metadata.clone(),
            change("exposure", &Tensor::from_slice(&[0i64, 0, 0, 0, 1])),
            "exposure 1 of 1",
        ),
        (
            metadata.clone(),
            change("corner", &Tensor::full([5, 2], 140, (Kind::Int64, tch::Device::Cpu))),
            "corner [140, 140]",
        ),
        (metadata.clone(), change("corner", &nan), "tensor corner"),
    ];
    for (metadata, tensors, word) in cases {
        write_tensors(&output, metadata, &tensors).expect("a writable folder");
        let show =
            Command::new(env!("CARGO_BIN_EXE_pellucid-train")).arg("show").arg(&output).output();
        let show = show.expect("because the binary was built for this test");
        let message = String::from_utf8_lossy(&show.stderr).into_owned();
        assert_eq!(show.status.code(), Some(1), "{word}");
        assert!(message.contains(word) && message.contains("set.safetensors"), "{word}: {message}");
    }
}

/// A file of the shared data, or `None` with a loud note when it is not there.
fn shared(path: &str) -> Option<PathBuf> {
    let root = std::env::var_os("PELLUCID_SHARED_DATA").map_or_else(
        || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data"),
        PathBuf::from,
    );
    let found = root.join(path);
    if found.exists() {
        return Some(found);
    }
    // Straight to the stream: the test harness hides what eprintln! writes.
    let _ = writeln!(std::io::stderr(), "SKIPPED: shared/data/{path} is not there");
    None
}

/// The moments of all valid pixels of a set, in units of the exposures' noise.
fn moments(set: &Set) -> [f64; 3] {
    let sigma = set.metadata["exposures"][0]["sigma_e_per_s"].as_f64().expect("a sigma");
    let pixels = set.floats("cutouts");
    let valid = pixels.iter().zip(set.integers("mask")).filter(|(_, m)| *m == 1);
    let z: Vec<f64> = valid.map(|(v, _)| f64::from(*v) / sigma).collect();
    let n = z.len() as f64;
    let mean = z.iter().sum::<f64>() / n;
    let moment = |k: i32| z.iter().map(|v| (v - mean).powi(k)).sum::<f64>() / n;
    [mean, moment(2).sqrt(), moment(4) / moment(2).powi(2)]
}

/// A drizzled COSMOS field: a galaxy of some 60 pixels in the middle, neighbours replaced by noise.
#[test]
fn the_cosmos_field_without_its_galaxy() {
    let name = "hst/cosmos_147246/147246.0_150.416558_1.998697_masknoise.fits";
    let Some(path) = shared(name) else { return };
    let output = folder("cosmos").join("set.safetensors");
    let more = ["--unit", "electrons/s", "--psf-fwhm", "3.9", "--count", "300"];
    let set = Set::cut(&[&path], &output, &more);
    let [mean, sigma, kurtosis] = moments(&set);
    println!("{} mean {mean:.4} sigma {sigma:.4} kurtosis {kurtosis:.3}", set.metadata["tally"]);
    assert_eq!(set.metadata["instrument"]["filter"], "F814W");
    assert!(
        (set.metadata["instrument"]["pixel_scale_arcsec"].as_f64().expect("a scale") - 0.03).abs()
            < 1e-4
    );
    assert!(set.places().iter().all(|[_, y, x]| {
        let covers = |c: usize| (c..c + 64).contains(&271);
        !(covers(*y) && covers(*x))
    }));
    assert!(mean.abs() < 0.03 && (sigma - 1.0).abs() < 0.02, "{mean} {sigma}");
    // Measured 3.16: the noise of the mosaic differs by some 2 % between cutouts, and the faintest
    // galaxies remain.
    assert!((2.9..3.3).contains(&kurtosis), "{kurtosis}");
}

/// The last read of a WFC3/IR subarray: read noise, bad pixels, a star.
#[test]
fn the_noise_of_a_wfc3ir_read() {
    let Some(path) = shared("noise/wfc3ir_f126n_ima_iccz11q4q.fits") else { return };
    let address = PathBuf::from(format!("{}[SCI,1]", path.display()));
    let output = folder("ima").join("set.safetensors");
    let set = Set::cut(&[&address], &output, &["--psf-fwhm", "1.2", "--count", "300"]);
    let [mean, sigma, kurtosis] = moments(&set);
    println!("{} mean {mean:.4} sigma {sigma:.4} kurtosis {kurtosis:.3}", set.metadata["tally"]);
    assert_eq!(set.metadata["instrument"]["detector"], "IR");
    assert_eq!(set.metadata["exposures"][0]["read_noise_e"], 20.0);
    // The star at (x, y) = (28, 153), 433 sigma, is in none of them.
    assert!(
        set.places()
            .iter()
            .all(|[_, y, x]| { !((*y..*y + 64).contains(&153) && (*x..*x + 64).contains(&28)) })
    );
    assert!(mean.abs() < 0.03 && (sigma - 1.0).abs() < 0.03, "{mean} {sigma}");
    assert!(kurtosis > 2.9, "{kurtosis}");
}
