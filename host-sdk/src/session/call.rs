//! One call through the table: find the slot, call it, turn a failure into a [`HostError`].

/// Calls a slot that ends in an error out-parameter. Must stand in an `unsafe` block whose SAFETY
/// comment covers the arguments; the table itself is valid for the life of the process.
macro_rules! call {
    ($plugin:expr, $slot:ident($($arg:expr),* $(,)?)) => {{
        let plugin: &$crate::session::Plugin = $plugin;
        match plugin.table().$slot {
            Some(function) => {
                let mut error = ::std::ptr::null_mut();
                let status = function($($arg,)* &mut error);
                plugin.check(stringify!($slot), status, error)
            }
            None => Err($crate::HostError::MissingSlot { slot: stringify!($slot) }),
        }
    }};
}
pub(super) use call;
