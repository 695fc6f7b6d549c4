//! Contact sheets as PNG.

use std::fs::File;
use std::io::BufWriter;
use std::path::Path;

use crate::error::TrainingError;

/// Grey value of surface brightness `x` (network units): asinh above sky, dark grey for negative
/// values, so that speckle and a biased sky are seen.
pub fn galaxy(x: f32) -> u8 {
    let stretched = (x / 0.1).asinh() / (20.0f32 / 0.1).asinh();
    (24.0 + 231.0 * stretched).clamp(0.0, 255.0) as u8
}

/// Grey values of noise of standard deviation `sigma`: zero in the middle, asinh to 100 sigma on
/// both sides; NaN is black.
pub fn noise(sigma: f64) -> impl Fn(f32) -> u8 {
    move |x| match x.is_nan() {
        true => 0,
        false => {
            let stretched = (f64::from(x) / sigma).asinh() / 100f64.asinh();
            (128.0 + 127.0 * stretched).clamp(1.0, 255.0) as u8
        }
    }
}

/// Writes images [count][size * size] as a sheet of `columns` columns, each pixel `zoom` wide and
/// of the `grey` of its value.
///
/// # Errors
/// [`TrainingError::Io`] or [`TrainingError::Png`] naming the file.
pub fn write(
    path: &Path,
    images: &[&[f32]],
    size: usize,
    columns: usize,
    zoom: usize,
    grey: impl Fn(f32) -> u8,
) -> Result<(), TrainingError> {
    let rows = images.len().div_ceil(columns);
    let tile = size * zoom + 2;
    let (width, height) = (columns * tile, rows * tile);
    let mut pixels = vec![0u8; width * height];
    for (k, image) in images.iter().enumerate() {
        let (top, left) = ((k / columns) * tile, (k % columns) * tile);
        for y in 0..size * zoom {
            for x in 0..size * zoom {
                // FITS convention: the first row is at the bottom.
                let value = image[(size - 1 - y / zoom) * size + x / zoom];
                pixels[(top + y) * width + left + x] = grey(value);
            }
        }
    }
    let file = File::create(path).map_err(TrainingError::io(path))?;
    let mut encoder = png::Encoder::new(BufWriter::new(file), width as u32, height as u32);
    encoder.set_color(png::ColorType::Grayscale);
    encoder.set_depth(png::BitDepth::Eight);
    let fail = |source| TrainingError::Png { path: path.into(), source };
    encoder.write_header().and_then(|mut w| w.write_image_data(&pixels)).map_err(fail)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn noise_is_grey_about_zero() {
        let grey = noise(2.0);
        assert_eq!((grey(0.0), grey(f32::NAN), grey(1e9), grey(-1e9)), (128, 0, 255, 1));
        for x in [0.5, 2.0, 60.0] {
            assert!((i32::from(grey(x)) + i32::from(grey(-x)) - 256).abs() <= 1, "{x}");
        }
    }
}
