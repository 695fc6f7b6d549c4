//! Time to build the geometry and the dense operator of one exposure, on one core.

#[path = "../tests/scene/mod.rs"]
mod scene;

use std::time::Instant;

use pellucid_exposure::{Geometry, ModelGrid, Psf};
use scene::{exposure, gaussian_kernel, header_wcs};

fn main() {
    let sky = [150.1, 2.2];
    let mut rows = Vec::new();
    println!("{:<40} {:>10}", "4x sub-pixels, 101 x 101 PSF", "seconds");
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
        let used = geometry.dense(&exposure.psf).nrows();
        let filled = start.elapsed().as_secs_f64();
        for (metric, value) in [("geometry", located), ("dense operator", filled)] {
            let case = format!("{n} x {n} pixels, {used} used");
            println!("{:<40} {value:>10.4}", format!("{case}: {metric}"));
            rows.push(format!(
                "{{\"case\": \"{case}\", \"metric\": \"{metric}, s\", \"value\": {value}, \"target\": null, \"better\": \"lower\", \"pass\": null}}"
            ));
        }
    }
    let mut arguments = std::env::args();
    if let Some(path) = arguments.find(|a| a == "--json").and(arguments.next()) {
        let cores = std::thread::available_parallelism().map_or(0, usize::from);
        let report = format!(
            "{{\"bench\": \"operator\", \"machine\": \"{cores} cores\", \"rows\": [{}]}}\n",
            rows.join(", ")
        );
        std::fs::write(&path, report).unwrap_or_else(|e| panic!("{path}: {e}"));
    }
}
