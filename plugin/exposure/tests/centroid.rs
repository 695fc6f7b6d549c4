//! Light lands where the WCS says: half-pixel and sub-pixel conventions.

mod scene;

use pellucid_exposure::{Exposure, ModelGrid, Psf, Wcs, apply_slow};
use scene::{centroid, exposure, gaussian_kernel, header_wcs};

const SKY: [f64; 2] = [53.1, -27.8];

/// Distance in data pixels between a galaxy's centroid and where the WCS puts its centre.
fn displacement(psf: Psf) -> f64 {
    let grid = ModelGrid::new(48, 48, SKY[0], SKY[1], 0.06).expect("a grid");
    let at = [22.37, 25.81];
    let wcs = header_wcs(&scene::tan_header(SKY, [20.9, 19.4], 0.1, 23.0));
    let exposure: Exposure = exposure((40, 40), wcs, psf);
    let image = scene::galaxy(&grid, at, 2.5);
    let seen = centroid(&apply_slow(&exposure, &grid, &image).expect("a prediction"));
    let sky = grid.pixel_to_sky(&[at]).expect("on the grid");
    let expected = exposure.wcs.sky_to_pixel(&sky).expect("on the detector")[0];
    (seen[0] - expected[0]).hypot(seen[1] - expected[1])
}

#[test]
fn centroids_follow_the_wcs_for_every_oversampling() {
    for s in 1..=4 {
        for integrated in [false, true] {
            for size in [4 * s + 1, 4 * s + 2] {
                let kernel = gaussian_kernel(size, 0.6 * s as f64);
                let got = displacement(Psf::new(kernel, s, integrated).expect("a PSF"));
                assert!(got < 1e-3, "s {s}, integrated {integrated}, size {size}: {got:e} px");
            }
        }
    }
}

/// Tiny Tim centres its even arrays on the sample n/2.
#[test]
fn a_stated_centre_is_honoured() {
    let s = 4;
    let odd = gaussian_kernel(17, 2.0);
    let mut even = ndarray::Array2::zeros((18, 18));
    even.slice_mut(ndarray::s![1.., 1..]).assign(&odd);
    let psf = Psf::new(even, s, false).expect("a PSF").with_centre([9.0, 9.0]).expect("inside");
    assert_eq!(psf.shift_subpx(), [0.0, 0.0]);
    assert!(displacement(psf.clone()) < 1e-3);
    // A quarter of a sub-pixel off is a sixteenth of a pixel off in the data.
    let off = psf.clone().with_centre([9.25, 9.0]).expect("inside");
    assert!((displacement(off.clone()) - 0.0625).abs() < 1e-3);
    // Setting a centre twice is setting the last one.
    let again = off.with_centre([9.0, 9.0]).expect("inside");
    assert!(displacement(again) < 1e-3);
    assert!(psf.with_centre([18.0, 9.0]).is_err());
}
