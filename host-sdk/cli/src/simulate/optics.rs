//! The PSF of HST's pupil: Fraunhofer diffraction, averaged over a filter, and a Gaussian blur.

use std::f64::consts::TAU;

use ndarray::{Array2, s};

use super::instrument::Instrument;

/// Samples across the pupil.
const PUPIL: usize = 256;
/// Primary mirror, metres.
const DIAMETER: f64 = 2.4;
/// Radius of the central obscuration, in radii of the pupil.
const OBSCURATION: f64 = 0.33;
/// Width of a spider vane, in radii of the pupil.
const VANE: f64 = 0.022;
/// Wavelengths a filter is sampled at.
const COLOURS: usize = 7;
const ARCSEC: f64 = TAU / (360.0 * 3600.0);

/// The PSF of a camera on samples of `pixel_scale_arcsec`/4, unit sum, not pixel-integrated.
///
/// Airy pattern of an obscured aperture with four vanes,
/// I(theta) = |sum of P(x) exp(-2 pi i x theta / lambda)|^2, summed directly on the samples wanted
/// (a matrix Fourier transform), so that no interpolation blurs it.
pub fn psf(instrument: &Instrument, pixel_scale_arcsec: f64) -> Array2<f64> {
    let n = instrument.psf_size;
    let step = pixel_scale_arcsec / 4.0;
    // The blur needs neighbours beyond the edge that is kept.
    let reach = (4.0 * instrument.blur_arcsec / step).ceil() as usize;
    let wide = n + 2 * reach;
    let pupil = pupil();
    let [from, to] = instrument.band;
    let mut image = Array2::<f64>::zeros((wide, wide));
    for k in 0..COLOURS {
        let wavelength = from + (to - from) * (k as f64 + 0.5) / COLOURS as f64;
        image += &diffraction(&pupil, wide, step * ARCSEC, wavelength);
    }
    let blurred = gaussian(&image, instrument.blur_arcsec / step);
    let kept = blurred.slice(s![reach..reach + n, reach..reach + n]);
    &kept / kept.sum()
}

/// Transmission of the pupil, anti-aliased at its edges.
fn pupil() -> Array2<f64> {
    const FINE: usize = 4;
    let open = |u: f64, v: f64| {
        let r = u.hypot(v);
        // The vanes stand at 45 degrees to the detector's axes.
        let (a, b) = ((u + v).abs() / 2f64.sqrt(), (u - v).abs() / 2f64.sqrt());
        (OBSCURATION..=1.0).contains(&r) && a > VANE / 2.0 && b > VANE / 2.0
    };
    Array2::from_shape_fn((PUPIL, PUPIL), |(i, j)| {
        let at = |i: usize, k: usize| {
            2.0 * (i as f64 + (k as f64 + 0.5) / FINE as f64) / PUPIL as f64 - 1.0
        };
        let all = (0..FINE * FINE).filter(|k| open(at(j, k % FINE), at(i, k / FINE)));
        all.count() as f64 / (FINE * FINE) as f64
    })
}

/// Monochromatic intensity on `n` x `n` samples of `step` radians.
fn diffraction(pupil: &Array2<f64>, n: usize, step: f64, wavelength: f64) -> Array2<f64> {
    let phase = |i: usize, k: usize| {
        let x = ((k as f64 + 0.5) / PUPIL as f64 - 0.5) * DIAMETER;
        let theta = (i as f64 - (n as f64 - 1.0) / 2.0) * step;
        TAU * x * theta / wavelength
    };
    let cos = Array2::from_shape_fn((n, PUPIL), |(i, k)| phase(i, k).cos());
    let sin = Array2::from_shape_fn((n, PUPIL), |(i, k)| phase(i, k).sin());
    // A symmetric pupil leaves (C - iS) P (C - iS)' = C P C' - S P S' - i (S P C' + C P S').
    let (along, across) = (cos.dot(pupil), sin.dot(pupil));
    let real = along.dot(&cos.t()) - across.dot(&sin.t());
    let imaginary = across.dot(&cos.t()) + along.dot(&sin.t());
    // Longer waves spread the same light over a wider pattern.
    (&real * &real + &imaginary * &imaginary) / (wavelength * wavelength)
}

/// Convolution with a Gaussian of `sigma` samples, zero outside.
fn gaussian(image: &Array2<f64>, sigma: f64) -> Array2<f64> {
    let reach = (4.0 * sigma).ceil() as isize;
    let weights: Vec<f64> =
        (-reach..=reach).map(|i| (-0.5 * (i as f64 / sigma).powi(2)).exp()).collect();
    let sum: f64 = weights.iter().sum();
    let pass = |source: &Array2<f64>| {
        let (ny, nx) = source.dim();
        Array2::from_shape_fn((nx, ny), |(x, y)| {
            let reached = (-reach..=reach).zip(&weights);
            let inside = reached.filter_map(|(d, w)| {
                let u = x.checked_add_signed(d).filter(|u| *u < nx)?;
                Some(w * source[[y, u]])
            });
            inside.sum::<f64>() / sum
        })
    };
    // Each pass transposes, so that two of them blur both axes.
    pass(&pass(image))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::args::InstrumentName;

    #[test]
    fn the_core_is_as_wide_as_diffraction_makes_it() {
        let instrument = Instrument::new(InstrumentName::Wfc3irF160w);
        let psf = psf(&instrument, 0.128);
        let c = instrument.psf_size / 2;
        assert!((psf.sum() - 1.0).abs() < 1e-12);
        let half = psf[[c, c]] / 2.0;
        let k = (0..c).find(|k| psf[[c, c + k]] < half).unwrap();
        let (a, b) = (psf[[c, c + k - 1]], psf[[c, c + k]]);
        let fwhm = 2.0 * (k as f64 - 1.0 + (a - half) / (a - b)) * 0.032;
        // 1.03 lambda / D = 0.137" for F160W, blurred by 0.068" FWHM.
        assert!((0.13..0.17).contains(&fwhm), "{fwhm}");
    }

    #[test]
    fn the_pattern_is_centred_and_symmetric() {
        let psf = psf(&Instrument::new(InstrumentName::Plain), 0.06);
        let n = psf.nrows();
        for (i, j) in [(0, 0), (10, 77), (60, 3)] {
            let mirrored = psf[[n - 1 - i, n - 1 - j]];
            assert!((psf[[i, j]] - mirrored).abs() < 1e-12);
        }
    }
}
