//! A made-up field for nights: two exposures of a camera with two chips, a galaxy at every target.

use std::path::{Path, PathBuf};

use ndarray::{Array2, Array3};
use pellucid_host::fits::{Card, FitsOutput};
use pellucid_host::sky::{ModelGrid, SkyPosition, TanSip};

use super::{Parts, write_prior, write_psf};

/// Galaxies along a side of a chip.
pub const PER_SIDE: usize = 10;
/// Pixels between them.
const SPACING: usize = 40;
const CHIP: usize = PER_SIDE * SPACING;
/// Galaxies of the field.
pub const GALAXIES: usize = 2 * PER_SIDE * PER_SIDE;

/// What can be wrong with a target, and a word of the reason.
pub const BROKEN: [(&str, &str); 6] = [
    ("missing", "No such file"),
    ("truncated", "truncated.fits"),
    ("nan", "NaN"),
    ("wrong-chip", "none of its 1 chip"),
    ("no-overlap", "none of its 2 chip"),
    ("absurd-wcs", "singular"),
];

/// The grid of chip 0 or 1.
fn chip(index: usize) -> ModelGrid {
    let dec_deg = 2.0 + index as f64 * 1.1 * CHIP as f64 * 0.05 / 3600.0;
    ModelGrid {
        nx: CHIP,
        ny: CHIP,
        centre: SkyPosition { ra_deg: 150.0, dec_deg },
        pixel_scale_arcsec: 0.05,
    }
}

/// Chip and 0-based pixel (x, y) of galaxy `k`.
fn place(k: usize) -> (usize, [usize; 2]) {
    let (index, k) = (k / (PER_SIDE * PER_SIDE), k % (PER_SIDE * PER_SIDE));
    (index, [(k % PER_SIDE) * SPACING + SPACING / 2, (k / PER_SIDE) * SPACING + SPACING / 2])
}

/// Where galaxy `k` is on the sky.
pub fn position(k: usize) -> SkyPosition {
    let (index, [x, y]) = place(k);
    let wcs = TanSip::from_header(&chip(index).header(), "chip").unwrap();
    wcs.pixel_to_sky([x as f64, y as f64])
}

/// Writes a full frame; `dither` sets its noise.
pub fn write_frame(path: &Path, dither: usize) {
    let mut file = FitsOutput::create(path, &[]).unwrap();
    for index in 0..2 {
        let science = Array2::from_shape_fn((CHIP, CHIP), |(y, x)| {
            let off = |v: usize| (v % SPACING) as f32 - (SPACING / 2) as f32;
            let k = (y / SPACING) * PER_SIDE + x / SPACING + 1;
            let blob = (-(off(y).powi(2) + off(x).powi(2)) / (5.0 + (k % 7) as f32)).exp();
            let noise =
                ((7 * y + 13 * x + 5 * dither + 3 * index) as f32 * 12.9898).sin() * 43758.547;
            blob + 0.17 * (noise.fract() * 0.5)
        });
        let mut cards = vec![Card::new("BUNIT", "ELECTRONS/S", "")];
        cards.push(Card::new("CCDCHIP", 2 - index as i64, ""));
        cards.extend(chip(index).cards());
        let version = index as i64 + 1;
        file.image("SCI", version, science.view(), &cards).unwrap();
        let error = Array2::from_elem((CHIP, CHIP), 0.05f32);
        file.image("ERR", version, error.view(), &cards).unwrap();
        let quality = Array2::<i16>::zeros((CHIP, CHIP));
        file.image_i16("DQ", version, quality.view(), &cards).unwrap();
    }
    file.commit().unwrap();
}

/// A grid of round PSFs over both chips, wider towards one corner.
fn write_psf_grid(path: &Path) {
    let places =
        [0.0, CHIP as f64 / 2.0, CHIP as f64, CHIP as f64, 1.5 * CHIP as f64, 2.0 * CHIP as f64];
    let (x, y) = (&places[..3], &places[..]);
    let cube = Array3::from_shape_fn((x.len() * y.len(), 17, 17), |(k, row, column)| {
        let r2 = (row as f32 - 8.0).powi(2) + (column as f32 - 8.0).powi(2);
        (-r2 / (16.0 + k as f32 / 4.0)).exp()
    });
    let mut cards = vec![Card::new("NXPSFS", x.len(), ""), Card::new("NYPSFS", y.len(), "")];
    for (stem, places) in [("IPSFX", x), ("JPSFY", y)] {
        let card = |(k, v): (usize, &f64)| Card::new(&format!("{stem}{:02}", k + 1), *v, "");
        cards.extend(places.iter().enumerate().map(card));
    }
    let mut file = FitsOutput::create(path, &[]).unwrap();
    file.image("PSFS", 1, cube.view(), &cards).unwrap();
    file.commit().unwrap();
}

/// Writes all that targets need into a folder: frames, PSFs, prior, and one broken file of each kind.
pub fn write_inputs(folder: &Path) {
    write_frame(&folder.join("frame_1.fits"), 1);
    write_frame(&folder.join("frame_2.fits"), 2);
    std::fs::copy(folder.join("frame_1.fits"), folder.join("own.fits")).unwrap();
    write_psf_grid(&folder.join("psf.fits"));
    write_psf(&folder.join("round.fits"));
    write_prior(&folder.join("prior.safetensors"));
    let bytes = std::fs::read(folder.join("frame_1.fits")).unwrap();
    std::fs::write(folder.join("truncated.fits"), &bytes[..bytes.len() / 2]).unwrap();
    let mut parts = Parts::default();
    parts.science.fill(f32::NAN);
    parts.write(&folder.join("nan.fits"));
    let mut parts = Parts::default();
    for card in &mut parts.wcs {
        if card.key.starts_with("CD") {
            *card = Card::new(&card.key, 1e-5, "");
        }
    }
    parts.write(&folder.join("absurd.fits"));
}

/// Rows of a night's CSV: `good` targets, the first with an exposure of its own, then `broken` ones.
pub fn rows(good: usize, broken: usize) -> String {
    let mut text = String::from("name,ra,dec,exposures,psf\n");
    let mut row = |name: &str, at: SkyPosition, exposures: &str, psf: &str| {
        text += &format!("{name},{:.9},{:.9},{exposures},{psf}\n", at.ra_deg, at.dec_deg);
    };
    for k in 0..good {
        let exposures = if k == 0 { "own.fits;frame_2.fits" } else { "frame_*.fits" };
        row(&format!("good-{k:03}"), position(k), exposures, "");
    }
    for k in 0..broken {
        let (kind, _) = BROKEN[k % BROKEN.len()];
        let away = SkyPosition { ra_deg: 151.0, dec_deg: 2.0 };
        let middle = super::GRID.centre;
        let name = format!("{kind}-{k:03}");
        match kind {
            "missing" => row(&name, position(0), "nowhere.fits", ""),
            // What is cut off is the second chip.
            "truncated" => row(&name, position(GALAXIES - 1), "truncated.fits", ""),
            "nan" => row(&name, middle, "nan.fits", "round.fits"),
            "wrong-chip" => row(&name, position(0), "\"frame_1.fits[SCI,2]\"", ""),
            "no-overlap" => row(&name, away, "frame_1.fits", ""),
            _ => row(&name, middle, "absurd.fits", "round.fits"),
        }
    }
    text
}

/// A manifest of the targets in a table, products in `output`.
pub fn manifest(folder: &Path, name: &str, table: &str, samples: usize, run: &str) -> PathBuf {
    let text = format!(
        "format = 1\nname = 'night'\noutput = '{name}.out'\ntargets = '{table}'\n\
         [defaults]\npsf = 'psf.fits'\nprior = 'prior.safetensors'\nflux_scale = 1.0\n\
         samples = {samples}\nseed = 3\n[run]\nthreads = 1\nbackoff_s = 0.05\n{run}\n"
    );
    let path = folder.join(format!("{name}.toml"));
    std::fs::write(&path, text).unwrap();
    path
}

/// What is different between two products, apart from when and at what cost they were made: the
/// plugin counts the network's evaluations by batch, and which targets share a batch is chance.
pub fn difference(one: &Path, other: &Path) -> Option<String> {
    const COST: [&str; 7] =
        ["DATE", "SAMPTIME", "NETEVALS", "NETSHARE", "NOISEVAL", "NOISSHAR", "CHECKSUM"];
    let split = |path: &Path| -> Option<(Vec<String>, Vec<u8>)> {
        let bytes = std::fs::read(path).ok()?;
        let end = bytes.chunks(80).position(|card| card.trim_ascii_end() == b"END")?;
        let head =
            bytes[..80 * end].chunks(80).map(|card| String::from_utf8_lossy(card).into_owned());
        let kept = head.filter(|card| !COST.contains(&card[..8].trim_end()));
        let block = (80 * (end + 1)).next_multiple_of(2880);
        Some((kept.collect(), bytes[block..].to_vec()))
    };
    let (Some(a), Some(b)) = (split(one), split(other)) else {
        return Some(format!("{} or {} is not there", one.display(), other.display()));
    };
    if let Some((x, y)) = a.0.iter().zip(&b.0).find(|(x, y)| x != y) {
        return Some(format!("{}: {x} / {y}", one.display()));
    }
    (a != b).then(|| format!("{}: the data are different", one.display()))
}
