//! Exposures: what is refused, and what their fields mean.

use std::ptr::null_mut;

use pellucid_ffi::*;

use crate::arrays::{agree, array, sized, take};
use crate::check::{Check, Fault, Verdict, ensure, pass};
use crate::host::{Ask, Host, SHORT, SIDE, Shot, describe};
use crate::session::Session;

pub(crate) const CHECKS: &[Check] = &[
    Check::new(
        "exposures.not-finite",
        "NaN or infinity in a good pixel is E_ARG, and the message names exposure and pixel",
        not_finite,
    ),
    Check::new(
        "exposures.uncertainty",
        "an uncertainty of a good pixel that is not positive is E_ARG",
        uncertainty,
    ),
    Check::new(
        "exposures.shapes",
        "sci, err and dq have one shape, a noise correlation is odd x odd",
        shapes,
    ),
    Check::new("exposures.numbers", "gain and zero_point out of range are E_ARG", numbers),
    Check::new("exposures.all-masked", "an exposure without a good pixel is E_ARG", all_masked),
    Check::new(
        "exposures.mask",
        "dq & dq_bad_mask masks a pixel, whatever it holds; mask 0 means any bit",
        mask,
    ),
    Check::new(
        "exposures.err-kinds",
        "sigma, variance and inverse variance of the same noise give the same fit; inverse variance 0 masks",
        err_kinds,
    ),
    Check::new("exposures.gain", "sci and sigma are multiplied by gain", gain),
    Check::new(
        "exposures.noise-correlation",
        "a noise correlation is used (posterior.correlated-noise: and rightly)",
        noise_correlation,
    ),
];

const N: usize = SIDE * SIDE;

/// Tries to create an exposure that must be refused.
fn refuse(
    host: &Host<'_>,
    shot: &Shot,
    change: impl Fn(&mut pellucid_exposure_desc),
) -> Result<String, Fault> {
    let (wcs, psf) = (host.grid(&shot.wcs)?, host.psf(&shot.psf)?);
    let (sci, err) = (array(&shot.sci, &shot.shape), array(&shot.sigma, &shot.shape));
    let mut desc = describe(&sci, &err, wcs.get(), psf.get());
    change(&mut desc);
    fails!(host.api, PELLUCID_E_ARG, exposure_create(host.raw(), &desc, &mut null_mut()))
}

/// Column 3, row 5.
const AT: usize = 5 * SIDE + 3;

fn not_finite(session: &Session) -> Verdict {
    let host = Host::new(session)?;
    let mut message = String::new();
    for value in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
        for in_sci in [true, false] {
            let mut shot = Shot::plain();
            let plane = if in_sci { &mut shot.sci } else { &mut shot.sigma };
            plane[AT] = value;
            message = refuse(&host, &shot, |_| {})?;
            let named = ["one", "3", "5"].iter().all(|word| message.contains(word));
            ensure!(named, "exposure \"one\", x = 3, y = 5 are not named: {message}");
        }
    }
    Ok(message.into())
}

fn uncertainty(session: &Session) -> Verdict {
    let host = Host::new(session)?;
    for kind in [PELLUCID_ERR_SIGMA, PELLUCID_ERR_VARIANCE, PELLUCID_ERR_INVERSE_VARIANCE] {
        for value in [-1.0, 0.0] {
            if value == 0.0 && kind == PELLUCID_ERR_INVERSE_VARIANCE {
                continue;
            }
            let mut shot = Shot::plain();
            shot.sigma[AT] = value;
            refuse(&host, &shot, |desc| desc.err_kind = kind)?;
        }
    }
    pass()
}

fn shapes(session: &Session) -> Verdict {
    let host = Host::new(session)?;
    let shot = Shot::plain();
    let small = array(&shot.sigma[..N / 2], &[SIDE / 2, SIDE]);
    refuse(&host, &shot, |desc| desc.err = &small)?;
    let bits = [0_u8; N / 2];
    let mask = array(&bits, &[SIDE / 2, SIDE]);
    refuse(&host, &shot, |desc| desc.dq = &mask)?;
    let float = array(&shot.sci, &shot.shape);
    refuse(&host, &shot, |desc| desc.dq = &float)?;
    let even = array(&shot.sci[..4], &[2, 2]);
    refuse(&host, &shot, |desc| desc.noise_correlation = &even)?;
    let cube = array(&shot.sci, &[1, SIDE, SIDE]);
    refuse(&host, &shot, |desc| desc.sci = &cube)?;
    pass()
}

fn numbers(session: &Session) -> Verdict {
    let host = Host::new(session)?;
    let shot = Shot::plain();
    for value in [-1.0, f64::NAN, f64::INFINITY] {
        refuse(&host, &shot, |desc| desc.gain = value)?;
    }
    for value in [f64::NAN, f64::INFINITY] {
        refuse(&host, &shot, |desc| desc.zero_point = value)?;
    }
    let id = c"\xff";
    refuse(&host, &shot, |desc| desc.id = id.as_ptr())?;
    pass()
}

fn all_masked(session: &Session) -> Verdict {
    let host = Host::new(session)?;
    let bits = [1_u8; N];
    let dq = array(&bits, &[SIDE, SIDE]);
    refuse(&host, &Shot::plain(), |desc| desc.dq = &dq)?;
    pass()
}

/// y - A x of the posterior mean.
fn residual(
    host: &Host<'_>,
    shot: &Shot,
    change: impl FnOnce(&mut pellucid_exposure_desc),
) -> Result<Vec<f32>, Fault> {
    let exposure = host.exposure_with(shot, change)?;
    let job = host.submit(&[exposure.get()], &Ask::new(SHORT))?;
    let result = host.finish(&job)?;
    let mut out: pellucid_array = sized();
    ok!(host.api, result_residuals(result.get(), -1, 0, &mut out))?;
    take(out, &shot.shape)
}

fn mask(session: &Session) -> Verdict {
    let host = Host::new(session)?;
    let bits: [u8; N] = std::array::from_fn(|k| [0, 1, 2, 4][k % 4]);
    let dq = array(&bits, &[SIDE, SIDE]);
    let mut shot = Shot::plain();
    for (mask, bad) in [(0, 7), (1, 1), (6, 6), (8, 0)] {
        for (k, bits) in bits.iter().enumerate() {
            let masked = bits & bad != 0;
            (shot.sci[k], shot.sigma[k]) = if masked { (f64::NAN, -3.0) } else { (1.0, 0.1) };
        }
        let residual = residual(&host, &shot, |desc| {
            (desc.dq, desc.dq_bad_mask) = (&dq, mask);
        })?;
        for (value, bits) in residual.iter().zip(bits) {
            let masked = bits & bad != 0;
            ensure!(value.is_nan() == masked, "mask {mask}: a pixel of dq {bits} has {value}");
        }
    }
    pass()
}

/// An uneven scene.
fn scene() -> Shot {
    let mut shot = Shot::plain();
    for k in 0..N {
        shot.sci[k] = 1.0 + ((k * 7) % 11) as f64 * 0.1;
        shot.sigma[k] = 0.2 + (k % 5) as f64 * 0.05;
    }
    shot
}

fn err_kinds(session: &Session) -> Verdict {
    let host = Host::new(session)?;
    let sigma = scene();
    let mapped = |of: fn(f64) -> f64| Shot {
        sigma: sigma.sigma.iter().map(|s| of(*s)).collect(),
        ..sigma.clone()
    };
    let need = residual(&host, &sigma, |_| {})?;
    let variance = residual(&host, &mapped(|s| s * s), |d| d.err_kind = PELLUCID_ERR_VARIANCE)?;
    agree("variance for sigma", &variance, &need, 1e-3)?;
    let mut weight = mapped(|s| 1.0 / (s * s));
    let kind = PELLUCID_ERR_INVERSE_VARIANCE;
    agree(
        "inverse variance for sigma",
        &residual(&host, &weight, |d| d.err_kind = kind)?,
        &need,
        1e-3,
    )?;
    weight.sigma[AT] = 0.0;
    let masked = residual(&host, &weight, |d| d.err_kind = kind)?;
    let nan: Vec<_> = (0..N).filter(|k| masked[*k].is_nan()).collect();
    ensure!(nan == [AT], "inverse variance 0 at {AT} masks {nan:?}");
    pass()
}

fn gain(session: &Session) -> Verdict {
    let host = Host::new(session)?;
    let shot = scene();
    let need = residual(&host, &shot, |_| {})?;
    let halved = Shot {
        sci: shot.sci.iter().map(|v| v / 4.0).collect(),
        sigma: shot.sigma.iter().map(|v| v / 4.0).collect(),
        ..shot.clone()
    };
    agree("a quarter times gain 4", &residual(&host, &halved, |d| d.gain = 4.0)?, &need, 1e-3)?;
    agree("gain 0 for gain 1", &residual(&host, &shot, |d| d.gain = 0.0)?, &need, 0.0)?;
    pass()
}

fn noise_correlation(session: &Session) -> Verdict {
    let host = Host::new(session)?;
    let shot = scene();
    let need = residual(&host, &shot, |_| {})?;
    let values = [0.0, 0.2, 0.0, 0.2, 1.0, 0.2, 0.0, 0.2, 0.0];
    let correlation = array(&values, &[3, 3]);
    let other = residual(&host, &shot, |d| d.noise_correlation = &correlation)?;
    let differs = other.iter().zip(&need).any(|(a, b)| (a - b).abs() > 1e-4);
    ensure!(differs, "the noise correlation changes nothing");
    pass()
}
