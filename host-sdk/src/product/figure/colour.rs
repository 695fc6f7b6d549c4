//! From a value to a colour: stretch, then map.

use super::canvas::Rgb;

/// A colour map, as anchors at equal distances.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ColourMap {
    /// Light on dark: images.
    Inferno,
    /// Uncertainties.
    Viridis,
    /// Blue, white, red: residuals.
    Diverging,
}

const INFERNO: [Rgb; 9] = [
    [0, 0, 4],
    [31, 12, 72],
    [85, 15, 109],
    [136, 34, 106],
    [186, 54, 85],
    [227, 89, 51],
    [249, 140, 10],
    [249, 201, 50],
    [252, 255, 164],
];
const VIRIDIS: [Rgb; 9] = [
    [68, 1, 84],
    [71, 44, 122],
    [59, 81, 139],
    [44, 113, 142],
    [33, 144, 141],
    [39, 173, 129],
    [92, 200, 99],
    [170, 220, 50],
    [253, 231, 37],
];
const DIVERGING: [Rgb; 9] = [
    [5, 48, 97],
    [33, 102, 172],
    [103, 169, 207],
    [209, 229, 240],
    [247, 247, 247],
    [253, 219, 199],
    [239, 138, 98],
    [178, 24, 43],
    [103, 0, 31],
];

impl ColourMap {
    /// The colour at `t`, 0 to 1: red, green, blue.
    pub fn at(self, t: f64) -> [u8; 3] {
        let anchors = match self {
            Self::Inferno => &INFERNO,
            Self::Viridis => &VIRIDIS,
            Self::Diverging => &DIVERGING,
        };
        let position = t.clamp(0.0, 1.0) * (anchors.len() - 1) as f64;
        let low = (position as usize).min(anchors.len() - 2);
        let share = position - low as f64;
        let mix = |a: u8, b: u8| (f64::from(a) + (f64::from(b) - f64::from(a)) * share) as u8;
        let (a, b) = (anchors[low], anchors[low + 1]);
        [mix(a[0], b[0]), mix(a[1], b[1]), mix(a[2], b[2])]
    }
}

/// How values are spread over a colour map.
#[derive(Debug, Clone, Copy)]
pub struct Scale {
    /// Value at the map's start.
    pub low: f64,
    /// Value at its end.
    pub high: f64,
    /// Where the asinh stretch turns from linear to logarithmic; infinite is linear throughout.
    pub soft: f64,
    /// The map.
    pub map: ColourMap,
}

impl Scale {
    /// 0 to 1; `None` for NaN.
    pub fn fraction(&self, value: f64) -> Option<f64> {
        let bend = |v: f64| match self.soft.is_finite() {
            true => (v / self.soft).asinh(),
            false => v,
        };
        let (low, high) = (bend(self.low), bend(self.high));
        let t = (bend(value) - low) / (high - low);
        (!t.is_nan()).then_some(t)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stretch_keeps_its_ends_and_order() {
        let scale = Scale { low: -1.0, high: 100.0, soft: 1.0, map: ColourMap::Inferno };
        assert_eq!(scale.fraction(-1.0), Some(0.0));
        assert_eq!(scale.fraction(100.0), Some(1.0));
        assert!(scale.fraction(1.0) < scale.fraction(2.0));
        assert_eq!(scale.fraction(f64::NAN), None);
        assert_eq!(scale.map.at(2.0), [252, 255, 164]);
        assert_eq!(ColourMap::Diverging.at(0.5), [247, 247, 247]);
    }
}
