//! Times for headers and ledgers.

use jiff::Timestamp;

/// Now, UTC, ISO 8601, to the second and without a zone, as FITS headers have it.
pub fn utc_seconds() -> String {
    Timestamp::now().strftime("%Y-%m-%dT%H:%M:%S").to_string()
}

/// Now, UTC, ISO 8601, to the millisecond.
pub fn utc_milliseconds() -> String {
    Timestamp::now().strftime("%Y-%m-%dT%H:%M:%S.%3fZ").to_string()
}

/// Seconds since 1970 of such a time; `None` if it is not one.
pub fn seconds_since_1970(time: &str) -> Option<f64> {
    let zoned = if time.ends_with('Z') { time.to_owned() } else { format!("{time}Z") };
    let stamp: Timestamp = zoned.parse().ok()?;
    Some(stamp.as_millisecond() as f64 / 1000.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_back() {
        assert_eq!(seconds_since_1970("1970-01-02T00:00:00.250Z"), Some(86_400.25));
        assert_eq!(seconds_since_1970("2024-02-29T00:00:00"), Some(1_709_164_800.0));
        assert_eq!(seconds_since_1970("yesterday"), None);
        assert_eq!(utc_seconds().len(), "2024-02-29T00:00:00".len());
        assert!(seconds_since_1970(&utc_milliseconds()).is_some_and(|s| s > 1.7e9));
    }
}
