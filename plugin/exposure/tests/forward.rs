//! The dense operator against the definition.

mod scene;

use std::io::Write;
use std::sync::Arc;

use ndarray::{Array1, Array2};
use pellucid_exposure::{
    Exposure, ExposureError, FluxConvention, Geometry, ModelGrid, Psf, Wcs, apply_slow,
};
use scene::{exposure, gaussian_kernel, header_wcs, lopsided_kernel, noise_image};

/// Largest |dense - definition| over the used pixels, relative to the largest prediction.
fn disagreement(exposure: &Exposure, grid: &ModelGrid) -> f64 {
    let image = noise_image(grid.ny, grid.nx, 7);
    let slow = apply_slow(exposure, grid, &image).expect("a prediction");
    let geometry = Geometry::new(exposure, grid).expect("a geometry");
    let dense = geometry.dense(&exposure.psf).mapv(f64::from);
    let fast = dense.dot(&Array1::from_iter(image.iter().copied()));
    let slow: Vec<f64> = slow.iter().copied().collect();
    let largest = slow.iter().fold(0.0_f64, |m, v| m.max(v.abs()));
    let worst = geometry.used.iter().zip(fast).map(|(&i, v)| (slow[i] - v).abs());
    worst.fold(0.0, f64::max) / largest
}

#[test]
fn dense_is_the_definition() {
    let sky = [150.1, 2.2];
    let grid = ModelGrid::new(20, 24, sky[0], sky[1], 0.04).expect("a grid");
    let rotated = || header_wcs(&scene::tan_header(sky, [5.3, 6.1], 0.1, 37.0));
    let bent = || header_wcs(&scene::sip_header(sky, [5.3, 6.1], 0.1, -20.0));
    let mut worst = 0.0_f64;
    for s in 1..=4 {
        for integrated in [false, true] {
            for (wcs, kernel) in [
                (rotated(), lopsided_kernel(7, 9)),
                (bent(), lopsided_kernel(8, 6)),
                (bent(), lopsided_kernel(1, 1)),
            ] {
                let psf = Psf::new(kernel, s, integrated).expect("a PSF");
                let mut exposure = exposure((9, 11), wcs, psf);
                for convention in [FluxConvention::SurfaceBrightness, FluxConvention::PerPixel] {
                    exposure.flux_convention = convention;
                    let got = disagreement(&exposure, &grid);
                    assert!(got < 1e-6, "s {s}, integrated {integrated}, {convention:?}: {got:e}");
                    worst = worst.max(got);
                }
            }
        }
    }
    let _ = writeln!(std::io::stderr(), "dense against the definition: at most {worst:.1e}");
}

#[test]
fn right_ascension_wraps_and_high_declination_are_ordinary() {
    for sky in [[0.0, 0.0], [359.99999, 0.1], [0.000_004, -60.0], [123.0, 85.0], [10.0, -89.999]] {
        let grid = ModelGrid::new(20, 20, sky[0], sky[1], 0.05).expect("a grid");
        let wcs = header_wcs(&scene::tan_header(sky, [6.0, 6.0], 0.1, 37.0));
        let exposure =
            exposure((11, 11), wcs, Psf::new(gaussian_kernel(5, 1.0), 2, false).unwrap());
        let got = disagreement(&exposure, &grid);
        assert!(got < 1e-6, "{sky:?}: {got:e}");
        let at = grid.sky_to_pixel(&exposure.wcs.pixel_to_sky(&[[5.0, 5.0]]).unwrap()).unwrap()[0];
        assert!((at[0] - 9.5).abs() < 1e-6 && (at[1] - 9.5).abs() < 1e-6, "{sky:?}: {at:?}");
    }
}

#[test]
fn convolution_does_not_flip_the_psf() {
    let sky = [10.0, 20.0];
    let grid = ModelGrid::new(15, 15, sky[0], sky[1], 0.1).expect("a grid");
    let wcs = header_wcs(&scene::tan_header(sky, [8.0, 8.0], 0.1, 0.0));
    let kernel = lopsided_kernel(5, 7);
    let exposure = exposure((15, 15), wcs, Psf::new(kernel.clone(), 1, false).unwrap());
    let mut star = Array2::zeros((15, 15));
    star[[7, 7]] = kernel.sum();
    let predicted = apply_slow(&exposure, &grid, &star).expect("a prediction");
    let geometry = Geometry::new(&exposure, &grid).expect("a geometry");
    let column = geometry.dense(&exposure.psf).column(7 * 15 + 7).to_owned();
    for ((y, x), k) in kernel.indexed_iter() {
        let (y, x) = (y + 7 - 2, x + 7 - 3);
        assert!((predicted[[y, x]] - k).abs() < 1e-6, "x {x}, y {y}");
        assert!((f64::from(column[y * 15 + x]) * kernel.sum() - k).abs() < 1e-6);
    }
}

#[test]
fn a_constant_sky_stays_constant_or_follows_the_pixel_area() {
    let sky = [150.1, 2.2];
    let grid = ModelGrid::new(60, 60, sky[0], sky[1], 0.05).expect("a grid");
    let wcs = header_wcs(&scene::sip_header(sky, [5.3, 6.1], 0.1, -20.0));
    let psf = Psf::new(lopsided_kernel(7, 7), 3, false).unwrap();
    let mut exposure = exposure((9, 11), wcs, psf);
    let ones = Array2::ones((60, 60));
    let flat = apply_slow(&exposure, &grid, &ones).unwrap();
    assert!(flat.iter().all(|v| (v - 1.0).abs() < 1e-12));
    exposure.flux_convention = FluxConvention::PerPixel;
    let area = apply_slow(&exposure, &grid, &ones).unwrap();
    let reference = exposure.wcs.reference_px().expect("CRPIX");
    assert!((reference[0] - 4.3).abs() < 1e-12 && (reference[1] - 5.1).abs() < 1e-12);
    // Pixel (4, 5) lies 0.3 pixel from CRPIX; the corner has 1 + 2 A_2_0 dx + A_1_1 dy + ... there.
    assert!((area[[5, 4]] - 1.0).abs() < 3e-3, "{}", area[[5, 4]]);
    assert!((area[[0, 10]] - 1.0).abs() > 0.01, "{}", area[[0, 10]]);
    let rows = Geometry::new(&exposure, &grid).unwrap().dense(&exposure.psf);
    for (row, area) in rows.rows().into_iter().zip(area.iter()) {
        let sum: f64 = row.iter().map(|&v| f64::from(v)).sum();
        assert!((sum - area).abs() < 1e-6 * area);
    }
}

#[test]
fn only_good_pixels_on_the_model_have_rows() {
    let sky = [150.1, 2.2];
    let grid = ModelGrid::new(10, 10, sky[0], sky[1], 0.1).expect("a grid");
    // The model covers the data pixels 0..5 along x: the stamp hangs over its left edge.
    let wcs = header_wcs(&scene::tan_header(sky, [1.5, 5.5], 0.1, 0.0));
    let mut exposure = exposure((10, 8), wcs, Psf::new(gaussian_kernel(5, 1.0), 2, false).unwrap());
    let (mut masked, off) = (exposure.clone(), exposure.clone());
    masked.good[[3, 1]] = false;
    let geometry = Geometry::new(&masked, &grid).unwrap();
    assert!(!geometry.used.contains(&(3 * 8 + 1)));
    assert_eq!(geometry.used.len(), 10 * 6 - 1);
    assert!(geometry.used.iter().all(|i| i % 8 <= 5));
    assert!(disagreement(&masked, &grid) < 1e-6);
    exposure.good.fill(false);
    exposure.good[[0, 7]] = true;
    let missed = Geometry::new(&exposure, &grid);
    assert_eq!(missed, Err(ExposureError::NoOverlap { exposure: "test".into() }));
    let far = ModelGrid::new(10, 10, 330.0, -2.2, 0.1).expect("the other side of the sky");
    assert!(matches!(Geometry::new(&off, &far), Err(ExposureError::NoOverlap { .. })));
}

#[test]
fn models_of_one_pixel_row_or_column() {
    let sky = [150.1, 2.2];
    for (ny, nx) in [(1, 1), (1, 6), (6, 1)] {
        let grid = ModelGrid::new(ny, nx, sky[0], sky[1], 0.1).expect("a grid");
        let wcs = header_wcs(&scene::tan_header(sky, [4.2, 3.9], 0.1, 12.0));
        let psf = Psf::new(gaussian_kernel(5, 1.0), 2, false).unwrap();
        let got = disagreement(&exposure((7, 7), wcs, psf), &grid);
        assert!(got < 1e-6, "{ny} x {nx}: {got:e}");
    }
}

#[test]
fn flux_is_conserved() {
    let sky = [150.1, 2.2];
    let grid = ModelGrid::new(21, 21, sky[0], sky[1], 0.05).expect("a grid");
    let wcs = header_wcs(&scene::tan_header(sky, [15.2, 14.7], 0.1, 30.0));
    let psf = Psf::new(lopsided_kernel(9, 9), 4, false).unwrap();
    let exposure = exposure((29, 29), wcs, psf);
    let galaxy = scene::galaxy(&grid, [9.3, 10.4], 2.0);
    let predicted = apply_slow(&exposure, &grid, &galaxy).unwrap();
    // x is per data pixel: a model pixel of half the size holds a quarter of its value.
    assert!((predicted.sum() / (0.25 * galaxy.sum()) - 1.0).abs() < 1e-4, "{}", predicted.sum());
}

#[test]
fn a_psf_grid_is_taken_at_the_stamp() {
    let sky = [150.1, 2.2];
    let grid = ModelGrid::new(12, 12, sky[0], sky[1], 0.1).expect("a grid");
    let kernels: Vec<_> = (0..4).map(|i| gaussian_kernel(7, 0.8 + 0.3 * f64::from(i))).collect();
    let positions = [[-300.0, -700.0], [700.0, -700.0], [-300.0, 300.0], [700.0, 300.0]];
    let psf = Psf::grid(kernels, &positions, 2, false).expect("a grid of PSFs");
    let expected = psf.at(4.0, 4.0);
    let wcs = header_wcs(&scene::tan_header(sky, [5.0, 5.0], 0.1, 12.0));
    let exposure = exposure((9, 9), wcs, psf);
    assert!((&exposure.kernel() - &expected).iter().all(|d| d.abs() < 1e-15));
    let mut fixed = exposure.clone();
    fixed.psf = Arc::new(Psf::new(expected, 2, false).unwrap());
    let rows = |e: &Exposure| Geometry::new(e, &grid).unwrap().dense(&e.psf);
    assert!((&rows(&exposure) - &rows(&fixed)).iter().all(|d| d.abs() < 1e-7));
}
