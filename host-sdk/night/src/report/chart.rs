//! Curves as SVG.

use maud::{Markup, PreEscaped, html};

use super::text::{count, number};

const WIDTH: f64 = 480.0;
const HEIGHT: f64 = 260.0;
const LEFT: f64 = 58.0;
const RIGHT: f64 = 24.0;
const TOP: f64 = 10.0;
const BOTTOM: f64 = 40.0;
/// More points than pixels are thinned.
const MOST_POINTS: usize = 800;

/// One curve.
pub(super) struct Curve {
    pub(super) label: String,
    /// Which of the eight colours.
    pub(super) colour: usize,
    /// A noisy one that stands behind the others.
    pub(super) thin: bool,
    /// x, y; what is not finite leaves a gap, and so does an x that goes back.
    pub(super) points: Vec<(f64, f64)>,
}

impl Curve {
    fn class(&self) -> String {
        let extra = if self.thin { " thin" } else { "" };
        format!("curve k{}{extra}", self.colour % 8)
    }
}

/// Curves over one axis.
pub(super) struct Chart<'a> {
    pub(super) title: &'a str,
    pub(super) x: &'a str,
    pub(super) y: &'a str,
    pub(super) curves: &'a [Curve],
}

impl Chart<'_> {
    /// The figure; empty if there is not one point.
    pub(super) fn draw(&self) -> Markup {
        let points =
            || self.curves.iter().flat_map(|c| &c.points).filter(|(x, y)| (x + y).is_finite());
        let Some(first) = points().next() else { return html! {} };
        let bounds = |get: fn(&(f64, f64)) -> f64| {
            points().map(get).fold((get(first), get(first)), |(a, b), v| (a.min(v), b.max(v)))
        };
        let (x, y) = (Axis::new(bounds(|p| p.0), false), Axis::new(bounds(|p| p.1), true).roomy());
        let (px, py) = (
            |v: f64| LEFT + x.fraction(v) * (WIDTH - LEFT - RIGHT),
            |v: f64| HEIGHT - BOTTOM - y.fraction(v) * (HEIGHT - TOP - BOTTOM),
        );
        let summary = format!(
            "{}: {} against {}; {}, between {} and {}",
            self.title,
            self.y,
            self.x,
            count(self.curves.len(), "curve"),
            number(y.low),
            number(y.high)
        );
        let foot = HEIGHT - BOTTOM;
        html! {
            figure.chart {
                figcaption { strong { (self.title) } @if y.logarithmic { span.quiet { " (logarithmic)" } } }
                svg viewBox={ "0 0 " (WIDTH) " " (HEIGHT) } role="img" aria-label=(summary) {
                    @for tick in x.ticks() {
                        line.axis x1=(px(tick)) x2=(px(tick)) y1=(TOP) y2=(foot) {}
                        text x=(px(tick)) y=(foot + 17.0) text-anchor="middle" { (number(tick)) }
                    }
                    @for tick in y.ticks() {
                        line.axis x1=(LEFT) x2=(WIDTH - RIGHT) y1=(py(tick)) y2=(py(tick)) {}
                        text x=(LEFT - 7.0) y=(py(tick) + 4.0) text-anchor="end" { (number(tick)) }
                    }
                    text x=((LEFT + WIDTH - RIGHT) / 2.0) y=(HEIGHT - 6.0) text-anchor="middle" { (self.x) }
                    @for curve in self.curves {
                        path class=(curve.class()) d=(path(&curve.points, px, py)) {}
                    }
                }
                ul.legend {
                    @for curve in self.curves {
                        li {
                            svg viewBox="0 0 22 8" aria-hidden="true" {
                                (PreEscaped(format!(r#"<path class="{}" d="M0 4H22"></path>"#, curve.class())))
                            }
                            (curve.label)
                        }
                    }
                }
            }
        }
    }
}

fn path(points: &[(f64, f64)], px: impl Fn(f64) -> f64, py: impl Fn(f64) -> f64) -> String {
    let every = points.len().div_ceil(MOST_POINTS).max(1);
    let (mut d, mut before) = (String::new(), None);
    for (k, (x, y)) in points.iter().enumerate() {
        if k % every != 0 && k + 1 != points.len() {
            continue;
        }
        if !(x + y).is_finite() {
            before = None;
            continue;
        }
        let pen = if before.is_some_and(|b| b < *x) { 'L' } else { 'M' };
        d.push_str(&format!("{pen}{:.1} {:.1}", px(*x), py(*y)));
        before = Some(*x);
    }
    d
}

struct Axis {
    low: f64,
    high: f64,
    logarithmic: bool,
}

impl Axis {
    /// Logarithmic where that `may` be and values span more than a factor of five.
    fn new((low, high): (f64, f64), may: bool) -> Self {
        let logarithmic = may && low > 0.0 && high / low > 5.0;
        match high > low {
            true => Self { low, high, logarithmic },
            // A level line still has an axis.
            false => Self { low: low - 0.5, high: high + 0.5, logarithmic: false },
        }
    }

    /// With a little room at both ends, so that no curve runs along the frame.
    fn roomy(self) -> Self {
        const ROOM: f64 = 0.04;
        let (low, high) = match self.logarithmic {
            true => {
                let factor = (self.high / self.low).powf(ROOM);
                (self.low / factor, self.high * factor)
            }
            false => {
                let room = ROOM * (self.high - self.low);
                (self.low - room, self.high + room)
            }
        };
        Self { low, high, ..self }
    }

    fn fraction(&self, value: f64) -> f64 {
        match self.logarithmic {
            true => (value / self.low).ln() / (self.high / self.low).ln(),
            false => (value - self.low) / (self.high - self.low),
        }
    }

    /// Round values, some four to nine of them.
    fn ticks(&self) -> Vec<f64> {
        if self.logarithmic {
            let decades = self.low.log10().floor() as i32..=self.high.log10().ceil() as i32;
            let few = decades.clone().count() <= 4;
            let steps: &[f64] = if few { &[1.0, 2.0, 5.0] } else { &[1.0] };
            let all = decades.flat_map(|d| steps.iter().map(move |s| s * 10f64.powi(d)));
            return all.filter(|t| (self.low..=self.high).contains(t)).collect();
        }
        let rough = (self.high - self.low) / 5.0;
        let decade = 10f64.powf(rough.log10().floor());
        let step = [1.0, 2.0, 5.0, 10.0].map(|s| s * decade);
        let step = step.into_iter().find(|s| *s >= rough).unwrap_or(10.0 * decade);
        let (from, to) = ((self.low / step).ceil() as i64, (self.high / step).floor() as i64);
        (from..=to).take(12).map(|k| k as f64 * step).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn axes_have_round_ticks() {
        assert_eq!(Axis::new((0.0, 7500.0), false).ticks(), [0.0, 2000.0, 4000.0, 6000.0]);
        assert_eq!(Axis::new((0.03, 0.9), true).ticks().len(), 4, "0.05, 0.1, 0.2, 0.5");
        assert_eq!(Axis::new((3.0, 3.0), true).fraction(3.0), 0.5);
        assert!(!Axis::new((-1.0, 2.0), true).logarithmic);
    }

    #[test]
    fn a_curve_is_broken_where_it_starts_again() {
        let points = [(0.0, 1.0), (1.0, 2.0), (0.5, 1.0), (1.0, f64::NAN), (2.0, 3.0)];
        let d = path(&points, |x| x, |y| y);
        assert_eq!(d, "M0.0 1.0L1.0 2.0M0.5 1.0M2.0 3.0");
    }

    #[test]
    fn no_points_no_chart() {
        let chart = Chart { title: "t", x: "x", y: "y", curves: &[] };
        assert!(chart.draw().into_string().is_empty());
    }
}
