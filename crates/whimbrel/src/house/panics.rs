//! A panic ends the process: a server of which one task has silently died is worse than none.
//!
//! Nothing is lost by it: what was answered "sent" is on disk, and clients send the rest again.

use std::panic;

/// The exit code of a process that panicked, as the standard library has it.
const PANICKED: i32 = 101;

/// From now on a panic anywhere is logged and ends the process.
pub(crate) fn end_the_process() {
    panic::set_hook(Box::new(|info| {
        let at = info.location().map_or_else(String::new, ToString::to_string);
        let backtrace = std::backtrace::Backtrace::capture();
        tracing::error!(at, what = info.payload_as_str().unwrap_or("unknown"), "a bug: the process ends\n{backtrace}");
        std::process::exit(PANICKED);
    }));
}
