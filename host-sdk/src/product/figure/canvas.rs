//! A small RGB raster: rectangles, pixel images, text, PNG.

use std::convert::Infallible;

use embedded_graphics::mono_font::iso_8859_7::{FONT_9X15, FONT_9X15_BOLD, FONT_9X18_BOLD};
use embedded_graphics::mono_font::{MonoFont, MonoTextStyle};
use embedded_graphics::pixelcolor::{Rgb888, RgbColor};
use embedded_graphics::prelude::{DrawTarget, Drawable, OriginDimensions, Pixel, Point, Size};
use embedded_graphics::text::{Alignment, Baseline, Text, TextStyleBuilder};

use crate::error::{HostError, Result};

/// Red, green, blue.
pub(super) type Rgb = [u8; 3];

pub(super) const BLACK: Rgb = [20, 20, 24];
pub(super) const GREY: Rgb = [110, 110, 116];

/// Size of letters.
#[derive(Clone, Copy)]
pub(super) enum Font {
    /// 9 x 15.
    Plain,
    /// 9 x 15, bold.
    Bold,
    /// 9 x 18, bold.
    Title,
}

/// Where text stands relative to its point; the point is at its top.
#[derive(Clone, Copy)]
pub(super) enum Anchor {
    Left,
    Centre,
    Right,
}

/// Width of one letter of any of the fonts.
pub(super) const LETTER: usize = 9;

pub(super) struct Canvas {
    width: usize,
    height: usize,
    pixels: Vec<u8>,
}

impl Canvas {
    /// A white canvas.
    pub(super) fn new(width: usize, height: usize) -> Self {
        Self { width, height, pixels: vec![255; 3 * width * height] }
    }

    pub(super) fn set(&mut self, x: usize, y: usize, colour: Rgb) {
        if x < self.width && y < self.height {
            let at = 3 * (y * self.width + x);
            self.pixels[at..at + 3].copy_from_slice(&colour);
        }
    }

    pub(super) fn fill(&mut self, x: usize, y: usize, width: usize, height: usize, colour: Rgb) {
        for v in y..y + height {
            for u in x..x + width {
                self.set(u, v, colour);
            }
        }
    }

    /// A one-pixel frame just outside of a rectangle.
    pub(super) fn frame(&mut self, x: usize, y: usize, width: usize, height: usize) {
        let (left, top) = (x.saturating_sub(1), y.saturating_sub(1));
        self.fill(left, top, width + 2, 1, GREY);
        self.fill(left, y + height, width + 2, 1, GREY);
        self.fill(left, top, 1, height + 2, GREY);
        self.fill(x + width, top, 1, height + 2, GREY);
    }

    /// Text; what does not fit into `room` pixels is cut and ends in dots.
    pub(super) fn text(
        &mut self,
        at: (usize, usize),
        room: usize,
        text: &str,
        font: Font,
        anchor: Anchor,
        colour: Rgb,
    ) {
        let letters = room / LETTER;
        let mut shown: String = text.chars().take(letters).collect();
        if text.chars().count() > letters {
            shown = text.chars().take(letters.saturating_sub(2)).collect();
            shown.push_str("..");
        }
        let font: &MonoFont<'_> = match font {
            Font::Plain => &FONT_9X15,
            Font::Bold => &FONT_9X15_BOLD,
            Font::Title => &FONT_9X18_BOLD,
        };
        let [r, g, b] = colour;
        let style = MonoTextStyle::new(font, Rgb888::new(r, g, b));
        let layout = TextStyleBuilder::new()
            .baseline(Baseline::Top)
            .alignment(match anchor {
                Anchor::Left => Alignment::Left,
                Anchor::Centre => Alignment::Center,
                Anchor::Right => Alignment::Right,
            })
            .build();
        let point = Point::new(at.0 as i32, at.1 as i32);
        let Ok(_) = Text::with_text_style(&shown, point, style, layout).draw(self);
    }

    /// The PNG's bytes.
    pub(super) fn png(&self) -> Result<Vec<u8>> {
        let mut bytes = Vec::new();
        let size = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        let mut encoder = png::Encoder::new(&mut bytes, size(self.width), size(self.height));
        encoder.set_color(png::ColorType::Rgb);
        encoder.set_depth(png::BitDepth::Eight);
        let encoded =
            encoder.write_header().and_then(|mut writer| writer.write_image_data(&self.pixels));
        encoded
            .map_err(|e| HostError::io("encode", "figure".as_ref())(std::io::Error::other(e)))?;
        Ok(bytes)
    }
}

impl OriginDimensions for Canvas {
    fn size(&self) -> Size {
        Size::new(self.width as u32, self.height as u32)
    }
}

impl DrawTarget for Canvas {
    type Color = Rgb888;
    type Error = Infallible;

    fn draw_iter<I: IntoIterator<Item = Pixel<Rgb888>>>(
        &mut self,
        pixels: I,
    ) -> Result<(), Infallible> {
        for Pixel(point, colour) in pixels {
            if let (Ok(x), Ok(y)) = (usize::try_from(point.x), usize::try_from(point.y)) {
                self.set(x, y, [colour.r(), colour.g(), colour.b()]);
            }
        }
        Ok(())
    }
}
