//! Bad exposures: each error names the exposure and the fault.

use std::ptr::{null, null_mut};

use pellucid_ffi::*;
use pellucid_tests::{
    Host, JobDesc, PSF, SIDE, array, exposure_desc, fails, ok, sized, slot, take_values,
};

type Spoil = fn(&mut pellucid_job_desc);

const N: usize = SIDE * SIDE;

fn create(host: &Host, desc: &pellucid_exposure_desc) -> *mut pellucid_exposure {
    let mut exposure = null_mut();
    ok(host.api, |e| slot!(host.api, exposure_create(host.engine, desc, &mut exposure, e)));
    exposure
}

fn refuse(host: &Host, desc: &pellucid_exposure_desc, words: &[&str]) {
    let message = fails(host.api, PELLUCID_E_ARG, |e| {
        slot!(host.api, exposure_create(host.engine, desc, &mut null_mut(), e))
    });
    for word in words {
        assert!(message.contains(word), "{word}: {message}");
    }
}

#[test]
fn bad_pixels_are_named() {
    let host = Host::new("{}");
    let (wcs, psf) = (host.wcs(), host.psf());
    let (mut values, ones) = ([1.0_f32; N], [1.0_f32; N]);
    values[SIDE + 3] = f32::NAN;
    let (sci, one) = (array(&values, &[SIDE, SIDE]), array(&ones, &[SIDE, SIDE]));
    let mut desc = exposure_desc(&sci, wcs, psf);
    desc.err = &one;
    refuse(&host, &desc, &["exposure one", "NaN", "x = 3, y = 1"]);
    (desc.sci, desc.err) = (&one, &sci);
    refuse(&host, &desc, &["variance", "NaN", "x = 3, y = 1"]);
    values[SIDE + 3] = -2.0;
    let negative = array(&values, &[SIDE, SIDE]);
    desc.err = &negative;
    for (kind, value) in [(PELLUCID_ERR_VARIANCE, "-2"), (PELLUCID_ERR_SIGMA, "-4")] {
        desc.err_kind = kind;
        refuse(&host, &desc, &["variance", value, "x = 3, y = 1"]);
    }
    let mut bits = [0_u8; N];
    bits[SIDE + 3] = 4;
    let dq = array(&bits, &[SIDE, SIDE]);
    desc.dq = &dq;
    slot!(host.api, exposure_release(create(&host, &desc)));
    desc.dq_bad_mask = 3;
    refuse(&host, &desc, &["variance"]);
    let all = array(&[255_u8; N], &[SIDE, SIDE]);
    desc.dq = &all;
    refuse(&host, &desc, &["one", "no unmasked pixel"]);
}

#[test]
fn shapes_have_to_agree() {
    let host = Host::new("{}");
    let ones = [1.0_f32; N];
    let sci = array(&ones, &[SIDE, SIDE]);
    let small = array(&ones[..N / 2], &[SIDE / 2, SIDE]);
    let mut desc = exposure_desc(&sci, host.wcs(), host.psf());
    desc.err = &small;
    refuse(&host, &desc, &["variance of exposure one", "(8, 8)", "(4, 8)"]);
    desc.err = &sci;
    let bits = [0_i32; N / 2];
    let dq = array(&bits, &[SIDE / 2, SIDE]);
    desc.dq = &dq;
    refuse(&host, &desc, &["mask of exposure one"]);
    desc.dq = null();
    let even = array(&ones[..4], &[2, 2]);
    desc.noise_correlation = &even;
    refuse(&host, &desc, &["noise correlation", "odd"]);
    let float = array(&ones, &[SIDE, SIDE]);
    desc.noise_correlation = null();
    desc.dq = &float;
    refuse(&host, &desc, &["dtype"]);
}

#[test]
fn bad_numbers_are_refused() {
    let host = Host::new("{}");
    let ones = [1.0_f32; N];
    let sci = array(&ones, &[SIDE, SIDE]);
    let good = exposure_desc(&sci, host.wcs(), host.psf());
    for gain in [-1.0, f64::NAN, f64::INFINITY] {
        refuse(&host, &pellucid_exposure_desc { gain, ..good }, &["gain"]);
    }
    refuse(&host, &pellucid_exposure_desc { zero_point: f64::NAN, ..good }, &["zero_point"]);
    let message = fails(host.api, PELLUCID_E_UNSUPPORTED, |e| {
        let desc = pellucid_exposure_desc { band: 1, ..good };
        slot!(host.api, exposure_create(host.engine, &desc, &mut null_mut(), e))
    });
    assert!(message.contains("band"), "{message}");
    let exposure = create(&host, &good);
    let spoil: [(&str, Spoil); 9] = [
        ("n_exposures", |d| d.n_exposures = 0),
        ("n_exposures", |d| d.n_exposures = usize::MAX),
        ("out_ny", |d| d.out_ny = 0),
        ("out_nx", |d| d.out_nx = -1),
        ("n_samples", |d| d.n_samples = 0),
        ("pixel scale", |d| d.pixscale = 0.0),
        ("ascension", |d| d.ra = f64::NAN),
        ("declination", |d| d.dec = 91.0),
        ("flags", |d| d.flags = 1),
    ];
    for (word, spoil) in spoil {
        let mut job = JobDesc::new(&[exposure], "{}");
        spoil(&mut job.desc);
        let message = fails(host.api, PELLUCID_E_ARG, |e| {
            slot!(host.api, job_submit(host.engine, &job.desc, &mut null_mut(), e))
        });
        assert!(message.contains(word), "{word}: {message}");
    }
}

#[test]
fn bad_psfs_and_wcss_are_refused() {
    let host = Host::new("{}");
    let (api, engine) = (host.api, host.engine);
    let zero = array(&[0.0_f64; 9], &[3, 3]);
    let message = fails(api, PELLUCID_E_ARG, |e| {
        slot!(api, psf_from_array(engine, &zero, 1, 0, &mut null_mut(), e))
    });
    assert!(message.contains("PSF") && message.contains("sum"), "{message}");
    let kernel = array(&PSF, &[3, 3]);
    for oversample in [0, -1, 33] {
        fails(api, PELLUCID_E_ARG, |e| {
            slot!(api, psf_from_array(engine, &kernel, oversample, 0, &mut null_mut(), e))
        });
    }
    let one_place = [0.5_f64; 32];
    let flat = array(&one_place, &[4, 4, 2]);
    let mut wcs = null_mut();
    ok(api, |e| slot!(api, wcs_from_grid(engine, &flat, 0.0, 0.0, 4.0, &mut wcs, e)));
    let ones = [1.0_f32; N];
    let sci = array(&ones, &[SIDE, SIDE]);
    refuse(&host, &exposure_desc(&sci, wcs, host.psf()), &["exposure one", "singular"]);
    for step in [0.0, -1.0, f64::NAN] {
        fails(api, PELLUCID_E_ARG, |e| {
            slot!(api, wcs_from_grid(engine, &flat, 0.0, 0.0, step, &mut null_mut(), e))
        });
    }
}

const TAN: &str = "\
CTYPE1  = 'RA---TAN'
CTYPE2  = 'DEC--TAN'
CRPIX1  =                  4.5
CRPIX2  =                  4.5
CRVAL1  =                150.0
CRVAL2  =                  2.0
CD1_1   =         -1.38888E-05
CD1_2   =                  0.0
CD2_1   =                  0.0
CD2_2   =          1.38888E-05
";

/// The same as cards without line ends.
fn cards(text: &str) -> String {
    text.lines().map(|line| format!("{line:<80}")).collect()
}

#[test]
#[cfg_attr(miri, ignore = "calls wcslib")]
fn headers_become_a_wcs() {
    let host = Host::new("{}");
    let (api, engine) = (host.api, host.engine);
    let make = |text: &str, tables: &[pellucid_lookup_table]| {
        let mut wcs = null_mut();
        let (list, n) = (tables.as_ptr(), tables.len());
        ok(api, |e| {
            let cards = text.as_ptr().cast();
            slot!(api, wcs_from_fits_header(engine, cards, text.len(), list, n, &mut wcs, e))
        });
        wcs
    };
    let see = |wcs| {
        let ones = [1.0_f32; N];
        let sci = array(&ones, &[SIDE, SIDE]);
        let exposure = create(&host, &exposure_desc(&sci, wcs, host.psf()));
        let model: Vec<f32> = (0..24 * 24).map(|k| (k % 24) as f32).collect();
        let model = array(&model, &[24, 24]);
        let ext = pellucid::predict_extension::<pellucid::stub::StubEngine>();
        let mut out: pellucid_array = sized();
        ok(api, |e| {
            slot!(ext, predict(engine, &exposure, 1, 150.0, 2.0, 0.05, &model, &mut out, e))
        });
        take_values(out)
    };
    let lines = see(make(TAN, &[]));
    assert_eq!(lines, see(make(&cards(TAN), &[])));
    // A table that shifts x by one pixel moves the picture by one.
    let ones = [1.0_f32; 4];
    let values = array(&ones, &[2, 2]);
    let mut table: pellucid_lookup_table = sized();
    (table.kind, table.axis, table.values) = (PELLUCID_D2IM, 1, &values);
    (table.crpix, table.crval, table.cdelt) = ([1.0; 2], [1.0; 2], [8.0; 2]);
    let shifted = see(make(TAN, &[table]));
    assert!(shifted.iter().zip(&lines).all(|(s, l)| (s - l - 1.0).abs() < 1e-3));
    for (text, code) in [("no header at all", PELLUCID_E_ARG), ("\u{e9}", PELLUCID_E_ARG)] {
        fails(api, code, |e| {
            let cards = text.as_ptr().cast();
            let wcs = &mut null_mut();
            slot!(api, wcs_from_fits_header(engine, cards, text.len(), null(), 0, wcs, e))
        });
    }
    let latin = b"CTYPE1  = '\xe9'";
    let message = fails(api, PELLUCID_E_ARG, |e| {
        let cards = latin.as_ptr().cast();
        slot!(api, wcs_from_fits_header(engine, cards, latin.len(), null(), 0, &mut null_mut(), e))
    });
    assert!(message.contains("UTF-8 from byte 11"), "{message}");
    for (kind, axis) in [(0, 1), (3, 1), (PELLUCID_NPOL, 0), (PELLUCID_NPOL, 3)] {
        let bad = pellucid_lookup_table { kind, axis, ..table };
        fails(api, PELLUCID_E_ARG, |e| {
            let cards = TAN.as_ptr().cast();
            let wcs = &mut null_mut();
            slot!(api, wcs_from_fits_header(engine, cards, TAN.len(), &bad, 1, wcs, e))
        });
    }
}
