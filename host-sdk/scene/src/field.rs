//! A blank field: faint galaxies and stars all over a detector.
//!
//! | quantity | F814W | F160W | source |
//! |---|---|---|---|
//! | galaxies per arcmin2 | 203 brighter than 26.5 | 111 brighter than 24.75 | 1.2 million in 1.64 deg2 (Leauthaud et al. 2007); 4e5 per deg2 (Yan et al. 1998; taken as AB) |
//! | d log10 N / dm | 0.33 | 0.31 | Smail et al. 1995 (I); Yan et al. 1998 |
//! | half-light radius | 0.2" at 25.75, 0.44" at 22 | the same | Smail et al. 1995; the COSMOS catalogue of [`SceneConfig`] |
//! | stars per arcmin2 | 4 brighter than 25 | the same | order of the counts of Robin et al. 2007 in COSMOS |
//! | zero point, AB | 25.94 | 25.95 | ACS and WFC3 handbooks |

use ndarray::Array2;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, Poisson};

use crate::config::{LogNormal, Ranges, SceneConfig};
use crate::galaxy::Galaxy;
use crate::render::Surface;

/// The stream of a seed that fields are drawn from.
const STREAM: u64 = u64::MAX;
/// Size of a model pixel, arcsec.
pub const MODEL_SCALE_ARCSEC: f64 = 0.03;
/// Frame of a galaxy, half-light radii.
const FRAME: f64 = 8.0;

/// Number counts: N(< m) per arcmin2 = density 10^(slope (m - faint)).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Counts {
    /// Sources brighter than `faint`, per arcmin2.
    pub per_arcmin2: f64,
    /// d log10 N / dm.
    pub slope: f64,
    /// Brightest magnitude drawn.
    pub bright: f64,
    /// Faintest magnitude drawn.
    pub faint: f64,
}

impl Counts {
    /// Sources brighter than a magnitude, and fainter than `bright`, per arcmin2.
    pub fn brighter(&self, magnitude: f64) -> f64 {
        let counts = |m: f64| self.per_arcmin2 * 10f64.powf(self.slope * (m - self.faint));
        counts(magnitude.clamp(self.bright, self.faint)) - counts(self.bright)
    }

    /// The magnitude at a share of the counts, the brightest first.
    fn magnitude(&self, share: f64) -> f64 {
        let first = 10f64.powf(self.slope * (self.bright - self.faint));
        self.faint + (first + share * (1.0 - first)).log10() / self.slope
    }
}

/// What a field is made of.
#[derive(Clone, Debug, PartialEq)]
pub struct FieldConfig {
    /// Galaxies.
    pub galaxies: Counts,
    /// Stars.
    pub stars: Counts,
    /// AB magnitude of 1 e-/s.
    pub zero_point: f64,
    /// Median half-light radius at magnitude 25.75, arcsec.
    pub radius_arcsec: f64,
    /// d log10 (radius) / dm.
    pub radius_slope: f64,
    /// Scatter of log10 (radius).
    pub radius_dex: f64,
}

impl FieldConfig {
    /// ACS/WFC F814W.
    pub fn f814w() -> Self {
        Self {
            galaxies: Counts { per_arcmin2: 203.0, slope: 0.33, bright: 19.0, faint: 26.5 },
            stars: Counts { per_arcmin2: 4.0, slope: 0.12, bright: 19.0, faint: 25.0 },
            zero_point: 25.94,
            radius_arcsec: 0.2,
            radius_slope: -0.09,
            radius_dex: 0.2,
        }
    }

    /// WFC3/IR F160W: the counts reach as far below the noise as those of F814W.
    pub fn f160w() -> Self {
        let mut galaxies = Counts { per_arcmin2: 111.0, slope: 0.31, bright: 18.5, faint: 24.75 };
        galaxies.per_arcmin2 *= 10f64.powf(galaxies.slope * (26.0 - galaxies.faint));
        galaxies.faint = 26.0;
        Self { galaxies, zero_point: 25.95, ..Self::f814w() }
    }

    /// With `factor` times as many sources.
    pub fn scaled(mut self, factor: f64) -> Self {
        self.galaxies.per_arcmin2 *= factor;
        self.stars.per_arcmin2 *= factor;
        self
    }

    /// The sources of a square of `side_arcsec` around the field's centre.
    pub fn draw(&self, side_arcsec: f64, seed: u64) -> Vec<Source> {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        rng.set_stream(STREAM);
        let half = side_arcsec / MODEL_SCALE_ARCSEC / 2.0;
        let area_arcmin2 = (side_arcsec / 60.0).powi(2);
        let mut sources = Vec::new();
        for (counts, resolved) in [(&self.galaxies, true), (&self.stars, false)] {
            let mean = counts.brighter(counts.faint) * area_arcmin2;
            let number = Poisson::new(mean).map_or(0.0, |p: Poisson<f64>| p.sample(&mut rng));
            for _ in 0..number as usize {
                let position = [(); 2].map(|()| rng.random_range(-half..half));
                let magnitude = counts.magnitude(rng.random());
                sources.push(Source {
                    position,
                    magnitude,
                    flux_e_per_s: 10f64.powf(0.4 * (self.zero_point - magnitude)),
                    galaxy: resolved.then(|| self.galaxy(&mut rng, magnitude)),
                });
            }
        }
        sources
    }

    /// A galaxy as large as its magnitude has them; its flux is that of the population of stamps.
    fn galaxy(&self, rng: &mut ChaCha8Rng, magnitude: f64) -> Galaxy {
        let median = self.radius_arcsec * 10f64.powf(self.radius_slope * (magnitude - 25.75));
        let radius = LogNormal::new(median, self.radius_dex, 0.06, 1.2).draw(rng);
        let pixels = radius / MODEL_SCALE_ARCSEC;
        let config = SceneConfig {
            size: (FRAME * pixels).ceil() as usize,
            ranges: Ranges {
                half_light_radius: LogNormal::new(pixels, 0.0, pixels, pixels),
                companions: 0.0,
                star: 0.0,
                ..Ranges::default()
            },
            ..SceneConfig::default()
        };
        Galaxy::draw(rng, &config)
    }
}

/// One source of a field.
#[derive(Clone, Debug, PartialEq)]
pub struct Source {
    /// (x, y) from the field's centre, model pixels.
    pub position: [f64; 2],
    /// AB magnitude.
    pub magnitude: f64,
    /// Flux.
    pub flux_e_per_s: f64,
    /// What a galaxy looks like, whatever its flux and centre; `None` for a star.
    pub galaxy: Option<Galaxy>,
}

/// Where a source falls on a grid of pixels.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Placement {
    /// (x, y) of its centre, 0-based.
    pub pixel: [f64; 2],
    /// Model pixels by grid pixel: `[[dX/dx, dX/dy], [dY/dx, dY/dy]]`.
    pub jacobian: [[f64; 2]; 2],
}

impl Source {
    /// Adds `weight` times the source to a grid of e-/s per pixel, fine enough to sample it at pixel centres.
    pub fn paint(&self, image: &mut Array2<f32>, at: &Placement, weight: f64) {
        let flux = weight * self.flux_e_per_s;
        let Some(galaxy) = &self.galaxy else { return point(image, at.pixel, flux) };
        let [[a, b], [c, d]] = at.jacobian;
        let area = a * d - b * c;
        let inverse = [[d / area, -b / area], [-c / area, a / area]];
        let scale = (flux / galaxy.flux() * area.abs()) as f32;
        galaxy.paint(&mut Grid { image, at: *at, inverse, scale });
    }
}

/// A point, shared among the four nearest pixels.
fn point(image: &mut Array2<f32>, [x, y]: [f64; 2], flux: f64) {
    let (x0, y0) = (x.floor(), y.floor());
    for (i, j) in [(0, 0), (0, 1), (1, 0), (1, 1)] {
        let (py, px) = (y0 + f64::from(i), x0 + f64::from(j));
        let share = (1.0 - (x - px).abs()) * (1.0 - (y - py).abs());
        if py >= 0.0
            && px >= 0.0
            && let Some(pixel) = image.get_mut([py as usize, px as usize])
        {
            *pixel += (share * flux) as f32;
        }
    }
}

struct Grid<'a> {
    image: &'a mut Array2<f32>,
    at: Placement,
    inverse: [[f64; 2]; 2],
    scale: f32,
}

impl Surface for Grid<'_> {
    fn add(&mut self, centre: [f32; 2], radius: f32, light: impl Fn(f32, f32) -> f32) {
        let (ny, nx) = self.image.dim();
        let range = |axis: usize, n: usize| {
            let [u, v] = self.inverse[axis];
            let middle = self.at.pixel[axis] + u * f64::from(centre[0]) + v * f64::from(centre[1]);
            let reach = f64::from(radius) * u.hypot(v);
            let end = (middle + reach + 1.0).clamp(0.0, n as f64);
            (middle - reach).clamp(0.0, n as f64) as usize..end as usize
        };
        let [[a, b], [c, d]] = self.at.jacobian;
        for i in range(1, ny) {
            let dy = i as f64 - self.at.pixel[1];
            for j in range(0, nx) {
                let dx = j as f64 - self.at.pixel[0];
                let light = light((a * dx + b * dy) as f32, (c * dx + d * dy) as f32);
                self.image[[i, j]] += self.scale * light;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_and_sizes_are_as_published() {
        let config = FieldConfig::f814w();
        let sources = config.draw(480.0, 4);
        assert_eq!(sources, config.draw(480.0, 4));
        let (galaxies, stars): (Vec<_>, Vec<_>) = sources.iter().partition(|s| s.galaxy.is_some());
        for (counts, found) in [(config.galaxies, &galaxies), (config.stars, &stars)] {
            for m in [22.0, 24.0, 26.0] {
                let expected = counts.brighter(m) * 64.0;
                let number = found.iter().filter(|s| s.magnitude < m).count() as f64;
                assert!((number - expected).abs() < 5.0 * expected.sqrt(), "{number} {expected}");
            }
        }
        assert!(sources.iter().all(|s| s.position.iter().all(|p| p.abs() <= 8000.0)));
        assert!((FieldConfig::f160w().galaxies.brighter(24.75) / 110.0 - 1.0).abs() < 0.05);
        assert!(config.scaled(0.0).draw(480.0, 4).is_empty());
    }

    #[test]
    fn a_source_on_the_model_grid_is_its_scene() {
        let source = FieldConfig::f814w().draw(100.0, 1).remove(0);
        let galaxy = Galaxy { centre: [0.0; 2], ..source.galaxy.clone().unwrap() };
        let n = 101;
        let place = Placement { pixel: [50.0; 2], jacobian: [[1.0, 0.0], [0.0, 1.0]] };
        let mut image = Array2::zeros((n, n));
        source.paint(&mut image, &place, 1.0);
        let scene = galaxy.render(n, n, 1.0, 1);
        let scale = (source.flux_e_per_s / galaxy.flux()) as f32;
        let most = scene.iter().fold(0f32, |m, v| m.max(*v)) * scale;
        let worst = image.iter().zip(&scene).map(|(a, b)| (a - scale * b).abs());
        assert!(most > 0.0 && worst.fold(0f32, f32::max) < 1e-4 * most);
    }

    #[test]
    fn flux_survives_a_skew_grid() {
        let jacobian = [[0.41, 0.07], [-0.03, -0.38]];
        let mut checked = 0;
        for source in FieldConfig::f814w().draw(60.0, 2) {
            // Dust takes some light of the others.
            let clear = |g: &Galaxy| g.disc.is_none() && g.edge_on.is_none();
            if !source.galaxy.as_ref().is_none_or(clear) {
                continue;
            }
            let mut image = Array2::zeros((800, 800));
            source.paint(&mut image, &Placement { pixel: [391.3, 410.8], jacobian }, 2.0);
            let sum = image.iter().map(|v| f64::from(*v)).sum::<f64>();
            assert!((sum / source.flux_e_per_s - 2.0).abs() < 0.02, "{sum}");
            let x: f64 = image.indexed_iter().map(|((_, x), v)| x as f64 * f64::from(*v)).sum();
            assert!((x / sum - 391.3).abs() < 1.0, "{}", x / sum);
            checked += 1;
        }
        assert!(checked > 5, "{checked}");
    }
}
