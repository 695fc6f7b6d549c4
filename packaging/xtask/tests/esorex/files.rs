//! Exposures, a PSF and a prior to work on.

use std::path::Path;

use ndarray::{Array2, ArrayD};
use pellucid_host::fits::{Card, FitsInput, FitsOutput, Header};
use pellucid_host::sky::{ModelGrid, SkyPosition};

use crate::support::{Folder, works};

/// Side of exposures and model.
pub const SIDE: usize = 16;
const GRID: ModelGrid = ModelGrid {
    nx: SIDE,
    ny: SIDE,
    centre: SkyPosition { ra_deg: 150.0, dec_deg: 2.0 },
    pixel_scale_arcsec: 0.05,
};

/// A distortion table: EXTNAME, EXTVER, its size in pixels.
pub type Table = (&'static str, i64, f32);

/// The frames of a run on one plain exposure: file and tag.
pub fn plain_frames(folder: &Folder) -> Vec<(String, &'static str)> {
    write_exposure(&folder.path("a.fits"), 1.0, &[], &[]);
    write_psf(&folder.path("psf.fits"));
    write_prior(&folder.path("prior.safetensors"), SIDE, GRID.pixel_scale_arcsec);
    vec![
        (folder.text("a.fits"), "CALIBRATED_EXPOSURE"),
        (folder.text("psf.fits"), "PSF"),
        (folder.text("prior.safetensors"), "PRIOR"),
    ]
}

/// A round source of peak `scale`, some pixels bad; more cards in the science header, distortion tables behind.
pub fn write_exposure(path: &Path, scale: f32, cards: &[Card], tables: &[Table]) {
    let science = Array2::from_shape_fn((SIDE, SIDE), |(y, x)| {
        let r2 = (y as f32 - 7.5).powi(2) + (x as f32 - 6.5).powi(2);
        scale * ((-r2 / 8.0).exp() + 0.05 * ((7 * y + 13 * x) as f32).sin())
    });
    let error = Array2::from_elem((SIDE, SIDE), 0.05 * scale);
    // Warm pixels (64) are good on ACS; the sign bit of a 16-bit integer is a bad one.
    let quality = Array2::from_shape_fn((SIDE, SIDE), |(y, x)| match (y, x) {
        (3, 4) => 4096i16,
        (5, 5) => 64,
        (9, 2) => i16::MIN,
        _ => 0,
    });
    let primary =
        ["INSTRUME", "DETECTOR"].into_iter().zip(["ACS", "WFC"]).map(|(k, v)| Card::new(k, v, ""));
    let primary: Vec<_> = primary.chain([Card::new("EXPTIME", 500.0, "")]).collect();
    let unit = cards.iter().find(|c| c.key == "BUNIT").cloned();
    let mut head = vec![unit.unwrap_or_else(|| Card::new("BUNIT", "ELECTRONS/S", ""))];
    head.extend(GRID.cards());
    head.extend(cards.iter().filter(|c| c.key != "BUNIT").cloned());
    let mut file = FitsOutput::create(path, &primary).unwrap();
    file.image("SCI", 1, science.view(), &head).unwrap();
    file.image("ERR", 1, error.view(), &[]).unwrap();
    file.image_i16("DQ", 1, quality.view(), &[]).unwrap();
    for (name, version, shift) in tables {
        let values =
            Array2::from_shape_fn((3, 3), |(y, x)| shift * (1.0 + 0.1 * (x + 2 * y) as f32));
        let axis = |key: &str, value: f64| {
            [1, 2].map(|i| Card::new(&format!("{key}{i}"), value, "of the table"))
        };
        let place = [axis("CRPIX", 1.0), axis("CRVAL", 1.0), axis("CDELT", 7.5)].concat();
        file.image(name, *version, values.view(), &place).unwrap();
    }
    file.commit().unwrap();
}

/// A round PSF, 4 samples a pixel.
pub fn write_psf(path: &Path) {
    let kernel = Array2::from_shape_fn((17, 17), |(y, x)| {
        let r2 = (y as f32 - 8.0).powi(2) + (x as f32 - 8.0).powi(2);
        (-r2 / 18.0).exp()
    });
    let mut file = FitsOutput::create(path, &[]).unwrap();
    file.image("PSF", 1, kernel.view(), &[Card::new("OVERSAMP", 4, "")]).unwrap();
    file.commit().unwrap();
}

/// A Gaussian-field prior: spectrum falling with frequency, mean zero.
pub fn write_prior(path: &Path, side: usize, pixel_scale_arcsec: f64) {
    let metadata = serde_json::json!({
        "format": 1,
        "kind": "prior",
        "architecture": {"name": "gaussian_field"},
        "sde": {"name": "ve", "sigma_min": 0.002, "sigma_max": 50.0},
        "image_size": [side, side],
        "channels": 1,
        "pixel_scale_arcsec": pixel_scale_arcsec,
        "flux_convention": "surface_brightness",
        "licence": "MIT OR Apache-2.0",
        "trained_on": "nothing: invented for tests",
    });
    let frequency = |i: usize| i.min(side - i) as f32;
    let mut values = vec![0.0f32; side * side];
    values.extend((0..side * side).map(|i| {
        let k2 = frequency(i / side).powi(2) + frequency(i % side).powi(2);
        1.0 / (1.0 + k2 / 4.0)
    }));
    let size = 4 * side * side;
    let header = serde_json::json!({
        "__metadata__": {"pellucid": metadata.to_string()},
        "mean": {"dtype": "F32", "shape": [1, side, side], "data_offsets": [0, size]},
        "power": {"dtype": "F32", "shape": [1, side, side], "data_offsets": [size, 2 * size]},
    });
    let mut text = header.to_string();
    text += &" ".repeat(text.len().next_multiple_of(8) - text.len());
    let mut bytes = (text.len() as u64).to_le_bytes().to_vec();
    bytes.extend(text.bytes());
    bytes.extend(values.iter().flat_map(|v| v.to_le_bytes()));
    std::fs::write(path, bytes).unwrap();
}

/// An HDU's pixels and header: the one of this name, or the primary one.
pub fn image(path: &Path, name: &str) -> (ArrayD<f64>, Header) {
    let mut file = FitsInput::open(path).unwrap();
    let index = match name {
        "" => 0,
        name => file.find(name, 1).unwrap_or_else(|| panic!("{} has {name}", path.display())).index,
    };
    let header = file.hdus()[index].header.clone();
    (file.image(index).unwrap(), header)
}

/// The header of the primary HDU.
pub fn primary(path: &Path) -> Header {
    FitsInput::open(path).unwrap().hdus()[0].header.clone()
}

/// A text column of a table.
pub fn column(path: &Path, table: &str, name: &str) -> Vec<String> {
    let mut file = FitsInput::open(path).unwrap();
    let index = file.find(table, 1).unwrap().index;
    file.text_column(index, name).unwrap()
}

/// The value of a HIERARCH keyword as `dfits`-like text; cfitsio keeps such cards as they stand.
pub fn hierarch(header: &Header, key: &str) -> Option<String> {
    let cards =
        header.text().as_bytes().chunks(80).map(|c| String::from_utf8_lossy(c).into_owned());
    let start = format!("HIERARCH ESO {key} =");
    let card = cards.into_iter().find(|card| card.starts_with(&start))?;
    let value = card[start.len()..].split(" / ").next()?.trim();
    Some(value.trim_matches('\'').trim().to_owned())
}

/// Bit for bit, NaN included.
#[track_caller]
pub fn assert_same(recipe: &ArrayD<f64>, cli: &ArrayD<f64>, what: &str) {
    let bits = |image: &ArrayD<f64>| image.iter().map(|v| v.to_bits()).collect::<Vec<_>>();
    assert_eq!(recipe.shape(), cli.shape(), "{what}");
    assert!(bits(recipe) == bits(cli), "{what} differ");
}

/// fitsverify has nothing to say of it.
#[track_caller]
pub fn verify(path: &Path) {
    let said = works(std::process::Command::new("fitsverify").arg(path));
    assert!(said.contains("found 0 warning(s) and 0 error(s)"), "{said}");
}
