//! A handle of the plugin that frees itself.

#![expect(unsafe_code, reason = "ownership of C handles")]

use std::ptr::NonNull;

use super::plugin::Plugin;
use crate::error::{HostError, Result};

type Release<T> = Option<unsafe extern "C" fn(*mut T)>;

/// An owned handle and the plugin it belongs to.
pub(super) struct Handle<T> {
    raw: NonNull<T>,
    release: Release<T>,
    plugin: Plugin,
}

// SAFETY: the ABI lets any thread use and release any handle.
unsafe impl<T> Send for Handle<T> {}
// SAFETY: as above; the plugin does its own locking.
unsafe impl<T> Sync for Handle<T> {}

impl<T> Handle<T> {
    /// Takes ownership of what a successful call returned.
    pub(super) fn new(
        plugin: &Plugin,
        raw: *mut T,
        release: Release<T>,
        what: &'static str,
    ) -> Result<Self> {
        let raw = NonNull::new(raw).ok_or_else(|| HostError::Answer {
            what,
            reason: "a NULL handle with status OK".into(),
        })?;
        Ok(Self { raw, release, plugin: plugin.clone() })
    }

    pub(super) fn as_ptr(&self) -> *mut T {
        self.raw.as_ptr()
    }

    pub(super) fn plugin(&self) -> &Plugin {
        &self.plugin
    }
}

impl<T> Drop for Handle<T> {
    fn drop(&mut self) {
        if let Some(release) = self.release {
            // SAFETY: the handle is ours, live, and not used after this.
            unsafe { release(self.raw.as_ptr()) };
        }
    }
}
