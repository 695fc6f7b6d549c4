//! Engines, devices, models, memory, logs.

use std::ffi::c_char;
use std::marker::PhantomData;
use std::sync::{Arc, PoisonError, RwLock};

use log::LevelFilter;
use pellucid_ffi::*;
use serde::de::DeserializeOwned;

use crate::boundary::borrow::{self, Out};
use crate::boundary::handle::{self, Object};
use crate::boundary::text::{self, Interned};
use crate::boundary::{BoundaryError, guard};
use crate::convert;
use crate::engine::Engine;
use crate::logs::LogQueue;
use crate::status::Failure;

/// An engine as the host holds it.
pub(crate) struct EngineObject<E> {
    /// Calls hold it for reading; release takes it out, and so waits for them.
    engine: RwLock<Option<E>>,
    logs: Arc<LogQueue>,
    texts: Interned,
}

impl<E: Engine> Object for EngineObject<E> {
    type Opaque = pellucid_engine;
    const KIND: &'static str = "engine";
}

/// What a slot may use of the engine it was given.
pub(crate) struct Entered<'a, E> {
    pub(crate) engine: &'a E,
    pub(crate) logs: &'a Arc<LogQueue>,
    texts: &'a Interned,
}

impl<E: Engine> EngineObject<E> {
    /// Runs `body` with a live engine, which outlives it.
    pub(crate) fn enter<T>(
        handle: *mut pellucid_engine,
        slot: &'static str,
        body: impl FnOnce(Entered<'_, E>) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        guard::check_callback()?;
        let object = handle::find::<Self>(handle)?;
        object.logs.scope(|| {
            let engine = object.engine.read().unwrap_or_else(PoisonError::into_inner);
            let engine = engine.as_ref().ok_or(BoundaryError::NotLive { what: Self::KIND })?;
            log::trace!("{slot}");
            engine.entering(slot);
            body(Entered { engine, logs: &object.logs, texts: &object.texts })
        })
    }
}

/// Releases what is left of an engine whatever panics on the way.
struct Closing<E>(Arc<LogQueue>, PhantomData<E>);

impl<E> Drop for Closing<E> {
    fn drop(&mut self) {
        guard::plain(0, || self.0.drain(usize::MAX));
        self.0.close();
    }
}

pub(super) unsafe extern "C" fn devices<E: Engine>(
    out: *mut pellucid_device,
    n: *mut usize,
    error: *mut *mut pellucid_error,
) -> pellucid_status {
    // SAFETY: the header's contract.
    unsafe {
        guard::call(error, || {
            borrow::check(n, "n")?;
            let room = n.read();
            let size = if room > 0 { borrow::struct_size(out, "out")? } else { 0 };
            let devices = E::devices();
            let place = |index| borrow::element(out, size, index).cast_mut();
            // All sizes before the first write: outputs are written on success only.
            for index in 0..devices.len().min(room) {
                borrow::struct_size(place(index), "out")?;
            }
            for (index, device) in devices.iter().enumerate().take(room) {
                borrow::write_struct(place(index), size, &convert::device(device));
            }
            n.write(devices.len());
            Ok(())
        })
    }
}

pub(super) unsafe extern "C" fn engine_create<E: Engine>(
    config_json: *const c_char,
    host: *const pellucid_host,
    engine: *mut *mut pellucid_engine,
    error: *mut *mut pellucid_error,
) -> pellucid_status {
    // SAFETY: the header's contract.
    unsafe {
        guard::call(error, || {
            let out = Out::new(engine, "engine")?;
            guard::check_callback()?;
            let config = text::optional(config_json, "config_json")?;
            let host = match host.is_null() {
                true => None,
                false => Some(borrow::read(host, "host")?),
            };
            if let Some(host) = &host {
                convert::flags(host.flags, PELLUCID_HOST_LOG_ANY_THREAD, "host flags")?;
            }
            let (config, level) = configuration::<E::Config>(config.as_deref())?;
            guard::install_panic_hook();
            let logs = LogQueue::open(host.as_ref(), level);
            let engine = logs.scope(|| {
                let engine = E::create(config)?;
                log::info!("engine started: {}", E::VERSION.to_string_lossy());
                Ok::<_, Failure>(engine)
            })?;
            out.set(handle::mint(Arc::new(EngineObject {
                engine: RwLock::new(Some(engine)),
                logs,
                texts: Interned::default(),
            })));
            Ok(())
        })
    }
}

/// Splits the configuration into the engine's keys and the boundary's `log_level`.
fn configuration<C: DeserializeOwned + Default>(
    json: Option<&str>,
) -> Result<(C, LevelFilter), BoundaryError> {
    const WHAT: &str = "config_json";
    let Some(json) = json else {
        return Ok((C::default(), LevelFilter::Info));
    };
    let mut keys = convert::keys(json, WHAT)?;
    let level = match keys.remove("log_level") {
        None => LevelFilter::Info,
        Some(level) => level.as_str().and_then(|l| l.parse().ok()).ok_or(BoundaryError::Key {
            what: WHAT,
            key: "log_level",
            need: "off, error, warn, info, debug or trace",
            got: level.to_string(),
        })?,
    };
    Ok((convert::from_keys(keys, WHAT)?, level))
}

pub(super) unsafe extern "C" fn engine_release<E: Engine>(engine: *mut pellucid_engine) {
    guard::plain((), || {
        if guard::in_callback() {
            return;
        }
        let Some(object) = handle::take::<EngineObject<E>>(engine) else {
            return;
        };
        let _closing = Closing::<E>(Arc::clone(&object.logs), PhantomData);
        object.logs.scope(|| {
            let engine = object.engine.write().unwrap_or_else(PoisonError::into_inner).take();
            drop(engine);
            log::info!("engine ended");
        });
    });
}

pub(super) unsafe extern "C" fn list_models<E: Engine>(
    engine: *mut pellucid_engine,
    json: *mut *const c_char,
    error: *mut *mut pellucid_error,
) -> pellucid_status {
    // SAFETY: the header's contract; `Out` clears and sets, which const does not change.
    unsafe {
        guard::call(error, || {
            let out = Out::new(json.cast::<*mut c_char>(), "json")?;
            EngineObject::<E>::enter(engine, "list_models", |entered| {
                let models = entered.engine.models()?.to_string();
                out.set(entered.texts.keep(&models).cast_mut());
                Ok(())
            })
        })
    }
}

pub(super) unsafe extern "C" fn engine_memory<E: Engine>(
    engine: *mut pellucid_engine,
    memory: *mut pellucid_mem,
    error: *mut *mut pellucid_error,
) -> pellucid_status {
    // SAFETY: the header's contract.
    unsafe {
        guard::call(error, || {
            let size = borrow::struct_size(memory, "memory")?;
            EngineObject::<E>::enter(engine, "engine_memory", |entered| {
                let used = convert::memory(&entered.engine.memory()?);
                borrow::write_struct(memory, size, &used);
                Ok(())
            })
        })
    }
}

pub(super) unsafe extern "C" fn log_drain<E: Engine>(
    engine: *mut pellucid_engine,
    max: usize,
) -> usize {
    guard::plain(0, || {
        if guard::in_callback() {
            return 0;
        }
        // Not through `enter`: delivery must not hold up a release, which closes the queue itself.
        handle::find::<EngineObject<E>>(engine).map_or(0, |object| object.logs.drain(max))
    })
}
