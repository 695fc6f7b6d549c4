//! HST's distortion look-up tables: NPOL in WCSDVARR, D2IM in D2IMARR extensions.

use ndarray::Array2;

use crate::error::{HostError, Result};
use crate::fits::{FitsInput, Header};
use crate::session::{LookupTable, TableAxis, TableKind};

/// Reads the tables a science header refers to, as astropy reads them: `CPDISj = 'Lookup'` with
/// `DPj.EXTVER`, `D2IMDISj = 'Lookup'` with `D2IMj.EXTVER`, and the old form `D2IMEXT` with
/// `AXISCORR` (one table). That old table may have one axis: it is a row along x, and shifts
/// the axis that AXISCORR names (astropy's `WCS._read_d2im_old_format`).
///
/// # Errors
/// [`HostError::Keyword`] if a table is announced and its extension is not in the file.
pub(super) fn read(file: &mut FitsInput, header: &Header, at: &str) -> Result<Vec<LookupTable>> {
    let mut tables = Vec::new();
    for (axis, j) in [(TableAxis::X, 1), (TableAxis::Y, 2)] {
        for (kind, announced, record, extension) in [
            (TableKind::D2im, format!("D2IMDIS{j}"), format!("D2IM{j}"), "D2IMARR"),
            (TableKind::Npol, format!("CPDIS{j}"), format!("DP{j}"), "WCSDVARR"),
        ] {
            let Some(function) = header.string(&announced) else {
                continue;
            };
            if !function.eq_ignore_ascii_case("lookup") {
                return Err(HostError::Keyword {
                    at: at.into(),
                    key: announced,
                    need: "'Lookup', the only distortion function HST uses".into(),
                    got: function.into(),
                });
            }
            let version = header.integer(&format!("{record}.EXTVER")).unwrap_or(j);
            tables.push(table(file, kind, axis, extension, version, at)?);
        }
    }
    let old = header.string("D2IMEXT").is_some() && header.string("D2IMDIS1").is_none();
    if old && let Some(axis @ (1 | 2)) = header.integer("AXISCORR") {
        let axis = if axis == 1 { TableAxis::X } else { TableAxis::Y };
        tables.push(table(file, TableKind::D2im, axis, "D2IMARR", 1, at)?);
    }
    Ok(tables)
}

fn table(
    file: &mut FitsInput,
    kind: TableKind,
    axis: TableAxis,
    extension: &str,
    version: i64,
    at: &str,
) -> Result<LookupTable> {
    let hdu = file.find(extension, version).ok_or_else(|| HostError::Keyword {
        at: at.into(),
        key: format!("{extension}, EXTVER {version}"),
        need: "the distortion table the header announces, in the same file".into(),
        got: "no such extension".into(),
    })?;
    let pair = |key: &str, default: f64| {
        [1, 2].map(|i| hdu.header.real(&format!("{key}{i}")).unwrap_or(default))
    };
    let (crpix, crval, cdelt) = (pair("CRPIX", 0.0), pair("CRVAL", 0.0), pair("CDELT", 1.0));
    let index = hdu.index;
    let values = match hdu.shape[..] {
        [n] => {
            let row = file.image(index)?.into_iter().collect();
            Array2::from_shape_vec((1, n), row).map_err(|e| HostError::fits(at, e))?
        }
        _ => file.image_2d(index)?,
    };
    Ok(LookupTable { kind, axis, values, crpix, crval, cdelt })
}
