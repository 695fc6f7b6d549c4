//! Wall-clock budgets on one core; run with `--ignored` on a quiet machine.

mod scene;

use std::io::Write;
use std::time::Instant;

use pellucid_exposure::{Geometry, ModelGrid, Psf};
use scene::{exposure, gaussian_kernel, header_wcs};

#[test]
#[ignore = "a timing"]
fn geometry_and_dense_operator_are_fast() {
    let sky = [150.1, 2.2];
    for (n, model) in [(38, 64), (64, 64)] {
        let grid = ModelGrid::new(model, model, sky[0], sky[1], 0.15 * n as f64 / model as f64)
            .expect("a grid");
        let wcs = header_wcs(&scene::sip_header(sky, [n as f64 / 2.0; 2], 0.13, 0.0));
        let psf = Psf::new(gaussian_kernel(101, 5.0), 4, false).expect("a PSF");
        let exposure = exposure((n, n), wcs, psf);
        let start = Instant::now();
        let geometry = Geometry::new(&exposure, &grid).expect("a geometry");
        let located = start.elapsed().as_secs_f64();
        let start = Instant::now();
        let dense = geometry.dense(&exposure.psf);
        let rows = dense.nrows();
        let filled = start.elapsed().as_secs_f64();
        let _ = writeln!(
            std::io::stderr(),
            "{n} x {n} at 4x with a 101 x 101 PSF: geometry {located:.3} s, dense {filled:.3} s, {rows} rows"
        );
        assert!(located < 0.2 && filled < 0.5);
    }
}
