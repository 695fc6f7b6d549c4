//! Everything that an exposure, a PSF or a noise correlation refuses, and how it says so.

mod fits;
mod scene;

use std::sync::Arc;

use ndarray::{Array2, array};
use pellucid_exposure::{CallbackWcs, Exposure, ExposureError, NoiseCorrelation, Psf, Wcs};
use scene::{gaussian_kernel, header_wcs, lopsided_kernel, tan_header};

struct Parts {
    pixels: Array2<f64>,
    variance: Array2<f64>,
    good: Array2<bool>,
    wcs: Arc<dyn Wcs>,
}

fn parts() -> Parts {
    Parts {
        pixels: Array2::ones((4, 5)),
        variance: Array2::ones((4, 5)),
        good: Array2::from_elem((4, 5), true),
        wcs: header_wcs(&tan_header([53.1, -27.8], [2.0, 2.0], 0.1, 0.0)),
    }
}

fn build(change: impl FnOnce(&mut Parts)) -> Result<Exposure, ExposureError> {
    let mut p = parts();
    change(&mut p);
    let psf = Arc::new(Psf::new(gaussian_kernel(3, 1.0), 1, false).expect("a PSF"));
    Exposure::new("f160w-1", p.pixels, p.variance, p.good, p.wcs, psf)
}

fn refusal(change: impl FnOnce(&mut Parts)) -> String {
    build(change).expect_err("a fault").to_string()
}

#[test]
fn bad_pixels_are_named_unless_masked() {
    assert!(build(|_| ()).is_ok());
    for value in [f64::NAN, f64::INFINITY] {
        let message = refusal(|p| p.pixels[[1, 3]] = value);
        assert!(message.contains("f160w-1") && message.contains("x = 3, y = 1"), "{message}");
        assert!(refusal(|p| p.variance[[1, 3]] = value).contains("variance of exposure f160w-1"));
    }
    for value in [0.0, -1.0] {
        let message = refusal(|p| p.variance[[0, 4]] = value);
        assert!(message.contains("x = 4, y = 0") && message.contains("> 0"), "{message}");
    }
    let masked = build(|p| {
        (p.pixels[[1, 3]], p.variance[[2, 2]]) = (f64::NAN, -1.0);
        (p.good[[1, 3]], p.good[[2, 2]]) = (false, false);
    });
    assert!(masked.is_ok());
}

#[test]
fn shapes_and_masks() {
    assert!(refusal(|p| p.variance = Array2::ones((5, 4))).contains("(5, 4), need (4, 5)"));
    assert!(refusal(|p| p.good = Array2::from_elem((4, 4), true)).contains("mask"));
    assert!(refusal(|p| p.pixels = Array2::zeros((0, 5))).contains("[1, 1]"));
    let masked = build(|p| p.good.fill(false)).unwrap_err();
    assert_eq!(masked, ExposureError::NoGoodPixels { exposure: "f160w-1".into() });
}

#[test]
fn a_wcs_that_collapses_the_sky_is_singular() {
    let line = |xy: &[[f64; 2]], sky: &mut [[f64; 2]]| {
        for (p, s) in xy.iter().zip(sky) {
            *s = [10.0 + 1e-5 * (p[0] + p[1]), 20.0 + 2e-5 * (p[0] + p[1])];
        }
        Ok(())
    };
    let error = build(|p| p.wcs = Arc::new(CallbackWcs::new(line, None))).unwrap_err();
    assert!(matches!(error, ExposureError::SingularWcs { .. }), "{error}");
    let failing = build(|p| p.wcs = Arc::new(CallbackWcs::new(|_, _| Err(3), None))).unwrap_err();
    assert!(matches!(failing, ExposureError::Callback { code: 3, .. }));
}

#[test]
fn psfs() {
    let psf = Psf::new(lopsided_kernel(6, 9) * 40.0, 4, true).expect("a PSF");
    assert!((psf.at(0.0, 0.0).sum() - 1.0).abs() < 1e-12);
    assert_eq!((psf.at(0.0, 0.0).dim(), psf.shift_subpx()), ((7, 9), [0.0, -0.5]));
    let fault = |kernel, s| Psf::new(kernel, s, false).expect_err("a fault").to_string();
    assert!(fault(Array2::zeros((0, 3)), 1).contains("empty"));
    assert!(fault(array![[1.0, f64::NAN]], 1).contains("NaN at x = 1, y = 0"));
    assert!(fault(array![[1.0, -1.0]], 1).contains("sum is 0"));
    assert!(fault(array![[1.0, -0.5]], 1).contains("negative"));
    assert!(fault(array![[1.0]], 0).contains("oversampling"));
    let two = || vec![gaussian_kernel(3, 1.0), gaussian_kernel(3, 2.0)];
    assert!(Psf::grid(two(), &[[0.0, 0.0], [5.0, 5.0]], 1, false).is_err());
    assert!(Psf::grid(two(), &[[0.0, 0.0], [0.0, 0.0]], 1, false).is_err());
    assert!(Psf::grid(two(), &[[0.0, 0.0], [f64::NAN, 0.0]], 1, false).is_err());
    assert!(
        Psf::grid(
            vec![gaussian_kernel(3, 1.0), gaussian_kernel(5, 1.0)],
            &[[0.0, 0.0], [1.0, 0.0]],
            1,
            false
        )
        .is_err()
    );
}

#[test]
fn a_psf_grid_is_bilinear_inside_and_constant_outside() {
    let flat = |v: f64| array![[v, 1.0, 0.0]];
    // Given out of order.
    let nodes = [([10.0, 20.0], 4.0), ([0.0, 0.0], 1.0), ([10.0, 0.0], 2.0), ([0.0, 20.0], 3.0)];
    let psf = Psf::grid(nodes.iter().map(|n| flat(n.1)).collect(), &nodes.map(|n| n.0), 1, false)
        .unwrap();
    let share = |v: f64| v / (v + 1.0);
    let at = |x, y| psf.at(x, y)[[0, 0]];
    assert!(
        (at(-5.0, -9.0) - share(1.0)).abs() < 1e-15 && (at(99.0, 99.0) - share(4.0)).abs() < 1e-15
    );
    let expected =
        0.75 * (0.7 * share(1.0) + 0.3 * share(2.0)) + 0.25 * (0.7 * share(3.0) + 0.3 * share(4.0));
    assert!((at(3.0, 5.0) - expected).abs() < 1e-15);
}

#[test]
fn noise_correlations() {
    let correlation =
        NoiseCorrelation::new(array![[0.0, 0.2, 0.4], [1.0, 2.0, 1.0], [0.4, 0.2, 0.0]]).unwrap();
    assert_eq!(
        (correlation.at(0, 0), correlation.at(0, 1), correlation.at(-1, 1)),
        (1.0, 0.5, 0.2)
    );
    assert_eq!(
        (correlation.at(-1, -1), correlation.at(2, 0), correlation.at(0, -9)),
        (0.0, 0.0, 0.0)
    );
    let covariance = correlation.covariance(&[(3, 3), (3, 4), (7, 7)], &[2.0, 3.0, 5.0]);
    assert_eq!(covariance, array![[4.0, 3.0, 0.0], [3.0, 9.0, 0.0], [0.0, 0.0, 25.0]]);
    let fault = |array| NoiseCorrelation::new(array).expect_err("a fault").to_string();
    assert!(fault(Array2::ones((2, 3))).contains("odd"));
    assert!(fault(array![[0.0, 0.0, 0.0]]).contains("> 0"));
    assert!(fault(array![[0.5, 1.0, 0.1]]).contains("opposite"));
    assert!(fault(array![[1.5, 1.0, 1.5]]).contains("at most 1"));
    assert!(fault(array![[0.5, 1.0, f64::NAN]]).contains("NaN"));
}

#[test]
fn real_psf_grids_and_correlations_are_accepted() {
    if let Some(bytes) = fits::shared("noise/acs_I_unrot_sci_20_cf.fits") {
        let hdus = fits::read(&bytes);
        let hdu = hdus
            .iter()
            .find(|hdu| fits::number(&hdu.header, "NAXIS1") == Some(81.0))
            .expect("an image");
        let correlation = NoiseCorrelation::new(fits::plane(hdu, 0)).expect("symmetric");
        assert!((0.1..0.6).contains(&correlation.at(0, 1)), "{}", correlation.at(0, 1));
    }
    let Some(bytes) = fits::shared("psf/PSFSTD_WFC3IR_F160W.fits") else {
        return;
    };
    let hdu = &fits::read(&bytes)[0];
    let kernels = (0..9).map(|i| fits::plane(hdu, i)).collect();
    let nodes = [0.0, 507.0, 1013.0];
    let positions: Vec<_> = nodes.iter().flat_map(|&y| nodes.map(|x| [x, y])).collect();
    let psf = Psf::grid(kernels, &positions, 4, true).expect("a PSF grid");
    assert_eq!((psf.half_size_subpx(), psf.shift_subpx()), ([50, 50], [0.0, 0.0]));
    // The claim of `Exposure::kernel`.
    let moved = (&psf.at(300.0, 300.0) - &psf.at(319.0, 319.0)).mapv(f64::abs).sum();
    assert!(moved < 0.005, "{moved}");
}
