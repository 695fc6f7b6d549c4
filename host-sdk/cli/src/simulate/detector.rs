//! From light to counts: noise, cosmic rays, bad pixels.

use ndarray::{Array2, Zip};
use pellucid_host::HostError;
use pellucid_scene::LogNormal;
use pellucid_scene::noise::{CosmicRays, HotPixels, gaussian};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::instrument::Instrument;
use crate::args::{NoiseName, SimulateArgs};

/// DQ bits, as HST's.
const BAD_PIXEL: i16 = 4;
const HOT_PIXEL: i16 = 16;
const COSMIC_RAY: i16 = 4096;
/// Share of dead pixels in a stamp; they read zero.
const DEAD: f64 = 0.004;
/// Cosmic rays and hot pixels are flagged where they exceed this many sigma.
const FLAGGED: f32 = 3.0;

/// What a detector delivers, e-/s, background subtracted.
pub struct Exposed {
    /// SCI.
    pub science: Array2<f32>,
    /// ERR: rms of the Gaussian noise, from the noise-free image.
    pub error: Array2<f32>,
    /// DQ.
    pub quality: Array2<i16>,
}

/// Noise variance of a pixel of `light` e-/s: photons of source, sky and dark, and read noise.
fn variance(instrument: &Instrument, light: f64) -> f64 {
    let t = instrument.exposure_time;
    (light.max(0.0) + instrument.background) / t + (instrument.read_noise / t).powi(2)
}

/// The factor that brings a pixel of `peak` e-/s to a signal-to-noise ratio of `snr`.
///
/// # Errors
/// [`HostError::Value`] for a scene without light.
pub fn factor_for_snr(instrument: &Instrument, peak: f64, snr: f64) -> Result<f64, HostError> {
    if peak <= 0.0 || !peak.is_finite() {
        return Err(HostError::Value {
            what: "brightest pixel of the exposures".into(),
            need: "positive, since --snr asks to scale it".into(),
            got: peak.to_string(),
        });
    }
    // s / sqrt(s/t + v) = snr, v the variance without source.
    let (t, v) = (instrument.exposure_time, variance(instrument, 0.0));
    let q = snr * snr / t;
    let signal = (q + (q * q + 4.0 * snr * snr * v).sqrt()) / 2.0;
    Ok(signal / peak)
}

/// Exposure `k` of noise-free light.
pub fn observe(
    instrument: &Instrument,
    light: &Array2<f32>,
    args: &SimulateArgs,
    k: usize,
) -> Exposed {
    let variance = light.mapv(|v| variance(instrument, f64::from(v)) as f32);
    let error = variance.mapv(f32::sqrt);
    let mut science = light + &gaussian(&variance, args.seed, k as u64);
    let mut quality = Array2::<i16>::zeros(light.dim());
    if args.noise == NoiseName::CosmicRays {
        let typical = f64::from(error.iter().fold(f32::MAX, |m, v| m.min(*v)));
        let signal = |median: f64, least: f64, most: f64| LogNormal {
            median: median * typical,
            dex: 0.4,
            min: least * typical,
            max: most * typical,
        };
        let rays = CosmicRays {
            // About 3 % of the pixels are hit, as in a long exposure in low Earth orbit.
            rate: 1.0 / 200.0,
            length: LogNormal { median: 2.5, dex: 0.25, min: 1.0, max: 12.0 },
            signal: signal(30.0, 4.0, 400.0),
        };
        let hot = HotPixels { fraction: 0.003, signal: signal(10.0, 4.0, 60.0) };
        let tracks = rays.draw(light.dim(), args.seed, k as u64);
        let warm = hot.draw(light.dim(), args.seed);
        for (extra, bit) in [(&tracks, COSMIC_RAY), (&warm, HOT_PIXEL)] {
            science += extra;
            if !args.unflagged {
                Zip::from(&mut quality)
                    .and(extra)
                    .and(&error)
                    .for_each(|q, e, s| *q |= if *e > FLAGGED * s { bit } else { 0 });
            }
        }
    }
    let mut rng = ChaCha8Rng::seed_from_u64(args.seed);
    rng.set_stream((2 << 32) + k as u64);
    Zip::from(&mut science).and(&mut quality).for_each(|value, q| {
        if rng.random::<f64>() < DEAD {
            *value = 0.0;
            *q |= BAD_PIXEL;
        }
    });
    Exposed { science, error, quality }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::args::InstrumentName;

    #[test]
    fn the_factor_gives_the_ratio() {
        let instrument = Instrument::new(InstrumentName::AcsF814w);
        for snr in [1.0, 15.0, 100.0] {
            let signal = 0.3 * factor_for_snr(&instrument, 0.3, snr).unwrap();
            let found = signal / variance(&instrument, signal).sqrt();
            assert!((found / snr - 1.0).abs() < 1e-12);
        }
        assert!(factor_for_snr(&instrument, 0.0, 5.0).is_err());
    }
}
