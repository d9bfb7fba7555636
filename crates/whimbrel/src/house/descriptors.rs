//! Open files: every connection is one, and systems allow few of them unless asked.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// What a server opens beside its connections: database, logs, listeners, the runtime.
const RESERVE: u64 = 256;

/// Makes room for so many connections that somebody asked for; warns if they will not fit.
pub(crate) fn make_room(connections: u64) {
    if let Err(open_files) = raise(connections) {
        tracing::warn!(
            open_files,
            connections,
            "the limit of open files (RLIMIT_NOFILE) is below what clients.max_connections and http.max_connections \
             need; raise it (LimitNOFILE= in systemd, ulimit -n in a shell) or lower them"
        );
    }
}

/// Makes room for so many connections, or as many as there is room for: nobody asked for this number.
pub(crate) fn make_room_up_to(connections: u64) {
    if let Err(open_files) = raise(connections) {
        tracing::info!(open_files, "connections are limited by open files (RLIMIT_NOFILE)");
    }
}

/// Raises the soft limit as far as the hard one allows, if it has to be; an error is the limit that stands.
fn raise(connections: u64) -> Result<(), u64> {
    let wanted = connections.saturating_add(RESERVE);
    let limit = getrlimit(Resource::Nofile);
    let enough = |limit: Option<u64>| limit.is_none_or(|limit| limit >= wanted);
    if enough(limit.current) {
        return Ok(());
    }
    let raised = Rlimit { current: limit.maximum, maximum: limit.maximum };
    let current = if setrlimit(Resource::Nofile, raised).is_ok() { raised.current } else { limit.current };
    if enough(current) { Ok(()) } else { Err(current.unwrap_or(u64::MAX)) }
}
