//! The charge of one event.

use ndarray::Array2;

use super::kernel::Kernel3x3;

/// Charge that arrived at once: a window of pixels, and when.
#[derive(Clone, Debug, PartialEq)]
pub struct Hit {
    /// (y, x) of the window's first pixel in the frame; may lie outside.
    pub corner: [isize; 2],
    /// Electrons per pixel.
    pub charge_e: Array2<f32>,
    /// When, from the start (0) to the end (1) of the exposure.
    pub arrival: f64,
}

impl Hit {
    /// The hit with its charge spread over neighbours.
    pub fn spread(&self, kernel: &Kernel3x3) -> Self {
        Self {
            corner: self.corner.map(|c| c - 1),
            charge_e: kernel.convolve(&self.charge_e),
            arrival: self.arrival,
        }
    }

    /// Its pixels within a frame of `shape` (ny, nx), and their charge.
    pub fn pixels(&self, shape: (usize, usize)) -> impl Iterator<Item = ([usize; 2], f32)> + '_ {
        self.charge_e.indexed_iter().filter_map(move |((i, j), charge)| {
            let y = self.corner[0].checked_add_unsigned(i)?.try_into().ok()?;
            let x = self.corner[1].checked_add_unsigned(j)?.try_into().ok()?;
            (*charge > 0.0 && y < shape.0 && x < shape.1).then_some(([y, x], *charge))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pixels_outside_the_frame_are_left_out() {
        let hit = Hit { corner: [-1, 3], charge_e: Array2::ones((2, 2)), arrival: 0.5 };
        assert_eq!(hit.pixels((5, 4)).collect::<Vec<_>>(), [([0, 3], 1.0)]);
        let spread = hit.spread(&Kernel3x3 { edge: 0.1, corner: 0.0 });
        assert_eq!((spread.corner, spread.charge_e.dim()), ([-2, 2], (4, 4)));
        assert!((spread.charge_e.sum() - 4.0).abs() < 1e-6);
    }
}
