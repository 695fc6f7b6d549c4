//! `pellucid sample`.

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use pellucid_host::input::{
    EdgeLight, ExposureFile, ExposureOptions, InstrumentNames, NoiseCorrelation, PsfImage,
    PsfOptions, Stamp, sha256_file,
};
use pellucid_host::product::{Flags, Observed, Product, Provenance, write_figure};
use pellucid_host::session::{Engine, Exposure, Job, JobBuilder, Model};
use pellucid_host::sky::{ModelGrid, SkyPosition};
use pellucid_host::{HostError, check_output};
use serde_json::{Map, Value};

use crate::args::SampleArgs;
use crate::failure::{Failure, Outcome, Run};
use crate::terminal::{Meter, duration};
use crate::{engine, interrupt, outputs, summary};

/// How often Ctrl-C is looked for while a job runs.
const POLL: Duration = Duration::from_millis(200);
/// By how much the model's pixel scale may be off the prior's.
const SCALE_TOLERANCE: f64 = 0.01;

/// Runs the command.
pub fn run(args: &SampleArgs) -> Run {
    let n = args.exposures.len();
    if args.input.psf.len() != 1 && args.input.psf.len() != n {
        return Err(Failure::Usage(format!(
            "--psf: needed once for all exposures or once for each of the {n}, got {}",
            args.input.psf.len()
        )));
    }
    refuse_unused(args)?;
    check_outputs(args)?;
    let correlation = match &args.noise_correlation {
        Some(address) => Some(NoiseCorrelation::read(address)?),
        None => None,
    };
    let mut files = open_exposures(args, correlation.as_ref())?;
    let psfs = read_psfs(args)?;
    let engine = engine::start(&args.engine, Some(&args.prior))?;
    let prior = engine::find_prior(&engine, &args.prior)?;
    let grid = model_grid(args, &files, prior.as_ref())?;

    let doubts = doubts(&mut files, &grid, prior.as_ref(), args)?;
    let mut stamps: Vec<(Stamp, f64)> = Vec::with_capacity(n);
    for file in &mut files {
        stamps.push(cut(file, &grid, args.input.cutout)?);
    }
    let kernels: Result<Vec<_>, HostError> = psfs
        .iter()
        .map(|psf| engine.psf(psf.kernel.view(), psf.oversample, psf.pixel_integrated))
        .collect();
    let kernels = kernels?;
    let pick = |k: usize| if kernels.len() == 1 { 0 } else { k };
    let correlation_image = correlation.as_ref().map(|c| &c.correlation);
    let exposures: Result<Vec<Exposure>, HostError> = stamps
        .iter()
        .enumerate()
        .map(|(k, (stamp, _))| stamp.to_exposure(&engine, &kernels[pick(k)], correlation_image))
        .collect();
    let exposures = exposures?;
    interrupt::check()?;

    let job = JobBuilder {
        exposures: exposures.iter().collect(),
        grid,
        samples: args.samples,
        seed: args.seed,
        prior: args.prior.clone(),
        likelihood: args.noise.clone(),
        options: options(args, &camera(&files[0], args)?, &exposure_times(&files, args)?),
        priority: 0,
    };
    let submitted = engine.submit(&job)?;
    watch(&submitted, args.samples)?;
    let result = submitted.result()?;

    let observed: Vec<_> = (0..n)
        .map(|k| Observed {
            exposure: &exposures[k],
            stamp: &stamps[k].0,
            pixel_scale_arcsec: stamps[k].1,
            source: (files[k].path().into(), files[k].sha256().into()),
            psf: (psfs[pick(k)].path.clone(), psfs[pick(k)].sha256.clone()),
        })
        .collect();
    let provenance = provenance(args, &engine, prior.as_ref(), correlation.as_ref(), &job)?;
    let mut product = Product::assemble(&engine, &result, grid, &observed, provenance)?;
    product.diagnostics.flags = product.diagnostics.flags.and(doubts);
    interrupt::check()?;
    product.write(&args.output)?;
    if let Some(figure) = &args.figure {
        write_figure(&product, figure)?;
    }
    let errors = product.diagnostics.sample_errors.iter().enumerate();
    for (k, error) in errors.filter_map(|(k, e)| Some((k, e.as_ref()?))) {
        log::warn!("sample {k} failed: {error}");
    }
    summary::print(&product, &args.output, args.json);
    Ok(match product.diagnostics.failed_samples.is_empty() {
        true => Outcome::Done,
        false => Outcome::Partial,
    })
}

/// What a noise model has no use for would be ignored, and recorded as if it had not.
fn refuse_unused(args: &SampleArgs) -> Result<(), Failure> {
    if args.noise == "gaussian" {
        return Ok(());
    }
    let refuse = |flag: &str, why: &str, got: String| {
        let noise = &args.noise;
        Err(Failure::Usage(format!(
            "{flag}: need none with --noise {noise}, which {why}, got {got}"
        )))
    };
    if let Some(correlation) = &args.noise_correlation {
        return refuse("--noise-correlation", "has its own", shown(&correlation.path));
    }
    match args.sweeps {
        Some(sweeps) => refuse("--sweeps", "samples by --trajectories", sweeps.to_string()),
        None => Ok(()),
    }
}

/// Outputs that can be written and replace nothing they are made from.
fn check_outputs(args: &SampleArgs) -> Result<(), Failure> {
    let mut outputs = vec![("-o", &*args.output)];
    outputs.extend(args.figure.as_deref().map(|path| ("--figure", path)));
    let mut inputs: Vec<_> = args.exposures.iter().map(|a| ("an exposure", &*a.path)).collect();
    inputs.extend(args.input.psf.iter().map(|a| ("--psf", &*a.path)));
    inputs.extend(args.noise_correlation.iter().map(|a| ("--noise-correlation", &*a.path)));
    let models = [("--prior", Path::new(&args.prior)), ("--noise", Path::new(&args.noise))];
    inputs.extend(models.into_iter().filter(|(_, path)| path.is_file()));
    outputs::check(&outputs, inputs)?;
    Ok(outputs.iter().try_for_each(|(_, path)| check_output(path))?)
}

fn open_exposures(
    args: &SampleArgs,
    correlation: Option<&NoiseCorrelation>,
) -> Result<Vec<ExposureFile>, Failure> {
    let input = &args.input;
    let options = ExposureOptions {
        sigma: input.sigma,
        fallback_sigma: correlation.and_then(|c| c.sigma),
        photon_noise_s: input.photon_noise,
        unit: input.unit.clone(),
        pixel_area_corrected: input.pixel_area_corrected.then_some(true),
        bad_bits: input.dq_bad_bits,
        pixel_scale_arcsec: input.pixel_scale_data,
        sky: input.sky,
        target: target(args),
    };
    let files: Result<_, _> =
        args.exposures.iter().map(|address| ExposureFile::open(address, &options)).collect();
    Ok(files?)
}

fn read_psfs(args: &SampleArgs) -> Result<Vec<PsfImage>, Failure> {
    let options = PsfOptions {
        oversample: args.input.psf_oversample,
        pixel_integrated: args.input.psf_pixel_integrated.then_some(true),
        centre: args.input.psf_centre,
    };
    let psfs: Result<_, _> =
        args.input.psf.iter().map(|address| PsfImage::read(address, options)).collect();
    Ok(psfs?)
}

fn target(args: &SampleArgs) -> Option<SkyPosition> {
    Some(SkyPosition { ra_deg: args.ra?, dec_deg: args.dec? })
}

/// The grid asked for, completed by the prior's size and scale and the exposures' centre.
fn model_grid(
    args: &SampleArgs,
    files: &[ExposureFile],
    prior: Option<&Model>,
) -> Result<ModelGrid, Failure> {
    let unknown = |what: &str, flag: &str| {
        Failure::Usage(format!(
            "the plugin does not tell the {what} of prior {}; give {flag}",
            args.prior
        ))
    };
    let size = prior.and_then(|m| m.image_size);
    let (ny, nx) = match (args.size, size) {
        (Some(n), _) => (n, n),
        (None, Some([ny, nx])) => (ny, nx),
        (None, None) => return Err(unknown("image size", "--size")),
    };
    let scale = args
        .pixel_scale
        .or_else(|| prior.and_then(|m| m.pixel_scale_arcsec))
        .ok_or_else(|| unknown("pixel scale", "--pixel-scale"))?;
    let centres: Vec<_> = files.iter().map(|f| f.chips()[0].centre()).collect();
    let centre = target(args).or_else(|| SkyPosition::mean(&centres));
    Ok(ModelGrid {
        nx,
        ny,
        centre: centre
            .ok_or_else(|| Failure::Usage("the exposures have no common centre".into()))?,
        pixel_scale_arcsec: scale,
    })
}

/// What is wrong with a grid whatever the samples: warns of it, and flags it in the product.
fn doubts(
    files: &mut [ExposureFile],
    grid: &ModelGrid,
    prior: Option<&Model>,
    args: &SampleArgs,
) -> Result<Flags, Failure> {
    let scale = grid.pixel_scale_arcsec;
    let trained = prior.and_then(|model| model.pixel_scale_arcsec).unwrap_or(scale);
    let prior_scale = (scale / trained - 1.0).abs() > SCALE_TOLERANCE;
    if prior_scale {
        log::warn!(
            "the model's pixels are {scale}\", those the prior was trained at {trained}\": \
             it takes galaxies for {:.3} times as large as they are",
            trained / scale
        );
    }
    let mut light = EdgeLight::default();
    for file in files.iter_mut() {
        let chip = file.chip_at(Some(grid.centre))?;
        light += file.edge_light(chip, grid)?;
    }
    let share = if args.noise == "gaussian" { light.share() } else { light.share_under_rays() };
    if let Some(share) = share {
        let [width, height] = [grid.nx, grid.ny].map(|n| n as f64 * scale);
        log::warn!(
            "the model covers {width:.2}\" x {height:.2}\" and just beyond its edge the exposures have \
             {:.0} % of the light within: that flux is lost. Use a larger --pixel-scale or --size with a \
             prior for it, centre it with --ra and --dec, or subtract the sky with --sky",
            100.0 * share
        );
    }
    let noise_mismatch = serves_two_cameras(files, args)?;
    Ok(Flags { edge_flux: share.is_some(), prior_scale, noise_mismatch, ..Flags::default() })
}

/// The stamp of an exposure that sees the model, and the detector's pixel scale in arcsec.
fn cut(
    file: &mut ExposureFile,
    grid: &ModelGrid,
    cutout: Option<usize>,
) -> Result<(Stamp, f64), Failure> {
    let index = file.chip_at(Some(grid.centre))?;
    let chip = &file.chips()[index];
    let off = || HostError::OffChip {
        at: chip.label.clone(),
        ra_deg: grid.centre.ra_deg,
        dec_deg: grid.centre.dec_deg,
        chips: 1,
    };
    let region = match cutout {
        Some(n) => chip.cutout(chip.locate(grid.centre).ok_or_else(off)?, n),
        None => chip.footprint(grid).ok_or_else(off)?,
    };
    let scale = chip.wcs.pixel_scale_arcsec();
    Ok((file.stamp(index, region)?, scale))
}

/// The camera and filter of an exposure.
fn camera(file: &ExposureFile, args: &SampleArgs) -> Result<InstrumentNames, Failure> {
    let chip = &file.chips()[file.chip_at(target(args))?];
    Ok(InstrumentNames::of(&chip.header, file.primary()))
}

/// Whether a noise model is used for exposures of different cameras or filters, which must be asked for; warns of it.
fn serves_two_cameras(files: &[ExposureFile], args: &SampleArgs) -> Result<bool, Failure> {
    let mut found = false;
    if args.noise == "gaussian" {
        return Ok(found);
    }
    let first = camera(&files[0], args)?;
    for file in &files[1..] {
        let other = camera(file, args)?;
        if other == first {
            continue;
        }
        let [one, two] = [&files[0], file].map(|file| file.path().display());
        let both = format!("{first} ({one}) and {other} ({two})");
        if !args.accept_noise_mismatch {
            return Err(Failure::Usage(format!(
                "--noise {}: one noise model serves one instrument and filter, got {both}",
                args.noise
            )));
        }
        found = true;
        log::warn!(
            "--noise {}: one noise model serves {both} alike, as --accept-noise-mismatch says",
            args.noise
        );
    }
    Ok(found)
}

/// EXPTIME of every exposure; nothing where one does not say.
fn exposure_times(files: &[ExposureFile], args: &SampleArgs) -> Result<Vec<f64>, Failure> {
    let mut times = Vec::with_capacity(files.len());
    for file in files {
        let chip = &file.chips()[file.chip_at(target(args))?];
        times.extend(chip.header.real("EXPTIME").or_else(|| file.primary().real("EXPTIME")));
    }
    Ok(if times.len() == files.len() { times } else { Vec::new() })
}

fn options(
    args: &SampleArgs,
    names: &InstrumentNames,
    exposure_times_s: &[f64],
) -> Map<String, Value> {
    let mut options = Map::new();
    let mut set = |key: &str, value: Option<Value>| {
        if let Some(value) = value {
            options.insert(key.into(), value);
        }
    };
    set("sampler", args.sampler.clone().map(Value::from));
    set("steps", args.steps.map(Value::from));
    set("sweeps", args.sweeps.map(Value::from));
    set("trajectories", args.trajectories.map(Value::from));
    set("leapfrog_steps", args.leapfrog_steps.map(Value::from));
    set("precision", args.precision.clone().map(Value::from));
    set("flux_scale", args.flux_scale.map(Value::from));
    if args.noise != "gaussian" {
        set("instrument", names.instrument.clone().map(Value::from));
        set("detector", names.detector.clone().map(Value::from));
        set("filter", names.filter.clone().map(Value::from));
        let times = (!exposure_times_s.is_empty()).then(|| exposure_times_s.into());
        set("exposure_times_s", times);
        set("accept_noise_mismatch", args.accept_noise_mismatch.then_some(true.into()));
    }
    options
}

/// Follows a job to its end; on Ctrl-C cancels it and waits until the plugin has let go.
fn watch(job: &Job, samples: usize) -> Result<(), Failure> {
    let mut meter = Meter::new();
    let done = loop {
        match job.wait(POLL) {
            Ok(true) => break Ok(()),
            Ok(false) => {}
            Err(error) => break Err(error.into()),
        }
        if interrupt::requested() {
            job.cancel();
            continue;
        }
        let p = job.progress()?;
        meter.update(p.fraction, p.samples_done, samples, p.remaining);
    };
    let took = meter.finish();
    if done.is_ok() {
        eprintln!("sampled {samples} in {}", duration(took.as_secs_f64()));
    }
    done
}

/// The file of a noise model, as the plugin takes a name or a path.
fn noise_file(engine: &Engine, noise: &str) -> Result<Option<PathBuf>, Failure> {
    if noise == "gaussian" {
        return Ok(None);
    }
    if noise.contains('/') || noise.ends_with(".safetensors") {
        return Ok(Some(noise.into()));
    }
    Ok(engine.models()?.into_iter().find(|model| model.name == noise).and_then(|model| model.path))
}

fn provenance(
    args: &SampleArgs,
    engine: &Engine,
    prior: Option<&Model>,
    correlation: Option<&NoiseCorrelation>,
    job: &JobBuilder<'_>,
) -> Result<Provenance, Failure> {
    let hash = |path: Option<&Path>| path.map_or(Ok(String::new()), sha256_file);
    let noise_file = noise_file(engine, &args.noise)?;
    let mut config = job.options.clone();
    config.insert("samples".into(), args.samples.into());
    config.insert("device".into(), args.engine.device.clone().into());
    Ok(Provenance {
        host_version: format!("pellucid {}", env!("CARGO_PKG_VERSION")),
        plugin_version: engine.plugin().version(),
        prior: (args.prior.clone(), hash(prior.and_then(|m| m.path.as_deref()))?),
        noise: (args.noise.clone(), hash(noise_file.as_deref())?),
        noise_correlation: correlation.map(|c| (shown(&c.path), c.sha256.clone())),
        seed: args.seed,
        device: args.engine.device.clone(),
        config: Value::Object(config).to_string(),
        plugin_record: "{}".into(),
        date: now(),
    })
}

fn shown(path: &Path) -> String {
    path.display().to_string()
}

/// UTC, ISO 8601, to the second.
fn now() -> String {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    let seconds = since.map_or(0, |d| d.as_secs());
    let (days, second) = (seconds / 86_400, seconds % 86_400);
    let (year, month, day) = civil(days as i64);
    format!(
        "{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}",
        second / 3600,
        second / 60 % 60,
        second % 60
    )
}

/// Gregorian date of a day since 1970-01-01 (Howard Hinnant, `civil_from_days`).
fn civil(days: i64) -> (i64, i64, i64) {
    let z = days + 719_468;
    let era = z.div_euclid(146_097);
    let day_of_era = z.rem_euclid(146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    (year, month, day_of_year - (153 * shifted + 2) / 5 + 1)
}

#[cfg(test)]
mod tests {
    use super::civil;

    #[test]
    fn dates() {
        assert_eq!(civil(0), (1970, 1, 1));
        assert_eq!(civil(19_782), (2024, 2, 29));
        assert_eq!(civil(20_088), (2024, 12, 31));
    }
}
