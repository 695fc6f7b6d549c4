//! Against the oracle and the dense matrix of `pellucid_exposure`; adjoint identities.

use super::*;
use ndarray::Array2;
use pellucid_exposure::{ExposureError, FluxConvention, Geometry, Psf, Wcs, apply_slow};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// A detector seen through an affine map of a model grid, with some quadratic distortion.
#[derive(Debug)]
struct Tilted {
    sky: ModelGrid,
    angle: f64,
    scale: f64,
    offset: [f64; 2],
    bend: f64,
}

impl Wcs for Tilted {
    fn pixel_to_sky(&self, xy: &[[f64; 2]]) -> Result<Vec<[f64; 2]>, ExposureError> {
        let (sin, cos) = self.angle.sin_cos();
        let places: Vec<[f64; 2]> = xy
            .iter()
            .map(|[x, y]| {
                let (x, y) = (x + self.bend * x * y, y - self.bend * x * x);
                [
                    self.scale * (cos * x - sin * y) + self.offset[0],
                    self.scale * (sin * x + cos * y) + self.offset[1],
                ]
            })
            .collect();
        self.sky.pixel_to_sky(&places)
    }

    fn sky_to_pixel(&self, _: &[[f64; 2]]) -> Result<Vec<[f64; 2]>, ExposureError> {
        unreachable!("the forward model maps pixels to the sky only")
    }
}

fn grid() -> ModelGrid {
    ModelGrid::new(18, 16, 150.1, 2.2, 0.03).expect("a valid grid")
}

fn random(shape: (usize, usize), seed: u64) -> Array2<f64> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    Array2::from_shape_simple_fn(shape, || rng.random_range(0.0..1.0))
}

/// Two exposures that reach over the model's edge: an even, asymmetric PSF at 4x with pooling, and
/// a pixel-integrated one at 3x in flux per pixel.
fn exposures() -> Vec<Arc<Exposure>> {
    let exposure = |id: &str, angle: f64, psf: Psf, shape: (usize, usize)| {
        let wcs = Tilted { sky: grid(), angle, scale: 1.8, offset: [4.3, -0.6], bend: 2e-3 };
        let mut good = Array2::from_elem(shape, true);
        good[[2, 3]] = false;
        let variance = Array2::ones(shape);
        let (wcs, psf) = (Arc::new(wcs), Arc::new(psf));
        Exposure::new(id, random(shape, 9), variance, good, wcs, psf).expect("a valid exposure")
    };
    let pooled = Psf::new(random((6, 9), 1), 4, false).expect("a valid PSF");
    let sampled = Psf::new(random((7, 5), 2), 3, true).expect("a valid PSF");
    vec![
        Arc::new(exposure("pooled", 0.4, pooled, (7, 9))),
        Arc::new(
            exposure("sampled", -1.1, sampled, (8, 6))
                .with_flux_convention(FluxConvention::PerPixel),
        ),
    ]
}

fn tensor(image: &Array2<f64>) -> Tensor {
    let (ny, nx) = image.dim();
    let values: Vec<f64> = image.iter().copied().collect();
    Tensor::from_slice(&values).view([1, 1, ny as i64, nx as i64])
}

fn values(t: &Tensor) -> Vec<f64> {
    Vec::<f64>::try_from(t.to_kind(Kind::Double).reshape([-1])).expect("a tensor on the CPU")
}

fn worst(got: &[f64], want: impl Iterator<Item = f64>) -> f64 {
    let want: Vec<f64> = want.collect();
    assert_eq!(got.len(), want.len());
    let peak = want.iter().fold(0.0f64, |m, v| m.max(v.abs()));
    assert!(peak > 0.1, "the test image reaches the exposure");
    got.iter().zip(&want).fold(0.0f64, |m, (a, b)| m.max((a - b).abs())) / peak
}

#[test]
fn agrees_with_the_slow_oracle() {
    let image = random((18, 16), 3);
    for (kind, bound) in [(Kind::Double, 1e-6), (Kind::Float, 1e-5)] {
        let forward = ForwardModel::new(&exposures(), &grid(), kind, Device::Cpu).expect("valid");
        let got = forward.apply(&tensor(&image)).expect("the shapes fit");
        for (got, exposure) in got.iter().zip(exposures()) {
            let want = apply_slow(&exposure, &grid(), &image).expect("valid");
            let error = worst(&values(got), want.iter().copied());
            assert!(error < bound, "{}: {error:e} in {kind:?}", exposure.id);
        }
    }
}

#[test]
fn agrees_with_the_dense_matrix() {
    let image = random((18, 16), 4);
    let forward = ForwardModel::new(&exposures(), &grid(), Kind::Double, Device::Cpu);
    let got = values(&forward.expect("valid").apply_used(&tensor(&image)).expect("shapes fit"));
    let x = ndarray::Array1::from_iter(image.iter().copied());
    let want = exposures().into_iter().flat_map(|exposure| {
        let matrix = Geometry::new(&exposure, &grid()).expect("valid").dense(&exposure.psf);
        matrix.mapv(f64::from).dot(&x)
    });
    let error = worst(&got, want);
    assert!(error < 1e-6, "{error:e}");
}

#[test]
fn adjoint() {
    for (kind, bound) in [(Kind::Double, 1e-12), (Kind::Float, 1e-5)] {
        let forward = ForwardModel::new(&exposures(), &grid(), kind, Device::Cpu).expect("valid");
        let x = Tensor::cat(&[5, 6, 7].map(|s| tensor(&random((18, 16), s))), 0);
        let ax = forward.apply(&x).expect("shapes fit");
        let y: Vec<Tensor> = [(7, 9), (8, 6)]
            .map(|shape| {
                let parts = [1, 2, 3].map(|s| tensor(&random(shape, 20 + s)).squeeze_dim(1));
                Tensor::cat(&parts, 0)
            })
            .into();
        let dot = |a: &Tensor, b: &Tensor| {
            let product = a.to_kind(Kind::Double) * b.to_kind(Kind::Double);
            product.sum(Kind::Double).double_value(&[])
        };
        let left: f64 = ax.iter().zip(&y).map(|(a, b)| dot(a, b)).sum();
        let right = dot(&x, &forward.adjoint(&y).expect("shapes fit"));
        assert!((left / right - 1.0).abs() < bound, "{left} {right} in {kind:?}");

        let ax = forward.apply_used(&x).expect("shapes fit");
        let y = Tensor::cat(&y.iter().map(|y| y.flatten(1, 2)).collect::<Vec<_>>(), 1).narrow(
            1,
            0,
            ax.size()[1],
        );
        let right = dot(&x, &forward.adjoint_used(&y).expect("shapes fit"));
        assert!((dot(&ax, &y) / right - 1.0).abs() < bound, "with the mask in {kind:?}");
    }
}

#[test]
fn a_batch_is_its_images() {
    let forward = ForwardModel::new(&exposures(), &grid(), Kind::Float, Device::Cpu).expect("ok");
    let images = [5, 6].map(|s| tensor(&random((18, 16), s)));
    let together = forward.apply_used(&Tensor::cat(&images, 0)).expect("shapes fit");
    for (k, image) in images.iter().enumerate() {
        let alone = forward.apply_used(image).expect("shapes fit");
        let error = worst(&values(&together.get(k as i64)), values(&alone).into_iter());
        assert!(error < 1e-6, "{error:e}");
    }
}

#[test]
fn wrong_shapes_are_named() {
    let forward = ForwardModel::new(&exposures(), &grid(), Kind::Float, Device::Cpu).expect("ok");
    let zeros = |size: &[i64]| Tensor::zeros(size, (Kind::Float, Device::Cpu));
    for result in [
        forward.apply(&zeros(&[1, 1, 16, 18])).map(|_| ()),
        forward.apply(&zeros(&[18, 16])).map(|_| ()),
        forward.adjoint(&[]).map(|_| ()),
        forward.adjoint(&[zeros(&[1, 7, 9]), zeros(&[1, 6, 8])]).map(|_| ()),
        forward.adjoint_used(&zeros(&[1, 3])).map(|_| ()),
    ] {
        assert!(matches!(result, Err(PosteriorError::Shape { .. })));
    }
}
