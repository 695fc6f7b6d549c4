//! The Rust host library over the library that was built with this test.

use ndarray::{Array2, Array4, s};
use pellucid_host::fits::Header;
use pellucid_host::session::{Engine, EngineOptions, ExposureBuilder, Plugin, Psf};
use pellucid_host::sky::{ModelGrid, SkyPosition};
use pellucid_tests::c;

const SIDE: usize = 9;
/// Samples of the kernels, one a pixel.
const KERNEL: usize = 5;

fn kernel(width: f64) -> Array2<f64> {
    let squared = |i: usize| (i as f64 - 2.0).powi(2);
    let kernel = Array2::from_shape_fn((KERNEL, KERNEL), |(y, x)| {
        (-(squared(y) + squared(x)) / (2.0 * width * width)).exp()
    });
    &kernel / kernel.sum()
}

/// What a point source in the middle looks like through a PSF.
fn seen(engine: &Engine, psf: &Psf) -> Array2<f32> {
    let grid = ModelGrid {
        nx: SIDE,
        ny: SIDE,
        centre: SkyPosition { ra_deg: 150.0, dec_deg: 2.0 },
        pixel_scale_arcsec: 0.05,
    };
    let (middle, step) = (SIDE.div_ceil(2), 0.05 / 3600.0);
    let card = |text: String| format!("{text:<80}");
    let cards = [
        "CTYPE1  = 'RA---TAN'".to_owned(),
        "CTYPE2  = 'DEC--TAN'".to_owned(),
        format!("CRPIX1  = {middle}.0"),
        format!("CRPIX2  = {middle}.0"),
        "CRVAL1  = 150.0".to_owned(),
        "CRVAL2  = 2.0".to_owned(),
        format!("CD1_1   = {:.12E}", -step),
        format!("CD2_2   = {step:.12E}"),
    ];
    let cards: String = cards.map(card).concat();
    let wcs = engine.wcs(&Header::from_cards(cards), &[]).expect("a valid header");
    let (pixels, sigma) = (Array2::zeros((SIDE, SIDE)), Array2::ones((SIDE, SIDE)));
    let exposure = ExposureBuilder::new("point", pixels.view(), sigma.view(), &wcs, psf);
    let exposure = engine.exposure(&exposure).expect("a valid exposure");
    let mut scene = Array2::<f32>::zeros((SIDE, SIDE));
    scene[[SIDE / 2, SIDE / 2]] = 1.0;
    let mut seen = engine.predict(&[&exposure], &grid, scene.view()).expect("it can predict");
    seen.remove(0)
}

#[test]
fn a_grid_of_psfs_is_taken_at_the_middle_of_the_exposure() {
    let plugin = Plugin::load(&c::plugin()).expect("it was built");
    let engine = Engine::create(&plugin, &EngineOptions::default()).expect("it starts");
    let kernels = [kernel(0.6), kernel(1.4)];
    let mut grid = Array4::zeros((1, 2, KERNEL, KERNEL));
    for (node, kernel) in kernels.iter().enumerate() {
        grid.slice_mut(s![0, node, .., ..]).assign(kernel);
    }
    // The middle, pixel 4, is 0.4 of the way between the nodes.
    let (x, y) = ([0.0, 10.0], [100.0]);
    let psf = engine.psf_grid(grid.view(), (&x, &y), 1, true).expect("a valid grid");
    let seen_of = |kernel: &Array2<f64>| {
        seen(&engine, &engine.psf(kernel.view(), 1, true).expect("a valid PSF"))
    };
    let expected = seen_of(&kernels[0]) * 0.6 + seen_of(&kernels[1]) * 0.4;
    let got = seen(&engine, &psf);
    let worst = (&got - &expected).iter().fold(0.0_f32, |worst, d| worst.max(d.abs()));
    assert!(worst < 1e-6 && got[[4, 4]] > 0.1, "{worst}: {got}");

    let refused = |x: &[f64], need: &str| {
        let error = engine.psf_grid(grid.view(), (x, &y), 1, true).err().expect("refused");
        assert!(error.to_string().contains(need), "{error}");
    };
    refused(&[0.0], "2 columns");
    refused(&[10.0, 0.0], "ascending");
}
