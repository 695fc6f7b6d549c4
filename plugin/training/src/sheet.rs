//! Contact sheets of galaxies as PNG.

use std::fs::File;
use std::io::BufWriter;
use std::path::Path;

use crate::error::TrainingError;

/// Grey value of surface brightness `x` (network units): asinh above sky, dark grey for negative
/// values, so that speckle and a biased sky are seen.
fn grey(x: f32) -> u8 {
    let stretched = (x / 0.1).asinh() / (20.0f32 / 0.1).asinh();
    (24.0 + 231.0 * stretched).clamp(0.0, 255.0) as u8
}

/// Writes images [count][size * size] as a sheet of `columns` columns, each pixel `zoom` wide.
///
/// # Errors
/// [`TrainingError::Io`] or [`TrainingError::Png`] naming the file.
pub fn write(
    path: &Path,
    images: &[&[f32]],
    size: usize,
    columns: usize,
    zoom: usize,
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
