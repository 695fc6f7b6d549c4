//! A manifest from disk.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use toml::Spanned;

use super::settings::Settings;
use super::{Night, RunSettings, SlurmSettings, table, values};
use crate::error::{NightError, Result};

/// The format that this version reads.
const FORMAT: i64 = 1;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    format: Spanned<i64>,
    name: Option<String>,
    output: Option<PathBuf>,
    targets: Option<PathBuf>,
    #[serde(default)]
    defaults: Settings,
    #[serde(default)]
    run: RunSettings,
    #[serde(default)]
    slurm: SlurmSettings,
    #[serde(default)]
    target: Vec<Spanned<Settings>>,
}

impl Night {
    /// Reads a manifest and the table it names. Files of targets are not looked at.
    ///
    /// # Errors
    /// [`NightError::Manifest`], [`NightError::Io`].
    pub fn read(path: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(path).map_err(NightError::io("read", path))?;
        let manifest = path.canonicalize().map_err(NightError::io("find", path))?;
        Self::parse(&text, &manifest)
    }

    /// A manifest of this text at an absolute path, beside which its table is looked for.
    ///
    /// # Errors
    /// As [`Night::read`].
    pub fn parse(text: &str, manifest: &Path) -> Result<Self> {
        let wrong = |reason: String| NightError::Manifest { path: manifest.into(), reason };
        let file: File =
            toml::from_str(text).map_err(|e| wrong(e.to_string().trim_end().into()))?;
        let line = |offset: usize| 1 + text[..offset.min(text.len())].matches('\n').count();
        if *file.format.get_ref() != FORMAT {
            let at = line(file.format.span().start);
            let got = file.format.get_ref();
            return Err(wrong(format!("line {at}: key format: needed {FORMAT}, got {got}")));
        }
        let own = [
            ("name", file.defaults.name.is_some()),
            ("ra", file.defaults.ra.is_some()),
            ("dec", file.defaults.dec.is_some()),
        ];
        if let Some((key, _)) = own.iter().find(|(_, there)| *there) {
            return Err(wrong(format!("[defaults]: key {key}: every target has its own")));
        }
        let folder = manifest.parent().unwrap_or(Path::new("/"));
        let stem =
            manifest.file_stem().map_or("night".into(), |s| s.to_string_lossy().into_owned());
        let defaults = file.defaults.at(folder);
        let mut rows: Vec<_> = file
            .target
            .into_iter()
            .map(|target| {
                let at = line(target.span().start);
                (target.into_inner().at(folder), format!("line {at}"))
            })
            .collect();
        let table = file.targets.map(|table| folder.join(table));
        if let Some(table) = &table {
            let beside = table.parent().unwrap_or(folder);
            let read = table::read(table)?;
            rows.extend(read.into_iter().map(|(settings, at)| (settings.at(beside), at)));
        }
        let mut targets = Vec::with_capacity(rows.len());
        let mut seen: HashMap<String, String> = HashMap::new();
        for (settings, at) in rows {
            let target = settings.or(&defaults).target(at.clone());
            let target = target.map_err(|reason| wrong(format!("{at}: {reason}")))?;
            if let Some(first) = seen.insert(target.name.clone(), at.clone()) {
                let name = &target.name;
                return Err(wrong(format!("{at}: key name: {name} is taken already ({first})")));
            }
            targets.push(target);
        }
        if targets.is_empty() {
            let need = "needed at least one [[target]], or a table of them under the key targets";
            return Err(wrong(format!("{need}, got none")));
        }
        let output = file.output.unwrap_or_else(|| format!("{stem}.night").into());
        let name = file.name.unwrap_or(stem);
        if !values::is_name(&name) {
            let need = "needed letters, digits and ._+-, no point first";
            return Err(wrong(format!("key name: {need}, got {name:?}")));
        }
        Ok(Self {
            manifest: manifest.into(),
            name,
            output: folder.join(output),
            targets,
            run: file.run,
            slurm: file.slurm,
        })
    }
}
