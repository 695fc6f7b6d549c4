//! From light to counts.

use ndarray::{Array2, Zip};
use pellucid_host::HostError;
use pellucid_host::fits::Region;
use pellucid_scene::noise::{Exposed, Readout, dq, gaussian};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::instrument::Instrument;
use crate::args::{NoiseName, SimulateArgs};

/// Share of dead pixels of a Gaussian exposure; they read zero.
const DEAD: f64 = 0.004;
/// What `--unflagged` clears.
const PARTICLES_AND_HEAT: i16 = dq::COSMIC_RAY | dq::RAMP_JUMP | dq::HOT | dq::WARM;

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

/// Exposure `k` of noise-free light in a region of the chip.
pub fn observe(
    instrument: &Instrument,
    light: &Array2<f32>,
    region: &Region,
    args: &SimulateArgs,
    k: usize,
) -> Exposed {
    let mut exposed = match args.noise {
        NoiseName::Gaussian => white(instrument, light, args.seed, k),
        NoiseName::CosmicRays => {
            let readout = Readout {
                seed: args.seed,
                exposure: k as u64,
                exposure_time_s: instrument.exposure_time,
                corner: (region.y0, region.x0),
            };
            instrument.noise.expose(light, &readout)
        }
    };
    if args.unflagged {
        exposed.quality.mapv_inplace(|q| q & !PARTICLES_AND_HEAT);
    }
    if args.keep_sky {
        let sky = instrument.sky_e_per_s() as f32;
        Zip::from(&mut exposed.science)
            .and(&exposed.quality)
            .for_each(|value, q| *value += if q & dq::BAD == 0 { sky } else { 0.0 });
    }
    exposed
}

/// Gaussian noise alone, and dead pixels.
fn white(instrument: &Instrument, light: &Array2<f32>, seed: u64, k: usize) -> Exposed {
    let variance = light.mapv(|v| variance(instrument, f64::from(v)) as f32);
    let mut science = light + &gaussian(&variance, seed, k as u64);
    let mut quality = Array2::<i16>::zeros(light.dim());
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    rng.set_stream((2 << 32) + k as u64);
    Zip::from(&mut science).and(&mut quality).for_each(|value, q| {
        if rng.random::<f64>() < DEAD {
            *value = 0.0;
            *q |= dq::BAD;
        }
    });
    Exposed {
        science,
        error: variance.mapv(f32::sqrt),
        quality,
        cosmic_rays: Array2::zeros(light.dim()),
        hot_pixels: Array2::zeros(light.dim()),
    }
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

    #[test]
    fn both_kinds_of_noise_have_the_same_background() {
        for name in [InstrumentName::AcsF814w, InstrumentName::Wfc3irF160w, InstrumentName::Plain] {
            let instrument = Instrument::new(name);
            let noise = &instrument.noise;
            let background = instrument.sky_e_per_s() + noise.dark_e_per_s.unwrap();
            assert!((background - instrument.background).abs() < 1e-9);
            assert_eq!(noise.chip, instrument.chip);
            let read = noise.read_noise.as_ref().unwrap().mean_rms_e();
            assert!((read / instrument.read_noise - 1.0).abs() < 0.12, "{read}");
        }
    }
}
