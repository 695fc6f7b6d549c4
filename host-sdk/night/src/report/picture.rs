//! Images as small PNGs of a palette, in the page as data: URIs.

use std::collections::HashMap;
use std::io::Cursor;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use pellucid_host::ndarray::{Array2, ArrayView2};
use pellucid_host::product::Scale;

use super::error::ReportError;

/// Colours of an image; more are hard to tell apart and cost bytes.
pub(super) const LEVELS: u8 = 96;
/// Colour of pixels without a value, as in the figures.
const MASKED: [u8; 3] = [168, 168, 174];
/// Colours of a decoded figure that may enter its palette.
const MOST_CANDIDATES: usize = 4096;
/// A decoded figure above this is taken for a mistake, bytes.
const LARGEST_FIGURE: usize = 256 << 20;

/// Pixels that are indices into a palette, row 0 at the top.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Picture {
    pub(super) width: usize,
    pub(super) height: usize,
    pixels: Vec<u8>,
    /// Red, green, blue; at most 256.
    palette: Vec<[u8; 3]>,
}

impl Picture {
    /// An image [y, x] with its row 0 at the bottom, as astronomers show it.
    pub(super) fn of(image: ArrayView2<'_, f32>, scale: &Scale, levels: u8) -> Self {
        let (height, width) = image.dim();
        let last = f64::from(levels.max(2) - 1);
        let mut palette = vec![MASKED];
        palette.extend((0..levels.max(2)).map(|k| scale.map.at(f64::from(k) / last)));
        let index = |value: f32| match scale.fraction(f64::from(value)) {
            Some(t) => 1 + (t.clamp(0.0, 1.0) * last).round() as u8,
            None => 0,
        };
        let rows = (0..height).rev();
        let pixels = rows.flat_map(|y| image.row(y).mapv(index).to_vec()).collect();
        Self { width, height, pixels, palette }
    }

    /// Several of one size and palette as one sheet, row by row; `None` for none of them.
    pub(super) fn sheet(tiles: &[Self], columns: usize) -> Option<Self> {
        let first = tiles.first()?;
        let (w, h) = (first.width, first.height);
        let (width, height) = (columns * w, tiles.len().div_ceil(columns) * h);
        let mut pixels = vec![0; width * height];
        for (k, tile) in tiles.iter().enumerate() {
            let (left, top) = (k % columns * w, k / columns * h);
            for (y, row) in tile.pixels.chunks_exact(w).enumerate() {
                let at = (top + y) * width + left;
                pixels[at..at + w].copy_from_slice(row);
            }
        }
        Some(Self { width, height, pixels, palette: first.palette.clone() })
    }

    /// A PNG of any kind, with at most 256 colours: where there are more, near ones become one.
    pub(super) fn decode(png: &[u8], what: &str) -> Result<Self, ReportError> {
        let broken = |e: png::DecodingError| picture_error(what, e);
        let limits = png::Limits { bytes: LARGEST_FIGURE };
        let mut decoder = png::Decoder::new_with_limits(Cursor::new(png), limits);
        decoder.set_transformations(png::Transformations::normalize_to_color8());
        let mut reader = decoder.read_info().map_err(broken)?;
        let size = reader.output_buffer_size().filter(|size| *size <= LARGEST_FIGURE);
        let mut buffer = vec![0; size.ok_or_else(|| picture_error(what, "too large"))?];
        let info = reader.next_frame(&mut buffer).map_err(broken)?;
        let samples = info.color_type.samples();
        let colour = |p: &[u8]| match p {
            [r, g, b, ..] => [*r, *g, *b],
            [grey, ..] => [*grey; 3],
            [] => MASKED,
        };
        let colours: Vec<_> =
            buffer[..info.buffer_size()].chunks_exact(samples).map(colour).collect();
        let (palette, near) = reduced(&colours);
        let pixels = colours.iter().map(|c| near[c]).collect();
        Ok(Self { width: info.width as usize, height: info.height as usize, pixels, palette })
    }

    /// As a data: URI, ready for `src`.
    pub(super) fn uri(&self) -> Result<String, ReportError> {
        // Smooth images pack better with a filter, noisy ones without.
        let plain = self.png(png::Filter::NoFilter)?;
        let filtered = self.png(png::Filter::Adaptive)?;
        let smaller = if filtered.len() < plain.len() { filtered } else { plain };
        Ok(format!("data:image/png;base64,{}", STANDARD.encode(smaller)))
    }

    fn png(&self, filter: png::Filter) -> Result<Vec<u8>, ReportError> {
        let side = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        let mut bytes = Vec::new();
        let mut encoder = png::Encoder::new(&mut bytes, side(self.width), side(self.height));
        encoder.set_color(png::ColorType::Indexed);
        encoder.set_depth(png::BitDepth::Eight);
        encoder.set_palette(self.palette.concat());
        encoder.set_compression(png::Compression::High);
        encoder.set_filter(filter);
        let written = encoder.write_header().and_then(|mut w| w.write_image_data(&self.pixels));
        written.map_err(|e| picture_error("picture", e))?;
        Ok(bytes)
    }
}

fn picture_error(what: &str, reason: impl ToString) -> ReportError {
    ReportError::Picture { what: what.into(), reason: reason.to_string() }
}

/// At most 256 of the colours, and the index of the one nearest to each: the most frequent ones that
/// are a distance apart, the smallest distance at which they are few enough. Figures have some
/// hundred colours along three smooth maps, so that none moves far.
fn reduced(colours: &[[u8; 3]]) -> (Vec<[u8; 3]>, HashMap<[u8; 3], u8>) {
    let mut counts = HashMap::new();
    for colour in colours {
        *counts.entry(*colour).or_insert(0usize) += 1;
    }
    let mut known: Vec<_> = counts.into_iter().collect();
    known.sort_by_key(|(colour, count)| (usize::MAX - count, *colour));
    // Only photographs have more; the most frequent ones speak for them.
    let candidates = &known[..known.len().min(MOST_CANDIDATES)];
    let distance = |a: [u8; 3], b: [u8; 3]| -> u32 {
        (0..3).map(|c| u32::from(a[c].abs_diff(b[c])).pow(2)).sum()
    };
    let mut palette: Vec<[u8; 3]> = Vec::new();
    for apart in (0..32u32).chain([64, 512]) {
        palette.clear();
        for (colour, _) in candidates {
            if palette.iter().all(|p| distance(*p, *colour) > apart * apart) {
                palette.push(*colour);
            }
            if palette.len() > 256 {
                break;
            }
        }
        if palette.len() <= 256 {
            break;
        }
    }
    let nearest = |colour: [u8; 3]| {
        let each = palette.iter().map(|p| distance(*p, colour)).enumerate();
        each.min_by_key(|(_, far)| *far).map_or(0, |(k, _)| k as u8)
    };
    let near = known.iter().map(|(colour, _)| (*colour, nearest(*colour))).collect();
    (palette, near)
}

/// The mean of blocks, so that no side is longer than `longest`. Pixels without a value do not count;
/// rows and columns that fill no block are left out.
pub(super) fn shrink(image: ArrayView2<'_, f32>, longest: usize) -> Array2<f32> {
    let (height, width) = image.dim();
    let block = height.max(width).div_ceil(longest.max(1)).max(1);
    if block == 1 {
        return image.to_owned();
    }
    let size = ((height / block).max(1), (width / block).max(1));
    Array2::from_shape_fn(size, |(y, x)| {
        let rows = y * block..((y + 1) * block).min(height);
        let pixels = rows.flat_map(|v| {
            let columns = x * block..((x + 1) * block).min(width);
            columns.map(move |u| (v, u))
        });
        let values = pixels.map(|at| image[at]).filter(|v| !v.is_nan());
        let (sum, n) = values.fold((0.0, 0), |(sum, n), v| (sum + v, n + 1));
        if n > 0 { sum / n as f32 } else { f32::NAN }
    })
}

#[cfg(test)]
mod tests {
    use pellucid_host::product::ColourMap;

    use super::*;

    const LINEAR: Scale =
        Scale { low: 0.0, high: 3.0, soft: f64::INFINITY, map: ColourMap::Inferno };

    fn back(uri: &str) -> Picture {
        let png = STANDARD.decode(uri.strip_prefix("data:image/png;base64,").unwrap()).unwrap();
        Picture::decode(&png, "test").unwrap()
    }

    #[test]
    fn an_image_stands_on_its_first_row() {
        let image = Array2::from_shape_vec((2, 2), vec![0.0, 1.0, f32::NAN, 3.0]).unwrap();
        let picture = Picture::of(image.view(), &LINEAR, 4);
        assert_eq!(picture.pixels, [0, 4, 1, 2]);
        let shown = back(&picture.uri().unwrap());
        let colours: Vec<_> = shown.pixels.iter().map(|k| shown.palette[usize::from(*k)]).collect();
        assert_eq!(colours[0], MASKED);
        assert_eq!(colours[1], ColourMap::Inferno.at(1.0));
        assert_eq!(colours[2], ColourMap::Inferno.at(0.0));
    }

    #[test]
    fn a_sheet_holds_its_tiles_row_by_row() {
        let tile = |v: f32| Picture::of(Array2::from_elem((1, 2), v).view(), &LINEAR, 4);
        let sheet = Picture::sheet(&[tile(0.0), tile(1.0), tile(3.0)], 2).unwrap();
        assert_eq!((sheet.width, sheet.height), (4, 2));
        assert_eq!(sheet.pixels, [1, 1, 2, 2, 4, 4, 0, 0]);
        assert!(Picture::sheet(&[], 2).is_none());
    }

    fn png(side: u32, pixel: impl Fn(u32) -> [u8; 3]) -> Vec<u8> {
        let mut png = Vec::new();
        let mut encoder = png::Encoder::new(&mut png, side, side);
        encoder.set_color(png::ColorType::Rgb);
        let pixels: Vec<u8> = (0..side * side).flat_map(pixel).collect();
        encoder.write_header().unwrap().write_image_data(&pixels).unwrap();
        png
    }

    /// Farthest that a channel moved.
    fn moved(picture: &Picture, pixel: impl Fn(u32) -> [u8; 3]) -> u8 {
        let far = (0u32..).zip(&picture.pixels).map(|(k, index)| {
            let (is, was) = (picture.palette[usize::from(*index)], pixel(k));
            (0..3).map(|c| is[c].abs_diff(was[c])).max().unwrap()
        });
        far.max().unwrap()
    }

    #[test]
    fn many_colours_become_few_and_near() {
        let few = |k: u32| ColourMap::Viridis.at(f64::from(k % 200) / 199.0);
        assert_eq!(moved(&Picture::decode(&png(64, few), "few").unwrap(), few), 0);
        let maps = [ColourMap::Inferno, ColourMap::Viridis, ColourMap::Diverging];
        let figure = |k: u32| maps[k as usize % 3].at(f64::from(k) / 4095.0);
        let picture = Picture::decode(&png(64, figure), "figure").unwrap();
        assert!(picture.palette.len() <= 256 && moved(&picture, figure) <= 6);
        let any = |k: u32| [(k >> 8) as u8, k as u8, (k * 37) as u8];
        assert!(Picture::decode(&png(256, any), "any").unwrap().palette.len() <= 256);
        assert!(Picture::decode(b"no PNG", "test").unwrap_err().to_string().starts_with("test: "));
    }

    #[test]
    fn blocks_are_averaged_without_what_has_no_value() {
        let image =
            Array2::from_shape_vec((2, 4), vec![1.0, 3.0, f32::NAN, 4.0, 5.0, 7.0, 6.0, 8.0]);
        let small = shrink(image.unwrap().view(), 2);
        assert_eq!(small.into_raw_vec_and_offset().0, [4.0, 6.0]);
        assert_eq!(shrink(Array2::zeros((3, 3)).view(), 8).dim(), (3, 3));
        assert_eq!(shrink(Array2::zeros((1, 100)).view(), 10).dim(), (1, 10));
    }
}
