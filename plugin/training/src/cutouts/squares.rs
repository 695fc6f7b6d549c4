//! Sums over all squares of an image.

use ndarray::Array2;

/// Sums over squares, from the integral image (Crow 1984, SIGGRAPH 18, 207).
pub(super) struct Squares {
    size: usize,
    /// Sums over all pixels below and left, one row and column larger than the image.
    sums: Array2<f64>,
}

impl Squares {
    /// Prepares sums over `size` x `size` squares; the image is at least that large.
    pub fn new<T>(image: &Array2<T>, size: usize, value: impl Fn(&T) -> f64) -> Self {
        let (ny, nx) = image.dim();
        let mut sums = Array2::zeros((ny + 1, nx + 1));
        for y in 0..ny {
            let mut row = 0.0;
            for x in 0..nx {
                row += value(&image[[y, x]]);
                sums[[y + 1, x + 1]] = sums[[y, x + 1]] + row;
            }
        }
        Self { size, sums }
    }

    /// Counts the pixels of a mask that are set.
    pub fn count(mask: &Array2<bool>, size: usize) -> Self {
        Self::new(mask, size, |m| f64::from(u8::from(*m)))
    }

    /// Rows and columns of first pixels.
    pub fn corners(&self) -> [usize; 2] {
        let (ny, nx) = self.sums.dim();
        [ny - self.size, nx - self.size]
    }

    /// The sum over the square whose first pixel is (y, x).
    pub fn sum(&self, [y, x]: [usize; 2]) -> f64 {
        let (v, u) = (y + self.size, x + self.size);
        self.sums[[v, u]] - self.sums[[y, u]] - self.sums[[v, x]] + self.sums[[y, x]]
    }

    /// The largest of all sums.
    pub fn largest(&self) -> f64 {
        let [rows, columns] = self.corners();
        let all = (0..rows).flat_map(|y| (0..columns).map(move |x| [y, x]));
        all.fold(f64::MIN, |most, corner| most.max(self.sum(corner)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_are_those_of_the_pixels() {
        let image = Array2::from_shape_fn((7, 9), |(y, x)| (3 * y + 5 * x) % 7);
        let squares = Squares::new(&image, 3, |v| *v as f64);
        assert_eq!(squares.corners(), [5, 7]);
        let direct = |y: usize, x: usize| image.slice(ndarray::s![y..y + 3, x..x + 3]).sum() as f64;
        let mut largest = 0.0f64;
        for y in 0..5 {
            for x in 0..7 {
                assert_eq!(squares.sum([y, x]), direct(y, x));
                largest = largest.max(direct(y, x));
            }
        }
        assert_eq!(squares.largest(), largest);
    }
}
