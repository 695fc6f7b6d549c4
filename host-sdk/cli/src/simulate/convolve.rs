//! Convolution of large images by fast Fourier transform, tile by tile.

use ndarray::{Array2, s};
use rustfft::num_complex::Complex;
use rustfft::{Fft, FftPlanner};
use std::sync::Arc;

type Field = Array2<Complex<f64>>;

/// A kernel, transformed.
pub struct Convolver {
    forward: Arc<dyn Fft<f64>>,
    inverse: Arc<dyn Fft<f64>>,
    kernel: Field,
    /// Side of the kernel.
    side: usize,
}

impl Convolver {
    /// For a square kernel.
    pub fn new(kernel: &Array2<f64>) -> Self {
        let side = kernel.nrows();
        let tile = (4 * side).next_power_of_two();
        let mut planner = FftPlanner::new();
        let (forward, inverse) = (planner.plan_fft_forward(tile), planner.plan_fft_inverse(tile));
        let mut padded = Field::zeros((tile, tile));
        padded.slice_mut(s![..side, ..side]).assign(&kernel.mapv(|v| Complex::new(v, 0.0)));
        let kernel = transform(padded, &*forward);
        Self { forward, inverse, kernel, side }
    }

    /// The pixels of image * kernel that the image's edge does not reach: side - 1 fewer on each axis.
    ///
    /// Overlap-save: of a circular convolution of tiles, the first side - 1 rows and columns are discarded.
    pub fn valid(&self, image: &Array2<f32>) -> Array2<f32> {
        let lost = self.side - 1;
        let tile = self.kernel.nrows();
        let step = tile - lost;
        let (ny, nx) = image.dim();
        let mut result = Array2::zeros((ny - lost, nx - lost));
        for y in (0..ny - lost).step_by(step) {
            for x in (0..nx - lost).step_by(step) {
                let part = image.slice(s![y..(y + tile).min(ny), x..(x + tile).min(nx)]);
                if part.iter().all(|v| *v == 0.0) {
                    continue;
                }
                let mut field = Field::zeros((tile, tile));
                field
                    .slice_mut(s![..part.nrows(), ..part.ncols()])
                    .assign(&part.mapv(|v| Complex::new(f64::from(v), 0.0)));
                let product = transform(field, &*self.forward) * &self.kernel;
                let whole = transform(product, &*self.inverse);
                let (h, w) = (part.nrows() - lost, part.ncols() - lost);
                let kept = whole.slice(s![lost..lost + h, lost..lost + w]);
                let scale = ((tile * tile) as f64).recip();
                result
                    .slice_mut(s![y..y + h, x..x + w])
                    .assign(&kept.mapv(|v| (v.re * scale) as f32));
            }
        }
        result
    }
}

/// Transforms both axes, rows first.
fn transform(field: Field, fft: &dyn Fft<f64>) -> Field {
    let mut field = field;
    for _ in 0..2 {
        fft.process(field.as_slice_mut().expect("a fresh array is contiguous"));
        field = field.t().as_standard_layout().into_owned();
    }
    field
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tiles_give_the_sum() {
        let kernel = Array2::from_shape_fn((3, 3), |(y, x)| (1 + 3 * y + x) as f64);
        let convolver = Convolver::new(&kernel);
        assert_eq!(convolver.kernel.nrows(), 16, "several tiles for the image below");
        let image = Array2::from_shape_fn((45, 31), |(y, x)| ((7 * y + 13 * x) % 17) as f32);
        let result = convolver.valid(&image);
        assert_eq!(result.dim(), (43, 29));
        for ((y, x), value) in result.indexed_iter() {
            let sum: f64 = kernel
                .indexed_iter()
                .map(|((i, j), k)| k * f64::from(image[[y + 2 - i, x + 2 - j]]))
                .sum();
            assert!((f64::from(*value) - sum).abs() < 1e-4, "{value} {sum}");
        }
    }
}
