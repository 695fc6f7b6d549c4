//! What is simulated: a random galaxy, or an image.

use ndarray::Array2;
use pellucid_host::HostError;
use pellucid_host::fits::{Card, FitsAddress};
use pellucid_host::sky::ModelGrid;
use pellucid_scene::{Galaxy, SceneConfig};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

use crate::predict::read_model;

/// Sub-samples per pixel and axis of the truth.
const OVERSAMPLE: usize = 8;
/// Model pixels by which the drawn scene is larger than the model, each side.
const BORDER: usize = 8;

/// A scene, e-/s per detector pixel.
pub struct Scene {
    /// What the forward model is given.
    pub drawn: Array2<f32>,
    /// Its grid.
    pub drawn_grid: ModelGrid,
    /// The truth on the model's grid, to compare samples with.
    pub truth: Array2<f32>,
    /// Its grid.
    pub truth_grid: ModelGrid,
    /// What it is, for headers.
    pub cards: Vec<Card>,
}

impl Scene {
    /// Scene 0 of a seed. Its pixels are the model's, whatever their scale; `area` is that of a
    /// detector pixel in model pixels.
    ///
    /// The forward model is given an image twice as fine, and larger, so that the exposures are
    /// not made with the very operator the sampler inverts.
    pub fn random(grid: &ModelGrid, seed: u64, area: f64) -> Self {
        let config = SceneConfig { size: grid.nx, ..SceneConfig::default() };
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let galaxy = Galaxy::draw(&mut rng, &config);
        let fine = 2 * (grid.nx + 2 * BORDER);
        let brightness = |image: Array2<f32>| image.mapv(|v| (f64::from(v) * area) as f32);
        Self {
            drawn: brightness(galaxy.render(fine, fine, 0.5, OVERSAMPLE)),
            drawn_grid: ModelGrid {
                nx: fine,
                ny: fine,
                pixel_scale_arcsec: grid.pixel_scale_arcsec / 2.0,
                ..*grid
            },
            truth: brightness(galaxy.render(grid.ny, grid.nx, 1.0, OVERSAMPLE)),
            truth_grid: *grid,
            cards: vec![
                Card::new("KIND", format!("{:?}", galaxy.kind), "class of galaxy"),
                Card::new("COMPANIO", galaxy.companions.len(), "companions"),
                Card::new("CLUMPS", galaxy.clumps.len(), "star-forming clumps"),
                Card::new("SCENE", format!("{galaxy:?}"), "parameters, lengths in model pixels"),
            ],
        }
    }

    /// An image with a TAN WCS, e-/s per detector pixel.
    ///
    /// # Errors
    /// Those of reading a model image.
    pub fn image(address: &FitsAddress) -> Result<Self, HostError> {
        let (image, grid) = read_model(address)?;
        Ok(Self {
            drawn: image.clone(),
            drawn_grid: grid,
            truth: image,
            truth_grid: grid,
            cards: vec![Card::new("SCENE", address.to_string(), "the image simulated")],
        })
    }

    /// Multiplies the scene by a factor.
    pub fn scale(&mut self, factor: f64) {
        for image in [&mut self.drawn, &mut self.truth] {
            image.mapv_inplace(|v| (f64::from(v) * factor) as f32);
        }
    }
}
