//! World coordinate systems.

use std::sync::Arc;

use ::pellucid_exposure::{CallbackWcs, GridWcs, HeaderWcs, LookupTable, TableKind, Wcs};
use ndarray::{Array3, ArrayD, Ix3};
use pellucid_ffi::*;

use super::{image, side, within};
use crate::boundary::BoundaryError;
use crate::boundary::array::Input;
use crate::boundary::callback::{Direction, WcsFunctions};
use crate::limits::{MAX_NODES, MAX_SIDE};
use crate::status::Failure;

/// Grid spacing of a WCS function when the host leaves it open, pixels.
const DEFAULT_STEP_PX: f64 = 8.0;

/// A look-up table of a header.
pub(crate) fn table(table: &pellucid_lookup_table, values: &Input) -> Result<LookupTable, Failure> {
    super::flags(table.reserved, 0, "reserved field of a look-up table")?;
    within(table.axis, 1, 2, "axis of a look-up table", "1 (x) or 2 (y)")?;
    let axis = (table.axis - 1) as usize;
    let kind = match table.kind {
        PELLUCID_NPOL => TableKind::Npol { axis },
        PELLUCID_D2IM => TableKind::D2im { axis },
        other => {
            let (what, need) = ("kind of a look-up table", "PELLUCID_NPOL or PELLUCID_D2IM");
            return Err(BoundaryError::Range { what, need, got: other.to_string() }.into());
        }
    };
    let values = image(values.floats(2)?)?;
    let pellucid_lookup_table { crpix, crval, cdelt, .. } = *table;
    Ok(LookupTable { kind, values, crpix, crval, cdelt })
}

/// A WCS of header text.
pub(crate) fn from_header(cards: &str, tables: Vec<LookupTable>) -> Result<Arc<dyn Wcs>, Failure> {
    Ok(Arc::new(HeaderWcs::new(cards, tables)?))
}

/// A WCS of sky positions `[ny, nx, 2]`.
pub(crate) fn from_grid(
    radec: ArrayD<f64>,
    x0: f64,
    y0: f64,
    step: f64,
) -> Result<Arc<dyn Wcs>, Failure> {
    let got = radec.shape().iter().map(|&n| n as i64).collect();
    let need = "[ny, nx, 2]".to_owned();
    let radec = radec.into_dimensionality::<Ix3>().map_err(|_| BoundaryError::Shape {
        what: "radec",
        need,
        got,
    })?;
    Ok(Arc::new(GridWcs::new(radec, x0, y0, step)?))
}

/// A WCS of host functions: kept if reentrant, otherwise sampled here and now.
pub(crate) fn from_functions(
    callback: &pellucid_wcs_callback,
    functions: &Arc<WcsFunctions>,
) -> Result<Arc<dyn Wcs>, Failure> {
    if callback.flags & PELLUCID_WCS_REENTRANT == 0 {
        return sample(callback, functions);
    }
    let map = |direction| {
        let functions = Arc::clone(functions);
        move |from: &[[f64; 2]], to: &mut [[f64; 2]]| functions.map(direction, from, to)
    };
    let forward = map(Direction::PixelToSky);
    Ok(Arc::new(match callback.sky2pix {
        Some(_) => CallbackWcs::new(forward, Some(Box::new(map(Direction::SkyToPixel)))),
        None => CallbackWcs::new(forward, None),
    }))
}

fn sample(
    callback: &pellucid_wcs_callback,
    functions: &WcsFunctions,
) -> Result<Arc<dyn Wcs>, Failure> {
    let ny = side(callback.ny, "ny of the WCS")?;
    let nx = side(callback.nx, "nx of the WCS")?;
    within(callback.margin, 0, MAX_SIDE as i32, "margin of the WCS", "0 to 32768")?;
    let step = if callback.step == 0.0 { DEFAULT_STEP_PX } else { callback.step };
    within(step, 1e-3, MAX_SIDE as f64, "step of the WCS", "0.001 to 32768")?;
    let margin = f64::from(callback.margin);
    // Four nodes at least, as many as the interpolation wants.
    let nodes = |n: usize| (((n - 1) as f64 + 2.0 * margin) / step).ceil().max(3.0) as usize + 1;
    let (rows, columns) = (nodes(ny), nodes(nx));
    let count = rows.saturating_mul(columns);
    within(count, 1, MAX_NODES, "nodes of the WCS", "fewer: a larger step")?;
    let xy: Vec<[f64; 2]> =
        (0..count).map(|k| [k % columns, k / columns].map(|i| i as f64 * step - margin)).collect();
    let mut radec = vec![[0.0; 2]; count];
    functions.map(Direction::PixelToSky, &xy, &mut radec).map_err(|code| {
        BoundaryError::Callback { what: "pix2sky", reason: format!("it returned {code}") }
    })?;
    if let Some(k) = radec.iter().position(|sky| !sky.iter().all(|v| v.is_finite())) {
        let reason = format!("no finite position for pixel {:?}", xy[k]);
        return Err(BoundaryError::Callback { what: "pix2sky", reason }.into());
    }
    let radec = Array3::from_shape_vec((rows, columns, 2), radec.into_flattened())
        .expect("because there are rows x columns pairs");
    Ok(Arc::new(GridWcs::new(radec, -margin, -margin, step)?))
}
