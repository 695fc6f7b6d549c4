//! The detector as a whole: every component does what its closed form says, and nothing else.

use ndarray::{Array2, Axis, s};
use pellucid_scene::noise::{
    DetectorNoise, Exposed, HotPixels, Kernel3x3, ReadNoise, Readout, RowNoise, dq,
};

const CHIP: (usize, usize) = (512, 512);
const TIME: f64 = 500.0;

fn readout(exposure: u64) -> Readout {
    Readout { seed: 9, exposure, exposure_time_s: TIME, corner: (0, 0) }
}

fn blank(noise: &DetectorNoise, exposure: u64) -> Exposed {
    noise.expose(&Array2::zeros(noise.chip), &readout(exposure))
}

fn variance(image: &Array2<f32>) -> f64 {
    image.iter().map(|v| f64::from(*v).powi(2)).sum::<f64>() / image.len() as f64
}

fn near(found: f64, expected: f64, tolerance: f64) {
    assert!((found / expected - 1.0).abs() < tolerance, "{found}, {expected} expected");
}

/// Mean product of pixels (dy, dx) apart over the variance.
fn correlation(image: &Array2<f32>, dy: usize, dx: usize) -> f64 {
    let (ny, nx) = image.dim();
    let product = &image.slice(s![dy.., dx..]) * &image.slice(s![..ny - dy, ..nx - dx]);
    f64::from(product.mean().unwrap()) / variance(image)
}

fn cameras() -> [DetectorNoise; 2] {
    [DetectorNoise::acs_wfc_f814w(), DetectorNoise::wfc3_ir_f160w()]
        .map(|noise| DetectorNoise { chip: CHIP, ..noise })
}

#[test]
fn a_component_that_is_off_adds_nothing() {
    let light = Array2::from_shape_fn(CHIP, |(y, x)| (y * x) as f32 * 1e-4);
    let exposed = DetectorNoise::none(CHIP).expose(&light, &readout(0));
    assert_eq!(exposed.science, light);
    for zero in [&exposed.error, &exposed.cosmic_rays, &exposed.hot_pixels] {
        assert!(zero.iter().all(|v| *v == 0.0));
    }
    assert!(exposed.quality.iter().all(|q| *q == 0));
    for camera in cameras() {
        let all = camera.expose(&light, &readout(0));
        // The truth holds exactly what the components put in: without them SCI is the same less that.
        let mut calm = DetectorNoise { cosmic_rays: None, snowballs: None, ..camera.clone() };
        let rest = calm.expose(&light, &readout(0));
        assert!(all.cosmic_rays.iter().any(|v| *v > 0.0));
        assert!(rest.cosmic_rays.iter().all(|v| *v == 0.0));
        let left = &all.science - &all.cosmic_rays - &rest.science;
        assert!(left.iter().all(|v| v.abs() < 2e-4), "rounding at most");
        assert_eq!(all.error, rest.error, "ERR knows of no cosmic rays");
        assert!(rest.quality.iter().all(|q| q & (dq::COSMIC_RAY | dq::RAMP_JUMP) == 0));
        calm.hot_pixels = None;
        calm.dead_share = None;
        let plain = calm.expose(&light, &readout(0));
        assert!(plain.hot_pixels.iter().all(|v| *v == 0.0));
        assert!(plain.quality.iter().all(|q| *q == 0));
    }
}

#[test]
fn exposures_are_functions_of_seed_and_number() {
    for camera in cameras() {
        let one = blank(&camera, 1);
        assert_eq!(one, blank(&camera, 1));
        assert_ne!(one.science, blank(&camera, 2).science);
        let other = Readout { seed: 10, ..readout(1) };
        assert_ne!(one.science, camera.expose(&Array2::zeros(CHIP), &other).science);
    }
}

#[test]
fn photons_of_sky_dark_and_source_are_poissonian() {
    let none = DetectorNoise::none(CHIP);
    let sky = DetectorNoise { sky_e_per_s: Some(0.11), ..none.clone() };
    let exposed = blank(&sky, 0);
    near(variance(&exposed.science), 0.11 / TIME, 0.02);
    near(f64::from(exposed.error[[3, 4]]), (0.11 / TIME).sqrt(), 1e-5);
    // A few electrons a pixel: skewed as Poisson's distribution, 1 / sqrt(mean).
    let dark = DetectorNoise { dark_e_per_s: Some(0.006), ..none.clone() };
    let counts = blank(&dark, 0).science.mapv(|v| f64::from(v) * TIME);
    let moment = |k: i32| counts.mapv(|c| c.powi(k)).mean().unwrap();
    near(moment(2), 3.0, 0.02);
    near(moment(3) / moment(2).powf(1.5), 3f64.powf(-0.5), 0.05);
    let source = DetectorNoise { source: true, ..none };
    let light = Array2::from_elem(CHIP, 4.0);
    let exposed = source.expose(&light, &readout(0));
    near(variance(&(exposed.science - &light)), 4.0 / TIME, 0.02);
}

#[test]
fn interpixel_capacitance_correlates_photons_but_not_the_readout() {
    let kernel = Kernel3x3 { edge: 0.015, corner: 0.0008 };
    let coupled = DetectorNoise {
        sky_e_per_s: Some(0.7),
        interpixel_capacitance: Some(kernel),
        ..DetectorNoise::none((1014, 1014))
    };
    let image = blank(&coupled, 0).science;
    near(variance(&image), kernel.variance() * 0.7 / TIME, 0.01);
    // 1014^2 pairs: 0.001 rms.
    for (dy, dx) in [(0, 1), (1, 0), (1, 1), (0, 2)] {
        let expected = kernel.correlation(dy, dx);
        let found = correlation(&image, dy, dx);
        assert!((found - expected).abs() < 0.004, "({dy}, {dx}): {found}, not {expected}");
    }
    assert!((kernel.correlation(0, 1) - 0.0321).abs() < 1e-4, "2 x 1.5 % / 0.937");
    let edge = correlation(&image.slice(s![..1, ..]).to_owned(), 0, 1);
    assert!((edge - kernel.correlation(0, 1)).abs() < 0.15, "the edge is as the middle");
    let read =
        DetectorNoise { sky_e_per_s: None, read_noise: Some(ReadNoise::uniform(12.0)), ..coupled };
    assert!(correlation(&blank(&read, 0).science, 0, 1).abs() < 0.004);
}

#[test]
fn hot_pixels_repeat_and_move_with_the_chip() {
    let hot = HotPixels::acs_wfc();
    let detector = DetectorNoise { hot_pixels: Some(hot.clone()), ..DetectorNoise::none(CHIP) };
    let (one, two) = (blank(&detector, 1), blank(&detector, 2));
    assert_eq!(one.hot_pixels, two.hot_pixels);
    assert_eq!(one.quality, two.quality);
    assert_ne!(one.science, two.science, "their photons differ");
    let part =
        detector.expose(&Array2::zeros((100, 80)), &Readout { corner: (30, 200), ..readout(3) });
    assert_eq!(part.hot_pixels, one.hot_pixels.slice(s![30..130, 200..280]));
    assert_eq!(part.quality, one.quality.slice(s![30..130, 200..280]));

    // The flagged share, and the share that the dark reference does not know.
    let n = one.science.len() as f64;
    let flagged = |bit: i16| one.quality.iter().filter(|q| **q & bit != 0).count() as f64 / n;
    near(flagged(dq::HOT), hot.known * hot.share_above(0.14), 0.1);
    let warm = hot.known * (hot.share_above(0.06) - hot.share_above(0.14));
    near(flagged(dq::WARM), warm, 0.1);
    let unknown = one.hot_pixels.iter().filter(|v| **v > 0.14).count() as f64 / n;
    near(unknown, (1.0 - hot.known) * hot.share_above(0.14), 0.25);
    let both = one.hot_pixels.iter().zip(&one.quality).filter(|(v, q)| **v > 0.0 && **q != 0);
    assert_eq!(both.count(), 0, "what is not known cannot be flagged");
}

#[test]
fn dead_pixels_are_flagged_and_stay_where_they_are() {
    let detector = DetectorNoise {
        // 500.1 electrons: no count leaves exactly nothing.
        sky_e_per_s: Some(1.0002),
        dead_share: Some(0.01),
        ..DetectorNoise::none(CHIP)
    };
    let (one, two) = (blank(&detector, 1), blank(&detector, 2));
    assert_eq!(one.quality, two.quality);
    let dead = one.quality.iter().filter(|q| **q == dq::BAD).count() as f64;
    near(dead / one.quality.len() as f64, 0.01, 0.1);
    for (v, q) in one.science.iter().zip(&one.quality) {
        assert_eq!(*v == 0.0, *q == dq::BAD);
    }
}

#[test]
fn stripes_have_power_along_rows_only() {
    let detector = DetectorNoise {
        read_noise: Some(ReadNoise::uniform(4.0)),
        row_noise: Some(RowNoise { shared_rms_e: 0.9, amplifier_rms_e: 0.0 }),
        ..DetectorNoise::none(CHIP)
    };
    let (mut rows, mut columns) = (0.0, 0.0);
    let exposures = 40;
    for exposure in 0..exposures {
        let noise = blank(&detector, exposure).science.mapv(|v| v * TIME as f32);
        let square = |axis: usize| {
            let means = noise.mean_axis(Axis(axis)).unwrap();
            let mean = noise.mean().unwrap();
            let keep = if axis == 1 { 0.0 } else { mean };
            f64::from(means.mapv(|m| (m - keep).powi(2)).mean().unwrap()) / exposures as f64
        };
        rows += square(1);
        columns += square(0);
    }
    // Long-wave power makes the variance of 40 x 512 rows uncertain by some 8 %.
    near(rows, 0.81 + 16.0 / 512.0, 0.2);
    near(columns, 16.0 / 512.0, 0.05);
}

#[test]
fn err_is_the_scatter_of_what_it_knows() {
    let light = Array2::from_shape_fn(CHIP, |(y, _)| y as f32 * 2e-3);
    for camera in cameras() {
        let still = DetectorNoise {
            row_noise: None,
            interpixel_capacitance: None,
            cosmic_rays: None,
            snowballs: None,
            dead_share: None,
            ..camera
        };
        let exposed = still.expose(&light, &readout(0));
        let residual = (&exposed.science - &light - &exposed.hot_pixels) / &exposed.error;
        near(variance(&residual), 1.0, 0.02);
    }
}

#[test]
fn the_ramp_fit_leaves_little_of_cosmic_rays() {
    let [acs, ir] = cameras();
    let found = blank(&acs, 0);
    // Every flag is true, and what is not flagged lies below the threshold.
    for ((at, q), error) in found.quality.indexed_iter().zip(&found.error) {
        let above = found.cosmic_rays[at] > 3.0 * error;
        assert!((q & dq::COSMIC_RAY != 0) == above || q & dq::BAD != 0);
        assert_eq!(q & dq::RAMP_JUMP, 0);
    }
    let raw = blank(&DetectorNoise { ramp: None, ..ir.clone() }, 0);
    let clean = blank(&ir, 0);
    let (before, after) = (raw.cosmic_rays.sum(), clean.cosmic_rays.sum());
    assert!(after > 0.0 && after < 0.06 * before, "{after} of {before}");
    let jumps = clean.quality.iter().filter(|q| **q & dq::RAMP_JUMP != 0).count() as f64;
    // 1.05e-5 events a pixel and second; a track and its coupled neighbours.
    let events = 11.0 / 1024.0 / 1024.0 * TIME * clean.quality.len() as f64;
    assert!((1.0..3.0).contains(&(jumps / events)), "{} pixels an event", jumps / events);
    // Two unnoticed jumps in one pixel are rare, and each leaves at most 3/2 of itself.
    let most = clean.cosmic_rays.iter().fold(0f32, |m, v| m.max(*v));
    assert!(f64::from(most) * TIME < 3.0 * 82.8, "{most}");
}
