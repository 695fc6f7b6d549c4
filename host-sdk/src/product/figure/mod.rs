//! The figure of a product: exposures, posterior, residuals.
//!
//! Three rows: what was observed (asinh stretch, one scale for all exposures); the posterior
//! (median, 84th - 16th percentile, two samples; median and samples share one scale); the
//! residuals of the posterior mean in units of the noise rms. With one exposure, two rows.

mod canvas;
mod colour;

use std::path::Path;

use ndarray::{Array2, ArrayView2, Axis};

use self::canvas::{Anchor, BLACK, Canvas, Font, GREY, LETTER};
pub use self::colour::{ColourMap, Scale};
use super::{Product, quantile};
use crate::atomic::write_file;
use crate::error::Result;

/// Side of a panel, gap between panels, outer margin.
const PANEL: usize = 288;
const GAP: usize = 22;
const MARGIN: usize = 28;
/// Room for a panel's title above it and its colour bar below.
const ABOVE: usize = 24;
const BELOW: usize = 44;
const HEADER: usize = 74;
/// Exposures beyond this are counted in the header, not shown.
const MOST_EXPOSURES: usize = 6;
const MASKED: [u8; 3] = [168, 168, 174];

#[derive(Clone)]
struct Panel<'a> {
    title: String,
    image: ArrayView2<'a, f32>,
    scale: Scale,
    unit: &'a str,
}

/// Draws a product into a PNG file.
///
/// # Errors
/// [`HostError::Io`](crate::HostError::Io).
pub fn write_figure(product: &Product, path: &Path) -> Result<()> {
    write_file(path, &figure_png(product)?)
}

/// The same, as the bytes of a PNG.
///
/// # Errors
/// [`HostError::Io`](crate::HostError::Io) if it is too large for a PNG.
pub fn figure_png(product: &Product) -> Result<Vec<u8>> {
    let normalised: Vec<Array2<f32>> =
        product.exposures.iter().map(|e| &e.residual / &e.sigma).collect();
    let range = &product.statistics.p84 - &product.statistics.p16;
    let mut observed = exposures(product);
    let mut residuals = residuals(product, &normalised);
    if let [exposure] = &product.exposures[..] {
        // One exposure leaves room for its model beside it, and its residual.
        let model = Panel {
            title: "Model of the exposure".into(),
            image: exposure.model.view(),
            ..observed[0].clone()
        };
        observed.push(model);
        observed.append(&mut residuals);
    }
    let rows = [observed, posterior(product, &range), residuals];

    let columns = product.exposures.len().clamp(4, MOST_EXPOSURES);
    let width = 2 * MARGIN + columns * PANEL + (columns - 1) * GAP;
    let row_height = ABOVE + PANEL + BELOW;
    let drawn = rows.iter().filter(|panels| !panels.is_empty()).count();
    let mut canvas = Canvas::new(width, HEADER + drawn * row_height + MARGIN / 2);
    header(&mut canvas, product, width);
    for (i, panels) in rows.iter().enumerate() {
        let used = panels.len().min(columns);
        let left = MARGIN + (columns - used) * (PANEL + GAP) / 2;
        for (j, panel) in panels.iter().take(columns).enumerate() {
            let x = left + j * (PANEL + GAP);
            draw(&mut canvas, panel, x, HEADER + i * row_height);
        }
        if i == 1 {
            rulers(&mut canvas, product, left, HEADER + row_height + ABOVE);
        }
    }
    canvas.png()
}

fn header(canvas: &mut Canvas, product: &Product, width: usize) {
    let room = width - 2 * MARGIN;
    let grid = &product.grid;
    let failed = product.diagnostics.failed_samples.len();
    let n = product.samples.dim().0;
    let chi2: Vec<_> = product
        .diagnostics
        .exposures
        .iter()
        .map(|fit| format!("{:.2}", fit.reduced_chi2()))
        .collect();
    let fluxes = product.fluxes();
    let flux = |q| quantile(fluxes.iter().copied(), q);
    let (low, middle, high) = (flux(0.16), flux(0.5), flux(0.84));
    let title = format!(
        "Pellucid posterior: {n} samples of {}x{} pixels of {:.3}\" at ra {:.5}, dec {:+.5}{}",
        grid.nx,
        grid.ny,
        grid.pixel_scale_arcsec,
        grid.centre.ra_deg,
        grid.centre.dec_deg,
        if failed > 0 { format!(" ({failed} failed)") } else { String::new() },
    );
    let second = format!(
        "prior {}; flux {middle:.3} (+{:.3} -{:.3}) e-/s; chi2/dof {}; flags {}",
        product.provenance.prior.0,
        high - middle,
        middle - low,
        chi2.join(", "),
        product.diagnostics.flags.describe(),
    );
    let (x, y) = (MARGIN, MARGIN / 2 + 4);
    canvas.text((x, y), room, &title, Font::Title, Anchor::Left, BLACK);
    canvas.text((x, y + 24), room, &second, Font::Plain, Anchor::Left, GREY);
}

fn exposures(product: &Product) -> Vec<Panel<'_>> {
    let pixels = || product.exposures.iter().flat_map(|e| e.data.iter());
    let high = quantile(pixels().map(|v| f64::from(*v)), 0.998);
    let noise = noise(product);
    let scale = Scale {
        low: -2.0 * noise,
        high: high.max(4.0 * noise),
        soft: 2.0 * noise,
        map: ColourMap::Inferno,
    };
    let each = product.exposures.iter().take(MOST_EXPOSURES).enumerate();
    each.map(|(k, exposure)| Panel {
        title: format!("Exposure {}", k + 1),
        image: exposure.data.view(),
        scale,
        unit: "e-/s",
    })
    .collect()
}

/// How the median and the samples are shown: one asinh stretch for all of them.
pub fn posterior_scale(product: &Product) -> Scale {
    let median = product.statistics.median.iter().map(|v| f64::from(*v));
    let high = quantile(median, 0.999).max(f64::MIN_POSITIVE);
    // A model is sharper than the data and its sky is quiet: a tighter knee shows faint light.
    let soft = noise(product).min(high / 4.0).max(high * 1e-3);
    Scale { low: -soft / 2.0, high, soft, map: ColourMap::Inferno }
}

fn posterior<'a>(product: &'a Product, range: &'a Array2<f32>) -> Vec<Panel<'a>> {
    let statistics = &product.statistics;
    let flux = posterior_scale(product);
    let image =
        |title: &str, image, scale| Panel { title: title.into(), image, scale, unit: "e-/s" };
    let mut panels = vec![image("Posterior median", statistics.median.view(), flux)];
    let good = |k: &usize| !product.diagnostics.failed_samples.contains(k);
    let samples = (0..product.samples.dim().0).filter(good).take(2);
    panels.extend(samples.map(|k| {
        let view = product.samples.index_axis(Axis(0), k);
        image(&format!("Sample {k}"), view, flux)
    }));
    let range_scale = Scale {
        low: 0.0,
        high: quantile(range.iter().map(|v| f64::from(*v)), 0.998).max(f64::MIN_POSITIVE),
        soft: f64::INFINITY,
        map: ColourMap::Viridis,
    };
    panels.insert(1, image("84 % - 16 % range", range.view(), range_scale));
    panels
}

fn residuals<'a>(product: &Product, normalised: &'a [Array2<f32>]) -> Vec<Panel<'a>> {
    let scale = Scale { low: -4.0, high: 4.0, soft: f64::INFINITY, map: ColourMap::Diverging };
    let each = normalised.iter().take(MOST_EXPOSURES).enumerate();
    each.map(|(k, image)| {
        let fit = product.diagnostics.exposures.get(k);
        let chi2 = fit.map_or(String::new(), |f| format!(", chi2/dof {:.2}", f.chi2_mean_reduced));
        Panel {
            title: format!("Residual {}{chi2}", k + 1),
            image: image.view(),
            scale,
            unit: "\u{3c3}",
        }
    })
    .collect()
}

/// The median noise rms of all exposures.
fn noise(product: &Product) -> f64 {
    let sigma = product.exposures.iter().flat_map(|e| e.sigma.iter());
    let noise = quantile(sigma.map(|v| f64::from(*v)), 0.5);
    if noise > 0.0 { noise } else { 1.0 }
}

/// A panel: title, image (row 0 at the bottom), colour bar with its ends.
fn draw(canvas: &mut Canvas, panel: &Panel<'_>, x: usize, y: usize) {
    let top = y + ABOVE;
    canvas.text((x, y + 4), PANEL, &panel.title, Font::Bold, Anchor::Left, BLACK);
    let (ny, nx) = panel.image.dim();
    let side = nx.max(ny).max(1);
    let (w, h) = (PANEL * nx / side, PANEL * ny / side);
    let (left, up) = (x + (PANEL - w) / 2, top + (PANEL - h) / 2);
    for v in 0..h {
        for u in 0..w {
            let value = panel.image[[(h - 1 - v) * ny / h, u * nx / w]];
            let colour = match panel.scale.fraction(f64::from(value)) {
                Some(t) => panel.scale.map.at(t),
                None => MASKED,
            };
            canvas.set(left + u, up + v, colour);
        }
    }
    canvas.frame(left, up, w, h);

    let bar = top + PANEL + 8;
    for u in 0..PANEL {
        let colour = panel.scale.map.at(u as f64 / (PANEL - 1) as f64);
        canvas.fill(x + u, bar, 1, 8, colour);
    }
    let (low, high) = (short_number(panel.scale.low), short_number(panel.scale.high));
    let ends = bar + 11;
    let middle = match panel.scale.soft.is_finite() {
        true => format!("{} (asinh)", panel.unit),
        false => panel.unit.into(),
    };
    canvas.text((x, ends), PANEL / 2, &low, Font::Plain, Anchor::Left, GREY);
    canvas.text((x + PANEL / 2, ends), PANEL / 2, &middle, Font::Plain, Anchor::Centre, GREY);
    canvas.text((x + PANEL, ends), PANEL / 2, &high, Font::Plain, Anchor::Right, GREY);
}

/// Scale bar and compass in the corners of the first panel on the model grid.
fn rulers(canvas: &mut Canvas, product: &Product, x: usize, y: usize) {
    const INK: [u8; 3] = [235, 235, 235];
    let grid = &product.grid;
    let extent = grid.pixel_scale_arcsec * grid.nx.max(grid.ny) as f64;
    // The longest round length below 40 % of the panel.
    let lengths = [0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 60.0];
    let length = lengths.into_iter().rfind(|l| *l < 0.4 * extent);
    if let Some(length) = length {
        let pixels = (length / extent * PANEL as f64) as usize;
        let (left, bottom) = (x + 14, y + PANEL - 16);
        canvas.fill(left, bottom, pixels, 2, INK);
        let label = format!("{length}\"");
        canvas.text((left, bottom - 18), PANEL / 2, &label, Font::Plain, Anchor::Left, INK);
    }
    let (right, bottom) = (x + PANEL - 16, y + PANEL - 16);
    canvas.fill(right, bottom - 28, 2, 30, INK);
    canvas.fill(right - 28, bottom, 30, 2, INK);
    canvas.text((right + 1, bottom - 45), 20, "N", Font::Plain, Anchor::Centre, INK);
    let east = right - 28 - LETTER / 2 - 4;
    canvas.text((east, bottom - 7), 20, "E", Font::Plain, Anchor::Centre, INK);
}

/// Three significant digits.
pub fn short_number(x: f64) -> String {
    let size = x.abs();
    match size {
        0.0 => "0".into(),
        _ if !(1e-3..1e4).contains(&size) => format!("{x:.1e}"),
        _ => {
            let digits = (2 - size.log10().floor() as i32).max(0) as usize;
            let text = format!("{x:.digits$}");
            match text.contains('.') {
                true => text.trim_end_matches('0').trim_end_matches('.').into(),
                false => text,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::short_number;

    #[test]
    fn numbers_are_short() {
        let shown = [0.0, 1.0, 4.0, -0.01234, 123.4, 1e-5].map(short_number);
        assert_eq!(shown, ["0", "1", "4", "-0.0123", "123", "1.0e-5"]);
    }
}
