//! `HeaderWcs` against astropy's answers on real HST headers.

mod fits;

use std::collections::BTreeMap;
use std::io::Write;

use pellucid_exposure::{HeaderWcs, Wcs};

struct Row {
    xy: [f64; 2],
    sip: [f64; 2],
    full: [f64; 2],
}

fn rows(csv: &str) -> BTreeMap<(String, String), Vec<Row>> {
    let mut all: BTreeMap<_, Vec<Row>> = BTreeMap::new();
    for line in csv.lines().skip(1) {
        let f: Vec<&str> = line.split(',').collect();
        let pair = |i: usize| [f[i], f[i + 1]].map(|v| v.parse::<f64>().expect("a number"));
        let row = Row { xy: pair(2), sip: pair(4), full: pair(6) };
        all.entry((f[0].to_owned(), f[1].to_owned())).or_default().push(row);
    }
    all
}

/// Distance of two sky positions in units of the pixel there.
fn distance_px(wcs: &HeaderWcs, xy: [f64; 2], a: [f64; 2], b: [f64; 2]) -> f64 {
    let offset = |a: [f64; 2], b: [f64; 2]| [(a[0] - b[0]) * b[1].to_radians().cos(), a[1] - b[1]];
    let around = wcs.pixel_to_sky(&[xy, [xy[0] + 1.0, xy[1]]]).expect("on the detector");
    let [ux, uy] = offset(around[1], around[0]);
    let [dx, dy] = offset(a, b);
    dx.hypot(dy) / ux.hypot(uy)
}

fn quantiles(errors: &mut [f64]) -> [f64; 3] {
    errors.sort_by(f64::total_cmp);
    let at = |q: f64| errors[((errors.len() - 1) as f64 * q).round() as usize];
    [at(0.75), at(0.99), at(1.0)]
}

/// Bounds: 75th and 99th percentile and maximum of the error in detector pixels. The table of
/// answers has 12 decimals, i.e. resolves 4e-9 arcsec or 1e-7 pixel of ACS.
#[test]
fn agrees_with_astropy() {
    let Some(csv) = fits::shared("wcs/astropy_reference_vectors.csv") else {
        return;
    };
    let csv = String::from_utf8(csv).expect("text");
    let (mut sip, mut full, mut inverse) = (Vec::new(), Vec::new(), Vec::new());
    for ((file, extension), rows) in rows(&csv) {
        let bytes = fits::shared(&format!("wcs/{file}")).expect("the file of the table");
        let (header, tables) = if extension == "-" {
            (String::from_utf8(bytes).expect("text"), Vec::new())
        } else {
            let hdus = fits::read(&bytes);
            let (name, version) = extension.split_at(extension.len() - 1);
            let header = fits::find(&hdus, name, version.parse().expect("a digit")).header.clone();
            let tables = fits::tables(&hdus, &header);
            (header, tables)
        };
        assert_eq!(tables.len(), if file.starts_with("acs") { 4 } else { 0 }, "{file}");
        let plain = HeaderWcs::new(&header, Vec::new()).expect("a WCS");
        let distorted = HeaderWcs::new(&header, tables).expect("a WCS with tables");
        let xy: Vec<_> = rows.iter().map(|row| row.xy).collect();
        for (wcs, errors, answer) in [
            (&plain, &mut sip, (|row| row.sip) as fn(&Row) -> [f64; 2]),
            (&distorted, &mut full, |row| row.full),
        ] {
            let sky = wcs.pixel_to_sky(&xy).expect("on the detector");
            let back = wcs.sky_to_pixel(&sky).expect("on the detector");
            for ((row, sky), back) in rows.iter().zip(sky).zip(back) {
                errors.push(distance_px(wcs, row.xy, sky, answer(row)));
                inverse.push((back[0] - row.xy[0]).hypot(back[1] - row.xy[1]));
            }
        }
    }
    assert_eq!(sip.len(), 125);
    for (what, errors, bounds) in [
        ("SIP", &mut sip, [4e-8, 8e-8, 1e-7]),
        ("SIP, D2IM, NPOL", &mut full, [4e-8, 8e-8, 1e-7]),
        ("inverse", &mut inverse, [2e-9, 5e-9, 1e-8]),
    ] {
        let got = quantiles(errors);
        let _ = writeln!(std::io::stderr(), "{what}: 75 %, 99 %, max error {got:?} px");
        assert!(got.iter().zip(bounds).all(|(got, bound)| *got <= bound), "{what}: {got:?}");
    }
}
