//! G: bilinear look-up of the model at the sub-pixels of an exposure.

use tch::{Device, Kind, Tensor};

/// Four model pixels and weights for each of S sub-pixels; the weights contain the area factor
/// and are 0 for corners outside of the model.
#[derive(Debug)]
pub(super) struct Gather {
    /// [4 S], flat model indices.
    index: Tensor,
    /// [4, S].
    weight: Tensor,
    model_pixels: i64,
}

impl Gather {
    /// From the flat indices of the corners and their weights, both [4 S].
    pub fn new(
        index: &[i64],
        weight: &[f64],
        model_pixels: usize,
        kind: Kind,
        device: Device,
    ) -> Self {
        let weight = Tensor::from_slice(weight).view([4, -1]);
        Self {
            index: Tensor::from_slice(index).to_device(device),
            weight: weight.to_kind(kind).to_device(device),
            model_pixels: model_pixels as i64,
        }
    }

    /// x [B, N] to the sub-pixels, [B, S].
    pub fn apply(&self, x: &Tensor) -> Tensor {
        let corners = x.index_select(1, &self.index).view([-1, 4, self.weight.size()[1]]);
        (corners * &self.weight).sum_dim_intlist(1i64, false, x.kind())
    }

    /// The transpose: [B, S] to [B, N].
    ///
    /// One flat index over batch and pixels, since libtorch adds by index far faster in one
    /// dimension.
    pub fn adjoint(&self, sub: &Tensor) -> Tensor {
        let (batch, n) = (sub.size()[0], self.model_pixels);
        let first = Tensor::arange(batch, (Kind::Int64, sub.device())).unsqueeze(1) * n;
        let index = (first + &self.index).flatten(0, 1);
        let values = (sub.unsqueeze(1) * &self.weight).flatten(0, 2);
        let zero = Tensor::zeros([batch * n], (sub.kind(), sub.device()));
        zero.index_add(0, &index, &values).view([batch, n])
    }
}
