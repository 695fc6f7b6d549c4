//! Named network parameters, with a seeded initialisation.

use std::collections::BTreeMap;

use tch::{Device, Kind, Tensor};

use crate::error::PosteriorError;
use crate::rng::SampleRng;

/// Parameters of a network by name, in a fixed order.
#[derive(Debug, Default)]
pub struct Parameters {
    tensors: BTreeMap<String, Tensor>,
}

impl Parameters {
    /// The tensor called `name`.
    ///
    /// Networks ask only for names in their own layout, which [`Parameters::check`] has verified.
    pub fn get(&self, name: &str) -> &Tensor {
        self.tensors.get(name).expect("because the layout was checked when the network was built")
    }

    /// The convolution `name` of x [B, C, ny, nx], padded with zeros.
    pub fn conv(&self, name: &str, x: &Tensor, stride: i64) -> Tensor {
        let weight = self.get(&format!("{name}.weight"));
        let pad = weight.size()[2] / 2;
        let bias = self.get(&format!("{name}.bias"));
        x.conv2d(weight, Some(bias), [stride, stride], [pad, pad], [1, 1], 1)
    }

    /// The fully connected layer `name` of x [B, C].
    pub fn linear(&self, name: &str, x: &Tensor) -> Tensor {
        let bias = self.get(&format!("{name}.bias"));
        x.linear(self.get(&format!("{name}.weight")), Some(bias))
    }

    /// The tensor called `name`, if there is one.
    pub fn find(&self, name: &str) -> Option<&Tensor> {
        self.tensors.get(name)
    }

    /// Adds or replaces a tensor.
    pub fn insert(&mut self, name: impl Into<String>, tensor: Tensor) {
        self.tensors.insert(name.into(), tensor);
    }

    /// Names and tensors in name order.
    pub fn iter(&self) -> impl Iterator<Item = (&String, &Tensor)> {
        self.tensors.iter()
    }

    /// Total number of weights.
    pub fn count(&self) -> usize {
        self.tensors.values().map(Tensor::numel).sum()
    }

    /// Applies `f` to every tensor.
    #[must_use]
    pub fn map(&self, f: impl Fn(&Tensor) -> Tensor) -> Self {
        Self { tensors: self.tensors.iter().map(|(k, v)| (k.clone(), f(v))).collect() }
    }

    /// A deep copy on `device` as `kind`.
    #[must_use]
    pub fn to(&self, device: Device, kind: Kind) -> Self {
        self.map(|t| t.detach().to_device(device).to_kind(kind).copy())
    }

    /// Fresh parameters for `layout`, a pure function of the seed.
    pub fn initialise(layout: &[Layout], seed: u64) -> Self {
        let mut tensors = BTreeMap::new();
        for (stream, entry) in layout.iter().enumerate() {
            let tensor = match entry.init {
                Init::Constant(value) => Tensor::full(&entry.shape, value, KIND),
                Init::Normal(std) => {
                    let mut values = vec![0f32; entry.shape.iter().product::<i64>() as usize];
                    SampleRng::new(seed, stream as u64).fill_normal(&mut values);
                    Tensor::from_slice(&values).reshape(&entry.shape) * std
                }
            };
            tensors.insert(entry.name.clone(), tensor);
        }
        Self { tensors }
    }

    /// Verifies names, shapes and finiteness against `layout`.
    ///
    /// # Errors
    /// [`PosteriorError::Weights`] naming the tensor, what is needed and what was got.
    pub fn check(&self, layout: &[Layout]) -> Result<(), PosteriorError> {
        let fail = |name: &str, need: String, got: String| {
            Err(PosteriorError::Weights { name: name.into(), need, got })
        };
        for entry in layout {
            let need = format!("shape {:?}", entry.shape);
            let Some(tensor) = self.tensors.get(&entry.name) else {
                return fail(&entry.name, need, "no such tensor".into());
            };
            if tensor.size() != entry.shape {
                return fail(&entry.name, need, format!("shape {:?}", tensor.size()));
            }
            if tensor.to_kind(Kind::Float).isfinite().all().int64_value(&[]) == 0 {
                let need = "values finite in f32".into();
                return fail(&entry.name, need, "NaN, infinity or beyond f32".into());
            }
        }
        if self.tensors.len() != layout.len() {
            let known = |name: &&String| layout.iter().any(|entry| &entry.name == *name);
            if let Some(extra) = self.tensors.keys().find(|name| !known(name)) {
                return fail(extra, "no such tensor".into(), "an unknown tensor".into());
            }
        }
        Ok(())
    }
}

const KIND: (Kind, Device) = (Kind::Float, Device::Cpu);

/// How a parameter starts.
#[derive(Clone, Copy, Debug)]
pub enum Init {
    /// Every element this value.
    Constant(f64),
    /// Independent normal numbers of this standard deviation.
    Normal(f64),
}

/// Name, shape and start of one parameter.
#[derive(Clone, Debug)]
pub struct Layout {
    /// Name in the model file.
    pub name: String,
    /// Shape.
    pub shape: Vec<i64>,
    /// Start of training.
    pub init: Init,
}

/// Collects the layout of a network.
#[derive(Debug, Default)]
pub struct LayoutBuilder(pub Vec<Layout>);

impl LayoutBuilder {
    /// A k x k convolution with bias; `gain` scales the He initialisation (0 for a zero start).
    pub fn conv(&mut self, name: &str, input: i64, output: i64, k: i64, gain: f64) {
        let std = gain / ((input * k * k) as f64).sqrt();
        self.push(format!("{name}.weight"), vec![output, input, k, k], Init::Normal(std));
        self.push(format!("{name}.bias"), vec![output], Init::Constant(0.0));
    }

    /// A fully connected layer with bias.
    pub fn linear(&mut self, name: &str, input: i64, output: i64, gain: f64) {
        let std = gain / (input as f64).sqrt();
        self.push(format!("{name}.weight"), vec![output, input], Init::Normal(std));
        self.push(format!("{name}.bias"), vec![output], Init::Constant(0.0));
    }

    /// Scale and shift of a group normalisation.
    pub fn norm(&mut self, name: &str, channels: i64) {
        self.push(format!("{name}.weight"), vec![channels], Init::Constant(1.0));
        self.push(format!("{name}.bias"), vec![channels], Init::Constant(0.0));
    }

    fn push(&mut self, name: String, shape: Vec<i64>, init: Init) {
        self.0.push(Layout { name, shape, init });
    }
}
