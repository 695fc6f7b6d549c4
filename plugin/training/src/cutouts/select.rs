//! Where to cut: random corners, and why most of them are not taken.

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::args::CutoutArgs;
use super::clip::sigma_clip;
use super::frame::Frame;
use super::metadata::Tally;
use super::squares::Squares;

/// Positions tried for each cutout asked for, unless the options say otherwise.
const TRIES: usize = 200;
/// Pieces of an image whose total flux is looked at for the default cut.
const PIECES: usize = 2000;
/// The default cut, in standard deviations of the total flux of source-free pieces.
const CUT_SIGMA: f64 = 3.0;

/// A cutout: image and first pixel (y, x).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub frame: usize,
    pub corner: [usize; 2],
}

/// Draws corners, uniformly over all images, until there are enough cutouts or the tries are used
/// up. Writes the flux cut of each image into its facts.
pub(super) fn select(frames: &mut [Frame], args: &CutoutArgs) -> (Vec<Place>, Tally) {
    let size = args.size;
    let sums: Vec<Sums> = frames.iter().map(|f| Sums::new(f, size)).collect();
    for (k, (frame, sums)) in frames.iter_mut().zip(&sums).enumerate() {
        let spread = sums.flux_spread(args, k as u64);
        frame.facts.flux_spread_e_per_s = spread;
        let default = spread.map_or(0.0, |[mean, sigma]| mean + CUT_SIGMA * sigma);
        frame.facts.flux_cut_e_per_s = args.flux_cut.unwrap_or(default);
    }
    let corners: Vec<usize> = sums.iter().map(|s| s.valid.corners().iter().product()).collect();
    let all: usize = corners.iter().sum();
    let most = args.max_tries.unwrap_or(args.count.saturating_mul(TRIES));
    let mut rng = ChaCha8Rng::seed_from_u64(args.seed);
    let mut tally = Tally::default();
    let mut kept: Vec<Place> = Vec::new();
    while kept.len() < args.count && tally.tried < most {
        tally.tried += 1;
        let place = nth(rng.random_range(0..all), &corners, &sums);
        let cut = frames[place.frame].facts.flux_cut_e_per_s;
        let counter = match sums[place.frame].verdict(place.corner, args.max_masked, cut) {
            Verdict::Masked => &mut tally.masked,
            Verdict::Source => &mut tally.source,
            Verdict::Flux => &mut tally.flux,
            Verdict::Empty if taken(&kept, place, args) => &mut tally.overlap,
            Verdict::Empty => {
                kept.push(place);
                &mut tally.kept
            }
        };
        *counter += 1;
    }
    (kept, tally)
}

/// The `index`-th corner of all images.
fn nth(mut index: usize, corners: &[usize], sums: &[Sums]) -> Place {
    for (frame, count) in corners.iter().enumerate() {
        if index < *count {
            let [_, columns] = sums[frame].valid.corners();
            return Place { frame, corner: [index / columns, index % columns] };
        }
        index -= count;
    }
    unreachable!("because the index is below the sum")
}

/// Whether a place was taken before or, if that is not allowed, shares pixels with one that was.
fn taken(kept: &[Place], place: Place, args: &CutoutArgs) -> bool {
    let reach = if args.no_overlap { args.size } else { 1 };
    let near = |k: &Place| k.corner.iter().zip(place.corner).all(|(a, b)| a.abs_diff(b) < reach);
    kept.iter().any(|k| k.frame == place.frame && near(k))
}

/// What is to be said of a cutout by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Too many pixels without value.
    Masked,
    /// It touches a source.
    Source,
    /// Total flux above the cut.
    Flux,
    /// Nothing against it.
    Empty,
}

/// Sums over the cutouts of one image.
pub(super) struct Sums {
    valid: Squares,
    flux: Squares,
    source: Squares,
    area: f64,
}

impl Sums {
    pub(super) fn new(frame: &Frame, size: usize) -> Self {
        Self {
            valid: Squares::count(&frame.valid, size),
            flux: Squares::new(&frame.cleaned, size, |v| f64::from(*v)),
            source: Squares::count(&frame.source, size),
            area: (size * size) as f64,
        }
    }

    pub(super) fn verdict(&self, corner: [usize; 2], max_masked: f64, flux_cut: f64) -> Verdict {
        match () {
            () if self.masked_share(corner) > max_masked => Verdict::Masked,
            () if self.touches_source(corner) => Verdict::Source,
            () if self.flux(corner) > flux_cut => Verdict::Flux,
            () => Verdict::Empty,
        }
    }

    fn masked_share(&self, corner: [usize; 2]) -> f64 {
        1.0 - self.valid.sum(corner) / self.area
    }

    fn touches_source(&self, corner: [usize; 2]) -> bool {
        self.source.sum(corner) > 0.0
    }

    /// Total flux without particles, e-/s: the mean of the valid pixels times the number of all.
    fn flux(&self, corner: [usize; 2]) -> f64 {
        self.flux.sum(corner) * self.area / self.valid.sum(corner).max(1.0)
    }

    /// Clipped mean and standard deviation of the total flux of source-free pieces.
    fn flux_spread(&self, args: &CutoutArgs, stream: u64) -> Option<[f64; 2]> {
        let mut rng = ChaCha8Rng::seed_from_u64(args.seed);
        rng.set_stream(stream + 1);
        let corners = self.valid.corners();
        let pieces = (0..PIECES).map(|_| corners.map(|n| rng.random_range(0..n)));
        let free =
            pieces.filter(|c| self.masked_share(*c) <= args.max_masked && !self.touches_source(*c));
        sigma_clip(free.map(|c| self.flux(c))).map(|c| [c.mean, c.sigma])
    }
}
