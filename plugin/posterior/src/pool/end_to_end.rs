//! The engine with a closed-form prior: results, diagnostics, packing, faults.

use super::job::Outcome;
use super::queue::Tally;
use super::tests::wait_until;
use super::*;
use crate::rng::{SampleRng, normal};
use crate::sampler::SlotOutcome;
use crate::score::model_file::{Architecture, FORMAT, Metadata, write};
use crate::score::noise::file::{NoiseArchitecture, NoiseMetadata, write_noise};
use crate::score::noise::learned::{Estimate, LearnedNoise, Limits};
use crate::score::noise::reference::NoiseReference;
use crate::score::noise::stationary::Autocovariance;
use crate::score::parameters::Parameters;
use crate::sde::Sde;
use ndarray::Axis;
use pellucid_exposure::Psf;
use std::time::Duration;

const SIDE: usize = 16;
const LONG: Option<Duration> = Some(Duration::from_secs(120));

/// A folder with one prior, `field`, removed at the end.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let dir = std::env::temp_dir().join(format!("pellucid-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&dir).expect("the temporary folder is writable");
        let metadata = Metadata {
            format: FORMAT,
            kind: "prior".into(),
            architecture: Architecture::GaussianField {},
            sde: Sde::Ve { sigma_min: 0.002, sigma_max: 50.0 },
            image_size: [SIDE, SIDE],
            channels: 1,
            pixel_scale_arcsec: 0.1,
            flux_convention: "surface_brightness".into(),
            flux_scale: None,
            licence: "CC0-1.0".into(),
            trained_on: "closed form".into(),
            training_steps: 0,
            training_images: 0,
        };
        let shape = [1, SIDE as i64, SIDE as i64];
        let full = |v: f64| Tensor::full(shape, v, (Kind::Double, Device::Cpu));
        let tensors = [("mean".to_owned(), full(1.0)), ("power".to_owned(), full(0.04))];
        write(&dir.join("field.safetensors"), &metadata, &tensors).expect("a writable folder");
        std::fs::write(dir.join("broken.safetensors"), b"no model").expect("a writable folder");
        Self(dir)
    }

    fn engine(&self) -> Engine {
        let model_dirs = vec![self.0.clone()];
        let config = EngineConfig { model_dirs, threads: 1, ..EngineConfig::default() };
        Engine::create(config).expect("a valid configuration")
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn grid() -> ModelGrid {
    ModelGrid::new(SIDE, SIDE, 30.0, -5.0, 0.1).expect("a valid grid")
}

/// A flat image of brightness 1 with a reproducible ripple of one sigma.
fn exposure(sigma: f64) -> Arc<Exposure> {
    let shape = (SIDE, SIDE);
    let pixels = Array2::from_shape_fn(shape, |(y, x)| {
        1.0 + sigma * if (y * 7 + x * 3) % 5 < 2 { 1.2 } else { -0.8 }
    });
    let psf =
        Psf::new(ndarray::arr2(&[[0.0, 0.1, 0.0], [0.2, 1.0, 0.1], [0.0, 0.1, 0.0]]), 1, true);
    let good = Array2::from_shape_fn(shape, |p| p != (3, 4));
    let variance = Array2::from_elem(shape, sigma * sigma);
    let psf = Arc::new(psf.expect("a valid PSF"));
    let exposure = Exposure::new("flat", pixels, variance, good, Arc::new(grid()), psf);
    Arc::new(exposure.expect("a valid exposure"))
}

/// Few steps: these tests are about the engine.
fn options() -> Options {
    Options {
        steps: Some(5),
        sweeps: Some(1),
        sweep_steps: Some(2),
        finish_steps: Some(2),
        flux_scale: Some(1.0),
        ..Options::default()
    }
}

fn spec(seed: u64, n_samples: usize) -> JobSpec {
    JobSpec {
        exposures: vec![exposure(0.2)],
        grid: grid(),
        prior: "field".into(),
        likelihood: "gaussian".into(),
        options: options(),
        n_samples,
        seed,
        priority: 0,
        on_state: None,
    }
}

fn finished(job: &Job) -> Arc<Posterior> {
    let state = job.wait(LONG).expect("in time");
    assert_eq!(state, JobState::Done, "{:?}", job.result().err());
    job.result().expect("done")
}

#[test]
fn a_job_from_submission_to_diagnostics() {
    let folder = Folder::new("whole-job");
    let engine = folder.engine();
    let job = engine.submit(spec(1, 11)).expect("a valid job");
    let posterior = finished(&job);
    assert_eq!(posterior.samples.dim(), (11, 1, SIDE, SIDE));
    let fit = &posterior.diagnostics.exposures[0];
    assert_eq!(fit.dof, SIDE * SIDE - 1);
    let mean = posterior.mean();
    let predicted = engine.predict(&posterior.exposures, &grid(), &mean).expect("valid");
    let model = posterior.model(None, 0).expect("there is a mean");
    let worst = |d: Array2<f32>| d.iter().fold(0f32, |m, v| m.max(v.abs()));
    assert!(worst(&predicted[0] - &model) < 1e-5);
    let residual = posterior.residual(Some(2), 0).expect("there is a sample 2");
    assert!(residual[[3, 4]].is_nan());
    let chi2: f32 = residual.iter().filter(|r| r.is_finite()).map(|r| (r / 0.2).powi(2)).sum();
    assert!((f64::from(chi2) / fit.chi2[2] - 1.0).abs() < 1e-4);
    assert!(posterior.model(Some(11), 0).is_err() && posterior.residual(None, 1).is_err());

    let provenance = &posterior.provenance;
    assert_eq!((&provenance["seed"], provenance["prior"]["sha256"].is_string()), (&1.into(), true));
    assert!(engine.memory().results_held > 0);
    let names: Vec<String> = engine.models().into_iter().map(|m| m.name).collect();
    assert!(names.contains(&"field".into()) && names.contains(&"broken".into()));
    drop(engine);
    assert!(posterior.samples.iter().all(|v| v.is_finite()));
}

#[test]
fn samples_are_the_same_bits_in_any_company() {
    let folder = Folder::new("same-bits");
    let alone = finished(&folder.engine().submit(spec(5, 3)).expect("valid"));
    let engine = folder.engine();
    let other = JobSpec { exposures: vec![exposure(0.05); 2], ..spec(4, 5) };
    let jobs = [other, spec(5, 3), spec(6, 13)].map(|spec| engine.submit(spec).expect("valid"));
    let beside = finished(&jobs[1]);
    let bits = |p: &Posterior| p.samples.iter().map(|v| v.to_bits()).collect::<Vec<_>>();
    assert!(bits(&alone) == bits(&beside));
    let extended = finished(&engine.submit(spec(5, 16)).expect("valid"));
    assert!(bits(&alone)[..] == bits(&extended)[..3 * SIDE * SIDE]);
    jobs.iter().for_each(|job| drop(finished(job)));
    drop((jobs, alone, beside, extended));
    // The worker lets go of the last job a moment after it has announced the end.
    wait_until(|| engine.memory().results_held == 0);
}

#[test]
fn what_cannot_be_is_refused() {
    let folder = Folder::new("refusals");
    let engine = folder.engine();
    let refuse = |spec: JobSpec| engine.submit(spec).err().expect("refused");
    use PosteriorError as E;
    assert!(matches!(refuse(spec(1, 0)), E::Config { .. }));
    assert!(matches!(refuse(JobSpec { exposures: vec![], ..spec(1, 1) }), E::Config { .. }));
    assert!(matches!(refuse(JobSpec { prior: "none".into(), ..spec(1, 1) }), E::Model { .. }));
    assert!(matches!(refuse(JobSpec { likelihood: "none".into(), ..spec(1, 1) }), E::Model { .. }));
    let steps = Options { steps: Some(0), ..options() };
    assert!(matches!(refuse(JobSpec { options: steps, ..spec(1, 1) }), E::Config { .. }));
    assert!(matches!(refuse(spec(1, usize::MAX / 8)), E::Memory { .. }));
    let cuda = EngineConfig { device: "cuda:0".into(), ..EngineConfig::default() };
    assert!(matches!(Engine::create(cuda).err(), Some(E::Unsupported { .. })));
    assert!(engine.estimate(&spec(1, 4)).expect("valid").host_bytes > 0);

    let small = ModelGrid { ny: 8, nx: 8, ..grid() };
    for spec in [
        JobSpec { prior: "broken".into(), ..spec(1, 1) },
        JobSpec { grid: small, ..spec(1, 1) },
        JobSpec { grid: ModelGrid { ra_deg: 200.0, ..grid() }, ..spec(1, 1) },
    ] {
        let job = engine.submit(spec).expect("only the work shows it");
        assert_eq!(job.wait(LONG).expect("in time"), JobState::Failed);
    }
    finished(&engine.submit(spec(1, 1)).expect("the engine goes on"));
}

#[test]
fn hostile_sizes_are_refused_before_they_are_allocated() {
    let folder = Folder::new("hostile");
    let engine = folder.engine();
    // Half a million sub-pixels around the exposure on every side: 10^12 in all.
    let psf = Psf::new(Array2::ones((1, 1_000_001)), 1, false).expect("a valid PSF");
    let wide = Arc::new(Exposure { psf: Arc::new(psf), ..(*exposure(0.2)).clone() });
    let job = JobSpec { exposures: vec![wide.clone()], ..spec(1, 1) };
    assert!(matches!(engine.submit(job).err(), Some(PosteriorError::Memory { .. })));
    let image = Array2::ones((SIDE, SIDE));
    match engine.predict(&[exposure(0.2), wide], &grid(), &image) {
        Err(PosteriorError::Memory { need, have }) => assert!(need > 200 << 40 && have > 0),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_whole_frame_around_a_small_model_is_accepted() {
    let folder = Folder::new("frame");
    let shape = (1014, 1014);
    let frame = ModelGrid { ny: shape.0, nx: shape.1, ..grid() };
    let (ones, good) = (Array2::ones(shape), Array2::from_elem(shape, true));
    let psf = exposure(0.2).psf.clone();
    let frame = Exposure::new("frame", ones.clone(), ones, good, Arc::new(frame), psf);
    let exposures = vec![Arc::new(frame.expect("a valid exposure"))];
    let grid = ModelGrid { ny: 64, nx: 64, ..grid() };
    let need = folder.engine().estimate(&JobSpec { exposures, grid, ..spec(1, 1) });
    let need = need.expect("valid").host_bytes;
    assert!((1 << 29..1 << 31).contains(&need), "{need} bytes");
}

#[test]
fn cancelling_a_real_job() {
    let folder = Folder::new("cancel");
    let engine = folder.engine();
    let job = engine.submit(spec(1, 100_000)).expect("valid");
    while job.progress().step == 0 {
        std::thread::sleep(Duration::from_millis(1));
    }
    job.cancel();
    assert_eq!(job.wait(Some(Duration::ZERO)).expect("at once"), JobState::Cancelled);
    finished(&engine.submit(spec(2, 1)).expect("the worker is free"));
}

#[test]
fn a_cancelled_job_is_neither_prepared_nor_finished() {
    let folder = Folder::new("unwanted");
    let catalogue = Catalogue::new(std::slice::from_ref(&folder.0));
    let mut runner = TorchRunner::on_cpu(catalogue, Arc::default(), 1);
    let ticket = Ticket::new(spec(1, 1));
    let prepared = runner.prepare(&ticket).expect("a valid job");
    ticket.settle(Outcome::Cancelled);
    assert!(matches!(runner.prepare(&ticket).err(), Some(PosteriorError::Cancelled)));
    let slot = SlotOutcome {
        image: Ok(vec![1.0; SIDE * SIDE]),
        cg_iterations: 0,
        cg_breakdowns: 0,
        sweeps: 0,
        proposals: 0,
        accepted: 0,
        step_size: f64::NAN,
    };
    let tally = Tally { slots: vec![Some(slot)], ..Tally::default() };
    let finished = runner.finish(&ticket, &prepared, tally);
    assert!(matches!(finished.err(), Some(PosteriorError::Cancelled)));
}

/// The exposure's own white noise as a noise model gives the Gaussian posterior: one mode a pixel, whose
/// standard error over 24 samples is 0.2 sigma and over the image's 255 pixels 0.013. A model for other
/// pixels fails the job.
#[test]
fn a_noise_model_by_name() {
    let folder = Folder::new("noise");
    let forward = Autocovariance::forward(&exposure(0.2), &grid(), 2).expect("an overlap");
    let core = Tensor::zeros([1, 1], (Kind::Double, Device::Cpu)) + 0.04;
    let core = Autocovariance::new("core", &core).expect("a variance");
    let white = |n: i64| {
        let mut rngs: Vec<_> = (0..n as u64).map(|k| SampleRng::new(7, k)).collect();
        normal(&mut rngs, &[SIDE as i64, SIDE as i64], Device::Cpu) * 0.2
    };
    let held_out = white(64);
    let score = LearnedNoise::new(
        Estimate::Gaussian,
        core.scaled(1.0),
        forward.scaled(1.0),
        Limits { r: 1.0, white: 1.0 },
        Device::Cpu,
    );
    let reference = NoiseReference::measure(&score, &held_out, &Tensor::ones_like(&held_out))
        .expect("measured");
    for (name, pixel_scale) in [("white", 0.1), ("coarse", 0.13)] {
        let metadata = NoiseMetadata {
            format: FORMAT,
            kind: "noise".into(),
            architecture: NoiseArchitecture::StationaryGaussian {},
            instrument: None,
            detector: Some("WFC".into()),
            filter: None,
            exposure_time_s: Some([400.0, 500.0]),
            pixel_scale_data_arcsec: pixel_scale,
            pixel_scale_model_arcsec: 0.1,
            flux_convention: "surface_brightness".into(),
            unit: "e-/s".into(),
            core_sigma_e_per_s: 0.2,
            largest_level_e_per_s: 1.0,
            largest_white_e_per_s: 1.0,
            psf: "test".into(),
            licence: "MIT".into(),
            trained_on: "closed form".into(),
            training_steps: 0,
            training_images: 0,
            residual_reference: reference.clone(),
        };
        let path = folder.0.join(format!("{name}.safetensors"));
        write_noise(&path, &metadata, &Parameters::default(), &core, &forward).expect("written");
    }
    let engine = folder.engine();
    let options = || Options { steps: Some(25), flux_scale: Some(1.0), ..Options::default() };
    let submit = |likelihood: &str, exposures: Vec<Arc<Exposure>>, options: Options| {
        let spec = JobSpec { likelihood: likelihood.into(), exposures, options, ..spec(1, 24) };
        engine.submit(spec).expect("a valid job")
    };
    let run = |likelihood: &str| submit(likelihood, vec![exposure(0.2)], options());
    let (learned, gaussian) = (finished(&run("white")), finished(&run("gaussian")));
    assert_eq!(learned.provenance["likelihood"]["name"], "white");
    let moments =
        |p: &Posterior| (p.mean().mean().expect("pixels"), p.samples.std_axis(Axis(0), 1.0));
    let ((mean, spread), (other_mean, other_spread)) = (moments(&learned), moments(&gaussian));
    let ratio = spread.mean().expect("pixels") / other_spread.mean().expect("pixels");
    assert!((mean - other_mean).abs() < 0.02, "means {mean} and {other_mean}");
    assert!((ratio - 1.0).abs() < 0.05, "ratio of the standard deviations {ratio}");
    let coarse = run("coarse");
    assert_eq!(coarse.wait(LONG).expect("in time"), JobState::Failed);
    let error = coarse.result().err().expect("failed").to_string();
    assert!(error.contains("pixel scale"), "{error}");

    let (cost, other) = (&learned.diagnostics.cost, &gaussian.diagnostics.cost);
    assert_eq!((&cost.proposals, cost.step_sizes.len()), (&vec![6; 24], 24));
    assert!(cost.accepted.iter().sum::<usize>() > 100 && cost.noise_evaluations > 0);
    assert!(cost.step_sizes.iter().all(|s| *s > 0.0 && *s < 1.0) && cost.noise_time_share > 0.0);
    assert_eq!((other.proposals[0], other.noise_evaluations), (0, 0));
    assert!(other.step_sizes[0].is_nan() && gaussian.diagnostics.exposures[0].noise.is_none());

    // Noise, and with it a galaxy that the prior, 1 +- 0.2, cannot follow; a time that the model was not trained for.
    let observed = |blob: f64| {
        let noise = Vec::<f32>::try_from(white(65).get(64).flatten(0, -1)).expect("values");
        let flat = exposure(0.2);
        let mut pixels = Array2::ones((SIDE, SIDE));
        for ((y, x), pixel) in pixels.indexed_iter_mut() {
            let r2 = (y as f64 - 7.0).powi(2) + (x as f64 - 9.0).powi(2);
            *pixel += f64::from(noise[y * SIDE + x]) + blob * (-r2 / 8.0).exp();
        }
        vec![Arc::new(Exposure { pixels, ..(*flat).clone() })]
    };
    for (blob, time, mismatch) in [(0.0, 450.0, false), (6.0, 450.0, true), (0.0, 800.0, false)] {
        let short = Options {
            trajectories: Some(4),
            leapfrog_steps: Some(3),
            exposure_times_s: vec![time],
            ..options()
        };
        let posterior = finished(&submit("white", observed(blob), short));
        let fit = &posterior.diagnostics.exposures[0];
        assert_eq!(fit.flags.noise_mismatch, mismatch, "{:?}", fit.noise);
        assert_eq!(fit.flags.exposure_time, time > 500.0);
        assert!(!fit.flags.chi2 && posterior.diagnostics.cost.proposals[0] == 2);
        assert_eq!(fit.flags.mismatch, mismatch || time > 500.0);
    }
    // The operator of 255 pixels on 256, what 255 directions take, and the network: 1.0 + 1.0 + 4.2 MB.
    let need = |likelihood: &str| {
        let spec = JobSpec { likelihood: likelihood.into(), options: options(), ..spec(1, 24) };
        engine.estimate(&spec).expect("valid").host_bytes
    };
    let more = need("white") - need("gaussian");
    assert!((5_000_000..7_000_000).contains(&more), "{more} bytes");

    // What it has no use for is refused, not recorded.
    let refuse = |exposures: Vec<Arc<Exposure>>, options: Options| {
        let likelihood = "white".into();
        let spec = JobSpec { likelihood, exposures, options, ..spec(1, 1) };
        engine.submit(spec).err().expect("refused").to_string()
    };
    let said = refuse(observed(0.0), Options { sweeps: Some(3), ..options() });
    assert!(said.contains("sweeps: need none with noise model white") && said.ends_with("got 3"));
    let said = refuse(observed(0.0), Options { sweep_steps: Some(7), ..options() });
    assert!(said.contains("sweep_steps: need none") && said.ends_with("got 7"), "{said}");
    let kernel = pellucid_exposure::NoiseCorrelation::new(Array2::ones((1, 1))).expect("white");
    let correlated = (*observed(0.0)[0]).clone().with_noise_correlation(Arc::new(kernel));
    let said = refuse(vec![Arc::new(correlated)], options());
    assert!(said.contains("correlation of exposure flat: need none"), "{said}");

    // Errors of half the noise; another camera that the job accepts; a corner of the model.
    let quick = || Options { trajectories: Some(2), leapfrog_steps: Some(1), ..options() };
    let flags = |exposure: Exposure, options: Options| {
        let posterior = finished(&submit("white", vec![Arc::new(exposure)], options));
        posterior.diagnostics.exposures[0].flags
    };
    let plain = || (*observed(0.0)[0]).clone();
    assert!(!flags(plain(), quick()).noise_mismatch);
    let errors = Array2::from_elem((SIDE, SIDE), 0.01);
    assert!(flags(Exposure { variance: errors, ..plain() }, quick()).noise_mismatch);
    let other = Options { detector: Some("HRC".into()), ..quick() };
    let job = submit("white", observed(0.0), other.clone());
    assert_eq!(job.wait(LONG).expect("in time"), JobState::Failed);
    let said = job.result().err().expect("failed").to_string();
    assert!(said.contains("detector: need WFC, got HRC"), "{said}");
    let accepted = Options { accept_noise_mismatch: true, ..other };
    assert!(flags(plain(), accepted).noise_mismatch);
    let away = ModelGrid {
        ra_deg: 30.0 + 15.4 * 0.1 / 3600.0,
        dec_deg: -5.0 + 15.4 * 0.1 / 3600.0,
        ..grid()
    };
    let corner = flags(Exposure { wcs: Arc::new(away), ..plain() }, quick());
    assert!(corner.noise_unchecked, "{corner:?}");

    let two = Options { exposure_times_s: vec![450.0; 2], ..options() };
    let job = submit("white", observed(0.0), two);
    assert_eq!(job.wait(LONG).expect("in time"), JobState::Failed);
}
