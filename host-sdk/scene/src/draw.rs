//! The population: parameters of one galaxy at random.

use std::f64::consts::{PI, TAU};

use rand::Rng;
use rand_distr::{Distribution, StandardNormal};

use crate::clump::Clump;
use crate::config::{LogNormal, SceneConfig};
use crate::disc::{Arms, Bar, Disc, Lopsided, Patches, Ring};
use crate::edge_on::{EdgeOn, Lane};
use crate::galaxy::{Galaxy, Kind};
use crate::spheroid::Spheroid;

/// Share of the half frame within which a profile must end.
const REACH: f64 = 0.92;

/// Sersic index of discs.
const DISC_INDEX: LogNormal = LogNormal::new(1.0, 0.15, 0.6, 1.6);

fn normal(rng: &mut impl Rng, mean: f64, sigma: f64) -> f64 {
    let z: f64 = StandardNormal.sample(rng);
    mean + sigma * z
}

/// What a galaxy's components share.
struct Frame {
    flux: f64,
    radius: f64,
    reach: f64,
    core: f64,
    q: f64,
    angle: f64,
}

impl Galaxy {
    /// One galaxy of the population.
    pub fn draw(rng: &mut impl Rng, config: &SceneConfig) -> Self {
        let ranges = &config.ranges;
        let kind = draw_kind(rng, &ranges.mix);
        let reach = REACH * config.size as f64 / 2.0;
        let stretch = match kind {
            Kind::Spiral => 1.1,
            Kind::EdgeOn => 1.25,
            Kind::Elliptical => 0.75,
            Kind::Lenticular | Kind::Irregular => 0.95,
        };
        let limits = &ranges.half_light_radius;
        let radius = (stretch * limits.draw(rng)).clamp(limits.min, limits.max);
        let q = match kind {
            Kind::Elliptical => normal(rng, 0.72, 0.17).clamp(0.4, 1.0),
            Kind::EdgeOn => rng.random_range(0.13..0.25),
            _ => {
                let (q0, cos): (f64, f64) =
                    (rng.random_range(0.15..0.25), rng.random_range(0.2..1.0));
                (cos * cos * (1.0 - q0 * q0) + q0 * q0).sqrt()
            }
        };
        let circular = radius * q.max(0.3).sqrt();
        let brightness = ranges.brightness
            + ranges.brightness_slope * circular.log10()
            + normal(rng, 0.0, ranges.brightness_dex).clamp(-0.7, 0.7);
        let frame = Frame {
            flux: TAU * circular * circular * 10f64.powf(brightness),
            radius,
            reach,
            core: ranges.core,
            q,
            angle: rng.random_range(0.0..PI),
        };
        let centre = [0, 1].map(|_| normal(rng, 0.0, ranges.centre_scatter).clamp(-1.5, 1.5));
        let empty = Galaxy {
            kind,
            centre,
            bulge: None,
            disc: None,
            edge_on: None,
            clumps: Vec::new(),
            companions: Vec::new(),
        };
        let mut galaxy = match kind {
            Kind::Spiral => spiral(rng, &frame, ranges.barred, empty),
            Kind::Lenticular => lenticular(rng, &frame, empty),
            Kind::Elliptical => elliptical(rng, &frame, empty),
            Kind::Irregular => irregular(rng, &frame, empty),
            Kind::EdgeOn => edge_on(rng, &frame, empty),
        };
        if rng.random_bool(ranges.companions) {
            for _ in 0..if rng.random_bool(0.25) { 2 } else { 1 } {
                galaxy.companions.push(companion(rng, &frame));
            }
        }
        if rng.random_bool(ranges.nucleus) {
            galaxy.clumps.push(nucleus(rng, &frame));
        }
        if rng.random_bool(ranges.star) {
            galaxy.clumps.push(star(rng, &frame));
        }
        galaxy
    }
}

fn draw_kind(rng: &mut impl Rng, mix: &[f64; 5]) -> Kind {
    let kinds = [Kind::Spiral, Kind::Lenticular, Kind::Elliptical, Kind::Irregular, Kind::EdgeOn];
    let mut left = rng.random_range(0.0..1.0) * mix.iter().sum::<f64>();
    for (kind, share) in kinds.into_iter().zip(mix) {
        left -= share;
        if left < 0.0 {
            return kind;
        }
    }
    Kind::EdgeOn
}

fn smooth_disc(rng: &mut impl Rng, frame: &Frame, flux: f64) -> Disc {
    // The taper is half way down at 3.5 to 5 exponential scale lengths (r_half / 1.678), and at zero 1.25 times farther.
    let truncation = frame.radius * rng.random_range(3.5..5.0) / 1.678 * 1.25;
    let inclined = frame.q < 0.65;
    Disc {
        flux,
        half_light_radius: frame.radius,
        sersic_index: DISC_INDEX.draw(rng),
        truncation: truncation.min(frame.reach),
        axis_ratio: frame.q,
        position_angle: frame.angle,
        warp: if inclined && rng.random_bool(0.4) {
            normal(rng, 0.0, 0.06).clamp(-0.14, 0.14)
        } else {
            0.0
        },
        lopsided: None,
        arms: None,
        bar: None,
        ring: None,
        patches: None,
    }
}

fn bulge(rng: &mut impl Rng, frame: &Frame, flux: f64, radius: f64, index: f64) -> Spheroid {
    let radius = radius.clamp(0.8, frame.radius);
    // A bulge is rounder than its disc: an oblate spheroid of intrinsic 0.75.
    let q = (0.56 + 0.44 * frame.q * frame.q).sqrt();
    Spheroid {
        flux,
        offset: [0.0; 2],
        half_light_radius: radius,
        sersic_index: index,
        axis_ratio: (q + normal(rng, 0.0, 0.05)).clamp(0.6, 1.0),
        position_angle: frame.angle,
        a4: 0.0,
        core: frame.core,
        truncation: (radius * 6.0).min(frame.reach),
    }
}

fn spiral(rng: &mut impl Rng, frame: &Frame, barred: f64, mut galaxy: Galaxy) -> Galaxy {
    let bulge_share = LogNormal::new(0.12, 0.3, 0.02, 0.45).draw(rng);
    let clump_share = LogNormal::new(0.06, 0.3, 0.01, 0.2).draw(rng);
    let ratio = LogNormal::new(0.25, 0.2, 0.08, 0.6).draw(rng);
    let index = LogNormal::new(1.8, 0.2, 0.8, 4.0).draw(rng);
    galaxy.bulge = Some(bulge(rng, frame, frame.flux * bulge_share, frame.radius * ratio, index));

    let mut light = frame.flux * (1.0 - bulge_share - clump_share);
    let mut disc = smooth_disc(rng, frame, 0.0);
    let bar_angle = rng.random_range(0.0..PI);
    let has_bar = rng.random_bool(barred);
    if has_bar {
        let bar = bar(rng, frame, light, bar_angle);
        light -= bar.flux;
        disc.bar = Some(bar);
    }
    if rng.random_bool(if has_bar { 0.2 } else { 0.08 }) {
        let radius = disc.bar.map_or(frame.radius * rng.random_range(0.7..1.4), |b| b.length * 1.1);
        let ring = ring(rng, light, radius);
        light -= ring.flux;
        disc.ring = Some(ring);
    }
    disc.flux = light;
    let hand = if rng.random_bool(0.5) { 1.0 } else { -1.0 };
    let pitch = hand * rng.random_range(8f64..35.0).to_radians();
    let flocculent = rng.random_bool(0.25);
    // Tightly wound narrow arms would be thinner than a pixel: fewer of them.
    let most = if pitch.abs() < 0.25 { 2 } else { 4 };
    let count = if has_bar || rng.random_bool(0.6) { 2 } else { rng.random_range(2..=most) };
    let inner = disc.bar.map_or(frame.radius * rng.random_range(0.2..0.45), |b| 0.9 * b.length);
    disc.arms = Some(Arms {
        count,
        pitch,
        phase: if has_bar { bar_angle } else { rng.random_range(0.0..TAU) },
        inner,
        contrast: if flocculent {
            rng.random_range(0.1..0.4)
        } else {
            rng.random_range(0.55..0.92)
        },
        sharpness: rng.random_range(1.0..3.2),
        dust: if rng.random_bool(0.7) { rng.random_range(0.3..1.6) } else { 0.0 },
        wobble: rng.random_range(0.1..0.5),
    });
    disc.patches = Some(Patches {
        amplitude: if flocculent { rng.random_range(0.7..1.3) } else { rng.random_range(0.1..0.5) },
        scale: f64::from(rng.random_range(6..12)),
        pitch: Some(pitch),
        seed: rng.random(),
    });
    disc.lopsided = lopsided(rng, 0.25);
    let count = rng.random_range(8..45);
    galaxy.clumps = clumps(rng, &disc, frame.flux * clump_share, count, 0.6..1.3);
    galaxy.disc = Some(disc);
    galaxy
}

fn bar(rng: &mut impl Rng, frame: &Frame, light: f64, angle: f64) -> Bar {
    Bar {
        flux: light * rng.random_range(0.1..0.28),
        length: frame.radius * rng.random_range(0.55..1.05),
        axis_ratio: rng.random_range(0.2..0.4),
        angle,
        ansae: if rng.random_bool(0.25) { rng.random_range(0.08..0.25) } else { 0.0 },
    }
}

fn ring(rng: &mut impl Rng, light: f64, radius: f64) -> Ring {
    let width = (radius * rng.random_range(0.08..0.18)).max(0.6);
    Ring { flux: light * rng.random_range(0.08..0.28), radius, width }
}

fn lopsided(rng: &mut impl Rng, most: f64) -> Option<Lopsided> {
    Some(Lopsided { amplitude: rng.random_range(0.0..most), phase: rng.random_range(0.0..TAU) })
}

fn lenticular(rng: &mut impl Rng, frame: &Frame, mut galaxy: Galaxy) -> Galaxy {
    let bulge_share = normal(rng, 0.5, 0.2).clamp(0.15, 0.8);
    let ratio = LogNormal::new(0.38, 0.34, 0.1, 1.0).draw(rng);
    let index = rng.random_range(1.5..4.0);
    galaxy.bulge = Some(bulge(rng, frame, frame.flux * bulge_share, frame.radius * ratio, index));
    let mut light = frame.flux * (1.0 - bulge_share);
    let mut disc = smooth_disc(rng, frame, 0.0);
    if rng.random_bool(0.3) {
        let angle = rng.random_range(0.0..PI);
        let bar = bar(rng, frame, light, angle);
        light -= bar.flux;
        disc.bar = Some(bar);
    }
    if rng.random_bool(0.2) {
        let radius = frame.radius * rng.random_range(0.8..1.5);
        let ring = ring(rng, light, radius);
        light -= ring.flux;
        disc.ring = Some(ring);
    }
    disc.flux = light;
    galaxy.disc = Some(disc);
    galaxy
}

fn elliptical(rng: &mut impl Rng, frame: &Frame, mut galaxy: Galaxy) -> Galaxy {
    galaxy.bulge = Some(Spheroid {
        flux: frame.flux,
        offset: [0.0; 2],
        half_light_radius: frame.radius,
        sersic_index: rng.random_range(2.5..6.0),
        axis_ratio: frame.q,
        position_angle: frame.angle,
        a4: normal(rng, 0.0, 0.02).clamp(-0.05, 0.05),
        core: frame.core,
        truncation: (5.0 * frame.radius).min(frame.reach),
    });
    galaxy
}

fn irregular(rng: &mut impl Rng, frame: &Frame, mut galaxy: Galaxy) -> Galaxy {
    let clump_share = rng.random_range(0.15..0.5);
    let mut light = frame.flux * (1.0 - clump_share);
    let mut disc = smooth_disc(rng, frame, 0.0);
    if rng.random_bool(0.3) {
        let angle = rng.random_range(0.0..PI);
        let bar = bar(rng, frame, light, angle);
        light -= bar.flux;
        disc.bar = Some(bar);
    }
    disc.flux = light;
    disc.lopsided = lopsided(rng, 0.9);
    disc.patches = Some(Patches {
        amplitude: rng.random_range(0.6..1.6),
        scale: frame.radius * rng.random_range(0.4..0.9),
        pitch: None,
        seed: rng.random(),
    });
    let count = rng.random_range(5..50);
    galaxy.clumps = clumps(rng, &disc, frame.flux * clump_share, count, 0.6..1.9);
    galaxy.disc = Some(disc);
    galaxy
}

fn edge_on(rng: &mut impl Rng, frame: &Frame, mut galaxy: Galaxy) -> Galaxy {
    let bulge_share = LogNormal::new(0.15, 0.35, 0.02, 0.5).draw(rng);
    let clump_share = LogNormal::new(0.03, 0.3, 0.005, 0.1).draw(rng);
    let (ratio, index) = (rng.random_range(0.15..0.45), rng.random_range(1.0..4.0));
    let mut spheroid = bulge(rng, frame, frame.flux * bulge_share, frame.radius * ratio, index);
    spheroid.a4 = rng.random_range(-0.06..0.0);
    spheroid.axis_ratio = rng.random_range(0.5..0.85);
    galaxy.bulge = Some(spheroid);
    let height = (frame.q * frame.radius * 0.65).max(0.7);
    let truncation = frame.radius * rng.random_range(3.5..5.0) / 1.678 * 1.25;
    let disc = EdgeOn {
        flux: frame.flux * (1.0 - bulge_share - clump_share),
        half_light_radius: frame.radius,
        sersic_index: DISC_INDEX.draw(rng),
        truncation: truncation.min(frame.reach),
        height,
        position_angle: frame.angle,
        warp: if rng.random_bool(0.5) { normal(rng, 0.0, 0.08).clamp(-0.18, 0.18) } else { 0.0 },
        patches: Some(Patches {
            amplitude: rng.random_range(0.0..0.5),
            scale: 2.5,
            pitch: None,
            seed: rng.random(),
        }),
        lane: rng.random_bool(0.7).then(|| Lane {
            depth: rng.random_range(0.6..2.5),
            height: (height * rng.random_range(0.25..0.45)).max(0.35),
            length: frame.radius * rng.random_range(0.8..1.8),
            offset: normal(rng, 0.0, 0.25 * height),
        }),
    };
    let total = frame.flux * clump_share;
    let places: Vec<[f64; 2]> = (0..rng.random_range(3..15))
        .map(|_| {
            disc.project([normal(rng, 0.0, 0.8 * frame.radius), normal(rng, 0.0, 0.3 * height)])
        })
        .collect();
    galaxy.clumps = shares(rng, places, total, 0.6..1.1, frame.reach);
    galaxy.edge_on = Some(disc);
    galaxy
}

/// `count` clumps of total flux `flux`: two in three on the arms, the rest anywhere in the disc.
fn clumps(
    rng: &mut impl Rng,
    disc: &Disc,
    flux: f64,
    count: usize,
    sigma: std::ops::Range<f64>,
) -> Vec<Clump> {
    let places = (0..count)
        .map(|_| {
            // Radii of an exponential disc are Gamma(2): a sum of two exponentials.
            let scale = disc.half_light_radius / 1.678;
            let exponential = |rng: &mut _| -rng_unit(rng).ln() * scale;
            let mut r = (exponential(rng) + exponential(rng)).min(0.85 * disc.truncation);
            let mut theta = rng.random_range(0.0..TAU);
            if let Some(arms) = disc.arms.filter(|_| rng.random_bool(0.67)) {
                r = r.max(arms.inner);
                let arm = f64::from(rng.random_range(0..arms.count)) * TAU / f64::from(arms.count);
                theta = arms.phase
                    + arm
                    + (r / arms.inner).ln() / arms.pitch.tan()
                    + normal(rng, 0.0, 0.12);
            }
            disc.project([r * theta.cos(), r * theta.sin()])
        })
        .collect();
    shares(rng, places, flux, sigma, disc.truncation)
}

/// Uniform in (0, 1].
fn rng_unit(rng: &mut impl Rng) -> f64 {
    1.0 - rng.random::<f64>()
}

/// Clumps at `places` with luminosities of a power law of slope -2 over a factor of 30, as of HII regions
/// (Kennicutt, Edgar & Hodge 1989), scaled to a total of `flux`.
fn shares(
    rng: &mut impl Rng,
    places: Vec<[f64; 2]>,
    flux: f64,
    sigma: std::ops::Range<f64>,
    reach: f64,
) -> Vec<Clump> {
    let weights: Vec<f64> =
        places.iter().map(|_| 1.0 / rng.random_range(1.0 / 30.0..1.0)).collect();
    let total: f64 = weights.iter().sum();
    places
        .into_iter()
        .zip(weights)
        .map(|(offset, w)| {
            let r = offset[0].hypot(offset[1]);
            let inside = (0.85 * reach / r.max(1e-9)).min(1.0);
            Clump {
                flux: flux * w / total,
                offset: offset.map(|o| o * inside),
                sigma: rng.random_range(sigma.clone()),
            }
        })
        .collect()
}

fn companion(rng: &mut impl Rng, frame: &Frame) -> Spheroid {
    let radius = (frame.radius * rng.random_range(0.12..0.4)).clamp(0.7, 2.8);
    let truncation = (5.0 * radius).max(4.0);
    let farthest = (frame.reach - truncation).max(1.0);
    let distance = (frame.radius * rng.random_range(1.3..3.5)).min(farthest);
    let angle = rng.random_range(0.0..TAU);
    Spheroid {
        flux: frame.flux * LogNormal::new(0.05, 0.35, 0.01, 0.3).draw(rng),
        offset: [distance * angle.cos(), distance * angle.sin()],
        half_light_radius: radius,
        sersic_index: rng.random_range(0.8..2.5),
        axis_ratio: rng.random_range(0.4..1.0),
        position_angle: rng.random_range(0.0..PI),
        a4: 0.0,
        core: frame.core,
        truncation,
    }
}

/// Standard deviation of an unresolved source, pixels: what a pixel's own size leaves of a point, and the half pixel
/// that drizzling adds.
const UNRESOLVED: std::ops::Range<f64> = 0.4..0.6;

/// An active nucleus or a nuclear star cluster.
fn nucleus(rng: &mut impl Rng, frame: &Frame) -> Clump {
    Clump {
        flux: frame.flux * LogNormal::new(0.04, 0.4, 0.005, 0.3).draw(rng),
        offset: [0, 1].map(|_| normal(rng, 0.0, 0.25).clamp(-0.7, 0.7)),
        sigma: rng.random_range(UNRESOLVED),
    }
}

/// A star in the foreground, or a compact source next to the galaxy, anywhere in the frame.
fn star(rng: &mut impl Rng, frame: &Frame) -> Clump {
    Clump {
        flux: frame.flux * LogNormal::new(0.05, 0.4, 0.005, 0.4).draw(rng),
        offset: [0, 1].map(|_| rng.random_range(-0.95..0.95) * frame.reach),
        sigma: rng.random_range(UNRESOLVED),
    }
}
