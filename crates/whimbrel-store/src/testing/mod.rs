//! Places for tests: databases and buckets of their own, on servers that are found, or started for this process
//! (`whimbrel-engines`).

mod bucket;
mod database;

use std::sync::OnceLock;

use whimbrel_engines::{Kind, find};

pub use bucket::TestBucket;
pub use database::TestDatabase;

/// Where the server of this kind is. Blocking, and possible within a runtime.
///
/// # Panics
/// When none is found and none can be started.
pub fn url(kind: Kind) -> String {
    static URLS: [OnceLock<String>; 3] = [const { OnceLock::new() }; 3];
    let ask = move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(find(kind)).expect("a server for tests").url
    };
    // Within a runtime one cannot wait for another one; a thread can.
    URLS[kind as usize].get_or_init(|| std::thread::spawn(ask).join().expect("a server for tests")).clone()
}

/// The address of a database at a server whose address names none.
pub(crate) fn database_url(server: &str, name: &str) -> String {
    let (place, options) = server.split_once('?').map_or((server, None), |(place, rest)| (place, Some(rest)));
    let place = place.trim_end_matches('/');
    options.map_or_else(|| format!("{place}/{name}"), |options| format!("{place}/{name}?{options}"))
}
