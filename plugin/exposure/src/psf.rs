//! Point-spread functions.

use ndarray::{Array2, Zip, s};

use crate::{ExposureError, Result};

const WHAT: &str = "the PSF";
const MAX_OVERSAMPLE: usize = 32;
/// Wings of an empirical PSF scatter about zero; more than this share of negative flux is a
/// background error or not a PSF.
const MAX_NEGATIVE_SHARE: f64 = 0.1;

/// A PSF, or a grid of PSFs across the detector, ready for true convolution:
/// out(p) = sum_k K\[k\] in(p - (k - centre) / oversample), p in detector pixels.
///
/// The centre is the middle of the array, (n-1)/2 along each axis. For an even n that lies between
/// two samples, and is honoured exactly: the sky is sampled half a sub-pixel aside, nothing is
/// resampled. Where a PSF has its centre elsewhere (Tiny Tim: n/2), pad it with zeros first.
///
/// A *pixel-integrated* PSF (effective PSF, see ePSF) already contains the detector pixel: its
/// samples are the fraction of a star's flux in a pixel at that offset. Then the blurred image is
/// sampled at pixel centres instead of averaged over pixels.
#[derive(Debug, Clone, PartialEq)]
pub struct Psf {
    /// Odd x odd, unit sum, all of one shape; row-major over `ys`, `xs`.
    kernels: Vec<Array2<f64>>,
    /// Node positions, ascending 0-based detector pixels.
    xs: Vec<f64>,
    ys: Vec<f64>,
    oversample: usize,
    pixel_integrated: bool,
    /// See [`Psf::shift_subpx`].
    shift_subpx: [f64; 2],
}

impl Psf {
    /// One PSF for the whole detector.
    ///
    /// Shapes: `kernel` `[y, x]`, any size. Units: any; it is divided by its sum.
    /// `oversample`: samples per detector pixel along an axis.
    ///
    /// # Errors
    /// [`ExposureError::Psf`] when empty, not finite, without positive sum or with more than 10 %
    /// negative flux; [`ExposureError::Value`] for an oversampling outside 1..=32.
    pub fn new(kernel: Array2<f64>, oversample: usize, pixel_integrated: bool) -> Result<Self> {
        Self::grid(vec![kernel], &[[0.0; 2]], oversample, pixel_integrated)
    }

    /// PSFs at detector positions that form a full rectangular grid, in any order (e.g. STScI's
    /// PSFSTD, 3 x 3): bilinear between the four nodes around, constant beyond the outermost.
    ///
    /// Shapes: `kernels` all of one shape; `positions` `[x, y]`, one per kernel, 0-based pixels.
    ///
    /// # Errors
    /// As [`Psf::new`], and for different shapes or positions that form no full grid.
    pub fn grid(
        kernels: Vec<Array2<f64>>,
        positions: &[[f64; 2]],
        oversample: usize,
        pixel_integrated: bool,
    ) -> Result<Self> {
        if !(1..=MAX_OVERSAMPLE).contains(&oversample) {
            let need = format!("1..={MAX_OVERSAMPLE}");
            return Err(ExposureError::value("oversampling of the PSF", need, oversample));
        }
        let (xs, ys) = (levels(positions, 0), levels(positions, 1));
        let count = kernels.len();
        if count == 0 || count != positions.len() || count != xs.len() * ys.len() {
            let got = format!("{count} PSFs at {} positions", positions.len());
            let reason = format!("{got}: need one PSF at each node of a rectangular grid");
            return Err(ExposureError::Psf { what: WHAT.into(), reason });
        }
        let shape = kernels[0].dim();
        let mut sorted = vec![None; count];
        for (index, (kernel, position)) in kernels.into_iter().zip(positions).enumerate() {
            let what = if count == 1 { WHAT.to_owned() } else { format!("PSF {index}") };
            if kernel.dim() != shape {
                return Err(ExposureError::shape(what, shape, kernel.dim()));
            }
            let column = xs.iter().position(|&x| x == position[0]);
            let row = ys.iter().position(|&y| y == position[1]);
            let node = row.zip(column).map(|(row, column)| row * xs.len() + column);
            let Some(slot @ None) = node.map(|node| &mut sorted[node]) else {
                let reason = format!("a second one at {position:?}, or the position is NaN");
                return Err(ExposureError::Psf { what, reason });
            };
            *slot = Some(normalised(kernel, &what)?);
        }
        let shift_subpx = [shape.1, shape.0].map(|n| if n % 2 == 0 { -0.5 } else { 0.0 });
        let kernels = sorted.into_iter().flatten().map(odd).collect();
        Ok(Self { kernels, xs, ys, oversample, pixel_integrated, shift_subpx })
    }

    /// Samples per detector pixel along an axis.
    pub fn oversample(&self) -> usize {
        self.oversample
    }

    /// Whether the detector pixel is already in the kernel.
    pub fn pixel_integrated(&self) -> bool {
        self.pixel_integrated
    }

    /// Where the sky is sampled relative to the sub-pixel centres, `[x, y]` in sub-pixels, so that
    /// the middle of [`Psf::at`] is the centre: 0 for odd arrays, -1/2 for even ones.
    pub fn shift_subpx(&self) -> [f64; 2] {
        self.shift_subpx
    }

    /// Half sizes `[x, y]` of the odd kernel, sub-pixels: it is `[2 y + 1, 2 x + 1]`.
    pub fn half_size_subpx(&self) -> [usize; 2] {
        let (ny, nx) = self.kernels[0].dim();
        [nx / 2, ny / 2]
    }

    /// Whether the kernel depends on position.
    pub fn varies(&self) -> bool {
        self.kernels.len() > 1
    }

    /// The kernel at the 0-based detector pixel (x, y): odd x odd, centred, unit sum, unflipped.
    pub fn at(&self, x: f64, y: f64) -> Array2<f64> {
        let ((x0, x1, fx), (y0, y1, fy)) = (bracket(&self.xs, x), bracket(&self.ys, y));
        let node = |row: usize, column: usize| &self.kernels[row * self.xs.len() + column];
        let mut kernel = node(y0, x0).clone();
        if self.varies() {
            Zip::from(&mut kernel).and(node(y0, x1)).and(node(y1, x0)).and(node(y1, x1)).for_each(
                |k, &right, &above, &diagonal| {
                    *k = (*k * (1.0 - fx) + right * fx) * (1.0 - fy)
                        + (above * (1.0 - fx) + diagonal * fx) * fy;
                },
            );
        }
        kernel
    }
}

/// Odd sizes: a row and a column of zeros after the last of an even number.
fn odd(kernel: Array2<f64>) -> Array2<f64> {
    let (ny, nx) = kernel.dim();
    let mut padded = Array2::zeros((ny | 1, nx | 1));
    padded.slice_mut(s![..ny, ..nx]).assign(&kernel);
    padded
}

fn levels(positions: &[[f64; 2]], axis: usize) -> Vec<f64> {
    let mut levels: Vec<f64> = positions.iter().map(|p| p[axis]).collect();
    levels.sort_by(f64::total_cmp);
    levels.dedup();
    levels
}

/// Neighbouring nodes and the weight of the second.
fn bracket(nodes: &[f64], at: f64) -> (usize, usize, f64) {
    let high = nodes.partition_point(|&node| node <= at).min(nodes.len() - 1);
    let low = high.saturating_sub(1);
    if low == high {
        return (low, high, 0.0);
    }
    (low, high, ((at - nodes[low]) / (nodes[high] - nodes[low])).clamp(0.0, 1.0))
}

fn normalised(kernel: Array2<f64>, what: &str) -> Result<Array2<f64>> {
    let refuse = |reason: String| Err(ExposureError::Psf { what: what.to_owned(), reason });
    if kernel.is_empty() {
        return refuse("it is empty".into());
    }
    if let Some(((y, x), value)) = kernel.indexed_iter().find(|(_, v)| !v.is_finite()) {
        return refuse(format!("it is {value} at x = {x}, y = {y}"));
    }
    let sum = kernel.sum();
    if !(sum > 0.0 && sum.is_finite()) {
        return refuse(format!("its sum is {sum}, need > 0"));
    }
    let negative = -kernel.iter().filter(|&&v| v < 0.0).sum::<f64>();
    if negative > MAX_NEGATIVE_SHARE * sum {
        let share = negative / sum;
        return refuse(format!("{share:.2} of its sum is negative; subtract its background"));
    }
    Ok(kernel / sum)
}
