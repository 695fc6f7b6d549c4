//! What the C ABI costs: the same jobs through the opened plugin and straight from the pool, and a
//! call of a slot with and without the loader in between.
//!
//! Jobs alternate between the two sides, so that a machine that is busy or slows down does so for
//! both; their samples must be the same to the last bit.

#[path = "../../plugin/posterior/benches/shared/report.rs"]
#[allow(dead_code, reason = "the posterior's benches use more of it")]
mod report;
mod shared;

use std::hint::black_box;
use std::path::Path;
use std::ptr::null_mut;
use std::time::Instant;

use pellucid_ffi::*;
use pellucid_tests::{c, ok, prior, sized, slot};
use report::{Report, Target};
use shared::direct::Direct;
use shared::host::Abi;
use shared::open::open;
use shared::problem::Problem;

/// Calls timed at once, and how often.
const CALLS: usize = 200_000;
const ROUNDS: usize = 15;

fn main() {
    let mut report = Report::new("abi_overhead");
    let folder = c::scratch("abi-overhead");
    let field = folder.join("field.safetensors");
    prior::write_gaussian_field(&field, 32, 0.03);
    let learned = c::root().join("packaging/models/galaxies64-ve.safetensors");
    let repeats = argument("--repeats");
    let few = r#"{"steps": 8, "sweeps": 1}"#;
    let small = Problem { side: 16, model_side: 32, n_samples: 8, options: few };
    let whole = Problem { side: 32, model_side: 64, n_samples: 8, options: "{}" };
    compare(&mut report, "closed-form prior, 32x32", &small, &field, repeats.unwrap_or(41));
    // Without the network, whose job takes seconds.
    if !std::env::args().any(|a| a == "--quick") {
        compare(&mut report, "galaxies64-ve, 64x64", &whole, &learned, repeats.unwrap_or(7));
    }
    calls(&mut report, &folder);
    report.finish();
}

fn argument(name: &str) -> Option<usize> {
    let mut args = std::env::args();
    args.find(|a| a == name).and(args.next())?.parse().ok()
}

/// Wall-clock and processor time of one job.
#[derive(Clone, Copy)]
struct Cost {
    wall_s: f64,
    cpu_s: f64,
}

fn timed(job: impl FnOnce() -> Vec<f32>) -> (Cost, Vec<f32>) {
    let (start, cpu) = (Instant::now(), cpu_seconds());
    let samples = job();
    (Cost { wall_s: start.elapsed().as_secs_f64(), cpu_s: cpu_seconds() - cpu }, samples)
}

/// Processor time of all threads so far.
fn cpu_seconds() -> f64 {
    let mut now = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: room for the answer.
    let status = unsafe { libc::clock_gettime(libc::CLOCK_PROCESS_CPUTIME_ID, &mut now) };
    assert_eq!(status, 0, "every Linux has this clock");
    now.tv_sec as f64 + 1e-9 * now.tv_nsec as f64
}

fn compare(report: &mut Report, case: &str, problem: &Problem, prior: &Path, repeats: usize) {
    let abi = Abi::new(open(&c::plugin()));
    let direct = Direct::new();
    let (mut through, mut without) = (Vec::new(), Vec::new());
    // The first of each loads the model.
    for round in 0..=repeats {
        let mut sides = [None, None];
        // Which goes first alternates too.
        for side in [round % 2, 1 - round % 2] {
            let (cost, samples) = match side {
                0 => timed(|| abi.sample(problem, prior)),
                _ => timed(|| direct.sample(problem, prior)),
            };
            sides[side] = Some(samples);
            if round > 0 {
                [&mut through, &mut without][side].push(cost);
            }
        }
        assert_eq!(sides[0], sides[1], "both sides sample the same job");
    }
    let wall = |costs: &[Cost]| 1e3 * median(costs.iter().map(|c| c.wall_s).collect());
    report.row(case, "job through the ABI, ms", wall(&through), Target::None);
    report.row(case, "job from the pool, ms", wall(&without), Target::None);
    type Part = (&'static str, fn(&Cost) -> f64);
    let parts: [Part; 2] = [("time ratio", |c| c.wall_s), ("processor-time ratio", |c| c.cpu_s)];
    for (name, part) in parts {
        // Of jobs that ran one after the other.
        let ratios: Vec<f64> =
            through.iter().zip(&without).map(|(a, b)| part(a) / part(b)).collect();
        let middle = median(ratios.clone());
        let deviation = median(ratios.iter().map(|ratio| (ratio - middle).abs()).collect());
        report.row(case, name, middle, Target::AtMost(1.01));
        // Of a median, for normal scatter: 1.4826 and 1.2533.
        let error = 1.4826 * 1.2533 * deviation / (ratios.len() as f64).sqrt();
        report.row(case, &format!("{name}, standard error"), error, Target::None);
    }
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    if values.len() % 2 == 1 { values[middle] } else { (values[middle - 1] + values[middle]) / 2.0 }
}

/// Nanoseconds of a call: the engine's own table, and the loader's that forwards to it.
fn calls(report: &mut Report, folder: &Path) {
    let installed = folder.join("pellucid");
    std::fs::create_dir_all(&installed).expect("the folder is writable");
    let link = |from: &Path, to: &Path| {
        std::os::unix::fs::symlink(from, to).expect("the folder is writable");
    };
    let loader = c::plugin().with_file_name("libpellucid_loader.so");
    // A copy, since the loader looks for its engine where it lies itself.
    let copy = folder.join(PELLUCID_SONAME);
    std::fs::copy(&loader, &copy).expect("the loader was built with this bench");
    link(&c::plugin(), &installed.join("libpellucid_engine.so"));
    let (engine, loader) = (open(&c::plugin()), open(&copy));
    let abi = Abi::new(loader);
    let handle = abi.handle();
    let name = |api: &pellucid_api| {
        black_box(slot!(api, status_name(black_box(PELLUCID_E_NUMERIC))));
    };
    let log = |api: &pellucid_api| {
        black_box(slot!(api, log_drain(handle, 0)));
    };
    let refused = |api: &pellucid_api| {
        let mut error = null_mut();
        let status = slot!(api, job_poll(null_mut(), &mut sized(), &mut error));
        assert_eq!(status, PELLUCID_E_ARG);
        slot!(api, error_release(error));
    };
    let mut measure = |case: &str, n: usize, call: &dyn Fn(&pellucid_api)| {
        let (mut direct, mut forwarded) = (Vec::new(), Vec::new());
        for _ in 0..ROUNDS {
            for (api, times) in [(engine, &mut direct), (loader, &mut forwarded)] {
                let start = Instant::now();
                (0..n).for_each(|_| call(api));
                times.push(1e9 * start.elapsed().as_secs_f64() / n as f64);
            }
        }
        // What else the machine does only adds.
        let [direct, forwarded] =
            [direct, forwarded].map(|times| times.into_iter().fold(f64::INFINITY, f64::min));
        report.row(case, "engine's slot, ns", direct, Target::None);
        report.row(case, "loader's slot, ns", forwarded, Target::None);
        report.row(case, "the loader adds, ns", forwarded - direct, Target::AtMost(20.0));
    };
    measure("status_name", CALLS, &name);
    measure("log_drain of a handle", CALLS, &log);
    measure("job_poll(NULL), its error", CALLS / 20, &refused);
    ok(engine, |e| slot!(engine, engine_memory(handle, &mut sized(), e)));
}
