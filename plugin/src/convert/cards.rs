//! The FITS header of a product (FITS 4.0: Pence et al. 2010, A&A 524, A42, as revised 2018).

use ::pellucid_exposure::CardValue;
use serde_json::Value;

use crate::engine::Posterior;

const CARD: usize = 80;
/// Characters of a string value that fit beside `KEYWORD = ''`.
const FIXED_TEXT: usize = CARD - 12;

/// WCS, quality and provenance of a result, 80 bytes a card, without END.
pub(crate) fn product<P: Posterior>(posterior: &P, zero_points: &[f64]) -> String {
    let mut cards = String::new();
    for (key, value, comment) in posterior.grid().header_cards() {
        cards += &fixed(&key, &value, &comment);
    }
    let errors = posterior.sample_errors();
    let failed = errors.iter().flatten().count();
    let count = |n: usize| CardValue::Integer(n as i64);
    cards += &fixed("NSAMPLES", &count(errors.len()), "posterior samples");
    cards += &fixed("NFAILED", &count(failed), "samples that failed, all NaN");
    cards += &fixed("NEXPOSUR", &count(posterior.exposures().len()), "exposures");
    for (index, zero_point) in zero_points.iter().enumerate().filter(|(_, zp)| **zp != 0.0) {
        let key = format!("EXPOSURES {} ZEROPOINT", index + 1);
        cards += &hierarch(&key, &CardValue::Real(*zero_point));
    }
    leaves("", &posterior.provenance(), &mut cards);
    cards
}

/// Every scalar of a JSON value as a card named by its path.
fn leaves(path: &str, value: &Value, cards: &mut String) {
    let child = |name: &str| format!("{path} {}", name.to_uppercase()).trim_start().to_owned();
    let value = match value {
        Value::Object(map) => return map.iter().for_each(|(k, v)| leaves(&child(k), v, cards)),
        Value::Array(list) => {
            let items = list.iter().enumerate();
            return items.for_each(|(k, v)| leaves(&child(&(k + 1).to_string()), v, cards));
        }
        Value::Null => return,
        Value::Bool(true) => CardValue::Text("true".into()),
        Value::Bool(false) => CardValue::Text("false".into()),
        Value::Number(number) => match (number.as_i64(), number.as_f64()) {
            (Some(integer), _) => CardValue::Integer(integer),
            // Beyond i64: as digits, which a float would not keep.
            (None, _) if number.is_u64() => CardValue::Text(number.to_string()),
            (None, Some(real)) => CardValue::Real(real),
            (None, None) => CardValue::Text(number.to_string()),
        },
        Value::String(text) => CardValue::Text(text.clone()),
    };
    *cards += &hierarch(path, &value);
}

/// A card with an eight-character keyword.
fn fixed(key: &str, value: &CardValue, comment: &str) -> String {
    let value = match value {
        CardValue::Text(text) => format!("{:<20}", quoted(&ascii(text, FIXED_TEXT))),
        number => format!("{:>20}", literal(number)),
    };
    pad(&format!("{key:<8}= {value} / {comment}"))
}

/// A card of the HIERARCH convention (Wicenec et al. 2009) under `PELLUCID`; long text goes on in
/// CONTINUE cards.
fn hierarch(key: &str, value: &CardValue) -> String {
    let key: String = key
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() || c == ' ' || c == '-' { c } else { '_' })
        .take(CARD / 2)
        .collect();
    let head = format!("HIERARCH PELLUCID {} = ", key.trim_end());
    let CardValue::Text(text) = value else {
        return pad(&format!("{head}{}", literal(value)));
    };
    let text = ascii(text, usize::MAX);
    let whole = quoted(&text);
    if head.len() + whole.len() <= CARD {
        return pad(&format!("{head}{whole}"));
    }
    let (mut cards, mut line, mut lead) = (String::new(), String::new(), head);
    for c in text.chars() {
        // Room for a doubled quote, the ampersand and both quotes.
        if lead.len() + quoted(&line).len() + 3 > CARD {
            cards += &pad(&format!("{lead}{}", quoted(&format!("{line}&"))));
            (line, lead) = (String::new(), "CONTINUE  ".to_owned());
        }
        line.push(c);
    }
    cards + &pad(&format!("{lead}{}", quoted(&line)))
}

fn literal(value: &CardValue) -> String {
    match value {
        CardValue::Integer(integer) => integer.to_string(),
        // Upper-case E, a decimal point, and no NaN, which FITS cannot write.
        CardValue::Real(real) if real.is_finite() => {
            let text = format!("{real:?}").to_uppercase();
            match text.contains('.') {
                true => text,
                false => text.replacen('E', ".0E", 1),
            }
        }
        CardValue::Real(_) => "''".into(),
        CardValue::Text(text) => quoted(text),
    }
}

/// FITS text: printable ASCII; at most `room` characters with quotes doubled.
fn ascii(text: &str, room: usize) -> String {
    let mut length = 0;
    text.chars()
        .map(|c| if (' '..='~').contains(&c) { c } else { '?' })
        .take_while(|c| {
            length += if *c == '\'' { 2 } else { 1 };
            length <= room
        })
        .collect()
}

fn quoted(text: &str) -> String {
    // At least eight characters, as older readers want.
    format!("'{:<8}'", text.replace('\'', "''"))
}

fn pad(card: &str) -> String {
    format!("{:<CARD$}", card.get(..CARD).unwrap_or(card))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cards_are_eighty_characters() {
        let text = |s: &str| CardValue::Text(s.to_owned());
        assert_eq!(
            fixed("CTYPE1", &text("RA---TAN"), "x").trim_end(),
            "CTYPE1  = 'RA---TAN'           / x"
        );
        assert_eq!(
            fixed("CRPIX1", &CardValue::Real(32.5), "x").trim_end(),
            "CRPIX1  =                 32.5 / x"
        );
        assert_eq!(literal(&CardValue::Real(1e-300)), "1.0E-300");
        assert_eq!(literal(&CardValue::Real(-2.5e300)), "-2.5E300");
        assert_eq!(hierarch("SEED", &CardValue::Integer(7)).len(), CARD);
        let long = hierarch("OPTIONS", &text(&"it's ü ".repeat(40)));
        assert_eq!(long.len() % CARD, 0);
        assert!(long[CARD..].starts_with("CONTINUE  '"));
        let joined: String = (0..long.len() / CARD)
            .map(|k| {
                let card = &long[k * CARD..(k + 1) * CARD];
                let text = card.split_once('\'').unwrap().1.trim_end();
                text.trim_end_matches('\'').trim_end_matches('&').to_owned()
            })
            .collect();
        assert_eq!(joined, "it''s ? ".repeat(40).trim_end_matches('x'));
    }
}
