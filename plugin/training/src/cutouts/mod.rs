//! `pellucid-train cutouts`: empty pieces of real exposures, from which a noise model learns.
//!
//! Learned noise (SLIC; Adam et al. 2023, arXiv 2311.18002) needs pictures of the noise
//! alone: sky, read noise and its correlations, hot pixels, cosmic rays, but neither galaxies nor
//! stars. A cut on the total flux alone would throw every bright cosmic ray away with the
//! galaxies. The rule here tells them apart in a single exposure, by what the optics let through:
//! light of the sky is spread over at least the PSF, the charge of a particle is not.
//!
//! 1. Sky level and noise by clipping, over the exposure or over tiles.
//! 2. In a copy of the image, pixels too sharp for the PSF are replaced by the median of their
//!    neighbours: L.A.Cosmic ([`SharpRule`]).
//! 3. Sources are what remains above a threshold in that copy after matched filters as wide as the
//!    PSF and wider. Where the best straight track a pixel wide explains it better than the best
//!    PSF-wide one does, it is a particle that step 2 missed: it is replaced too, and the filters
//!    run again ([`SourceRule`]).
//! 4. The sky is measured again without sources and particles, and subtracted.
//! 5. A cutout is kept if it has enough valid pixels, touches no source down to its outskirts, and
//!    if its total flux *in the copy* is below the cut. What is kept are the pixels of the
//!    exposure, particles and all.
//!
//! On synthetic fields (`tests.rs`; PSF of 2 pixels, tracks starting in 0.25 % of the pixels) 96 %
//! of the cutouts with particles alone are kept and 97 % of the galaxies of S/N 8 to 400 rejected,
//! 99 % without particles.
//!
//! What it cannot do: where the PSF is narrower than 2 pixels, a faint star and a cosmic ray become
//! the same picture, and more cutouts are lost (23 % at 1.5 pixels); then give `--reference`, an
//! image of the same pixels in which particles have been removed. Galaxies below the threshold
//! stay, as they do in any single exposure.

mod args;
pub(crate) mod clip;
mod facts;
mod frame;
mod matched;
mod median;
mod metadata;
mod select;
mod set;
mod sharp;
mod sky;
mod source;
mod squares;
#[cfg(test)]
mod tests;
mod tracks;

use std::path::Path;

pub use args::CutoutArgs;
pub use metadata::{CutoutMetadata, ExposureFacts, Instrument, SkyMethod, Tally};
pub use set::CutoutSet;
pub use sharp::SharpRule;
pub use source::SourceRule;

use crate::error::TrainingError;
use crate::sheet;
use frame::Frame;

/// Cutouts on the contact sheet.
const SHEET: usize = 128;
/// Its columns.
const COLUMNS: usize = 16;

/// Runs the command.
///
/// # Errors
/// [`TrainingError`] naming the file, the option or the header keyword that is wrong, or why no
/// cutout could be kept.
pub fn run(args: &CutoutArgs) -> Result<(), TrainingError> {
    let mut frames = frame::load(args)?;
    let (places, tally) = select::select(&mut frames, args);
    println!("tried {}: {tally}", tally.tried);
    for frame in &frames {
        println!("{}", frame.facts);
    }
    warn(&frames, args);
    if places.is_empty() {
        return Err(tally.nothing_kept(args));
    }
    if places.len() < args.count {
        eprintln!(
            "warning: {} of {} cutouts found; --max-tries N looks on",
            places.len(),
            args.count
        );
    }
    let set = CutoutSet::cut(&frames, &places, tally, args);
    set.write(&args.output)?;
    write_sheet(&set, &args.sheet.clone().unwrap_or_else(|| args.output.with_extension("png")))?;
    println!("{}: {}", args.output.display(), set.metadata);
    Ok(())
}

/// Says what makes a poor training set of exposures and options that are each in order.
fn warn(frames: &[Frame], args: &CutoutArgs) {
    let times = frames.iter().filter_map(|f| f.facts.exposure_time_s);
    let (least, most) = times.fold((f64::MAX, 0.0f64), |(l, m), t| (l.min(t), m.max(t)));
    if most > 1.1 * least {
        eprintln!("warning: exposure times from {least} to {most} s: the set mixes their noise");
    }
    let Some(cut) = args.flux_cut else { return };
    for ExposureFacts { label, flux_spread_e_per_s, .. } in frames.iter().map(|f| &f.facts) {
        if let Some([mean, sigma]) = flux_spread_e_per_s
            && cut < mean + 2.0 * sigma
        {
            let at = (cut - mean) / sigma;
            eprintln!(
                "warning: {label}: the flux cut lies {at:.1} standard deviations from the mean of source-free pieces: it pulls the mean of the noise down"
            );
        }
    }
}

/// Up to [`SHEET`] cutouts, evenly over the set: sky in the middle of the greys, masked pixels
/// black.
fn write_sheet(set: &CutoutSet, path: &Path) -> Result<(), TrainingError> {
    let size = set.metadata.size;
    let values = Vec::<f32>::try_from(set.cutouts.flatten(0, -1))?;
    let mask = Vec::<u8>::try_from(set.mask.flatten(0, -1))?;
    let shown: Vec<f32> =
        values.iter().zip(&mask).map(|(v, m)| if *m == 1 { *v } else { f32::NAN }).collect();
    let all: Vec<&[f32]> = shown.chunks(size * size).collect();
    let count = all.len().min(SHEET);
    let tiles: Vec<&[f32]> = (0..count).map(|k| all[k * all.len() / count]).collect();
    sheet::write(path, &tiles, size, COLUMNS.min(count), 1, sheet::noise(set.metadata.sigma()))
}
