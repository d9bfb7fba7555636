//! How files are shown and asked for in JSON.

use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;
use whimbrel_store::filing::{FileRow, FileState, Usage};

use super::config::FilesConfig;
use super::proof;

/// A file, or an upload that is to become one.
#[derive(Serialize, ToSchema)]
#[schema(as = File)]
pub(crate) struct FileView {
    id: Uuid,
    /// `uploading` or `whole`.
    state: &'static str,
    /// As its owner called it; empty for encrypted ones.
    name: String,
    /// Its media type.
    #[serde(rename = "type")]
    content_type: String,
    /// Bytes.
    size: u64,
    /// Of these bytes, hexadecimal.
    sha256: String,
    /// Its content is sealed by devices.
    encrypted: bool,
    /// Bytes that are here: go on from there.
    received: u64,
    /// Bytes of one piece, at most.
    piece_max: u64,
    /// While nothing was sent: what would show that you have the content, so that it need not be sent.
    proof: Option<ProofView>,
    /// A message came with it.
    attached: bool,
    /// What cameras write was taken out of it: `size` and `sha256` are of what is kept, and not what was announced.
    metadata_removed: bool,
    /// Of a readable picture, pixels.
    width: Option<u32>,
    /// Of a readable picture, pixels.
    height: Option<u32>,
    /// What to show until there is a picture (BlurHash).
    blur_hash: Option<String>,
    /// There is a small picture of it.
    has_thumbnail: bool,
    /// Milliseconds since 1970.
    created_at: u64,
}

/// What is to be proved.
#[derive(Serialize, ToSchema)]
#[schema(as = FileProof)]
pub(crate) struct ProofView {
    /// The key of the HMAC, hexadecimal. It is good once.
    nonce: String,
    /// Parts of the file, in this order.
    ranges: Vec<RangeView>,
}

/// A part of a file.
#[derive(Serialize, ToSchema)]
#[schema(as = FileRange)]
pub(crate) struct RangeView {
    /// Where it begins.
    offset: u64,
    /// How many bytes.
    length: u64,
}

impl FileView {
    /// `received`: how far an upload is; all of a whole file.
    pub(crate) fn new(row: FileRow, received: u64) -> Self {
        let FileRow { file, state, created_at, announced, picture, idle_since, .. } = row;
        let proof = file.nonce.filter(|_| received == 0).map(|nonce| ProofView {
            nonce: hex(&nonce),
            ranges: proof::ranges(&nonce, file.size)
                .map(|range| RangeView { offset: range.start, length: range.end - range.start })
                .collect(),
        });
        Self {
            id: Uuid::from_bytes(*file.id.as_bytes()),
            state: if state == FileState::Whole { "whole" } else { "uploading" },
            name: file.name,
            content_type: file.content_type,
            size: file.size,
            sha256: hex(&file.hash),
            encrypted: file.encrypted,
            received: if state == FileState::Whole { file.size } else { received },
            piece_max: FilesConfig::piece_max(),
            proof,
            attached: idle_since.is_none(),
            metadata_removed: announced.is_some(),
            width: picture.as_ref().map(|picture| picture.width).filter(|width| *width > 0),
            height: picture.as_ref().map(|picture| picture.height).filter(|height| *height > 0),
            has_thumbnail: picture.as_ref().is_some_and(|picture| picture.has_thumbnail),
            blur_hash: picture.map(|picture| picture.blur_hash).filter(|blur| !blur.is_empty()),
            created_at,
        }
    }
}

/// How far an upload is.
#[derive(Serialize, ToSchema)]
#[schema(as = FileProgress)]
pub(crate) struct ProgressView {
    /// Bytes that are here.
    pub(crate) received: u64,
}

/// What files may be, and take up.
#[derive(Serialize, ToSchema)]
#[schema(as = FileLimits)]
pub(crate) struct LimitsView {
    /// Longest file, bytes.
    pub(crate) size_max: u64,
    /// Bytes of one piece, at most.
    pub(crate) piece_max: u64,
    /// Files may be uploaded readable; otherwise only encrypted ones are taken.
    pub(crate) readable: bool,
    /// Media types of readable files; none: all.
    pub(crate) types: Vec<String>,
    /// Most pixels of a readable picture.
    pub(crate) pixels_max: u64,
    /// Longest readable picture, bytes, unless it keeps its metadata.
    pub(crate) picture_max: u64,
    /// Bytes of all your files: at most, and now.
    pub(crate) bytes_max: u64,
    pub(crate) bytes: u64,
    /// Files: at most, and now.
    pub(crate) files_max: u64,
    pub(crate) files: u64,
    /// Uploads that are not whole: at most, and now.
    pub(crate) uploads_max: u64,
    pub(crate) uploads: u64,
}

/// A page of one's files.
#[derive(Serialize, ToSchema)]
pub(crate) struct FileList {
    /// The newest first.
    pub(crate) files: Vec<FileView>,
    /// Ask again with `before` set to this; nothing if this was the last page.
    pub(crate) next: Option<String>,
    /// What all of them take up, those on other pages too.
    pub(crate) usage: UsageView,
}

/// What one's files take up.
#[derive(Serialize, ToSchema)]
#[schema(as = FileUsage)]
pub(crate) struct UsageView {
    /// All bytes, announced ones too.
    bytes: u64,
    /// Files, uploads among them.
    files: u64,
    /// Uploads that are not whole.
    uploads: u64,
}

impl From<Usage> for UsageView {
    fn from(Usage { bytes, files, uploads }: Usage) -> Self {
        Self { bytes, files, uploads }
    }
}

/// Lower-case hexadecimal digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// 32 bytes as 64 hexadecimal digits.
pub(crate) fn unhex(text: &str) -> Option<[u8; 32]> {
    let digits = text.as_bytes();
    let mut bytes = [0; 32];
    if digits.len() != 64 {
        return None;
    }
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks(2)) {
        let digit = |digit: u8| char::from(digit).to_digit(16);
        *byte = u8::try_from(digit(pair[0])? * 16 + digit(pair[1])?).ok()?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hash_reads_back_from_its_digits() {
        let hash = std::array::from_fn(|at| (at * 9) as u8);
        assert_eq!(unhex(&hex(&hash)), Some(hash));
        assert_eq!(unhex(&hex(&hash).to_uppercase()), Some(hash));
        for wrong in ["", "00", &"g".repeat(64), &"0".repeat(63), &"+1".repeat(32)] {
            assert_eq!(unhex(wrong), None, "{wrong}");
        }
    }
}
