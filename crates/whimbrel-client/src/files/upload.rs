//! A file's way to the server, and its message after it.

use std::time::Duration;

use bytes::Bytes;
use hmac::{Hmac, KeyInit, Mac};
use prost::Message as _;
use sha2::Sha256;
use whimbrel_core::{ConversationId, FileId, MessageId, MessageKind};
use whimbrel_wire::file_seal::FileKey;
use whimbrel_wire::proto;

use super::source::{Prepared, Source, again, prepare};
use super::transfer::{FileTransfer, Reins, Stage};
use super::{Sending, blocking};
use crate::client::Client;
use crate::content::{Attachment, Content};
use crate::driver::UploadChange;
use crate::error::Error;
use crate::rest::{AuthorizedRest, FileForm, FileProof, FileState, is_refusal};
use crate::store::UploadRow;

/// Bytes of one piece, about.
const PIECE: usize = 2 * 1024 * 1024;
/// The first pause after a failure; it doubles up to the longest.
const PAUSE_FIRST: Duration = Duration::from_millis(500);
const PAUSE_LONGEST: Duration = Duration::from_secs(30);

pub(super) async fn begin(
    client: &Client,
    conversation: ConversationId,
    what: Sending,
) -> Result<FileTransfer<MessageId>, Error> {
    let key = if client.has_readable_bodies() { None } else { Some(FileKey::generate()) };
    let (path, keeps_metadata) = (what.path.clone(), what.keeps_metadata);
    let Prepared { source, attachment, content_hash } = blocking(move || prepare(&what, key)).await?;
    let attachment = Attachment { file: FileId::generate(), ..attachment };
    let row = UploadRow {
        file: attachment.file,
        conversation,
        kind: attachment.kind.message_kind(),
        path: text(&std::path::absolute(path).map_err(Error::File)?)?,
        keeps_metadata,
        content_hash,
        attachment: attachment.to_wire().encode_to_vec().into(),
    };
    client.takes_up(row.file);
    if let Err(error) = client.upload(UploadChange::Begins(Box::new(row.clone()))).await {
        client.lets_go(row.file);
        return Err(error);
    }
    let (client, total) = (client.clone(), source.content_size());
    Ok(FileTransfer::start(
        row.file,
        total,
        |reins| async move { run(client, row, attachment, Some(source), reins).await },
    ))
}

/// A path that can be kept.
fn text(path: &std::path::Path) -> Result<String, Error> {
    let text = path.to_str().map(str::to_owned);
    text.ok_or_else(|| Error::File(std::io::Error::other("its path is no text")))
}

/// Goes on with an upload of an earlier client's.
pub(super) fn go_on(client: &Client, row: UploadRow) -> FileTransfer<MessageId> {
    let client = client.clone();
    FileTransfer::start(row.file, 0, |reins| async move {
        match read_attachment(&row) {
            Some(attachment) => run(client, row, attachment, None, reins).await,
            None => {
                client.lets_go(row.file);
                Err(Error::FileChanged)
            }
        }
    })
}

fn read_attachment(row: &UploadRow) -> Option<Attachment> {
    let from = proto::Attachment::decode(row.attachment.clone()).ok()?;
    Attachment::from_wire(row.kind, row.file, from)
}

/// Gives an upload up, here and on the server.
pub(super) async fn forget(client: &Client, file: FileId) -> Result<(), Error> {
    client.upload(UploadChange::Ends(file)).await?;
    // What the server still has of it, it collects by itself.
    let _ = client.rest().discard_file(file).await;
    Ok(())
}

async fn run(
    client: Client,
    row: UploadRow,
    attachment: Attachment,
    source: Option<Source>,
    reins: Reins,
) -> Result<MessageId, Error> {
    let (of, file) = (client.clone(), row.file);
    let done = to_its_end(client, row, attachment, source, reins).await;
    of.lets_go(file);
    done
}

async fn to_its_end(
    client: Client,
    row: UploadRow,
    attachment: Attachment,
    source: Option<Source>,
    mut reins: Reins,
) -> Result<MessageId, Error> {
    match upload(&client, &row, &attachment, source, &mut reins).await {
        Ok(()) => {
            let content = Content::Attachment(Box::new(attachment));
            client.send(row.conversation, content).await
        }
        // Nothing will make it better: it is not tried again by a later client.
        Err(error)
            if matches!(error, Error::Cancelled | Error::FileChanged | Error::MetadataStays) || is_final(&error) =>
        {
            forget(&client, row.file).await?;
            Err(error)
        }
        Err(error) => Err(error),
    }
}

/// The server said no for good; not: come back, go on elsewhere, log in.
fn is_final(error: &Error) -> bool {
    let passing = ["wrong_offset", "upload_busy", "too_many_uploads", "token_expired", "unauthenticated", "logged_out"];
    is_refusal(error) && error.code().is_some_and(|code| !passing.contains(&code) && !code.is_empty())
}

/// The upload, and once more from its announcement if the server has lost what it had: collected while it rested, or gone
/// with the server's power. It is the same file under the same key: it is looked at anew, so that nothing else is sealed
/// with that.
async fn upload(
    client: &Client,
    row: &UploadRow,
    attachment: &Attachment,
    source: Option<Source>,
    reins: &mut Reins,
) -> Result<(), Error> {
    match upload_once(client, row, attachment, source, reins).await {
        Err(error) if is_lost(&error) && is_wanted(client, row.file).await? => {
            tracing::debug!(file = %row.file, %error, "the server has lost an upload: it is announced again");
            upload_once(client, row, attachment, None, reins).await
        }
        done => done,
    }
}

fn is_lost(error: &Error) -> bool {
    matches!(error.code(), Some("no_such_file" | "content_mismatch"))
}

/// Whether nobody has given it up meanwhile.
async fn is_wanted(client: &Client, file: FileId) -> Result<bool, Error> {
    Ok(client.store().uploads().await?.iter().any(|row| row.file == file))
}

async fn upload_once(
    client: &Client,
    row: &UploadRow,
    attachment: &Attachment,
    source: Option<Source>,
    reins: &mut Reins,
) -> Result<(), Error> {
    let mut source = match source {
        Some(source) => source,
        None => {
            let (path, keeps, of, hash) = (row.path.clone(), row.keeps_metadata, attachment.clone(), row.content_hash);
            blocking(move || again(path.as_ref(), keeps, &of, hash)).await?
        }
    };
    let (rest, total) = (client.rest(), source.content_size());
    reins.total(total);
    let form = form(attachment, &source, row);
    let mut state = with_patience(reins, 0, || rest.announce_file(&form)).await?;
    if let Some(asked) = state.proof.take()
        && !state.is_whole()
    {
        (state, source) = prove(&rest, row.file, asked, state, source).await?;
    }
    while !state.is_whole() {
        source = send_rest(client, row.file, source, state.received, reins).await?;
        reins.at(Stage::Checking, total);
        state = match with_patience(reins, total, || rest.complete_file(row.file)).await {
            // Not all of it is there after all: from there on again.
            Err(error) if is_elsewhere(&error) => with_patience(reins, total, || rest.file(row.file)).await?,
            state => state?,
        };
    }
    reins.at(Stage::Checking, total);
    Ok(())
}

fn form(attachment: &Attachment, source: &Source, row: &UploadRow) -> FileForm {
    let sealed = attachment.key.is_some();
    let content_type = if sealed { "application/octet-stream".into() } else { attachment.content_type.clone() };
    FileForm {
        id: attachment.file.to_string(),
        name: if sealed { String::new() } else { attachment.name.clone() },
        content_type,
        size: source.content_size(),
        sha256: hex(&row.content_hash),
        encrypted: sealed,
        // These bytes are what the message names: nothing is taken out any more. Where nothing was here the server looks.
        keeps_metadata: !sealed && (row.keeps_metadata || source.is_cleaned()),
    }
}

pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Sends the pieces from `at` on; the source again. What came of a piece that was cut is kept, so that every piece goes on
/// from where the server is: a link that breaks again and again brings the file there all the same.
async fn send_rest(
    client: &Client,
    file: FileId,
    mut source: Source,
    mut at: u64,
    reins: &mut Reins,
) -> Result<Source, Error> {
    let (rest, total) = (client.rest(), source.content_size());
    let (mut pause, mut is_sent) = (PAUSE_FIRST, false);
    // An empty file is one empty piece.
    while at < total || !is_sent && total == 0 {
        reins.may_go(at).await?;
        client.check_open()?;
        reins.at(Stage::Moving, at);
        let piece: Bytes;
        (source, piece) = blocking(move || {
            let piece = source.read(at, PIECE)?;
            Ok((source, piece))
        })
        .await?;
        let before = at;
        at = match rest.upload_piece(file, at, piece).await {
            Ok(received) => {
                is_sent = true;
                received
            }
            Err(error) if is_passing(&error) || is_elsewhere(&error) => {
                if is_passing(&error) {
                    reins.at(Stage::Waiting, at);
                    reins.wait(pause).await?;
                }
                with_patience(reins, at, || rest.file(file)).await?.received
            }
            Err(error) => return Err(error),
        };
        pause = if at > before { PAUSE_FIRST } else { (pause * 2).min(PAUSE_LONGEST) };
        reins.at(Stage::Moving, at);
    }
    Ok(source)
}

/// The server has more, or less, than was thought.
fn is_elsewhere(error: &Error) -> bool {
    error.code() == Some("wrong_offset")
}

/// Shows that this device has the content. If the server does not have it, or does not believe it, it is sent.
async fn prove(
    rest: &AuthorizedRest,
    file: FileId,
    asked: FileProof,
    state: FileState,
    mut source: Source,
) -> Result<(FileState, Source), Error> {
    let (mac, source) = blocking(move || {
        let nonce: Vec<u8> = (0..asked.nonce.len() / 2)
            .filter_map(|at| u8::from_str_radix(asked.nonce.get(at * 2..at * 2 + 2)?, 16).ok())
            .collect();
        let mut mac = Hmac::<Sha256>::new_from_slice(&nonce).expect("any length is a key");
        for range in &asked.ranges {
            mac.update(&range.offset.to_be_bytes());
            mac.update(&range.length.to_be_bytes());
            mac.update(&source.read_exact(range.offset, range.length)?);
        }
        Ok((hex(&mac.finalize().into_bytes()), source))
    })
    .await?;
    match rest.prove_file(file, &mac).await {
        Ok(proved) => Ok((proved, source)),
        Err(_) => Ok((state, source)),
    }
}

/// Tries again what failed because the server is away, busy, or somebody else is at it.
async fn with_patience<T, F>(reins: &mut Reins, done: u64, call: impl Fn() -> F) -> Result<T, Error>
where
    F: Future<Output = Result<T, Error>>,
{
    let mut pause = PAUSE_FIRST;
    loop {
        reins.may_go(done).await?;
        match call().await {
            Err(error) if is_passing(&error) => {
                reins.at(Stage::Waiting, done);
                reins.wait(pause).await?;
                pause = (pause * 2).min(PAUSE_LONGEST);
            }
            answer => return answer,
        }
    }
}

pub(super) fn is_passing(error: &Error) -> bool {
    match error {
        Error::Http(_) => true,
        Error::Api(refused) => {
            refused.status >= 500
                || refused.status == 429
                || ["upload_busy", "too_many_uploads"].contains(&&*refused.code)
        }
        _ => false,
    }
}

/// Kinds whose messages come with files.
const _: () = assert!(MessageKind::ATTACHMENT.has_file() && MessageKind::VIDEO.has_file());
