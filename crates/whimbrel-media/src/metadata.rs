//! Taking out of a picture what cameras and programs write beside it: the place, the time, the device, its owner. Pixels
//! and colours stay as they are, bit by bit; of a JPEG also which side is up.
//!
//! What cannot be followed to its end is not passed on: `None`. What stands behind a picture's end (second pictures,
//! films) goes too.

/// The picture without its metadata. `None`: it is damaged, or of a kind that is not known here.
pub fn without(bytes: &[u8]) -> Option<Vec<u8>> {
    match bytes {
        [0xff, 0xd8, ..] => jpeg(bytes),
        [0x89, b'P', b'N', b'G', ..] => png(bytes),
        [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'E', b'B', b'P', ..] => webp(bytes),
        [b'G', b'I', b'F', b'8', ..] => gif(bytes),
        _ => None,
    }
}

/// Segments: `ff`, marker, length, content; compressed data behind those that begin a scan.
fn jpeg(bytes: &[u8]) -> Option<Vec<u8>> {
    let mut out = vec![0xff, 0xd8];
    let mut at = 2;
    let mut upright = None;
    loop {
        let [0xff, marker, rest @ ..] = bytes.get(at..)? else { return None };
        match *marker {
            // Filling.
            0xff => at += 1,
            0xd9 => {
                out.extend([0xff, 0xd9]);
                return Some(out);
            }
            _ => {
                let len = usize::from(u16::from_be_bytes([*rest.first()?, *rest.get(1)?]));
                let content = rest.get(2..len)?;
                let segment = bytes.get(at..at + 2 + len)?;
                at += segment.len();
                match *marker {
                    0xe1 => upright = upright.or_else(|| orientation(content)),
                    // Other programs' words, comments, and where second pictures stand.
                    0xed | 0xfe => {}
                    0xe2 if content.starts_with(b"MPF\0") => {}
                    0xe3..=0xec | 0xef => {}
                    _ => {
                        // Before everything that is not an application's.
                        if !(0xe0..=0xef).contains(marker)
                            && let Some(up) = upright.take()
                        {
                            out.extend(exif(up));
                        }
                        out.extend_from_slice(segment);
                    }
                }
                if *marker == 0xda {
                    let scan = scan(&bytes[at..])?;
                    out.extend_from_slice(&bytes[at..at + scan]);
                    at += scan;
                }
            }
        }
    }
}

/// Bytes of compressed data: up to the next marker that is neither a stuffed byte nor a restart.
fn scan(bytes: &[u8]) -> Option<usize> {
    let ends = |pair: &[u8]| pair[0] == 0xff && pair[1] != 0 && !(0xd0..=0xd7).contains(&pair[1]);
    bytes.windows(2).position(ends)
}

/// Which side is up, if an Exif segment says another one than usual.
fn orientation(content: &[u8]) -> Option<u16> {
    let tiff = content.strip_prefix(b"Exif\0\0")?;
    let big = match tiff.get(..2)? {
        b"MM" => true,
        b"II" => false,
        _ => return None,
    };
    let short = |at: usize| {
        let pair = [*tiff.get(at)?, *tiff.get(at + 1)?];
        Some(if big { u16::from_be_bytes(pair) } else { u16::from_le_bytes(pair) })
    };
    let long = |at: usize| {
        let (one, two) = (u32::from(short(at)?), u32::from(short(at + 2)?));
        Some(if big { one << 16 | two } else { two << 16 | one })
    };
    let table = usize::try_from(long(4)?).ok()?;
    let count = usize::from(short(table)?);
    let entry = (0..count).map(|entry| table + 2 + 12 * entry).find(|at| short(*at) == Some(0x0112))?;
    short(entry + 8).filter(|up| (2..=8).contains(up))
}

/// An Exif segment that says which side is up, and nothing else.
pub(crate) fn exif(up: u16) -> Vec<u8> {
    let mut segment = vec![0xff, 0xe1, 0, 34];
    segment.extend(b"Exif\0\0MM\0\x2a\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01");
    segment.extend(up.to_be_bytes());
    segment.extend([0; 6]);
    segment
}

/// Chunks: length, kind, content, checksum.
fn png(bytes: &[u8]) -> Option<Vec<u8>> {
    let mut out = bytes.get(..8)?.to_vec();
    let mut at = 8;
    loop {
        let head: &[u8; 8] = bytes.get(at..at + 8)?.try_into().ok()?;
        let len = u32::from_be_bytes([head[0], head[1], head[2], head[3]]) as usize;
        let chunk = bytes.get(at..at.checked_add(len)?.checked_add(12)?)?;
        at += chunk.len();
        let kind = &head[4..];
        if ![&b"eXIf"[..], b"tEXt", b"zTXt", b"iTXt", b"tIME"].contains(&kind) {
            out.extend_from_slice(chunk);
        }
        if kind == b"IEND" {
            return Some(out);
        }
    }
}

/// Chunks: kind, length, content, filled up to an even number.
fn webp(bytes: &[u8]) -> Option<Vec<u8>> {
    let whole = u32::from_le_bytes(bytes.get(4..8)?.try_into().ok()?) as usize;
    let bytes = bytes.get(..whole.checked_add(8)?)?;
    let mut out = bytes[..12].to_vec();
    let mut at = 12;
    while at < bytes.len() {
        let len = u32::from_le_bytes(bytes.get(at + 4..at + 8)?.try_into().ok()?) as usize;
        let end = at.checked_add(8)?.checked_add(len)?;
        let chunk = bytes.get(at..end + (len & 1)).or_else(|| bytes.get(at..end))?;
        let begins = out.len();
        match &chunk[..4] {
            b"EXIF" | b"XMP " => {}
            _ => out.extend_from_slice(chunk),
        }
        if chunk.starts_with(b"VP8X") {
            // Neither is there any more.
            *out.get_mut(begins + 8)? &= !(0x08 | 0x04);
        }
        at += chunk.len();
    }
    let len = u32::try_from(out.len() - 8).ok()?;
    out[4..8].copy_from_slice(&len.to_le_bytes());
    Some(out)
}

/// Blocks: pictures, and extensions that are shortened to those that say how pictures follow each other.
fn gif(bytes: &[u8]) -> Option<Vec<u8>> {
    let table = |flags: u8| if flags & 0x80 == 0 { 0 } else { 3 << ((flags & 7) + 1) };
    let head = 13 + table(*bytes.get(10)?);
    let mut out = bytes.get(..head)?.to_vec();
    let mut at = head;
    loop {
        let start = at;
        match *bytes.get(at)? {
            0x3b => {
                out.push(0x3b);
                return Some(out);
            }
            0x2c => {
                at += 10 + table(*bytes.get(at + 9)?) + 1;
                at = blocks(bytes, at)?;
                out.extend_from_slice(&bytes[start..at]);
            }
            0x21 => {
                let (label, name) = (*bytes.get(at + 1)?, bytes.get(at + 3..at + 14).unwrap_or_default());
                at = blocks(bytes, at + 2)?;
                if label == 0xf9 || label == 0xff && name == b"NETSCAPE2.0" {
                    out.extend_from_slice(&bytes[start..at]);
                }
            }
            _ => return None,
        }
    }
}

/// The end of a row of blocks, each with its length; the last has none.
fn blocks(bytes: &[u8], mut at: usize) -> Option<usize> {
    loop {
        let len = usize::from(*bytes.get(at)?);
        at += 1 + len;
        if len == 0 {
            return (at <= bytes.len()).then_some(at);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use image::{ImageFormat, RgbImage};

    use super::*;
    use crate::picture::decode;

    const PLACE: &[u8] = b"52.5200N 13.4050E";

    fn picture(format: ImageFormat) -> Vec<u8> {
        let picture = RgbImage::from_fn(40, 20, |x, y| image::Rgb([x as u8 * 6, y as u8 * 12, 90]));
        let mut bytes = Cursor::new(Vec::new());
        picture.write_to(&mut bytes, format).expect("it is written");
        bytes.into_inner()
    }

    fn has_place(bytes: &[u8]) -> bool {
        bytes.windows(PLACE.len()).any(|window| window == PLACE)
    }

    /// An Exif segment's content: which side is up, and the place.
    fn camera(up: u16) -> Vec<u8> {
        let mut content = exif(up)[4..].to_vec();
        content.extend(PLACE);
        content
    }

    fn segment(marker: u8, content: &[u8]) -> Vec<u8> {
        let len = (content.len() as u16 + 2).to_be_bytes();
        [&[0xff, marker], &len[..], content].concat()
    }

    #[test]
    fn a_jpeg_loses_its_place_and_keeps_its_pixels_and_its_upper_side() {
        let plain = picture(ImageFormat::Jpeg);
        let mut told = plain[..2].to_vec();
        told.extend(segment(0xe1, &camera(6)));
        told.extend(segment(0xed, PLACE));
        told.extend(segment(0xfe, PLACE));
        told.extend(&plain[2..]);
        // A second picture behind the first one's end.
        told.extend(&told.clone());
        assert!(has_place(&told));
        let (before, taken) = (decode(&told).expect("a picture"), without(&told).expect("it is whole"));
        assert!(!has_place(&taken));
        let after = decode(&taken).expect("a picture");
        assert_eq!((after.width(), after.height()), (20, 40), "it stands on its side");
        assert_eq!(after.into_rgb8(), before.into_rgb8());
        assert_eq!(without(&plain).as_ref(), Some(&plain), "where nothing is told nothing changes");
        for cut in 2..told.len() / 2 {
            assert!(without(&told[..cut]).is_none(), "cut off at {cut}");
        }
    }

    #[test]
    fn a_png_loses_its_texts() {
        let plain = picture(ImageFormat::Png);
        let chunk =
            |kind: &[u8], content: &[u8]| [&(content.len() as u32).to_be_bytes()[..], kind, content, &[0; 4]].concat();
        let mut told = plain[..33].to_vec();
        told.extend(chunk(b"tEXt", PLACE));
        told.extend(chunk(b"eXIf", PLACE));
        told.extend(&plain[33..]);
        told.extend(PLACE);
        assert_eq!(without(&told), Some(plain));
        assert!(without(&told[..60]).is_none());
    }

    #[test]
    fn a_webp_loses_its_exif_and_does_not_say_that_it_has_it() {
        let plain = picture(ImageFormat::WebP);
        let chunk = |kind: &[u8], content: &[u8]| {
            let fill = vec![0; content.len() & 1];
            [kind, &(content.len() as u32).to_le_bytes()[..], content, &fill].concat()
        };
        let extended = chunk(b"VP8X", &[0x0c, 0, 0, 0, 39, 0, 0, 19, 0, 0]);
        let told = [&plain[..12], &extended, &plain[12..], &chunk(b"EXIF", PLACE), &chunk(b"XMP ", PLACE)].concat();
        let told = [&told[..4], &((told.len() - 8) as u32).to_le_bytes(), &told[8..], PLACE].concat();
        let taken = without(&told).expect("it is whole");
        assert!(!has_place(&taken));
        assert_eq!(taken[20], 0);
        assert_eq!(decode(&taken).expect("a picture").into_rgb8(), decode(&plain).expect("a picture").into_rgb8());
    }

    #[test]
    fn a_gif_loses_its_comments_and_still_moves() {
        let plain = picture(ImageFormat::Gif);
        let extension = |label: u8, content: &[u8]| [&[0x21, label, content.len() as u8], content, &[0]].concat();
        let mut told = plain[..plain.len() - 1].to_vec();
        let again = [&[0x21, 0xff, 11], &b"NETSCAPE2.0"[..], &[3, 1, 0, 0, 0]].concat();
        told.extend(extension(0xfe, PLACE));
        told.extend(&again);
        told.push(0x3b);
        told.extend(PLACE);
        let taken = without(&told).expect("it is whole");
        assert_eq!(taken, [&plain[..plain.len() - 1], &again, &[0x3b]].concat());
    }
}
