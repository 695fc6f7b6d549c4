//! The binding by itself: what it parses, what it refuses, and with which status.

use pellucid_wcslib::Celestial;

fn header(changes: &[(&str, &str)]) -> String {
    let cards = [
        ("CTYPE1", "'RA---TAN'"),
        ("CTYPE2", "'DEC--TAN'"),
        ("CRVAL1", "10.0"),
        ("CRVAL2", "20.0"),
        ("CRPIX1", "5.0"),
        ("CRPIX2", "6.0"),
        ("CD1_1", "-1.0E-5"),
        ("CD2_2", "1.0E-5"),
        ("RADESYS", "'ICRS'"),
    ];
    let changed = |key: &str| changes.iter().find(|(changed, _)| *changed == key);
    let kept = cards.into_iter().map(|(key, value)| (key, changed(key).map_or(value, |c| c.1)));
    let new = changes.iter().copied().filter(|(key, _)| cards.iter().all(|card| card.0 != *key));
    kept.chain(new).map(|(key, value)| format!("{:80}", format!("{key:8}= {value}"))).collect()
}

#[test]
fn facts_and_round_trip() {
    let wcs = Celestial::parse(&header(&[("RADESYS", "'FK5'"), ("EQUINOX", "2000.0")]))
        .expect("a header");
    let facts = wcs.facts();
    assert_eq!((facts.n_axes, facts.celestial_axes), (2, Some([0, 1])));
    assert_eq!((facts.reference_px, facts.has_prior), ([5.0, 6.0], false));
    assert_eq!(facts.linear_deg, [[-1e-5, 0.0], [0.0, 1e-5]]);
    assert_eq!((facts.frame.as_str(), facts.equinox_yr), ("FK5", Some(2000.0)));
    assert_eq!(facts.longitude, "RA--");
    assert_eq!(wcs.pixel_to_world(&[[5.0, 6.0]]), Ok(vec![[10.0, 20.0]]));
    let pixels = [[1.0, 2.0], [300.0, -40.0]];
    let back = wcs.world_to_pixel(&wcs.pixel_to_world(&pixels).unwrap()).unwrap();
    assert!(back.iter().zip(&pixels).all(|(a, b)| (a[0] - b[0]).hypot(a[1] - b[1]) < 1e-7));
    assert_eq!(wcs.prior_distortion(&pixels), Ok(pixels.to_vec()));
    assert_eq!(wcs.pixel_to_world(&[]), Ok(Vec::new()));
}

/// SIP: u + A_2_0 u^2, u = pixel - CRPIX.
#[test]
fn prior_distortion_is_sip() {
    let sip = [
        ("CTYPE1", "'RA---TAN-SIP'"),
        ("CTYPE2", "'DEC--TAN-SIP'"),
        ("A_ORDER", "2"),
        ("B_ORDER", "2"),
        ("A_2_0", "1.0E-3"),
        ("B_1_1", "2.0E-3"),
    ];
    let wcs = Celestial::parse(&header(&sip)).expect("a header");
    assert!(wcs.facts().has_prior);
    let [x, y] = wcs.prior_distortion(&[[15.0, 26.0]]).unwrap()[0];
    assert!((x - 15.1).abs() < 1e-12 && (y - 26.4).abs() < 1e-12, "{x} {y}");
}

#[test]
fn statuses() {
    let status = |changes: &[(&str, &str)]| Celestial::parse(&header(changes)).unwrap_err().status;
    assert_eq!(status(&[("CD2_2", "0.0")]), 3);
    assert_eq!(status(&[("CTYPE1", "'FREQ'"), ("CTYPE2", "'VELO'")]), 4);
    let wcs = Celestial::parse(&header(&[])).expect("a header");
    let error = wcs.world_to_pixel(&[[10.0, 20.0], [190.0, -20.0]]).unwrap_err();
    assert_eq!((error.status, error.coordinate), (9, Some(1)));
    assert!(!error.message.is_empty());
}

/// Both would reach memory that is not theirs.
#[test]
fn malformed_text_does_not_reach_wcslib() {
    let ok = header(&[]);
    for text in [&ok[..79], &ok.replace("TAN'", "TAN "), &ok.replace('T', "\0"), "\u{b0}", "x"] {
        assert_eq!(Celestial::parse(text).unwrap_err().status, 1);
    }
    assert!(Celestial::parse("").is_err());
}
