//! 3x3 kernels: how charge, or its reading, leaks into the neighbours of a pixel.

use ndarray::{Array2, s};

/// A symmetric 3x3 kernel of unit sum.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Kernel3x3 {
    /// Share of each of the four neighbours along an edge.
    pub edge: f64,
    /// Share of each of the four neighbours at a corner.
    pub corner: f64,
}

impl Kernel3x3 {
    /// Share of the pixel itself.
    pub fn centre(&self) -> f64 {
        1.0 - 4.0 * (self.edge + self.corner)
    }

    fn weight(&self, dy: usize, dx: usize) -> f64 {
        match (dy == 1, dx == 1) {
            (true, true) => self.centre(),
            (false, false) => self.corner,
            _ => self.edge,
        }
    }

    /// Full convolution: (ny + 2, nx + 2) pixels, nothing lost.
    pub fn convolve(&self, image: &Array2<f32>) -> Array2<f32> {
        let (ny, nx) = image.dim();
        let mut spread = Array2::zeros((ny + 2, nx + 2));
        for (dy, dx) in (0..9).map(|i| (i / 3, i % 3)) {
            let mut shifted = spread.slice_mut(s![dy..dy + ny, dx..dx + nx]);
            shifted.scaled_add(self.weight(dy, dx) as f32, image);
        }
        spread
    }

    /// Correlation that white noise has after convolution, at an offset of (dy, dx) pixels:
    /// sum_u k(u) k(u + d) / sum_u k(u)^2.
    pub fn correlation(&self, dy: usize, dx: usize) -> f64 {
        let product = |dy: usize, dx: usize| -> f64 {
            let pairs = (0..9).map(|i| (i / 3, i % 3)).filter(|(y, x)| y + dy < 3 && x + dx < 3);
            pairs.map(|(y, x)| self.weight(y, x) * self.weight(y + dy, x + dx)).sum()
        };
        product(dy, dx) / product(0, 0)
    }

    /// Share of its variance that white noise keeps, sum_u k(u)^2.
    pub fn variance(&self) -> f64 {
        self.centre().powi(2) + 4.0 * (self.edge.powi(2) + self.corner.powi(2))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_point_becomes_the_kernel() {
        let kernel = Kernel3x3 { edge: 0.1, corner: 0.05 };
        let mut point = Array2::zeros((3, 2));
        point[[1, 1]] = 2.0;
        let spread = kernel.convolve(&point);
        assert_eq!(spread.dim(), (5, 4));
        assert!((spread.sum() - 2.0).abs() < 1e-6);
        assert!((spread[[2, 2]] - 0.8).abs() < 1e-6, "the centre moves by (1, 1)");
        assert_eq!((spread[[2, 1]], spread[[3, 2]], spread[[1, 3]]), (0.2, 0.2, 0.1));
        assert_eq!(spread[[0, 0]], 0.0);
    }

    #[test]
    fn correlations_of_a_pure_blur() {
        // The 3x3 box: overlaps of 6, 4 and 3 pixels of 9.
        let share = 1.0 / 9.0;
        let boxcar = Kernel3x3 { edge: share, corner: share };
        for ((dy, dx), overlap) in [((0, 0), 9.0), ((0, 1), 6.0), ((1, 1), 4.0), ((2, 0), 3.0)] {
            assert!((boxcar.correlation(dy, dx) - overlap / 9.0).abs() < 1e-12);
        }
        assert!((boxcar.variance() - share).abs() < 1e-12);
    }
}
