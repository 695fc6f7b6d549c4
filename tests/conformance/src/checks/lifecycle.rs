//! Engines: threads, memory, models.

use std::ptr::{null, null_mut};
use std::thread;
use std::time::{Duration, Instant};

use pellucid_ffi::*;

use crate::arrays::sized;
use crate::check::{Check, Fault, Pass, Verdict, ensure, pass};
use crate::host::{Ask, GRID, Host, SHORT, SIDE, Shot};
use crate::process::{resident, settled_threads, threads};
use crate::session::Session;
use crate::telescope::Tan;

pub(crate) const CHECKS: &[Check] = &[
    Check::new(
        "lifecycle.create",
        "engine_create starts an engine that engine_release ends, with all its threads",
        create,
    )
    .fresh(),
    Check::new("lifecycle.many-engines", "engines come and go, several at a time", many_engines),
    Check::new(
        "lifecycle.models",
        "list_models is a JSON array of objects with name and kind",
        models,
    ),
    Check::new("lifecycle.memory", "engine_memory knows this process's memory", memory),
    Check::new(
        "lifecycle.results-held",
        "results_held counts samples while results or arrays hold them, no longer",
        results_held,
    ),
    Check::new("lifecycle.no-leak", "memory of exposures and results comes back", no_leak),
];

fn create(session: &Session) -> Verdict {
    session.field()?;
    session.api()?;
    let (before, resident_before) = (threads(), resident());
    let start = Instant::now();
    let host = Host::new(session)?;
    let ms = start.elapsed().as_secs_f64() * 1e3;
    host.result()?;
    let (during, resident_during) = (threads(), resident());
    let start = Instant::now();
    drop(host);
    let end_ms = start.elapsed().as_secs_f64() * 1e3;
    let after = settled_threads(before);
    ensure!(after == before, "{before} threads before, {after} after engine_release");
    let grown = resident_during.saturating_sub(resident_before) as f64 / 1e6;
    Ok(Pass::from(format!("{ms:.1} ms, {} threads more, {grown:.0} MB", during - before))
        .with("engine_create", ms, "ms")
        .with("engine_release", end_ms, "ms")
        .with("resident memory of an engine and its first job", grown, "MB"))
}

fn many_engines(session: &Session) -> Verdict {
    for _ in 0..20 {
        Host::new(session)?;
    }
    let hosts = [Host::new(session)?, Host::new(session)?, Host::new(session)?];
    for host in &hosts {
        host.result()?;
    }
    pass()
}

fn models(session: &Session) -> Verdict {
    // The damaged files of other checks have no kind.
    let folder = session.folder.join("models");
    std::fs::create_dir_all(&folder)?;
    let file = session.field()?.file.to_str().unwrap_or_default();
    std::fs::copy(file, folder.join("conformance.safetensors"))?;
    let folder = serde_json::Value::from(folder.to_string_lossy());
    let config = format!(r#"{{"model_dirs": [{folder}]}}"#);
    let host = Host::with(session, &config, null())?;
    let mut json = null();
    ok!(host.api, list_models(host.raw(), &mut json))?;
    let text = crate::session::text(json)?;
    let value: serde_json::Value =
        serde_json::from_str(text).map_err(|error| Fault::Broken(format!("not JSON: {error}")))?;
    let models = value.as_array().ok_or_else(|| Fault::Broken(format!("no array: {text}")))?;
    for model in models {
        ensure!(model["name"].is_string(), "a model has no name: {model}");
        ensure!(model["kind"].is_string(), "a model has no kind: {model}");
    }
    let ours = models.iter().find(|model| model["name"] == "conformance");
    ensure!(
        ours.is_some_and(|m| m["kind"] == "prior"),
        "the prior in model_dirs is not listed as one"
    );
    Ok(format!("{} models", models.len()).into())
}

fn used(host: &Host<'_>) -> Result<pellucid_mem, Fault> {
    let mut memory: pellucid_mem = sized();
    ok!(host.api, engine_memory(host.raw(), &mut memory))?;
    Ok(memory)
}

fn memory(session: &Session) -> Verdict {
    let host = Host::new(session)?;
    let memory = used(&host)?;
    let real = resident();
    if memory.host_now != 0 {
        let ratio = memory.host_now as f64 / real as f64;
        ensure!((0.8..1.25).contains(&ratio), "host_now is {ratio:.2} of VmRSS");
    }
    ensure!(memory.host_peak == 0 || memory.host_peak >= memory.host_now, "{memory:?}");
    Ok(format!(
        "host {:.0} MB, peak {:.0} MB",
        memory.host_now as f64 / 1e6,
        memory.host_peak as f64 / 1e6
    )
    .into())
}

fn results_held(session: &Session) -> Verdict {
    let host = Host::new(session)?;
    let before = used(&host)?.results_held;
    let exposure = host.exposure(&Shot::plain())?;
    let job = host.submit(&[exposure.get()], &Ask { n_samples: 20, ..Ask::new(SHORT) })?;
    let result = host.finish(&job)?;
    let mut out: pellucid_array = sized();
    ok!(host.api, result_samples(result.get(), 0, 1, &mut out))?;
    let bytes = (20 * SIDE * SIDE * 4) as u64;
    let during = used(&host)?.results_held;
    ensure!(during >= before + bytes, "{during} bytes with {bytes} of samples, {before} before");
    drop(result);
    drop(job);
    let held = used(&host)?.results_held;
    ensure!(held >= before + bytes, "{held} bytes while an array holds {bytes}");
    crate::arrays::release(&mut out)?;
    // The worker may still be putting the job away.
    let deadline = Instant::now() + Duration::from_secs(5);
    while used(&host)?.results_held != before && Instant::now() < deadline {
        thread::sleep(Duration::from_millis(2));
    }
    let after = used(&host)?.results_held;
    ensure!(after == before, "{after} bytes after the last release, {before} before");
    Ok(format!("{during} bytes").into())
}

fn no_leak(session: &Session) -> Verdict {
    let host = Host::new(session)?;
    let side = 256;
    let wcs = Tan::centred([GRID.ra, GRID.dec], side, 0.05, 0.0);
    let ones = vec![1.0; side * side];
    let shot = Shot { wcs, shape: [side; 2], sci: ones.clone(), sigma: ones, ..Shot::plain() };
    let round = |n| -> Result<(), Fault> {
        for _ in 0..n {
            let header = host.header(&wcs.header())?;
            host.exposure_with(&shot, |desc| desc.wcs = header.get())?;
            let mut error = null_mut();
            slot!(host.api, list_models(null_mut(), &mut null(), &mut error))?;
            slot!(host.api, error_release(error))?;
        }
        host.result().map(drop)
    };
    round(20)?;
    let before = resident();
    round(150)?;
    let grown = resident().saturating_sub(before);
    // An exposure holds 16 bytes a pixel or more: 150 of them would be 157 MB.
    ensure!(grown < 32_000_000, "150 exposures left {:.0} MB behind", grown as f64 / 1e6);
    Ok(format!("{:.1} MB after 150 exposures", grown as f64 / 1e6).into())
}
