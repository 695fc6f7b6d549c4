//! A product from disk.

use std::path::{Path, PathBuf};

use ndarray::{Array2, Array3, Axis};

use super::diagnostics::{Cost, Diagnostics, ExposureFit, Flags, NoiseCheck};
use super::{ExposureProduct, NightRecord, Product, Provenance, Statistics};
use crate::error::{HostError, Result};
use crate::fits::{FitsInput, Header};
use crate::sky::ModelGrid;

impl Product {
    /// Reads a product this library wrote. Of the detector frames' WCS only what the file tells
    /// is kept.
    ///
    /// # Errors
    /// [`HostError::Fits`] naming the missing extension if it is another kind of file.
    pub fn read(path: &Path) -> Result<Self> {
        let mut file = FitsInput::open(path)?;
        let samples = cube(&mut file)?;
        let statistics = Statistics {
            median: image(&mut file, "MEDIAN")?,
            mean: image(&mut file, "MEAN")?,
            std: image(&mut file, "STD")?,
            p16: image(&mut file, "P16")?,
            p84: image(&mut file, "P84")?,
        };
        let median = &file.hdus()[position(&file, "MEDIAN")?];
        let grid =
            ModelGrid::from_header(&median.header, statistics.median.dim(), &file.at(median))?;
        let primary = file.hdus()[0].header.clone();
        let table = position(&file, "EXPOSURES")?;
        let ids = file.text_column(table, "ID")?;
        let scales = file.column(table, "PIXEL_SCALE")?;
        let [source, source_sha, psf, psf_sha, flags] =
            ["SOURCE", "SOURCE_SHA256", "PSF", "PSF_SHA256", "FLAGS"]
                .map(|name| file.text_column(table, name));
        let (source, source_sha) = (source?, source_sha?);
        let (psf, psf_sha, flags) = (psf?, psf_sha?, flags?);
        let mut exposures = Vec::with_capacity(ids.len());
        for (k, id) in ids.iter().enumerate() {
            let name = |kind: &str| format!("{kind}_{}", k + 1);
            let header = &file.hdus()[position(&file, &name("DATA"))?].header;
            let wcs = header.wcs_cards();
            exposures.push(ExposureProduct {
                id: id.clone(),
                data: image(&mut file, &name("DATA"))?,
                sigma: image(&mut file, &name("SIGMA"))?,
                model: image(&mut file, &name("MODEL"))?,
                residual: image(&mut file, &name("RESIDUAL"))?,
                pixel_scale_arcsec: scales[k],
                wcs,
                source: (PathBuf::from(&source[k]), source_sha[k].clone()),
                psf: (PathBuf::from(&psf[k]), psf_sha[k].clone()),
            });
        }
        let fits = exposure_fits(&mut file, table, &ids, &flags)?;
        Ok(Self {
            diagnostics: diagnostics(&mut file, &primary, &samples, fits)?,
            grid,
            samples,
            statistics,
            exposures,
            provenance: provenance(&primary),
        })
    }
}

fn position(file: &FitsInput, name: &str) -> Result<usize> {
    let found = file.find(name, 1).map(|hdu| hdu.index);
    found.ok_or_else(|| {
        HostError::fits(
            file.path().display(),
            format!("no extension {name}; is this a product of `pellucid sample`?"),
        )
    })
}

fn image(file: &mut FitsInput, name: &str) -> Result<Array2<f32>> {
    let index = position(file, name)?;
    Ok(file.image_2d(index)?.mapv(|v| v as f32))
}

fn cube(file: &mut FitsInput) -> Result<Array3<f32>> {
    let index = position(file, "SAMPLES")?;
    let values = file.image(index)?.mapv(|v| v as f32);
    let got = format!("{:?}", values.shape());
    values.into_dimensionality().map_err(|_| HostError::Shape {
        what: file.at(&file.hdus()[index]),
        need: "[n, y, x]".into(),
        got,
    })
}

fn exposure_fits(
    file: &mut FitsInput,
    table: usize,
    ids: &[String],
    flags: &[String],
) -> Result<Vec<ExposureFit>> {
    let dof = file.column(table, "DOF")?;
    let ppp = file.column(table, "PPP")?;
    let reduced = file.column(table, "CHI2_MEAN_REDUCED")?;
    let effective = file.column(table, "EFFECTIVE_PARAMETERS")?;
    let error = file.column(table, "WHITENESS_SE")?;
    // Products from before have no such column.
    let worst = file.text_column(table, "NOISE_WORST").ok();
    let noise = |k: usize| {
        let worst = worst.as_ref()?.get(k).filter(|name| *name != "-")?.clone();
        Some(NoiseCheck { checked: true, worst: Some(worst), ..NoiseCheck::default() })
    };
    let fit = |k: usize| ExposureFit {
        noise: noise(k),
        id: ids[k].clone(),
        dof: dof[k] as usize,
        whiteness_se: error[k],
        ppp: ppp[k],
        chi2_mean_reduced: reduced[k],
        effective_parameters: effective[k],
        flags: Flags::parse(&flags[k]),
        ..ExposureFit::default()
    };
    Ok((0..ids.len()).map(fit).collect())
}

fn diagnostics(
    file: &mut FitsInput,
    primary: &Header,
    images: &Array3<f32>,
    mut exposures: Vec<ExposureFit>,
) -> Result<Diagnostics> {
    let samples = images.dim().0;
    let table = position(file, "DIAGNOSTICS")?;
    let sample = file.column(table, "SAMPLE")?;
    let exposure = file.column(table, "EXPOSURE")?;
    let [chi2, whiteness, p_value, edge] =
        ["CHI2", "WHITENESS", "P_VALUE", "EDGE_FLUX"].map(|name| file.column(table, name));
    let (chi2, whiteness, p_value, edge) = (chi2?, whiteness?, p_value?, edge?);
    let noise_z = file.column(table, "NOISE_Z").ok();
    for fit in &mut exposures {
        if let Some(check) = &mut fit.noise {
            check.significance.resize(samples, f64::NAN);
        }
        for list in [&mut fit.chi2, &mut fit.whiteness, &mut fit.p_values] {
            list.resize(samples, f64::NAN);
        }
    }
    let mut edge_flux_fraction = vec![f64::NAN; samples];
    for row in 0..sample.len() {
        let (k, e) = (sample[row] as usize, exposure[row] as usize);
        let Some(fit) = e.checked_sub(1).and_then(|e| exposures.get_mut(e)) else {
            continue;
        };
        if k < samples {
            fit.chi2[k] = chi2[row];
            fit.whiteness[k] = whiteness[row];
            fit.p_values[k] = p_value[row];
            if let (Some(check), Some(z)) = (&mut fit.noise, &noise_z) {
                check.significance[k] = z[row];
            }
            edge_flux_fraction[k] = edge[row];
        }
    }
    let failed = |k: &usize| images.index_axis(Axis(0), *k).iter().all(|v| v.is_nan());
    let real = |key: &str| primary.real(key).unwrap_or(f64::NAN);
    // One sum, one rate and one median for all samples.
    let proposals = real("PROPOSAL").max(0.0);
    let accepted = (proposals * real("ACCEPTAN")).round();
    let sampled = primary.real("PROPOSAL").is_some();
    Ok(Diagnostics {
        failed_samples: (0..samples).filter(failed).collect(),
        edge_flux_fraction,
        sample_errors: Vec::new(),
        flags: Flags::parse(primary.string("FLAGS").unwrap_or("-")),
        cost: Cost {
            flux_scale: real("FLUXSCAL"),
            network_evaluations: real("NETEVALS") as u64,
            network_time_share: real("NETSHARE"),
            sampling_seconds: real("SAMPTIME"),
            cg_iterations: vec![real("CGITER") as u64],
            cg_breakdowns: vec![real("CGBREAK") as u64],
            noise_evaluations: real("NOISEVAL") as u64,
            noise_time_share: if sampled { real("NOISSHAR") } else { 0.0 },
            proposals: vec![proposals as u64],
            accepted: vec![accepted as u64],
            step_sizes: vec![real("STEPSIZE")],
        },
        exposures,
    })
}

impl NightRecord {
    /// What a product's primary header says; `None` if it belongs to no night.
    pub fn of(primary: &Header) -> Option<Self> {
        let text = |key: &str| primary.string(key).unwrap_or("").to_owned();
        primary.string("NIGHTSHA").map(|sha256| Self {
            night: text("NIGHT"),
            target: text("OBJECT"),
            inputs_sha256: text("NIGHTINP"),
            sha256: sha256.to_owned(),
        })
    }
}

fn provenance(primary: &Header) -> Provenance {
    let text = |key: &str| primary.string(key).unwrap_or("").to_owned();
    Provenance {
        host_version: text("CREATOR"),
        plugin_version: text("PLUGIN"),
        prior: (text("PRIOR"), text("PRIORSHA")),
        noise: (text("NOISE"), text("NOISESHA")),
        noise_correlation: primary
            .string("NOISECF")
            .map(|path| (path.to_owned(), text("NOISECFS"))),
        seed: text("SEED").parse().unwrap_or(0),
        device: text("DEVICE"),
        config: text("CONFIG"),
        plugin_record: text("RECORD"),
        date: text("DATE"),
        night: NightRecord::of(primary),
    }
}
