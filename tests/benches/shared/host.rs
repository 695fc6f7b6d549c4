//! A host in C's manner.

use std::ffi::CString;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::ptr::{null, null_mut};

use pellucid_ffi::*;
use pellucid_tests::{array, exposure_desc, ok, sized, slot, take_values};

use super::problem::*;

/// An engine behind a table.
pub struct Abi {
    api: &'static pellucid_api,
    engine: *mut pellucid_engine,
}

impl Abi {
    pub fn new(api: &'static pellucid_api) -> Self {
        let mut engine = null_mut();
        ok(api, |e| slot!(api, engine_create(null(), null(), &mut engine, e)));
        Self { api, engine }
    }

    pub fn handle(&self) -> *mut pellucid_engine {
        self.engine
    }

    /// A job from exposures to samples.
    pub fn sample(&self, problem: &Problem, prior: &Path) -> Vec<f32> {
        let (api, engine) = (self.api, self.engine);
        let kernel = psf();
        let kernel = array(&kernel, &[PSF_SIDE, PSF_SIDE]);
        let mut psf = null_mut();
        let oversample = PSF_OVERSAMPLE as i32;
        ok(api, |e| slot!(api, psf_from_array(engine, &kernel, oversample, 0, &mut psf, e)));
        let exposures: Vec<_> = (0..EXPOSURES).map(|k| self.exposure(problem, k, psf)).collect();
        slot!(api, psf_release(psf));

        let prior = CString::new(prior.as_os_str().as_bytes()).expect("no NUL");
        let options = CString::new(problem.options).expect("no NUL");
        let mut desc: pellucid_job_desc = sized();
        (desc.exposures, desc.n_exposures) = (exposures.as_ptr(), exposures.len());
        [desc.ra, desc.dec] = CENTRE_DEG;
        desc.pixscale = MODEL_SCALE_ARCSEC;
        (desc.out_ny, desc.out_nx) = (problem.model_side as i32, problem.model_side as i32);
        (desc.n_samples, desc.seed) = (problem.n_samples as i32, SEED);
        (desc.prior, desc.options_json) = (prior.as_ptr(), options.as_ptr());
        let mut job = null_mut();
        ok(api, |e| slot!(api, job_submit(engine, &desc, &mut job, e)));
        ok(api, |e| slot!(api, job_wait(job, -1, e)));
        let mut result = null_mut();
        ok(api, |e| slot!(api, job_result(job, &mut result, e)));
        let mut samples: pellucid_array = sized();
        ok(api, |e| slot!(api, result_samples(result, 0, -1, &mut samples, e)));
        let samples = take_values(samples);
        slot!(api, result_release(result));
        slot!(api, job_release(job));
        exposures.iter().for_each(|exposure| slot!(api, exposure_release(*exposure)));
        samples
    }

    fn exposure(
        &self,
        problem: &Problem,
        k: usize,
        psf: *mut pellucid_psf,
    ) -> *mut pellucid_exposure {
        let (api, engine) = (self.api, self.engine);
        let header = problem.header(k);
        let mut wcs = null_mut();
        ok(api, |e| {
            let text = header.as_ptr().cast();
            slot!(api, wcs_from_fits_header(engine, text, header.len(), null(), 0, &mut wcs, e))
        });
        let pixels = problem.pixels(k);
        let variance = vec![SIGMA * SIGMA; pixels.len()];
        let shape = [problem.side, problem.side];
        let (sci, err) = (array(&pixels, &shape), array(&variance, &shape));
        let mut desc = exposure_desc(&sci, wcs, psf);
        desc.err = &err;
        let id = CString::new(format!("{k}")).expect("no NUL");
        desc.id = id.as_ptr();
        let mut exposure = null_mut();
        ok(api, |e| slot!(api, exposure_create(engine, &desc, &mut exposure, e)));
        slot!(api, wcs_release(wcs));
        exposure
    }
}

impl Drop for Abi {
    fn drop(&mut self) {
        slot!(self.api, engine_release(self.engine));
    }
}
