//! From the `log` crate inside this library to the host's log function.
//!
//! Each engine has a queue, delivered on threads that call into it. A message made during a call
//! goes to the queue of that call's engine; one made by a worker goes to every engine, since
//! workers do not know theirs.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, Once, PoisonError, RwLock, Weak};

use log::{LevelFilter, Log, Metadata, Record};
use pellucid_ffi::*;

use crate::boundary::callback::LogFunction;
use crate::boundary::guard;
use crate::boundary::text::c_text;
use crate::limits::MAX_LOG_QUEUE;

struct Message {
    level: i32,
    target: String,
    text: String,
}

#[derive(Default)]
struct State {
    queue: VecDeque<Message>,
    dropped: u64,
    delivering: usize,
    closed: bool,
}

/// The log messages of one engine.
pub(crate) struct LogQueue {
    function: Option<LogFunction>,
    any_thread: bool,
    level: LevelFilter,
    state: Mutex<State>,
    idle: Condvar,
}

impl LogQueue {
    /// A queue that receives messages from now on.
    pub(crate) fn open(host: Option<&pellucid_host>, level: LevelFilter) -> Arc<Self> {
        let any_thread = host.is_some_and(|h| h.flags & PELLUCID_HOST_LOG_ANY_THREAD != 0);
        let queue = Arc::new(Self {
            function: host.and_then(LogFunction::new),
            any_thread,
            level,
            state: Mutex::default(),
            idle: Condvar::new(),
        });
        Router::add(&queue);
        queue
    }

    /// Delivers at most `max` messages on this thread.
    pub(crate) fn drain(&self, max: usize) -> usize {
        let mut delivered = 0;
        while delivered < max && self.deliver_one() {
            delivered += 1;
        }
        delivered
    }

    /// Ends delivery; when this returns the host's function does not run and is not called again.
    pub(crate) fn close(&self) {
        let mut state = self.lock();
        state.closed = true;
        state.queue.clear();
        while state.delivering > 0 {
            state = self.idle.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Runs `body` with this queue as the destination of this thread's messages.
    pub(crate) fn scope<T>(self: &Arc<Self>, body: impl FnOnce() -> T) -> T {
        struct Restore(Option<Arc<LogQueue>>);
        impl Drop for Restore {
            fn drop(&mut self) {
                CURRENT.with(|current| *current.borrow_mut() = self.0.take());
            }
        }
        let before = CURRENT.with(|current| current.borrow_mut().replace(Arc::clone(self)));
        let _restore = Restore(before);
        body()
    }

    fn accept(&self, record: &Record<'_>) {
        if self.function.is_none() || record.level() > self.level {
            return;
        }
        let message = Message {
            level: record.level() as i32,
            target: record.target().to_owned(),
            text: record.args().to_string(),
        };
        if self.any_thread {
            self.deliver(|_| Some(message));
            return;
        }
        let mut state = self.lock();
        if state.closed {
            return;
        }
        if state.queue.len() == MAX_LOG_QUEUE {
            state.queue.pop_front();
            state.dropped += 1;
        }
        state.queue.push_back(message);
    }

    fn deliver_one(&self) -> bool {
        self.deliver(|state| {
            if state.dropped > 0 {
                let text =
                    format!("{} older messages were dropped", std::mem::take(&mut state.dropped));
                return Some(Message { level: PELLUCID_LOG_WARN, target: "pellucid".into(), text });
            }
            state.queue.pop_front()
        })
    }

    fn deliver(&self, next: impl FnOnce(&mut State) -> Option<Message>) -> bool {
        struct Done<'a>(&'a LogQueue);
        impl Drop for Done<'_> {
            fn drop(&mut self) {
                self.0.lock().delivering -= 1;
                self.0.idle.notify_all();
            }
        }
        let message = {
            let mut state = self.lock();
            let message = if state.closed { None } else { next(&mut state) };
            state.delivering += usize::from(message.is_some());
            message
        };
        let Some(message) = message else { return false };
        let _done = Done(self);
        if let Some(function) = &self.function {
            function.log(message.level, &c_text(&message.target), &c_text(&message.text));
        }
        true
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

thread_local! {
    static CURRENT: RefCell<Option<Arc<LogQueue>>> = const { RefCell::new(None) };
}

/// The library's one logger.
struct Router {
    queues: RwLock<Vec<Weak<LogQueue>>>,
}

static ROUTER: Router = Router { queues: RwLock::new(Vec::new()) };

impl Router {
    fn add(queue: &Arc<LogQueue>) {
        static ONCE: Once = Once::new();
        ONCE.call_once(|| {
            // Fails only if the program this is linked into has a logger: then that one logs.
            let _ = log::set_logger(&ROUTER);
        });
        let mut queues = ROUTER.queues.write().unwrap_or_else(PoisonError::into_inner);
        queues.retain(|queue| queue.strong_count() > 0);
        queues.push(Arc::downgrade(queue));
        let most = queues.iter().filter_map(Weak::upgrade).map(|queue| queue.level).max();
        log::set_max_level(most.unwrap_or(LevelFilter::Off));
    }
}

impl Log for Router {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &Record<'_>) {
        // A log function that makes the plugin log would never come to an end.
        if guard::in_callback() {
            return;
        }
        // A thread may log while it ends, when its variables are gone.
        let current = CURRENT.try_with(|current| current.borrow().clone()).ok().flatten();
        if let Some(queue) = current {
            queue.accept(record);
            return;
        }
        // Upgraded first: a host's function must not run under the lock.
        let queues: Vec<_> = {
            let queues = self.queues.read().unwrap_or_else(PoisonError::into_inner);
            queues.iter().filter_map(Weak::upgrade).collect()
        };
        queues.iter().for_each(|queue| queue.accept(record));
    }

    fn flush(&self) {}
}
