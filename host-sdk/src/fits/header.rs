//! A header as text and as values.

use super::card::{Card, Value};

/// A FITS header: its cards as they stand, and their values by keyword.
///
/// Record-valued cards (`DP1 = 'EXTVER: 2'`) answer to the name `DP1.EXTVER`.
#[derive(Debug, Clone, Default)]
pub struct Header {
    cards: Vec<Card>,
    text: String,
}

impl Header {
    /// Reads concatenated 80-character cards. What is not ASCII, which FITS does not allow, becomes `?`.
    pub fn from_cards(text: impl Into<String>) -> Self {
        let mut text = text.into();
        if !text.is_ascii() {
            text = text.chars().map(|c| if c.is_ascii() { c } else { '?' }).collect();
        }
        let mut cards: Vec<Card> = Vec::new();
        for record in records(&text) {
            match record.strip_prefix("CONTINUE") {
                Some(rest) => {
                    let more =
                        Card::parse(&format!("{:<80}", format!("X       = {}", rest.trim())));
                    if let (Some(last), Some(more)) = (cards.last_mut(), more) {
                        last.append(more);
                    }
                }
                None => cards.extend(Card::parse(record)),
            }
        }
        Self { cards, text }
    }

    /// The cards as they stand, 80 characters each.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Every card, in the file's order; continued strings are one.
    pub fn cards(&self) -> &[Card] {
        &self.cards
    }

    /// The value of `key`, the last one if the keyword is repeated.
    pub fn get(&self, key: &str) -> Option<&Value> {
        let found = self.cards.iter().rev().find(|c| c.key == key);
        found.and_then(|c| c.value.as_ref())
    }

    /// The value of `key` as a number.
    pub fn real(&self, key: &str) -> Option<f64> {
        match self.get(key) {
            Some(Value::Real(x)) => Some(*x),
            Some(Value::Integer(i)) => Some(*i as f64),
            Some(Value::Text(_) | Value::Logical(_)) => None,
            None => self.record_valued(key),
        }
    }

    /// The value of `key` as an integer.
    pub fn integer(&self, key: &str) -> Option<i64> {
        self.real(key).filter(|x| x.fract() == 0.0).map(|x| x as i64)
    }

    /// The value of `key` as a string, without trailing blanks.
    pub fn string(&self, key: &str) -> Option<&str> {
        match self.get(key) {
            Some(Value::Text(text)) => Some(text),
            _ => None,
        }
    }

    /// The value of `key` as a logical.
    pub fn logical(&self, key: &str) -> Option<bool> {
        match self.get(key) {
            Some(Value::Logical(b)) => Some(*b),
            _ => None,
        }
    }

    fn record_valued(&self, key: &str) -> Option<f64> {
        let (key, field) = key.split_once('.')?;
        self.cards.iter().filter(|c| c.key == key).find_map(|c| match &c.value {
            Some(Value::Text(text)) => {
                let (name, value) = text.split_once(':')?;
                (name.trim() == field).then(|| value.trim().parse().ok())?
            }
            _ => None,
        })
    }

    /// Whether the header places pixels on the sky: two celestial CTYPEs.
    pub fn has_celestial_wcs(&self) -> bool {
        let axis = |key| self.string(key).unwrap_or("").to_ascii_uppercase();
        let (x, y) = (axis("CTYPE1"), axis("CTYPE2"));
        let celestial = |t: &str| {
            t.starts_with("RA--")
                || t.starts_with("DEC-")
                || t[..t.len().min(4)].ends_with("LON")
                || t[..t.len().min(4)].ends_with("LAT")
        };
        celestial(&x) && celestial(&y)
    }

    /// The header of the sub-image whose first pixel is (`x0`, `y0`), 0-based: CRPIX moved.
    pub fn shifted(&self, x0: usize, y0: usize) -> Self {
        let mut moved = String::with_capacity(self.text.len() + 160);
        let shifts = [("CRPIX1", x0 as f64), ("CRPIX2", y0 as f64)];
        for (key, shift) in shifts {
            let crpix = self.real(key).unwrap_or(0.0) - shift;
            moved += &Card::new(key, crpix, "moved to the stamp").format()[0];
        }
        for record in records(&self.text) {
            if !shifts.iter().any(|(key, _)| record[..8].trim_end() == *key) {
                moved += record;
            }
        }
        Self::from_cards(moved)
    }

    /// The cards of the WCS, SIP included, ready to be copied into another image's header.
    ///
    /// Empty if there is no celestial WCS, or if it needs look-up tables, which do not travel.
    pub fn wcs_cards(&self) -> Vec<Card> {
        const NAMES: [&str; 12] = [
            "WCSAXES", "CTYPE", "CRVAL", "CRPIX", "CD", "CDELT", "PC", "CUNIT", "RADESYS",
            "EQUINOX", "LONPOLE", "LATPOLE",
        ];
        let tables = ["CPDIS1", "CPDIS2", "D2IMDIS1", "D2IMDIS2"];
        if !self.has_celestial_wcs() || tables.iter().any(|key| self.get(key).is_some()) {
            return Vec::new();
        }
        let sip = |key: &str| matches!(key.as_bytes(), [b'A' | b'B', b'_', ..]);
        let stem =
            |key: &str| key.trim_end_matches(|c: char| c.is_ascii_digit() || c == '_').to_owned();
        let wanted = |c: &&Card| {
            c.value.is_some() && (sip(&c.key) || NAMES.contains(&stem(&c.key).as_str()))
        };
        let mut cards: Vec<Card> = Vec::new();
        for card in self.cards.iter().filter(wanted) {
            match cards.iter_mut().find(|c| c.key == card.key) {
                Some(earlier) => *earlier = card.clone(),
                None => cards.push(card.clone()),
            }
        }
        // The standard wants WCSAXES before all others.
        cards.sort_by_key(|c| c.key != "WCSAXES");
        cards
    }
}

impl FromIterator<Card> for Header {
    fn from_iter<I: IntoIterator<Item = Card>>(cards: I) -> Self {
        let records = cards.into_iter().flat_map(|card| card.format());
        Self::from_cards(records.collect::<String>())
    }
}

/// The 80-character records of a header, END left out.
fn records(text: &str) -> impl Iterator<Item = &str> {
    let whole = text.len() / 80;
    (0..whole)
        .filter_map(move |i| text.get(80 * i..80 * (i + 1)))
        .filter(|record| record.trim_end() != "END")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(lines: &[&str]) -> Header {
        Header::from_cards(lines.iter().map(|l| format!("{l:<80}")).collect::<String>())
    }

    #[test]
    fn record_valued_cards_have_fields() {
        let header = header(&[
            "CPDIS1  = 'Lookup  '",
            "DP1     = 'EXTVER: 3' / which table",
            "DP1     = 'AXIS.1: 1'",
        ]);
        assert_eq!(header.integer("DP1.EXTVER"), Some(3));
        assert_eq!(header.integer("DP1.AXIS.1"), Some(1));
        assert_eq!(header.integer("DP2.EXTVER"), None);
    }

    #[test]
    fn continued_strings_are_joined() {
        let text = "it's long, ".repeat(20) + "end";
        let lines = Card::new("CONFIG", text.as_str(), "").format();
        let header = Header::from_cards(lines.concat());
        assert_eq!(header.string("CONFIG"), Some(text.as_str()));
    }

    #[test]
    fn continued_strings_have_no_trailing_blanks() {
        let lines = Card::new("CONFIG", "a".to_owned() + &" ".repeat(100), "").format();
        assert!(lines.len() > 1);
        assert_eq!(Header::from_cards(lines.concat()).string("CONFIG"), Some("a"));
    }

    #[test]
    fn a_stamp_moves_the_reference_pixel() {
        let header = header(&["CRPIX1  =                507.0", "CTYPE1  = 'RA---TAN-SIP'", "END"]);
        let stamp = header.shifted(100, 20);
        assert_eq!(stamp.real("CRPIX1"), Some(407.0));
        assert_eq!(stamp.real("CRPIX2"), Some(-20.0));
        assert_eq!(stamp.string("CTYPE1"), Some("RA---TAN-SIP"));
    }

    #[test]
    fn wcs_cards_start_with_the_number_of_axes() {
        let solution = [
            "CRPIX1  = 1.0",
            "WCSAXES = 2",
            "CTYPE1  = 'RA---TAN-SIP'",
            "CTYPE2  = 'DEC--TAN-SIP'",
            "A_ORDER = 2",
            "A_2_0   = 1E-5",
            "CD1_1   = 1E-5",
            "CD1_1   = 2E-5",
            "CRPIX1A = 7.0",
            "EXPTIME = 3.0",
        ];
        let cards = header(&solution).wcs_cards();
        let keys: Vec<_> = cards.iter().map(|c| c.key.as_str()).collect();
        let expected = ["WCSAXES", "CRPIX1", "CTYPE1", "CTYPE2", "A_ORDER", "A_2_0", "CD1_1"];
        assert_eq!(keys, expected);
        assert_eq!(cards[6].value, Some(Value::Real(2e-5)));
        let with_tables = header(&[&solution[..], &["CPDIS1  = 'Lookup'"]].concat());
        assert!(with_tables.wcs_cards().is_empty());
    }

    #[test]
    fn celestial_axes_are_told_from_linear_ones() {
        assert!(header(&["CTYPE1  = 'RA---TAN'", "CTYPE2  = 'DEC--TAN'"]).has_celestial_wcs());
        assert!(!header(&["CTYPE1  = 'LINEAR'", "CTYPE2  = 'LINEAR'"]).has_celestial_wcs());
        assert!(!header(&[]).has_celestial_wcs());
    }
}
