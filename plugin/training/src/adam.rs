//! Adam (Kingma & Ba 2015, arXiv 1412.6980) with gradient clipping and an average of the weights.

use pellucid_posterior::score::parameters::Parameters;
use tch::{Kind, Tensor, no_grad};

const BETA1: f64 = 0.9;
const BETA2: f64 = 0.99;
const EPSILON: f64 = 1e-8;

/// State of the optimiser: what a checkpoint holds.
#[derive(Debug)]
pub struct Adam {
    /// Weights, leaves that require gradients.
    pub weights: Parameters,
    /// Exponential moving average of the weights.
    pub average: Parameters,
    /// First moments.
    pub first: Parameters,
    /// Second moments.
    pub second: Parameters,
    /// Steps done.
    pub step: u64,
}

impl Adam {
    /// Starts from `weights`.
    pub fn new(weights: Parameters) -> Self {
        let average = weights.map(|t| t.detach().copy());
        let first = weights.map(Tensor::zeros_like);
        let second = weights.map(Tensor::zeros_like);
        Self { weights: leaves(&weights), average, first, second, step: 0 }
    }

    /// One step on the gradients that `backward` left in the weights; returns their norm before
    /// clipping to `clip`. `average_decay` is the weight of the old average.
    pub fn update(&mut self, learning_rate: f64, clip: f64, average_decay: f64) -> f64 {
        self.step += 1;
        no_grad(|| {
            let squares: Vec<Tensor> =
                self.weights.iter().map(|(_, w)| w.grad().square().sum(Kind::Float)).collect();
            let norm = Tensor::stack(&squares, 0).sum(Kind::Double).double_value(&[]).sqrt();
            let scale = if norm > clip { clip / norm } else { 1.0 };
            let t = self.step as i32;
            let rate = learning_rate * (1.0 - BETA2.powi(t)).sqrt() / (1.0 - BETA1.powi(t));
            let states = self.weights.iter().zip(self.average.iter());
            let moments = self.first.iter().zip(self.second.iter());
            for (((_, w), (_, average)), ((_, m), (_, v))) in states.zip(moments) {
                let (mut w, mut average) = (w.shallow_clone(), average.shallow_clone());
                let (mut m, mut v) = (m.shallow_clone(), v.shallow_clone());
                let mut gradient = w.grad();
                let scaled = &gradient * scale;
                let _ = m.lerp_(&scaled, 1.0 - BETA1);
                let _ = v.lerp_(&scaled.square(), 1.0 - BETA2);
                w -= &m * rate / (v.sqrt() + EPSILON);
                let _ = average.lerp_(&w, 1.0 - average_decay);
                let _ = gradient.zero_();
            }
            norm
        })
    }
}

/// Copies that require gradients.
pub fn leaves(parameters: &Parameters) -> Parameters {
    parameters.map(|t| t.detach().copy().set_requires_grad(true))
}
