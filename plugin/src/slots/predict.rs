//! Extension `org.pellucid.predict/1`.

use std::sync::Arc;

use pellucid_ffi::*;

use super::EngineObject;
use super::exposure::ExposureObject;
use crate::boundary::array::{Input, Lent};
use crate::boundary::{borrow, guard, handle};
use crate::convert;
use crate::engine::Engine;
use crate::limits::MAX_EXPOSURES;

pub(super) unsafe extern "C" fn predict<E: Engine>(
    engine: *mut pellucid_engine,
    exposures: *const *mut pellucid_exposure,
    n: usize,
    ra: f64,
    dec: f64,
    pixscale: f64,
    model: *const pellucid_array,
    out: *mut pellucid_array,
    error: *mut *mut pellucid_error,
) -> pellucid_status {
    // SAFETY: the header's contract.
    unsafe {
        guard::call(error, || {
            convert::within(n, 1, MAX_EXPOSURES, "n", "1 to 4096")?;
            let size = borrow::struct_size(out, "out")?;
            for index in 1..n {
                borrow::struct_size(borrow::element(out, size, index), "out")?;
            }
            EngineObject::<E>::enter(engine, "predict", |entered| {
                let exposures = borrow::slice(exposures, n, "exposures")?
                    .into_iter()
                    .map(|handle| Ok(Arc::clone(&handle::find::<ExposureObject>(handle)?.exposure)))
                    .collect::<Result<Vec<_>, crate::BoundaryError>>()?;
                let model = Input::new(model, "model")?;
                let image = convert::image(model.floats(2)?)?;
                let grid = convert::job::grid(image.dim(), ra, dec, pixscale)?;
                let images =
                    entered.engine.predict(&exposures, &grid, &image.mapv(|v| v as f32))?;
                model.release();
                for (index, image) in images.into_iter().enumerate().take(n) {
                    let shape = vec![image.nrows(), image.ncols()];
                    let values = image.into_iter().collect();
                    let place = borrow::element(out, size, index).cast_mut();
                    borrow::write_struct(place, size, &Lent::owned(values, shape).into_array());
                }
                Ok(())
            })
        })
    }
}
