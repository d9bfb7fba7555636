//! Files: announced, uploaded in pieces, checked, attached by messages, read by those who see these.
//!
//! Owns the way of the bytes between HTTP and [`Blobs`], the limits that are told before any byte is sent, and the checks
//! of what is readable. Who may read a file is the store's to say, from the messages that came with it.
//!
//! | rule | where |
//! |---|---|
//! | nothing is taken that would be refused for its size, type or owner's room | `announce` |
//! | memory is one piece's buffer for each transfer, and transfers are counted | `transfer`, `lanes` |
//! | a hash gives nothing: who has content proves it with ranges that nobody could foresee | `proof` |
//! | what is not what it says is not kept | `complete`, `kind` |
//! | a readable picture does not tell where it was taken, unless that was asked for | `pictures` |
//! | a file that one may not read is as if it were not there | everywhere: `no_such_file` |

mod announce;
mod collect;
mod complete;
mod config;
mod kind;
mod lanes;
mod list;
mod pictures;
mod proof;
mod range;
mod transfer;
mod views;

use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use uuid::Uuid;
use whimbrel_core::FileId;
use whimbrel_store::filing::FileRow;

pub(crate) use collect::{collect, keep_collecting};
pub use config::FilesConfig;
pub(crate) use lanes::Lanes;
pub(crate) use pictures::places;

use crate::auth::Caller;
use crate::error::{ApiError, Code};
use crate::shared::{App, Shared};

/// What is done at once.
pub(crate) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(announce::announce_file, list::list_files))
        .routes(routes!(announce::file_limits))
        .routes(routes!(announce::get_file, announce::discard_file))
        .routes(routes!(announce::copy_file))
        .routes(routes!(list::show_thumbnail))
}

/// What takes as long as bytes need.
pub(crate) fn transfers() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(transfer::upload_piece, transfer::download_file))
        .routes(routes!(complete::complete_file))
        .routes(routes!(proof::prove_file))
}

/// The file that a path names.
fn named(id: Uuid) -> FileId {
    FileId::from_bytes(*id.as_bytes())
}

/// A file of the caller's own, whole or not.
async fn own(app: &Shared, caller: &Caller, id: FileId) -> Result<FileRow, ApiError> {
    let row = app.files().file(id).await?;
    row.filter(|row| row.file.owner == caller.user).ok_or_else(|| Code::NoSuchFile.into())
}

/// Counts what was not kept.
fn refused(reason: &'static str) {
    metrics::counter!("whimbrel_files_refused_total", "reason" => reason).increment(1);
}
