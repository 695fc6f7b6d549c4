//! `pellucid doctor`: is everything there, and does it answer?

use ndarray::Array2;
use pellucid_host::HostError;
use pellucid_host::fits::{FitsInput, FitsOutput, Region};
use pellucid_host::input::Stamp;
use pellucid_host::session::{Engine, FluxConvention, Plugin};
use pellucid_host::sky::{ModelGrid, SkyPosition};
use serde_json::{Value, json};

use crate::args::{DoctorArgs, EngineArgs};
use crate::engine;
use crate::failure::{Failure, Outcome, Run};
use crate::terminal::say;

struct Report {
    lines: Vec<(String, Result<String, String>)>,
}

impl Report {
    /// Notes a check; its value goes on to the next one.
    fn note<T>(
        &mut self,
        name: &str,
        result: Result<T, Failure>,
        detail: impl FnOnce(&T) -> String,
    ) -> Option<T> {
        let line = match &result {
            Ok(value) => Ok(detail(value)),
            Err(failure) => Err(failure.to_string()),
        };
        self.lines.push((name.into(), line));
        result.ok()
    }

    fn fail(&mut self, name: &str, what: &str) {
        self.lines.push((name.into(), Err(what.into())));
    }
}

/// Runs the command. Exit code 1 if any check fails.
pub fn run(args: &DoctorArgs) -> Run {
    let mut report = Report { lines: Vec::new() };
    let found = Plugin::find(args.engine.plugin.as_deref()).map_err(Failure::from);
    let plugin = report.note("plugin", found, |p| p.path().display().to_string());
    if let Some(plugin) = plugin {
        check_plugin(&mut report, &plugin, &args.engine);
    }
    report.note("FITS", fits_round_trip(), |text| text.clone());
    let failed = report.lines.iter().filter(|(_, r)| r.is_err()).count();
    if args.json {
        let lines = report.lines.iter().map(|(name, result)| match result {
            Ok(text) => json!({"check": name, "ok": true, "detail": text}),
            Err(text) => json!({"check": name, "ok": false, "detail": text}),
        });
        say(format_args!("{:#}", Value::from(lines.collect::<Vec<_>>())));
    } else {
        for (name, result) in &report.lines {
            match result {
                Ok(text) => say(format_args!("ok    {name:<12} {text}")),
                Err(text) => say(format_args!("FAIL  {name:<12} {text}")),
            }
        }
    }
    match failed {
        0 => Ok(Outcome::Done),
        n => Err(Failure::Checks(n)),
    }
}

fn check_plugin(report: &mut Report, plugin: &Plugin, args: &EngineArgs) {
    let (level, minor) = plugin.abi();
    report.lines.push(("ABI".into(), Ok(format!("{level}.{minor}"))));
    report.lines.push(("engine".into(), Ok(plugin.version())));
    match plugin.can_predict() {
        true => report.lines.push(("prediction".into(), Ok("available".into()))),
        false => report.fail(
            "prediction",
            "the plugin has no org.pellucid.predict/1; predict, simulate and MODEL_k need a newer one",
        ),
    }
    let devices = plugin.devices().map_err(Failure::from);
    report.note("devices", devices, |list| {
        let each = list.iter().map(|d| match d.memory_total {
            0 => format!("{} ({})", d.id, d.name),
            bytes => format!("{} ({}, {:.1} GB)", d.id, d.name, bytes as f64 / 1e9),
        });
        each.collect::<Vec<_>>().join("; ")
    });
    let started = Engine::create(plugin, &engine::options(args, &[])).map_err(Failure::from);
    let started = report.note("start", started, |_| format!("on device {}", args.device));
    let Some(engine) = started else {
        return;
    };
    let memory = engine.memory().map_err(Failure::from);
    report.note("memory", memory, |m| format!("{:.2} GB in use", m.host_now as f64 / 1e9));
    let models = engine.models().map_err(Failure::from);
    let Some(models) = report.note("model list", models, |list| format!("{} models", list.len()))
    else {
        return;
    };
    if !models.iter().any(|m| m.kind.as_deref() == Some("prior")) {
        report.fail("priors", "none found; name their folder with --models or PELLUCID_MODELS");
    }
    for model in models {
        match &model.error {
            None => {
                let kind = model.kind.unwrap_or_default();
                report.lines.push((format!("model {}", model.name), Ok(kind)));
            }
            Some(error) => report.fail(&format!("model {}", model.name), error),
        }
    }
    let checked = forward_model(&engine);
    report.note("forward", checked, |sum| format!("a point source keeps its flux: {sum:.6} of 1"));
}

/// Writes an image with our own writer and reads it with cfitsio.
fn fits_round_trip() -> Result<String, Failure> {
    let path = std::env::temp_dir().join(format!("pellucid-doctor-{}.fits", std::process::id()));
    let image = Array2::from_shape_fn((3, 4), |(y, x)| (10 * y + x) as f32);
    let mut file = FitsOutput::create(&path, &[])?;
    file.image("SCI", 1, image.view(), &[])?;
    file.commit()?;
    let read = FitsInput::open(&path).and_then(|mut file| file.image_2d(1));
    // Best effort: the folder is the system's to clean.
    let _ = std::fs::remove_file(&path);
    match read? == image.mapv(f64::from) {
        true => Ok(format!("written and read back in {}", std::env::temp_dir().display())),
        false => Err(HostError::Value {
            what: "pixels read back from a FITS file".into(),
            need: "those written; cfitsio and this program disagree, install them again".into(),
            got: "others".into(),
        }
        .into()),
    }
}

/// Blurs a point source through the plugin: what comes out of one unit of flux.
fn forward_model(engine: &Engine) -> Result<f64, Failure> {
    const N: usize = 33;
    let grid = ModelGrid {
        nx: N,
        ny: N,
        centre: SkyPosition { ra_deg: 150.0, dec_deg: 2.0 },
        pixel_scale_arcsec: 0.05,
    };
    let stamp = Stamp {
        id: "doctor".into(),
        region: Region { x0: 0, y0: 0, nx: N, ny: N },
        pixels: Array2::zeros((N, N)),
        sigma: Array2::ones((N, N)),
        quality: None,
        bad_bits: 0,
        flux_convention: FluxConvention::SurfaceBrightness,
        header: grid.header(),
        tables: Vec::new(),
    };
    let kernel = Array2::from_shape_fn((17, 17), |(y, x)| {
        let r2 = (y as f64 - 8.0).powi(2) + (x as f64 - 8.0).powi(2);
        (-r2 / 8.0).exp()
    });
    let psf = engine.psf(kernel.view(), 4, false)?;
    let exposure = stamp.to_exposure(engine, &psf, None)?;
    let mut point = Array2::<f32>::zeros((N, N));
    point[[N / 2, N / 2]] = 1.0;
    let seen = engine.predict(&[&exposure], &grid, point.view())?;
    let flux = seen[0].iter().map(|v| f64::from(*v)).sum::<f64>();
    match (flux - 1.0).abs() < 1e-3 {
        true => Ok(flux),
        false => Err(HostError::Value {
            what: "flux of a point source after the forward model".into(),
            need: "1 to 1e-3; the plugin is damaged, install it again".into(),
            got: flux.to_string(),
        }
        .into()),
    }
}
