//! Results.

use std::ffi::{CString, c_char};
use std::sync::{Arc, OnceLock};

use ndarray::Axis;
use pellucid_ffi::*;
use serde_json::Value;

use crate::boundary::array::Lent;
use crate::boundary::borrow::{self, Out};
use crate::boundary::guard;
use crate::boundary::handle::{self, Object};
use crate::boundary::text::{self, c_text};
use crate::convert::{self, cards};
use crate::engine::{Engine, Job, Posterior};
use crate::limits::MAX_PERCENTILES;
use crate::status::Failure;
use crate::summary::{self, Samples};

type PosteriorOf<E> = <<E as Engine>::Job as Job>::Posterior;

/// A result as the host holds it.
pub(crate) struct ResultObject<E: Engine> {
    posterior: Arc<PosteriorOf<E>>,
    zero_points: Vec<f64>,
    diagnostics: OnceLock<CString>,
    header: OnceLock<CString>,
}

impl<E: Engine> Object for ResultObject<E> {
    type Opaque = pellucid_result;
    const KIND: &'static str = "result";
}

impl<E: Engine> ResultObject<E> {
    pub(super) fn new(posterior: Arc<PosteriorOf<E>>, zero_points: Vec<f64>) -> Self {
        Self { posterior, zero_points, diagnostics: OnceLock::new(), header: OnceLock::new() }
    }

    fn samples(&self) -> Samples<'_> {
        Samples::new(self.posterior.samples().view(), self.posterior.sample_errors())
    }

    /// The engine's diagnostics with what the interface adds to them.
    fn diagnose(&self) -> Result<Value, Failure> {
        let mut value = self.posterior.diagnostics()?;
        if let Some(object) = value.as_object_mut() {
            object.insert("sample_errors".into(), self.posterior.sample_errors().into());
            object.insert("provenance".into(), self.posterior.provenance());
        }
        Ok(value)
    }
}

/// Text that is made once, on first request, unless it fails.
fn once(
    cell: &OnceLock<CString>,
    make: impl FnOnce() -> Result<String, Failure>,
) -> Result<&CString, Failure> {
    match cell.get() {
        Some(text) => Ok(text),
        None => {
            let text = c_text(&make()?);
            Ok(cell.get_or_init(|| text))
        }
    }
}

/// Runs the body of a slot that fills an array.
///
/// # Safety
/// The header's contract of `out` and `error`.
unsafe fn fill<E: Engine>(
    result: *mut pellucid_result,
    out: *mut pellucid_array,
    error: *mut *mut pellucid_error,
    body: impl FnOnce(&ResultObject<E>) -> Result<Lent, Failure>,
) -> pellucid_status {
    // SAFETY: the contract above.
    unsafe {
        guard::call(error, || {
            let size = borrow::struct_size(out, "out")?;
            let object = handle::find::<ResultObject<E>>(result)?;
            borrow::write_struct(out, size, &body(&object)?.into_array());
            Ok(())
        })
    }
}

pub(super) unsafe extern "C" fn result_samples<E: Engine>(
    result: *mut pellucid_result,
    first: i64,
    n: i64,
    out: *mut pellucid_array,
    error: *mut *mut pellucid_error,
) -> pellucid_status {
    // SAFETY: the header's contract.
    unsafe {
        fill::<E>(result, out, error, |object| {
            let samples = object.posterior.samples();
            let range = convert::sample_range(first, n, samples.len_of(Axis(0)))?;
            let mut shape = samples.shape().to_vec();
            shape[0] = range.len();
            let size: usize = shape[1..].iter().product();
            Ok(Lent::of(Arc::clone(&object.posterior), shape, |posterior| {
                let all = posterior.samples().as_slice();
                &all.expect("because an engine's samples are in C order")
                    [range.start * size..range.end * size]
            }))
        })
    }
}

pub(super) unsafe extern "C" fn result_stat<E: Engine>(
    result: *mut pellucid_result,
    stat: *const c_char,
    out: *mut pellucid_array,
    error: *mut *mut pellucid_error,
) -> pellucid_status {
    // SAFETY: the header's contract.
    unsafe {
        fill::<E>(result, out, error, |object| {
            let stat: summary::Stat = text::required(stat, "stat")?.parse()?;
            let values = object.samples().stat(stat)?;
            Ok(Lent::owned(values, object.posterior.samples().shape()[1..].to_vec()))
        })
    }
}

pub(super) unsafe extern "C" fn result_percentiles<E: Engine>(
    result: *mut pellucid_result,
    q: *const f64,
    nq: usize,
    out: *mut pellucid_array,
    error: *mut *mut pellucid_error,
) -> pellucid_status {
    // SAFETY: the header's contract.
    unsafe {
        fill::<E>(result, out, error, |object| {
            convert::within(nq, 1, MAX_PERCENTILES, "nq", "1 to 1024")?;
            let q = borrow::slice(q, nq, "q")?;
            let values = object.samples().percentiles(&q)?;
            let mut shape = object.posterior.samples().shape().to_vec();
            shape[0] = nq;
            Ok(Lent::owned(values, shape))
        })
    }
}

pub(super) unsafe extern "C" fn result_residuals<E: Engine>(
    result: *mut pellucid_result,
    sample: i64,
    exposure: usize,
    out: *mut pellucid_array,
    error: *mut *mut pellucid_error,
) -> pellucid_status {
    // SAFETY: the header's contract.
    unsafe {
        fill::<E>(result, out, error, |object| {
            let n = object.posterior.sample_errors().len();
            let sample = match sample {
                -1 => None,
                k => Some(convert::sample_range(k, 1, n)?.start),
            };
            let last = object.posterior.exposures().len().saturating_sub(1);
            convert::within(exposure, 0, last, "exposure", "below the number of exposures")?;
            let image = object.posterior.residual(sample, exposure)?;
            let shape = vec![image.nrows(), image.ncols()];
            Ok(Lent::owned(image.into_iter().collect(), shape))
        })
    }
}

pub(super) unsafe extern "C" fn result_diagnostics<E: Engine>(
    result: *mut pellucid_result,
    json: *mut *const c_char,
    error: *mut *mut pellucid_error,
) -> pellucid_status {
    // SAFETY: the header's contract; `Out` clears and sets, which const does not change.
    unsafe {
        guard::call(error, || {
            let out = Out::new(json.cast::<*mut c_char>(), "json")?;
            let object = handle::find::<ResultObject<E>>(result)?;
            let json = once(&object.diagnostics, || Ok(object.diagnose()?.to_string()))?;
            out.set(json.as_ptr().cast_mut());
            Ok(())
        })
    }
}

pub(super) unsafe extern "C" fn result_header<E: Engine>(
    result: *mut pellucid_result,
    cards: *mut *const c_char,
    len: *mut usize,
    error: *mut *mut pellucid_error,
) -> pellucid_status {
    // SAFETY: the header's contract; `Out` clears and sets, which const does not change.
    unsafe {
        guard::call(error, || {
            let out = Out::new(cards.cast::<*mut c_char>(), "cards")?;
            borrow::check(len, "len")?;
            let object = handle::find::<ResultObject<E>>(result)?;
            let text = once(&object.header, || {
                Ok(cards::product(&*object.posterior, &object.zero_points))
            })?;
            borrow::write(len, text.as_bytes().len());
            out.set(text.as_ptr().cast_mut());
            Ok(())
        })
    }
}

pub(super) unsafe extern "C" fn result_release<E: Engine>(result: *mut pellucid_result) {
    guard::plain((), || drop(handle::take::<ResultObject<E>>(result)));
}
