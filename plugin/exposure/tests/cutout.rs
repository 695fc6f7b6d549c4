//! Stamps keep their place on the sky and in the PSF grid.

mod scene;

use std::sync::Arc;

use ndarray::Array2;
use pellucid_exposure::{ExposureError, Frame, Psf, cutout};
use scene::{gaussian_kernel, header_wcs, tan_header};

#[test]
fn a_stamp_is_the_frame_around_a_position() {
    let pixels = Array2::from_shape_fn((40, 60), |(y, x)| (1000 * y + x) as f64);
    let mut variance = Array2::ones((40, 60));
    variance[[0, 0]] = f64::NAN;
    let good = Array2::from_elem((40, 60), true);
    let kernels = vec![gaussian_kernel(5, 1.0), gaussian_kernel(5, 2.0)];
    let frame = Frame {
        id: "frame",
        pixels: pixels.view(),
        variance: variance.view(),
        good: good.view(),
        wcs: header_wcs(&tan_header([53.1, -27.8], [30.0, 20.0], 0.1, 17.0)),
        psf: Arc::new(Psf::grid(kernels, &[[0.0, 0.0], [60.0, 0.0]], 1, false).unwrap()),
    };
    let cut = |at: [f64; 2], half: usize| {
        let [ra, dec] = frame.wcs.pixel_to_sky(&[at]).unwrap()[0];
        cutout(&frame, ra, dec, half)
    };
    let stamp = cut([31.3, 18.8], 4).expect("inside the frame");
    assert_eq!((stamp.pixels.dim(), stamp.pixels[[4, 4]]), ((9, 9), 19_031.0));
    assert_eq!(stamp.wcs.pixel_to_sky(&[[4.0, 4.0]]), frame.wcs.pixel_to_sky(&[[31.0, 19.0]]));
    let difference = &stamp.kernel() - &frame.psf.at(31.0, 19.0);
    assert!(difference.iter().all(|d| d.abs() < 1e-15));
    let edge = cut([59.0, 39.0], 4).expect("partly inside");
    assert_eq!((edge.pixels.dim(), edge.pixels[[4, 4]]), ((5, 5), 39_059.0));
    assert_eq!(
        cut([90.0, 20.0], 4).unwrap_err(),
        ExposureError::NoOverlap { exposure: "frame".into() }
    );
    // Only the stamp is validated.
    assert!(matches!(cut([2.0, 2.0], 2), Err(ExposureError::NonFinite { index: (0, 0), .. })));
    assert!(matches!(cut([31.0, 19.0], 1000), Err(ExposureError::NonFinite { .. })));
}
