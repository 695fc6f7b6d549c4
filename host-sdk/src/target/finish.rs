//! A finished job to a product.

use std::path::Path;

use serde_json::Value;

use super::submit::Submitted;
use crate::clock;
use crate::error::Result;
use crate::input::HashCache;
use crate::product::{NightRecord, Observed, Product, Provenance};
use crate::session::Engine;

impl Submitted {
    /// Collects the result of the finished job. `device` is what the engine was asked for.
    ///
    /// # Errors
    /// The job's own, and those of [`Product::assemble`].
    pub fn product(
        &self,
        engine: &Engine,
        device: &str,
        hashes: &HashCache,
        night: Option<NightRecord>,
    ) -> Result<Product> {
        let result = self.job.result()?;
        let cut = &self.ready.cut;
        let observed: Vec<_> = cut
            .exposures
            .iter()
            .enumerate()
            .map(|(k, part)| {
                let psf = &cut.psfs[cut.psf_index(k)];
                Observed {
                    exposure: &self.ready.exposures[k],
                    stamp: &part.stamp,
                    pixel_scale_arcsec: part.pixel_scale_arcsec,
                    source: part.source.clone(),
                    psf: (psf.path.clone(), psf.sha256.clone()),
                }
            })
            .collect();
        let provenance = Provenance { night, ..self.provenance(engine, device, hashes)? };
        let mut product = Product::assemble(engine, &result, cut.grid, &observed, provenance)?;
        product.diagnostics.flags = product.diagnostics.flags.and(cut.doubts);
        Ok(product)
    }

    fn provenance(&self, engine: &Engine, device: &str, hashes: &HashCache) -> Result<Provenance> {
        let hash = |path: Option<&Path>| path.map_or(Ok(String::new()), |p| hashes.sha256(p));
        let cut = &self.ready.cut;
        let target = &cut.target;
        let noise_file = Path::new(&target.noise);
        let noise_file = noise_file.is_file().then_some(noise_file);
        let mut config = cut.options.clone();
        config.insert("samples".into(), target.samples.into());
        config.insert("device".into(), device.into());
        let correlation = cut.correlation.as_ref();
        Ok(Provenance {
            host_version: format!("pellucid {}", env!("CARGO_PKG_VERSION")),
            plugin_version: engine.plugin().version(),
            prior: (target.prior.clone(), hash(cut.prior_file.as_deref())?),
            noise: (target.noise.clone(), hash(noise_file)?),
            noise_correlation: correlation
                .map(|c| (c.path.display().to_string(), c.sha256.clone())),
            seed: target.seed,
            device: device.into(),
            config: Value::Object(config).to_string(),
            plugin_record: "{}".into(),
            date: clock::utc_seconds(),
            night: None,
        })
    }
}
