//! Host functions, wrapped so that the rest calls them as safe ones.

use std::ffi::{CStr, c_void};
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, ThreadId};

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
    calls: Mutex<Calls>,
    idle: Condvar,
}

#[derive(Default)]
struct Calls {
    /// The thread that a call runs on.
    running: Option<ThreadId>,
    muted: bool,
}

impl StateFunction {
    pub(crate) fn new(desc: &pellucid_job_desc) -> Option<Self> {
        Some(Self {
            context: Context::new(desc.user, None),
            on_state: desc.on_state?,
            calls: Mutex::default(),
            idle: Condvar::new(),
        })
    }

    /// Tells the host, unless muted.
    pub(crate) fn notify(&self, state: i32) {
        let busy = |calls: &mut Calls| calls.running.is_some() && !calls.muted;
        let waited = self.idle.wait_while(self.lock(), busy);
        let mut calls = waited.unwrap_or_else(PoisonError::into_inner);
        if calls.muted {
            return;
        }
        calls.running = Some(thread::current().id());
        drop(calls);
        // SAFETY: the header's contract of `on_state`; `user` lives until the job's release has
        // returned, which waits for this call in `mute`.
        guard::calling_host(|| unsafe { (self.on_state)(self.context.pointer, state) });
        self.lock().running = None;
        self.idle.notify_all();
    }

    /// Ends the calls: none runs or begins after this, except one that this is called from.
    pub(crate) fn mute(&self) {
        let own = thread::current().id();
        let mut calls = self.lock();
        calls.muted = true;
        // Not on the guard's word that this thread is in some callback: it may be another job's.
        while calls.running.is_some_and(|thread| thread != own) {
            calls = self.idle.wait(calls).unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Calls> {
        self.calls.lock().unwrap_or_else(PoisonError::into_inner)
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

#[cfg(test)]
mod tests {
    use super::*;
    use std::ptr;
    use std::sync::Arc;
    use std::sync::mpsc::{Receiver, Sender, channel};
    use std::time::Duration;

    /// A callback that says when it begins, waits for a word and notes its end.
    struct Slow {
        began: Mutex<Sender<()>>,
        may_end: Mutex<Receiver<()>>,
        ended: AtomicBool,
    }

    unsafe extern "C" fn slow(user: *mut c_void, _: i32) {
        // SAFETY: the test passes a `Slow` that outlives the calls.
        let slow = unsafe { &*user.cast::<Slow>() };
        slow.began.lock().expect("one call").send(()).expect("the test listens");
        slow.may_end.lock().expect("one call").recv().expect("the test speaks");
        slow.ended.store(true, Ordering::SeqCst);
    }

    fn function(user: *mut c_void) -> StateFunction {
        let context = Context::new(user, None);
        StateFunction { context, on_state: slow, calls: Mutex::default(), idle: Condvar::new() }
    }

    #[test]
    fn muting_waits_for_a_call_also_inside_another_callback() {
        let (began, begins) = channel();
        let (end, may_end) = channel();
        let (began, may_end) = (Mutex::new(began), Mutex::new(may_end));
        let user = Slow { began, may_end, ended: AtomicBool::new(false) };
        let function = function(ptr::from_ref(&user).cast_mut().cast());
        let (muted, mutes) = channel();
        let ended = thread::scope(|scope| {
            scope.spawn(|| function.notify(1));
            begins.recv().expect("the call begins");
            scope.spawn(|| {
                guard::calling_host(|| function.mute());
                muted.send(user.ended.load(Ordering::SeqCst)).expect("the test listens");
            });
            // Time to be wrong in; a right one waits for the call whatever the time.
            let early = mutes.recv_timeout(Duration::from_millis(50));
            end.send(()).expect("the call listens");
            early.or_else(|_| mutes.recv()).expect("it returns")
        });
        assert!(ended, "muted while the call was running");
        function.notify(2);
        assert!(begins.try_recv().is_err(), "a call after the end");
    }

    #[test]
    fn a_call_may_mute_itself() {
        struct Own(Mutex<Option<Arc<StateFunction>>>);
        unsafe extern "C" fn end(user: *mut c_void, _: i32) {
            // SAFETY: the test passes an `Own` that outlives the calls.
            let own = unsafe { &*user.cast::<Own>() };
            let function = own.0.lock().expect("one call").take().expect("a second call");
            function.mute();
        }
        let own = Own(Mutex::default());
        let mut function = function(ptr::from_ref(&own).cast_mut().cast());
        function.on_state = end;
        let function = Arc::new(function);
        *own.0.lock().expect("no call yet") = Some(Arc::clone(&function));
        function.notify(1);
        function.notify(2);
        assert!(own.0.lock().expect("no panic").is_none());
    }
}
