//! Nights through the real plugin: broken inputs, restarts, signals.

mod support;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::thread::sleep;
use std::time::Duration;

use pellucid_night::journal;
use pellucid_night::ledger::{Event, What};
use support::sky::{BROKEN, difference, manifest, position, rows, write_inputs};
use support::{Folder, pellucid};

fn run(manifest: &Path, more: &[&str]) -> Output {
    pellucid([&["night", "run", manifest.to_str().unwrap()], more].concat())
}

#[track_caller]
fn runs(manifest: &Path, more: &[&str], code: i32) -> String {
    let output = run(manifest, more);
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(code), "{stderr}");
    stderr
}

fn events(folder: &Path) -> Vec<Event> {
    journal::read(&folder.join("ledger")).unwrap()
}

/// How often each target was done.
fn done(folder: &Path) -> BTreeMap<String, usize> {
    let mut count = BTreeMap::new();
    for event in events(folder) {
        if matches!(event.what, What::Done { .. }) {
            *count.entry(event.target).or_default() += 1;
        }
    }
    count
}

fn status(manifest: &Path) -> serde_json::Value {
    let output = pellucid(["night", "status", "--json", manifest.to_str().unwrap()]);
    serde_json::from_slice(&output.stdout).unwrap()
}

/// Names in products and figures that are no finished file's.
fn leftovers(folder: &Path) -> Vec<PathBuf> {
    let list = |name: &str| std::fs::read_dir(folder.join(name)).unwrap();
    let all = list("products").chain(list("figures")).map(|entry| entry.unwrap().path());
    all.filter(|path| path.to_string_lossy().ends_with(".part")).collect()
}

fn start(manifest: &Path) -> Child {
    let mut program = Command::new(env!("CARGO_BIN_EXE_pellucid"));
    program.args(["night", "run"]).arg(manifest);
    program.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
}

/// Waits for an event, or for the process to end.
fn until(child: &mut Child, folder: &Path, seen: impl Fn(&[Event]) -> bool) {
    while !seen(&events(folder)) && child.try_wait().unwrap().is_none() {
        sleep(Duration::from_millis(5));
    }
}

#[test]
fn broken_inputs_do_not_stop_the_night() {
    if !support::engine("broken_inputs_do_not_stop_the_night") {
        return;
    }
    let folder = Folder::new("night-broken");
    write_inputs(&folder.0);
    std::fs::write(folder.path("targets.csv"), rows(6, BROKEN.len())).unwrap();
    let night = manifest(&folder.0, "one", "targets.csv", 2, "readers = 2");
    let out = folder.path("one.out");

    let plan = pellucid(["night", "run", "--dry-run", night.to_str().unwrap()]);
    let text = String::from_utf8_lossy(&plan.stdout).into_owned();
    assert_eq!(plan.status.code(), Some(3), "{text}");
    assert!(text.contains("12 target(s), 6 with problems") && text.contains("NaN"), "{text}");
    assert!(!out.exists(), "a dry run writes nothing");

    runs(&night, &[], 3);
    let state = status(&night);
    assert_eq!((&state["totals"]["done"], &state["totals"]["quarantined"]), (&6.into(), &6.into()));
    for (k, (kind, word)) in BROKEN.iter().enumerate() {
        let target = &state["targets"][6 + k];
        assert_eq!(target["status"], "quarantined", "{target}");
        assert!(target["name"].as_str().unwrap().starts_with(kind), "{target}");
        assert!(target["reason"].as_str().unwrap().contains(word), "{kind}: {target}");
    }
    assert!(state["targets"][0]["quality"]["chi2_reduced"][1].as_f64().unwrap() > 0.0);
    assert!(out.join("report.html").is_file());
    let summary = std::fs::read(out.join("summary.json")).unwrap();
    let summary: serde_json::Value = serde_json::from_slice(&summary).unwrap();
    assert_eq!(summary["totals"], state["totals"]);
    assert!(summary["memory"][0]["resident_bytes"].as_u64().unwrap() > 1_000_000);

    // Nothing is done twice, and nothing quarantined is tried again.
    let before = events(&out).len();
    runs(&night, &[], 3);
    let new = events(&out)[before..].to_vec();
    assert!(new.len() == 6 && new.iter().all(|event| event.what == What::Kept), "{new:?}");

    // The missing file comes back; a product is damaged, another is of other settings.
    std::fs::copy(folder.path("frame_1.fits"), folder.path("nowhere.fits")).unwrap();
    let product = |name: &str| out.join(format!("products/{name}.fits"));
    let first = folder.path("first.fits");
    std::fs::copy(product("good-001"), &first).unwrap();
    let mut bytes = std::fs::read(&first).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(product("good-001"), &bytes).unwrap();
    let stderr = runs(&night, &[], 3);
    assert!(stderr.contains("does not match"), "{stderr}");
    assert_eq!(difference(&product("good-001"), &first), None);
    let count = done(&out);
    assert_eq!((count["good-001"], count["missing-000"], count.len()), (2, 1, 7));
    assert_eq!(count.values().sum::<usize>(), 8);

    let text = std::fs::read_to_string(&night).unwrap();
    std::fs::write(&night, text.replace("seed = 3", "seed = 4")).unwrap();
    runs(&night, &["--only", "good-002"], 0);
    assert_eq!((done(&out)["good-002"], done(&out)["good-003"]), (2, 1));
    runs(&night, &["--only", "nobody"], 2);

    // A file that is no longer what it was: its product does not count any more.
    std::fs::remove_file(folder.path("own.fits")).unwrap();
    runs(&night, &["--only", "good-000"], 3);
    let state = status(&night);
    assert_eq!(state["targets"][0]["status"], "quarantined", "{}", state["targets"][0]);
    assert!(leftovers(&out).is_empty());
}

/// Inputs that look whole, or never answer, end in a reason; mended, they are done. Products of other settings do not
/// stay among the night's.
#[test]
fn what_was_mended_is_done() {
    if !support::engine("what_was_mended_is_done") {
        return;
    }
    let folder = Folder::new("night-mended");
    write_inputs(&folder.0);
    // The first chip's errors are cut: its DQ plane is missing without a trace.
    let whole = std::fs::read(folder.path("frame_1.fits")).unwrap();
    std::fs::write(folder.path("cut.fits"), &whole[..1_000_000]).unwrap();
    assert!(Command::new("mkfifo").arg(folder.path("pipe.fits")).status().unwrap().success());
    let table = |psf: &str| {
        let mut text = rows(1, 0);
        for (name, exposure, psf) in
            [("cut", "cut.fits", ""), ("pipe", "pipe.fits", ""), ("psf", "frame_1.fits", psf)]
        {
            let at = position(3);
            text += &format!("{name},{:.9},{:.9},{exposure},{psf}\n", at.ra_deg, at.dec_deg);
        }
        std::fs::write(folder.path("targets.csv"), text).unwrap();
    };
    table("psf.fits[7]");
    let night = manifest(&folder.0, "one", "targets.csv", 2, "");
    let out = folder.path("one.out");
    runs(&night, &[], 3);
    let state = status(&night);
    for (k, word) in [(1, "cut.fits"), (2, "regular file"), (3, "[7]")] {
        let target = &state["targets"][k];
        assert_eq!(target["status"], "quarantined", "{target}");
        assert!(target["reason"].as_str().unwrap().contains(word), "{target}");
    }

    table("psf.fits[1]");
    std::fs::write(folder.path("cut.fits"), &whole).unwrap();
    std::fs::remove_file(folder.path("pipe.fits")).unwrap();
    std::fs::write(folder.path("pipe.fits"), &whole).unwrap();
    runs(&night, &[], 0);
    let count = done(&out);
    assert_eq!((count.len(), count.values().sum::<usize>()), (4, 4), "{count:?}");

    // There is no MDRIZSKY: what the products were made from holds no longer.
    let text = std::fs::read_to_string(&night).unwrap();
    std::fs::write(&night, text.replace("seed = 3", "seed = 3\nsky = 'header'")).unwrap();
    runs(&night, &[], 3);
    assert!(!out.join("products/good-000.fits").exists());
    assert!(out.join("products/stale/good-000.fits").exists());

    std::fs::write(&night, text.replace("name = 'night'", "name = 'other'")).unwrap();
    let stderr = runs(&night, &[], 1);
    assert!(stderr.contains("\"night\"") && stderr.contains("\"other\""), "{stderr}");
}

#[test]
fn one_run_at_a_time() {
    let folder = Folder::new("night-lock");
    std::fs::write(folder.path("targets.csv"), rows(2, 0)).unwrap();
    let night = manifest(&folder.0, "one", "targets.csv", 2, "");
    let out = folder.path("one.out");
    std::fs::create_dir_all(&out).unwrap();
    let lock = std::fs::File::create(out.join("night.lock")).unwrap();
    lock.lock().unwrap();
    let stderr = runs(&night, &[], 1);
    assert!(stderr.contains("night.lock") && stderr.contains("another run"), "{stderr}");
    let stderr = runs(&night, &["--shard", "0/2"], 1);
    assert!(stderr.contains("night.lock"), "{stderr}");
    assert!(runs(&night, &["--shard", "2/2"], 2).contains("2/2"));
    std::fs::write(&night, "format = 1\nnmae = 'x'\n").unwrap();
    let stderr = runs(&night, &[], 1);
    assert!(stderr.contains("line 2") && stderr.contains("nmae"), "{stderr}");
}

#[test]
fn killed_and_run_again_the_products_are_the_same() {
    if !support::engine("killed_and_run_again_the_products_are_the_same") {
        return;
    }
    let folder = Folder::new("night-killed");
    write_inputs(&folder.0);
    std::fs::write(folder.path("targets.csv"), rows(6, 0)).unwrap();
    let [whole, killed] = ["whole", "killed"]
        .map(|name| manifest(&folder.0, name, "targets.csv", 3, "figures = false"));
    runs(&whole, &[], 0);

    let out = folder.path("killed.out");
    for after in [1, 3] {
        let mut child = start(&killed);
        let is_done = |event: &&Event| matches!(event.what, What::Done { .. });
        until(&mut child, &out, |events| events.iter().filter(is_done).count() >= after);
        child.kill().unwrap();
        child.wait().unwrap();
    }
    let stale = out.join("products/.good-000.fits.1.part");
    std::fs::write(&stale, b"half").unwrap();
    // Two shards finish it.
    runs(&killed, &["--shard", "1/2"], 0);
    runs(&killed, &["--shard", "0/2"], 0);
    assert!(!stale.exists());
    let count = done(&out);
    assert!(count.values().all(|n| *n == 1), "{count:?}");
    for k in 0..6 {
        let product = |out: &Path| out.join(format!("products/good-{k:03}.fits"));
        assert_eq!(difference(&product(&out), &product(&folder.path("whole.out"))), None);
    }
    assert_eq!(status(&killed)["totals"]["done"], 6);
}

#[test]
fn a_signal_ends_the_night_cleanly() {
    if !support::engine("a_signal_ends_the_night_cleanly") {
        return;
    }
    let folder = Folder::new("night-signal");
    write_inputs(&folder.0);
    std::fs::write(folder.path("targets.csv"), rows(4, 0)).unwrap();
    // So many samples that none of them is done before the signal comes.
    let night = manifest(&folder.0, "one", "targets.csv", 50_000, "in_flight = 2");
    let out = folder.path("one.out");
    let mut child = start(&night);
    until(&mut child, &out, |events| !events.is_empty());
    let kill = Command::new("kill").args(["-TERM", &child.id().to_string()]).status().unwrap();
    assert!(kill.success());
    assert_eq!(child.wait().unwrap().code(), Some(1));
    let events = events(&out);
    let abandoned = events.iter().filter(|e| matches!(e.what, What::Abandoned { .. })).count();
    assert!(abandoned >= 1, "{events:?}");
    assert!(done(&out).is_empty() && leftovers(&out).is_empty());
    assert_eq!(status(&night)["totals"]["pending"], 4);
}
