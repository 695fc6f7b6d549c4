//! Small parsers of text: addresses, header cards, places of a PSF's centre.

use pellucid_host::fits::{Card, FitsAddress, Header};
use pellucid_host::input::{PsfCentre, to_electrons_per_second};
use pellucid_host::sky::{ModelGrid, TanSip};

/// Parses `data` as each of them.
pub fn run(data: &[u8]) {
    let text = String::from_utf8_lossy(data).into_owned();
    let address = FitsAddress::from(text.as_str());
    if address.extension.is_some() && !text.contains('\0') {
        // What it is written as names the same HDU again.
        let again = FitsAddress::from(address.to_string().as_str());
        assert_eq!(again.to_string(), address.to_string());
    }
    let _ = text.parse::<PsfCentre>();
    header(&Header::from_cards(text.as_str()));
    let records: String = text.lines().map(|line| format!("{line:<80}")).collect();
    header(&Header::from_cards(records));
    let (key, value) = text.split_once('=').unwrap_or(("KEY", &text));
    let key: String = key.chars().filter(char::is_ascii_uppercase).take(8).collect();
    let card: Header = [Card::new(&key, value, value), Card::comment(value)].into_iter().collect();
    assert_eq!(card.text().len() % 80, 0);
    assert!(card.text().is_ascii());
    let plain = value.chars().all(|c| (' '..='~').contains(&c));
    if plain && !key.is_empty() && !["END", "CONTINUE", "COMMENT", "HISTORY"].contains(&&*key) {
        assert_eq!(card.string(&key), Some(value.trim_end_matches(' ')));
    }
}

fn header(header: &Header) {
    for key in ["CRPIX1", "EXTVER", "DP1.EXTVER", "CTYPE1", "X"] {
        let _ = (header.real(key), header.integer(key), header.string(key), header.logical(key));
    }
    let (moved, cards) = (header.shifted(1, 2), header.wcs_cards());
    let _ = cards.into_iter().collect::<Header>();
    if let Ok(wcs) = TanSip::from_header(&moved, "a header") {
        let _ = wcs.sky_to_pixel(wcs.pixel_to_sky([3.0, 4.0]));
    }
    if let Ok(grid) = ModelGrid::from_header(header, (8, 8), "a header") {
        assert_eq!(grid.outline().len(), 36);
    }
    let _ = to_electrons_per_second(None, header, header, "a header");
}
