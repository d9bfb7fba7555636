//! Pictures before they leave the device: what cameras write into them is taken out, whether or not they can be decoded
//! here, and whatever they are to be shown as. Where it cannot be taken out nothing leaves, unless the sender wants the
//! picture as it is. Blocking.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;

use bytes::Bytes;
use whimbrel_media::metadata;

use crate::content::AttachmentKind;
use crate::error::Error;

/// Longest picture that is cleaned or looked at, bytes: it is in memory meanwhile.
const PICTURE_MAX: u64 = 64 * 1024 * 1024;
/// Types into which no camera writes.
const BARE: &[&str] = &["image/bmp", "image/svg+xml", "image/x-icon", "image/vnd.microsoft.icon"];
/// Brands of the pictures whose files are built like films (HEIF, AVIF, JPEG XL, raw ones), in all their dialects.
const BRANDS: &[&[u8; 4]] = &[
    b"mif1", b"mif2", b"msf1", b"miaf", b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs",
    b"avif", b"avis", b"jxl ", b"jp2 ", b"jpx ", b"crx ",
];
/// What names of pictures end in, where the bytes are of no known type: damaged ones, and cameras' own kinds.
const NAMES: &[&str] = &[
    "jpg", "jpeg", "jpe", "jfif", "png", "gif", "webp", "heic", "heif", "hif", "avif", "tif", "tiff", "jxl", "jp2",
    "jxr", "psd", "dng", "cr2", "cr3", "crw", "nef", "nrw", "arw", "sr2", "srf", "raf", "orf", "rw2", "pef", "srw",
    "3fr", "iiq", "x3f",
];

/// Whether a camera may have written into it: it is a picture by its first bytes (`head`, of which `content_type` was found
/// out), or where these tell nothing by its name or its sender's word.
pub(super) fn may_tell(content_type: &str, head: &[u8], path: &Path, kind: Option<AttachmentKind>) -> bool {
    if content_type.starts_with("image/") {
        return !BARE.contains(&content_type);
    }
    if content_type != super::source::UNKNOWN || head.is_empty() {
        return false;
    }
    let extension = path.extension().and_then(|extension| extension.to_str()).unwrap_or_default().to_ascii_lowercase();
    let is_said = kind == Some(AttachmentKind::Image) && extension != "svg";
    is_said || has_brand(head) || NAMES.contains(&&*extension)
}

/// Whether a file that is built like a film says that it is a picture.
fn has_brand(head: &[u8]) -> bool {
    let [a, b, c, d, b'f', b't', b'y', b'p', rest @ ..] = head else { return false };
    let len = u32::from_be_bytes([*a, *b, *c, *d]) as usize;
    let brands = &rest[..len.saturating_sub(8).min(rest.len())];
    brands.chunks_exact(4).any(|brand| BRANDS.iter().any(|known| known[..] == *brand))
}

/// A picture's bytes, without what is to be taken out if it is `cleaned`. `None`: it is too long to be looked at.
///
/// # Errors
/// [`Error::MetadataStays`] when that cannot be taken out; [`Error::File`].
pub(super) fn bytes(file: &mut File, size: u64, cleaned: bool) -> Result<Option<Bytes>, Error> {
    if size > PICTURE_MAX {
        return if cleaned { Err(Error::MetadataStays) } else { Ok(None) };
    }
    let mut bytes = Vec::new();
    file.seek(SeekFrom::Start(0)).map_err(Error::File)?;
    file.by_ref().take(PICTURE_MAX).read_to_end(&mut bytes).map_err(Error::File)?;
    if cleaned {
        bytes = metadata::without(&bytes).ok_or(Error::MetadataStays)?;
    }
    Ok(Some(bytes.into()))
}
