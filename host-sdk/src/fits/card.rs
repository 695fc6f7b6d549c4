//! One header card, both ways: 80 characters and what they mean.

/// The value of a header card.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// `T` or `F`.
    Logical(bool),
    /// An integer.
    Integer(i64),
    /// A real number; NaN and infinities, which FITS cannot hold, are written as undefined.
    Real(f64),
    /// A string; longer than 68 characters it is continued on the next cards (CONTINUE).
    Text(String),
}

macro_rules! value_from {
    ($($from:ty => $variant:ident),*) => {$(
        impl From<$from> for Value {
            fn from(value: $from) -> Self {
                Self::$variant(value.into())
            }
        }
    )*};
}
value_from!(bool => Logical, i64 => Integer, i32 => Integer, u32 => Integer, f64 => Real, f32 => Real, &str => Text, String => Text);

impl From<u64> for Value {
    /// Beyond the range of FITS readers' integers: the largest of them.
    fn from(value: u64) -> Self {
        Self::Integer(i64::try_from(value).unwrap_or(i64::MAX))
    }
}

impl From<usize> for Value {
    fn from(value: usize) -> Self {
        Self::from(value as u64)
    }
}

/// One header card.
#[derive(Debug, Clone, PartialEq)]
pub struct Card {
    /// Keyword, up to eight of `A-Z 0-9 - _`.
    pub key: String,
    /// Value; `None` for an undefined one and for COMMENT and HISTORY.
    pub value: Option<Value>,
    /// Comment after the value, or the text of COMMENT and HISTORY.
    pub comment: String,
}

impl Card {
    /// A keyword with a value and a comment.
    pub fn new(key: &str, value: impl Into<Value>, comment: &str) -> Self {
        Self { key: key.into(), value: Some(value.into()), comment: comment.into() }
    }

    /// A COMMENT card (split over several if longer than 72 characters).
    pub fn comment(text: &str) -> Self {
        Self { key: "COMMENT".into(), value: None, comment: text.into() }
    }

    /// Reads one 80-character card; `None` for END, blank and CONTINUE cards.
    pub(super) fn parse(card: &str) -> Option<Self> {
        let key = card.get(..8)?.trim_end();
        let rest = card.get(8..)?;
        if matches!(key, "" | "END" | "CONTINUE") {
            return None;
        }
        let Some(body) = rest.strip_prefix("= ") else {
            return Some(Self { key: key.into(), value: None, comment: rest.trim_end().into() });
        };
        let (value, tail) = split_value(body);
        let comment = tail.split_once('/').map_or("", |(_, c)| c).trim();
        Some(Self { key: key.into(), value, comment: comment.into() })
    }

    /// Takes in the string of a CONTINUE card, if this card's own string asks for one.
    pub(super) fn append(&mut self, more: Self) {
        if let (Some(Value::Text(text)), Some(Value::Text(tail))) = (&mut self.value, more.value)
            && text.ends_with('&')
        {
            text.pop();
            text.push_str(&tail);
            // Blanks before a last piece that holds nothing else end the string.
            text.truncate(text.trim_end().len());
        }
    }

    /// The card as one or more 80-character records.
    pub(super) fn format(&self) -> Vec<String> {
        let Some(value) = &self.value else {
            if matches!(self.key.as_str(), "COMMENT" | "HISTORY") {
                let text: Vec<char> = ascii(&self.comment).chars().collect();
                return text
                    .chunks(72)
                    .map(|part| record(&format!("{:<8}{}", self.key, String::from_iter(part))))
                    .collect();
            }
            return vec![record(&(format!("{:<8}= {:20}", self.key, "") + &self.tail(30)))];
        };
        let body = match value {
            Value::Logical(b) => format!("{:>20}", if *b { "T" } else { "F" }),
            Value::Integer(i) => format!("{i:>20}"),
            Value::Real(x) if !x.is_finite() => " ".repeat(20),
            Value::Real(x) => format!("{:>20}", real(*x)),
            Value::Text(text) => {
                let quoted = ascii(text).replace('\'', "''");
                if quoted.len() > 68 {
                    return self.format_long(&ascii(text));
                }
                format!("{:<20}", format!("'{quoted:<8}'"))
            }
        };
        let head = format!("{:<8}= {body}", self.key);
        let used = head.len();
        vec![record(&(head + &self.tail(used)))]
    }

    /// Whether it needs CONTINUE cards.
    pub(super) fn is_long(&self) -> bool {
        self.value.is_some() && self.format().len() > 1
    }

    /// A comment that fits after `used` characters, cut rather than wrapped.
    fn tail(&self, used: usize) -> String {
        let room = 80usize.saturating_sub(used + 3);
        if self.comment.is_empty() || room == 0 {
            return String::new();
        }
        format!(" / {}", ascii(&self.comment).chars().take(room).collect::<String>())
    }

    fn format_long(&self, text: &str) -> Vec<String> {
        let mut pieces = vec![String::new()];
        for c in text.chars() {
            let width = if c == '\'' { 2 } else { 1 };
            let last = pieces.last_mut().expect("starts with one piece");
            if last.len() + width > 66 {
                pieces.push(String::new());
            }
            let last = pieces.last_mut().expect("starts with one piece");
            last.push(c);
            if width == 2 {
                last.push(c);
            }
        }
        let end = pieces.len() - 1;
        let lines = pieces.iter().enumerate().map(|(i, piece)| {
            let head = if i == 0 { format!("{:<8}= ", self.key) } else { "CONTINUE  ".into() };
            record(&format!("{head}'{piece}{}'", if i == end { "" } else { "&" }))
        });
        lines.collect()
    }
}

/// A value field and what follows it.
fn split_value(body: &str) -> (Option<Value>, &str) {
    let trimmed = body.trim_start();
    if let Some(quoted) = trimmed.strip_prefix('\'') {
        let mut text = String::new();
        let mut chars = quoted.char_indices().peekable();
        while let Some((at, c)) = chars.next() {
            if c != '\'' {
                text.push(c);
            } else if chars.next_if(|&(_, next)| next == '\'').is_some() {
                text.push('\'');
            } else {
                return (Some(Value::Text(text.trim_end().into())), &quoted[at + 1..]);
            }
        }
        return (Some(Value::Text(text.trim_end().into())), "");
    }
    let end = trimmed.find('/').unwrap_or(trimmed.len());
    let (token, tail) = trimmed.split_at(end);
    let token = token.trim();
    let value = match token {
        "T" => Some(Value::Logical(true)),
        "F" => Some(Value::Logical(false)),
        _ => token.parse().map(Value::Integer).ok().or_else(|| {
            // FITS allows Fortran's D exponents, and neither NaN nor infinity.
            let number = token.replace(['D', 'd'], "E").parse::<f64>();
            number.ok().filter(|x| x.is_finite()).map(Value::Real)
        }),
    };
    (value, tail)
}

/// The shortest text that reads back as `x`, with the decimal point FITS readers expect.
fn real(x: f64) -> String {
    let plain = format!("{x:?}");
    if !plain.contains('e') {
        return plain;
    }
    let (mantissa, exponent) = plain.split_once('e').expect("checked above");
    let point = if mantissa.contains('.') { "" } else { ".0" };
    format!("{mantissa}{point}E{exponent}")
}

fn ascii(text: &str) -> String {
    text.chars()
        .map(|c| match c {
            ' '..='~' => c,
            _ => '?',
        })
        .collect()
}

fn record(text: &str) -> String {
    debug_assert!(text.len() <= 80, "card too long: {text}");
    format!("{text:<80}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn round_trip(value: impl Into<Value>) -> Option<Value> {
        let lines = Card::new("KEY", value, "a comment").format();
        assert!(lines.iter().all(|l| l.len() == 80), "{lines:?}");
        Card::parse(&lines[0]).unwrap().value
    }

    #[test]
    fn values_read_back_exactly() {
        for x in [1.0, -0.1, 1e-300, 1.7976931348623157e308, 5e-324, 1e22, 0.065] {
            assert_eq!(round_trip(x), Some(Value::Real(x)));
        }
        assert_eq!(round_trip(true), Some(Value::Logical(true)));
        assert_eq!(round_trip(-7i64), Some(Value::Integer(-7)));
        assert_eq!(round_trip("it's"), Some(Value::Text("it's".into())));
        assert_eq!(round_trip(f64::NAN), None);
    }

    #[test]
    fn fortran_exponents_and_comments() {
        let card = format!("{:<80}", "CD1_1   =  -1.5D-05 / [deg/pixel] a / slash");
        let card = Card::parse(&card).unwrap();
        assert_eq!(card.value, Some(Value::Real(-1.5e-5)));
        assert_eq!(card.comment, "[deg/pixel] a / slash");
    }

    #[test]
    fn long_strings_are_continued() {
        let text = "quote ' ".repeat(30);
        let lines = Card::new("CONFIG", text.trim_end(), "").format();
        assert!(lines.len() > 3 && lines.iter().all(|l| l.len() == 80));
        assert!(lines[1].starts_with("CONTINUE  '") && lines[0].contains("&'"));
    }
}
