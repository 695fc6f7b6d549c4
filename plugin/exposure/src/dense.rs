//! The forward operator of one exposure as a matrix.

use ndarray::{Array1, Array2};

use crate::{Geometry, Psf};

impl Geometry {
    /// Rows of A for the used pixels: A\[i, m\] = d y_i / d x_m.
    ///
    /// Row i = sum over the sub-pixels g that reach pixel i of E(i - g) area(g) bilinear(g, m), where
    /// E = pool * psf is the kernel convolved with the detector pixel.
    ///
    /// Shapes: `[used.len(), grid_ny grid_nx]`. `psf` is the exposure's; its kernel is taken at the
    /// middle of the exposure.
    ///
    /// Accuracy: summed in f64, stored in f32, 1e-6 of [`crate::apply_slow`]
    /// (`forward::dense_is_the_definition`).
    ///
    /// # Panics
    /// If `psf` is wider than the one the geometry was made for.
    pub fn dense(&self, psf: &Psf) -> Array2<f32> {
        let effective = self.effective_kernel(psf);
        let (kernel_ny, kernel_nx) = effective.dim();
        let [half_x, half_y] = psf.half_size_subpx();
        let (s, sub_nx, n) = (self.oversample, self.sub_nx(), self.grid_ny * self.grid_nx);
        let (dx, dy) = (self.step_x, self.step_y);
        let mut matrix = Vec::with_capacity(self.used.len() * n);
        let mut row = vec![0.0_f64; n];
        for &pixel in &self.used {
            row.fill(0.0);
            let (y, x) = (pixel / self.nx, pixel % self.nx);
            let first_x = self.pad + x * s - half_x;
            for j in 0..kernel_ny {
                let start = (self.pad + y * s - half_y + j) * sub_nx + first_x;
                let span = start..start + kernel_nx;
                let places = self.base[span.clone()].iter().zip(&self.frac[span.clone()]);
                for ((weight, (&base, &[u, v])), &area) in
                    effective.row(j).iter().zip(places).zip(&self.area[span])
                {
                    if area == 0.0 {
                        continue;
                    }
                    let (base, u, v) = (base as usize, f64::from(u), f64::from(v));
                    let value = weight * f64::from(area);
                    let (below, above) = (value * (1.0 - v), value * v);
                    row[base] += below * (1.0 - u);
                    row[base + dx] += below * u;
                    row[base + dy] += above * (1.0 - u);
                    row[base + dy + dx] += above * u;
                }
            }
            matrix.extend(row.iter().map(|&value| value as f32));
        }
        Array2::from_shape_vec((self.used.len(), n), matrix).expect("one row per used pixel")
    }

    /// E\[j\] weighs the sub-pixel at offset j - half from a data pixel's first one: the flipped
    /// kernel, summed over the pixel's sub-pixels with their weights.
    fn effective_kernel(&self, psf: &Psf) -> Array2<f64> {
        let [x, y] = [self.nx, self.ny].map(|n| (n as f64 - 1.0) / 2.0);
        let kernel = psf.at(x, y);
        let (ny, nx) = kernel.dim();
        let s = self.oversample;
        let pool = Array1::from(self.pool.clone());
        let mut effective = Array2::zeros((ny + s - 1, nx + s - 1));
        for ((ky, kx), value) in kernel.indexed_iter() {
            for (a, wy) in pool.iter().enumerate() {
                for (b, wx) in pool.iter().enumerate() {
                    effective[[a + ny - 1 - ky, b + nx - 1 - kx]] += value * wy * wx;
                }
            }
        }
        effective
    }
}
