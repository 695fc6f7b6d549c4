//! C: convolution with the PSF by FFT, and its transpose.

use ndarray::Array2;
use tch::{Device, Kind, Tensor};

/// Convolution of padded images with one kernel, trimmed to the part no padding is missing from.
///
/// Input [B, ny + 2 pad, nx + 2 pad], output [B, ny, nx]. The FFT is at least as large as the
/// input and `pad` at least the kernel's half size, so nothing wraps around into the output, and
/// nothing of the output's transpose leaves the input.
#[derive(Debug)]
pub(super) struct Convolution {
    /// Transform of the kernel with its centre at the origin, [fy, fx/2 + 1], complex.
    spectrum: Tensor,
    fft: [i64; 2],
    inner: [i64; 2],
    pad: i64,
}

impl Convolution {
    /// `centre` is the array index (y, x) of the kernel's centre.
    pub fn new(
        kernel: &Array2<f64>,
        centre: (usize, usize),
        inner: [usize; 2],
        pad: usize,
        kind: Kind,
        device: Device,
    ) -> Self {
        let fft = inner.map(|n| good_size(n + 2 * pad));
        let mut origin = vec![0f64; fft[0] * fft[1]];
        for ((y, x), value) in kernel.indexed_iter() {
            let row = (y + fft[0] - centre.0) % fft[0];
            let column = (x + fft[1] - centre.1) % fft[1];
            origin[row * fft[1] + column] += value;
        }
        let fft = fft.map(|n| n as i64);
        let origin = Tensor::from_slice(&origin).view(fft).to_kind(kind).to_device(device);
        Self {
            spectrum: origin.fft_rfft2(None::<&[i64]>, [-2, -1], "backward"),
            fft,
            inner: inner.map(|n| n as i64),
            pad: pad as i64,
        }
    }

    /// K * sub on the inner part.
    pub fn apply(&self, sub: &Tensor) -> Tensor {
        let spectrum = sub.fft_rfft2(&self.fft[..], [-2, -1], "backward") * &self.spectrum;
        let full = spectrum.fft_irfft2(&self.fft[..], [-2, -1], "backward");
        full.narrow(1, self.pad, self.inner[0]).narrow(2, self.pad, self.inner[1])
    }

    /// The transpose, [B, ny, nx] to [B, ny + 2 pad, nx + 2 pad]: correlation, whose transform is
    /// the conjugate.
    pub fn adjoint(&self, inner: &Tensor) -> Tensor {
        let (p, [ny, nx]) = (self.pad, self.inner);
        let padded = inner.constant_pad_nd([p, p, p, p]);
        let spectrum = padded.fft_rfft2(&self.fft[..], [-2, -1], "backward") * self.spectrum.conj();
        let full = spectrum.fft_irfft2(&self.fft[..], [-2, -1], "backward");
        full.narrow(1, 0, ny + 2 * p).narrow(2, 0, nx + 2 * p)
    }
}

/// The next integer with no prime factor above 5.
fn good_size(n: usize) -> usize {
    let smooth = |mut k: usize| {
        for p in [2, 3, 5] {
            while k.is_multiple_of(p) {
                k /= p;
            }
        }
        k == 1
    };
    (n.max(1)..).find(|k| smooth(*k)).expect("powers of two are smooth")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn good_sizes() {
        assert_eq!([1, 7, 11, 121, 128, 209].map(good_size), [1, 8, 12, 125, 128, 216]);
    }

    #[test]
    fn convolves_and_does_not_correlate() {
        let kernel = ndarray::arr2(&[[0., 0., 0.], [0., 0.5, 0.3], [0., 0.2, 0.]]);
        let c = Convolution::new(&kernel, (1, 1), [3, 3], 1, Kind::Double, Device::Cpu);
        let mut point = vec![0f64; 25];
        point[2 * 5 + 2] = 1.0;
        let image = c.apply(&Tensor::from_slice(&point).view([1, 5, 5])).flatten(0, 2);
        let got = Vec::<f64>::try_from(image).expect("f64 on the CPU");
        for (value, want) in got.iter().zip([0., 0., 0., 0., 0.5, 0.3, 0., 0.2, 0.]) {
            assert!((value - want).abs() < 1e-15, "{got:?}");
        }
    }
}
