//! A host as the checks need one: an engine, exposures, jobs.

use std::ffi::CString;
use std::ptr::{self, null, null_mut};

use pellucid_ffi::*;

use crate::arrays::{array, sized, take};
use crate::check::Fault;
use crate::session::{Handle, Session, succeed};
use crate::telescope::{Grid, Kernel, Tan};

/// Side of the model grid and, unless said otherwise, of exposures, pixels.
pub(crate) const SIDE: usize = 16;

/// Where the model grid lies.
pub(crate) struct Place {
    pub(crate) ra: f64,
    pub(crate) dec: f64,
    pub(crate) scale_arcsec: f64,
}

/// The model grid of every job.
pub(crate) const GRID: Place = Place { ra: 150.0, dec: 2.0, scale_arcsec: 0.05 };

impl Place {
    /// A grid of n x n pixels here.
    pub(crate) fn of(&self, n: usize) -> Grid {
        Grid { tan: Tan::centred([self.ra, self.dec], n, self.scale_arcsec, 0.0), n }
    }
}

/// A configuration of few resources.
pub(crate) const CONFIG: &str = r#"{"device": "cpu", "threads": 1, "log_level": "warn"}"#;
/// Options of a job that ends soon.
pub(crate) const SHORT: &str = r#"{"steps": 2}"#;
/// Options of a job that does not end before it is told to.
pub(crate) const LONG: &str = r#"{"steps": 100000}"#;

/// An engine and the means to use it.
pub(crate) struct Host<'a> {
    pub(crate) session: &'a Session,
    pub(crate) api: &'a pellucid_api,
    pub(crate) engine: Handle<pellucid_engine>,
}

// SAFETY: shared is the table and numbers; the session's cells are filled by then (`Host::with`).
unsafe impl Sync for Host<'_> {}

/// An exposure in the making: `shape` pixels of `sci` with one `sigma`, as seen through `psf`.
#[derive(Clone)]
pub(crate) struct Shot {
    pub(crate) wcs: Tan,
    pub(crate) shape: [usize; 2],
    pub(crate) sci: Vec<f64>,
    pub(crate) sigma: Vec<f64>,
    pub(crate) psf: Kernel,
}

impl Shot {
    /// Ones on the pixels of the model grid, without blur.
    pub(crate) fn plain() -> Self {
        let n = SIDE * SIDE;
        let wcs = GRID.of(SIDE).tan;
        let (sci, sigma) = (vec![1.0; n], vec![0.1; n]);
        Self { wcs, shape: [SIDE; 2], sci, sigma, psf: Kernel::point() }
    }
}

/// A job in the making.
pub(crate) struct Ask<'a> {
    pub(crate) options: &'a str,
    pub(crate) n_samples: i32,
    pub(crate) seed: u64,
    pub(crate) spoil: &'a dyn Fn(&mut pellucid_job_desc),
}

impl<'a> Ask<'a> {
    /// Four samples.
    pub(crate) fn new(options: &'a str) -> Self {
        Self { options, n_samples: 4, seed: 7, spoil: &|_| {} }
    }
}

impl<'a> Host<'a> {
    /// An engine of few resources.
    pub(crate) fn new(session: &'a Session) -> Result<Self, Fault> {
        Self::with(session, CONFIG, null())
    }

    /// An engine with a configuration and host functions.
    pub(crate) fn with(
        session: &'a Session,
        config: &str,
        functions: *const pellucid_host,
    ) -> Result<Self, Fault> {
        let api = session.api()?;
        session.field()?;
        let config = CString::new(config).expect("because it has no NUL");
        let mut engine = null_mut();
        ok!(api, engine_create(config.as_ptr(), functions, &mut engine))?;
        Ok(Self { session, api, engine: Handle::new(engine, api.engine_release)? })
    }

    /// The engine's handle.
    pub(crate) fn raw(&self) -> *mut pellucid_engine {
        self.engine.get()
    }

    /// A WCS by header.
    pub(crate) fn header(&self, cards: &str) -> Result<Handle<pellucid_wcs>, Fault> {
        let mut wcs = null_mut();
        let (text, len) = (cards.as_ptr().cast(), cards.len());
        ok!(self.api, wcs_from_fits_header(self.raw(), text, len, null(), 0, &mut wcs))?;
        Handle::new(wcs, self.api.wcs_release)
    }

    /// A WCS by grid, wide enough for every exposure here.
    pub(crate) fn grid(&self, tan: &Tan) -> Result<Handle<pellucid_wcs>, Fault> {
        let nodes = 13;
        let at = |k: usize| k as f64 * 4.0 - 16.0;
        let radec: Vec<f64> =
            (0..nodes * nodes).flat_map(|k| tan.sky([at(k % nodes), at(k / nodes)])).collect();
        let radec = array(&radec, &[nodes, nodes, 2]);
        let mut wcs = null_mut();
        ok!(self.api, wcs_from_grid(self.raw(), &radec, -16.0, -16.0, 4.0, &mut wcs))?;
        Handle::new(wcs, self.api.wcs_release)
    }

    /// A PSF by array.
    pub(crate) fn psf(&self, kernel: &Kernel) -> Result<Handle<pellucid_psf>, Fault> {
        let values = array(&kernel.values, &kernel.shape);
        let flags = if kernel.integrated { PELLUCID_PSF_PIXEL_INTEGRATED } else { 0 };
        let (mut psf, s) = (null_mut(), kernel.oversample as i32);
        ok!(self.api, psf_from_array(self.raw(), &values, s, flags, &mut psf))?;
        Handle::new(psf, self.api.psf_release)
    }

    /// An exposure.
    pub(crate) fn exposure(&self, shot: &Shot) -> Result<Handle<pellucid_exposure>, Fault> {
        self.exposure_with(shot, |_| {})
    }

    /// An exposure whose description is changed first.
    pub(crate) fn exposure_with(
        &self,
        shot: &Shot,
        change: impl FnOnce(&mut pellucid_exposure_desc),
    ) -> Result<Handle<pellucid_exposure>, Fault> {
        let (wcs, psf) = (self.grid(&shot.wcs)?, self.psf(&shot.psf)?);
        let (sci, err) = (array(&shot.sci, &shot.shape), array(&shot.sigma, &shot.shape));
        let mut desc = describe(&sci, &err, wcs.get(), psf.get());
        change(&mut desc);
        self.expose(&desc)
    }

    /// An exposure of a description.
    pub(crate) fn expose(
        &self,
        desc: &pellucid_exposure_desc,
    ) -> Result<Handle<pellucid_exposure>, Fault> {
        let mut exposure = null_mut();
        ok!(self.api, exposure_create(self.raw(), desc, &mut exposure))?;
        Handle::new(exposure, self.api.exposure_release)
    }

    /// Calls `body` with a description of a job.
    pub(crate) fn describe<T>(
        &self,
        exposures: &[*mut pellucid_exposure],
        ask: &Ask<'_>,
        body: impl FnOnce(&pellucid_job_desc) -> T,
    ) -> Result<T, Fault> {
        let options = CString::new(ask.options).expect("because it has no NUL");
        let mut desc: pellucid_job_desc = sized();
        (desc.exposures, desc.n_exposures) = (exposures.as_ptr(), exposures.len());
        (desc.ra, desc.dec, desc.pixscale) = (GRID.ra, GRID.dec, GRID.scale_arcsec);
        (desc.out_ny, desc.out_nx) = (SIDE as i32, SIDE as i32);
        (desc.n_samples, desc.seed) = (ask.n_samples, ask.seed);
        desc.prior = self.session.field()?.file.as_ptr();
        desc.options_json = options.as_ptr();
        (ask.spoil)(&mut desc);
        Ok(body(&desc))
    }

    /// A job.
    pub(crate) fn submit(
        &self,
        exposures: &[*mut pellucid_exposure],
        ask: &Ask<'_>,
    ) -> Result<Handle<pellucid_job>, Fault> {
        let mut job = null_mut();
        self.describe(exposures, ask, |desc| {
            ok!(self.api, job_submit(self.raw(), desc, &mut job))
        })??;
        Handle::new(job, self.api.job_release)
    }

    /// A job over one plain exposure.
    pub(crate) fn job(&self, options: &str) -> Result<Handle<pellucid_job>, Fault> {
        let exposure = self.exposure(&Shot::plain())?;
        self.submit(&[exposure.get()], &Ask::new(options))
    }

    /// Waits for a job, whose result this is.
    pub(crate) fn finish(
        &self,
        job: &Handle<pellucid_job>,
    ) -> Result<Handle<pellucid_result>, Fault> {
        ok!(self.api, job_wait(job.get(), -1))?;
        let mut result = null_mut();
        ok!(self.api, job_result(job.get(), &mut result))?;
        Handle::new(result, self.api.result_release)
    }

    /// The result of a short job over one plain exposure.
    pub(crate) fn result(&self) -> Result<Handle<pellucid_result>, Fault> {
        let job = self.job(SHORT)?;
        self.finish(&job)
    }

    /// All samples of a result, one after another.
    pub(crate) fn samples(
        &self,
        result: &Handle<pellucid_result>,
        n: usize,
    ) -> Result<Vec<f32>, Fault> {
        let mut out: pellucid_array = sized();
        ok!(self.api, result_samples(result.get(), 0, -1, &mut out))?;
        take(out, &[n, 1, SIDE, SIDE])
    }

    /// Submits, waits and takes all samples.
    pub(crate) fn draw(
        &self,
        exposures: &[*mut pellucid_exposure],
        ask: &Ask<'_>,
    ) -> Result<Vec<f32>, Fault> {
        let job = self.submit(exposures, ask)?;
        self.samples(&self.finish(&job)?, ask.n_samples as usize)
    }

    /// A x of an n x n model image on the grid of [`GRID`]'s centre and scale.
    pub(crate) fn predict(
        &self,
        exposure: &Handle<pellucid_exposure>,
        shape: [usize; 2],
        model: &[f64],
    ) -> Result<Vec<f32>, Fault> {
        let table = self.session.predict()?;
        let n = model.len().isqrt();
        let model = array(model, &[n, n]);
        let mut out: pellucid_array = sized();
        succeed(self.api, "predict", |e| {
            let Place { ra, dec, scale_arcsec } = GRID;
            let exposure = exposure.get();
            slot!(
                table,
                predict(self.raw(), &exposure, 1, ra, dec, scale_arcsec, &model, &mut out, e)
            )
        })?;
        take(out, &shape)
    }
}

/// A description of an exposure named "one" with standard deviations.
pub(crate) fn describe(
    sci: *const pellucid_array,
    err: *const pellucid_array,
    wcs: *mut pellucid_wcs,
    psf: *mut pellucid_psf,
) -> pellucid_exposure_desc {
    let mut desc: pellucid_exposure_desc = sized();
    (desc.id, desc.sci, desc.err) = (c"one".as_ptr(), sci, err);
    desc.err_kind = PELLUCID_ERR_SIGMA;
    (desc.wcs, desc.psf) = (wcs, psf);
    desc
}

/// A pointer to context of a callback.
pub(crate) fn context<T>(value: &T) -> *mut std::ffi::c_void {
    ptr::from_ref(value).cast_mut().cast()
}
