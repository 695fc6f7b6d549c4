//! The plugin and its engine, as the command line asks for them.

use std::path::{Path, PathBuf};

use pellucid_host::HostError;
use pellucid_host::session::{Engine, EngineOptions, Model, Plugin};

use crate::args::EngineArgs;
use crate::failure::Failure;

/// Finds the plugin and starts an engine. The folder of a prior named by its file is searched too,
/// so that the plugin can tell what is in it.
///
/// # Errors
/// No plugin, or the plugin's own.
pub fn start(args: &EngineArgs, prior: Option<&str>) -> Result<Engine, Failure> {
    let plugin = Plugin::find(args.plugin.as_deref())?;
    log::info!("{} from {}", plugin.version(), plugin.path().display());
    let mut model_dirs = args.models.clone();
    if let Some(file) = prior.and_then(as_file) {
        let folder = file.parent().map_or_else(PathBuf::new, Path::to_path_buf);
        model_dirs.push(match folder.as_os_str().is_empty() {
            true => ".".into(),
            false => folder,
        });
    }
    let options = EngineOptions {
        device: Some(args.device.clone()),
        threads: args.threads,
        model_dirs,
        log_level: None,
    };
    Ok(Engine::create(&plugin, &options)?)
}

/// What the plugin says of a prior; `None` if it does not list it.
///
/// # Errors
/// [`HostError::Io`] if a file is named and is not there, [`HostError::Value`] if the plugin
/// cannot use it.
pub fn find_prior(engine: &Engine, prior: &str) -> Result<Option<Model>, Failure> {
    let models = engine.models()?;
    let found = match as_file(prior) {
        Some(file) => {
            let here = file.canonicalize().map_err(|source| HostError::Io {
                action: "open the prior",
                path: file.clone(),
                source,
            })?;
            models.into_iter().find(|m| {
                let path = m.path.as_deref().and_then(|p| p.canonicalize().ok());
                path.as_deref() == Some(here.as_path())
            })
        }
        None => {
            let names: Vec<_> = models.iter().map(|m| m.name.clone()).collect();
            let found = models.into_iter().find(|m| m.name == prior);
            if found.is_none() {
                let known = match names.is_empty() {
                    true => "no models (see `pellucid doctor`)".into(),
                    false => names.join(", "),
                };
                return Err(HostError::Value {
                    what: "--prior".into(),
                    need: format!("a file or the name of a model; there are {known}"),
                    got: prior.into(),
                }
                .into());
            }
            found
        }
    };
    if let Some(Model { name, error: Some(error), .. }) = &found {
        return Err(HostError::Value {
            what: format!("prior {name}"),
            need: "a readable model file".into(),
            got: error.clone(),
        }
        .into());
    }
    Ok(found)
}

/// A prior with a `/` or `.safetensors` in it is a file, anything else a name.
fn as_file(prior: &str) -> Option<PathBuf> {
    (prior.contains('/') || prior.ends_with(".safetensors")).then(|| prior.into())
}
