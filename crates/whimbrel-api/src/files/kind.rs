//! What a readable file is, by its first bytes: whether these fit the type that it claims, and how large a picture is.
//!
//! Nothing is decoded here: pictures are only measured, by their headers.

use imagesize::ImageError;

use crate::error::Code;

/// Types by the same first bytes: what is on the left is found, what is on the right may be claimed too.
const ALSO: &[(&str, &[&str])] = &[
    ("application/zip", &["application/", "model/"]),
    ("application/x-ole-storage", &["application/"]),
    ("application/gzip", &["application/"]),
    ("text/xml", &["application/", "image/svg+xml", "text/"]),
    ("text/html", &["text/"]),
    ("video/mp4", &["audio/mp4", "audio/x-m4a", "audio/aac", "video/quicktime", "video/x-m4v"]),
    ("video/quicktime", &["video/mp4"]),
    ("audio/m4a", &["audio/mp4", "audio/x-m4a", "audio/aac", "video/mp4"]),
    ("video/webm", &["audio/webm", "video/x-matroska"]),
    ("video/x-matroska", &["video/webm", "audio/webm"]),
    ("audio/ogg", &["application/ogg", "audio/opus", "video/ogg"]),
    ("video/ogg", &["application/ogg", "audio/ogg"]),
    ("audio/x-wav", &["audio/wav", "audio/wave", "audio/vnd.wave"]),
    ("audio/x-flac", &["audio/flac"]),
    ("audio/mpeg", &["audio/mp3"]),
    ("image/jpeg", &["image/jpg"]),
];

/// Types that are always known by their first bytes: something else under their name is a lie.
const KNOWN: &[&str] = &[
    "image/png",
    "image/jpeg",
    "image/jpg",
    "image/gif",
    "image/webp",
    "image/bmp",
    "image/tiff",
    "application/pdf",
    "application/zip",
    "application/gzip",
    "video/mp4",
    "video/webm",
    "audio/ogg",
    "audio/flac",
];

/// Whether a file that begins so may be of this type.
pub(crate) fn check(claimed: &str, head: &[u8], pixels_max: u64) -> Result<(), Code> {
    let found = infer::get(head).map(|kind| kind.mime_type());
    if !fits(claimed, found) {
        return Err(Code::TypeMismatch);
    }
    if !claimed.starts_with("image/") {
        return Ok(());
    }
    match imagesize::blob_size(head) {
        Ok(size) if size.width as u64 * size.height as u64 > pixels_max => Err(Code::TooManyPixels),
        // A header that says no size, of a kind of picture that has one, is no picture that anybody can show.
        Err(ImageError::CorruptedImage) if found.is_some() => Err(Code::TypeMismatch),
        _ => Ok(()),
    }
}

fn fits(claimed: &str, found: Option<&str>) -> bool {
    if claimed == "application/octet-stream" {
        return true;
    }
    let Some(found) = found else { return !KNOWN.contains(&claimed) };
    let others = ALSO.iter().find(|(kind, _)| *kind == found).map_or(&[][..], |(_, others)| others);
    claimed == found
        || others.iter().any(|other| claimed == *other || other.ends_with('/') && claimed.starts_with(other))
}

#[cfg(test)]
mod tests {
    use super::*;

    const PIXELS: u64 = 1_000_000;

    /// The header of a PNG of this size; nothing follows.
    fn png(width: u32, height: u32) -> Vec<u8> {
        let mut bytes = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR".to_vec();
        bytes.extend(width.to_be_bytes());
        bytes.extend(height.to_be_bytes());
        bytes.extend([8, 6, 0, 0, 0, 0, 0, 0, 0]);
        bytes
    }

    #[test]
    fn a_type_that_lies_is_found() {
        let (png, exe, html) = (png(10, 10), b"MZ\x90\0\x03\0\0\0\x04\0".to_vec(), b"<!DOCTYPE html><p>".to_vec());
        let (zip, pdf, text) = (b"PK\x03\x04\x14\0".to_vec(), b"%PDF-1.7".to_vec(), b"hello".to_vec());
        for (claimed, bytes, fits) in [
            ("image/png", &png, true),
            ("image/jpeg", &png, false),
            ("text/plain", &png, false),
            ("application/octet-stream", &exe, true),
            ("image/png", &exe, false),
            ("text/plain", &exe, false),
            ("image/png", &html, false),
            ("image/png", &text, false),
            ("application/pdf", &text, false),
            ("application/pdf", &pdf, true),
            ("text/plain", &text, true),
            ("text/plain", &vec![], true),
            ("application/vnd.openxmlformats-officedocument.wordprocessingml.document", &zip, true),
            ("image/png", &zip, false),
        ] {
            assert_eq!(check(claimed, bytes, PIXELS).is_ok(), fits, "{claimed}, {bytes:?}");
        }
    }

    #[test]
    fn a_picture_that_would_fill_all_memory_is_known_by_its_header() {
        assert_eq!(check("image/png", &png(1000, 1000), PIXELS), Ok(()));
        assert_eq!(check("image/png", &png(1000, 1001), PIXELS), Err(Code::TooManyPixels));
        assert_eq!(check("image/png", &png(u32::MAX, u32::MAX), PIXELS), Err(Code::TooManyPixels));
    }
}
