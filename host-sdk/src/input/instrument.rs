//! Which camera and filter took an exposure.

use crate::fits::Header;

/// What the headers call the camera; `None` where they say nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct InstrumentNames {
    /// INSTRUME.
    pub instrument: Option<String>,
    /// DETECTOR.
    pub detector: Option<String>,
    /// FILTER, or whichever of FILTER1 and FILTER2 is not clear.
    pub filter: Option<String>,
}

impl InstrumentNames {
    /// The names in an image's header, else in the primary header.
    pub fn of(image: &Header, primary: &Header) -> Self {
        let text = |key: &str| {
            let found = image.string(key).or_else(|| primary.string(key));
            found.map(str::trim).filter(|t| !t.is_empty()).map(String::from)
        };
        let wheels = ["FILTER", "FILTER1", "FILTER2"].into_iter().filter_map(text);
        let mut filters = wheels.filter(|f| !f.to_ascii_uppercase().starts_with("CLEAR"));
        Self { instrument: text("INSTRUME"), detector: text("DETECTOR"), filter: filters.next() }
    }
}

impl std::fmt::Display for InstrumentNames {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let names = [&self.instrument, &self.detector, &self.filter];
        let names: Vec<&str> = names.into_iter().flatten().map(String::as_str).collect();
        f.write_str(if names.is_empty() { "an unnamed camera" } else { "" })?;
        f.write_str(&names.join(" "))
    }
}
