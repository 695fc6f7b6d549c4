//! From a function on the sky to pixels.

use ndarray::Array2;

/// What a galaxy can be drawn on; positions are pixels of the model grid from the galaxy's centre.
pub(crate) trait Surface {
    /// Adds `light`, which is zero beyond `radius` of `centre`.
    fn add(&mut self, centre: [f32; 2], radius: f32, light: impl Fn(f32, f32) -> f32);
}

/// A pixel grid around a galaxy; positions are pixels of the model grid from the galaxy's centre.
pub(crate) struct Canvas {
    image: Array2<f32>,
    /// Position of the centre of pixel (0, 0), (x, y).
    origin: [f32; 2],
    scale: f32,
    oversample: usize,
}

impl Canvas {
    /// A grid of `ny` by `nx` pixels of `scale` model pixels, whose centre ((nx-1)/2, (ny-1)/2) is the frame's;
    /// the galaxy lies at `centre` from there.
    pub(crate) fn new(
        ny: usize,
        nx: usize,
        scale: f64,
        oversample: usize,
        centre: [f64; 2],
    ) -> Self {
        let origin = |n: usize, c: f64| (-(n as f64 - 1.0) / 2.0 * scale - c) as f32;
        Self {
            image: Array2::zeros((ny, nx)),
            origin: [origin(nx, centre[0]), origin(ny, centre[1])],
            scale: scale as f32,
            oversample,
        }
    }

    pub(crate) fn into_image(self) -> Array2<f32> {
        self.image
    }
}

impl Surface for Canvas {
    /// Averages over each pixel. Sub-sample k of s lies at `i + (k + 0.5) / s - 0.5`.
    fn add(&mut self, centre: [f32; 2], radius: f32, light: impl Fn(f32, f32) -> f32) {
        let s = self.oversample;
        let (ny, nx) = self.image.dim();
        let step = self.scale / s as f32;
        let weight = 1.0 / (s * s) as f32;
        let pixels = |axis: usize, n: usize| {
            let low = (centre[axis] - radius - self.origin[axis]) / self.scale;
            let high = (centre[axis] + radius - self.origin[axis]) / self.scale;
            (low - 0.5).ceil().max(0.0) as usize
                ..((high + 0.5).floor() + 1.0).clamp(0.0, n as f32) as usize
        };
        let corner = -0.5 * self.scale + 0.5 * step;
        let reach = (radius + 0.71 * self.scale).powi(2);
        for i in pixels(1, ny) {
            let y = self.origin[1] + i as f32 * self.scale;
            for j in pixels(0, nx) {
                let x = self.origin[0] + j as f32 * self.scale;
                if (x - centre[0]).powi(2) + (y - centre[1]).powi(2) > reach {
                    continue;
                }
                let mut sum = 0.0;
                for k in 0..s {
                    let ys = y + corner + k as f32 * step;
                    for l in 0..s {
                        sum += light(x + corner + l as f32 * step, ys);
                    }
                }
                self.image[[i, j]] += sum * weight;
            }
        }
    }
}
