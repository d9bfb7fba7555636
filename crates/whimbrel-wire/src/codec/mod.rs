//! Cutting a byte stream into frames.
//!
//! Between frames a [`Splitter`] holds nothing: no buffer waits for an idle connection. The bytes that were read are
//! the caller's (one read buffer can serve many connections); whole frames are copied out of them at once, and only
//! a frame of which a part has come is kept, in memory that grows with what really arrived.

use std::mem;

use bytes::{Buf, Bytes};

use crate::FrameError;
use crate::frame::PREFIX;

/// The first allocation for a partial frame, bytes, so that a frame that dribbles in does not reallocate at each read.
const FIRST_RESERVE: usize = 512;

/// What is left over between two reads of one connection.
///
/// After an error the stream has no frames any more: whatever else is pushed gives that error again.
#[derive(Debug, Default)]
pub struct Splitter {
    /// The beginning of a frame, with its prefix; not allocated when empty.
    tail: Vec<u8>,
}

/// The whole frames of one read, in their order, without their prefixes; an error comes last and once.
///
/// They share one copy of what was read, so a frame's memory is free when all frames of its read are.
#[derive(Debug)]
pub struct Frames {
    first: Option<Bytes>,
    chunk: Bytes,
    error: Option<FrameError>,
}

impl Splitter {
    /// At the start of a stream.
    pub const fn new() -> Self {
        Self { tail: Vec::new() }
    }

    /// Takes what was read and gives the frames that are whole now. `max_frame` is the longest that a frame may be,
    /// in bytes after the prefix; it may differ from call to call and is applied to every prefix in this input.
    ///
    /// Every byte of `input` is taken, also when the frames are dropped unread.
    pub fn push(&mut self, input: &[u8], max_frame: usize) -> Frames {
        let mut rest = input;
        let first = match self.complete(&mut rest, max_frame) {
            Ok(first) => first,
            Err(error) => return Frames { first: None, chunk: Bytes::new(), error: Some(error) },
        };
        let (whole, error) = whole_frames(rest, max_frame);
        let chunk = if whole == 0 { Bytes::new() } else { Bytes::copy_from_slice(&rest[..whole]) };
        let part = &rest[whole..];
        if error.is_some() {
            // The bad prefix is kept, so that a stream that failed stays failed.
            self.tail = part[..PREFIX].to_vec();
        } else {
            self.keep(part);
        }
        Frames { first, chunk, error }
    }

    /// Whether a part of a frame has come and the rest has not.
    pub fn is_mid_frame(&self) -> bool {
        !self.tail.is_empty()
    }

    /// Bytes that are kept for the frame that is under way.
    pub fn buffered(&self) -> usize {
        self.tail.len()
    }

    /// Bytes of memory that are held for it: at most twice what came, never more than the frame and its prefix need.
    pub fn allocated(&self) -> usize {
        self.tail.capacity()
    }

    /// Completes the frame that was under way, as far as `rest` reaches.
    fn complete(&mut self, rest: &mut &[u8], max_frame: usize) -> Result<Option<Bytes>, FrameError> {
        if self.tail.is_empty() {
            return Ok(None);
        }
        self.take(rest, PREFIX);
        let Some(len) = announced(&self.tail, max_frame)? else { return Ok(None) };
        self.take(rest, PREFIX + len);
        if self.tail.len() < PREFIX + len {
            return Ok(None);
        }
        let mut frame = Bytes::from(mem::take(&mut self.tail));
        frame.advance(PREFIX);
        Ok(Some(frame))
    }

    /// Moves bytes from `rest` until the tail has `total`, or none are left.
    fn take(&mut self, rest: &mut &[u8], total: usize) {
        let count = total.saturating_sub(self.tail.len()).min(rest.len());
        let len = self.tail.len() + count;
        if len > self.tail.capacity() {
            let capacity = (2 * self.tail.capacity()).max(len).min(total);
            self.tail.reserve_exact(capacity - self.tail.len());
        }
        self.tail.extend_from_slice(&rest[..count]);
        rest.advance(count);
    }

    /// Keeps the beginning of a frame whose prefix, if it is whole, was found good.
    fn keep(&mut self, part: &[u8]) {
        if part.is_empty() {
            return;
        }
        let total = match part.first_chunk() {
            Some(prefix) => PREFIX + u32::from_be_bytes(*prefix) as usize,
            None => PREFIX,
        };
        self.tail = Vec::with_capacity(FIRST_RESERVE.min(total).max(part.len()));
        self.tail.extend_from_slice(part);
    }
}

/// The length that the prefix announces, once it is whole.
fn announced(bytes: &[u8], max_frame: usize) -> Result<Option<usize>, FrameError> {
    let Some(prefix) = bytes.first_chunk::<PREFIX>() else { return Ok(None) };
    match u32::from_be_bytes(*prefix) as usize {
        0 => Err(FrameError::Empty),
        len if len > max_frame => Err(FrameError::TooLarge { len, max: max_frame }),
        len => Ok(Some(len)),
    }
}

/// How many bytes of `bytes` are whole frames, and what is wrong with the prefix behind them.
fn whole_frames(bytes: &[u8], max_frame: usize) -> (usize, Option<FrameError>) {
    let mut end = 0;
    loop {
        match announced(&bytes[end..], max_frame) {
            Err(error) => return (end, Some(error)),
            Ok(Some(len)) if PREFIX + len <= bytes.len() - end => end += PREFIX + len,
            Ok(_) => return (end, None),
        }
    }
}

impl Iterator for Frames {
    type Item = Result<Bytes, FrameError>;

    fn next(&mut self) -> Option<Self::Item> {
        if let Some(first) = self.first.take() {
            return Some(Ok(first));
        }
        if self.chunk.has_remaining() {
            let len = self.chunk.get_u32() as usize;
            return Some(Ok(self.chunk.split_to(len)));
        }
        self.error.take().map(Err)
    }
}

#[cfg(test)]
mod tests;
