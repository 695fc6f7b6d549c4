//! From the `log` crate inside this library to the host's log function.
//!
//! Each engine has a queue, delivered on threads that call into it. A message made during a call
//! goes to the queue of that call's engine; one made by a worker goes to every engine, since
//! workers do not know theirs.

use std::cell::RefCell;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Once, PoisonError, RwLock, Weak};

use crossbeam_queue::ArrayQueue;
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

/// The log messages of one engine.
pub(crate) struct LogQueue {
    function: Option<LogFunction>,
    any_thread: bool,
    level: LevelFilter,
    messages: ArrayQueue<Message>,
    /// Messages that newer ones pushed out.
    dropped: AtomicU64,
    /// Held for reading while the host's function runs; false once closed.
    open: RwLock<bool>,
}

impl LogQueue {
    /// A queue that receives messages from now on.
    pub(crate) fn open(host: Option<&pellucid_host>, level: LevelFilter) -> Arc<Self> {
        let any_thread = host.is_some_and(|h| h.flags & PELLUCID_HOST_LOG_ANY_THREAD != 0);
        let queue = Arc::new(Self {
            function: host.and_then(LogFunction::new),
            any_thread,
            level,
            messages: ArrayQueue::new(MAX_LOG_QUEUE),
            dropped: AtomicU64::new(0),
            open: RwLock::new(true),
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
        *self.open.write().unwrap_or_else(PoisonError::into_inner) = false;
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
            self.deliver(|| Some(message));
        } else if self.messages.force_push(message).is_some() {
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn deliver_one(&self) -> bool {
        self.deliver(|| match self.dropped.swap(0, Ordering::Relaxed) {
            0 => self.messages.pop(),
            dropped => {
                let text = format!("{dropped} older messages were dropped");
                Some(Message { level: PELLUCID_LOG_WARN, target: "pellucid".into(), text })
            }
        })
    }

    fn deliver(&self, next: impl FnOnce() -> Option<Message>) -> bool {
        // Without waiting: only `close` writes, and it may wait for a call that waits for this one.
        let Ok(open) = self.open.try_read() else { return false };
        let message = if *open { next() } else { None };
        let Some(message) = message else { return false };
        if let Some(function) = &self.function {
            function.log(message.level, &c_text(&message.target), &c_text(&message.text));
        }
        true
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
