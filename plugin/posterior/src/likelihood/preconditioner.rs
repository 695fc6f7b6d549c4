//! Approximate inverses of 1 + W C W^T for the guidance's conjugate gradients.

use tch::{Device, Kind, Tensor};

use crate::error::PosteriorError;

/// Directions that a preconditioner couples; the weaker ones are taken to be independent.
const COUPLED: i64 = 512;
/// Smallest share of a band's largest power that its other modes may have.
const BAND: f64 = 0.6;
/// Power, as a share of the largest, below which modes are one band.
const NEGLIGIBLE: f64 = 1e-7;

/// An approximate (1 + W C W^T)^-1: dense in the strongest directions, diagonal in the others,
/// which a PSF leaves at other frequencies.
#[derive(Debug)]
pub struct Preconditioner {
    dense: Tensor,
    diagonal: Tensor,
}

impl Preconditioner {
    /// The product with every row of v [B, k] f64.
    pub fn apply(&self, v: &Tensor) -> Tensor {
        let (coupled, weak) = (self.dense.size()[0], self.diagonal.size()[0]);
        let strong = v.narrow(1, 0, coupled).matmul(&self.dense);
        Tensor::cat(&[strong, v.narrow(1, coupled, weak) * &self.diagonal], 1)
    }
}

/// W in bands of Fourier modes with nearly the same prior power P: a stationary C of power c(P) has
/// W C W^T = sum over bands of c(P_b) W_b W_b^T, so that a new noise level costs a sum of matrices,
/// not a product.
#[derive(Debug)]
pub(super) struct Bands {
    /// Mean power of each band, [b] f64.
    power: Tensor,
    /// W_b W_b^T of the strongest directions, [b, c c] f32.
    strong: Tensor,
    /// Diagonal of W_b W_b^T of the others, [b, k - c] f32.
    weak: Tensor,
}

impl Bands {
    /// Bands of W [k, H W] by the prior's power spectrum [H, W].
    pub fn new(w: &Tensor, power: &Tensor) -> Self {
        let (spectrum, power) = real_spectrum(w, power);
        let (k, coupled) = (spectrum.size()[0], spectrum.size()[0].min(COUPLED));
        let (sorted, order) = power.to_kind(Kind::Double).sort(0, true);
        let spectrum = spectrum.index_select(1, &order);
        let values = Vec::<f64>::try_from(&sorted).expect("because a power spectrum is a vector");
        let (mut means, mut strong, mut weak) = (Vec::new(), Vec::new(), Vec::new());
        let mut start = 0;
        while start < values.len() {
            let floor = (BAND * values[start]).min(values[0]);
            let negligible = values[start] <= NEGLIGIBLE * values[0];
            let length = if negligible {
                values.len() - start
            } else {
                values[start..].partition_point(|&p| p >= floor)
            };
            let band = spectrum.narrow(1, start as i64, length as i64);
            let top = band.narrow(0, 0, coupled);
            strong.push(top.matmul(&top.tr()).reshape([-1]));
            let rest = band.narrow(0, coupled, k - coupled).square();
            weak.push(rest.sum_dim_intlist([1i64].as_slice(), false, Kind::Float));
            means.push(values[start..start + length].iter().sum::<f64>() / length as f64);
            start += length;
        }
        Self {
            power: Tensor::from_slice(&means),
            strong: Tensor::stack(&strong, 0),
            weak: Tensor::stack(&weak, 0),
        }
    }

    /// The same bands on `device`.
    pub fn to(&self, device: Device) -> Self {
        let Self { power, strong, weak } = self;
        Self {
            power: power.to_device(device),
            strong: strong.to_device(device),
            weak: weak.to_device(device),
        }
    }

    /// (1 + W C W^T)^-1 with C the stationary Gaussian approximation of Cov[x_0 | x_sigma]: power
    /// sigma^2 P / (sigma^2 + P).
    ///
    /// # Errors
    /// [`PosteriorError::Torch`] when the factorisation fails.
    pub fn preconditioner(&self, sigma: f64) -> Result<Preconditioner, PosteriorError> {
        let s2 = sigma * sigma;
        let c = (&self.power * s2 / (&self.power + s2)).to_kind(Kind::Float);
        let gram = self.strong.tr().mv(&c).to_kind(Kind::Double);
        let coupled = (gram.numel() as f64).sqrt() as i64;
        let gram =
            gram.reshape([coupled, coupled]) + Tensor::eye(coupled, (Kind::Double, gram.device()));
        Ok(Preconditioner {
            dense: gram.f_linalg_cholesky(false)?.cholesky_inverse(false),
            diagonal: (self.weak.tr().mv(&c).to_kind(Kind::Double) + 1.0).reciprocal(),
        })
    }
}

/// Rows of W [k, H W] in an orthonormal real Fourier basis, [k, f], and the power there, [f]: for a
/// stationary C, W C W^T = spectrum diag(power) spectrum^T.
fn real_spectrum(w: &Tensor, power: &Tensor) -> (Tensor, Tensor) {
    let (height, width) = power.size2().expect("because a power spectrum is [H, W]");
    let half = width / 2 + 1;
    let spectrum = w.reshape([-1, height, width]).fft_rfft2(None::<&[i64]>, [-2, -1], "ortho");
    // Columns 1..(W-1)/2 stand for their mirror images too.
    let mut multiplicity = vec![2f32; half as usize];
    multiplicity[0] = 1.0;
    if width % 2 == 0 {
        multiplicity[half as usize - 1] = 1.0;
    }
    let weighted = spectrum * Tensor::from_slice(&multiplicity).sqrt();
    let flat = |t: Tensor| t.reshape([-1, height * half]);
    let basis = Tensor::cat(&[flat(weighted.real()), flat(weighted.imag())], 1).contiguous();
    let p = power.narrow(1, 0, half).reshape([-1]);
    (basis, Tensor::cat(&[&p, &p], 0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::SampleRng;

    #[test]
    fn nearly_inverts_the_covariance_of_the_data() {
        let (k, side) = (40, 16);
        let mut values = vec![0f32; (k * side * side) as usize];
        SampleRng::new(1, 0).fill_normal(&mut values);
        let w = Tensor::from_slice(&values).reshape([k, side * side]) * 0.3;
        let f = Tensor::arange(side, (Kind::Float, Device::Cpu));
        let f = f.minimum(&(side - &f)).square();
        let power = (f.unsqueeze(1) + f.unsqueeze(0) + 1.0).pow_tensor_scalar(-1.5) * 100.0;
        let sigma = 0.7;
        // W C W^T by applying C to every row.
        let rows = w.reshape([k, side, side]);
        let c = &power * sigma * sigma / (&power + sigma * sigma);
        let cw = (rows.fft_fft2(None::<&[i64]>, [-2, -1], "ortho") * c)
            .fft_ifft2(None::<&[i64]>, [-2, -1], "ortho")
            .real()
            .reshape([k, -1]);
        let exact =
            w.matmul(&cw.tr()).to_kind(Kind::Double) + Tensor::eye(k, (Kind::Double, Device::Cpu));
        let m = Bands::new(&w, &power).preconditioner(sigma).unwrap();
        let product = m.apply(&exact);
        let error = (product - Tensor::eye(k, (Kind::Double, Device::Cpu))).abs().max();
        // Powers within a band differ by up to 40 %, and C varies less than P.
        assert!(error.double_value(&[]) < 0.1, "{error:?}");
    }
}
