//! Values that know their range, so that an error points at the line they are on.

use std::fmt;
use std::str::FromStr;

use pellucid_host::input::{PsfCentre, SkyLevel};
use serde::de::{self, Deserialize, Deserializer, SeqAccess, Visitor};

macro_rules! ranged {
    ($(#[$doc:meta])* $name:ident($inner:ty), $need:literal, $holds:expr) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, PartialOrd, serde::Deserialize)]
        #[serde(try_from = "Number")]
        pub struct $name(pub $inner);

        impl TryFrom<Number> for $name {
            type Error = String;

            fn try_from(number: Number) -> Result<Self, String> {
                let value = number.0;
                let holds: fn(f64) -> bool = $holds;
                match holds(value) {
                    true => Ok(Self(value as $inner)),
                    false => Err(format!("needed {}, got {value}", $need)),
                }
            }
        }
    };
}

ranged!(
    /// A positive number.
    Positive(f64), "a positive number", |x| x > 0.0 && x.is_finite()
);
ranged!(
    /// A number that is not negative.
    NotNegative(f64), "a number that is not negative", |x| x >= 0.0 && x.is_finite()
);
ranged!(
    /// A count from 1.
    #[derive(Eq)]
    AtLeastOne(usize), "a whole number from 1", |x| x >= 1.0 && x.fract() == 0.0 && x < 1e15
);
ranged!(
    /// A right ascension, degrees.
    RightAscension(f64), "degrees from 0 to 360", |x| (0.0..=360.0).contains(&x)
);
ranged!(
    /// A declination, degrees.
    Declination(f64), "degrees from -90 to 90", |x| (-90.0..=90.0).contains(&x)
);

/// An integer or a real.
pub struct Number(f64);

impl<'de> Deserialize<'de> for Number {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Numbers;
        impl Visitor<'_> for Numbers {
            type Value = Number;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a number")
            }

            fn visit_i64<E>(self, value: i64) -> Result<Number, E> {
                Ok(Number(value as f64))
            }

            fn visit_u64<E>(self, value: u64) -> Result<Number, E> {
                Ok(Number(value as f64))
            }

            fn visit_f64<E>(self, value: f64) -> Result<Number, E> {
                Ok(Number(value))
            }
        }
        deserializer.deserialize_any(Numbers)
    }
}

/// One path or several.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Paths(pub Vec<String>);

impl<'de> Deserialize<'de> for Paths {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Either;
        impl<'de> Visitor<'de> for Either {
            type Value = Paths;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a path or a list of paths, none of them empty")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Paths, E> {
                match text.trim().is_empty() {
                    true => Err(E::invalid_value(de::Unexpected::Str(text), &self)),
                    false => Ok(Paths(vec![text.trim().into()])),
                }
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Paths, A::Error> {
                let mut paths = Vec::new();
                while let Some(path) = list.next_element::<String>()? {
                    paths.push(path.trim().to_owned());
                }
                match paths.is_empty() || paths.iter().any(String::is_empty) {
                    true => Err(de::Error::invalid_value(de::Unexpected::Seq, &self)),
                    false => Ok(Paths(paths)),
                }
            }
        }
        deserializer.deserialize_any(Either)
    }
}

/// `none`, `header` or a number.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sky(pub SkyLevel);

impl<'de> Deserialize<'de> for Sky {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Level;
        impl Visitor<'_> for Level {
            type Value = Sky;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("none, header or a finite number")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Sky, E> {
                match (text, text.parse::<f64>()) {
                    ("none", _) => Ok(Sky(SkyLevel::None)),
                    ("header", _) => Ok(Sky(SkyLevel::Header)),
                    (_, Ok(value)) => self.visit_f64(value),
                    _ => Err(E::invalid_value(de::Unexpected::Str(text), &self)),
                }
            }

            fn visit_f64<E: de::Error>(self, value: f64) -> Result<Sky, E> {
                match value.is_finite() {
                    true => Ok(Sky(SkyLevel::Value(value))),
                    false => Err(E::invalid_value(de::Unexpected::Float(value), &self)),
                }
            }

            fn visit_i64<E: de::Error>(self, value: i64) -> Result<Sky, E> {
                self.visit_f64(value as f64)
            }
        }
        deserializer.deserialize_any(Level)
    }
}

macro_rules! text {
    ($(#[$doc:meta])* $name:ident($inner:ty), $parse:expr) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, serde::Deserialize)]
        #[serde(try_from = "String")]
        pub struct $name(pub $inner);

        impl TryFrom<String> for $name {
            type Error = String;

            fn try_from(text: String) -> Result<Self, String> {
                let parse: fn(&str) -> Result<$inner, String> = $parse;
                parse(&text).map(Self).map_err(|need| format!("{need}, got {text:?}"))
            }
        }
    };
}

text!(
    /// The centre of a PSF.
    Centre(PsfCentre), |text| PsfCentre::from_str(text)
);
text!(
    /// A target's name.
    Name(String), |text| match is_name(text) {
        true => Ok(text.to_owned()),
        false => Err("needed letters, digits and ._+-, no point first".into()),
    }
);
text!(
    /// A sampler.
    Sampler(String), |text| one_of(text, &["calibrated", "convolved", "smc"])
);
text!(
    /// Arithmetic of the network.
    Precision(String), |text| one_of(text, &["f32", "bf16"])
);

/// Whether products can be called after it.
pub fn is_name(text: &str) -> bool {
    let fine = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '+' | '-');
    !text.is_empty() && text.len() <= 128 && !text.starts_with('.') && text.chars().all(fine)
}

fn one_of(text: &str, known: &[&str]) -> Result<String, String> {
    match known.contains(&text) {
        true => Ok(text.into()),
        false => Err(format!("needed {}", known.join(", "))),
    }
}
