//! The network of a learned noise model: a small U-Net at full, half and quarter resolution.
//!
//! It sees one exposure of any size from 16 pixels on. No normalisation over the image: the answer at a
//! pixel depends on its neighbourhood of about 30 pixels (a long cosmic ray), not on what else was
//! exposed. The noise level enters every block as scale and shift (Perez et al. 2018, arXiv 1709.07871).

use serde::{Deserialize, Serialize};
use tch::{Kind, Tensor};

use crate::error::PosteriorError;
use crate::score::parameters::{Layout, LayoutBuilder, Parameters};

/// Channels of the input, see [`forward`].
pub const INPUTS: i64 = 4;
/// Noise levels it is told.
pub const LEVELS: i64 = 2;
/// Smallest side of an image.
pub const SMALLEST_SIDE: i64 = 16;

/// Sizes of the network.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NoiseNetConfig {
    /// Channels at full, half, quarter ... resolution.
    pub widths: Vec<i64>,
    /// Residual blocks a resolution, down and up each.
    pub blocks: i64,
    /// Width of the embedding of the noise level.
    pub embedding: i64,
}

impl Default for NoiseNetConfig {
    fn default() -> Self {
        Self { widths: vec![16, 32, 64], blocks: 1, embedding: 32 }
    }
}

impl NoiseNetConfig {
    /// # Errors
    /// [`PosteriorError::Config`] naming the field.
    pub fn validate(&self) -> Result<(), PosteriorError> {
        let sane = |n: &i64| (1..=1024).contains(n);
        // Four halvings of the smallest image leave one pixel.
        if !(1..=5).contains(&self.widths.len()) || !self.widths.iter().all(sane) {
            let got = format!("{:?}", self.widths);
            return Err(PosteriorError::config("net.widths", "1 to 5 widths in 1..=1024", got));
        }
        if !(1..=16).contains(&self.blocks) {
            return Err(PosteriorError::config("net.blocks", "1 to 16", self.blocks));
        }
        if !sane(&self.embedding) || self.embedding % 2 != 0 {
            let got = self.embedding;
            return Err(PosteriorError::config("net.embedding", "an even number to 1024", got));
        }
        Ok(())
    }

    /// Pixels to each side that the answer at a pixel can depend on: 36 for the shipped sizes.
    pub fn reach_px(&self) -> usize {
        let blocks = usize::try_from(self.blocks).unwrap_or(0);
        let of_level = |level: usize| {
            // Two convolutions a block, down and up; the one that halves; one of two pixels when doubled.
            let pixel = 1 << level;
            4 * blocks * pixel + if level > 0 { pixel } else { 0 }
        };
        // Stem and output.
        2 + (0..self.widths.len()).map(of_level).sum::<usize>()
    }

    /// Names and shapes of all parameters. The output starts at zero: an untrained net leaves the base alone.
    pub fn layout(&self) -> Vec<Layout> {
        let mut l = LayoutBuilder::default();
        let e = self.embedding;
        l.linear("embed.0", LEVELS * e, e, 1.0);
        l.linear("embed.1", e, e, 1.0);
        l.conv("stem", INPUTS, self.widths[0], 3, 1.0);
        for (level, &width) in self.widths.iter().enumerate() {
            if level > 0 {
                l.conv(&format!("down{level}.resample"), self.widths[level - 1], width, 3, 1.0);
                l.conv(&format!("up{level}.resample"), width, self.widths[level - 1], 1, 1.0);
            }
            for block in 0..self.blocks {
                block_layout(&mut l, &format!("down{level}.{block}"), width, e);
                block_layout(&mut l, &format!("up{level}.{block}"), width, e);
            }
        }
        l.conv("out", self.widths[0], 1, 3, 0.0);
        l.0
    }
}

fn block_layout(l: &mut LayoutBuilder, name: &str, width: i64, embedding: i64) {
    l.conv(&format!("{name}.conv0"), width, width, 3, 1.4);
    l.linear(&format!("{name}.level"), embedding, 2 * width, 0.3);
    // A near-zero start makes every block the identity at first.
    l.conv(&format!("{name}.conv1"), width, width, 3, 1e-2);
}

/// Evaluates the network.
///
/// # Shapes
/// x [B, [`INPUTS`], ny, nx]; levels [B, [`LEVELS`]], logarithms of noise levels (about -3 to 8); the result [B, ny, nx].
pub fn forward(config: &NoiseNetConfig, p: &Parameters, x: &Tensor, levels: &Tensor) -> Tensor {
    let net = Net { config, p };
    let level = net.embed(levels);
    let last = config.widths.len() - 1;
    let mut h = net.p.conv("stem", x, 1);
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
    for i in (0..=last).rev() {
        for block in 0..config.blocks {
            h = net.block(&format!("up{i}.{block}"), &h, &level);
        }
        if i > 0 {
            let finer = &skips[i - 1];
            let [ny, nx] = [finer.size()[2], finer.size()[3]];
            let up = net.p.conv(&format!("up{i}.resample"), &h, 1);
            // Odd sides halve upwards: the last row or column is cut off again.
            let [rows, columns] = [2 * up.size()[2], 2 * up.size()[3]];
            let up = up.upsample_nearest2d([rows, columns], None::<f64>, None::<f64>);
            h = finer + up.narrow(2, 0, ny).narrow(3, 0, nx);
        }
    }
    net.p.conv("out", &h.silu(), 1).squeeze_dim(1)
}

struct Net<'a> {
    config: &'a NoiseNetConfig,
    p: &'a Parameters,
}

impl Net<'_> {
    /// Sinusoidal features of each level, periods 25 to 1.6, then two dense layers.
    fn embed(&self, levels: &Tensor) -> Tensor {
        let half = self.config.embedding / 2;
        let steps = Tensor::arange(half, (Kind::Float, levels.device())) / (half - 1).max(1);
        let frequency = (steps * 16f64.ln()).exp() * 0.25;
        let phase = (levels.unsqueeze(2) * frequency).flatten(1, 2);
        let features = Tensor::cat(&[phase.sin(), phase.cos()], 1);
        self.p.linear("embed.1", &self.p.linear("embed.0", &features).silu()).silu()
    }

    fn block(&self, name: &str, x: &Tensor, level: &Tensor) -> Tensor {
        let h = self.p.conv(&format!("{name}.conv0"), &x.silu(), 1);
        let film = self.p.linear(&format!("{name}.level"), level).unsqueeze(2).unsqueeze(3);
        let film = film.chunk(2, 1);
        let h = h * (&film[0] + 1.0) + &film[1];
        x + self.p.conv(&format!("{name}.conv1"), &h.silu(), 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tch::Device;

    /// Exactly: what lies further away changes nothing, and nearer something does.
    #[test]
    fn the_net_sees_as_far_as_it_says() {
        let config = NoiseNetConfig::default();
        assert_eq!(config.reach_px(), 36);
        for config in [config, NoiseNetConfig { widths: vec![4, 4], blocks: 2, embedding: 4 }] {
            let mut weights = Parameters::initialise(&config.layout(), 3);
            let names: Vec<String> = weights.iter().map(|(name, _)| name.to_owned()).collect();
            for name in names.iter().filter(|name| name.ends_with("weight")) {
                let shape = weights.get(name).size();
                let ones = Tensor::ones(&shape[..], (Kind::Float, Device::Cpu));
                let scale = shape[1..].iter().product::<i64>() as f64;
                weights.insert(name, ones / scale);
            }
            let reach = config.reach_px() as i64;
            let levels = Tensor::zeros([1, LEVELS], (Kind::Float, Device::Cpu));
            let at = |image: &Tensor| forward(&config, &weights, image, &levels);
            let n = 4 * (2 * reach + 17) / 4;
            let dark = Tensor::zeros([1, INPUTS, 16, n], (Kind::Float, Device::Cpu));
            let plain = at(&dark);
            let mut furthest = 0;
            for phase in 0..4 {
                let x = n / 2 + phase;
                let lit = dark.copy();
                let _ = lit.narrow(3, x, 1).fill_(1e3);
                let changed = (at(&lit) - &plain).abs().amax([0i64, 1].as_slice(), false);
                let changed = Vec::<f32>::try_from(changed).expect("a row");
                let seen = (0..n).filter(|&k| changed[k as usize] > 0.0);
                furthest = seen.map(|k| (k - x).abs()).max().unwrap_or(0).max(furthest);
            }
            assert!(furthest <= reach && furthest >= reach - 6, "{furthest} of {reach}");
        }
    }
}
