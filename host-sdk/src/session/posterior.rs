//! What a finished job gives: samples, statistics, residuals, diagnostics.

#![expect(unsafe_code, reason = "calls through the C table")]

use std::ffi::CString;
use std::ptr;

use ndarray::{Array2, Array3, ArrayView2, ArrayView4, Axis};
use pellucid_ffi as ffi;
use serde_json::Value;

use super::array::Owned;
use super::call::call;
use super::handle::Handle;
use super::plugin::{Plugin, text_at};
use crate::error::{HostError, Result};
use crate::fits::Header;

/// The result of a job; stays valid after its job and engine are gone.
pub struct ResultSet {
    handle: Handle<ffi::pellucid_result>,
}

/// Samples in the plugin's memory, not copied.
pub struct Samples {
    array: Owned,
}

impl Samples {
    /// Surface brightness on the model grid, [n, band, y, x]; NaN in failed samples.
    ///
    /// # Errors
    /// [`HostError::Answer`] if the plugin's array is not of that kind.
    pub fn view(&self) -> Result<ArrayView4<'_, f32>> {
        self.array.view::<4>("samples")
    }

    /// The samples in order, first band, [y, x]; `None` for one that failed.
    ///
    /// # Errors
    /// As [`Samples::view`].
    pub fn iter(&self) -> Result<impl ExactSizeIterator<Item = Option<ArrayView2<'_, f32>>>> {
        let samples = self.view()?;
        Ok((0..samples.len_of(Axis(0))).map(move |k| {
            let image = samples.index_axis_move(Axis(0), k).index_axis_move(Axis(0), 0);
            (!image.iter().all(|v| v.is_nan())).then_some(image)
        }))
    }
}

impl ResultSet {
    pub(super) fn new(plugin: &Plugin, raw: *mut ffi::pellucid_result) -> Result<Self> {
        let handle = Handle::new(plugin, raw, plugin.table().result_release, "result")?;
        Ok(Self { handle })
    }

    /// All samples.
    ///
    /// # Errors
    /// [`HostError::Plugin`].
    pub fn samples(&self) -> Result<Samples> {
        let mut array = Owned::blank();
        // SAFETY: the result is live and the array has its size set.
        unsafe {
            call!(self.plugin(), result_samples(self.handle.as_ptr(), 0, -1, array.as_mut_ptr()))
        }?;
        Ok(Samples { array })
    }

    /// `mean`, `median`, `std` or `rhat` over the samples that did not fail, first band, [y, x].
    ///
    /// # Errors
    /// [`HostError::Plugin`] if too few samples are left.
    pub fn statistic(&self, name: &str) -> Result<Array2<f32>> {
        let name = CString::new(name)
            .map_err(|_| HostError::value("statistic", "a name without NUL bytes", name))?;
        let mut array = Owned::blank();
        // SAFETY: result and name are live and the array has its size set.
        unsafe {
            call!(
                self.plugin(),
                result_stat(self.handle.as_ptr(), name.as_ptr(), array.as_mut_ptr())
            )
        }?;
        let all = array.view::<3>("statistic")?;
        Ok(all.index_axis(Axis(0), 0).to_owned())
    }

    /// Percentiles (0 to 100) over the samples that did not fail, first band, [q, y, x].
    ///
    /// # Errors
    /// [`HostError::Plugin`] if too few samples are left.
    pub fn percentiles(&self, q: &[f64]) -> Result<Array3<f32>> {
        let mut array = Owned::blank();
        // SAFETY: result and `q` are live and the array has its size set.
        unsafe {
            call!(
                self.plugin(),
                result_percentiles(self.handle.as_ptr(), q.as_ptr(), q.len(), array.as_mut_ptr())
            )
        }?;
        let all = array.view::<4>("percentiles")?;
        Ok(all.index_axis(Axis(1), 0).to_owned())
    }

    /// y - A x of a sample (`None`: of the posterior mean) in an exposure's frame, [y, x]; NaN at
    /// pixels that were not used.
    ///
    /// # Errors
    /// [`HostError::Plugin`] if there is no such sample or exposure.
    pub fn residual(&self, sample: Option<usize>, exposure: usize) -> Result<Array2<f32>> {
        let sample = sample.map_or(-1, |k| i64::try_from(k).unwrap_or(i64::MAX));
        let mut array = Owned::blank();
        // SAFETY: the result is live and the array has its size set.
        unsafe {
            call!(
                self.plugin(),
                result_residuals(self.handle.as_ptr(), sample, exposure, array.as_mut_ptr())
            )
        }?;
        Ok(array.view::<2>("residual")?.to_owned())
    }

    /// Fit per exposure and sample, flags, failed samples, provenance.
    ///
    /// # Errors
    /// [`HostError::Plugin`], or [`HostError::Answer`] if it is not JSON.
    pub fn diagnostics(&self) -> Result<Value> {
        let mut json = ptr::null();
        // SAFETY: the result is live, and so is the string as long as it is.
        unsafe { call!(self.plugin(), result_diagnostics(self.handle.as_ptr(), &mut json)) }?;
        // SAFETY: as above.
        let json = unsafe { text_at(json) };
        serde_json::from_str(&json)
            .map_err(|e| HostError::Answer { what: "diagnostics", reason: e.to_string() })
    }

    /// The plugin's own cards for a product: grid, quality, provenance.
    ///
    /// # Errors
    /// [`HostError::Plugin`].
    pub fn header(&self) -> Result<Header> {
        let (mut cards, mut length) = (ptr::null(), 0usize);
        // SAFETY: the result is live; the text is NUL-terminated and lives as long as it does.
        unsafe {
            call!(self.plugin(), result_header(self.handle.as_ptr(), &mut cards, &mut length))
        }?;
        // SAFETY: as above.
        Ok(Header::from_cards(unsafe { text_at(cards) }))
    }

    fn plugin(&self) -> &Plugin {
        self.handle.plugin()
    }
}
