//! `file.fits[12]`, `file.fits[SCI]`, `file.fits[SCI,2]`: a file and, optionally, one HDU of it.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

/// Which HDU of a file is meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Extension {
    /// 0-based position; 0 is the primary HDU.
    Number(usize),
    /// EXTNAME (case-insensitive) and, if given, EXTVER.
    Name(String, Option<i64>),
}

/// A FITS file and, optionally, one HDU of it, written as cfitsio writes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FitsAddress {
    /// The file.
    pub path: PathBuf,
    /// The HDU after the file name, if there was one.
    pub extension: Option<Extension>,
}

impl FitsAddress {
    /// The whole file, no HDU picked.
    pub fn file(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into(), extension: None }
    }
}

impl From<&str> for FitsAddress {
    /// As parsing, which cannot fail.
    fn from(text: &str) -> Self {
        text.parse().unwrap_or_else(|never| match never {})
    }
}

impl FromStr for FitsAddress {
    type Err = std::convert::Infallible;

    /// A name that exists on disk as it stands is never taken apart, brackets or not.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let whole = Self::file(text);
        if Path::new(text).exists() {
            return Ok(whole);
        }
        let Some((path, inside)) = text.strip_suffix(']').and_then(|t| t.rsplit_once('[')) else {
            return Ok(whole);
        };
        // What follows a comma and is no version belongs to the name, which no HDU will have.
        let versioned = inside
            .rsplit_once(',')
            .and_then(|(name, version)| Some((name.trim(), version.trim().parse().ok()?)));
        let extension = match (inside.trim().parse(), versioned) {
            (Ok(number), _) => Extension::Number(number),
            (_, Some((name, version))) => Extension::Name(name.into(), Some(version)),
            _ => Extension::Name(inside.trim().into(), None),
        };
        Ok(Self { path: path.into(), extension: Some(extension) })
    }
}

impl fmt::Display for Extension {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(n) => write!(f, "{n}"),
            Self::Name(name, None) => f.write_str(name),
            Self::Name(name, Some(version)) => write!(f, "{name},{version}"),
        }
    }
}

impl fmt::Display for FitsAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.path.display())?;
        match &self.extension {
            Some(extension) => write!(f, "[{extension}]"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> FitsAddress {
        text.parse().unwrap()
    }

    #[test]
    fn suffixes_name_an_hdu() {
        assert_eq!(parse("a.fits").extension, None);
        assert_eq!(parse("a.fits[12]").extension, Some(Extension::Number(12)));
        assert_eq!(parse("a.fits[sci]").extension, Some(Extension::Name("sci".into(), None)));
        assert_eq!(parse("a.fits[ 12 ]").extension, Some(Extension::Number(12)));
        let wrong = Extension::Name("SCI,x".into(), None);
        assert_eq!(parse("a.fits[SCI,x]").extension, Some(wrong));
        let second = parse("dir[1]/a.fits[SCI, 2]");
        assert_eq!(second.extension, Some(Extension::Name("SCI".into(), Some(2))));
        assert_eq!(second.path, Path::new("dir[1]/a.fits"));
        assert_eq!(second.to_string(), "dir[1]/a.fits[SCI,2]");
    }

    #[test]
    fn an_existing_file_keeps_its_brackets() {
        let path = std::env::temp_dir().join(format!("pellucid-{}[3]", std::process::id()));
        std::fs::write(&path, b"").unwrap();
        assert_eq!(parse(path.to_str().unwrap()).extension, None);
        std::fs::remove_file(path).unwrap();
    }
}
