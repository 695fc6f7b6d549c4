//! `pellucid models`.

use pellucid_host::session::Model;
use serde_json::Value;

use crate::args::ModelsArgs;
use crate::engine;
use crate::failure::{Outcome, Run};
use crate::terminal::say;

/// Runs the command.
pub fn run(args: &ModelsArgs) -> Run {
    let engine = engine::start(&args.engine, &[])?;
    let models = engine.models()?;
    if args.json {
        let list: Vec<_> = models.into_iter().map(|m| m.description).collect();
        say(format_args!("{:#}", Value::from(list)));
        return Ok(Outcome::Done);
    }
    if models.is_empty() {
        say("no models; name a folder with --models or PELLUCID_MODELS");
        return Ok(Outcome::Done);
    }
    let head = ["NAME", "KIND", "PIXELS", "SCALE", "NETWORK", "TRAINED ON"].map(str::to_owned);
    let rows: Vec<_> = std::iter::once(head).chain(models.iter().map(row)).collect();
    let width = |j: usize| rows.iter().map(|r| r[j].chars().count()).max().unwrap_or(0);
    let widths: Vec<_> = (0..6).map(width).collect();
    for row in &rows {
        let cells = row.iter().zip(&widths).map(|(c, w)| format!("{c:<w$}"));
        say(cells.collect::<Vec<_>>().join("  ").trim_end());
    }
    Ok(Outcome::Done)
}

fn row(model: &Model) -> [String; 6] {
    if let Some(error) = &model.error {
        let blank = || "-".to_owned();
        return [model.name.clone(), "unusable".into(), blank(), blank(), blank(), error.clone()];
    }
    let metadata = &model.description["metadata"];
    let text = |value: &Value| value.as_str().unwrap_or("-").to_owned();
    let size = model.image_size.map(|[ny, nx]| format!("{nx}x{ny}"));
    let scale = model.pixel_scale_arcsec.map(|s| format!("{s}\""));
    [
        model.name.clone(),
        model.kind.clone().unwrap_or("-".into()),
        size.unwrap_or("-".into()),
        scale.unwrap_or("-".into()),
        text(&metadata["architecture"]["name"]),
        text(&metadata["trained_on"]),
    ]
}
