//! Matched filters for straight tracks: as sharp as a cosmic ray, or as wide as the PSF.

use std::f64::consts::PI;

use ndarray::Array2;

use super::clip::sigma_clip;

/// Lengths of the tracks, pixels, and their directions over half a turn: ends half a pixel apart.
const LENGTHS: [(f64, usize); 6] =
    [(0.0, 1), (1.0, 8), (2.0, 12), (4.0, 16), (8.0, 24), (14.0, 40)];
/// A track at least this long is not moved along itself by half a pixel.
const LONG: f64 = 2.0;
/// Samples of a pixel along each axis.
const FINE: usize = 5;
/// Pixels that get less than this share of the brightest one are left out.
const FAINTEST: f32 = 0.02;
/// Pixels that get more than this share of the brightest one carry a track.
const CARRYING: f32 = 0.1;
/// Points of an image at which the noise of a template is measured.
const SAMPLE: usize = 2000;

/// One shape: pixels (dy, dx) and their weights, of unit sum of squares.
struct Template {
    pixels: Vec<([isize; 2], f32)>,
    /// Standard deviation of its response to the noise of the image.
    scale: f32,
}

/// Tracks of one width and all lengths and directions, fit to the noise of one image.
pub(super) struct Tracks {
    templates: Vec<Template>,
}

/// The best of the tracks.
pub(super) struct Match {
    /// Signal-to-noise ratio.
    pub ratio: f32,
    /// Its middle.
    pub at: (usize, usize),
    /// Pixels that carry its light.
    pub pixels: Vec<(usize, usize)>,
}

impl Tracks {
    /// Draws tracks whose cross-section is a Gaussian of standard deviation `width_px`, and
    /// measures their response to the noise of `z`.
    pub fn new(width_px: f64, z: &Array2<f32>, usable: &Array2<bool>) -> Self {
        let mut templates = Vec::new();
        for (length, directions) in LENGTHS {
            for k in 0..directions {
                let angle = PI * k as f64 / directions as f64;
                let along: &[f64] = if length < LONG { &[0.0, 0.5] } else { &[0.0] };
                for shift in along.iter().flat_map(|a| [[*a, 0.0], [*a, 0.5]]) {
                    templates.push(Template::draw(width_px, length, angle, shift));
                }
            }
        }
        let places = usable.indexed_iter().filter(|(_, u)| **u).map(|(p, _)| p);
        let places: Vec<_> = places.step_by((z.len() / SAMPLE).max(1)).collect();
        for template in &mut templates {
            let responses = places.iter().map(|&p| f64::from(template.response(z, p)));
            if let Some(noise) = sigma_clip(responses).filter(|c| c.sigma > 0.0) {
                template.scale = noise.sigma as f32;
            }
        }
        Self { templates }
    }

    /// The best track whose middle is one of `places`, of which there must be one.
    pub fn best(&self, z: &Array2<f32>, places: &[(usize, usize)]) -> Match {
        let mut best = (f32::MIN, &self.templates[0], places[0]);
        for &p in places {
            for template in &self.templates {
                let ratio = template.response(z, p) / template.scale;
                if ratio > best.0 {
                    best = (ratio, template, p);
                }
            }
        }
        let (ratio, template, at) = best;
        let brightest = template.brightest();
        let carrying = template.pixels.iter().filter(|(_, w)| *w > CARRYING * brightest);
        let pixels = carrying.filter_map(|(offset, _)| shifted(z.dim(), at, *offset)).collect();
        Match { ratio, at, pixels }
    }
}

impl Template {
    /// A track of `length` about the origin, moved `shift` pixels along and across: the integral
    /// over each pixel of exp(-d^2 / (2 width^2)), d the distance from the segment.
    fn draw(width: f64, length: f64, angle: f64, shift: [f64; 2]) -> Self {
        let (sin, cos) = angle.sin_cos();
        let light = |u: f64, v: f64| {
            let (along, across) = (u * cos + v * sin - shift[0], v * cos - u * sin - shift[1]);
            let beyond = (along.abs() - 0.5 * length).max(0.0);
            (-0.5 * (across * across + beyond * beyond) / (width * width)).exp()
        };
        let steps = (0..FINE).map(|k| (k as f64 + 0.5) / FINE as f64 - 0.5);
        let half = (0.5 * length + 3.0 * width).ceil() as isize + 1;
        let mut pixels = Vec::new();
        for y in -half..=half {
            for x in -half..=half {
                let samples = steps.clone().flat_map(|j| steps.clone().map(move |i| (i, j)));
                let sum: f64 = samples.map(|(i, j)| light(x as f64 + i, y as f64 + j)).sum();
                pixels.push(([y, x], sum as f32));
            }
        }
        let mut template = Self { pixels, scale: 1.0 };
        let faintest = FAINTEST * template.brightest();
        template.pixels.retain(|(_, w)| *w > faintest);
        let norm = template.pixels.iter().map(|(_, w)| w * w).sum::<f32>().sqrt();
        template.pixels.iter_mut().for_each(|(_, w)| *w /= norm);
        template
    }

    fn brightest(&self) -> f32 {
        self.pixels.iter().fold(0.0, |m, (_, w)| m.max(*w))
    }

    fn response(&self, z: &Array2<f32>, at: (usize, usize)) -> f32 {
        let on_image = |offset| shifted(z.dim(), at, offset);
        self.pixels.iter().filter_map(|(offset, w)| Some(w * z[on_image(*offset)?])).sum()
    }
}

fn shifted(
    (ny, nx): (usize, usize),
    (y, x): (usize, usize),
    [dy, dx]: [isize; 2],
) -> Option<(usize, usize)> {
    let y = y.checked_add_signed(dy).filter(|y| *y < ny)?;
    Some((y, x.checked_add_signed(dx).filter(|x| *x < nx)?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cutouts::tests::white_noise;

    /// A straight track is found with nearly the ratio that its own shape would give, and its
    /// pixels with it.
    #[test]
    fn tracks_between_the_templates_are_matched() {
        let noise = white_noise(60, 60, 5);
        let narrow = Tracks::new(0.3, &noise, &Array2::from_elem((60, 60), true));
        for (length, angle, shift) in [(2.7, 0.4, 0.2), (6.0, 1.1, 0.35), (11.0, 2.9, -0.3)] {
            let track = Template::draw(0.3, length, angle, [0.1, shift]);
            let mut z = Array2::zeros((60, 60));
            for (offset, w) in &track.pixels {
                z[shifted((60, 60), (30, 30), *offset).unwrap()] = 100.0 * w;
            }
            let places: Vec<_> =
                z.indexed_iter().filter(|(_, v)| **v > 1.0).map(|(p, _)| p).collect();
            let found = narrow.best(&z, &places);
            assert!(found.ratio > 85.0 && found.ratio < 106.0, "{length}: {}", found.ratio);
            let missed =
                places.iter().filter(|p| z[**p] > 20.0 && !found.pixels.contains(p)).count();
            assert!(missed <= 1, "{length}: {missed} pixels");
        }
    }
}
