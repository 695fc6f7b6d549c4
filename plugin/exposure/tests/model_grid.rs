//! The model grid's closed-form TAN against wcslib's.

mod scene;

use std::io::Write;

use pellucid_exposure::{CardValue, HeaderWcs, ModelGrid, Wcs};

fn header(grid: &ModelGrid) -> String {
    let card = |(key, value, comment): (String, CardValue, String)| {
        let value = match value {
            CardValue::Integer(i) => i.to_string(),
            CardValue::Real(r) => format!("{r:E}"),
            CardValue::Text(t) => format!("'{t}'"),
        };
        format!("{key:8}= {value:>20} / {comment}\n")
    };
    grid.header_cards().into_iter().map(card).collect()
}

/// 2e-10 arcsec: one unit in the last place of a right ascension in degrees.
#[test]
fn agrees_with_wcslib() {
    let mut worst = [0.0_f64; 2];
    for (ra, dec) in [(0.0, 0.0), (150.116, 2.205), (5.63, -72.05), (359.999, 85.0), (30.0, 90.0)] {
        for scale in [0.03, 0.13] {
            let grid = ModelGrid::new(64, 81, ra, dec, scale).expect("a grid");
            let wcslib = HeaderWcs::new(&header(&grid), Vec::new()).expect("its own cards");
            let xy = [[0.0, 0.0], [40.0, 31.5], [80.0, 63.0], [13.25, 50.5], [-20.0, 100.0]];
            let (ours, theirs) =
                (grid.pixel_to_sky(&xy).unwrap(), wcslib.pixel_to_sky(&xy).unwrap());
            for (a, b) in ours.iter().zip(&theirs) {
                let dra = (a[0] - b[0] + 180.0).rem_euclid(360.0) - 180.0;
                let sky = (dra * b[1].to_radians().cos()).hypot(a[1] - b[1]);
                worst[0] = worst[0].max(sky);
            }
            for sky in [&ours, &theirs] {
                let back = grid.sky_to_pixel(sky).unwrap();
                let back_wcslib = wcslib.sky_to_pixel(sky).unwrap();
                for (a, b) in back.iter().zip(&back_wcslib) {
                    let distance = (a[0] - b[0]).hypot(a[1] - b[1]);
                    worst[1] = worst[1].max(distance * scale / 3600.0);
                }
            }
        }
    }
    let _ = writeln!(std::io::stderr(), "TAN against wcslib: at most {worst:?} deg");
    assert!(worst[0] < 6e-14 && worst[1] < 6e-14, "{worst:?} deg");
}

#[test]
fn north_is_up_and_east_is_left() {
    let grid = ModelGrid::new(11, 11, 40.0, 30.0, 0.1).expect("a grid");
    let sky = grid.pixel_to_sky(&[[5.0, 5.0], [5.0, 6.0], [4.0, 5.0]]).unwrap();
    assert!((sky[0][0] - 40.0).abs() < 1e-12 && (sky[0][1] - 30.0).abs() < 1e-12);
    assert!((sky[1][1] - 30.0 - 0.1 / 3600.0).abs() < 1e-12 && sky[2][0] > 40.0);
}

#[test]
fn refuses_impossible_grids() {
    let ok = ModelGrid { ny: 4, nx: 4, ra_deg: 1.0, dec_deg: 2.0, pixel_scale_arcsec: 0.1 };
    assert!(ok.check().is_ok());
    let broken = [
        ModelGrid { ny: 0, ..ok.clone() },
        ModelGrid { nx: usize::MAX, ..ok.clone() },
        ModelGrid { ra_deg: f64::NAN, ..ok.clone() },
        ModelGrid { dec_deg: 90.5, ..ok.clone() },
        ModelGrid { pixel_scale_arcsec: 0.0, ..ok.clone() },
        ModelGrid { pixel_scale_arcsec: f64::INFINITY, ..ok },
    ];
    assert!(broken.iter().all(|grid| grid.check().is_err()));
}
