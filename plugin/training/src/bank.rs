//! The training set: simulated scenes, drawn once and kept in a cache file.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

use indicatif::ProgressBar;
use pellucid_posterior::score::model_file::{read_tensors, write_tensors};
use pellucid_scene::{POPULATION, SceneConfig, galaxy};
use sha2::{Digest, Sha256};
use tch::{Kind, Tensor};

use crate::error::TrainingError;

/// Scenes in network units (x / flux_scale).
#[derive(Debug)]
pub struct Bank {
    /// All pixels, [count, size, size] f32.
    pub pixels: Vec<f32>,
    /// Number of scenes.
    pub count: usize,
    /// Rows and columns of a scene.
    pub size: usize,
    /// What the scenes are, with the SHA-256 of their pixels.
    pub description: String,
}

/// Mean image, power spectrum and rms of a bank, all in network units.
#[derive(Debug)]
pub struct Moments {
    /// Mean over scenes and the eight symmetries of the square, [H, W].
    pub mean: Tensor,
    /// Power spectrum of scene - mean over the unitary FFT2, symmetrised likewise, [H, W].
    pub power: Tensor,
    /// sqrt(mean x^2) over all pixels.
    pub rms: f64,
}

impl Bank {
    /// Draws scenes `first`..`first + count` of `seed` on all cores, divided by `flux_scale` (e-/s).
    pub fn simulate(size: usize, seed: u64, first: u64, count: usize, flux_scale: f64) -> Self {
        let config = SceneConfig { size, ..SceneConfig::default() };
        let area = size * size;
        let mut pixels = vec![0f32; count * area];
        let bar = ProgressBar::new(count as u64).with_message("drawing scenes");
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        let chunk = 64;
        let next = AtomicUsize::new(0);
        let slots: Vec<_> = pixels.chunks_mut(chunk * area).map(std::sync::Mutex::new).collect();
        std::thread::scope(|scope| {
            for _ in 0..threads {
                scope.spawn(|| {
                    loop {
                        let index = next.fetch_add(1, Ordering::Relaxed);
                        let Some(slot) = slots.get(index) else { break };
                        let mut slot = slot.lock().expect("because each chunk is taken once");
                        for (i, out) in slot.chunks_mut(area).enumerate() {
                            let scene = galaxy(&config, seed, first + (index * chunk + i) as u64);
                            for (o, v) in out.iter_mut().zip(&scene) {
                                *o = *v / flux_scale as f32;
                            }
                            bar.inc(1);
                        }
                    }
                });
            }
        });
        bar.finish_and_clear();
        drop(slots);
        let mut hash = Sha256::new();
        for value in &pixels {
            hash.update(value.to_le_bytes());
        }
        let digest = hash.finalize();
        let hex: String = digest[..8].iter().map(|b| format!("{b:02x}")).collect();
        let description = format!(
            "{count} simulated scenes {size}x{size} of population {POPULATION}, seed {seed}, first {first}, flux scale {flux_scale} e-/s, sha256 {hex}"
        );
        Self { pixels, count, size, description }
    }

    /// As [`Bank::simulate`], through a cache file in `folder`.
    ///
    /// # Errors
    /// [`TrainingError::Posterior`] when the cache cannot be written.
    pub fn cached(
        folder: &Path,
        size: usize,
        seed: u64,
        first: u64,
        count: usize,
        flux_scale: f64,
    ) -> Result<Self, TrainingError> {
        let path = cache_path(folder, size, seed, first, count, flux_scale);
        if let Ok((metadata, tensors)) = read_tensors(&path)
            && let (Some(description), [(_, pixels)]) = (metadata.get("description"), &tensors[..])
            && pixels.size() == [count as i64, size as i64, size as i64]
        {
            let pixels = Vec::<f32>::try_from(pixels.flatten(0, -1))?;
            return Ok(Self { pixels, count, size, description: description.clone() });
        }
        let bank = Self::simulate(size, seed, first, count, flux_scale);
        std::fs::create_dir_all(folder)
            .map_err(|source| TrainingError::Io { path: folder.into(), source })?;
        let metadata = HashMap::from([("description".into(), bank.description.clone())]);
        write_tensors(&path, metadata, &[("scenes".into(), bank.tensor())])?;
        Ok(bank)
    }

    /// The scenes as [count, size, size].
    pub fn tensor(&self) -> Tensor {
        let n = self.size as i64;
        Tensor::from_slice(&self.pixels).reshape([self.count as i64, n, n])
    }

    /// Scene `k`, [size, size].
    pub fn scene(&self, k: usize) -> &[f32] {
        let area = self.size * self.size;
        &self.pixels[k * area..(k + 1) * area]
    }

    /// Mean, power spectrum and rms.
    pub fn moments(&self) -> Moments {
        let all = self.tensor();
        let mean = symmetrise(&all.mean_dim([0i64].as_slice(), false, Kind::Float));
        let chunks = all.split(1024, 0);
        let mut power = Tensor::zeros(mean.size(), (Kind::Double, mean.device()));
        for chunk in &chunks {
            let spectrum = (chunk - &mean).fft_fft2(None::<&[i64]>, [-2, -1], "ortho");
            let squared =
                spectrum.abs().square().sum_dim_intlist([0i64].as_slice(), false, Kind::Double);
            power += squared;
        }
        // In Fourier space the symmetries act about k = 0: bring it to a corner that maps to itself.
        let power = symmetrise_about_zero(&(power / self.count as f64).to_kind(Kind::Float));
        let rms = all.square().mean(Kind::Double).double_value(&[]).sqrt();
        Moments { mean, power, rms }
    }
}

fn cache_path(
    folder: &Path,
    size: usize,
    seed: u64,
    first: u64,
    count: usize,
    flux_scale: f64,
) -> PathBuf {
    let name = format!("scenes{POPULATION}-{size}-{seed}-{first}-{count}-{flux_scale}.safetensors");
    folder.join(name)
}

fn average(images: &[Tensor]) -> Tensor {
    Tensor::stack(images, 0).mean_dim([0i64].as_slice(), false, Kind::Float)
}

fn symmetrise(image: &Tensor) -> Tensor {
    let turned: Vec<_> = (0..4).map(|k| image.rot90(k, [0, 1])).collect();
    let both: Vec<_> = turned.iter().flat_map(|t| [t.shallow_clone(), t.transpose(0, 1)]).collect();
    average(&both)
}

fn symmetrise_about_zero(power: &Tensor) -> Tensor {
    let mirror = |p: &Tensor, axis: i64| p.flip([axis]).roll([1], [axis]);
    let a = mirror(power, 0);
    let b = mirror(power, 1);
    let ab = mirror(&a, 1);
    let four = [power.shallow_clone(), a, b, ab];
    let all: Vec<_> = four.iter().flat_map(|t| [t.shallow_clone(), t.transpose(0, 1)]).collect();
    average(&all)
}
