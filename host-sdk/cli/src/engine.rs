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
    let file = prior.and_then(as_file);
    let folder = file.as_ref().map(|file| match file.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    });
    Ok(Engine::create(&plugin, &options(args, folder))?)
}

/// What the command line asks of an engine. Models are looked for in the folders of `--models`,
/// `extra`, those of PELLUCID_MODELS and then around this program; the plugin itself looks in
/// PELLUCID_MODELS and around its own file, after all of these.
pub fn options(args: &EngineArgs, extra: Option<&Path>) -> EngineOptions {
    let mut model_dirs = args.models.clone();
    model_dirs.extend(extra.map(Path::to_path_buf));
    let listed = std::env::var_os("PELLUCID_MODELS").unwrap_or_default();
    model_dirs.extend(std::env::split_paths(&listed).filter(|dir| !dir.as_os_str().is_empty()));
    model_dirs.extend(std::env::current_exe().iter().flat_map(|program| installed(program)));
    EngineOptions {
        device: Some(args.device.clone()),
        threads: args.threads,
        model_dirs,
        log_level: None,
    }
}

/// Where models are installed with a program: `../share/pellucid/models` from its folder, and that
/// folder itself.
fn installed(program: &Path) -> Vec<PathBuf> {
    let folder = program.parent();
    let shared = folder.and_then(Path::parent).map(|prefix| prefix.join("share/pellucid/models"));
    shared.into_iter().chain(folder.map(Path::to_path_buf)).collect()
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
