//! What a picture looks like: its size, a small picture of it, a blur. A picture from anybody may say that it is as large as
//! a town; so its size is read before anything is decoded, and decoding has a limit in memory.

use std::io::Cursor;

use image::codecs::jpeg::JpegEncoder;
use image::metadata::Orientation;
use image::{DynamicImage, ImageDecoder, ImageFormat, ImageReader, Limits, RgbImage};
use whimbrel_core::limits::THUMBNAIL_MAX;

/// Most pixels that are decoded.
const PIXELS_MAX: u64 = 50_000_000;
/// Most memory that decoding takes, the picture included, bytes.
const MEMORY_MAX: u64 = 256 * 1024 * 1024;
/// Of this, what reading the header takes, with what may stand packed beside the pixels (a colour profile): before it is
/// known how many pixels there are, bytes.
const HEADER_MAX: u64 = 8 * 1024 * 1024;
/// The longer side of a small picture, and of what the blur is made of.
const SIDE: u32 = 240;
const BLUR_SIDE: u32 = 32;

/// What a picture looks like.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Looks {
    /// Width and height in pixels, upright.
    pub dimensions: (u32, u32),
    /// A small one: a JPEG of at most [`THUMBNAIL_MAX`] bytes, or nothing.
    pub thumbnail: Vec<u8>,
    /// What to show until there is a picture (BlurHash).
    pub blur_hash: String,
}

/// A picture as it was stored, and how it is to be turned.
fn open(bytes: &[u8]) -> Option<(DynamicImage, Orientation)> {
    open_within(bytes, MEMORY_MAX)
}

fn open_within(bytes: &[u8], memory: u64) -> Option<(DynamicImage, Orientation)> {
    let mut decoder = header(bytes)?;
    let (width, height) = decoder.dimensions();
    if u64::from(width) * u64::from(height) > PIXELS_MAX {
        return None;
    }
    let mut limits = Limits::default();
    limits.max_alloc = Some(memory);
    // The decoder counts what it needs itself; the picture that it fills is counted here.
    limits.reserve(decoder.total_bytes()).ok()?;
    decoder.set_limits(limits).ok()?;
    let orientation = decoder.orientation().unwrap_or(Orientation::NoTransforms);
    Some((DynamicImage::from_decoder(decoder).ok()?, orientation))
}

/// What precedes the pixels.
fn header(bytes: &[u8]) -> Option<impl ImageDecoder> {
    let mut reader = ImageReader::new(Cursor::new(bytes)).with_guessed_format().ok()?;
    let known = [ImageFormat::Png, ImageFormat::Jpeg, ImageFormat::Gif, ImageFormat::WebP];
    reader.format().filter(|format| known.contains(format))?;
    let mut limits = Limits::default();
    limits.max_alloc = Some(HEADER_MAX);
    reader.limits(limits);
    reader.into_decoder().ok()
}

/// Looks at a picture; `None` if these bytes are none of the four kinds, are broken, or would take too much.
pub fn look(bytes: &[u8]) -> Option<Looks> {
    let (picture, orientation) = open(bytes)?;
    // What is turned is small: a second one as large as the picture is never made.
    let mut small = picture.thumbnail(SIDE, SIDE);
    let mut dimensions = (picture.width(), picture.height());
    drop(picture);
    small.apply_orientation(orientation);
    if is_on_its_side(orientation) {
        dimensions = (dimensions.1, dimensions.0);
    }
    let tiny = small.thumbnail(BLUR_SIDE, BLUR_SIDE).into_rgba8();
    let blur_hash = blurhash::encode(4, 3, tiny.width(), tiny.height(), tiny.as_raw()).unwrap_or_default();
    Some(Looks { dimensions, thumbnail: jpeg(&small.into_rgb8()), blur_hash })
}

fn is_on_its_side(orientation: Orientation) -> bool {
    use Orientation::{Rotate90, Rotate90FlipH, Rotate270, Rotate270FlipH};
    [Rotate90, Rotate270, Rotate90FlipH, Rotate270FlipH].contains(&orientation)
}

/// Rows of pixels of a picture, upright: red, green and blue; made smaller to at most this size. `None` as of [`look`].
pub fn pixels(bytes: &[u8], width: u32, height: u32) -> Option<Vec<Vec<[u8; 3]>>> {
    let (picture, orientation) = open(bytes)?;
    let mut picture = picture;
    picture.apply_orientation(orientation);
    let picture = picture.thumbnail(width, height).into_rgb8();
    Some(picture.rows().map(|row| row.map(|pixel| pixel.0).collect()).collect())
}

/// As good as fits.
fn jpeg(picture: &RgbImage) -> Vec<u8> {
    for quality in [75, 50, 30, 10] {
        let mut bytes = Vec::new();
        let encoded = JpegEncoder::new_with_quality(&mut bytes, quality).encode_image(picture);
        if encoded.is_ok() && bytes.len() <= THUMBNAIL_MAX {
            return bytes;
        }
    }
    Vec::new()
}

/// The whole picture, upright.
#[cfg(test)]
pub(crate) fn decode(bytes: &[u8]) -> Option<DynamicImage> {
    let (mut picture, orientation) = open(bytes)?;
    picture.apply_orientation(orientation);
    Some(picture)
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
        let small = image::load_from_memory(&seen.thumbnail).expect("a picture");
        assert_eq!((small.width(), small.height()), (SIDE, SIDE / 2));
        assert!(seen.thumbnail.len() <= THUMBNAIL_MAX);
        assert_eq!(seen.blur_hash.len(), 28);
        assert!(look(b"no picture").is_none());
        assert_eq!(pixels(&seen.thumbnail, 10, 10).map(|rows| (rows.len(), rows[0].len())), Some((5, 10)));
    }

    /// A picture that lies on its side is shown upright, and so is the small one.
    #[test]
    fn a_picture_on_its_side_is_seen_upright() {
        let lying = RgbImage::from_fn(100, 50, |x, _| image::Rgb(if x < 50 { [250, 0, 0] } else { [0, 0, 250] }));
        let mut bytes = Cursor::new(Vec::new());
        lying.write_to(&mut bytes, ImageFormat::Jpeg).expect("it is written");
        let plain = bytes.into_inner();
        let turned = [&plain[..2], &crate::metadata::exif(6), &plain[2..]].concat();
        let seen = look(&turned).expect("a picture");
        assert_eq!(seen.dimensions, (50, 100));
        let rows = pixels(&seen.thumbnail, 50, 100).expect("a picture");
        assert!(rows[5][20][0] > 200 && rows[90][20][2] > 200, "red is above, blue below");
        assert_eq!(decode(&turned).map(|all| (all.width(), all.height())), Some((50, 100)));
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

    /// A colour profile of many zeros is small while it is packed.
    #[test]
    fn a_bomb_beside_the_pixels_is_not_unpacked() {
        let with_profile = |len: usize| {
            let mut bytes = Vec::new();
            let mut encoder = image::codecs::png::PngEncoder::new(&mut bytes);
            image::ImageEncoder::set_icc_profile(&mut encoder, vec![0; len]).expect("PNGs have profiles");
            RgbImage::new(10, 10).write_with_encoder(encoder).expect("it is written");
            bytes
        };
        let profile = |bytes: &[u8]| header(bytes).expect("a picture").icc_profile().expect("it is read");
        assert_eq!(profile(&with_profile(100_000)).map(|profile| profile.len()), Some(100_000));
        let bomb = with_profile(4 * HEADER_MAX as usize);
        assert!(bomb.len() < 100_000 && look(&bomb).is_some(), "{} bytes", bomb.len());
        assert_eq!(profile(&bomb), None);
    }

    /// The picture itself counts, whatever its decoder needs besides.
    #[test]
    fn a_picture_takes_no_more_memory_than_it_may() {
        let picture = png(1000, 500);
        assert!(open_within(&picture, 2_000_000).is_some());
        assert!(open_within(&picture, 1_400_000).is_none(), "it has 1.5 MB");
    }

    fn crc(bytes: &[u8]) -> u32 {
        let step = |crc: u32| if crc & 1 == 1 { 0xedb8_8320 ^ (crc >> 1) } else { crc >> 1 };
        let table = |byte: u32| (0..8).fold(byte, |crc, _| step(crc));
        !bytes.iter().fold(!0, |crc, byte| table((crc ^ u32::from(*byte)) & 0xff) ^ (crc >> 8))
    }
}
