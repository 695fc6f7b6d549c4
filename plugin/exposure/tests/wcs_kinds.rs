//! Header faults, and the other kinds of WCS.

mod scene;

use std::io::Write;
use std::sync::Arc;

use ndarray::{Array2, Array3};
use pellucid_exposure::{
    CallbackWcs, ExposureError, GridWcs, HeaderWcs, LookupTable, TableKind, Wcs,
};
use scene::{header_wcs, sip_header, tan_header};

const SKY: [f64; 2] = [53.1, -27.8];

/// The distortion of WFC3/IR in F140W, from a flat-fielded exposure's header.
const WFC3IR_SIP: &str = "\
A_ORDER = 4
B_ORDER = 4
A_0_2   = 2.77482030873749E-08
A_0_3   = 4.55691839657869E-11
A_0_4   = -2.0083179974495E-13
A_1_1   = 2.44176437155426E-05
A_1_2   = 3.11477338242516E-11
A_1_3   = 6.08832045645843E-13
A_2_0   = -2.0701735553551E-07
A_2_1   = 1.22255499299390E-10
A_2_2   = 1.11275247848408E-13
A_3_0   = -1.9851733613323E-10
A_3_1   = 4.13947711822547E-13
A_4_0   = -3.2156784473326E-13
B_0_2   = 2.98815054868485E-05
B_0_3   = -2.2777970488111E-10
B_0_4   = 1.03978470894974E-12
B_1_1   = -2.8538202053351E-07
B_1_2   = 7.47270961118588E-11
B_1_3   = 1.69983940010457E-13
B_2_0   = 6.92276069494587E-06
B_2_1   = -2.3836656728517E-10
B_2_2   = 1.38557115814168E-13
B_3_0   = 5.14014553890418E-11
B_3_1   = 3.81044199963010E-13
B_4_0   = -5.7352409055905E-13
";

fn plain() -> String {
    tan_header(SKY, [50.0, 50.0], 0.1, 20.0)
}

fn refusal(cards: &str) -> String {
    HeaderWcs::new(cards, Vec::new()).expect_err("a fault").to_string()
}

/// Distance in pixels, at 0.1 arcsec per pixel.
fn apart(a: [f64; 2], b: [f64; 2]) -> f64 {
    ((a[0] - b[0]) * b[1].to_radians().cos()).hypot(a[1] - b[1]) * 3600.0 / 0.1
}

#[test]
fn missing_keywords_are_named() {
    for key in ["CTYPE1", "CRVAL2", "CRPIX1"] {
        let cards: String =
            plain().lines().filter(|l| !l.starts_with(key)).map(|l| format!("{l}\n")).collect();
        let message = refusal(&cards);
        assert!(message.contains(key), "{message}");
    }
    let cards: String =
        plain().lines().filter(|l| !l.starts_with("CD")).map(|l| format!("{l}\n")).collect();
    assert!(refusal(&cards).contains("CDi_j or CDELTi"));
    assert!(refusal("").contains("CTYPE1"));
}

#[test]
fn singular_matrices_are_reported_as_such() {
    let zero = plain().replace("CD1_", "OLD1_") + "CD1_1   = 0.0\nCD1_2   = 0.0\n";
    let parallel = plain().replace("CD", "OL")
        + "CD1_1   = 1E-5\nCD1_2   = 2E-5\nCD2_1   = 2E-5\nCD2_2   = 4E-5\n";
    let scale = plain().replace("CD", "OL") + "CDELT1  = 0.0\nCDELT2  = 1E-5\n";
    for cards in [zero, parallel, scale] {
        let error = HeaderWcs::new(&cards, Vec::new()).expect_err("singular");
        assert!(matches!(error, ExposureError::SingularWcs { .. }), "{error}");
    }
}

#[test]
fn other_faults_say_what_to_do() {
    let sip_without_suffix = sip_header(SKY, [50.0, 50.0], 0.1, 0.0).replace("-SIP", "");
    assert!(refusal(&sip_without_suffix).contains("-SIP"));
    assert!(refusal(&plain().replace("ICRS", "FK4")).contains("FK4"));
    assert!(
        refusal(&(plain().replace("RADESYS", "IGNORED") + "EQUINOX = 1950.0\n")).contains("FK4")
    );
    assert!(refusal(&(plain() + "CUNIT1  = 'arcsec'\n")).contains("CUNIT1"));
    assert!(refusal(&plain().replace("RA---TAN'", "RA---TAN")).contains("CTYPE1"));
    assert!(refusal(&(plain().replace("ICRS", "FK5") + "EQUINOX = 1975.0\n")).contains("1975"));
    let galactic = plain().replace("RA---TAN", "GLON-TAN").replace("DEC--TAN", "GLAT-TAN");
    assert!(refusal(&galactic).contains("GLON"));
    assert!(refusal(&plain().replace("TAN'", "XYZ'")).contains("header"));
    assert!(refusal(&plain().replace("RA---TAN", "FREQ")).contains("header"));
}

#[test]
fn suffix_without_coefficients_and_swapped_axes_are_fine() {
    let expected = header_wcs(&plain()).pixel_to_sky(&[[10.0, 20.0]]).unwrap()[0];
    let suffixed = header_wcs(&plain().replace("TAN'", "TAN-SIP'"));
    assert!(apart(suffixed.pixel_to_sky(&[[10.0, 20.0]]).unwrap()[0], expected) < 1e-8);
    let swap = |line: &str| {
        let (key, rest) = line.split_at(8);
        let key = match key.trim_end() {
            "CTYPE1" => "CTYPE2",
            "CTYPE2" => "CTYPE1",
            "CRVAL1" => "CRVAL2",
            "CRVAL2" => "CRVAL1",
            "CD1_1" => "CD2_1",
            "CD1_2" => "CD2_2",
            "CD2_1" => "CD1_1",
            "CD2_2" => "CD1_2",
            other => other,
        };
        format!("{key:8}{rest}\n")
    };
    let swapped = header_wcs(&plain().lines().map(swap).collect::<String>());
    assert!(apart(swapped.pixel_to_sky(&[[10.0, 20.0]]).unwrap()[0], expected) < 1e-8);
    let back = swapped.sky_to_pixel(&[expected]).unwrap()[0];
    assert!((back[0] - 10.0).abs() < 1e-7 && (back[1] - 20.0).abs() < 1e-7);
}

/// The FITS formula, crpix + (p - crval) / cdelt, and constant continuation, as astropy has them:
/// `DistortionLookupTable(arange(20).reshape(4, 5), (2, 1), (10, 5), (3, 7)).get_offset(12, 8)`
/// is 3.8095238095238098, and 19 at (3000, 3000).
#[test]
fn tables_are_read_as_astropy_reads_them() {
    let values = Array2::from_shape_fn((4, 5), |(y, x)| (5 * y + x) as f64);
    let table = LookupTable {
        kind: TableKind::Npol { axis: 0 },
        values,
        crpix: [2.0, 1.0],
        crval: [10.0, 5.0],
        cdelt: [3.0, 7.0],
    };
    let header = tan_header(SKY, [50.0, 50.0], 0.1, 0.0);
    let with = HeaderWcs::new(&header, vec![table.clone()]).expect("a table");
    let without = HeaderWcs::new(&header, Vec::new()).expect("no table");
    for (pixel, offset) in
        [([12.0, 8.0], 3.809_523_809_523_81), ([3000.0, 3000.0], 19.0), ([1.0, 1.0], 0.0)]
    {
        let at = [pixel[0] - 1.0, pixel[1] - 1.0];
        let got = with.pixel_to_sky(&[at]).unwrap()[0];
        let expected = without.pixel_to_sky(&[[at[0] + offset, at[1]]]).unwrap()[0];
        assert!(apart(got, expected) < 1e-8, "{pixel:?}");
    }
    let broken = |change: fn(&mut LookupTable)| {
        let mut table = table.clone();
        change(&mut table);
        HeaderWcs::new(&header, vec![table]).expect_err("a fault")
    };
    broken(|t| t.kind = TableKind::D2im { axis: 2 });
    broken(|t| t.cdelt[1] = 0.0);
    broken(|t| t.values = Array2::zeros((0, 3)));
    assert!(broken(|t| t.values[[1, 2]] = f64::NAN).to_string().contains("x = 2, y = 1"));
    assert!(HeaderWcs::new(&header, vec![table.clone(), table]).is_err());
}

/// The old D2IMARR table of one axis, [1, n] here, along x whichever axis AXISCORR corrects.
/// The numbers are astropy 8.0.2's for such a file:
/// `h = Header(dict(CTYPE1='RA---TAN', CTYPE2='DEC--TAN', CRPIX1=15.5, CRPIX2=10.5, CRVAL1=10., CRVAL2=5.,
/// CD1_1=-1e-5, CD1_2=0., CD2_1=0., CD2_2=1e-5, AXISCORR=axis))`,
/// `t = Header(dict(CRPIX1=2., CRVAL1=5., CDELT1=4., EXTVER=1))`,
/// `f = HDUList([PrimaryHDU(), ImageHDU(zeros((20, 30)), h), ImageHDU(float32([0.5, -0.25, 1, 0.125, 2, -1]), t,
/// name='D2IMARR')])`, `WCS(h, f).all_pix2world([[0, 0], [6, 3], [9.5, 17], [29, 19]], 0).tolist()`.
/// The table of a real ACS file, given to astropy as one axis with AXISCORR = 1, changes nothing there.
#[test]
fn a_row_of_detector_columns_shifts_as_in_astropy() {
    let header = "CTYPE1  = 'RA---TAN'\nCTYPE2  = 'DEC--TAN'\nCRPIX1  = 15.5\nCRPIX2  = 10.5\n\
                  CRVAL1  = 10.0\nCRVAL2  = 5.0\nCD1_1   = -1E-5\nCD2_2   = 1E-5\n";
    let pixels = [[0.0, 0.0], [6.0, 3.0], [9.5, 17.0], [29.0, 19.0]];
    let along_x = [
        [10.000140534756877, 4.999904999985029],
        [10.000081560353717, 4.999934999994948],
        [10.000043446582325, 5.000074999998578],
        [9.99986448430227, 5.000094999986086],
    ];
    let along_y = [
        [10.00014555385644, 4.999909999983947],
        [10.000085324678208, 4.999938749994485],
        [10.000050190998136, 5.000081718748083],
        [9.99985444610466, 5.000084999983948],
    ];
    for (axis, expected) in [along_x, along_y].into_iter().enumerate() {
        let table = LookupTable {
            kind: TableKind::D2im { axis },
            values: ndarray::arr2(&[[0.5, -0.25, 1.0, 0.125, 2.0, -1.0]]),
            crpix: [2.0, 0.0],
            crval: [5.0, 0.0],
            cdelt: [4.0, 1.0],
        };
        let wcs = HeaderWcs::new(header, vec![table]).expect("a table");
        let got = wcs.pixel_to_sky(&pixels).unwrap();
        for (got, expected) in got.iter().zip(expected) {
            // 1e-12 degrees are 1e-7 of a pixel, and about what f64 resolves here.
            assert!((0..2).all(|i| (got[i] - expected[i]).abs() < 1e-12), "{got:?} {expected:?}");
        }
    }
}

#[test]
fn damaged_headers_never_crash() {
    let header = sip_header(SKY, [50.0, 50.0], 0.1, 30.0);
    let noise = scene::noise_image(2000, 8, 3);
    for row in noise.rows() {
        let mut bytes = header.clone().into_bytes();
        for pair in row.as_slice().expect("a row").chunks(2) {
            let at = (pair[0] * bytes.len() as f64) as usize;
            bytes[at] = (pair[1] * 128.0) as u8;
        }
        let text = String::from_utf8(bytes).expect("ASCII");
        if let Ok(wcs) = HeaderWcs::new(&text, Vec::new()) {
            let _ = wcs.pixel_to_sky(&[[0.0, 0.0], [1e9, -1e9], [f64::NAN, 0.0]]);
            let _ = wcs.sky_to_pixel(&[SKY, [200.0, 45.0], [f64::NAN, 0.0]]);
        }
    }
}

#[test]
fn one_header_serves_many_threads() {
    let header = sip_header(SKY, [50.0, 50.0], 0.1, 30.0);
    let shared = header_wcs(&header);
    let xy: Vec<[f64; 2]> = (0..500).map(|i| [f64::from(i % 97), f64::from(i % 89)]).collect();
    let expected = shared.pixel_to_sky(&xy).unwrap();
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..20 {
                    assert_eq!(shared.pixel_to_sky(&xy).unwrap(), expected);
                    assert_eq!(header_wcs(&header).pixel_to_sky(&xy[..5]).unwrap(), expected[..5]);
                }
            });
        }
    });
}

fn sampled(wcs: &dyn Wcs, n: usize, x0: f64, step: f64) -> Array3<f64> {
    let at = |i: usize| x0 + step * i as f64;
    let xy: Vec<_> = (0..n * n).map(|i| [at(i % n), at(i / n)]).collect();
    let radec = wcs.pixel_to_sky(&xy).unwrap();
    Array3::from_shape_fn((n, n, 2), |(y, x, axis)| radec[y * n + x][axis])
}

#[test]
fn grid_follows_sip() {
    let header = tan_header([359.9995, 60.0], [500.0, 500.0], 0.13, 30.0)
        .replace("TAN'", "TAN-SIP'")
        + WFC3IR_SIP;
    let exact = header_wcs(&header);
    let grid = GridWcs::new(sampled(&*exact, 9, 400.0, 16.0), 400.0, 400.0, 16.0).expect("a grid");
    let inside: Vec<_> =
        (0..200).map(|i| [400.0 + 0.61 * f64::from(i), 528.0 - 0.63 * f64::from(i)]).collect();
    let (a, b) = (grid.pixel_to_sky(&inside).unwrap(), exact.pixel_to_sky(&inside).unwrap());
    let worst = a
        .iter()
        .zip(&b)
        .map(|(a, b)| apart([(a[0] - b[0] + 180.0).rem_euclid(360.0) - 180.0 + b[0], a[1]], *b));
    let worst = worst.fold(0.0, f64::max);
    let _ = writeln!(std::io::stderr(), "grid of 16 pixels: at most {worst:.1e} px");
    assert!(worst < 2e-7, "{worst:e} px");
    let back = grid.sky_to_pixel(&b).unwrap();
    assert!(back.iter().zip(&inside).all(|(a, b)| (a[0] - b[0]).hypot(a[1] - b[1]) < 2e-6));
    assert!(
        grid.pixel_to_sky(&[[360.0, 560.0]]).is_ok()
            && grid.pixel_to_sky(&[[100.0, 450.0]]).is_err()
    );
    let two = GridWcs::new(sampled(&*exact, 2, 400.0, 16.0), 400.0, 400.0, 16.0).expect("linear");
    assert!(
        apart(
            two.pixel_to_sky(&[[408.0, 408.0]]).unwrap()[0],
            exact.pixel_to_sky(&[[408.0, 408.0]]).unwrap()[0]
        ) < 0.01
    );
}

#[test]
fn grid_faults() {
    let good = sampled(&*header_wcs(&plain()), 4, 0.0, 8.0);
    assert!(GridWcs::new(Array3::zeros((1, 4, 2)), 0.0, 0.0, 1.0).is_err());
    assert!(GridWcs::new(good.clone(), 0.0, 0.0, 0.0).is_err());
    let mut nan = good.clone();
    nan[[1, 2, 0]] = f64::NAN;
    assert!(GridWcs::new(nan, 0.0, 0.0, 8.0).unwrap_err().to_string().contains("x = 2, y = 1"));
    let mut far = good;
    far[[0, 0, 1]] = 95.0;
    assert!(GridWcs::new(far, 0.0, 0.0, 8.0).is_err());
}

#[test]
fn callbacks_invert_and_fail_with_their_code() {
    let exact = header_wcs(&sip_header(SKY, [50.0, 50.0], 0.1, 30.0));
    let inner = Arc::clone(&exact);
    let forward = move |xy: &[[f64; 2]], sky: &mut [[f64; 2]]| match inner.pixel_to_sky(xy) {
        Ok(radec) => {
            sky.copy_from_slice(&radec);
            Ok(())
        }
        Err(_) => Err(1),
    };
    let callback = CallbackWcs::new(forward, None);
    let xy = [[20.0, 30.0], [61.5, 47.25]];
    let back = callback.sky_to_pixel(&callback.pixel_to_sky(&xy).unwrap()).unwrap();
    assert!(back.iter().zip(&xy).all(|(a, b)| (a[0] - b[0]).hypot(a[1] - b[1]) < 1e-8), "{back:?}");
    let failing = CallbackWcs::new(|_, _| Err(-7), Some(Box::new(|_, _| Err(9))));
    let code = |r: Result<Vec<[f64; 2]>, ExposureError>| match r {
        Err(ExposureError::Callback { code, .. }) => code,
        other => panic!("{other:?}"),
    };
    assert_eq!((code(failing.pixel_to_sky(&xy)), code(failing.sky_to_pixel(&xy))), (-7, 9));
    let silent = CallbackWcs::new(|_, _| Ok(()), None);
    assert!(silent.pixel_to_sky(&xy).unwrap_err().to_string().contains("NaN"));
    let beyond = CallbackWcs::new(
        |_, sky| {
            sky.fill([1.0, 91.0]);
            Ok(())
        },
        None,
    );
    assert!(beyond.pixel_to_sky(&xy).unwrap_err().to_string().contains("declination 91"));
    let constant = CallbackWcs::new(
        |_, sky| {
            sky.fill([1.0, 2.0]);
            Ok(())
        },
        None,
    );
    assert!(constant.sky_to_pixel(&[[1.0, 2.1]]).is_err());
}
