//! Text and numbers as people read them.

pub(super) use pellucid_host::clock::seconds_since_1970;
pub(super) use pellucid_host::product::short_number as number;

/// Text from outside, fit to be shown: control characters and those that turn the direction of
/// writing, which could make a name look like another, become visible. Escaping is maud's.
pub(super) fn visible(text: &str) -> String {
    let hidden = |c: char| {
        let turns = matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
        turns || c == '\u{feff}' || (c.is_control() && c != '\n')
    };
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\t' => shown.push(' '),
            c if hidden(c) => shown.extend(c.escape_unicode()),
            c => shown.push(c),
        }
    }
    shown
}

/// Seconds as `2 h 5 min`, `5 min 3 s`, below a minute as `3.25 s`.
pub(super) fn duration(seconds: f64) -> String {
    if !(seconds.is_finite() && seconds >= 0.0) {
        return "-".into();
    }
    let whole = seconds.round() as u64;
    match whole {
        0..60 => format!("{} s", number(seconds)),
        60..3600 => format!("{} min {} s", whole / 60, whole % 60),
        _ => format!("{} h {} min", whole / 3600, whole % 3600 / 60),
    }
}

/// With `digits` decimals; a dash for what is not a number.
pub(super) fn fixed(value: f64, digits: usize) -> String {
    if !value.is_finite() {
        return "-".into();
    }
    let text = format!("{value:.digits$}");
    // What rounds to nothing has no sign.
    match text.bytes().all(|b| matches!(b, b'-' | b'0' | b'.')) {
        true => text.trim_start_matches('-').into(),
        false => text,
    }
}

/// `1 target`, `2 targets`.
pub(super) fn count(n: usize, what: &str) -> String {
    format!("{n} {what}{}", if n == 1 { "" } else { "s" })
}

/// Bytes as `12.3 kB`.
pub(super) fn bytes(n: usize) -> String {
    match n {
        0..1_000 => format!("{n} B"),
        1_000..1_000_000 => format!("{:.1} kB", n as f64 / 1e3),
        _ => format!("{:.1} MB", n as f64 / 1e6),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hidden_characters_are_shown() {
        assert_eq!(
            visible("a\u{202e}b\u{0}c\td\ne\u{1b}[31m"),
            "a\\u{202e}b\\u{0}c d\ne\\u{1b}[31m"
        );
        assert_eq!(visible("σ <b>é</b>"), "σ <b>é</b>");
    }

    #[test]
    fn times_and_sizes() {
        assert_eq!(
            [duration(0.25), duration(63.4), duration(7503.0)],
            ["0.25 s", "1 min 3 s", "2 h 5 min"]
        );
        assert_eq!([duration(f64::NAN), duration(-1.0)], ["-", "-"]);
        assert_eq!([bytes(12), bytes(12_345), bytes(2_500_000)], ["12 B", "12.3 kB", "2.5 MB"]);
        assert_eq!([count(1, "target"), count(0, "target")], ["1 target", "0 targets"]);
    }
}
