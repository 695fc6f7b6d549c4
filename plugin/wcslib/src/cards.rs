//! Header cards that wcslib's parser must not see.
//!
//! `wcspih` of wcslib 7.12 copies a string that lacks its closing quote beyond the end of the card, follows a
//! null pointer where the keywords of a translated distortion (SIP, DSS, TNX) are there but none of them with
//! a value, and takes memory by the square of the largest axis that a card names. What is not a value as FITS
//! writes it is therefore refused here, and so are the plate solutions that nobody here asks for.

/// Largest WCSAXES, and highest order of a SIP polynomial.
const MOST: f64 = 9.0;

/// Keywords of DSS plates and of IRAF's TNX and ZPX.
const PLATES: [&str; 11] = [
    "CNPIX", "PPO", "XPIXELSZ", "YPIXELSZ", "PLTRA", "PLTDEC", "PLATEID", "AMDX", "AMDY", "WAT1_",
    "WAT2_",
];
const SIP: [&str; 4] = ["A_", "B_", "AP_", "BP_"];

/// What is wrong with an 80-character ASCII card; None for a sound one and for one without a value.
pub(crate) fn fault(card: &str) -> Option<&'static str> {
    if !card.bytes().all(|b| (b' '..=b'~').contains(&b)) {
        return Some("a character that FITS does not allow");
    }
    let (key, rest) = card.split_at_checked(8)?;
    if matches!(key.trim_end(), "" | "COMMENT" | "HISTORY") {
        return None;
    }
    let starts = |stems: &[&str]| stems.iter().any(|stem| key.starts_with(stem));
    if starts(&PLATES) {
        return Some("a plate solution, which is not supported");
    }
    if starts(&SIP) {
        let token = rest.strip_prefix("= ").and_then(|value| value.split('/').next());
        if token.and_then(|token| number(token.trim())).is_none() {
            return Some("a keyword of SIP without a number");
        }
    }
    let value = rest.trim_start().strip_prefix('=')?.trim();
    if let Some(text) = value.strip_prefix('\'') {
        return string_fault(text);
    }
    let token = value.split('/').next().unwrap_or_default().trim();
    if !matches!(token, "" | "T" | "F") {
        let Some(number) = number(token) else {
            return Some("neither a string nor a number");
        };
        let counts = key.trim_end() == "WCSAXES" || key.trim_end().ends_with("_ORDER");
        if counts && !(0.0..=MOST).contains(&number) {
            return Some("a number of axes or an order above 9");
        }
    }
    let digits = key.split(|c: char| !c.is_ascii_digit());
    (digits.map(str::len).max() > Some(2)).then_some("an axis above 99")
}

/// A string without its opening quote ('' is a quote inside), followed by nothing or a comment.
fn string_fault(mut text: &str) -> Option<&'static str> {
    loop {
        let Some((_, after)) = text.split_once('\'') else {
            return Some("a string without its closing quote");
        };
        match after.strip_prefix('\'') {
            Some(rest) => text = rest,
            None => {
                let after = after.trim_start();
                let ends = after.is_empty() || after.starts_with('/');
                return (!ends).then_some("a string that is followed by something else");
            }
        }
    }
}

/// A finite number; FITS allows Fortran's D exponents, and neither NaN nor infinity.
fn number(token: &str) -> Option<f64> {
    let plain = |c: char| c.is_ascii_digit() || "+-.EDed".contains(c);
    let number = token.chars().all(plain).then(|| token.replace(['D', 'd'], "E"))?;
    number.parse().ok().filter(|x: &f64| x.is_finite())
}

#[cfg(test)]
mod tests {
    use super::fault;

    #[test]
    fn values_are_as_fits_writes_them() {
        for card in [
            "CRVAL1  = 1.5D-3 / [deg]",
            "CTYPE1  = 'RA---TAN' / it's",
            "OBSERVER= 'O''Neil'",
            "SIMPLE  = T",
            "CRVAL1  =",
            "COMMENT = or not",
            "HISTORY a 'quote",
            "A_2_0   = -1E-6",
        ] {
            assert_eq!(fault(&format!("{card:80}")), None, "{card}");
        }
        for card in [
            "A_2_0   = 1E-6CTYPE1",
            "B_1_1   =",
            "B_1_1   =-2E-6",
            "AP_1_1  2E-6",
            "B_1_1   = 2\t",
            "CNPIX1  = 1.0",
            "B_1_1   = 2E=6",
            "A_ORDER =  =",
            "LATPOLE = 90P'",
            "CTYPE1  = 'RA---TAN",
            "CTYPE1  = 'RA' TAN",
            "CRVAL1  = inf",
            "CRVAL1  = 1E999",
            "WCSAXES = 999999",
            "CRPIX999= 1.0",
            "A_ORDER = 99",
        ] {
            assert!(fault(&format!("{card:80}")).is_some(), "{card}");
        }
    }
}
