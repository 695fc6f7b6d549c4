//! Straight to the pool.

use std::path::Path;
use std::sync::Arc;

use ndarray::Array2;
use pellucid_exposure::{Exposure, HeaderWcs, ModelGrid, Psf};
use pellucid_posterior::pool::{Engine, EngineConfig, JobSpec, JobState, Options};

use super::problem::*;

/// The pool as the plugin creates it.
pub struct Direct(Engine);

impl Direct {
    pub fn new() -> Self {
        Self(Engine::create(EngineConfig::default()).expect("the defaults are valid"))
    }

    /// A job from exposures to samples.
    pub fn sample(&self, problem: &Problem, prior: &Path) -> Vec<f32> {
        let square = |side: usize, values: Vec<f64>| {
            Array2::from_shape_vec((side, side), values).expect("a square")
        };
        let psf = Psf::new(square(PSF_SIDE, psf()), PSF_OVERSAMPLE, false).expect("a valid PSF");
        let psf = Arc::new(psf);
        let exposure = |k: usize| {
            let wcs = HeaderWcs::new(&problem.header(k), Vec::new()).expect("a valid header");
            let pixels = square(problem.side, problem.pixels(k));
            let variance = Array2::from_elem(pixels.dim(), SIGMA * SIGMA);
            let good = Array2::from_elem(pixels.dim(), true);
            let id = format!("{k}");
            let exposure = Exposure::new(id, pixels, variance, good, Arc::new(wcs), psf.clone());
            Arc::new(exposure.expect("a valid exposure"))
        };
        let [ra, dec] = CENTRE_DEG;
        let side = problem.model_side;
        let grid = ModelGrid::new(side, side, ra, dec, MODEL_SCALE_ARCSEC).expect("a valid grid");
        let options: Options = serde_json::from_str(problem.options).expect("valid options");
        let job = self.0.submit(JobSpec {
            exposures: (0..EXPOSURES).map(exposure).collect(),
            grid,
            prior: prior.to_str().expect("a path of the repository").into(),
            likelihood: "gaussian".into(),
            options,
            n_samples: problem.n_samples,
            seed: SEED,
            priority: 0,
            on_state: None,
        });
        let job = job.expect("a valid job");
        assert_eq!(job.wait(None).expect("no timeout"), JobState::Done, "{:?}", job.result().err());
        let posterior = job.result().expect("the job is done");
        posterior.samples.iter().copied().collect()
    }
}
