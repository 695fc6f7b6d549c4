//! What a product depends on, as hashes.
//!
//! Contents count, not names or times: moving a night's inputs repeats nothing. The device does not
//! count either (results agree across devices within the stated tolerance), so that one night may run
//! on several kinds of machines.

use std::path::{Path, PathBuf};

use pellucid_host::HostError;
use pellucid_host::fits::FitsAddress;
use pellucid_host::input::{HashCache, file_state, sha256_bytes};
use pellucid_host::product::NightRecord;
use pellucid_host::session::Model;
use pellucid_host::target::{GAUSSIAN, Target, find_prior, model_file};
use serde_json::{Value, json};

use crate::manifest::{Night, NightTarget};

/// Every setting of a target that is not a file, as JSON. Destructured, so that a new one is not
/// forgotten here.
fn settings(target: &Target) -> Value {
    let Target {
        exposures: _,
        sigma,
        photon_noise_s,
        unit,
        pixel_area_corrected,
        dq_bad_bits,
        sky,
        pixel_scale_data_arcsec,
        cutout,
        psf: _,
        psf_options,
        prior: _,
        noise: _,
        accept_noise_mismatch,
        noise_correlation: _,
        position,
        pixel_scale_arcsec,
        size,
        flux_scale,
        samples,
        seed,
        sampler,
        steps,
        sweeps,
        trajectories,
        leapfrog_steps,
        precision,
    } = target;
    json!({
        "sigma": sigma,
        "photon_noise_s": photon_noise_s,
        "unit": unit,
        "pixel_area_corrected": pixel_area_corrected,
        "dq_bad_bits": dq_bad_bits,
        "sky": format!("{sky:?}"),
        "pixel_scale_data_arcsec": pixel_scale_data_arcsec,
        "cutout": cutout,
        "psf": format!("{psf_options:?}"),
        "accept_noise_mismatch": accept_noise_mismatch,
        "position": position.map(|p| [p.ra_deg, p.dec_deg]),
        "pixel_scale_arcsec": pixel_scale_arcsec,
        "size": size,
        "flux_scale": flux_scale,
        "samples": samples,
        "seed": seed,
        "sampler": sampler,
        "steps": steps,
        "sweeps": sweeps,
        "trajectories": trajectories,
        "leapfrog_steps": leapfrog_steps,
        "precision": precision,
    })
}

/// SHA-256 of the contents of exposures, PSFs, noise correlation and models named by file, of the names
/// of other models, and of all settings: NIGHTINP in a product.
///
/// # Errors
/// [`HostError::Io`] for a file that cannot be read.
pub fn inputs_sha256(target: &Target, hashes: &HashCache) -> Result<String, HostError> {
    let of = |address: &FitsAddress| -> Result<Value, HostError> {
        let hdu = address.extension.as_ref().map(ToString::to_string);
        Ok(json!([hashes.sha256(&address.path)?, hdu]))
    };
    let model = |name: &str| -> Result<Value, HostError> {
        Ok(match model_file(name) {
            Some(file) => json!({"sha256": hashes.sha256(&file)?}),
            None => json!({"name": name}),
        })
    };
    let exposures: Result<Vec<_>, _> = target.exposures.iter().map(of).collect();
    let psfs: Result<Vec<_>, _> = target.psf.iter().map(of).collect();
    let all = json!({
        "exposures": exposures?,
        "psfs": psfs?,
        "noise_correlation": target.noise_correlation.as_ref().map(of).transpose()?,
        "prior": model(&target.prior)?,
        "noise": model(&target.noise)?,
        "settings": settings(target),
    });
    Ok(sha256_bytes(all.to_string().as_bytes()))
}

/// What an engine adds to the hash: its models and versions.
#[derive(Debug, Clone)]
pub struct Makers {
    /// The models that the engine lists.
    pub models: Vec<Model>,
    /// Versions of host and plugin.
    pub versions: String,
}

impl Makers {
    /// The record of a product that this engine would make of a target.
    ///
    /// # Errors
    /// [`HostError::Io`], [`HostError::Value`] for a prior that there is not.
    pub fn record(
        &self,
        night: &Night,
        name: &str,
        target: &Target,
        hashes: &HashCache,
    ) -> Result<NightRecord, HostError> {
        let inputs_sha256 = inputs_sha256(target, hashes)?;
        let hash = |path: Option<&Path>| path.map(|path| hashes.sha256(path)).transpose();
        let prior = find_prior(&self.models, &target.prior)?.and_then(|model| model.path.clone());
        let named = self.models.iter().find(|model| model.name == target.noise);
        let noise = match (target.noise.as_str(), model_file(&target.noise)) {
            (GAUSSIAN, _) => None,
            (_, Some(file)) => Some(file),
            (_, None) => named.and_then(|model| model.path.clone()),
        };
        let all = json!({
            "inputs": inputs_sha256,
            "prior": hash(prior.or_else(|| model_file(&target.prior)).as_deref())?,
            "noise": hash(noise.as_deref())?,
            "versions": self.versions,
        });
        Ok(NightRecord {
            night: night.name.clone(),
            target: name.into(),
            sha256: sha256_bytes(all.to_string().as_bytes()),
            inputs_sha256,
        })
    }

    /// What a quarantined target's error may depend on: whether its files are there, their sizes and
    /// times, settings and versions. Reads no file.
    pub fn state(&self, target: &NightTarget) -> String {
        let resolved = target.resolve().ok();
        let mut files: Vec<PathBuf> = Vec::new();
        if let Some(target) = &resolved {
            let addresses = target.exposures.iter().chain(&target.psf);
            files.extend(addresses.chain(&target.noise_correlation).map(|a| a.path.clone()));
        }
        let settings_of = &target.settings;
        for name in [&settings_of.prior, &settings_of.noise] {
            let listed = || self.models.iter().find(|m| m.name == *name)?.path.clone();
            files.extend(model_file(name).or_else(listed));
        }
        let states: Vec<_> = files
            .iter()
            .map(|file| json!([file, file_state(file).map(|state| format!("{state:?}"))]))
            .collect();
        let all = json!({
            "exposures": target.exposures,
            "psf": target.psf,
            "noise_correlation": target.noise_correlation,
            "prior": settings_of.prior,
            "noise": settings_of.noise,
            "files": states,
            "settings": settings(settings_of),
            "versions": self.versions,
        });
        sha256_bytes(all.to_string().as_bytes())
    }
}
