//! The rule on synthetic fields, and images for the tests of its parts.

use std::path::{Path, PathBuf};

use clap::Parser;
use ndarray::Array2;
use pellucid_host::fits::{Card, FitsOutput};
use pellucid_host::sky::{ModelGrid, SkyPosition};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, Exp1, StandardNormal};

use super::args::CutoutArgs;
use super::frame;
use super::select::{Sums, Verdict, select};
use super::set::CutoutSet;

/// Noise of the synthetic exposures, e-/s.
const SIGMA: f64 = 0.02;
/// Their sky, e-/s.
const SKY: f64 = 0.3;
/// FWHM of their PSF, pixels: the default of the options.
const FWHM: f64 = 2.0;

pub(super) fn white_noise(ny: usize, nx: usize, seed: u64) -> Array2<f32> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    Array2::from_shape_simple_fn((ny, nx), || StandardNormal.sample(&mut rng))
}

/// 48 x 48 pixels that Python makes too: the sum of 12 uniform numbers less 6 a pixel, of the
/// generator s <- 6364136223846793005 s + 1442695040888963407 mod 2^64 from s = 7, a number being
/// (s >> 40) / 2^24; a star, a galaxy, two tracks and four hot pixels.
pub(super) fn oracle_image() -> Array2<f32> {
    let mut state = 7u64;
    let mut uniform = || {
        state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (state >> 40) as f64 / f64::from(1 << 24)
    };
    let mut image =
        Array2::from_shape_simple_fn((48, 48), || (0..12).map(|_| uniform()).sum::<f64>() - 6.0);
    for ((y, x), v) in image.indexed_iter_mut() {
        let square = |cy: f64, cx: f64| (y as f64 - cy).powi(2) + (x as f64 - cx).powi(2);
        *v += 40.0 * (-square(14.3, 33.6) / (2.0 * 1.5 * 1.5)).exp();
        *v += 6.0 * (-square(35.0, 10.0) / (2.0 * 5.0 * 5.0)).exp();
    }
    (0..9).for_each(|k| image[[8 + k, 8 + k / 2]] += 30.0);
    (0..7).for_each(|k| image[[40, 25 + k]] += 9.0);
    for (p, height) in [((20, 20), 8.0), ((30, 30), 200.0), ((14, 33), 60.0), ((25, 41), 5.5)] {
        image[p] += height;
    }
    image.mapv(|v| v as f32)
}

/// What a synthetic field holds beside white noise.
#[derive(Clone, Copy)]
struct Contents {
    galaxies: bool,
    particles: bool,
}

/// A synthetic field in units of its noise.
struct Field {
    pixels: Array2<f64>,
    /// Centres (y, x) of its galaxies.
    galaxies: Vec<[f64; 2]>,
}

const SIDE: usize = 1024;
/// Distance between galaxies, pixels.
const CELL: usize = 80;

/// White noise; an elliptical Gaussian galaxy in each cell, of intrinsic FWHM 0 to 2 PSFs and
/// matched S/N 8 to 400;
/// 0.25 % of the pixels start a particle's track of mean length 4, of 4 to 400 sigma per pixel of
/// path (median 30), 0.2 pixel wide; 0.1 % of the pixels are hot, 5 to 1000 sigma.
fn field(contents: Contents, seed: u64) -> Field {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut pixels = white_noise(SIDE, SIDE, seed + 1000).mapv(f64::from);
    let log_uniform = |rng: &mut ChaCha8Rng, low: f64, high: f64| {
        let log: f64 = rng.random_range(low.ln()..high.ln());
        log.exp()
    };
    let mut galaxies = Vec::new();
    let cells = if contents.galaxies { SIDE / CELL } else { 0 };
    for cell in 0..cells * cells {
        let centre = [cell / cells, cell % cells]
            .map(|k| (CELL * k + CELL / 2) as f64 + rng.random_range(-8.0..8.0));
        let signal_to_noise = log_uniform(&mut rng, 8.0, 400.0);
        add_galaxy(&mut pixels, centre, signal_to_noise, &mut rng);
        galaxies.push(centre);
    }
    if contents.particles {
        for _ in 0..SIDE * SIDE / 400 {
            let at = [0, 1].map(|_| rng.random_range(0.0..SIDE as f64));
            let dex: f64 = StandardNormal.sample(&mut rng);
            let height = (30.0 * 10f64.powf(0.4 * dex)).clamp(4.0, 400.0);
            let extra: f64 = Exp1.sample(&mut rng);
            add_track(&mut pixels, at, 1.0 + 3.0 * extra, height, &mut rng);
        }
        for _ in 0..SIDE * SIDE / 1000 {
            let p = [rng.random_range(0..SIDE), rng.random_range(0..SIDE)];
            pixels[p] += log_uniform(&mut rng, 5.0, 1000.0);
        }
    }
    Field { pixels, galaxies }
}

fn add_galaxy(
    image: &mut Array2<f64>,
    centre: [f64; 2],
    signal_to_noise: f64,
    rng: &mut ChaCha8Rng,
) {
    let sigma = |fwhm: f64| fwhm / (8.0 * 2f64.ln()).sqrt();
    let size = rng.random_range(0.0..2.0) * FWHM;
    let ratio = rng.random_range(0.3..1.0);
    let (long, short) = (sigma(FWHM.hypot(size)), sigma(FWHM.hypot(size * ratio)));
    let (sin, cos) = rng.random_range(0.0..std::f64::consts::PI).sin_cos();
    // Means over 3 x 3 points of a pixel.
    let profile = |y: usize, x: usize| {
        let mut sum = 0.0;
        for k in 0..9 {
            let [j, i] = [k / 3, k % 3].map(|s| (f64::from(s) - 1.0) / 3.0);
            let (v, u) = (y as f64 + j - centre[0], x as f64 + i - centre[1]);
            let (a, b) = ((u * cos + v * sin) / long, (v * cos - u * sin) / short);
            sum += (-0.5 * (a * a + b * b)).exp() / 9.0;
        }
        sum
    };
    let half = (5.0 * long).ceil() + 2.0;
    let range = |c: f64| (c - half).max(0.0) as usize..((c + half) as usize).min(SIDE);
    let mut power = 0.0;
    for y in range(centre[0]) {
        power += range(centre[1]).map(|x| profile(y, x).powi(2)).sum::<f64>();
    }
    let height = signal_to_noise / power.sqrt();
    for y in range(centre[0]) {
        range(centre[1]).for_each(|x| image[[y, x]] += height * profile(y, x));
    }
}

fn add_track(
    image: &mut Array2<f64>,
    [y, x]: [f64; 2],
    length: f64,
    height: f64,
    rng: &mut ChaCha8Rng,
) {
    let (sin, cos) = rng.random_range(0.0..std::f64::consts::TAU).sin_cos();
    let steps = (20.0 * length).ceil();
    for k in 0..steps as usize {
        let t = (k as f64 + 0.5) / steps * length;
        let across: f64 = StandardNormal.sample(rng);
        let (j, i) = (y + t * sin + 0.2 * across * cos, x + t * cos - 0.2 * across * sin);
        if let Some(v) = image.get_mut([j.round() as usize, i.round() as usize]) {
            *v += height * length / steps;
        }
    }
}

/// A folder of its own for a test.
fn folder(name: &str) -> PathBuf {
    let path = std::env::temp_dir().join(format!("pellucid-cutouts-{}-{name}", std::process::id()));
    let _ = std::fs::remove_dir_all(&path);
    std::fs::create_dir_all(&path).unwrap();
    path
}

/// Writes an ACS-like exposure of `pixels` (units of the noise).
fn write(path: &Path, pixels: &Array2<f64>) {
    let (ny, nx) = pixels.dim();
    let centre = SkyPosition { ra_deg: 150.0, dec_deg: 2.0 };
    let mut cards = ModelGrid { nx, ny, centre, pixel_scale_arcsec: 0.05 }.cards();
    cards.push(Card::new("BUNIT", "ELECTRONS/S", ""));
    let primary = [
        Card::new("INSTRUME", "ACS", ""),
        Card::new("DETECTOR", "WFC", ""),
        Card::new("FILTER1", "CLEAR1L", ""),
        Card::new("FILTER2", "F814W", ""),
        Card::new("EXPTIME", 500.0, ""),
    ];
    let mut file = FitsOutput::create(path, &primary).unwrap();
    let science = pixels.mapv(|v| (SKY + SIGMA * v) as f32);
    file.image("SCI", 1, science.view(), &cards).unwrap();
    file.commit().unwrap();
}

fn args(exposure: &Path, more: &[&str]) -> CutoutArgs {
    #[derive(Parser)]
    struct Cli {
        #[command(flatten)]
        args: CutoutArgs,
    }
    let paths = ["cutouts", exposure.to_str().unwrap(), "-o", "unused.safetensors"];
    Cli::try_parse_from(paths.iter().chain(more)).unwrap().args
}

/// What the rule makes of a field, for cutouts of `size`.
struct Judge {
    frames: Vec<frame::Frame>,
    sums: Sums,
    args: CutoutArgs,
}

impl Judge {
    fn new(name: &str, field: &Field, more: &[&str]) -> Self {
        let folder = folder(name);
        let path = folder.join("exposure.fits");
        write(&path, &field.pixels);
        let args = args(&path, more);
        let mut frames = frame::load(&args).unwrap();
        let one = CutoutArgs { count: 1, ..args.clone() };
        select(&mut frames, &one);
        std::fs::remove_dir_all(folder).unwrap();
        Self { sums: Sums::new(&frames[0], args.size), frames, args }
    }

    fn verdict(&self, corner: [usize; 2]) -> Verdict {
        let cut = self.frames[0].facts.flux_cut_e_per_s;
        self.sums.verdict(corner, self.args.max_masked, cut)
    }
}

fn share(of: &[bool]) -> f64 {
    of.iter().filter(|v| **v).count() as f64 / of.len() as f64
}

#[test]
fn particles_stay() {
    let field = field(Contents { galaxies: false, particles: true }, 1);
    for (fwhm, least) in [("1.5", 0.65), ("2", 0.95), ("3.3", 0.98)] {
        let judge = Judge::new(&format!("stay{fwhm}"), &field, &["--psf-fwhm", fwhm]);
        let corners = (0..256).map(|k| [k / 16 * 64, k % 16 * 64]);
        let kept: Vec<bool> = corners.map(|c| judge.verdict(c) == Verdict::Empty).collect();
        println!("PSF {fwhm}: {:.3} of the cutouts with particles alone are kept", share(&kept));
        assert!(share(&kept) > least, "{fwhm}");
    }
}

#[test]
fn galaxies_go() {
    for particles in [false, true] {
        let mut rejected = Vec::new();
        for seed in if particles { 3..6 } else { 3..4 } {
            let field = field(Contents { galaxies: true, particles }, seed);
            let judge = Judge::new(&format!("go{seed}{particles}"), &field, &["--size", "32"]);
            for centre in &field.galaxies {
                let corner = centre.map(|c| c.round() as usize - 16);
                rejected.push(judge.verdict(corner) != Verdict::Empty);
            }
        }
        println!(
            "galaxies rejected: {:.3} of {} (particles: {particles})",
            share(&rejected),
            rejected.len()
        );
        assert!(share(&rejected) > if particles { 0.95 } else { 0.98 });
    }
}

/// Values of the pixels of all kept cutouts.
fn kept_pixels(judge: &mut Judge, count: usize) -> Vec<f64> {
    let args = CutoutArgs { count, ..judge.args.clone() };
    let (places, tally) = select(&mut judge.frames, &args);
    assert_eq!((places.len(), tally.kept), (count, count));
    let set = CutoutSet::cut(&judge.frames, &places, tally, &args);
    let pixels = Vec::<f32>::try_from(set.cutouts.flatten(0, -1)).unwrap();
    pixels.into_iter().map(|v| f64::from(v) / SIGMA).collect()
}

/// Beside galaxies, the kept cutouts have the mean, standard deviation and kurtosis of the noise.
#[test]
fn the_noise_is_unbiased() {
    let field = field(Contents { galaxies: true, particles: false }, 7);
    let mut judge = Judge::new("noise", &field, &["--size", "32"]);
    let pixels = kept_pixels(&mut judge, 300);
    let n = pixels.len() as f64;
    let mean = pixels.iter().sum::<f64>() / n;
    let moment = |k: i32| pixels.iter().map(|v| (v - mean).powi(k)).sum::<f64>() / n;
    let (sigma, kurtosis) = (moment(2).sqrt(), moment(4) / moment(2).powi(2));
    println!("mean {mean:.4}, sigma {sigma:.4}, kurtosis {kurtosis:.3}");
    assert!(mean.abs() < 0.02, "{mean}");
    assert!((sigma - 1.0).abs() < 0.01, "{sigma}");
    assert!((kurtosis - 3.0).abs() < 0.05, "{kurtosis}");
}

/// Particles are as frequent in the kept cutouts as in the field, faint and bright ones alike.
#[test]
fn particles_are_as_frequent_as_they_were() {
    let field = field(Contents { galaxies: false, particles: true }, 8);
    let mut judge = Judge::new("frequent", &field, &[]);
    let pixels = kept_pixels(&mut judge, 400);
    for limit in [5.0, 20.0, 100.0] {
        let share = |pixels: &mut dyn Iterator<Item = f64>| {
            let (above, all) = pixels.fold((0, 0), |(a, n), v| (a + usize::from(v > limit), n + 1));
            above as f64 / all as f64
        };
        let ratio = share(&mut pixels.iter().copied()) / share(&mut field.pixels.iter().copied());
        println!("pixels above {limit} sigma: {ratio:.3} of the field's share");
        assert!((ratio - 1.0).abs() < 0.05, "{limit}: {ratio}");
    }
}

/// chi2 of the corners in 4 x 4 bins; 99 % point of 15 degrees of freedom: 30.6.
#[test]
fn corners_are_uniform() {
    let field = field(Contents { galaxies: false, particles: false }, 9);
    let mut judge = Judge::new("uniform", &field, &[]);
    let args = CutoutArgs { count: 1600, ..judge.args.clone() };
    let (places, _) = select(&mut judge.frames, &args);
    let mut bins = [0.0f64; 16];
    for place in &places {
        let [y, x] = place.corner.map(|c| 4 * c / (SIDE + 1 - args.size));
        bins[4 * y + x] += 1.0;
    }
    let chi2: f64 = bins.iter().map(|n| (n - 100.0).powi(2) / 100.0).sum();
    println!("chi2 of the corners {chi2:.1}");
    assert!(chi2 < 30.6, "{chi2}: {bins:?}");
}

/// What the wider world would call a galaxy in a deep image is not in a cutout, whatever the
/// exposure shows.
#[test]
fn a_reference_shows_what_the_exposure_hides() {
    let folder = folder("reference");
    let (shallow, deep) = (folder.join("shallow.fits"), folder.join("deep.fits"));
    let noise = white_noise(128, 128, 4).mapv(f64::from);
    let mut galaxy = Array2::zeros((128, 128));
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    add_galaxy(&mut galaxy, [40.0, 90.0], 3.0, &mut rng);
    write(&shallow, &(&noise + &galaxy));
    write(&deep, &(white_noise(128, 128, 5).mapv(f64::from) + galaxy * 10.0));
    let with = ["--reference", deep.to_str().unwrap()];
    for (more, source) in [(&[][..], false), (&with[..], true)] {
        let frames = frame::load(&args(&shallow, more)).unwrap();
        assert_eq!(frames[0].source[[40, 90]], source);
        assert!(!frames[0].source[[100, 30]]);
    }
    std::fs::remove_dir_all(folder).unwrap();
}
