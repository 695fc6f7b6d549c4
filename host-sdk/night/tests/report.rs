//! The report of a night: whole, harmless and of bearable size, whatever the night was.

mod support;

use pellucid_host::ndarray::Array2;
use pellucid_night::report::{Options, render, write, write_plots};
use pellucid_night::state::{NightState, Status};
use support::{Folder, HOSTILE, done, night, product, target};

/// What stands between two marks, each time.
fn between<'a>(text: &'a str, start: &str, end: &str) -> Vec<&'a str> {
    text.split(start).skip(1).filter_map(|rest| rest.split(end).next()).collect()
}

#[test]
fn failures_come_first_and_tell_why() {
    let folder = Folder::new("report-failures");
    let html = render(&night(&folder.0), &Options::default());
    let attention = between(&html, "id=\"attention\"", "</section>")[0];
    let place = |text: &str| attention.find(text).unwrap_or_else(|| panic!("{text}: {attention}"));
    assert!(place("falls on none of its 2 chip(s)") < place("No space left on device"));
    assert!(place("No space left on device") < place("2 of 16 samples failed"));
    // A product cut in the middle is a note, and the target stays in the table.
    assert!(place("The product cannot be shown: ") < place("corrupt.fits"));
    assert_eq!(between(&html, "<tr data-index=", ">").len(), 12);
    assert_eq!(between(&html, "<template ", ">").len(), 12);
    assert!(!attention.contains(">ngc0<") && html.contains("1 pending") | html.contains("pending"));
}

#[test]
fn hostile_text_stays_text() {
    let folder = Folder::new("report-hostile");
    let mut state = night(&folder.0);
    state.name = HOSTILE.into();
    state.targets[0].worker = Some(HOSTILE.into());
    state.targets[0].quality.as_mut().unwrap().flags = HOSTILE.into();
    let path = folder.0.join("hostile.fits");
    let mut made = product(0, 4, 16);
    made.exposures[0].id = "<script>a</script>".into();
    made.exposures[0].source.0 = "\"><script>b</script>".into();
    made.provenance.config = "</template><script>c</script>".into();
    made.provenance.device = "<img src=x>".into();
    made.write(&path).unwrap();
    state.targets[1].product = Some(path);
    let html = render(&state, &Options::default());
    // Ours is the only script, no image is but a data: URI, and nothing hides.
    assert_eq!(html.matches("<script").count(), 1);
    assert_eq!(html.matches("</template>").count(), 12);
    assert!(
        between(&html, "<img", ">").iter().all(|img| img.contains("src=\"data:image/png;base64,"))
    );
    assert!(!html.contains('\u{202e}') || html.matches('\u{202e}').count() <= attributes(&html));
    assert!(html.contains("&lt;script&gt;document.body.remove()&lt;/script&gt;"));
    assert!(html.contains("\\u{202e}gpj.exe\\u{1b}[2J"));
    let policy = between(&html, "Content-Security-Policy\" content=\"", "\"")[0];
    assert!(policy.starts_with("default-src 'none'; img-src data:;"), "{policy}");
    assert!(!policy.contains("unsafe"), "{policy}");
    for outside in ["http://", "https://", "url(", "@import", "style="] {
        assert!(!html.contains(outside), "{outside}");
    }
}

/// In attributes that the script compares, names stay as they are.
fn attributes(html: &str) -> usize {
    let all = ["data-name=\"", "data-v=\"", "data-flags=\"", "data-reason=\"", "href=\""];
    all.iter()
        .flat_map(|start| between(html, start, "\""))
        .filter(|a| a.contains('\u{202e}'))
        .count()
}

#[test]
fn an_empty_night_has_a_page() {
    let folder = Folder::new("report-empty");
    let path = folder.0.join("report.html");
    write(&NightState::default(), &path, &Options::default()).unwrap();
    let html = std::fs::read_to_string(&path).unwrap();
    assert!(html.contains("This night has no targets.") && html.contains("Nothing failed."));
    assert!(html.contains("0 targets") && !html.contains("NaN"));
    assert_eq!(std::fs::read_dir(&folder.0).unwrap().count(), 1, "only the page");

    let error = write(&NightState::default(), &folder.0.join("no/page.html"), &Options::default());
    assert!(error.unwrap_err().to_string().contains("no/"));
}

#[test]
fn products_that_do_not_fit_together_are_notes() {
    let folder = Folder::new("report-shapes");
    let write = |name: &str, change: &dyn Fn(&mut pellucid_host::product::Product)| {
        let mut made = product(1, 4, 16);
        change(&mut made);
        let path = folder.0.join(name);
        made.write(&path).unwrap();
        path
    };
    let other = Array2::zeros((3, 5));
    let shape = write("shape.fits", &|p| p.statistics.p84 = other.clone());
    let sigma = write("sigma.fits", &|p| p.exposures[1].sigma = other.clone());
    let blank = write("blank.fits", &|p| {
        p.samples.fill(f32::NAN);
        p.statistics.median.fill(f32::NAN);
        p.statistics.std.fill(f32::NAN);
        p.diagnostics.failed_samples = (0..4).collect();
    });
    std::fs::write(folder.0.join("text.fits"), "not a FITS file").unwrap();
    let files = [shape, sigma, blank, folder.0.join("text.fits"), folder.0.join("gone.fits")];
    let mut targets: Vec<_> =
        files.iter().enumerate().map(|(k, path)| done(&format!("t{k}"), k, path)).collect();
    // Its figure is no picture: one is drawn.
    targets[2].figure = Some(folder.0.join("text.fits"));
    targets.push(target("lost", Status::Done));
    let html = render(&NightState { name: "n".into(), targets }, &Options::default());
    for note in [
        "P84: needed [16, 16], got [3, 5]",
        "SIGMA_2: needed [10, 10], got [3, 5]",
        "text.fits",
        "gone.fits",
        "The product is not there.",
    ] {
        assert!(html.contains(note), "{note}");
    }
    // All samples failed: maps and figure, nothing to flip.
    let details = between(&html, "<template id=\"target-2\"", "</template>")[0];
    assert!(details.contains("16th percentile") && details.contains("class=\"whole\""));
    assert!(!details.contains("<canvas"));
}

#[test]
fn three_hundred_targets_stay_within_the_pages_size() {
    let folder = Folder::new("report-size");
    let path = folder.0.join("one.fits");
    product(2, 32, 64).write(&path).unwrap();
    let size = |n: usize, options: &Options| {
        let targets = (0..n).map(|k| done(&format!("t{k}"), k, &path)).collect();
        render(&NightState { name: "n".into(), targets }, options).len()
    };
    // A share is a share, however many there are; a few targets stand for three hundred.
    let options = Options::default();
    let frame = size(0, &options);
    for (targets, shown) in [(300, 4), (1000, 4)] {
        let few = Options { page_bytes: options.page_bytes / targets * shown, ..options };
        let each = (size(shown, &few) - frame) / shown;
        eprintln!(
            "{targets} targets: {each} bytes a target, {} MB",
            (frame + each * targets) / 1_000_000
        );
        // Text of details and table comes on top of the pictures.
        assert!(
            frame + each * targets < options.page_bytes * 6 / 5,
            "{targets}: {each} bytes a target"
        );
    }
    let alone = size(1, &options) - frame;
    eprintln!("one target: {alone} bytes");
    assert!(alone < options.target_bytes);
}

#[test]
fn logs_and_benches_become_a_page() {
    let folder = Folder::new("report-plots");
    let models = concat!(env!("CARGO_MANIFEST_DIR"), "/../../packaging/models");
    let bench = folder.0.join("bench.json");
    let row = serde_json::json!({"case": "<b>", "metric": "coverage", "value": 0.91, "target": [0.9, 1.0],
        "better": "within", "pass": true});
    std::fs::write(&bench, serde_json::json!({"bench": "sbc", "rows": [row]}).to_string()).unwrap();
    let logs = ["galaxies64-ve", "noise-acs-f814w"];
    let mut files: Vec<_> = logs.iter().map(|n| format!("{models}/{n}.log.jsonl").into()).collect();
    files.push(bench);
    let page = folder.0.join("plots.html");
    write_plots(&files, &page).unwrap();
    let html = std::fs::read_to_string(&page).unwrap();
    assert!(html.contains("&lt;b&gt;") && !html.contains("<script") && !html.contains("NaN"));
    // Five charts a run, each curve drawn.
    assert_eq!(html.matches("<figure class=\"chart\"").count(), 10);
    let drawn = between(&html, "d=\"M", "\"").len();
    assert!(drawn > 40 && html.contains("band 8") && html.contains("Base alone"), "{drawn}");
    assert!(html.len() < 400_000, "{}", html.len());

    let other = folder.0.join("other.txt");
    std::fs::write(&other, "{\"step\": 1, \"loss\": 2}\nnonsense\n{\"step\": 2}\n").unwrap();
    let error = write_plots(&[other], &page).unwrap_err().to_string();
    assert!(error.contains("other.txt, line 2"), "{error}");
    assert!(write_plots(&[folder.0.join("none")], &page).is_err());
}
