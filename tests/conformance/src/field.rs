//! A Gaussian-field prior, whose posterior is known in closed form.

use std::f64::consts::PI;
use std::ffi::CString;
use std::path::Path;

use safetensors::tensor::{Dtype, TensorView, serialize_to_file};

use crate::cholesky::Cholesky;
use crate::host::{GRID, SIDE};

/// Pixels of the model image.
pub(crate) const D: usize = SIDE * SIDE;

/// N(mean, F^H diag(power) F), F the unitary FFT2, and the model file that says so.
pub(crate) struct Field {
    pub(crate) mean: Vec<f64>,
    /// D x D, row-major.
    pub(crate) covariance: Vec<f64>,
    /// Path of the file.
    pub(crate) file: CString,
}

/// A Gaussian posterior.
pub(crate) struct Exact {
    pub(crate) mean: Vec<f64>,
    pub(crate) covariance: Vec<f64>,
    factor: Cholesky,
}

impl Field {
    /// Writes the model file into a folder.
    pub(crate) fn write(folder: &Path) -> Result<Self, String> {
        let middle = (SIDE as f64 - 1.0) / 2.0;
        let blob = |k: usize| {
            let (y, x) = ((k / SIDE) as f64 - middle, (k % SIDE) as f64 - middle);
            f64::from((3.0 * (-(x * x + y * y) / 18.0).exp()) as f32)
        };
        let frequency = |k: usize| k.min(SIDE - k) as f64 / SIDE as f64;
        let power = |k: usize| {
            let f2 = frequency(k / SIDE).powi(2) + frequency(k % SIDE).powi(2);
            f64::from((1.0 / (1.0 + f2 / 0.02).powi(2)) as f32)
        };
        let (mean, power): (Vec<f64>, Vec<f64>) = (0..D).map(|k| (blob(k), power(k))).unzip();
        let file = folder.join("field.safetensors");
        save(&file, &mean, &power).map_err(|error| format!("the harness failed: {error}"))?;
        // Stationary and periodic: one row, shifted. Written for each displacement (y, x).
        let row: Vec<f64> = (0..D)
            .map(|d| {
                let (dy, dx) = (d / SIDE, d % SIDE);
                let wave = |k: usize| {
                    let turns = (k / SIDE * dy + k % SIDE * dx) as f64 / SIDE as f64;
                    power[k] * (2.0 * PI * turns).cos()
                };
                (0..D).map(wave).sum::<f64>() / D as f64
            })
            .collect();
        let between = |a: usize, b: usize| {
            let apart = |a: usize, b: usize| (a + SIDE - b) % SIDE;
            row[apart(a / SIDE, b / SIDE) * SIDE + apart(a % SIDE, b % SIDE)]
        };
        let covariance = (0..D * D).map(|k| between(k / D, k % D)).collect();
        let file = file.into_os_string().into_encoded_bytes();
        let file = CString::new(file).map_err(|_| "the harness's folder has a NUL".to_owned())?;
        Ok(Self { mean, covariance, file })
    }

    /// The posterior given y = A x + n, n ~ N(0, S), by the gain C A' (A C A' + S)^-1; `noise` is S by
    /// row and column. None if a covariance is not positive definite.
    pub(crate) fn posterior(
        &self,
        a: &[Vec<f64>],
        y: &[f64],
        noise: &dyn Fn(usize, usize) -> f64,
    ) -> Option<Exact> {
        let rows = a.len();
        // [rows, D]: A C.
        let ac: Vec<Vec<f64>> = a.iter().map(|row| combine(row, &self.covariance)).collect();
        let k: Vec<f64> = (0..rows * rows)
            .map(|at| dot(&ac[at / rows], &a[at % rows]) + noise(at / rows, at % rows))
            .collect();
        let k = Cholesky::new(&k, rows)?;
        let misfit: Vec<f64> = a.iter().zip(y).map(|(row, y)| y - dot(row, &self.mean)).collect();
        let misfit = k.forward(&misfit);
        // [D, rows]: L^-1 A C, a column for each model pixel.
        let half: Vec<Vec<f64>> = (0..D)
            .map(|pixel| k.forward(&ac.iter().map(|row| row[pixel]).collect::<Vec<_>>()))
            .collect();
        let mean = half.iter().zip(&self.mean).map(|(h, m)| m + dot(h, &misfit)).collect();
        let covariance: Vec<f64> =
            (0..D * D).map(|at| self.covariance[at] - dot(&half[at / D], &half[at % D])).collect();
        let factor = Cholesky::new(&covariance, D)?;
        Some(Exact { mean, covariance, factor })
    }
}

impl Exact {
    /// L^-1 (x - mean): standard normal numbers for a sample x of the posterior.
    pub(crate) fn whiten(&self, x: &[f64]) -> Vec<f64> {
        self.factor.forward(&x.iter().zip(&self.mean).map(|(x, m)| x - m).collect::<Vec<_>>())
    }
}

pub(crate) fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

/// row' M for a symmetric D x D matrix.
fn combine(row: &[f64], matrix: &[f64]) -> Vec<f64> {
    matrix.chunks(D).map(|column| dot(row, column)).collect()
}

fn save(path: &Path, mean: &[f64], power: &[f64]) -> Result<(), safetensors::SafeTensorError> {
    let metadata = serde_json::json!({
        "format": 1,
        "kind": "prior",
        "architecture": {"name": "gaussian_field"},
        "sde": {"name": "ve", "sigma_min": 0.002, "sigma_max": 50.0},
        "image_size": [SIDE, SIDE],
        "channels": 1,
        "pixel_scale_arcsec": GRID.scale_arcsec,
        "flux_convention": "surface_brightness",
        "licence": "MIT OR Apache-2.0",
        "trained_on": "nothing: written by pellucid-conformance",
    });
    let metadata = [("pellucid".to_owned(), metadata.to_string())].into();
    let bytes =
        |v: &[f64]| -> Vec<u8> { v.iter().flat_map(|v| (*v as f32).to_le_bytes()).collect() };
    let (mean, power) = (bytes(mean), bytes(power));
    let shape = vec![1, SIDE, SIDE];
    let tensors = [
        ("mean", TensorView::new(Dtype::F32, shape.clone(), &mean)?),
        ("power", TensorView::new(Dtype::F32, shape, &power)?),
    ];
    serialize_to_file(tensors, Some(metadata), path)
}
