//! Counter-based random numbers: a sample is a pure function of (seed, sample, config).
//!
//! ChaCha8 with the job's seed as key and the sample number as stream. No global generator is
//! touched, so a sample does not depend on its batch, its worker or the jobs beside it.

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, StandardNormal};
use tch::{Device, Tensor};

/// The random stream of one sample.
#[derive(Clone, Debug)]
pub struct SampleRng(ChaCha8Rng);

impl SampleRng {
    /// The stream of sample `sample` of a job with seed `seed`.
    pub fn new(seed: u64, sample: u64) -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        rng.set_stream(sample);
        Self(rng)
    }

    /// Fills `out` with independent standard normal numbers.
    pub fn fill_normal(&mut self, out: &mut [f32]) {
        for value in out {
            *value = StandardNormal.sample(&mut self.0);
        }
    }
}

/// Standard normal tensor [rngs.len(), shape...], row k from stream k.
pub fn normal(rngs: &mut [SampleRng], shape: &[i64], device: Device) -> Tensor {
    let row = shape.iter().product::<i64>() as usize;
    let mut buffer = vec![0f32; row * rngs.len()];
    if row > 0 {
        for (rng, chunk) in rngs.iter_mut().zip(buffer.chunks_mut(row)) {
            rng.fill_normal(chunk);
        }
    }
    let full: Vec<i64> = std::iter::once(rngs.len() as i64).chain(shape.iter().copied()).collect();
    Tensor::from_slice(&buffer).reshape(full).to_device(device)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_does_not_depend_on_its_neighbours() {
        let alone = normal(&mut [SampleRng::new(7, 3)], &[5], Device::Cpu);
        let mut many: Vec<_> = (0..6).map(|k| SampleRng::new(7, k)).collect();
        let batch = normal(&mut many, &[5], Device::Cpu);
        assert!(alone.get(0) == batch.get(3));
    }

    #[test]
    fn seeds_and_samples_differ_and_are_standard() {
        let mut rngs = [SampleRng::new(1, 0), SampleRng::new(2, 0), SampleRng::new(1, 1)];
        let z = normal(&mut rngs, &[20_000], Device::Cpu);
        for (a, b) in [(0, 1), (0, 2)] {
            let correlation = (z.get(a) * z.get(b)).mean(tch::Kind::Float).double_value(&[]);
            assert!(correlation.abs() < 0.03, "{correlation}");
        }
        assert!((z.std(true).double_value(&[]) - 1.0).abs() < 0.02);
    }
}
