//! Named tensors on disk.

use std::collections::HashMap;
use std::path::PathBuf;

use pellucid_posterior::score::model_file::{
    Architecture, FORMAT, Metadata, Precision, PriorModel, read_tensors, write, write_tensors,
};
use pellucid_posterior::sde::Sde;
use tch::{Device, Kind, Tensor};

fn path(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name)
}

#[test]
fn tensors_keep_their_kinds() {
    let path = path("kinds.safetensors");
    let tensors = [
        ("bytes", Tensor::from_slice(&[0u8, 1, 255])),
        ("counts", Tensor::from_slice(&[i64::MIN, 0, i64::MAX])),
        ("doubles", Tensor::from_slice(&[1e300f64, -0.1])),
        ("floats", Tensor::from_slice(&[1.5f32, f32::MIN_POSITIVE])),
    ];
    let named = tensors.each_ref().map(|(name, t)| ((*name).to_owned(), t.shallow_clone()));
    write_tensors(&path, HashMap::from([("key".into(), "value".into())]), &named).unwrap();
    let (metadata, found) = read_tensors(&path).unwrap();
    assert_eq!(metadata["key"], "value");
    for (name, expected) in &tensors {
        let (_, found) = found.iter().find(|(n, _)| n == name).unwrap();
        assert!(found.kind() == expected.kind() && found == expected, "{name}");
    }
}

#[test]
fn a_model_of_integers_is_refused() {
    let path = path("integers.safetensors");
    let metadata = Metadata {
        format: FORMAT,
        kind: "prior".into(),
        architecture: Architecture::GaussianField {},
        sde: Sde::Ve { sigma_min: 0.01, sigma_max: 50.0 },
        image_size: [8, 8],
        channels: 1,
        pixel_scale_arcsec: 0.03,
        flux_convention: "surface_brightness".into(),
        flux_scale: None,
        licence: "MIT".into(),
        trained_on: "nothing".into(),
        training_steps: 0,
        training_images: 0,
    };
    let ones = |kind| Tensor::ones([1, 8, 8], (kind, Device::Cpu));
    for (kind, sound) in [(Kind::Float, true), (Kind::Int64, false)] {
        let tensors = [("mean".into(), ones(kind)), ("power".into(), ones(Kind::Double))];
        write(&path, &metadata, &tensors).unwrap();
        match PriorModel::load(&path, Device::Cpu, Precision::F32) {
            Ok(_) => assert!(sound),
            Err(e) => assert!(!sound && e.to_string().contains("f32 or f64"), "{e}"),
        }
    }
}
