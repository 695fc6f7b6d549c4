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
