//! An engine: models, devices, memory, prediction; where exposures and jobs are made.

#![expect(unsafe_code, reason = "calls through the C table")]

use std::ffi::{CStr, CString, c_char, c_void};
use std::path::PathBuf;
use std::ptr;

use ndarray::{Array2, ArrayView2};
use pellucid_ffi as ffi;
use serde::Serialize;
use serde_json::Value;

use super::array::{Lent, Owned};
use super::call::call;
use super::exposure::Exposure;
use super::handle::Handle;
use super::plugin::{Plugin, text_at};
use crate::error::{HostError, Result};
use crate::sky::ModelGrid;

/// How an engine is set up; every field left at its default leaves the choice to the plugin.
#[derive(Debug, Clone, Default, Serialize)]
pub struct EngineOptions {
    /// `auto`, `cpu` or `cuda:0`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub device: Option<String>,
    /// CPU threads, at most four per core; 0 takes one per core.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub threads: Option<usize>,
    /// Folders searched for models before the standard ones.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub model_dirs: Vec<PathBuf>,
    /// `off`, `error`, `warn`, `info`, `debug` or `trace`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub log_level: Option<String>,
}

/// A compute device.
#[derive(Debug, Clone, Serialize)]
pub struct Device {
    /// `cpu`, `cuda:0` and so on: what [`EngineOptions::device`] takes.
    pub id: String,
    /// Product name.
    pub name: String,
    /// Total memory, bytes; 0 if unknown.
    pub memory_total: u64,
    /// Free memory, bytes; 0 if unknown.
    pub memory_free: u64,
}

impl Device {
    pub(super) fn from_raw(raw: &ffi::pellucid_device) -> Self {
        let name = raw.name.iter().take_while(|c| **c != 0);
        let name: Vec<u8> = name.map(|c| *c as u8).collect();
        Self {
            id: match raw.kind {
                ffi::PELLUCID_DEVICE_CPU => "cpu".into(),
                ffi::PELLUCID_DEVICE_CUDA => format!("cuda:{}", raw.index),
                kind => format!("kind {kind}, index {}", raw.index),
            },
            name: String::from_utf8_lossy(&name).into_owned(),
            memory_total: raw.mem_total,
            memory_free: raw.mem_free,
        }
    }
}

/// A model the engine can use.
#[derive(Debug, Clone, Serialize)]
pub struct Model {
    /// The name a job takes.
    pub name: String,
    /// Its file.
    pub path: Option<PathBuf>,
    /// `prior` or `noise`.
    pub kind: Option<String>,
    /// Rows and columns of its images.
    pub image_size: Option<[usize; 2]>,
    /// Pixel scale it was trained at, arcsec.
    pub pixel_scale_arcsec: Option<f64>,
    /// Why it cannot be used, if so.
    pub error: Option<String>,
    /// Everything the plugin says of it.
    pub description: Value,
}

impl Model {
    fn from_json(description: Value) -> Self {
        let field = |key: &str| {
            let metadata = &description["metadata"];
            let found = [&description[key], &metadata[key]];
            found.into_iter().find(|v| !v.is_null()).cloned()
        };
        let text = |key: &str| field(key).and_then(|v| v.as_str().map(str::to_owned));
        Self {
            name: text("name").unwrap_or_default(),
            path: text("path").map(PathBuf::from),
            kind: text("kind"),
            image_size: field("image_size").and_then(|v| serde_json::from_value(v).ok()),
            pixel_scale_arcsec: field("pixel_scale_arcsec").and_then(|v| v.as_f64()),
            error: text("error"),
            description,
        }
    }
}

/// Memory in use or needed, bytes; 0 where unknown.
#[derive(Debug, Clone, Copy, Default, Serialize)]
pub struct Memory {
    /// Main memory now.
    pub host_now: u64,
    /// Main memory at its peak.
    pub host_peak: u64,
    /// Device memory now.
    pub device_now: u64,
    /// Device memory at its peak.
    pub device_peak: u64,
    /// Held by results.
    pub results_held: u64,
}

impl Memory {
    pub(super) fn blank() -> ffi::pellucid_mem {
        // SAFETY: all-zero bytes are a valid value of every ABI struct.
        let mut raw: ffi::pellucid_mem = unsafe { std::mem::zeroed() };
        raw.struct_size = size_of_val(&raw) as u32;
        raw
    }

    pub(super) fn from_raw(raw: &ffi::pellucid_mem) -> Self {
        Self {
            host_now: raw.host_now,
            host_peak: raw.host_peak,
            device_now: raw.dev_now,
            device_peak: raw.dev_peak,
            results_held: raw.results_held,
        }
    }
}

/// A running engine. Its log messages go to the `log` crate, from inside waits.
pub struct Engine {
    pub(super) handle: Handle<ffi::pellucid_engine>,
}

impl Engine {
    /// Starts an engine: its workers, its devices.
    ///
    /// # Errors
    /// [`HostError::Plugin`]: bad options, no such device, no memory.
    pub fn create(plugin: &Plugin, options: &EngineOptions) -> Result<Self> {
        let config = serde_json::to_string(options).expect("plain fields serialise");
        let config = c_string("engine options", &config)?;
        // SAFETY: all-zero bytes are a valid value of every ABI struct.
        let mut host: ffi::pellucid_host = unsafe { std::mem::zeroed() };
        host.struct_size = size_of_val(&host) as u32;
        host.log = Some(forward_log);
        let mut raw = ptr::null_mut();
        // SAFETY: `config` and `host` outlive the call; `forward_log` needs no context.
        unsafe { call!(plugin, engine_create(config.as_ptr(), &host, &mut raw)) }?;
        let release = plugin.table().engine_release;
        Ok(Self { handle: Handle::new(plugin, raw, release, "engine")? })
    }

    /// The plugin it runs in.
    pub fn plugin(&self) -> &Plugin {
        self.handle.plugin()
    }

    /// The models it can use.
    ///
    /// # Errors
    /// [`HostError::Plugin`], or [`HostError::Answer`] if the list is not the JSON it should be.
    pub fn models(&self) -> Result<Vec<Model>> {
        let mut json = ptr::null();
        // SAFETY: the engine is live; the string lives as long as the engine.
        unsafe { call!(self.plugin(), list_models(self.handle.as_ptr(), &mut json)) }?;
        // SAFETY: as above.
        let json = unsafe { text_at(json) };
        let list: Vec<Value> = serde_json::from_str(&json)
            .map_err(|e| HostError::Answer { what: "list of models", reason: e.to_string() })?;
        Ok(list.into_iter().map(Model::from_json).collect())
    }

    /// Memory in use.
    ///
    /// # Errors
    /// [`HostError::Plugin`].
    pub fn memory(&self) -> Result<Memory> {
        let mut raw = Memory::blank();
        // SAFETY: the engine is live and `raw` has its size set.
        unsafe { call!(self.plugin(), engine_memory(self.handle.as_ptr(), &mut raw)) }?;
        Ok(Memory::from_raw(&raw))
    }

    /// Delivers queued log messages to the `log` crate, on this thread.
    pub fn drain_log(&self) -> usize {
        // SAFETY: the engine is live.
        let drained =
            self.plugin().table().log_drain.map(|f| unsafe { f(self.handle.as_ptr(), usize::MAX) });
        drained.unwrap_or(0)
    }

    /// A x without noise: what each exposure would see of `model`, every detector pixel, [y, x].
    ///
    /// `model` is surface brightness (e-/s per detector pixel) on `grid`, zero outside.
    ///
    /// # Errors
    /// [`HostError::Shape`] if `model` is not of the grid's shape, [`HostError::MissingSlot`] if
    /// the plugin has no prediction extension, [`HostError::Plugin`].
    pub fn predict(
        &self,
        exposures: &[&Exposure],
        grid: &ModelGrid,
        model: ArrayView2<'_, f32>,
    ) -> Result<Vec<Array2<f32>>> {
        if model.dim() != (grid.ny, grid.nx) {
            return Err(HostError::Shape {
                what: "model image".into(),
                need: format!("[{}, {}], its grid's shape", grid.ny, grid.nx),
                got: format!("{:?}", model.shape()),
            });
        }
        const SLOT: &str = ffi::PELLUCID_EXT_PREDICT;
        let extension = self.plugin().predict_extension();
        let predict =
            extension.and_then(|e| e.predict).ok_or(HostError::MissingSlot { slot: SLOT })?;
        let handles: Vec<_> = exposures.iter().map(|e| e.handle.as_ptr()).collect();
        let lent = Lent::new(model);
        let mut blank = Owned::blank();
        // SAFETY: a blank array holds nothing to free, so that a bitwise copy of it owns nothing.
        let mut raw: Vec<ffi::pellucid_array> =
            exposures.iter().map(|_| unsafe { ptr::read(blank.as_mut_ptr()) }).collect();
        let mut error = ptr::null_mut();
        // SAFETY: handles and arrays are live for the call; `raw` has one array per exposure.
        let status = unsafe {
            predict(
                self.handle.as_ptr(),
                handles.as_ptr(),
                handles.len(),
                grid.centre.ra_deg,
                grid.centre.dec_deg,
                grid.pixel_scale_arcsec,
                lent.as_ptr(),
                raw.as_mut_ptr(),
                &mut error,
            )
        };
        self.plugin().check(SLOT, status, error)?;
        let owned: Vec<Owned> = raw.into_iter().map(Owned::from_raw).collect();
        owned.iter().map(|array| Ok(array.view::<2>("prediction")?.to_owned())).collect()
    }
}

/// A string for the plugin.
pub(super) fn c_string(what: &str, text: &str) -> Result<CString> {
    CString::new(text).map_err(|_| HostError::value(what, "text without NUL bytes", text))
}

extern "C" fn forward_log(
    _ctx: *mut c_void,
    level: i32,
    target: *const c_char,
    message: *const c_char,
) {
    let level = match level {
        ffi::PELLUCID_LOG_ERROR => log::Level::Error,
        ffi::PELLUCID_LOG_WARN => log::Level::Warn,
        ffi::PELLUCID_LOG_INFO => log::Level::Info,
        ffi::PELLUCID_LOG_DEBUG => log::Level::Debug,
        _ => log::Level::Trace,
    };
    if target.is_null() || message.is_null() {
        return;
    }
    // SAFETY: both are NUL-terminated and live for the call.
    let (target, message) = unsafe { (CStr::from_ptr(target), CStr::from_ptr(message)) };
    // A logger that panics must not unwind into the plugin; losing its message is the lesser harm.
    let _ = std::panic::catch_unwind(|| {
        log::log!(target: &target.to_string_lossy(), level, "{}", message.to_string_lossy());
    });
}
