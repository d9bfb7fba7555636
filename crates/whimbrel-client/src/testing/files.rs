//! Files: uploads that grow piece by piece; connections that are cut, and uploads that are lost, on demand.

use std::collections::BTreeMap;
use std::sync::Arc;

use parking_lot::Mutex;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use whimbrel_core::FileId;

use super::http::{Answer, header, text};
use super::{FakeServer, State};

/// A file as it was announced, and what came of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FakeFile {
    /// Its id.
    pub id: String,
    /// What it is called.
    pub name: String,
    /// Its media type.
    pub content_type: String,
    /// Bytes that it is to have.
    pub size: usize,
    /// It is sealed.
    pub encrypted: bool,
    /// A picture is to be kept as it comes.
    pub keeps_metadata: bool,
    /// What came.
    pub bytes: Vec<u8>,
    /// It was completed.
    pub is_whole: bool,
    sha256: String,
}

#[derive(Default)]
pub(super) struct Files {
    kept: BTreeMap<String, FakeFile>,
    announced: Vec<FakeFile>,
    cut: Option<usize>,
    damaged: usize,
    moved: Vec<(u64, usize)>,
}

impl FakeServer {
    /// Every announcement so far.
    pub fn announced(&self) -> Vec<FakeFile> {
        self.state().files.announced.clone()
    }

    /// A file, if there is one.
    pub fn file(&self, file: FileId) -> Option<FakeFile> {
        self.state().files.kept.get(&file.to_string()).cloned()
    }

    /// Connections that carry content break after so many bytes of it, which are kept.
    pub fn cut_transfers(&self, after: Option<usize>) {
        self.state().files.cut = after;
    }

    /// Where the pieces and ranges that were asked for began, and how many bytes of each moved.
    pub fn moved(&self) -> Vec<(u64, usize)> {
        self.state().files.moved.clone()
    }

    /// A file is gone, as one that rested for too long.
    pub fn collect_file(&self, file: FileId) {
        self.state().files.kept.remove(&file.to_string());
    }

    /// It is back.
    pub fn put_file(&self, file: FakeFile) {
        self.state().files.kept.insert(file.id.clone(), file);
    }

    /// The next so many uploads that are completed are found to be damaged, and given up.
    pub fn damage_uploads(&self, count: usize) {
        self.state().files.damaged = count;
    }
}

/// `files` and what stands behind it in a path.
pub(super) fn route(state: &mut State, method: &str, path: &[&str], body: &Value) -> Answer {
    let files = &mut state.files;
    match (method, path) {
        ("POST", []) => {
            let file = FakeFile {
                id: text(body, "id").to_owned(),
                name: text(body, "name").to_owned(),
                content_type: text(body, "type").to_owned(),
                size: body["size"].as_u64().unwrap_or_default() as usize,
                encrypted: body["encrypted"] == true,
                keeps_metadata: body["keeps_metadata"] == true,
                bytes: Vec::new(),
                is_whole: false,
                sha256: text(body, "sha256").to_owned(),
            };
            files.announced.push(file.clone());
            Ok(view(files.kept.entry(file.id.clone()).or_insert(file)))
        }
        ("GET", [id]) => files.kept.get(*id).map(view).ok_or((404, "no_such_file")),
        ("DELETE", [id]) => files.kept.remove(*id).map(|_| Value::Null).ok_or((404, "no_such_file")),
        ("POST", [id, "complete"]) => {
            let file = files.kept.get_mut(*id).ok_or((404, "no_such_file"))?;
            if file.bytes.len() < file.size {
                return Err((409, "wrong_offset"));
            }
            let hash: String = Sha256::digest(&file.bytes).iter().map(|byte| format!("{byte:02x}")).collect();
            let is_damaged = files.damaged > 0;
            files.damaged = files.damaged.saturating_sub(1);
            if is_damaged || hash != file.sha256 {
                files.kept.remove(*id);
                return Err((422, "content_mismatch"));
            }
            file.is_whole = true;
            Ok(view(file))
        }
        _ => Err((404, "not_found")),
    }
}

fn view(file: &FakeFile) -> Value {
    let state = if file.is_whole { "whole" } else { "uploading" };
    json!({ "state": state, "received": file.bytes.len(), "piece_max": 8 * 1024 * 1024, "proof": null })
}

/// The file whose content a request is about.
pub(super) fn content_of(head: &str) -> Option<(bool, String)> {
    let mut words = head.split_whitespace();
    let (method, target) = (words.next()?, words.next()?);
    let path = target.split('?').next()?.strip_prefix("/v1/files/")?;
    Some((method == "PATCH", path.strip_suffix("/content")?.to_owned()))
}

/// Takes a piece whose first bytes are there already; it is cut where it is to be.
pub(super) async fn take(
    stream: &mut TcpStream,
    (head, id): (&str, &str),
    mut bytes: Vec<u8>,
    length: usize,
    state: &Arc<Mutex<State>>,
) -> std::io::Result<Option<Answer>> {
    let cut = state.lock().files.cut.unwrap_or(length).min(length);
    while bytes.len() < cut {
        if stream.read_buf(&mut bytes).await? == 0 {
            break;
        }
    }
    bytes.truncate(cut);
    let offset = head.split_whitespace().nth(1).and_then(|target| target.split_once("offset="));
    let offset: usize = offset.and_then(|(_, offset)| offset.parse().ok()).unwrap_or_default();
    let mut state = state.lock();
    let files = &mut state.files;
    let Some(file) = files.kept.get_mut(id) else { return Ok(Some(Err((404, "no_such_file")))) };
    if offset > file.bytes.len() {
        return Ok(Some(Err((409, "wrong_offset"))));
    }
    files.moved.push((offset as u64, bytes.len()));
    // What is there already is there.
    let known = file.bytes.len() - offset;
    file.bytes.extend(bytes.get(known..).unwrap_or_default());
    Ok((cut == length).then(|| Ok(json!({ "received": file.bytes.len() }))))
}

/// Gives a range, or so much of it as is not cut off.
pub(super) async fn give(
    stream: &mut TcpStream,
    (head, id): (&str, &str),
    state: &Arc<Mutex<State>>,
) -> std::io::Result<Option<Answer>> {
    let range = header(head, "range").and_then(|range| range.strip_prefix("bytes=")?.split_once('-'));
    let number = |text: &str| text.parse::<usize>().unwrap_or_default();
    let (from, last) = range.map_or((0, 0), |(from, last)| (number(from), number(last)));
    let (part, cut) = {
        let mut state = state.lock();
        let files = &mut state.files;
        let Some(file) = files.kept.get(id) else { return Ok(Some(Err((404, "no_such_file")))) };
        let part = file.bytes.get(from..(last + 1).min(file.bytes.len())).unwrap_or_default().to_vec();
        let cut = files.cut.unwrap_or(part.len()).min(part.len());
        files.moved.push((from as u64, cut));
        (part, cut)
    };
    let head = format!("HTTP/1.1 206 As Said\r\ncontent-length: {}\r\nconnection: close\r\n\r\n", part.len());
    stream.write_all(head.as_bytes()).await?;
    stream.write_all(&part[..cut]).await?;
    Ok(None)
}
