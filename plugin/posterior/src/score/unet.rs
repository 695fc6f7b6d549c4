//! The U-Net: residual blocks on three resolutions below a space-to-depth input.
//!
//! A 2x space-to-depth keeps every pixel but runs the blocks at half resolution, which is what
//! makes the net affordable on a CPU; full-resolution convolutions after the pixel shuffle, fed
//! with the input again, take away the 2x2 pattern that a bare shuffle leaves. Blocks follow
//! Ho et al. 2020 (arXiv 2006.11239) with the noise level as scale and shift (Dhariwal & Nichol
//! 2021, arXiv 2105.05233).

use serde::{Deserialize, Serialize};
use tch::{Kind, Tensor};

use super::parameters::{Layout, LayoutBuilder, Parameters};
use crate::error::PosteriorError;

/// Sizes of the U-Net.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UnetConfig {
    /// Channels of each level, the first at half the image's resolution.
    pub widths: Vec<i64>,
    /// Residual blocks a level, down and up each.
    pub blocks: i64,
    /// Channels of the full-resolution head.
    pub head: i64,
    /// Width of the noise-level embedding.
    pub embedding: i64,
    /// Channels of one attention head at the lowest level; 0 for no attention.
    pub attention_head: i64,
    /// Channels in one group of the group normalisation.
    pub group: i64,
}

impl Default for UnetConfig {
    fn default() -> Self {
        Self {
            widths: vec![32, 64, 96],
            blocks: 2,
            head: 16,
            embedding: 96,
            attention_head: 24,
            group: 8,
        }
    }
}

/// Most residual blocks a level: the names of millions of weights are not made up to be missed.
const MAX_BLOCKS: i64 = 64;
/// Channels at full resolution going in, see [`super::edm::network`].
const INPUTS: i64 = 3;

impl UnetConfig {
    /// Checks that the sizes fit each other and an image of `size` pixels.
    ///
    /// # Errors
    /// [`PosteriorError::Config`] naming the field.
    pub fn validate(&self, size: [usize; 2]) -> Result<(), PosteriorError> {
        let fail = |what: &str, need: String, got: String| {
            Err(PosteriorError::config(format!("unet.{what}"), need, got))
        };
        let sane = |n: i64| (1..=4096).contains(&n);
        if self.widths.is_empty() || self.widths.len() > 8 || !self.widths.iter().all(|&w| sane(w))
        {
            return fail("widths", "1 to 8 positive widths".into(), format!("{:?}", self.widths));
        }
        if !sane(self.group) || self.widths.iter().any(|w| w % self.group != 0) {
            let got = format!("{} for widths {:?}", self.group, self.widths);
            return fail("group", "a divisor of every width".into(), got);
        }
        if !sane(self.embedding) || self.embedding % 2 != 0 {
            return fail("embedding", "a positive even number".into(), self.embedding.to_string());
        }
        if !sane(self.head) || !(1..=MAX_BLOCKS).contains(&self.blocks) {
            let got = format!("{} and {}", self.head, self.blocks);
            return fail("head and blocks", format!("1 to 4096 and 1 to {MAX_BLOCKS}"), got);
        }
        let lowest = *self.widths.last().expect("because widths is not empty");
        if self.attention_head < 0 || (self.attention_head > 0 && lowest % self.attention_head != 0)
        {
            let got = self.attention_head.to_string();
            return fail("attention_head", format!("0 or a divisor of {lowest}"), got);
        }
        let divisor = 1usize << self.widths.len();
        if size.iter().any(|n| n % divisor != 0 || *n == 0) {
            return fail(
                "widths",
                format!("an image size divisible by {divisor}"),
                format!("{size:?}"),
            );
        }
        Ok(())
    }

    /// Names and shapes of all parameters.
    pub fn layout(&self) -> Vec<Layout> {
        let mut l = LayoutBuilder::default();
        let e = self.embedding;
        l.linear("embed.0", e, e, 1.0);
        l.linear("embed.1", e, e, 1.0);
        l.conv("stem", 4 * INPUTS, self.widths[0], 3, 1.0);
        let last = self.widths.len() - 1;
        for (level, &width) in self.widths.iter().enumerate() {
            if level > 0 {
                l.conv(&format!("down{level}.resample"), self.widths[level - 1], width, 3, 1.0);
            }
            for block in 0..self.blocks {
                block_layout(&mut l, &format!("down{level}.{block}"), width, e);
            }
        }
        if self.attention_head > 0 {
            l.norm("attention.norm", self.widths[last]);
            l.conv("attention.qkv", self.widths[last], 3 * self.widths[last], 1, 1.0);
            l.conv("attention.out", self.widths[last], self.widths[last], 1, 1e-3);
        }
        for (level, &width) in self.widths.iter().enumerate() {
            for block in 0..self.blocks {
                block_layout(&mut l, &format!("up{level}.{block}"), width, e);
            }
            if level > 0 {
                l.conv(&format!("up{level}.resample"), width, self.widths[level - 1], 3, 1.0);
            }
            l.conv(&format!("up{level}.skip"), width, width, 1, 1.0);
        }
        l.norm("head.norm", self.widths[0]);
        l.conv("head.shuffle", self.widths[0], 4 * self.head, 3, 1.0);
        l.conv("head.full", self.head + INPUTS, self.head, 3, 1.0);
        l.conv("head.out", self.head, 1, 3, 1e-3);
        l.0
    }
}

fn block_layout(l: &mut LayoutBuilder, name: &str, width: i64, embedding: i64) {
    l.norm(&format!("{name}.norm0"), width);
    l.conv(&format!("{name}.conv0"), width, width, 3, 1.0);
    l.linear(&format!("{name}.level"), embedding, 2 * width, 0.3);
    l.norm(&format!("{name}.norm1"), width);
    // A near-zero start makes every block the identity at first.
    l.conv(&format!("{name}.conv1"), width, width, 3, 1e-3);
}

/// Evaluates the U-Net.
///
/// # Shapes
/// x [B, 3, H, W], c_noise [B] (about -1.5 to 1); the result is [B, 1, H, W] f32. The arithmetic is in the kind
/// of the parameters (f32 or bf16).
pub fn forward(config: &UnetConfig, p: &Parameters, x: &Tensor, c_noise: &Tensor) -> Tensor {
    let net = Net { config, p };
    let kind = p.get("stem.weight").kind();
    let x = x.to_kind(kind);
    let level = net.embed(c_noise).to_kind(kind);
    let last = config.widths.len() - 1;

    let mut h = net.p.conv("stem", &x.pixel_unshuffle(2), 1);
    let mut skips = Vec::with_capacity(last + 1);
    for i in 0..=last {
        if i > 0 {
            h = net.p.conv(&format!("down{i}.resample"), &h, 2);
        }
        for block in 0..config.blocks {
            h = net.block(&format!("down{i}.{block}"), &h, &level);
        }
        skips.push(h.shallow_clone());
    }
    if config.attention_head > 0 {
        h = net.attention(&h);
    }
    for i in (0..=last).rev() {
        h += net.p.conv(&format!("up{i}.skip"), &skips[i], 1);
        for block in 0..config.blocks {
            h = net.block(&format!("up{i}.{block}"), &h, &level);
        }
        if i > 0 {
            let up =
                h.upsample_nearest2d([2 * h.size()[2], 2 * h.size()[3]], None::<f64>, None::<f64>);
            h = net.p.conv(&format!("up{i}.resample"), &up, 1);
        }
    }
    let h = net.p.conv("head.shuffle", &net.norm("head.norm", &h).silu(), 1).pixel_shuffle(2);
    let h = net.p.conv("head.full", &Tensor::cat(&[&h, &x], 1).silu(), 1);
    net.p.conv("head.out", &h.silu(), 1).to_kind(Kind::Float)
}

struct Net<'a> {
    config: &'a UnetConfig,
    p: &'a Parameters,
}

impl Net<'_> {
    fn norm(&self, name: &str, x: &Tensor) -> Tensor {
        let weight = self.p.get(&format!("{name}.weight"));
        let bias = self.p.get(&format!("{name}.bias"));
        let groups = weight.size()[0] / self.config.group;
        x.group_norm(groups, Some(weight), Some(bias), 1e-5, false)
    }

    /// Sinusoidal features of the noise level, then two dense layers.
    fn embed(&self, c_noise: &Tensor) -> Tensor {
        let half = self.config.embedding / 2;
        // c_noise spans a few units: frequencies from 0.5 to 32 resolve it without aliasing.
        let steps = Tensor::arange(half, (Kind::Float, c_noise.device())) / (half - 1).max(1);
        let frequency = (steps * 64f64.ln()).exp() * 0.5;
        let phase = c_noise.to_kind(Kind::Float).unsqueeze(1) * frequency.unsqueeze(0);
        let features = Tensor::cat(&[phase.sin(), phase.cos()], 1);
        let features = features.to_kind(self.p.get("embed.0.weight").kind());
        self.p.linear("embed.1", &self.p.linear("embed.0", &features).silu()).silu()
    }

    fn block(&self, name: &str, x: &Tensor, level: &Tensor) -> Tensor {
        let h = self.p.conv(
            &format!("{name}.conv0"),
            &self.norm(&format!("{name}.norm0"), x).silu(),
            1,
        );
        let film = self.p.linear(&format!("{name}.level"), level).unsqueeze(2).unsqueeze(3);
        let film = film.chunk(2, 1);
        let h = self.norm(&format!("{name}.norm1"), &h) * (&film[0] + 1.0) + &film[1];
        x + self.p.conv(&format!("{name}.conv1"), &h.silu(), 1)
    }

    /// Multi-head self-attention over all positions of the lowest level.
    fn attention(&self, x: &Tensor) -> Tensor {
        let (b, c, height, width) = x.size4().expect("because x is [B, C, H, W]");
        let heads = c / self.config.attention_head;
        let qkv = self.p.conv("attention.qkv", &self.norm("attention.norm", x), 1);
        let qkv = qkv.reshape([b, 3, heads, self.config.attention_head, height * width]);
        let [q, k, v] = [0, 1, 2].map(|i| qkv.select(1, i));
        let scale = 1.0 / (self.config.attention_head as f64).sqrt();
        let weights = (q.transpose(2, 3).matmul(&k) * scale).softmax(-1, None::<Kind>);
        let mixed = v.matmul(&weights.transpose(2, 3)).reshape([b, c, height, width]);
        x + self.p.conv("attention.out", &mixed, 1)
    }
}
