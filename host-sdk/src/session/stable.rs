//! Loading through the abi_stable root module: types and layouts are compared before use.

#![expect(unsafe_code, reason = "a table from a library whose layout was checked")]

use std::path::Path;

use abi_stable::library::lib_header_from_path;
use pellucid_ffi as ffi;
use pellucid_stable::{PellucidModuleRef, conflict, layouts};

use super::plugin::Plugin;
use crate::error::{HostError, Result};

impl Plugin {
    /// As [`Plugin::load`], for an installed plugin (a build tree's engine has no root module): abi_stable
    /// checks the module's type and that both are of one minor version, then every struct of the C
    /// ABI is compared field by field, where both sides have the field.
    ///
    /// # Errors
    /// [`HostError::PluginLoad`] if there is no root module or it is of another type or version,
    /// [`HostError::Layout`] if a struct differs, [`HostError::Abi`] if the plugin does not speak this
    /// host's ABI level.
    pub fn load_checked(path: &Path) -> Result<Self> {
        let refused = |reason: String| HostError::PluginLoad { path: path.into(), reason };
        let absolute = std::path::absolute(path).map_err(|e| refused(e.to_string()))?;
        // abi_stable never unloads a library.
        let header = lib_header_from_path(&absolute).map_err(|e| refused(e.to_string()))?;
        let module = header.init_root_module::<PellucidModuleRef>();
        let module = module.map_err(|e| refused(e.to_string()))?;
        if let Some(conflict) = conflict(&layouts(), &module.layouts()()) {
            return Err(HostError::Layout { path: path.into(), conflict });
        }
        let api = module.api()(ffi::PELLUCID_ABI).cast::<ffi::pellucid_api>();
        if api.is_null() {
            return Err(HostError::Abi { path: path.into(), need: ffi::PELLUCID_ABI, got: [0; 2] });
        }
        // SAFETY: not NULL, so a static table, laid out as this host's.
        Ok(unsafe { Self::from_table(absolute, api) })
    }
}
