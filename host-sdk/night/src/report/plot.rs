//! Training runs and benches as one page.

use std::path::{Path, PathBuf};

use maud::html;
use pellucid_host::write_file;

use super::error::ReportError;
use super::page::Page;
use super::text::{count, visible};
use super::training::Training;
use super::verdicts::Bench;

/// What a file turned out to hold.
enum Content {
    Training(Training),
    Benches(Vec<Bench>),
}

/// Writes a page of training logs (one JSON object a line, with `step`) and benches' results (a JSON
/// object with `rows`, or an array of such) to `path`, whole or not at all. A file's content says
/// which it is.
///
/// # Errors
/// [`ReportError::Read`], [`ReportError::Content`] for a file that is neither, [`ReportError::Host`]
/// if the page cannot be written.
pub fn write_plots(files: &[PathBuf], path: &Path) -> Result<(), ReportError> {
    let contents = files.iter().map(|file| read(file)).collect::<Result<Vec<_>, _>>()?;
    write_file(path, render(&contents).as_bytes())?;
    Ok(())
}

fn read(path: &Path) -> Result<Content, ReportError> {
    let read = std::fs::read_to_string(path);
    let text = read.map_err(|source| ReportError::Read { path: path.into(), source })?;
    if let Ok(json) = serde_json::from_str(&text)
        && let Some(benches) = Bench::all_of(&json)
    {
        return Ok(Content::Benches(benches));
    }
    let name = path.file_name().unwrap_or(path.as_os_str()).to_string_lossy();
    let name = name.strip_suffix(".log.jsonl").unwrap_or(&name);
    Training::parse(name, &text)
        .map(Content::Training)
        .map_err(|(line, reason)| ReportError::Content { path: path.into(), line, reason })
}

fn render(contents: &[Content]) -> String {
    let trainings: Vec<_> = contents
        .iter()
        .filter_map(|c| if let Content::Training(t) = c { Some(t) } else { None })
        .collect();
    let benches: Vec<_> = contents
        .iter()
        .flat_map(|c| if let Content::Benches(b) = c { &b[..] } else { &[] })
        .collect();
    let missed: usize = benches.iter().map(|b| b.missed()).sum();
    let mut page = Page::new("Pellucid plots", "");
    page.push(html! {
        header {
            p.kicker { "Pellucid" }
            h1 { "Training and calibration" }
            p.quiet {
                (count(trainings.len(), "training run")) ", " (count(benches.len(), "bench result"))
                @if !benches.is_empty() { ", " (count(missed, "missed target")) }
            }
        }
        main {
            @for bench in &benches { (bench.section()) }
            @for training in &trainings {
                section { h2 { "Training of " (visible(&training.name)) } (training.section()) }
            }
        }
    });
    page.finish()
}
