//! Detector noise of HST exposures.
//!
//! [`DetectorNoise`] turns a noiseless rate image into what the pipeline delivers (SCI, ERR, DQ) and
//! keeps the truth of what it added. Every component is a small struct that can be used, or left out,
//! alone, and a pure function of its arguments: exposure `e` of a seed draws from its own streams, so
//! that exposures are independent and may be made in any order; hot pixels depend on the seed and the
//! position on the chip alone.
//!
//! Units: electrons (`_e`) on the detector, e-/s in images.
//!
//! | component | figure | ACS/WFC | WFC3/IR | source |
//! |---|---|---|---|---|
//! | [`CosmicRays`] | events per cm2 and s | 1.25 | 3.24 (11 per s and detector) | 1.5 to 3 % of pixels hit in 1000 s, \[1\], \[2\]; \[3\] sec. 7.9.2 |
//! | | pixel, depth of the absorber | 15, 15 um | 18, 5 um | \[1\], \[4\] (12.6 to 17.1 um); \[5\]; 5 um is an estimate |
//! | | charge of a track | cut-off 500, median 1000 e- | most probable 1500 e- | \[1\], \[2\]; ionisation of HgCdTe, an estimate |
//! | | charge diffusion | 0.635, 0.0744, 0.0169 | none beside IPC | Tiny Tim 7.5 headers, F814W, centre of WFC1 \[6\] |
//! | [`UpTheRamp`] | jumps found above | - | 83 e- = 4 sigma | calwf3 CRCORR, \[7\] sec. 3.3 |
//! | [`Snowballs`] | rate, pixels, charge | - | 0.6 per hour, 11 to 34, 2e5 to 9e5 e- | \[8\] |
//! | [`HotPixels`] | tail P(> d) of the dark current | (1 + d / 0.1)^-1.8 | (1 + d / 0.2)^-1.8 | fit to \[1\] table 4.3, below; same shape assumed |
//! | | share of pixels in it | 0.03 | 0.012 | 1 % above 0.08 e-/s; mean - mode = 0.003 e-/s, \[5\] |
//! | | flagged above | 0.14 (warm 0.06) e-/s | 0.4 e-/s | \[9\] sec. 4.3; \[10\] |
//! | dead pixels | share | 0.004 | 0.004 | an assumption |
//! | dark | e-/s | 0.006 | 0.048 | \[9\] sec. 4.3 after SM4; \[5\] sec. 5.7.2 |
//! | sky | e-/s | 0.104 | 0.702 | typical zodiacal light, \[1\] ch. 9, \[5\] sec. 5.7.2 (0.3 to 1.0) |
//! | [`ReadNoise`] | e- rms by amplifier | A 4.35, B 3.75 | 20.2, 19.8, 19.9, 20.1 a pair of reads | \[9\] table 4.1 (WFC1); READNSEA to D of flt headers |
//! | [`RowNoise`] | e- rms of a row | 0.9, of it 0.2 by amplifier | 0.95 a pair of reads, by amplifier | \[11\]; measured, below |
//! | IPC ([`Kernel3x3`]) | each edge, corner neighbour | - | 1.5 %, 0.08 % (6.3 % in all) | \[12\], made symmetric |
//!
//! \[1\] ACS Instrument Handbook, sec. 4.3; \[2\] Riess 2002, ISR ACS 2002-07; \[3\] WFC3 Instrument
//! Handbook; \[4\] Walsh et al. 2003, ISR ACS 2003-12; \[5\] WFC3 Instrument Handbook, ch. 5; \[6\] Krist
//! 2003, ISR ACS 2003-06; \[7\] WFC3 Data Handbook; \[8\] Hilbert 2009, ISR WFC3 2009-43, ground tests;
//! \[9\] ACS Data Handbook, ch. 4; \[10\] Hilbert 2012, ISR WFC3 2012-10; \[11\] Grogin et al. 2011, ISR ACS
//! 2011-05: Gaussian core 0.75 e-, 0.9 e- with its wings, 0.3 e- between amplifiers, spectrum close to 1/f;
//! \[12\] Hilbert & McCullough 2011, ISR WFC3 2011-10.
//!
//! New hot pixels a day above 0.02, 0.04, 0.06, 0.08, 0.10, 1.00 e-/s (\[1\], table 4.3 of the 2005 edition):
//! 815, 616, 480, 390, 328, 16. 1132 (1 + d / 0.1)^-1.8 gives 815, 618, 486, 393, 325, 15.
//!
//! Row noise of WFC3/IR: differences of successive reads of the public exposure iccz11q4q (F126N, 0.28 s
//! apart, inner 256 x 256 pixels, DQ masked, clipped at 4 sigma) have 20.0 e- rms, and row means that
//! scatter by 0.65 to 1.11 e- beyond that (columns by 0.6), uncorrelated between left and right amplifier.
//! By numpy, with `E = SCI * SAMPTIME`, `d = (E_k - E_k+1)[5:-5, 5:-5]` and one half of its columns at a time:
//! `sqrt(var(nanmean(d, 1)) - nanvar(d) / sum(isfinite(d), 1).mean())`.
//!
//! What `examples/noise_figures.rs` measures on 1014 x 1014 pixels, seed 1:
//!
//! | | ACS/WFC | WFC3/IR before the ramp fit |
//! |---|---|---|
//! | events per cm2 and s | 1.23 | 3.20 |
//! | charge of an event (1, 16, 50, 84, 99 %), e- | 528, 705, 1002, 1804, 7012 | 1356, 1738, 2423, 4293, 16862 |
//! | most frequent number of pixels above 25 e- | 5 (published: 4 to 5) | 1 |
//! | pixels above 15 e- after 1000 s | 2.7 % | 1.5 % |
//!
//! | | ACS/WFC, 500 s | WFC3/IR, 600 s |
//! |---|---|---|
//! | pixels flagged as cosmic ray | 1.1 % | 0.17 %, and 1.0 % jumps removed |
//! | pixels with more than 1 sigma of unflagged cosmic ray | 0.5 % | 1.5 %, neighbours of jumps for the most part |
//! | SCI / ERR without particles and hot pixels, rms | 1.00 | 0.95 (IPC takes Poisson noise from pixels) |
//!
//! The charge diffusion of *light* belongs to the PSF and is not applied here, nor is IPC to its mean:
//! both PSFs in use (STScI's empirical ones, and Gaussian-blurred diffraction) include them.
//!
//! Not modelled: charge-transfer trails, saturation and bleeding, persistence, flat-field and bias
//! residuals, amplifier cross-talk, the longer noise of a ramp that a cosmic ray cut in two.

mod cosmic_rays;
mod detector;
mod hit;
mod hot_pixels;
mod kernel;
mod ramp;
mod read_noise;
mod row_noise;
mod snowballs;

pub use cosmic_rays::CosmicRays;
pub use detector::{DetectorNoise, Exposed, Readout, dq};
pub use hit::Hit;
pub use hot_pixels::{HotMap, HotPixels};
pub use kernel::Kernel3x3;
pub use ramp::UpTheRamp;
pub use read_noise::ReadNoise;
pub use row_noise::RowNoise;
pub use snowballs::Snowballs;

use ndarray::Array2;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, Poisson, StandardNormal};

/// What draws random numbers; each effect has its own streams.
#[derive(Clone, Copy)]
enum Effect {
    Gaussian = 1,
    CosmicRays,
    HotPixels,
    Photons,
    Read,
    Rows,
    Snowballs,
    DeadPixels,
    /// Four of them, by quadrant.
    QuadrantRows,
}

/// The stream of an effect (`part` of it) in an exposure.
fn stream(seed: u64, effect: Effect, part: u64, exposure: u64) -> ChaCha8Rng {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    rng.set_stream((effect as u64 + part) << 56 | exposure);
    rng
}

/// A number of events of mean `mean`; a mean of 0 or less has none.
fn count(rng: &mut ChaCha8Rng, mean: f64) -> f64 {
    Poisson::new(mean).map_or(0.0, |p: Poisson<f64>| p.sample(rng))
}

/// Visits the pixels of a frame that lie on the chip, with a stream at the same place for the same pixel of the
/// chip whatever the frame. `visit` may take two 64-bit numbers.
fn on_chip(
    effect: Effect,
    shape: (usize, usize),
    corner: [isize; 2],
    chip: (usize, usize),
    seed: u64,
    mut visit: impl FnMut([usize; 2], &mut ChaCha8Rng),
) {
    /// 32-bit words per pixel.
    const WORDS: u128 = 4;
    let mut rng = stream(seed, effect, 0, 0);
    let coordinate = |origin: isize, i: usize, n: usize| {
        usize::try_from(origin.checked_add_unsigned(i)?).ok().filter(|c| *c < n)
    };
    for i in 0..shape.0 {
        let Some(y) = coordinate(corner[0], i, chip.0) else { continue };
        for j in 0..shape.1 {
            let Some(x) = coordinate(corner[1], j, chip.1) else { continue };
            let word = WORDS * (y * chip.1 + x) as u128;
            // Seeking costs a block of the cipher; neighbours follow each other anyway.
            if rng.get_word_pos() != word {
                rng.set_word_pos(word);
            }
            visit([i, j], &mut rng);
        }
    }
}

/// Pixels that do not work, a share of all: the same in every exposure of a seed.
fn dead_pixels(
    share: f64,
    shape: (usize, usize),
    corner: (usize, usize),
    chip: (usize, usize),
    seed: u64,
) -> Array2<bool> {
    let mut dead = Array2::from_elem(shape, false);
    let corner = [corner.0, corner.1].map(|c| c as isize);
    on_chip(Effect::DeadPixels, shape, corner, chip, seed, |at, rng| {
        let [u, _] = [(); 2].map(|()| rng.random::<f64>());
        dead[at] = u < share;
    });
    dead
}

/// Independent Gaussian noise of the given variance per pixel; 0 where the variance is not positive.
pub fn gaussian(variance: &Array2<f32>, seed: u64, exposure: u64) -> Array2<f32> {
    let mut rng = stream(seed, Effect::Gaussian, 0, exposure);
    variance.mapv(|v| {
        let z: f32 = StandardNormal.sample(&mut rng);
        z * v.max(0.0).sqrt()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gaussian_noise_has_its_variance_and_its_own_stream() {
        let variance = Array2::from_elem((100, 100), 4.0);
        let noise = gaussian(&variance, 1, 0);
        assert_eq!(noise, gaussian(&variance, 1, 0));
        assert_ne!(noise, gaussian(&variance, 1, 1));
        let mean_square = noise.mapv(|v| v * v).mean().unwrap();
        assert!((mean_square / 4.0 - 1.0).abs() < 0.05, "{mean_square}");
    }

    #[test]
    fn counts_are_poissonian() {
        let mut rng = stream(1, Effect::Photons, 0, 0);
        assert_eq!(count(&mut rng, 0.0), 0.0);
        assert_eq!(count(&mut rng, -1.0), 0.0);
        for mean in [0.3, 7.0, 5e4] {
            let draws: Vec<f64> = (0..20_000).map(|_| count(&mut rng, mean)).collect();
            let average = draws.iter().sum::<f64>() / draws.len() as f64;
            let variance = draws.iter().map(|d| (d - average).powi(2)).sum::<f64>() / 2e4;
            assert!((average / mean - 1.0).abs() < 0.03, "{average}, not {mean}");
            assert!((variance / mean - 1.0).abs() < 0.05, "{variance}, not {mean}");
        }
    }
}
