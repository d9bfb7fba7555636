//! What a picture looks like: its size, a small picture of it, a blur. A picture from anybody may say that it is as large as
//! a town; so its size is read before anything is decoded, and decoding has a limit in memory.

use std::io::Cursor;

use bytes::Bytes;
use image::codecs::jpeg::JpegEncoder;
use image::metadata::Orientation;
use image::{DynamicImage, ImageDecoder, ImageFormat, ImageReader, Limits, RgbImage};
use whimbrel_core::limits::THUMBNAIL_MAX;

use crate::content::Thumbnail;

/// Most pixels that are decoded.
const PIXELS_MAX: u64 = 50_000_000;
/// Most memory that decoding takes.
const MEMORY_MAX: u64 = 256 * 1024 * 1024;
/// The longer side of a small picture, and of what the blur is made of.
const SIDE: u32 = 240;
const BLUR_SIDE: u32 = 32;

/// What was seen.
pub(super) struct Seen {
    pub(super) dimensions: (u32, u32),
    pub(super) thumbnail: Thumbnail,
}

/// A picture from these bytes, upright; `None` if they are none of the four kinds, are broken, or would take too much.
pub(crate) fn decode(bytes: &[u8]) -> Option<DynamicImage> {
    let reader = ImageReader::new(Cursor::new(bytes)).with_guessed_format().ok()?;
    let known = [ImageFormat::Png, ImageFormat::Jpeg, ImageFormat::Gif, ImageFormat::WebP];
    reader.format().filter(|format| known.contains(format))?;
    let mut decoder = reader.into_decoder().ok()?;
    let (width, height) = decoder.dimensions();
    if u64::from(width) * u64::from(height) > PIXELS_MAX {
        return None;
    }
    let mut limits = Limits::default();
    limits.max_alloc = Some(MEMORY_MAX);
    decoder.set_limits(limits).ok()?;
    let orientation = decoder.orientation().unwrap_or(Orientation::NoTransforms);
    let mut picture = DynamicImage::from_decoder(decoder).ok()?;
    picture.apply_orientation(orientation);
    Some(picture)
}

/// Looks at a picture.
pub(super) fn look(bytes: &[u8]) -> Option<Seen> {
    let picture = decode(bytes)?;
    let dimensions = (picture.width(), picture.height());
    let small = picture.thumbnail(SIDE, SIDE).into_rgb8();
    let tiny = picture.thumbnail(BLUR_SIDE, BLUR_SIDE).into_rgba8();
    let blur_hash = blurhash::encode(4, 3, tiny.width(), tiny.height(), tiny.as_raw()).unwrap_or_default();
    Some(Seen { dimensions, thumbnail: Thumbnail { jpeg: jpeg(&small), blur_hash } })
}

/// As good as fits.
fn jpeg(picture: &RgbImage) -> Bytes {
    for quality in [75, 50, 30, 10] {
        let mut bytes = Vec::new();
        let encoded = JpegEncoder::new_with_quality(&mut bytes, quality).encode_image(picture);
        if encoded.is_ok() && bytes.len() <= THUMBNAIL_MAX {
            return bytes.into();
        }
    }
    Bytes::new()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn png(width: u32, height: u32) -> Vec<u8> {
        let picture = RgbImage::from_fn(width, height, |x, y| image::Rgb([x as u8, y as u8, (x * y) as u8]));
        let mut bytes = Cursor::new(Vec::new());
        picture.write_to(&mut bytes, ImageFormat::Png).expect("it is written");
        bytes.into_inner()
    }

    #[test]
    fn a_picture_gets_a_small_one_and_a_blur() {
        let seen = look(&png(1000, 500)).expect("a picture");
        assert_eq!(seen.dimensions, (1000, 500));
        let small = image::load_from_memory(&seen.thumbnail.jpeg).expect("a picture");
        assert_eq!((small.width(), small.height()), (SIDE, SIDE / 2));
        assert!(seen.thumbnail.jpeg.len() <= THUMBNAIL_MAX);
        assert_eq!(seen.thumbnail.blur_hash.len(), 28);
        assert!(look(b"no picture").is_none());
    }

    /// The header says four billion pixels a side; nothing of that size is made.
    #[test]
    fn a_bomb_is_not_decoded() {
        let mut bomb = png(10, 10);
        bomb[16..24].copy_from_slice(&[0xff; 8]);
        assert!(look(&bomb).is_none());
        // The header is right by its checksum, too: 30,000 pixels a side.
        let mut header = b"IHDR".to_vec();
        header.extend([0, 0, 0x75, 0x30, 0, 0, 0x75, 0x30, 8, 2, 0, 0, 0]);
        bomb[12..29].copy_from_slice(&header);
        bomb[29..33].copy_from_slice(&crc(&header).to_be_bytes());
        assert!(look(&bomb).is_none());
    }

    fn crc(bytes: &[u8]) -> u32 {
        let step = |crc: u32| if crc & 1 == 1 { 0xedb8_8320 ^ (crc >> 1) } else { crc >> 1 };
        let table = |byte: u32| (0..8).fold(byte, |crc, _| step(crc));
        !bytes.iter().fold(!0, |crc, byte| table((crc ^ u32::from(*byte)) & 0xff) ^ (crc >> 8))
    }
}
