//! Exposure files as archives hold them, written with cfitsio and read back.

use std::path::{Path, PathBuf};

use fitsio::FitsFile;
use fitsio::images::{ImageDescription, ImageType};
use ndarray::Array2;
use pellucid_host::HostError;
use pellucid_host::fits::{Column, ColumnValues, FitsAddress, FitsInput, FitsOutput, Region};
use pellucid_host::input::{
    EdgeLight, ExposureFile, ExposureOptions, NoiseCorrelation, PsfImage, PsfOptions, SkyLevel,
};
use pellucid_host::session::{FluxConvention, TableAxis, TableKind};
use pellucid_host::sky::{ModelGrid, SkyPosition};

const NX: usize = 30;
const NY: usize = 20;

/// A file that is gone when the test is.
struct Scratch(PathBuf);

impl Scratch {
    fn new(name: &str) -> Self {
        let name = format!("pellucid-{}-{name}.fits", std::process::id());
        let path = std::env::temp_dir().join(name);
        let _ = std::fs::remove_file(&path);
        Self(path)
    }

    fn address(&self) -> FitsAddress {
        FitsAddress::file(&self.0)
    }

    fn at(&self, suffix: &str) -> FitsAddress {
        format!("{}{suffix}", self.0.display()).parse().unwrap()
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

fn image(file: &mut FitsFile, name: &str, kind: ImageType, pixels: &[f64], shape: [usize; 2]) {
    let description = ImageDescription { data_type: kind, dimensions: &shape };
    let hdu = file.create_image(name.to_owned(), &description).unwrap();
    hdu.write_image(file, pixels).unwrap();
}

fn key<T: fitsio::headers::WritesKey>(file: &mut FitsFile, hdu: usize, name: &str, value: T) {
    let hdu = file.hdu(hdu).unwrap();
    hdu.write_key(file, name, value).unwrap();
}

/// TAN around (10, 5), the reference pixel at the middle of an NX x NY chip.
fn wcs(file: &mut FitsFile, hdu: usize, dec: f64) {
    for (name, value) in [
        ("CRPIX1", 15.5),
        ("CRPIX2", 10.5),
        ("CRVAL1", 10.0),
        ("CRVAL2", dec),
        ("CD1_1", -1e-5),
        ("CD1_2", 0.0),
        ("CD2_1", 0.0),
        ("CD2_2", 1e-5),
    ] {
        key(file, hdu, name, value);
    }
    key(file, hdu, "CTYPE1", "RA---TAN");
    key(file, hdu, "CTYPE2", "DEC--TAN");
}

/// Two chips, each SCI, ERR, DQ; chip 2 lies 0.01 degrees north of chip 1.
fn hst(path: &Path, unit: &str) {
    let mut file = FitsFile::create(path).open().unwrap();
    key(&mut file, 0, "EXPTIME", 500.0);
    key(&mut file, 0, "INSTRUME", "ACS");
    key(&mut file, 0, "DETECTOR", "WFC");
    key(&mut file, 0, "CCDGAIN", 2.0);
    for chip in 0..2 {
        let ramp: Vec<f64> = (0..NX * NY).map(|i| (i + 10_000 * chip) as f64).collect();
        let shape = [NY, NX];
        image(&mut file, "SCI", ImageType::Float, &ramp, shape);
        image(&mut file, "ERR", ImageType::Float, &vec![5.0; NX * NY], shape);
        let mut dq = vec![0.0; NX * NY];
        (dq[1], dq[2]) = (64.0, 4096.0);
        image(&mut file, "DQ", ImageType::Short, &dq, shape);
        for hdu in 3 * chip + 1..=3 * chip + 3 {
            key(&mut file, hdu, "EXTVER", chip as i64 + 1);
        }
        let science = 3 * chip + 1;
        wcs(&mut file, science, 5.0 + 0.01 * chip as f64);
        key(&mut file, science, "BUNIT", unit);
        key(&mut file, science, "MDRIZSKY", 3.0);
    }
}

fn sky(ra_deg: f64, dec_deg: f64) -> Option<SkyPosition> {
    Some(SkyPosition { ra_deg, dec_deg })
}

#[test]
fn units_flags_and_chips() {
    let scratch = Scratch::new("hst");
    hst(&scratch.0, "ELECTRONS");
    let mut file = ExposureFile::open(&scratch.address(), &ExposureOptions::default()).unwrap();
    assert_eq!(file.chips().len(), 2);
    assert_eq!(file.chip_at(None).unwrap(), 0);
    assert_eq!(file.chip_at(sky(10.0, 5.01)).unwrap(), 1);
    assert!(matches!(file.chip_at(sky(10.0, 5.005)), Err(HostError::OffChip { chips: 2, .. })));

    let whole = file.chips()[0].whole();
    let stamp = file.stamp(0, whole).unwrap();
    assert_eq!(stamp.pixels[[1, 4]], 34.0 / 500.0);
    assert_eq!(stamp.sigma[[0, 0]], 0.01);
    let good = stamp.good();
    // Warm pixels stay, cosmic rays go.
    assert!(good[[0, 0]] && good[[0, 1]] && !good[[0, 2]]);
    assert_eq!(stamp.flux_convention, FluxConvention::SurfaceBrightness);
    assert!(stamp.id.ends_with("[SCI,1]"), "{}", stamp.id);

    let region = Region { x0: 3, y0: 2, nx: 5, ny: 4 };
    let stamp = file.stamp(1, region).unwrap();
    assert_eq!(stamp.pixels.dim(), (4, 5));
    assert_eq!(stamp.pixels[[1, 2]], (10_000 + 3 * NX + 5) as f64 / 500.0);
    assert_eq!(stamp.header.real("CRPIX1"), Some(12.5));
    assert!(stamp.id.ends_with("[SCI,2][4:8,3:6]"), "{}", stamp.id);
}

#[test]
fn counts_sky_and_overrides() {
    let scratch = Scratch::new("counts");
    hst(&scratch.0, "COUNTS");
    let options = ExposureOptions {
        sky: SkyLevel::Header,
        bad_bits: Some(64),
        sigma: Some(2.0),
        pixel_area_corrected: Some(true),
        ..ExposureOptions::default()
    };
    let mut file = ExposureFile::open(&scratch.at("[SCI,2]"), &options).unwrap();
    assert_eq!(file.chips().len(), 1);
    let whole = file.chips()[0].whole();
    let stamp = file.stamp(0, whole).unwrap();
    let gain_per_second = 2.0 / 500.0;
    assert_eq!(stamp.pixels[[0, 7]], (10_007.0 - 3.0) * gain_per_second);
    assert_eq!(stamp.sigma[[0, 0]], 2.0 * gain_per_second);
    assert!(!stamp.good()[[0, 1]] && stamp.good()[[0, 2]]);
    assert_eq!(stamp.flux_convention, FluxConvention::PerPixel);

    let options = ExposureOptions { photon_noise_s: Some(500.0), ..options };
    let bright = ExposureFile::open(&scratch.at("[SCI,2]"), &options).unwrap().stamp(0, whole);
    let variance = stamp.sigma[[0, 7]].powi(2) + stamp.pixels[[0, 7]] / 500.0;
    assert!((bright.unwrap().sigma[[0, 7]].powi(2) / variance - 1.0).abs() < 1e-12);
}

#[test]
fn look_up_tables_follow_the_stamp() {
    let scratch = Scratch::new("tables");
    hst(&scratch.0, "ELECTRONS/S");
    {
        let mut file = FitsFile::edit(&scratch.0).unwrap();
        for (name, extver) in [("D2IMARR", 1), ("WCSDVARR", 2)] {
            image(&mut file, name, ImageType::Float, &[0.1, 0.2, 0.3, 0.4, 0.5, 0.6], [2, 3]);
            let hdu = file.num_hdus().unwrap() - 1;
            key(&mut file, hdu, "EXTVER", extver);
            key(&mut file, hdu, "CRPIX1", 0.0);
            key(&mut file, hdu, "CRVAL1", 8.0);
            key(&mut file, hdu, "CDELT1", 64.0);
            key(&mut file, hdu, "CDELT2", 32.0);
        }
        key(&mut file, 1, "D2IMDIS1", "Lookup");
        key(&mut file, 1, "D2IM1", "EXTVER: 1");
        key(&mut file, 1, "CPDIS2", "Lookup");
        key(&mut file, 1, "DP2", "EXTVER: 2");
    }
    let mut file = ExposureFile::open(&scratch.at("[SCI,1]"), &ExposureOptions::default()).unwrap();
    let region = Region { x0: 3, y0: 2, nx: 5, ny: 4 };
    let stamp = file.stamp(0, region).unwrap();
    let kinds: Vec<_> = stamp.tables.iter().map(|t| (t.kind, t.axis)).collect();
    assert_eq!(kinds, [(TableKind::D2im, TableAxis::X), (TableKind::Npol, TableAxis::Y)]);
    let table = &stamp.tables[1];
    assert_eq!(table.values.dim(), (2, 3));
    assert!((table.values[[1, 2]] - 0.6).abs() < 1e-7);
    assert_eq!((table.crval, table.cdelt), ([5.0, -2.0], [64.0, 32.0]));
}

/// What the table of `a_row_of_detector_columns_shifts_as_in_astropy` (pellucid-exposure) looks
/// like in a file.
#[test]
fn an_old_table_of_one_axis_is_a_row_along_x() {
    for (corrected, axis) in [(1, TableAxis::X), (2, TableAxis::Y)] {
        let scratch = Scratch::new(&format!("row-{corrected}"));
        hst(&scratch.0, "ELECTRONS/S");
        {
            let mut file = FitsFile::edit(&scratch.0).unwrap();
            let description = ImageDescription { data_type: ImageType::Float, dimensions: &[6] };
            let hdu = file.create_image("D2IMARR".to_owned(), &description).unwrap();
            hdu.write_image(&mut file, &[0.5, -0.25, 1.0, 0.125, 2.0, -1.0]).unwrap();
            let index = file.num_hdus().unwrap() - 1;
            key(&mut file, index, "CRPIX1", 2.0);
            key(&mut file, index, "CRVAL1", 5.0);
            key(&mut file, index, "CDELT1", 4.0);
            key(&mut file, 1, "D2IMEXT", "jref$old_d2i.fits");
            key(&mut file, 1, "AXISCORR", corrected);
        }
        let at = scratch.at("[SCI,1]");
        let file = ExposureFile::open(&at, &ExposureOptions::default()).unwrap();
        let [table] = &file.chips()[0].tables[..] else { panic!("one table") };
        assert_eq!((table.kind, table.axis), (TableKind::D2im, axis));
        assert_eq!(table.values, ndarray::arr2(&[[0.5, -0.25, 1.0, 0.125, 2.0, -1.0]]));
        let description = (table.crpix, table.crval, table.cdelt);
        assert_eq!(description, ([2.0, 0.0], [5.0, 0.0], [4.0, 1.0]));
    }
}

#[test]
fn a_plain_image_needs_a_pixel_scale_and_a_noise_level() {
    let scratch = Scratch::new("plain");
    {
        let mut file = FitsFile::create(&scratch.0).open().unwrap();
        let ramp: Vec<f64> = (0..NX * NY).map(|i| i as f64).collect();
        image(&mut file, "", ImageType::Double, &ramp, [NY, NX]);
    }
    let error = ExposureFile::open(&scratch.address(), &ExposureOptions::default()).unwrap_err();
    assert!(error.to_string().contains("--pixel-scale-data"), "{error}");

    let mut options = ExposureOptions {
        pixel_scale_arcsec: Some(0.03),
        target: sky(150.0, 2.0),
        ..ExposureOptions::default()
    };
    let mut file = ExposureFile::open(&scratch.at("[1]"), &options).unwrap();
    let centre = file.chips()[0].centre();
    assert!((centre.ra_deg - 150.0).abs() < 1e-12 && (centre.dec_deg - 2.0).abs() < 1e-12);
    let region = file.chips()[0].cutout([14.5, 9.5], 8);
    assert_eq!((region.x0, region.y0, region.nx, region.ny), (11, 6, 8, 8));
    let error = file.stamp(0, region).unwrap_err().to_string();
    assert!(error.contains("--sigma"), "{error}");

    options.fallback_sigma = Some(0.5);
    let mut file = ExposureFile::open(&scratch.address(), &options).unwrap();
    assert_eq!(file.stamp(0, region).unwrap().sigma[[0, 0]], 0.5);
}

#[test]
fn rectangles_without_pixels_or_outside_are_refused() {
    let scratch = Scratch::new("rectangle");
    hst(&scratch.0, "ELECTRONS/S");
    let mut file = ExposureFile::open(&scratch.at("[SCI,1]"), &ExposureOptions::default()).unwrap();
    let none = file.chips()[0].cutout([14.5, 9.5], 0);
    for region in [
        none,
        Region { x0: 3, y0: 2, nx: 5, ny: 0 },
        Region { x0: NX, y0: 0, nx: 1, ny: 1 },
        Region { x0: 0, y0: 1, nx: 1, ny: NY },
        Region { x0: usize::MAX, y0: 0, nx: 2, ny: 1 },
        Region { x0: 0, y0: 0, nx: usize::MAX, ny: 1 },
    ] {
        let error = file.stamp(0, region).unwrap_err();
        assert!(matches!(error, HostError::Shape { .. }), "{region:?}: {error}");
        let text = error.to_string();
        assert!(text.contains("[SCI,1]") && text.contains("30x20"), "{text}");
    }
    assert!(file.stamp(0, Region { x0: NX - 1, y0: NY - 1, nx: 1, ny: 1 }).is_ok());
}

#[test]
fn light_beyond_a_grid_is_noticed() {
    // Pixels 11 to 18 and 6 to 13 are the grid's; the ring beyond, one pixel wide, has 36.
    let grid = ModelGrid {
        nx: 8,
        ny: 8,
        centre: SkyPosition { ra_deg: 10.0, dec_deg: 5.0 },
        pixel_scale_arcsec: 0.036,
    };
    let share = |name: &str, ring: f64, sigma: f64, side: usize| {
        let scratch = Scratch::new(&format!("edge-{name}"));
        let pixel = |i: usize| {
            let (x, y) = (i % NX, i / NX);
            let within = (11..19).contains(&x) && (6..14).contains(&y);
            let near = (10..20).contains(&x) && (5..15).contains(&y);
            if within { 1.0 } else { if near { ring } else { 99.0 } }
        };
        {
            let mut file = FitsFile::create(&scratch.0).open().unwrap();
            let pixels: Vec<f64> = (0..NX * NY).map(pixel).collect();
            image(&mut file, "SCI", ImageType::Double, &pixels, [NY, NX]);
            wcs(&mut file, 1, 5.0);
            key(&mut file, 1, "BUNIT", "ELECTRONS/S");
        }
        let options = ExposureOptions { sigma: Some(sigma), ..ExposureOptions::default() };
        let mut file = ExposureFile::open(&scratch.address(), &options).unwrap();
        let mut light = EdgeLight::default();
        light += file.edge_light(0, &ModelGrid { nx: side, ny: side, ..grid }).unwrap();
        light.share()
    };
    let bright = share("bright", 0.5, 0.1, 8).unwrap();
    assert!((bright - 18.0 / 64.0).abs() < 1e-12, "{bright}");
    // Three standard deviations; wings of 0.6 %; no pixels beyond the grid.
    assert_eq!(share("noisy", 0.5, 1.0, 8), None);
    assert_eq!(share("wings", 0.01, 0.001, 8), None);
    assert_eq!(share("covered", 0.5, 0.1, 40), None);
}

/// Bright rays around a grid are no light beyond it to one who has a noise model; a galaxy cut off is.
#[test]
fn rays_around_a_grid_are_no_light_beyond_it() {
    // 48 x 48 pixels of the grid's size, the grid in the middle, 6 pixels of ring.
    const SIDE: usize = 72;
    let grid = ModelGrid {
        nx: 48,
        ny: 48,
        centre: SkyPosition { ra_deg: 10.0, dec_deg: 5.0 },
        pixel_scale_arcsec: 0.036,
    };
    // Tracks of three pixels' width and one pixel, in other places in each exposure.
    let ray = |k: usize, x: usize, y: usize| {
        let wide = (8..26).contains(&x) && (y + 75 - (x / 2 + k)) % 72 < 3;
        let narrow = x.abs_diff(62) < 1 && (20 + 5 * k..50).contains(&y);
        wide || narrow
    };
    let shares = |name: &str, exposures: usize, width: f64, with_rays: bool| {
        let mut light = EdgeLight::default();
        for k in 0..exposures {
            let scratch = Scratch::new(&format!("rays-{name}-{k}"));
            let pixel = |i: usize| {
                let (x, y) = (i % SIDE, i / SIDE);
                let r2 = (x as f64 - 35.5).powi(2) + (y as f64 - 35.5).powi(2);
                let noise = 0.01 * ((7 * x + 13 * y + 5 * k) as f64).sin();
                let light = (-r2 / (2.0 * width * width)).exp();
                light + noise + if with_rays && ray(k, x, y) { 50.0 } else { 0.0 }
            };
            {
                let mut file = FitsFile::create(&scratch.0).open().unwrap();
                let pixels: Vec<f64> = (0..SIDE * SIDE).map(pixel).collect();
                image(&mut file, "SCI", ImageType::Double, &pixels, [SIDE, SIDE]);
                wcs(&mut file, 1, 5.0);
                key(&mut file, 1, "CRPIX1", 36.5);
                key(&mut file, 1, "CRPIX2", 36.5);
                key(&mut file, 1, "BUNIT", "ELECTRONS/S");
            }
            let options = ExposureOptions { sigma: Some(0.01), ..ExposureOptions::default() };
            let mut file = ExposureFile::open(&scratch.address(), &options).unwrap();
            light += file.edge_light(0, &grid).unwrap();
        }
        [light.share(), light.share_under_rays()]
    };
    for exposures in [1, 4] {
        let [sum, median] = shares("small", exposures, 6.0, true);
        assert!(sum.is_some() && median.is_none(), "{exposures}: {sum:?} {median:?}");
        assert_eq!(shares("clean", exposures, 6.0, false), [None, None]);
        // A galaxy that the grid cuts off.
        for with_rays in [false, true] {
            let [sum, median] = shares("large", exposures, 16.0, with_rays);
            assert!(sum.is_some() && median.is_some_and(|s| s > 0.08 && s < 0.25), "{median:?}");
        }
    }
}

#[test]
fn a_singular_wcs_is_named() {
    let scratch = Scratch::new("singular");
    hst(&scratch.0, "ELECTRONS/S");
    {
        let mut file = FitsFile::edit(&scratch.0).unwrap();
        key(&mut file, 1, "CD1_2", -1e-5);
        key(&mut file, 1, "CD2_1", 1e-5);
        key(&mut file, 1, "CD2_2", 1e-5);
    }
    let error = ExposureFile::open(&scratch.at("[SCI,1]"), &ExposureOptions::default())
        .unwrap_err()
        .to_string();
    assert!(error.contains("singular") && error.contains("[SCI,1]"), "{error}");
}

fn written(name: &str, pixels: &Array2<f64>, oversample: Option<i64>) -> Scratch {
    let scratch = Scratch::new(name);
    let mut file = FitsFile::create(&scratch.0).open().unwrap();
    let flat: Vec<f64> = pixels.iter().copied().collect();
    let (ny, nx) = pixels.dim();
    image(&mut file, "PSF", ImageType::Double, &flat, [ny, nx]);
    if let Some(n) = oversample {
        key(&mut file, 1, "OVERSAMP", n);
    }
    scratch
}

#[test]
fn psf_sampling_comes_from_the_command_line_then_the_header() {
    let scratch = written("psf", &Array2::ones((5, 7)), Some(3));
    let read = |options| PsfImage::read(&scratch.address(), options).unwrap();
    assert_eq!(read(PsfOptions::default()).oversample, 3);
    let stated = PsfOptions { oversample: Some(1), pixel_integrated: Some(true), centre: None };
    assert_eq!(read(stated).oversample, 1);
    assert!(read(stated).pixel_integrated);
    assert_eq!(read(stated).kernel.dim(), (5, 7));
}

#[test]
fn a_stated_centre_becomes_the_middle() {
    let kernel = Array2::from_shape_fn((4, 5), |(y, x)| (10 * y + x + 1) as f64);
    let scratch = written("centre", &kernel, Some(4));
    let read = |centre: &str| {
        let options = PsfOptions { centre: Some(centre.parse().unwrap()), ..Default::default() };
        PsfImage::read(&scratch.address(), options).map(|psf| psf.kernel)
    };
    assert_eq!(read("1.5,2").unwrap(), kernel, "already the middle");
    for (centre, y, x) in [("2,1", 2.0, 1.0), ("0, 3.5", 0.0, 3.5), ("2.5,0", 2.5, 0.0)] {
        let padded = read(centre).unwrap();
        let middle = [padded.nrows(), padded.ncols()].map(|n| (n as f64 - 1.0) / 2.0);
        // Every sample keeps its offset from the centre, and there is no other light.
        for ((row, column), value) in kernel.indexed_iter() {
            let at = [row as f64 - y + middle[0], column as f64 - x + middle[1]];
            assert_eq!(padded[at.map(|v| v as usize)], *value, "{centre}: {at:?}");
        }
        assert_eq!(padded.sum(), kernel.sum());
    }
    assert_eq!(read("0,3.5").unwrap().dim(), (7, 8), "no more zeros than it takes");
    let error = read("4,2").unwrap_err().to_string();
    assert!(error.contains("[PSF,1]") && error.contains("4 rows, 5 columns"), "{error}");
    for text in ["2.25,1", "2", "-1,2", "a,b", "nan,1", "1,2,3"] {
        let error = text.parse::<pellucid_host::input::PsfCentre>().unwrap_err();
        assert!(error.contains("half-integer"), "{text}: {error}");
    }
}

#[test]
fn a_covariance_brings_its_noise_level() {
    let mut covariance = Array2::zeros((3, 5));
    (covariance[[1, 2]], covariance[[1, 1]], covariance[[1, 3]]) = (4.0, 1.0, 1.0);
    let scratch = written("cf", &covariance, None);
    let noise = NoiseCorrelation::read(&scratch.address()).unwrap();
    assert_eq!((noise.sigma, noise.correlation[[1, 1]]), (Some(2.0), 0.25));
    let even = written("even", &Array2::ones((4, 5)), None);
    assert!(matches!(NoiseCorrelation::read(&even.address()), Err(HostError::Shape { .. })));
}

#[test]
fn a_truncated_file_and_a_missing_one() {
    let scratch = Scratch::new("short");
    hst(&scratch.0, "ELECTRONS/S");
    let bytes = std::fs::read(&scratch.0).unwrap();
    std::fs::write(&scratch.0, &bytes[..2880 * 2 + 1000]).unwrap();
    let result =
        ExposureFile::open(&scratch.address(), &ExposureOptions::default()).and_then(|mut file| {
            let whole = file.chips()[0].whole();
            file.stamp(0, whole)
        });
    let error = result.unwrap_err().to_string();
    assert!(error.contains("short.fits"), "{error}");
    let missing = FitsAddress::file("/nowhere/a.fits");
    let error = ExposureFile::open(&missing, &ExposureOptions::default()).unwrap_err();
    assert!(matches!(error, HostError::Io { .. }));
    assert!(error.to_string().contains("/nowhere/a.fits"), "{error}");
}

/// Every width, since a buffer one byte short shows at some widths only: those that fill a block of the allocator.
#[test]
fn strings_as_wide_as_their_column_are_read_whole() {
    let scratch = Scratch::new("strings");
    let texts: Vec<_> = (1..80).map(|width| vec!["x".repeat(width), "y".into()]).collect();
    let column = |text: &Vec<String>| {
        Column::new(&format!("W{}", text[0].len()), ColumnValues::Text(text.clone()))
    };
    let columns: Vec<_> = texts.iter().map(column).collect();
    let mut file = FitsOutput::create(&scratch.0, &[]).unwrap();
    file.table("STRINGS", &columns, &[]).unwrap();
    file.commit().unwrap();
    let mut file = FitsInput::open(&scratch.0).unwrap();
    for (text, column) in texts.iter().zip(&columns) {
        assert_eq!(file.text_column(1, &column.name).unwrap(), *text);
    }
    let missing = file.text_column(1, "NONE").unwrap_err().to_string();
    assert!(missing.contains("named column not found"), "{missing}");
}
