//! Model files by name.

use crate::error::PosteriorError;
use crate::score::model_file::{Metadata, PriorModel};
use crate::score::noise::file::{NoiseMetadata, NoiseModel};
use serde::Serialize;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

const EXTENSION: &str = "safetensors";

/// A model file in one of the folders.
#[derive(Clone, Debug, Serialize)]
pub struct ModelSummary {
    /// The name to put into `JobSpec::prior` or `JobSpec::likelihood`.
    pub name: String,
    /// The file.
    pub path: PathBuf,
    /// `prior` or `noise`; None when it cannot be read.
    pub kind: Option<&'static str>,
    /// What the file says of itself; None when it cannot be read.
    pub metadata: Option<ModelMetadata>,
    /// Why it cannot be read.
    pub error: Option<String>,
}

/// What a model file says of itself, by its `kind`.
#[derive(Clone, Debug, Serialize)]
#[serde(untagged)]
pub enum ModelMetadata {
    /// A prior.
    Prior(Box<Metadata>),
    /// A noise model.
    Noise(Box<NoiseMetadata>),
}

impl ModelMetadata {
    fn kind(&self) -> &'static str {
        match self {
            Self::Prior(_) => "prior",
            Self::Noise(_) => "noise",
        }
    }

    fn read(path: &Path) -> Result<Self, PosteriorError> {
        PriorModel::read_metadata(path).map(|m| Self::Prior(Box::new(m))).or_else(|as_prior| {
            let noise = NoiseModel::read_metadata(path).map_err(|_| as_prior)?;
            Ok(Self::Noise(Box::new(noise)))
        })
    }
}

/// The folders in which names are looked up, first come first served.
#[derive(Clone, Debug)]
pub(super) struct Catalogue {
    dirs: Vec<PathBuf>,
}

impl Catalogue {
    /// The configured folders, those of `PELLUCID_MODELS` (separated by ':'), then
    /// `share/pellucid/models` of the prefix: this library or program is in a folder of it, or, as
    /// installed, in a folder of that (`lib/pellucid`).
    pub fn new(configured: &[PathBuf]) -> Self {
        let mut dirs = configured.to_vec();
        if let Some(list) = std::env::var_os("PELLUCID_MODELS") {
            dirs.extend(std::env::split_paths(&list).filter(|dir| !dir.as_os_str().is_empty()));
        }
        let installed = this_object().or_else(|| std::env::current_exe().ok());
        let prefixes = installed.as_deref().map(|object| object.ancestors().skip(2).take(2));
        dirs.extend(prefixes.into_iter().flatten().map(|dir| dir.join("share/pellucid/models")));
        Self { dirs }
    }

    /// The file of a prior: text with a '/' or ending in `.safetensors` is a path, else a name.
    ///
    /// # Errors
    /// [`PosteriorError::Model`], for a name with the folders that were searched.
    pub fn resolve(&self, prior: &str) -> Result<PathBuf, PosteriorError> {
        let fail = |reason: String| PosteriorError::Model { path: prior.into(), reason };
        if prior.contains('/') || prior.ends_with(&format!(".{EXTENSION}")) {
            let path = PathBuf::from(prior);
            return if path.is_file() { Ok(path) } else { Err(fail("no such file".into())) };
        }
        if prior.is_empty() {
            return Err(fail("the prior's name is empty".into()));
        }
        let file = format!("{prior}.{EXTENSION}");
        self.dirs.iter().map(|dir| dir.join(&file)).find(|path| path.is_file()).ok_or_else(|| {
            let dirs: Vec<_> = self.dirs.iter().map(|dir| dir.display().to_string()).collect();
            fail(format!("no {file} in {}; set model_dirs or PELLUCID_MODELS", dirs.join(", ")))
        })
    }

    /// Every model that a name reaches, by name.
    pub fn list(&self) -> Vec<ModelSummary> {
        let mut found = BTreeMap::new();
        for path in self.dirs.iter().filter_map(|dir| dir.read_dir().ok()).flatten().flatten() {
            let path = path.path();
            let is_model = path.extension().is_some_and(|e| e == EXTENSION) && path.is_file();
            if let (true, Some(name)) = (is_model, path.file_stem().and_then(|s| s.to_str())) {
                found.entry(name.to_owned()).or_insert(path);
            }
        }
        let summary = |(name, path): (String, PathBuf)| {
            let (metadata, error) = match ModelMetadata::read(&path) {
                Ok(metadata) => (Some(metadata), None),
                Err(error) => (None, Some(error.to_string())),
            };
            let kind = metadata.as_ref().map(ModelMetadata::kind);
            ModelSummary { name, path, kind, metadata, error }
        };
        found.into_iter().map(summary).collect()
    }
}

/// The shared library or program that this code was loaded from: the file mapped at the address
/// of one of its functions (`/proc/self/maps`, see proc(5)).
fn this_object() -> Option<PathBuf> {
    let address = this_object as fn() -> Option<PathBuf> as usize;
    let maps = std::fs::read_to_string("/proc/self/maps").ok()?;
    maps.lines().find_map(|line| {
        let (from, to) = line.split_whitespace().next()?.split_once('-')?;
        let range = usize::from_str_radix(from, 16).ok()?..usize::from_str_radix(to, 16).ok()?;
        range.contains(&address).then(|| line.find('/').map(|at| line[at..].into()))?
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_object_is_the_test_program() {
        assert_eq!(this_object(), std::env::current_exe().ok());
    }

    #[test]
    fn names_and_paths() {
        let dir = std::env::temp_dir().join(format!("pellucid-catalogue-{}", std::process::id()));
        std::fs::create_dir_all(&dir).expect("the temporary folder is writable");
        let file = dir.join("broken.safetensors");
        std::fs::write(&file, b"not a model").expect("the temporary folder is writable");
        let catalogue = Catalogue::new(std::slice::from_ref(&dir));
        assert_eq!(catalogue.resolve("broken").ok(), Some(file.clone()));
        assert_eq!(catalogue.resolve(file.to_str().expect("UTF-8")).ok(), Some(file));
        let error = catalogue.resolve("absent").expect_err("there is no such model").to_string();
        assert!(error.contains("absent") && error.contains(dir.to_str().expect("UTF-8")));
        assert!(catalogue.resolve("./absent.safetensors").is_err());
        let listed = catalogue.list();
        let broken = listed.iter().find(|m| m.name == "broken").expect("listed");
        assert!(broken.metadata.is_none() && broken.error.is_some());
        std::fs::remove_dir_all(&dir).expect("the folder is ours");
        let shipped = concat!(env!("CARGO_MANIFEST_DIR"), "/../../packaging/models");
        let listed = Catalogue::new(&[shipped.into()]).list();
        let kinds = |name: &str| listed.iter().find(|m| m.name == name)?.metadata.as_ref();
        assert!(matches!(kinds("galaxies64-ve"), Some(ModelMetadata::Prior(_))));
        assert!(matches!(kinds("noise-acs-f814w"), Some(ModelMetadata::Noise(_))));
    }
}
