//! From checked C values to the types of the exposure crate, and back.

pub(crate) mod cards;
pub(crate) mod exposure;
pub(crate) mod job;
pub(crate) mod psf;
pub(crate) mod wcs;

use std::mem::size_of;
use std::ops::Range;

use ndarray::{Array2, ArrayD, Ix2};
use pellucid_ffi::*;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use crate::boundary::BoundaryError;
use crate::engine::{Device, Memory};
use crate::limits::MAX_SIDE;

/// Refuses bits outside `known`.
pub(crate) fn flags(value: u32, known: u32, what: &'static str) -> Result<(), BoundaryError> {
    match value & !known {
        0 => Ok(()),
        _ => {
            Err(BoundaryError::Range { what, need: "known bits only", got: format!("{value:#x}") })
        }
    }
}

/// Refuses numbers outside a closed range, which `need` spells out.
pub(crate) fn within<T: PartialOrd + ToString>(
    value: T,
    low: T,
    high: T,
    what: &'static str,
    need: &'static str,
) -> Result<(), BoundaryError> {
    match low <= value && value <= high {
        true => Ok(()),
        false => Err(BoundaryError::Range { what, need, got: value.to_string() }),
    }
}

/// The keys of a JSON object; derived deserializers would also take an array for a struct.
pub(crate) fn keys(json: &str, what: &'static str) -> Result<Map<String, Value>, BoundaryError> {
    serde_json::from_str(json).map_err(|source| BoundaryError::Json { what, source })
}

/// A value of keys.
pub(crate) fn from_keys<T: DeserializeOwned>(
    keys: Map<String, Value>,
    what: &'static str,
) -> Result<T, BoundaryError> {
    let value = Value::Object(keys);
    serde_json::from_value(value).map_err(|source| BoundaryError::Json { what, source })
}

/// One side of an image, pixels.
pub(crate) fn side(value: i32, what: &'static str) -> Result<usize, BoundaryError> {
    within(value, 1, MAX_SIDE as i32, what, "1 to 32768")?;
    Ok(value as usize)
}

/// An image of an array that was read as two-dimensional.
pub(crate) fn image<T>(array: ArrayD<T>) -> Result<Array2<T>, BoundaryError> {
    let got = array.shape().iter().map(|&n| n as i64).collect();
    array.into_dimensionality::<Ix2>().map_err(|_| BoundaryError::Shape {
        what: "image",
        need: "2 dimensions".into(),
        got,
    })
}

/// Samples `first` to `first + n - 1` of `count`; negative `n`: to the last.
pub(crate) fn sample_range(
    first: i64,
    n: i64,
    count: usize,
) -> Result<Range<usize>, BoundaryError> {
    let refuse = |what, need, got: i64| BoundaryError::Range { what, need, got: got.to_string() };
    let start = usize::try_from(first).ok().filter(|&start| start < count);
    let start = start.ok_or_else(|| refuse("sample", "0 to n_samples - 1", first))?;
    match usize::try_from(n) {
        Err(_) => Ok(start..count),
        Ok(n) if (1..=count - start).contains(&n) => Ok(start..start + n),
        Ok(_) => Err(refuse("n", "samples that there are, at least 1", n)),
    }
}

/// A device as C sees it.
pub(crate) fn device(device: &Device) -> pellucid_device {
    let mut out = pellucid_device {
        struct_size: size_of::<pellucid_device>() as u32,
        kind: if device.cuda { PELLUCID_DEVICE_CUDA } else { PELLUCID_DEVICE_CPU },
        index: device.index,
        flags: 0,
        mem_total: device.memory_total,
        mem_free: device.memory_free,
        name: [0; 64],
    };
    // The last byte stays NUL; a name is cut between characters.
    let room = out.name.len() - 1;
    let mut end = device.name.len().min(room);
    while !device.name.is_char_boundary(end) {
        end -= 1;
    }
    for (to, &from) in out.name.iter_mut().zip(&device.name.as_bytes()[..end]) {
        *to = from as std::ffi::c_char;
    }
    out
}

/// Memory as C sees it.
pub(crate) fn memory(memory: &Memory) -> pellucid_mem {
    pellucid_mem {
        struct_size: size_of::<pellucid_mem>() as u32,
        reserved: 0,
        host_now: memory.host_now,
        host_peak: memory.host_peak,
        dev_now: memory.device_now,
        dev_peak: memory.device_peak,
        results_held: memory.results_held,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_of_samples() {
        assert_eq!(sample_range(1, -1, 4).unwrap(), 1..4);
        assert_eq!(sample_range(0, 4, 4).unwrap(), 0..4);
        for (first, n) in [(4, -1), (-1, 1), (0, 5), (0, 0), (i64::MAX, i64::MAX)] {
            assert!(sample_range(first, n, 4).is_err());
        }
    }

    #[test]
    fn long_device_names_are_cut_between_characters() {
        let name = "ü".repeat(40);
        let cpu = Device { cuda: false, index: -1, name, memory_total: 1, memory_free: 1 };
        let name = device(&cpu).name;
        assert_eq!((name[61] as u8, name[62], name[63]), (0xbc, 0, 0));
    }
}
