//! FITS header cards as text: only what a primary celestial WCS is made of, checked.

use crate::{ExposureError, Result};

const WIDTH: usize = 80;

/// Keywords of a primary WCS that take axis numbers ...
const INDEXED: [&str; 14] = [
    "CTYPE", "CUNIT", "CRVAL", "CRPIX", "CDELT", "CROTA", "CD", "PC", "PV", "PS", "CPDIS", "CQDIS",
    "DP", "DQ",
];
/// ... and those that do not.
const PLAIN: [&str; 7] =
    ["WCSAXES", "LONPOLE", "LATPOLE", "RADESYS", "RADECSYS", "EQUINOX", "EPOCH"];
/// Highest axis number: wcslib takes memory by the square of the largest that a card names.
const MAX_AXIS: u32 = 9;
/// Highest order of the SIP convention; wcslib takes memory by its square.
const MAX_SIP_ORDER: f64 = 9.0;
const TEXTS: [&str; 9] =
    ["CTYPE", "CUNIT", "PS", "CPDIS", "CQDIS", "DP", "DQ", "RADESYS", "RADECSYS"];

/// The cards of one header's primary WCS, well-formed.
///
/// Whatever else a header holds, damaged or not, is left out, for wcslib's parser overruns its
/// buffers on some damaged cards: also alternate descriptions (trailing letter), NAXIS (a cube of
/// one plane has a two-dimensional WCS), dates and comments.
#[derive(Debug, Clone, Default)]
pub(super) struct Cards(Vec<Card>);

#[derive(Debug, Clone)]
struct Card {
    key: String,
    value: Value,
}

#[derive(Debug, Clone)]
enum Value {
    /// Without its outer quotes and trailing blanks.
    Text(String),
    /// With E as its exponent.
    Number(String),
}

impl Cards {
    /// Split header text into cards, by line if it has line breaks, else every 80 characters, up to
    /// END.
    ///
    /// # Errors
    /// A line longer than 80 characters; a WCS card whose value is neither a terminated string nor
    /// a finite number.
    pub(super) fn parse(text: &str) -> Result<Self> {
        let by_line = text.contains('\n');
        let raw: Vec<Vec<char>> = if by_line {
            text.lines().map(|line| line.trim_end().chars().collect()).collect()
        } else {
            text.chars().collect::<Vec<_>>().chunks(WIDTH).map(<[char]>::to_vec).collect()
        };
        let mut cards = Vec::new();
        for (number, card) in raw.iter().enumerate() {
            if card.len() > WIDTH {
                let reason =
                    format!("line {} is {} characters long, need <= 80", number + 1, card.len());
                return Err(ExposureError::wcs("the header", reason));
            }
            // One byte per character, so that columns are columns.
            let ascii = |&c: &char| if (' '..='~').contains(&c) { c } else { '?' };
            let card: String = card.iter().map(ascii).collect();
            if card.trim_end() == "END" {
                break;
            }
            cards.extend(Card::parse(&card)?);
        }
        Ok(Self(cards))
    }

    pub(super) fn has(&self, key: &str) -> bool {
        self.any(|other| other == key)
    }

    pub(super) fn any(&self, test: impl Fn(&str) -> bool) -> bool {
        self.0.iter().any(|card| test(&card.key))
    }

    /// The string value of a keyword.
    pub(super) fn text(&self, key: &str) -> Option<&str> {
        self.0.iter().find(|card| card.key == key).and_then(|card| match &card.value {
            Value::Text(text) => Some(text.as_str()),
            Value::Number(_) => None,
        })
    }

    pub(super) fn without(mut self, drop: impl Fn(&str) -> bool) -> Self {
        self.0.retain(|card| !drop(&card.key));
        self
    }

    /// Cut `suffix` off the string value of `key`.
    pub(super) fn cut(mut self, key: &str, suffix: &str) -> Self {
        for card in self.0.iter_mut().filter(|card| card.key == key) {
            if let Value::Text(text) = &mut card.value {
                *text = text.strip_suffix(suffix).unwrap_or(text).to_owned();
            }
        }
        self
    }

    /// 80 characters per card, concatenated, without END.
    pub(super) fn concat(&self) -> String {
        self.0.iter().map(|card| format!("{:WIDTH$}", card.to_string())).collect()
    }
}

impl Card {
    /// `None` for a card that is no value of a primary WCS.
    fn parse(card: &str) -> Result<Option<Self>> {
        let Some((key, rest)) = card.split_at_checked(8) else {
            return Ok(None);
        };
        let key = key.trim_end();
        let Some(stem) = stem(key) else {
            return Ok(None);
        };
        let Some(value) = rest.strip_prefix('=').map(str::trim_start) else {
            return Ok(None);
        };
        let refuse = |need: String| {
            let reason = format!("its card {:?} is out of range, need {need}", card.trim_end());
            Err(ExposureError::wcs("the header", reason))
        };
        let axis_is_near =
            |number: &str| number.is_empty() || number.parse::<u32>().is_ok_and(|n| n <= MAX_AXIS);
        let indices = key.strip_prefix(stem).unwrap_or_default();
        // The second number of PVi_m and PSi_m counts parameters.
        let axes = if ["PV", "PS"].contains(&stem) { 1 } else { 2 };
        if !indices.split('_').take(axes).all(axis_is_near) {
            return refuse(format!("axes of 1 to {MAX_AXIS}"));
        }
        let value = if TEXTS.contains(&stem) {
            text_value(value).filter(|value| !["DP", "DQ"].contains(&stem) || is_record(value))
        } else {
            number_value(value)
        };
        match value {
            Some(Value::Number(number)) if number.is_empty() => Ok(None),
            Some(Value::Number(number)) if out_of_range(stem, &number) => refuse(format!(
                "WCSAXES of at most {MAX_AXIS}, SIP orders of at most {MAX_SIP_ORDER}"
            )),
            Some(value) => Ok(Some(Self { key: key.to_owned(), value })),
            None => {
                let kind = if TEXTS.contains(&stem) { "'text'" } else { "a finite number" };
                let reason =
                    format!("its card {:?} is damaged, need {key} = {kind}", card.trim_end());
                Err(ExposureError::wcs("the header", reason))
            }
        }
    }
}

impl std::fmt::Display for Card {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.value {
            Value::Text(text) => write!(f, "{:8}= '{text:8}'", self.key),
            Value::Number(number) => write!(f, "{:8}= {number:>20}", self.key),
        }
    }
}

/// The keyword without axis numbers, if it belongs to a primary WCS.
fn stem(key: &str) -> Option<&str> {
    let is_index =
        |rest: &str| !rest.is_empty() && rest.chars().all(|c| c.is_ascii_digit() || c == '_');
    let indexed = INDEXED.into_iter().find(|stem| key.strip_prefix(stem).is_some_and(is_index));
    let plain = PLAIN.into_iter().find(|plain| *plain == key);
    indexed.or(plain).or(is_sip(key).then_some(key))
}

/// Whether a count asks for more than anyone has.
fn out_of_range(key: &str, number: &str) -> bool {
    let most = match key {
        "WCSAXES" => f64::from(MAX_AXIS),
        "A_ORDER" | "B_ORDER" | "AP_ORDER" | "BP_ORDER" => MAX_SIP_ORDER,
        _ => return false,
    };
    !number.parse::<f64>().is_ok_and(|n| (0.0..=most).contains(&n))
}

/// SIP: A_p_q, B_p_q, their inverses AP_p_q, BP_p_q, and the orders.
pub(super) fn is_sip(key: &str) -> bool {
    let rest = ["A_", "B_", "AP_", "BP_"].into_iter().find_map(|stem| key.strip_prefix(stem));
    rest.is_some_and(|rest| {
        let mut powers = rest.split('_').map(|power| power.parse::<u8>().is_ok());
        rest == "ORDER"
            || powers.by_ref().take(2).filter(|ok| *ok).count() == 2 && powers.next().is_none()
    })
}

/// A quoted string ('' is a quote inside), followed by nothing or a comment.
fn text_value(value: &str) -> Option<Value> {
    let quoted = value.strip_prefix('\'')?;
    let mut end = 0;
    loop {
        end += quoted[end..].find('\'')?;
        if !quoted[end + 1..].starts_with('\'') {
            break;
        }
        end += 2;
    }
    let after = quoted[end + 1..].trim_start();
    let ends = after.is_empty() || after.starts_with('/');
    ends.then(|| Value::Text(quoted[..end].trim_end().to_owned()))
}

/// The syntax of DPj and DQi: 'field.name: number'.
fn is_record(value: &Value) -> bool {
    let Value::Text(text) = value else {
        return false;
    };
    let of_field = |c: char| c.is_ascii_alphanumeric() || c == '.' || c == '_';
    text.split_once(": ").is_some_and(|(field, number)| {
        field.starts_with(|c: char| c.is_ascii_alphabetic())
            && field.chars().all(of_field)
            && number.trim().parse::<f64>().is_ok_and(f64::is_finite)
    })
}

/// A finite number, or nothing (a keyword without a value), followed by nothing or a comment.
fn number_value(value: &str) -> Option<Value> {
    let number = value.split('/').next()?.trim().replace(['D', 'd'], "E");
    let valid = number.is_empty() || number.parse::<f64>().is_ok_and(f64::is_finite);
    valid.then_some(Value::Number(number))
}

#[cfg(test)]
mod tests {
    use super::Cards;

    #[test]
    fn splits_lines_and_fixed_cards_alike() {
        let lines = "CTYPE1  = 'RA---TAN-SIP' / [°]\nNAXIS   = 2\nCRPIX1  = 5.0D0\nCRVAL1  =\nEND\nCRPIX2  = 1.0";
        let fixed: String = lines.lines().map(|line| format!("{line:80}")).collect();
        for text in [lines, fixed.as_str()] {
            let cards = Cards::parse(text).expect("two cards");
            assert_eq!(cards.text("CTYPE1"), Some("RA---TAN-SIP"));
            assert!(cards.has("CRPIX1") && !cards.has("CRPIX2") && !cards.has("CRVAL1"));
            let expected =
                format!("{:80}{:80}", "CTYPE1  = 'RA---TAN'", "CRPIX1  =                5.0E0");
            assert_eq!(cards.cut("CTYPE1", "-SIP").concat(), expected);
        }
    }

    #[test]
    fn refuses_damaged_cards_of_the_wcs_only() {
        let damaged = [
            "CTYPE1  = 'RA---TAN",
            "CTYPE1  = 'RA' TAN",
            "CRVAL1  = 'a'",
            "CRVAL1  = 1.0x",
            "CRVAL1  = inf",
        ];
        for card in damaged {
            assert!(Cards::parse(&format!("{card}\n")).is_err(), "{card}");
        }
        assert!(Cards::parse(&format!("A\n{}", "x".repeat(81))).is_err());
        let others = Cards::parse("CTYPE1A = 'RA\nOBSERVER= 'O'Neil\nA_B     = x\nA_1     = x\n\n")
            .expect("none of ours");
        assert_eq!(others.concat(), "");
    }
}
