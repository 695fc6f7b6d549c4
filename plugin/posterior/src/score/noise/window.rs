//! The part of an exposure that a noise model has to see.

use super::net::SMALLEST_SIDE;

/// Corners of a window lie on multiples of this: a network that halves its image up to four times then answers in
/// the window as it does in the whole exposure.
const ALIGNMENT: usize = 16;

/// A rectangle of an exposure around the pixels of its likelihood.
///
/// What lies outside of it is too far from them to matter. Where an exposure is smaller than the smallest image of a
/// network, the window reaches beyond its edge: what is there counts as masked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Window {
    /// Row and column of its first pixel; negative beyond the exposure's edge.
    origin: [isize; 2],
    /// Rows and columns.
    pub shape: [usize; 2],
    /// Columns of the exposure.
    frame_nx: usize,
}

impl Window {
    /// The window of the pixels `used`, by flat index into an exposure of `frame` = [ny, nx], with `reach_px` pixels on
    /// every side, no smaller than [`SMALLEST_SIDE`].
    pub fn around(used: &[usize], frame: [usize; 2], reach_px: usize) -> Self {
        let frame_nx = frame[1];
        let sides = [0, 1].map(|axis| {
            let at = |i: &usize| if axis == 0 { i / frame_nx } else { i % frame_nx };
            let first = used.iter().map(at).min().unwrap_or(0);
            let last = used.iter().map(at).max().unwrap_or(0);
            let first = first.saturating_sub(reach_px) / ALIGNMENT * ALIGNMENT;
            let end = (last + reach_px + 1).min(frame[axis]);
            // Pixels of the exposure first, then what lies beyond it, on both sides alike.
            let length = (end - first).max(SMALLEST_SIDE as usize);
            let missing = length - (end - first);
            let before = missing.min(first);
            let after = (missing - before).min(frame[axis] - end);
            let beyond = missing - before - after;
            ((first - before) as isize - (beyond / 2) as isize, length)
        });
        let [rows, columns] = sides;
        Self { origin: [rows.0, columns.0], shape: [rows.1, columns.1], frame_nx }
    }

    /// Number of its pixels.
    pub fn pixels(&self) -> usize {
        self.shape[0] * self.shape[1]
    }

    /// Flat index in the window of flat index `i` of the exposure, which must lie in it.
    pub fn place(&self, i: usize) -> usize {
        let [y, x] = [i / self.frame_nx, i % self.frame_nx];
        let [row, column] = [y as isize - self.origin[0], x as isize - self.origin[1]];
        row as usize * self.shape[1] + column as usize
    }

    /// Flat index in the exposure of flat index `i` of the window; none beyond the exposure of `frame_ny` rows.
    pub fn source(&self, i: usize, frame_ny: usize) -> Option<usize> {
        let y = usize::try_from((i / self.shape[1]) as isize + self.origin[0]).ok()?;
        let x = usize::try_from((i % self.shape[1]) as isize + self.origin[1]).ok()?;
        (y < frame_ny && x < self.frame_nx).then(|| y * self.frame_nx + x)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_hold_their_pixels_and_what_is_near() {
        let at = |y: usize, x: usize| y * 200 + x;
        let used = [at(100, 60), at(110, 75)];
        let window = Window::around(&used, [300, 200], 20);
        assert_eq!((window.origin, window.shape), ([80, 32], [51, 64]));
        for i in used {
            assert_eq!(window.source(window.place(i), 300), Some(i));
        }
        // All of a stamp.
        let window = Window::around(&[0, 39 * 33 - 1], [39, 33], 0);
        assert_eq!((window.origin, window.shape), ([0, 0], [39, 33]));
        // A single pixel in a corner of a frame.
        let window = Window::around(&[at(299, 199)], [300, 200], 0);
        assert_eq!((window.origin, window.shape), ([284, 184], [16, 16]));
        assert_eq!(window.place(at(299, 199)), 255);
    }

    #[test]
    fn exposures_smaller_than_a_network_get_a_border() {
        let window = Window::around(&[0, 10 * 13 - 1], [10, 13], 40);
        assert_eq!((window.origin, window.shape), ([-3, -1], [16, 16]));
        assert_eq!(window.place(0), 3 * 16 + 1);
        let sources = (0..window.pixels()).filter_map(|i| window.source(i, 10));
        assert_eq!(sources.collect::<Vec<_>>(), (0..130).collect::<Vec<_>>());
        assert_eq!(Window::around(&[5], [1, 9], 40).shape, [16, 16]);
    }
}
