//! What the plugin says of the prior that a target names.

use std::path::PathBuf;

use super::Target;
use crate::error::{HostError, Result};
use crate::session::Model;

/// A model's name with a `/` or `.safetensors` in it is a file, anything else a name.
pub fn model_file(name: &str) -> Option<PathBuf> {
    (name.contains('/') || name.ends_with(".safetensors")).then(|| name.into())
}

/// A prior among the plugin's models; `None` if it is a file that the plugin does not list.
///
/// # Errors
/// [`HostError::Io`] if a file is named and is not there, [`HostError::Value`] if no model has
/// that name or the plugin cannot use it.
pub fn find_prior<'a>(models: &'a [Model], prior: &str) -> Result<Option<&'a Model>> {
    let found = match model_file(prior) {
        Some(file) => {
            let here = file.canonicalize().map_err(HostError::io("open the prior", &file))?;
            models.iter().find(|m| {
                let path = m.path.as_deref().and_then(|p| p.canonicalize().ok());
                path.as_deref() == Some(here.as_path())
            })
        }
        None => {
            let names: Vec<_> = models.iter().map(|m| m.name.as_str()).collect();
            let found = models.iter().find(|m| m.name == prior);
            if found.is_none() {
                let known = match names.is_empty() {
                    true => "no models (see `pellucid doctor`)".into(),
                    false => names.join(", "),
                };
                let need = format!("a file or the name of a model; there are {known}");
                return Err(HostError::value("--prior", need, prior));
            }
            found
        }
    };
    if let Some(Model { name, error: Some(error), .. }) = found {
        return Err(HostError::value(format!("prior {name}"), "a readable model file", error));
    }
    Ok(found)
}

impl Target {
    /// Folders of the models that it names by file: the plugin has to search them, so that it can
    /// tell what is in them.
    pub fn model_folders(&self) -> Vec<PathBuf> {
        let folder = |file: PathBuf| match file.parent() {
            Some(folder) if !folder.as_os_str().is_empty() => folder.to_path_buf(),
            _ => PathBuf::from("."),
        };
        model_file(&self.prior).into_iter().map(folder).collect()
    }
}
