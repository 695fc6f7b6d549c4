//! `pellucid sample`.

use std::path::Path;
use std::time::Duration;

use pellucid_host::check_output;
use pellucid_host::input::{HashCache, PsfOptions};
use pellucid_host::product::write_figure;
use pellucid_host::session::Job;
use pellucid_host::sky::SkyPosition;
use pellucid_host::target::{Target, find_prior};

use crate::args::SampleArgs;
use crate::failure::{Failure, Outcome, Run};
use crate::terminal::{Meter, duration};
use crate::{engine, interrupt, outputs, summary};

/// How often Ctrl-C is looked for while a job runs.
const POLL: Duration = Duration::from_millis(200);

/// Runs the command.
pub fn run(args: &SampleArgs) -> Run {
    let target = target(args);
    check_outputs(args, &target)?;
    let hashes = HashCache::default();
    let opened = target.open(&hashes)?;
    let engine = engine::start(&args.engine, &target.model_folders())?;
    let models = engine.models()?;
    let cut = opened.cut(&target, find_prior(&models, &target.prior)?)?;
    for warning in &cut.warnings {
        log::warn!("{warning}");
    }
    let ready = cut.hand_over(&engine)?;
    interrupt::check()?;
    let submitted = ready.submit(&engine)?;
    watch(submitted.job(), args.samples)?;
    let product = submitted.product(&engine, &args.engine.device, &hashes, None)?;
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

fn target(args: &SampleArgs) -> Target {
    let input = &args.input;
    let position = args.ra.zip(args.dec).map(|(ra_deg, dec_deg)| SkyPosition { ra_deg, dec_deg });
    Target {
        exposures: args.exposures.clone(),
        sigma: input.sigma,
        photon_noise_s: input.photon_noise,
        unit: input.unit.clone(),
        pixel_area_corrected: input.pixel_area_corrected,
        dq_bad_bits: input.dq_bad_bits,
        sky: input.sky,
        pixel_scale_data_arcsec: input.pixel_scale_data,
        cutout: input.cutout,
        psf: input.psf.clone(),
        psf_options: PsfOptions {
            oversample: input.psf_oversample,
            pixel_integrated: input.psf_pixel_integrated.then_some(true),
            centre: input.psf_centre,
        },
        prior: args.prior.clone(),
        noise: args.noise.clone(),
        accept_noise_mismatch: args.accept_noise_mismatch,
        noise_correlation: args.noise_correlation.clone(),
        position,
        pixel_scale_arcsec: args.pixel_scale,
        size: args.size,
        flux_scale: args.flux_scale,
        samples: args.samples,
        seed: args.seed,
        sampler: args.sampler.clone(),
        steps: args.steps,
        sweeps: args.sweeps,
        trajectories: args.trajectories,
        leapfrog_steps: args.leapfrog_steps,
        precision: args.precision.clone(),
    }
}

/// Outputs that can be written and replace nothing they are made from.
fn check_outputs(args: &SampleArgs, target: &Target) -> Result<(), Failure> {
    target.check_psf_count()?;
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
