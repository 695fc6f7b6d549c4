//! Analytic model files for tests.

use std::path::Path;

use safetensors::tensor::{Dtype, TensorView, serialize_to_file};

/// Writes a `gaussian_field` prior: zero mean, power falling with frequency, `side` pixels of
/// `pixel_scale_arcsec`.
pub fn write_gaussian_field(path: &Path, side: usize, pixel_scale_arcsec: f64) {
    let frequency = |k: usize| k.min(side - k) as f64 / side as f64;
    let power = (0..side * side).map(|k| {
        let f2 = frequency(k / side).powi(2) + frequency(k % side).powi(2);
        1.0 / (1.0 + (f2 / 0.01)).powi(2)
    });
    let bytes = |values: &mut dyn Iterator<Item = f64>| -> Vec<u8> {
        values.flat_map(|v| (v as f32).to_le_bytes()).collect()
    };
    let mean = bytes(&mut std::iter::repeat_n(0.0, side * side));
    let power = bytes(&mut { power });
    let shape = vec![1, side, side];
    let view = |bytes| TensorView::new(Dtype::F32, shape.clone(), bytes).expect("shape fits");
    let metadata = serde_json::json!({
        "format": 1,
        "kind": "prior",
        "architecture": {"name": "gaussian_field"},
        "sde": {"name": "ve", "sigma_min": 0.002, "sigma_max": 50.0},
        "image_size": [side, side],
        "channels": 1,
        "pixel_scale_arcsec": pixel_scale_arcsec,
        "flux_convention": "surface_brightness",
        "licence": "MIT OR Apache-2.0",
        "trained_on": "nothing: written by a test",
    });
    let metadata = [("pellucid".to_owned(), metadata.to_string())].into();
    let tensors = [("mean", view(&mean)), ("power", view(&power))];
    serialize_to_file(tensors, Some(metadata), path).expect("the model file can be written");
}
