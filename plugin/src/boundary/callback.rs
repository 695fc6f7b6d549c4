//! Host functions, wrapped so that the rest calls them as safe ones.

use std::ffi::{CStr, c_void};
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use pellucid_ffi::*;

use super::guard;

/// A host's context pointer and the function that ends it.
struct Context {
    pointer: *mut c_void,
    release: pellucid_release_ctx,
    /// Set once the call that brought it has succeeded: before, the context is still the host's.
    ours: AtomicBool,
}

// SAFETY: the header promises that callbacks given to the plugin may be called and released from
// any thread (where it does not, the caller in `convert` stays on the thread of the call).
unsafe impl Send for Context {}
// SAFETY: as above; the plugin itself never looks at what `pointer` points to.
unsafe impl Sync for Context {}

impl Drop for Context {
    fn drop(&mut self) {
        if let (true, Some(release)) = (*self.ours.get_mut(), self.release) {
            // SAFETY: the header's contract of `release`: once, with the context.
            guard::calling_host(|| unsafe { release(self.pointer) });
        }
    }
}

impl fmt::Debug for Context {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "host context {:p}", self.pointer)
    }
}

impl Context {
    fn new(pointer: *mut c_void, release: pellucid_release_ctx) -> Self {
        Self { pointer, release, ours: AtomicBool::new(false) }
    }
}

/// Direction of a WCS function.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Direction {
    PixelToSky,
    SkyToPixel,
}

/// The functions of a `pellucid_wcs_callback`.
#[derive(Debug)]
pub(crate) struct WcsFunctions {
    context: Context,
    pix2sky: pellucid_map_points,
    sky2pix: pellucid_map_points,
}

impl WcsFunctions {
    pub(crate) fn new(callback: &pellucid_wcs_callback) -> Self {
        Self {
            context: Context::new(callback.ctx, callback.release),
            pix2sky: callback.pix2sky,
            sky2pix: callback.sky2pix,
        }
    }

    /// Takes over the context: from now on it is released with `self`.
    pub(crate) fn adopt(&self) {
        self.context.ours.store(true, Ordering::Release);
    }

    /// Maps points; the host's code on failure. `to` and `from` have one length.
    pub(crate) fn map(
        &self,
        direction: Direction,
        from: &[[f64; 2]],
        to: &mut [[f64; 2]],
    ) -> Result<(), i32> {
        assert_eq!(from.len(), to.len(), "because the host writes as many as it reads");
        let function = match direction {
            Direction::PixelToSky => self.pix2sky,
            Direction::SkyToPixel => self.sky2pix,
        };
        let function = function.ok_or(-1)?;
        to.as_flattened_mut().fill(f64::NAN);
        // SAFETY: the header's contract of the function: n pairs in, n pairs out.
        let code = guard::calling_host(|| unsafe {
            function(self.context.pointer, from.len(), from.as_ptr().cast(), to.as_mut_ptr().cast())
        });
        if code == 0 { Ok(()) } else { Err(code) }
    }
}

/// The function of a `pellucid_psf_callback`.
#[derive(Debug)]
pub(crate) struct PsfFunction {
    context: Context,
    callback: pellucid_psf_callback,
}

// SAFETY: as for `Context`, whose pointer `callback` repeats; it is read from there only.
unsafe impl Send for PsfFunction {}
// SAFETY: as above.
unsafe impl Sync for PsfFunction {}

impl PsfFunction {
    pub(crate) fn new(callback: &pellucid_psf_callback) -> Self {
        let context = Context::new(callback.ctx, callback.release);
        Self { context, callback: *callback }
    }

    /// Takes over the context: from now on it is released with `self`.
    pub(crate) fn adopt(&self) {
        self.context.ours.store(true, Ordering::Release);
    }

    /// The description, for its numbers.
    pub(crate) fn description(&self) -> &pellucid_psf_callback {
        &self.callback
    }

    /// Fills `kernel` for a source at pixel (x, y) of a band; the host's code on failure.
    pub(crate) fn eval(&self, band: i32, x: f64, y: f64, kernel: &mut [f32]) -> Result<(), i32> {
        let size = i64::from(self.callback.ny) * i64::from(self.callback.nx);
        assert_eq!(kernel.len() as i64, size, "because the host fills ny times nx values");
        let eval = self.callback.eval.ok_or(-1)?;
        kernel.fill(f32::NAN);
        // SAFETY: the header's contract of `eval`: it fills ny times nx values.
        let code = guard::calling_host(|| unsafe {
            eval(self.context.pointer, band, x, y, kernel.as_mut_ptr())
        });
        if code == 0 { Ok(()) } else { Err(code) }
    }
}

/// A job's `on_state`.
pub(crate) struct StateFunction {
    context: Context,
    on_state: unsafe extern "C" fn(*mut c_void, i32),
    muted: AtomicBool,
    running: Mutex<()>,
}

impl StateFunction {
    pub(crate) fn new(desc: &pellucid_job_desc) -> Option<Self> {
        Some(Self {
            context: Context::new(desc.user, None),
            on_state: desc.on_state?,
            muted: AtomicBool::new(false),
            running: Mutex::new(()),
        })
    }

    /// Tells the host, unless muted.
    pub(crate) fn notify(&self, state: i32) {
        // Before the lock: a release inside the callback cancels, which comes back here.
        if self.muted.load(Ordering::Acquire) {
            return;
        }
        let _running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        if !self.muted.load(Ordering::Acquire) {
            // SAFETY: the header's contract of `on_state`; `user` lives until the job's release has
            // returned, which waits for this call in `mute`.
            guard::calling_host(|| unsafe { (self.on_state)(self.context.pointer, state) });
        }
    }

    /// Ends the calls: none runs or begins after this, except one that this is called from.
    pub(crate) fn mute(&self) {
        self.muted.store(true, Ordering::Release);
        if !guard::in_callback() {
            drop(self.running.lock().unwrap_or_else(PoisonError::into_inner));
        }
    }
}

/// A host's log function.
pub(crate) struct LogFunction {
    context: Context,
    log: unsafe extern "C" fn(*mut c_void, i32, *const std::ffi::c_char, *const std::ffi::c_char),
}

impl LogFunction {
    pub(crate) fn new(host: &pellucid_host) -> Option<Self> {
        Some(Self { context: Context::new(host.ctx, None), log: host.log? })
    }

    pub(crate) fn log(&self, level: i32, target: &CStr, text: &CStr) {
        // SAFETY: the header's contract of `log`; `ctx` lives until engine_release has returned,
        // which waits for this call.
        guard::calling_host(|| unsafe {
            (self.log)(self.context.pointer, level, target.as_ptr(), text.as_ptr());
        });
    }
}
