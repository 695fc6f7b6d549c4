//! Reports in a headless Chromium, from a file, without a network. Skipped where it is not installed.

mod support;

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use pellucid_night::report::{Options, write, write_plots};
use pellucid_night::state::NightState;
use support::{Folder, night, skipped};

/// Opens a page until it has loaded and its script ran; what it wrote is the document.
fn open(folder: &Path, url: &str, screenshot: &str) -> Option<Output> {
    let program = ["chromium", "chromium-browser", "google-chrome"].into_iter().find(|program| {
        Command::new(program).arg("--version").output().is_ok_and(|o| o.status.success())
    });
    let Some(program) = program else {
        skipped("chromium is not installed; the report was not opened");
        return None;
    };
    let mut command = Command::new(program);
    command
        .args(["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"])
        .args(["--disable-background-networking", "--disable-component-update", "--disable-sync"])
        .args([
            "--hide-scrollbars",
            "--window-size=1400,1600",
            "--enable-logging=stderr",
            "--dump-dom",
        ])
        // Timers run through at once when nothing else is to do.
        .arg("--virtual-time-budget=20000")
        .arg(format!("--user-data-dir={}", folder.join(format!("{screenshot}-profile")).display()))
        .arg(format!("--screenshot={}", folder.join(screenshot).display()))
        .arg(url);
    Some(command.output().unwrap())
}

/// Complaints of the page: errors of its script, violations of its policy, pictures that do not load.
fn complaints(output: &Output) -> Vec<String> {
    let text = String::from_utf8_lossy(&output.stderr);
    text.lines().filter(|line| line.contains("CONSOLE")).map(str::to_owned).collect()
}

/// Number of colours, and share of the pixels that have the most frequent one.
fn colours(path: &Path) -> (usize, f64) {
    let mut decoder =
        png::Decoder::new(std::io::BufReader::new(std::fs::File::open(path).unwrap()));
    decoder.set_transformations(png::Transformations::normalize_to_color8());
    let mut reader = decoder.read_info().unwrap();
    let mut pixels = vec![0; reader.output_buffer_size().unwrap()];
    let info = reader.next_frame(&mut pixels).unwrap();
    assert_eq!((info.width, info.height), (1400, 1600));
    let mut counts = std::collections::HashMap::new();
    for pixel in pixels.chunks_exact(info.color_type.samples()) {
        *counts.entry(pixel).or_insert(0usize) += 1;
    }
    let most = counts.values().max().copied().unwrap_or(0);
    (counts.len(), most as f64 / (1400.0 * 1600.0))
}

/// The value of an attribute of the root element.
fn said<'a>(html: &'a str, name: &str) -> &'a str {
    let root = &html[html.find("<html").unwrap()..];
    let root = &root[..root.find('>').unwrap()];
    let start = root.find(&format!("{name}=\"")).unwrap_or_else(|| panic!("no {name}: {root}"));
    root[start + name.len() + 2..].split('"').next().unwrap()
}

/// Keeps pages and screenshots where they can be looked at, if PELLUCID_KEEP names a folder.
fn keep(folder: &Path, names: &[&str]) {
    let Some(to) = std::env::var_os("PELLUCID_KEEP").map(PathBuf::from) else { return };
    std::fs::create_dir_all(&to).unwrap();
    for name in names {
        std::fs::copy(folder.join(name), to.join(name)).unwrap();
    }
}

#[test]
fn a_night_can_be_sorted_opened_and_flipped_through() {
    let folder = Folder::new("browser-night");
    let page = folder.0.join("report.html");
    write(&night(&folder.0), &page, &Options::default()).unwrap();
    let url = format!("file://{}", page.display());

    let Some(used) = open(&folder.0, &format!("{url}#selftest"), "detail.png") else { return };
    keep(&folder.0, &["report.html", "detail.png"]);
    let html = String::from_utf8_lossy(&used.stdout);
    assert_eq!(said(&html, "data-selftest"), "ok");
    assert_eq!(said(&html, "data-sort"), "descending");
    // Target 1 has the largest chi2; the last four have none.
    let order = said(&html, "data-order");
    assert!(order.starts_with("1 ") && order.ends_with(" 8 9 10 11"), "{order}");
    // Hence it is the first that has samples to open: no figure, four maps, four residuals, a sheet.
    assert_eq!(said(&html, "data-opened"), "1");
    assert_eq!(said(&html, "data-sample"), "Sample 1");
    assert_eq!(said(&html, "data-pictures"), "10");
    assert_eq!(said(&html, "data-filtered"), "1 of 12 targets");
    assert!(html.contains("<dialog id=\"detail\" aria-labelledby=\"detail-title\" open=\"\""));
    assert_eq!(complaints(&used), Vec::<String>::new());

    let seen = open(&folder.0, &url, "overview.png").unwrap();
    keep(&folder.0, &["overview.png"]);
    assert_eq!(complaints(&seen), Vec::<String>::new());
    // The hostile target did not remove the body, which is what its name asks for.
    assert!(String::from_utf8_lossy(&seen.stdout).contains("Needs attention"));
    for name in ["detail.png", "overview.png"] {
        let (count, most) = colours(&folder.0.join(name));
        assert!(count > 200 && most < 0.95, "{name}: {count} colours, {most} of the pixels alike");
    }
}

#[test]
fn an_empty_night_and_plots_open_without_complaints() {
    let folder = Folder::new("browser-plots");
    let empty = folder.0.join("empty.html");
    write(&NightState::default(), &empty, &Options::default()).unwrap();
    let url = format!("file://{}#selftest", empty.display());
    let Some(opened) = open(&folder.0, &url, "empty.png") else { return };
    assert_eq!(said(&String::from_utf8_lossy(&opened.stdout), "data-selftest"), "ok");
    assert_eq!(complaints(&opened), Vec::<String>::new());

    let models = concat!(env!("CARGO_MANIFEST_DIR"), "/../../packaging/models");
    let row = |k: usize| {
        serde_json::json!({"case": format!("case {k}"), "metric": "variance ratio",
            "value": 0.9 + 0.05 * k as f64, "target": [0.92, 1.08], "better": "within", "pass": (1..=3).contains(&k)})
    };
    let bench = serde_json::json!({"bench": "calibration", "machine": "2 cores", "commit": "0123abc",
        "rows": (0..6).map(row).collect::<Vec<_>>()});
    let file = folder.0.join("calibration.json");
    std::fs::write(&file, bench.to_string()).unwrap();
    let log = format!("{models}/noise-acs-f814w.log.jsonl");
    let page = folder.0.join("plots.html");
    write_plots(&[file, log.into()], &page).unwrap();
    let opened = open(&folder.0, &format!("file://{}", page.display()), "plots.png").unwrap();
    assert_eq!(complaints(&opened), Vec::<String>::new());
    keep(&folder.0, &["plots.html", "plots.png", "empty.png"]);
    let (count, most) = colours(&folder.0.join("plots.png"));
    assert!(count > 50 && most < 0.98, "{count} colours, {most} of the pixels alike");
}
