//! A product to disk.

use std::path::Path;

use ndarray::ArrayView2;

use super::{ExposureProduct, Product};
use crate::error::Result;
use crate::fits::{Card, Column, ColumnValues, FitsOutput};

const UNIT: &str = "electron/s";

impl Product {
    /// Writes the FITS file; nothing is left behind if it fails.
    ///
    /// # Errors
    /// [`HostError::Io`](crate::HostError::Io).
    pub fn write(&self, path: &Path) -> Result<()> {
        let mut file = FitsOutput::create(path, &self.primary_cards())?;
        let unit = |comment: &str| Card::new("BUNIT", UNIT, comment);
        let wcs = self.grid.cards();

        let mut cube = vec![unit("per detector pixel"), Card::new("WCSAXES", 3, "sky and sample")];
        cube.extend(wcs[1..].iter().cloned());
        cube.extend([
            Card::new("CTYPE3", "SAMPLE", "number of the sample, from 0"),
            Card::new("CRPIX3", 1.0, ""),
            Card::new("CRVAL3", 0.0, ""),
            Card::new("CD3_3", 1.0, ""),
        ]);
        file.image("SAMPLES", 1, self.samples.view(), &cube)?;

        let statistics = &self.statistics;
        for (name, image) in [
            ("MEDIAN", &statistics.median),
            ("MEAN", &statistics.mean),
            ("STD", &statistics.std),
            ("P16", &statistics.p16),
            ("P84", &statistics.p84),
        ] {
            let mut cards = vec![unit("per detector pixel")];
            cards.extend(wcs.iter().cloned());
            file.image(name, 1, image.view(), &cards)?;
        }
        for (k, exposure) in self.exposures.iter().enumerate() {
            let mut cards = vec![unit("per pixel"), Card::new("EXPID", exposure.id.as_str(), "")];
            cards.extend(exposure.wcs.iter().cloned());
            let images: [(&str, ArrayView2<'_, f32>); 4] = [
                ("DATA", exposure.data.view()),
                ("SIGMA", exposure.sigma.view()),
                ("MODEL", exposure.model.view()),
                ("RESIDUAL", exposure.residual.view()),
            ];
            for (name, image) in images {
                file.image(&format!("{name}_{}", k + 1), 1, image, &cards)?;
            }
        }
        file.table("DIAGNOSTICS", &self.diagnostics_columns(), &[])?;
        file.table("EXPOSURES", &self.exposure_columns(), &[])?;
        file.commit()
    }

    fn primary_cards(&self) -> Vec<Card> {
        let p = &self.provenance;
        let d = &self.diagnostics;
        let text = |key, value: &str, comment| Card::new(key, value, comment);
        let mut cards = vec![
            text("ORIGIN", "Pellucid", "Bayesian galaxy-image deconvolver"),
            text("CREATOR", &p.host_version, "host program"),
            text("PLUGIN", &p.plugin_version, "engine"),
            text("PRIOR", &p.prior.0, "prior"),
            text("PRIORSHA", &p.prior.1, "SHA-256"),
            text("NOISE", &p.noise.0, "noise model"),
        ];
        if !p.date.is_empty() {
            cards.insert(1, text("DATE", &p.date, "UTC"));
        }
        if let Some(night) = &p.night {
            cards.extend([
                text("OBJECT", &night.target, "target"),
                text("NIGHT", &night.night, "night"),
                text("NIGHTINP", &night.inputs_sha256, "SHA-256 of inputs and settings"),
                text("NIGHTSHA", &night.sha256, "and of models and versions"),
            ]);
        }
        if !p.noise.1.is_empty() {
            cards.push(text("NOISESHA", &p.noise.1, "SHA-256"));
        }
        if let Some((path, sha256)) = &p.noise_correlation {
            cards.push(text("NOISECF", path, "noise correlation"));
            cards.push(text("NOISECFS", sha256, "SHA-256"));
        }
        cards.extend([
            text("SEED", &p.seed.to_string(), "seed of the samples (64 bit)"),
            text("DEVICE", &p.device, "where the sampler ran"),
            Card::new("NSAMPLES", self.samples.dim().0, "samples asked for"),
            Card::new("NFAILED", d.failed_samples.len(), "samples that failed (NaN)"),
            Card::new("NEXPOSUR", self.exposures.len(), "exposures"),
            Card::new("FLUXSCAL", d.cost.flux_scale, "[electron/s] one network unit"),
            Card::new("NETEVALS", d.cost.network_evaluations, "network evaluations"),
            Card::new("NETSHARE", d.cost.network_time_share, "share of the time in the network"),
            Card::new("SAMPTIME", d.cost.sampling_seconds, "[s] sampling"),
            Card::new(
                "CGITER",
                d.cost.cg_iterations.iter().sum::<u64>(),
                "conjugate-gradient iterations, all samples",
            ),
            Card::new("CGBREAK", d.cost.cg_breakdowns.iter().sum::<u64>(), "of those, broken down"),
        ]);
        if let Some(acceptance) = d.cost.acceptance() {
            cards.extend([
                Card::new("NOISEVAL", d.cost.noise_evaluations, "noise-model evaluations"),
                Card::new(
                    "NOISSHAR",
                    d.cost.noise_time_share,
                    "share of the time in the noise model",
                ),
                Card::new(
                    "PROPOSAL",
                    d.cost.proposals.iter().sum::<u64>(),
                    "Metropolis proposals, all samples",
                ),
                Card::new("ACCEPTAN", acceptance, "share of them accepted"),
                Card::new(
                    "STEPSIZE",
                    d.cost.step_size(),
                    "[rad] leapfrog step, median of the samples",
                ),
            ]);
        }
        cards.extend([
            text("FLAGS", &d.flags.describe(), "reasons to distrust; - for none"),
            text("CONFIG", &p.config, "options, JSON"),
            text("RECORD", &p.plugin_record, "the engine's own record, JSON"),
        ]);
        cards
    }

    /// One row per sample and exposure.
    fn diagnostics_columns(&self) -> Vec<Column> {
        let n = self.samples.dim().0;
        let fits = &self.diagnostics.exposures;
        let rows = || (0..n).flat_map(|k| fits.iter().enumerate().map(move |(e, f)| (k, e, f)));
        let real = |name: &str, get: &dyn Fn(usize, usize) -> Option<f64>| {
            let values = rows().map(|(k, e, _)| get(k, e).unwrap_or(f64::NAN));
            Column::new(name, ColumnValues::Real(values.collect()))
        };
        let integer =
            |name: &str, values: Vec<i32>| Column::new(name, ColumnValues::Integer(values));
        let of = |list: &[f64], k: usize| list.get(k).copied();
        let count = |n: usize| i32::try_from(n).unwrap_or(i32::MAX);
        let failed = |k: usize| self.diagnostics.failed_samples.contains(&k);
        vec![
            integer("SAMPLE", rows().map(|(k, ..)| count(k)).collect()),
            integer("EXPOSURE", rows().map(|(_, e, _)| count(e + 1)).collect()),
            real("CHI2", &|k, e| of(&fits[e].chi2, k)),
            integer("DOF", rows().map(|(.., f)| count(f.dof)).collect()),
            real("WHITENESS", &|k, e| of(&fits[e].whiteness, k)),
            real("P_VALUE", &|k, e| of(&fits[e].p_values, k)),
            real("NOISE_Z", &|k, e| of(&fits[e].noise.as_ref()?.significance, k)),
            real("EDGE_FLUX", &|k, _| of(&self.diagnostics.edge_flux_fraction, k)),
            Column::new("FAILED", ColumnValues::Logical(rows().map(|(k, ..)| failed(k)).collect())),
        ]
    }

    /// One row per exposure.
    fn exposure_columns(&self) -> Vec<Column> {
        let fits = &self.diagnostics.exposures;
        let fit = |k: usize| fits.get(k).cloned().unwrap_or_default();
        let each = || self.exposures.iter().enumerate();
        let text = |name: &str, get: &dyn Fn(&ExposureProduct) -> String| {
            let values = self.exposures.iter().map(get).collect();
            Column::new(name, ColumnValues::Text(values))
        };
        let real = |name: &str, get: &dyn Fn(usize) -> f64| {
            Column::new(name, ColumnValues::Real(each().map(|(k, _)| get(k)).collect()))
        };
        let flags = each().map(|(k, _)| fit(k).flags.describe()).collect();
        let mut scale = real("PIXEL_SCALE", &|k| self.exposures[k].pixel_scale_arcsec);
        scale.unit = "arcsec".into();
        vec![
            text("ID", &|e| e.id.clone()),
            real("DOF", &|k| fit(k).dof as f64),
            real("CHI2_DOF", &|k| fit(k).reduced_chi2()),
            real("CHI2_MEAN_REDUCED", &|k| fit(k).chi2_mean_reduced),
            real("EFFECTIVE_PARAMETERS", &|k| fit(k).effective_parameters),
            real("PPP", &|k| fit(k).ppp),
            real("WHITENESS_SE", &|k| fit(k).whiteness_se),
            real("NOISE_Z", &|k| fit(k).noise_significance().map_or(f64::NAN, |(z, _)| z)),
            Column::new(
                "NOISE_WORST",
                ColumnValues::Text(
                    each()
                        .map(|(k, _)| {
                            fit(k).noise_significance().map_or("-", |(_, name)| name).into()
                        })
                        .collect(),
                ),
            ),
            Column::new("FLAGS", ColumnValues::Text(flags)),
            scale,
            text("SOURCE", &|e| e.source.0.display().to_string()),
            text("SOURCE_SHA256", &|e| e.source.1.clone()),
            text("PSF", &|e| e.psf.0.display().to_string()),
            text("PSF_SHA256", &|e| e.psf.1.clone()),
        ]
    }
}
