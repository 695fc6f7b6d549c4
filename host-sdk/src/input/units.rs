//! From BUNIT to e-/s.

use crate::error::{HostError, Result};
use crate::fits::Header;

/// What a pixel is multiplied by to be in e-/s.
///
/// | BUNIT | factor |
/// |---|---|
/// | ELECTRONS/S | 1 |
/// | ELECTRONS | 1 / EXPTIME |
/// | COUNTS, DN, ADU | gain / EXPTIME |
/// | COUNTS/S, CPS, DN/S, ADU/S | gain |
/// | none, empty, UNITLESS | 1, with a warning |
///
/// `override_unit` replaces BUNIT. The image's header is asked before the primary one. The gain
/// (e-/count) is the mean of ATODGNA..D (as measured) if there are any, else ATODGAIN, CCDGAIN or
/// GAIN (as commanded).
///
/// # Errors
/// [`HostError::Keyword`]: an unknown unit, or EXPTIME or gain missing or not positive.
pub fn to_electrons_per_second(
    override_unit: Option<&str>,
    image: &Header,
    primary: &Header,
    at: &str,
) -> Result<f64> {
    let unit = override_unit.or_else(|| image.string("BUNIT"));
    let unit = unit.or_else(|| primary.string("BUNIT")).unwrap_or("");
    let keyword = |key: &str, need: &str, got: String| HostError::Keyword {
        at: at.into(),
        key: key.into(),
        need: need.into(),
        got,
    };
    let real = |key: &str| image.real(key).or_else(|| primary.real(key));
    let positive = |key: &str, value: Option<f64>, need: &str| match value {
        Some(x) if x > 0.0 && x.is_finite() => Ok(x),
        Some(x) => Err(keyword(key, need, x.to_string())),
        None => Err(keyword(key, need, "nothing".into())),
    };
    let exposure = || {
        positive(
            "EXPTIME",
            real("EXPTIME"),
            &format!("a positive exposure time in seconds, since BUNIT is {unit}"),
        )
    };
    let gain = || {
        let measured: Vec<f64> = ["ATODGNA", "ATODGNB", "ATODGNC", "ATODGND"]
            .iter()
            .filter_map(|key| real(key))
            .collect();
        let value = match measured.len() {
            0 => ["ATODGAIN", "CCDGAIN", "GAIN"].iter().find_map(|k| real(k)),
            n => Some(measured.iter().sum::<f64>() / n as f64),
        };
        positive(
            "ATODGNA, ATODGAIN, CCDGAIN or GAIN",
            value,
            &format!("a positive gain in e-/count, since BUNIT is {unit}"),
        )
    };
    let plain: String =
        unit.chars().filter(|c| !c.is_whitespace()).collect::<String>().to_ascii_uppercase();
    match plain.as_str() {
        "ELECTRONS/S" | "ELECTRON/S" | "ELECTRONS/SEC" | "E-/S" | "E-/SEC" | "E/S" => Ok(1.0),
        "ELECTRONS" | "ELECTRON" | "E-" => Ok(1.0 / exposure()?),
        "COUNTS" | "COUNT" | "DN" | "ADU" => Ok(gain()? / exposure()?),
        "COUNTS/S" | "COUNT/S" | "CPS" | "DN/S" | "ADU/S" => gain(),
        "" | "UNITLESS" => {
            log::warn!("{at}: no BUNIT; pixels are taken to be in e-/s");
            Ok(1.0)
        }
        _ => Err(keyword(
            "BUNIT",
            "ELECTRONS[/S] or COUNTS[/S] (or DN, ADU, CPS); say which with --unit",
            unit.into(),
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fits::Card;

    fn header(cards: &[Card]) -> Header {
        cards.iter().cloned().collect()
    }

    #[test]
    fn the_table_holds() {
        let primary = header(&[Card::new("EXPTIME", 500.0, ""), Card::new("CCDGAIN", 2.0, "")]);
        for (unit, factor) in [
            ("ELECTRONS/S", 1.0),
            ("ELECTRONS", 0.002),
            ("COUNTS", 0.004),
            ("COUNTS/S", 2.0),
            ("electrons / s", 1.0),
            ("", 1.0),
        ] {
            let image = header(&[Card::new("BUNIT", unit, "")]);
            let found = to_electrons_per_second(None, &image, &primary, "a").unwrap();
            assert!((found - factor).abs() < 1e-15, "{unit}");
        }
    }

    #[test]
    fn the_measured_gain_wins() {
        let image = header(&[
            Card::new("BUNIT", "COUNTS/S", ""),
            Card::new("CCDGAIN", 2.0, ""),
            Card::new("ATODGNA", 1.5, ""),
            Card::new("ATODGNB", 1.7, ""),
        ]);
        let found = to_electrons_per_second(None, &image, &Header::default(), "a").unwrap();
        assert!((found - 1.6).abs() < 1e-15);
    }

    #[test]
    fn what_is_missing_is_named() {
        let image = header(&[Card::new("BUNIT", "COUNTS", "")]);
        let fail = |image: &Header, unit| {
            to_electrons_per_second(unit, image, &Header::default(), "a.fits[SCI,1]")
                .unwrap_err()
                .to_string()
        };
        assert!(fail(&image, None).contains("GAIN"));
        assert!(fail(&image, Some("ELECTRONS")).contains("EXPTIME"));
        assert!(fail(&image, Some("JY")).contains("JY"));
    }
}
