//! A galaxy as a sum of components.

use ndarray::Array2;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

use crate::clump::Clump;
use crate::config::SceneConfig;
use crate::disc::Disc;
use crate::edge_on::EdgeOn;
use crate::render::{Canvas, Surface};
use crate::spheroid::Spheroid;

/// What a galaxy looks like.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Disc with arms, half of them barred.
    Spiral,
    /// Smooth disc with a bulge.
    Lenticular,
    /// Spheroid alone.
    Elliptical,
    /// Lopsided, clumpy disc.
    Irregular,
    /// Disc seen from the side.
    EdgeOn,
}

/// The parameters of one galaxy; clear a field to switch a component off.
#[derive(Clone, Debug, PartialEq)]
pub struct Galaxy {
    /// Class it was drawn as.
    pub kind: Kind,
    /// Offset (x, y) from the centre of the frame ((N-1)/2, (N-1)/2), pixels.
    pub centre: [f64; 2],
    /// Bulge, or the whole elliptical.
    pub bulge: Option<Spheroid>,
    /// Disc.
    pub disc: Option<Disc>,
    /// Disc seen edge-on.
    pub edge_on: Option<EdgeOn>,
    /// Clumps.
    pub clumps: Vec<Clump>,
    /// Companions.
    pub companions: Vec<Spheroid>,
}

impl Galaxy {
    /// Flux of all components before dust, e-/s.
    pub fn flux(&self) -> f64 {
        let disc = self.disc.as_ref().map_or(0.0, |d| {
            d.flux + d.bar.map_or(0.0, |b| b.flux) + d.ring.map_or(0.0, |r| r.flux)
        });
        self.bulge.as_ref().map_or(0.0, |b| b.flux)
            + disc
            + self.edge_on.as_ref().map_or(0.0, |d| d.flux)
            + self.clumps.iter().map(|c| c.flux).sum::<f64>()
            + self.companions.iter().map(|c| c.flux).sum::<f64>()
    }

    /// Draws the galaxy on `ny` by `nx` pixels of `pixel_scale_relative` model pixels (0.5: twice as fine),
    /// the centre of that grid on the centre of the frame, with `oversample`^2 samples a pixel.
    ///
    /// Units: e-/s per *model* pixel whatever the scale; times `pixel_scale_relative^2` it is e-/s per drawn pixel.
    pub fn render(
        &self,
        ny: usize,
        nx: usize,
        pixel_scale_relative: f64,
        oversample: usize,
    ) -> Array2<f32> {
        let mut canvas = Canvas::new(ny, nx, pixel_scale_relative, oversample, self.centre);
        self.paint(&mut canvas);
        canvas.into_image()
    }

    /// Draws the galaxy.
    pub(crate) fn paint(&self, canvas: &mut impl Surface) {
        let bulge = self.bulge.as_ref().map(Spheroid::prepare);
        // Half of a bulge lies in front of the dust.
        let behind = |light: f32, depth: f32, x: f32, y: f32| {
            let seen = if depth > 0.0 { (-depth).exp() } else { 1.0 };
            light * seen + bulge.as_ref().map_or(0.0, |b| b.at(x, y)) * 0.5 * (1.0 + seen)
        };
        let bulge_radius = bulge.as_ref().map_or(0.0, |b| b.extent().1);
        if let Some(disc) = &self.disc {
            let disc = disc.prepare(CORE);
            canvas.add([0.0; 2], disc.radius().max(bulge_radius), |x, y| {
                let (light, depth) = disc.at(x, y);
                behind(light, depth, x, y)
            });
        } else if let Some(disc) = &self.edge_on {
            let disc = disc.prepare(CORE);
            canvas.add([0.0; 2], disc.radius().max(bulge_radius), |x, y| {
                let (light, depth) = disc.at(x, y);
                behind(light, depth, x, y)
            });
        } else if let Some(bulge) = &bulge {
            canvas.add(bulge.extent().0, bulge_radius, |x, y| bulge.at(x, y));
        }
        for clump in &self.clumps {
            canvas.add(clump.offset.map(|o| o as f32), clump.radius() as f32, clump.light());
        }
        for companion in &self.companions {
            let companion = companion.prepare();
            let (centre, radius) = companion.extent();
            canvas.add(centre, radius, |x, y| companion.at(x, y));
        }
    }
}

/// Softening of a disc's centre, pixels.
const CORE: f64 = 0.5;

/// Scene `k` of a seed: `[size, size]` surface brightness in e-/s per pixel, a pure function of its arguments.
pub fn galaxy(config: &SceneConfig, seed: u64, k: u64) -> Array2<f32> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    rng.set_stream(k);
    Galaxy::draw(&mut rng, config).render(config.size, config.size, 1.0, config.oversample)
}
