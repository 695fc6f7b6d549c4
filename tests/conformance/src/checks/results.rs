//! Results: views, statistics, residuals, texts.

use std::ptr::null;

use pellucid_ffi::*;

use crate::arrays::{agree, sized, take};
use crate::check::{Check, Fault, Verdict, ensure, pass};
use crate::host::{Ask, GRID, Host, SHORT, SIDE, Shot};
use crate::session::{Handle, Session, text};
use crate::telescope::{Kernel, Tan};

pub(crate) const CHECKS: &[Check] = &[
    Check::new(
        "results.samples",
        "result_samples takes any range; n < 0 means all from first on",
        samples,
    ),
    Check::new(
        "results.statistics",
        "mean, median, std (n - 1) and percentiles are those of the samples",
        statistics,
    ),
    Check::new(
        "results.rhat",
        "rhat is the split-half potential scale reduction of the samples",
        rhat,
    ),
    Check::new("results.too-few", "a statistic of too few samples is E_NUMERIC", too_few),
    Check::new(
        "results.bad",
        "ranges, names, percentiles and numbers that are not there are E_ARG",
        bad,
    ),
    Check::new(
        "results.residuals",
        "residuals are y - A x of the sample, or of the mean for -1",
        residuals,
    ),
    Check::new(
        "results.diagnostics",
        "diagnostics are JSON: chi2 of each sample as the residuals say, sample_errors, provenance",
        diagnostics,
    ),
    Check::new(
        "results.header",
        "the header is cards of 80 bytes without END, NUL terminated, with the model grid's TAN WCS",
        header,
    ),
    Check::new(
        "results.header-is-the-grid",
        "an exposure with the product's header as its WCS sees the model pixel by pixel",
        header_is_the_grid,
    ),
    Check::new("results.texts", "texts are made once and live as long as the result", texts),
];

const D: usize = SIDE * SIDE;

fn scene() -> Shot {
    let mut shot = Shot::plain();
    shot.wcs = Tan::centred([GRID.ra, GRID.dec], SIDE, 0.045, 0.2);
    shot.psf = Kernel::skew(2);
    for k in 0..D {
        shot.sci[k] = 1.0 + ((k * 7) % 11) as f64 * 0.1;
        shot.sigma[k] = 0.2 + (k % 5) as f64 * 0.05;
    }
    shot
}

fn result_of(
    host: &Host<'_>,
    exposure: &Handle<pellucid_exposure>,
    n_samples: i32,
) -> Result<Handle<pellucid_result>, Fault> {
    let job = host.submit(&[exposure.get()], &Ask { n_samples, ..Ask::new(SHORT) })?;
    host.finish(&job)
}

fn samples(session: &Session) -> Verdict {
    let host = Host::new(session)?;
    let result = result_of(&host, &host.exposure(&scene())?, 6)?;
    let all = host.samples(&result, 6)?;
    for (first, n, need) in [(0, 6, 0..6), (2, 3, 2..5), (4, -1, 4..6), (5, 1, 5..6), (0, -7, 0..6)]
    {
        let mut out: pellucid_array = sized();
        ok!(host.api, result_samples(result.get(), first, n, &mut out))?;
        let got = take(out, &[need.len(), 1, SIDE, SIDE])?;
        let same = got == all[need.start * D..need.end * D];
        ensure!(same, "samples {first}, n {n} are others");
    }
    pass()
}

fn stat(
    host: &Host<'_>,
    result: &Handle<pellucid_result>,
    name: &std::ffi::CStr,
) -> Result<Vec<f32>, Fault> {
    let mut out: pellucid_array = sized();
    ok!(host.api, result_stat(result.get(), name.as_ptr(), &mut out))?;
    take(out, &[1, SIDE, SIDE])
}

/// Values of each pixel, as f64.
fn pixels(all: &[f32]) -> Vec<Vec<f64>> {
    (0..D).map(|k| all.iter().skip(k).step_by(D).map(|v| f64::from(*v)).collect()).collect()
}

fn mean(x: &[f64]) -> f64 {
    x.iter().sum::<f64>() / x.len() as f64
}

fn variance(x: &[f64]) -> f64 {
    let mean = mean(x);
    x.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / (x.len() - 1) as f64
}

fn quantile(x: &[f64], q: f64) -> f64 {
    let mut x = x.to_vec();
    x.sort_by(f64::total_cmp);
    let at = q / 100.0 * (x.len() - 1) as f64;
    let low = at.floor() as usize;
    let high = (low + 1).min(x.len() - 1);
    x[low] + (at - at.floor()) * (x[high] - x[low])
}

fn statistics(session: &Session) -> Verdict {
    let host = Host::new(session)?;
    let result = result_of(&host, &host.exposure(&scene())?, 9)?;
    let pixels = pixels(&host.samples(&result, 9)?);
    let of =
        |f: &dyn Fn(&[f64]) -> f64| -> Vec<f32> { pixels.iter().map(|x| f(x) as f32).collect() };
    agree("mean", &stat(&host, &result, c"mean")?, &of(&mean), 1e-5)?;
    agree("std", &stat(&host, &result, c"std")?, &of(&|x| variance(x).sqrt()), 1e-5)?;
    agree("median", &stat(&host, &result, c"median")?, &of(&|x| quantile(x, 50.0)), 1e-5)?;
    let q = [0.0, 16.0, 50.0, 84.3, 100.0];
    let mut out: pellucid_array = sized();
    ok!(host.api, result_percentiles(result.get(), q.as_ptr(), q.len(), &mut out))?;
    let got = take(out, &[q.len(), 1, SIDE, SIDE])?;
    for (k, q) in q.iter().enumerate() {
        let need = of(&|x| quantile(x, *q));
        agree(&format!("percentile {q}"), &got[k * D..(k + 1) * D], &need, 1e-5)?;
    }
    pass()
}

/// Split in two halves (Gelman et al. 2013, Bayesian Data Analysis, eq. 11.4).
fn split_rhat(x: &[f64]) -> f64 {
    let n = x.len() / 2;
    let halves = [&x[..n], &x[x.len() - n..]];
    let within = mean(&halves.map(variance));
    let between = n as f64 * variance(&halves.map(mean));
    let n = n as f64;
    (((n - 1.0) / n * within + between / n) / within).sqrt()
}

fn rhat(session: &Session) -> Verdict {
    let host = Host::new(session)?;
    let result = result_of(&host, &host.exposure(&scene())?, 16)?;
    let need: Vec<f32> =
        pixels(&host.samples(&result, 16)?).iter().map(|x| split_rhat(x) as f32).collect();
    let got = stat(&host, &result, c"rhat")?;
    agree("rhat", &got, &need, 1e-3)?;
    let average = got.iter().sum::<f32>() / D as f32;
    ensure!((0.9..1.3).contains(&average), "rhat is {average} on average, near 1 if independent");
    Ok(format!("{average:.3} on average").into())
}

fn too_few(session: &Session) -> Verdict {
    let host = Host::new(session)?;
    let exposure = host.exposure(&scene())?;
    let (one, three) = (result_of(&host, &exposure, 1)?, result_of(&host, &exposure, 3)?);
    let mut out: pellucid_array = sized();
    fails!(host.api, PELLUCID_E_NUMERIC, result_stat(one.get(), c"std".as_ptr(), &mut out))?;
    fails!(host.api, PELLUCID_E_NUMERIC, result_stat(three.get(), c"rhat".as_ptr(), &mut out))?;
    stat(&host, &one, c"mean")?;
    stat(&host, &one, c"median")?;
    pass()
}

fn bad(session: &Session) -> Verdict {
    let host = Host::new(session)?;
    let (api, result) = (host.api, host.result()?);
    let r = result.get();
    let mut out: pellucid_array = sized();
    for (first, n) in [(4, 1), (4, -1), (-1, 1), (0, 5), (2, 0), (i64::MAX, i64::MAX)] {
        fails!(api, PELLUCID_E_ARG, result_samples(r, first, n, &mut out))?;
    }
    for name in [c"", c"mode", c"MEAN", c"\xff"] {
        fails!(api, PELLUCID_E_ARG, result_stat(r, name.as_ptr(), &mut out))?;
    }
    for q in [-0.1, 100.5, f64::NAN] {
        fails!(api, PELLUCID_E_ARG, result_percentiles(r, &q, 1, &mut out))?;
    }
    fails!(api, PELLUCID_E_ARG, result_percentiles(r, &50.0, 0, &mut out))?;
    for (sample, exposure) in [(4, 0), (-2, 0), (0, 1), (0, usize::MAX)] {
        fails!(api, PELLUCID_E_ARG, result_residuals(r, sample, exposure, &mut out))?;
    }
    pass()
}

fn residual(
    host: &Host<'_>,
    result: &Handle<pellucid_result>,
    sample: i64,
) -> Result<Vec<f32>, Fault> {
    let mut out: pellucid_array = sized();
    ok!(host.api, result_residuals(result.get(), sample, 0, &mut out))?;
    take(out, &[SIDE, SIDE])
}

fn residuals(session: &Session) -> Verdict {
    let host = Host::new(session)?;
    let shot = scene();
    let exposure = host.exposure(&shot)?;
    let result = result_of(&host, &exposure, 4)?;
    let all = host.samples(&result, 4)?;
    let mut worst = 0.0_f32;
    for sample in [-1, 0, 3] {
        let x: Vec<f64> = match sample {
            -1 => pixels(&all).iter().map(|x| mean(x)).collect(),
            k => all[k as usize * D..][..D].iter().map(|v| f64::from(*v)).collect(),
        };
        let seen = host.predict(&exposure, shot.shape, &x)?;
        let need: Vec<f32> = shot.sci.iter().zip(&seen).map(|(y, ax)| *y as f32 - ax).collect();
        let what = format!("residual of sample {sample}");
        worst = worst.max(agree(&what, &residual(&host, &result, sample)?, &need, 1e-3)?);
    }
    Ok(format!("largest difference {worst:.1e}").into())
}

fn parsed(text: &str) -> Result<serde_json::Value, Fault> {
    serde_json::from_str(text).map_err(|error| Fault::Broken(format!("not JSON: {error}")))
}

fn diagnostics(session: &Session) -> Verdict {
    let host = Host::new(session)?;
    let shot = scene();
    let result = result_of(&host, &host.exposure(&shot)?, 4)?;
    let mut json = null();
    ok!(host.api, result_diagnostics(result.get(), &mut json))?;
    let value = parsed(text(json)?)?;
    let errors = value["sample_errors"].as_array().map_or(0, Vec::len);
    ensure!(errors == 4, "sample_errors has {errors} elements, need 4");
    ensure!(value["sample_errors"][0].is_null(), "a good sample has an error");
    ensure!(value["provenance"].is_object(), "there is no provenance");
    let exposure = &value["exposures"][0];
    ensure!(exposure["id"] == "one", "exposures[0].id is {}", exposure["id"]);
    for k in 0..4 {
        let residual = residual(&host, &result, k)?;
        let used = residual.iter().zip(&shot.sigma).filter(|(r, _)| r.is_finite());
        let chi2: f64 = used.map(|(r, sigma)| (f64::from(*r) / sigma).powi(2)).sum();
        let dof = residual.iter().filter(|r| r.is_finite()).count();
        let said = exposure["chi2"][k as usize].as_f64().unwrap_or(f64::NAN);
        ensure!((said / chi2 - 1.0).abs() < 1e-3, "chi2 of sample {k} is {said}, need {chi2}");
        ensure!(exposure["dof"] == dof, "dof is {}, need {dof}", exposure["dof"]);
    }
    pass()
}

fn cards(host: &Host<'_>, result: &Handle<pellucid_result>) -> Result<String, Fault> {
    let (mut cards, mut len) = (null(), 0);
    ok!(host.api, result_header(result.get(), &mut cards, &mut len))?;
    let text = text(cards)?;
    ensure!(text.len() == len && len % 80 == 0 && len > 0, "{} bytes, len {len}", text.len());
    Ok(text.to_owned())
}

fn header(session: &Session) -> Verdict {
    let host = Host::new(session)?;
    let text = cards(&host, &host.result()?)?;
    ensure!(text.bytes().all(|b| (32..127).contains(&b)), "a card is not printable ASCII");
    let cards: Vec<&str> = (0..text.len() / 80).map(|k| &text[80 * k..][..80]).collect();
    ensure!(!cards.iter().any(|card| card.trim_end() == "END"), "there is an END card");
    let value = |key: &str| {
        let card = cards.iter().find(|card| card[..8].trim_end() == key)?;
        Some(card[10..].split('/').next()?.trim().trim_matches('\'').trim_end().to_owned())
    };
    for (key, need) in [("CTYPE1", "RA---TAN"), ("CTYPE2", "DEC--TAN")] {
        ensure!(value(key).as_deref() == Some(need), "{key} is {:?}, need {need}", value(key));
    }
    let (middle, scale) = ((SIDE as f64 + 1.0) / 2.0, GRID.scale_arcsec / 3600.0);
    for (key, need) in [
        ("CRPIX1", middle),
        ("CRPIX2", middle),
        ("CRVAL1", GRID.ra),
        ("CRVAL2", GRID.dec),
        ("CD1_1", -scale),
        ("CD2_2", scale),
    ] {
        let got = value(key).and_then(|v| v.parse::<f64>().ok()).unwrap_or(f64::NAN);
        ensure!((got / need - 1.0).abs() < 1e-12, "{key} is {got}, need {need}");
    }
    Ok(format!("{} cards", cards.len()).into())
}

fn header_is_the_grid(session: &Session) -> Verdict {
    let host = Host::new(session)?;
    let wcs = host.header(&cards(&host, &host.result()?)?)?;
    let exposure = host.exposure_with(&Shot::plain(), |desc| desc.wcs = wcs.get())?;
    let model: Vec<f64> = (0..D).map(|k| ((k * k) % 23) as f64).collect();
    let need: Vec<f32> = model.iter().map(|v| *v as f32).collect();
    agree("A x", &host.predict(&exposure, [SIDE; 2], &model)?, &need, 1e-3)?;
    pass()
}

fn texts(session: &Session) -> Verdict {
    let host = Host::new(session)?;
    let result = host.result()?;
    let api = host.api;
    let (mut json, mut again, mut len) = (null(), null(), 0);
    ok!(api, result_diagnostics(result.get(), &mut json))?;
    ok!(api, result_header(result.get(), &mut again, &mut len))?;
    let (first, second) = (text(json)?.to_owned(), text(again)?.to_owned());
    drop(host);
    let mut repeated = null();
    ok!(api, result_diagnostics(result.get(), &mut repeated))?;
    ensure!(text(json)? == first && text(again)? == second, "a text changed");
    ensure!(text(repeated)? == first, "a second call gives another text");
    pass()
}
