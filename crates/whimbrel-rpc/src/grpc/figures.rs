//! The figures of the streams.

use metrics::{Histogram, counter, gauge, histogram};

/// Counted while it lives.
pub(crate) struct Up(&'static str);

impl Up {
    /// A stream with a peer of this role.
    pub(crate) fn new(role: &'static str) -> Self {
        gauge!("whimbrel_rpc_streams", "peer" => role).increment(1.0);
        Self(role)
    }
}

impl Drop for Up {
    fn drop(&mut self) {
        gauge!("whimbrel_rpc_streams", "peer" => self.0).decrement(1.0);
    }
}

/// How many things each message of a stream carries.
pub(crate) fn batch_items(what: &'static str) -> Histogram {
    histogram!("whimbrel_rpc_batch_items", "what" => what)
}

/// A queue was full.
pub(crate) fn full(queue: &'static str) {
    counter!("whimbrel_rpc_full_total", "queue" => queue).increment(1);
}

/// A stream was opened again, or tried to be.
pub(crate) fn reconnect() {
    counter!("whimbrel_rpc_reconnects_total").increment(1);
}

/// A peer was not let in.
pub(crate) fn hello_refused(why: &'static str) {
    counter!("whimbrel_rpc_hellos_refused_total", "why" => why).increment(1);
}

/// Sends were answered "retry" here.
pub(crate) fn retries(why: &'static str, count: usize) {
    counter!("whimbrel_rpc_retries_total", "why" => why).increment(count as u64);
}

/// Something was asked again of another transfer.
pub(crate) fn asked_again(what: &'static str) {
    counter!("whimbrel_rpc_asked_again_total", "what" => what).increment(1);
}

/// Something longer than any message was left out.
pub(crate) fn oversized() {
    counter!("whimbrel_rpc_oversized_total").increment(1);
}
