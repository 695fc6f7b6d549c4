//! A product in a few lines, for people and for machines.

use std::path::Path;

use pellucid_host::product::{Product, quantile};
use serde_json::{Value, json};

use crate::terminal::say;

/// Prints to stdout.
pub fn print(product: &Product, path: &Path, as_json: bool) {
    match as_json {
        true => say(format_args!("{:#}", to_json(product, path))),
        false => say(to_text(product, path).trim_end()),
    }
}

fn flux(product: &Product) -> [f64; 3] {
    let fluxes = product.fluxes();
    [0.16, 0.5, 0.84].map(|q| quantile(fluxes.iter().copied(), q))
}

/// The summary as JSON; keys are a contract.
pub fn to_json(product: &Product, path: &Path) -> Value {
    let d = &product.diagnostics;
    let [p16, median, p84] = flux(product);
    let exposures: Vec<_> = d
        .exposures
        .iter()
        .map(|fit| {
            json!({
                "id": fit.id,
                "pixels": fit.dof,
                "chi2_dof": fit.reduced_chi2(),
                "chi2_mean_reduced": fit.chi2_mean_reduced,
                "ppp": fit.ppp,
                "whiteness": quantile(fit.whiteness.iter().copied(), 0.5),
                "whiteness_se": fit.whiteness_se,
                "noise": fit.noise,
                "flags": fit.flags,
            })
        })
        .collect();
    let grid = &product.grid;
    json!({
        "file": path,
        "samples": product.samples.dim().0,
        "failed_samples": d.failed_samples,
        "grid": {
            "nx": grid.nx,
            "ny": grid.ny,
            "ra": grid.centre.ra_deg,
            "dec": grid.centre.dec_deg,
            "pixel_scale_arcsec": grid.pixel_scale_arcsec,
        },
        "flux": {"p16": p16, "median": median, "p84": p84, "unit": "e-/s"},
        "flux_scale": d.cost.flux_scale,
        "exposures": exposures,
        "flags": d.flags,
        "network_evaluations": d.cost.network_evaluations,
        "network_time_share": d.cost.network_time_share,
        "sampling_seconds": d.cost.sampling_seconds,
        "cg_iterations": d.cost.cg_iterations.iter().sum::<u64>(),
        "cg_breakdowns": d.cost.cg_breakdowns.iter().sum::<u64>(),
        "noise_evaluations": d.cost.noise_evaluations,
        "noise_time_share": d.cost.noise_time_share,
        "proposals": d.cost.proposals.iter().sum::<u64>(),
        "acceptance": d.cost.acceptance(),
        "step_size": d.cost.acceptance().map(|_| d.cost.step_size()),
        "prior": product.provenance.prior.0,
        "seed": product.provenance.seed,
        "device": product.provenance.device,
    })
}

fn to_text(product: &Product, path: &Path) -> String {
    let d = &product.diagnostics;
    let p = &product.provenance;
    let grid = &product.grid;
    let [p16, median, p84] = flux(product);
    let n = product.samples.dim().0;
    let failed = match d.failed_samples.len() {
        0 => String::new(),
        k => format!(", {k} failed: {:?}", d.failed_samples),
    };
    let mut text = format!(
        "{}: {n} samples{failed}\n  \
         grid      {} x {} pixels of {:.4}\", centre ra {:.6}, dec {:+.6}\n  \
         prior     {} (seed {}, {})\n  \
         flux      {median:.4} e-/s (16 % {p16:.4}, 84 % {p84:.4}); scale {:.4}\n",
        path.display(),
        grid.nx,
        grid.ny,
        grid.pixel_scale_arcsec,
        grid.centre.ra_deg,
        grid.centre.dec_deg,
        p.prior.0,
        p.seed,
        p.device,
        d.cost.flux_scale,
    );
    for (k, fit) in d.exposures.iter().enumerate() {
        text += &format!(
            "  exposure {} chi2/dof {:.3} ({} pixels), of the mean {:.3}, ppp {:.3}, whiteness {:+.3} +- {:.3}, flags {}  {}\n",
            k + 1,
            fit.reduced_chi2(),
            fit.dof,
            fit.chi2_mean_reduced,
            fit.ppp,
            quantile(fit.whiteness.iter().copied(), 0.5),
            fit.whiteness_se,
            fit.flags.describe(),
            fit.id,
        );
        if let Some((z, worst)) = fit.noise_significance() {
            text += &format!(
                "             residuals against the training noise: {worst} off by {z:.1} standard errors\n"
            );
        }
    }
    let seconds = d.cost.sampling_seconds;
    text += &format!(
        "  cost      {seconds:.1} s sampling ({:.2} s a sample), {:.0} % in the network, {} evaluations; {} of {} CG iterations broke down\n  \
         flags     {}\n",
        seconds / n as f64,
        100.0 * d.cost.network_time_share,
        d.cost.network_evaluations,
        d.cost.cg_breakdowns.iter().sum::<u64>(),
        d.cost.cg_iterations.iter().sum::<u64>(),
        d.flags.describe(),
    );
    if let Some(acceptance) = d.cost.acceptance() {
        text += &format!(
            "  noise     {} ({:.0} % of the time); {:.0} % of {} proposals accepted, step {:.3} rad\n",
            p.noise.0,
            100.0 * d.cost.noise_time_share,
            100.0 * acceptance,
            d.cost.proposals.iter().sum::<u64>(),
            d.cost.step_size(),
        );
    }
    text
}
