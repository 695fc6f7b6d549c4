//! The plugin and its engine, as the command line asks for them.

use std::path::{Path, PathBuf};

use pellucid_host::session::{Engine, EngineOptions, Plugin};

use crate::args::EngineArgs;
use crate::failure::Failure;

/// Finds the plugin and starts an engine. Folders of models named by their files are searched too, so
/// that the plugin can tell what is in them.
///
/// # Errors
/// No plugin, or the plugin's own.
pub fn start(args: &EngineArgs, folders: &[PathBuf]) -> Result<Engine, Failure> {
    let plugin = Plugin::find(args.plugin.as_deref())?;
    log::info!("{} from {}", plugin.version(), plugin.path().display());
    Ok(Engine::create(&plugin, &options(args, folders))?)
}

/// What the command line asks of an engine. Models are looked for in the folders of `--models`,
/// `extra`, those of PELLUCID_MODELS and then around this program; the plugin itself looks in
/// PELLUCID_MODELS and around its own file, after all of these.
pub fn options(args: &EngineArgs, extra: &[PathBuf]) -> EngineOptions {
    let mut model_dirs = args.models.clone();
    model_dirs.extend_from_slice(extra);
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
