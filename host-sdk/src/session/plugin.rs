//! Finding, loading and questioning the plugin.

#![expect(unsafe_code, reason = "dynamic loading and calls through the C table")]

use std::ffi::{CStr, CString, c_char};
use std::fmt;
use std::path::{Path, PathBuf};
use std::ptr;
use std::sync::Arc;

use libloading::os::unix::{Library, RTLD_LOCAL, RTLD_NOW};
use pellucid_ffi as ffi;

use super::call::call;
use super::engine::Device;
use crate::error::{HostError, Result};

/// Name of the environment variable that names the plugin.
pub const ENVIRONMENT: &str = "PELLUCID_PLUGIN";
/// File name of the plugin.
pub const SONAME: &str = ffi::PELLUCID_SONAME;

/// File names a build tree may use instead of [`SONAME`].
const BUILD_NAME: &str = "libpellucid.so";
/// glibc's RTLD_NODELETE: libtorch's threads and destructors do not survive an unload.
const RTLD_NODELETE: i32 = 0x1000;

/// A loaded plugin. Cheap to clone; never unloaded.
#[derive(Clone)]
pub struct Plugin {
    inner: Arc<Inner>,
}

struct Inner {
    path: PathBuf,
    table: ffi::pellucid_api,
    predict: Option<ffi::pellucid_predict_ext>,
}

impl Plugin {
    /// Loads the plugin at `path`. Starts no thread and touches no device.
    ///
    /// # Errors
    /// [`HostError::PluginLoad`] if the loader refuses it or it is no Pellucid plugin,
    /// [`HostError::Abi`] if it does not speak this host's ABI level.
    pub fn load(path: &Path) -> Result<Self> {
        let refused = |reason: String| HostError::PluginLoad { path: path.into(), reason };
        // A bare file name would send dlopen through the system's library folders.
        let absolute = std::path::absolute(path).map_err(|e| refused(e.to_string()))?;
        let flags = RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE;
        // SAFETY: loading runs the library's initialisers; the caller named it as a plugin.
        let library = unsafe { Library::open(Some(&absolute), flags) };
        let library = library.map_err(|e| refused(chain(&e)))?;
        // SAFETY: the symbol has this type at every ABI level, frozen for ever.
        let entry = unsafe { library.get::<ffi::pellucid_get_api_fn>(ffi::PELLUCID_GET_API) };
        let entry =
            *entry.map_err(|e| refused(format!("it is not a Pellucid plugin: {}", chain(&e))))?;
        // Never unloaded, so that the table below stays valid for the life of the process.
        std::mem::forget(library);
        let mut range = [0u32; 2];
        // SAFETY: `range` has the two elements the entry writes.
        let api = unsafe { entry(ffi::PELLUCID_ABI, range.as_mut_ptr()) };
        if api.is_null() {
            return Err(HostError::Abi { path: path.into(), need: ffi::PELLUCID_ABI, got: range });
        }
        // SAFETY: the entry returns a static table that starts with its own size.
        Ok(unsafe { Self::from_table(absolute, api) })
    }

    /// A plugin of this host's ABI level.
    ///
    /// # Safety
    /// `api` must point to a static table that starts with its own size.
    pub(super) unsafe fn from_table(path: PathBuf, api: *const ffi::pellucid_api) -> Self {
        // SAFETY: by the contract of this function.
        let table: ffi::pellucid_api = unsafe { prefix(api) };
        let predict = table.get_extension.and_then(|get| {
            let id = CString::new(ffi::PELLUCID_EXT_PREDICT).expect("a literal without NUL");
            // SAFETY: `id` is NUL-terminated.
            let found = unsafe { get(id.as_ptr()) }.cast::<ffi::pellucid_predict_ext>();
            // SAFETY: a non-NULL extension is a static table that starts with its own size.
            (!found.is_null()).then(|| unsafe { prefix(found) })
        });
        Self { inner: Arc::new(Inner { path, table, predict }) }
    }

    /// Finds and loads the plugin: `named` if given; else what the environment variable
    /// `PELLUCID_PLUGIN` names; else `libpellucid.so.1` (or a build tree's `libpellucid.so`)
    /// beside the executable, in its `../lib`, or in `../lib/pellucid`.
    ///
    /// # Errors
    /// [`HostError::PluginNotFound`] with every path tried, or the errors of [`Plugin::load`].
    pub fn find(named: Option<&Path>) -> Result<Self> {
        let environment =
            std::env::var_os(ENVIRONMENT).filter(|v| !v.is_empty()).map(PathBuf::from);
        let tried: Vec<PathBuf> = match named.map(Path::to_path_buf).or(environment) {
            Some(path) => vec![path],
            None => places(),
        };
        match tried.iter().find(|path| path.is_file()) {
            Some(path) => Self::load(path),
            None => Err(HostError::PluginNotFound { tried }),
        }
    }

    /// The file it was loaded from.
    pub fn path(&self) -> &Path {
        &self.inner.path
    }

    /// `(level, minor)` of the ABI it speaks.
    pub fn abi(&self) -> (u32, u32) {
        (self.table().abi, self.table().minor)
    }

    /// Its version, for instance `pellucid 0.1.0 (engine: ...)`.
    pub fn version(&self) -> String {
        // SAFETY: the slot takes no argument and returns a static string.
        let text = self.table().version_string.map(|f| unsafe { f() });
        text.map_or("unknown".into(), |t| {
            // SAFETY: as above.
            unsafe { text_at(t) }
        })
    }

    /// Whether it can predict exposures ([`Engine::predict`](super::Engine::predict)).
    pub fn can_predict(&self) -> bool {
        self.inner.predict.is_some_and(|p| p.predict.is_some())
    }

    /// The devices it could use; nothing is started.
    ///
    /// # Errors
    /// [`HostError::Plugin`].
    pub fn devices(&self) -> Result<Vec<Device>> {
        let mut count = 0usize;
        // SAFETY: with a count of 0 the array may be NULL.
        unsafe { call!(self, devices(ptr::null_mut(), &mut count)) }?;
        // SAFETY: all-zero bytes are a valid value of every ABI struct.
        let mut blank: ffi::pellucid_device = unsafe { std::mem::zeroed() };
        blank.struct_size = size_of_val(&blank) as u32;
        let mut found = vec![blank; count];
        // SAFETY: `found` has `count` elements with their sizes set.
        unsafe { call!(self, devices(found.as_mut_ptr(), &mut count)) }?;
        found.truncate(count);
        Ok(found.iter().map(Device::from_raw).collect())
    }

    pub(super) fn table(&self) -> &ffi::pellucid_api {
        &self.inner.table
    }

    pub(super) fn predict_extension(&self) -> Option<&ffi::pellucid_predict_ext> {
        self.inner.predict.as_ref()
    }

    /// Turns a status and an error object, which it frees, into a result.
    pub(super) fn check(
        &self,
        call: &'static str,
        status: ffi::pellucid_status,
        error: *mut ffi::pellucid_error,
    ) -> Result<()> {
        let table = self.table();
        let message = (!error.is_null()).then(|| {
            let text = table.error_message.map_or(String::new(), |f| {
                // SAFETY: `error` is live and its message lives as long as it does.
                unsafe { text_at(f(error)) }
            });
            if let Some(release) = table.error_release {
                // SAFETY: the error is ours to free and not used again.
                unsafe { release(error) };
            }
            text
        });
        match status {
            ffi::PELLUCID_OK => Ok(()),
            ffi::PELLUCID_E_CANCELLED => Err(HostError::Cancelled),
            code => {
                let name = table.status_name.map_or(code.to_string(), |f| {
                    // SAFETY: status names are static strings.
                    unsafe { text_at(f(code)) }
                });
                Err(HostError::Plugin {
                    code,
                    name: name.trim_start_matches("PELLUCID_").into(),
                    message: message.unwrap_or_else(|| "no details given".into()),
                    call,
                })
            }
        }
    }
}

impl fmt::Debug for Plugin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Plugin").field("path", &self.inner.path).finish()
    }
}

/// A copy of a table of function pointers, zero beyond what the plugin's own version of it has.
///
/// # Safety
/// `source` must point to a table that starts with a `u32` holding its size in bytes, and `T` must
/// be such a table, for which all-zero bytes are valid.
unsafe fn prefix<T>(source: *const T) -> T {
    let mut copy = std::mem::MaybeUninit::<T>::zeroed();
    // SAFETY: by the contract the size comes first.
    let size = unsafe { source.cast::<u32>().read() } as usize;
    // SAFETY: no more bytes than either side has, and the rest of `copy` is valid as zeros.
    unsafe {
        ptr::copy_nonoverlapping(
            source.cast::<u8>(),
            copy.as_mut_ptr().cast::<u8>(),
            size.min(size_of::<T>()),
        );
        copy.assume_init()
    }
}

/// A C string of the plugin; empty for NULL.
///
/// # Safety
/// `text` must be NULL or NUL-terminated and live during the call.
pub(super) unsafe fn text_at(text: *const c_char) -> String {
    if text.is_null() {
        return String::new();
    }
    // SAFETY: by the contract of this function.
    unsafe { CStr::from_ptr(text) }.to_string_lossy().into_owned()
}

fn places() -> Vec<PathBuf> {
    let executable = std::env::current_exe().unwrap_or_default();
    let beside = executable.parent().unwrap_or(Path::new("."));
    let folders = [beside.to_path_buf(), beside.join("../lib"), beside.join("../lib/pellucid")];
    folders.iter().flat_map(|folder| [folder.join(SONAME), folder.join(BUILD_NAME)]).collect()
}

/// An error with its sources: libloading keeps what dlopen said in the source.
fn chain(error: &dyn std::error::Error) -> String {
    match error.source() {
        Some(source) => format!("{error}: {source}"),
        None => error.to_string(),
    }
}
