//! A target's product as pictures and facts.

use std::path::Path;

use pellucid_host::fits::{Card, FitsInput};
use pellucid_host::ndarray::{Array2, ArrayView2, Axis};
use pellucid_host::product::{
    ColourMap, ExposureFit, Product, Provenance, Scale, figure_png, posterior_scale, quantile,
};

use super::error::ReportError;
use super::picture::{LEVELS, Picture, shrink};
use super::text::{bytes, visible};
use crate::state::{Status, TargetState};

/// Longest side of a thumbnail, of a map and of a sample, pixels.
const THUMBNAIL: usize = 64;
const MAP: usize = 128;
const SAMPLE: usize = 64;
/// Colours of thumbnails and of samples.
const COARSE: u8 = 64;
/// Residuals of exposures beyond this are not shown, as in the figure.
const MOST_EXPOSURES: usize = 6;
/// However small the page must be.
const FEWEST_SAMPLES: usize = 4;

/// A picture and what its colours mean.
pub(super) struct Map {
    pub(super) title: String,
    pub(super) uri: String,
    pub(super) width: usize,
    pub(super) height: usize,
    pub(super) scale: Scale,
    pub(super) unit: &'static str,
}

/// Samples, tile by tile.
pub(super) struct Sheet {
    pub(super) uri: String,
    /// Of one tile, pixels.
    pub(super) width: usize,
    /// Of one tile, pixels.
    pub(super) height: usize,
    pub(super) columns: usize,
    /// The samples' numbers in the product.
    pub(super) numbers: Vec<usize>,
    pub(super) scale: Scale,
}

/// One exposure.
pub(super) struct ShownExposure {
    pub(super) id: String,
    /// The exposure's file and its SHA-256.
    pub(super) source: (String, String),
    /// The PSF's file and its SHA-256.
    pub(super) psf: (String, String),
    pub(super) fit: ExposureFit,
    /// Residual over noise rms; the first few exposures have one.
    pub(super) residual: Option<Map>,
}

/// What a product holds, as far as it can be shown.
pub(super) struct Pictures {
    pub(super) thumbnail: Option<String>,
    /// The figure of the whole target.
    pub(super) figure: Option<String>,
    /// 16th percentile, median, 84th percentile, standard deviation.
    pub(super) maps: Vec<Map>,
    pub(super) sheet: Option<Sheet>,
    pub(super) exposures: Vec<ShownExposure>,
    pub(super) samples: usize,
    pub(super) provenance: Provenance,
    /// Of the primary header.
    pub(super) cards: Vec<Card>,
}

/// A target as the page shows it: its pictures, and what could not be shown.
#[derive(Default)]
pub(super) struct Shown {
    /// What could not be read or shown, and why.
    pub(super) notes: Vec<String>,
    pub(super) pictures: Option<Pictures>,
}

/// What table and overview need of it.
pub(super) struct Summary {
    pub(super) notes: Vec<String>,
    pub(super) thumbnail: Option<String>,
    pub(super) provenance: Option<Provenance>,
}

impl Shown {
    /// Reads a target's product; `share` is what it may take, bytes.
    pub(super) fn of(target: &TargetState, share: usize) -> Self {
        let Some(path) = &target.product else {
            let note = match target.status {
                Status::Done | Status::Partial => vec!["The product is not there.".into()],
                _ => Vec::new(),
            };
            return Self { notes: note, pictures: None };
        };
        let mut notes = Vec::new();
        let pictures = pictures(path, target.figure.as_deref(), share, &mut notes);
        let pictures =
            pictures.map_err(|e| notes.push(format!("The product cannot be shown: {e}")));
        for note in &mut notes {
            *note = visible(note);
        }
        Self { notes, pictures: pictures.ok() }
    }

    /// What remains once the detail is written.
    pub(super) fn summary(self) -> Summary {
        let (thumbnail, provenance) =
            self.pictures.map_or((None, None), |p| (p.thumbnail, Some(p.provenance)));
        Summary { notes: self.notes, thumbnail, provenance }
    }
}

fn pictures(
    path: &Path,
    figure: Option<&Path>,
    share: usize,
    notes: &mut Vec<String>,
) -> Result<Pictures, ReportError> {
    let product = Product::read(path)?;
    consistent(&product)?;
    let cards = FitsInput::open(path)?.hdus()[0].header.cards().to_vec();
    let maps = maps(&product)?;
    let exposures = exposures(&product)?;
    let flux = posterior_scale(&product);
    let median = shrink(product.statistics.median.view(), THUMBNAIL);
    let thumbnail = Picture::of(median.view(), &flux, COARSE).uri()?;

    let residuals = exposures.iter().filter_map(|e| e.residual.as_ref());
    let fixed: usize = maps.iter().chain(residuals).map(|map| map.uri.len()).sum();
    let mut left = share.saturating_sub(fixed + thumbnail.len());
    let figure = match whole_figure(&product, figure) {
        Ok(uri) if uri.len() <= left / 4 * 3 => Some(uri),
        Ok(uri) => {
            let size = bytes(uri.len());
            notes.push(format!("The figure ({size}) was left out to keep this page small."));
            None
        }
        Err(error) => {
            notes.push(format!("The figure cannot be shown: {error}"));
            None
        }
    };
    left = left.saturating_sub(figure.as_ref().map_or(0, String::len));
    Ok(Pictures {
        sheet: sheet(&product, flux, left)?,
        thumbnail: Some(thumbnail),
        figure,
        maps,
        exposures,
        samples: product.samples.dim().0,
        provenance: product.provenance,
        cards,
    })
}

/// A product's images may come from anywhere: before they are combined, their shapes must agree.
fn consistent(product: &Product) -> Result<(), ReportError> {
    let (_, ny, nx) = product.samples.dim();
    let same = |what: String, need: (usize, usize), image: &Array2<f32>| {
        let got = image.dim();
        let fits = got == need && got.0 > 0 && got.1 > 0;
        let shape = |(y, x)| format!("[{y}, {x}]");
        let need = if need.0 * need.1 > 0 { shape(need) } else { "at least one pixel".into() };
        fits.then_some(()).ok_or_else(|| ReportError::Shape { what, need, got: shape(got) })
    };
    let s = &product.statistics;
    let maps = [("MEDIAN", &s.median), ("MEAN", &s.mean), ("STD", &s.std)];
    for (name, image) in maps.into_iter().chain([("P16", &s.p16), ("P84", &s.p84)]) {
        same(name.into(), (ny, nx), image)?;
    }
    for (k, exposure) in product.exposures.iter().enumerate() {
        let need = exposure.data.dim();
        for (name, image) in [
            ("DATA", &exposure.data),
            ("SIGMA", &exposure.sigma),
            ("MODEL", &exposure.model),
            ("RESIDUAL", &exposure.residual),
        ] {
            same(format!("{name}_{}", k + 1), need, image)?;
        }
    }
    Ok(())
}

fn map(
    title: impl Into<String>,
    image: ArrayView2<'_, f32>,
    scale: Scale,
    unit: &'static str,
) -> Result<Map, ReportError> {
    let picture = Picture::of(shrink(image, MAP).view(), &scale, LEVELS);
    let (width, height) = (picture.width, picture.height);
    Ok(Map { title: title.into(), uri: picture.uri()?, width, height, scale, unit })
}

fn maps(product: &Product) -> Result<Vec<Map>, ReportError> {
    let s = &product.statistics;
    let flux = posterior_scale(product);
    let spread = s.std.iter().map(|v| f64::from(*v));
    let spread = Scale {
        low: 0.0,
        high: quantile(spread, 0.998).max(f64::MIN_POSITIVE),
        soft: f64::INFINITY,
        map: ColourMap::Viridis,
    };
    Ok(vec![
        map("16th percentile", s.p16.view(), flux, "e-/s")?,
        map("Median", s.median.view(), flux, "e-/s")?,
        map("84th percentile", s.p84.view(), flux, "e-/s")?,
        map("Standard deviation", s.std.view(), spread, "e-/s")?,
    ])
}

fn exposures(product: &Product) -> Result<Vec<ShownExposure>, ReportError> {
    let scale = Scale { low: -4.0, high: 4.0, soft: f64::INFINITY, map: ColourMap::Diverging };
    let each = product.exposures.iter().enumerate();
    each.map(|(k, exposure)| {
        let image = &exposure.residual / &exposure.sigma;
        let title = format!("Residual {}", k + 1);
        let shown = (k < MOST_EXPOSURES).then(|| map(title, image.view(), scale, "σ"));
        let file = |(path, sha256): &(std::path::PathBuf, String)| {
            (path.display().to_string(), sha256.clone())
        };
        Ok(ShownExposure {
            id: exposure.id.clone(),
            source: file(&exposure.source),
            psf: file(&exposure.psf),
            fit: product.diagnostics.exposures.get(k).cloned().unwrap_or_default(),
            residual: shown.transpose()?,
        })
    })
    .collect()
}

/// The figure beside the product, or one drawn now.
fn whole_figure(product: &Product, file: Option<&Path>) -> Result<String, ReportError> {
    let kept = file.and_then(|path| std::fs::read(path).ok());
    let kept = kept.and_then(|png| Picture::decode(&png, "figure").ok());
    match kept {
        Some(picture) => picture.uri(),
        None => Picture::decode(&figure_png(product)?, "figure")?.uri(),
    }
}

/// As many of the samples that did not fail as `room` bytes hold, smaller if even few do not fit.
fn sheet(product: &Product, scale: Scale, room: usize) -> Result<Option<Sheet>, ReportError> {
    let failed = &product.diagnostics.failed_samples;
    let good = (0..product.samples.dim().0).filter(|k| !failed.contains(k));
    let mut numbers: Vec<usize> = good.collect();
    let mut side = SAMPLE;
    loop {
        let tiles = numbers.iter().map(|k| {
            let image = shrink(product.samples.index_axis(Axis(0), *k), side);
            Picture::of(image.view(), &scale, COARSE)
        });
        let tiles: Vec<_> = tiles.collect();
        let columns = (tiles.len() as f64).sqrt().ceil() as usize;
        let Some(sheet) = Picture::sheet(&tiles, columns) else { return Ok(None) };
        let uri = sheet.uri()?;
        let few = numbers.len() <= FEWEST_SAMPLES;
        if uri.len() <= room || (few && side < SAMPLE) {
            let (width, height) = (tiles[0].width, tiles[0].height);
            return Ok(Some(Sheet { uri, width, height, columns, numbers, scale }));
        }
        match few {
            true => side /= 2,
            false => {
                // Samples are alike in size; one less, so that this ends.
                let fit = numbers.len() * room / uri.len();
                numbers.truncate(fit.clamp(FEWEST_SAMPLES, numbers.len() - 1));
            }
        }
    }
}
