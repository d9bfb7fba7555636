use proptest::prelude::*;

use super::*;

const MAX: usize = 600;

/// Frames one behind the other, each with its prefix.
fn stream(frames: &[Vec<u8>]) -> Vec<u8> {
    frames.iter().flat_map(|frame| [&(frame.len() as u32).to_be_bytes()[..], frame].concat()).collect()
}

/// Pushes `stream` in pieces that end at `cuts`, and gives what came out.
fn pieces(stream: &[u8], cuts: &[usize], mut look: impl FnMut(&Splitter)) -> Vec<Result<Bytes, FrameError>> {
    let mut ends: Vec<usize> = cuts.iter().map(|cut| cut % (stream.len() + 1)).chain([stream.len()]).collect();
    ends.sort_unstable();
    let (mut splitter, mut out, mut start) = (Splitter::new(), Vec::new(), 0);
    for end in ends {
        out.extend(splitter.push(&stream[start..end], MAX));
        look(&splitter);
        start = end;
    }
    out
}

proptest! {
    // However a stream is cut, the frames that went in come out, and nothing is held at the end.
    #[test]
    fn any_split_gives_the_same_frames(
        frames in prop::collection::vec(prop::collection::vec(any::<u8>(), 1..=MAX), 0..8),
        cuts in prop::collection::vec(any::<usize>(), 0..40),
        byte_by_byte in any::<bool>(),
    ) {
        let stream = stream(&frames);
        let cuts = if byte_by_byte { (0..stream.len()).collect() } else { cuts };
        let mut last = (false, 0, 0);
        let out = pieces(&stream, &cuts, |splitter| {
            last = (splitter.is_mid_frame(), splitter.buffered(), splitter.allocated());
            assert!(splitter.allocated() <= PREFIX + MAX);
        });
        let out: Result<Vec<_>, _> = out.into_iter().map(|frame| frame.map(Vec::from)).collect();
        prop_assert_eq!(out, Ok(frames));
        prop_assert_eq!(last, (false, 0, 0));
    }

    // Whatever comes in, memory stays within one frame, and what is held came in.
    #[test]
    fn arbitrary_bytes_cost_no_more_than_a_frame(
        pieces in prop::collection::vec(prop::collection::vec(prop_oneof![Just(0), any::<u8>()], 0..50), 0..20)
    ) {
        let (mut splitter, mut came) = (Splitter::new(), 0);
        for piece in pieces {
            came += piece.len();
            let failed = splitter.push(&piece, MAX).any(|frame| frame.is_err());
            prop_assert!(splitter.allocated() <= PREFIX + MAX);
            prop_assert!(splitter.buffered() <= came);
            if failed {
                break;
            }
        }
    }
}

#[test]
fn between_frames_nothing_is_held() {
    let mut splitter = Splitter::new();
    assert_eq!(splitter.push(&stream(&[vec![1], vec![2, 3]]), MAX).count(), 2);
    assert_eq!((splitter.is_mid_frame(), splitter.allocated()), (false, 0));
    assert_eq!(splitter.push(&stream(&[vec![1; 100]])[..50], MAX).count(), 0);
    assert_eq!((splitter.is_mid_frame(), splitter.buffered()), (true, 50));
    assert_eq!(splitter.push(&stream(&[vec![1; 100]])[50..], MAX).count(), 1);
    assert_eq!((splitter.is_mid_frame(), splitter.allocated()), (false, 0));
}

/// A prefix that announces 256 KiB and then nothing must not cost 256 KiB; memory follows what comes.
#[test]
fn a_claimed_length_allocates_nothing_before_bytes_come() {
    const LEN: usize = 256 * 1024;
    let mut splitter = Splitter::new();
    assert_eq!(splitter.push(&(LEN as u32).to_be_bytes(), LEN).count(), 0);
    assert!(splitter.allocated() <= FIRST_RESERVE);
    let mut frames = 0;
    for came in 1..=LEN / 1024 {
        frames += splitter.push(&[0; 1024], LEN).count();
        assert!(splitter.allocated() <= 2 * (PREFIX + came * 1024).max(FIRST_RESERVE));
        assert!(splitter.allocated() <= PREFIX + LEN);
    }
    assert_eq!((frames, splitter.allocated()), (1, 0));
}

#[test]
fn the_frames_of_one_read_share_one_copy() {
    let frames: Vec<_> = Splitter::new().push(&stream(&[vec![1; 10], vec![2; 10]]), MAX).flatten().collect();
    assert_eq!(frames[0].as_ptr() as usize + 10 + PREFIX, frames[1].as_ptr() as usize);
}

/// Good frames are handed out first; the error comes last, at once as it can be known, and again if more is pushed.
#[test]
fn a_bad_length_comes_after_the_good_frames() {
    for (prefix, error) in [
        (0u32, FrameError::Empty),
        (MAX as u32 + 1, FrameError::TooLarge { len: MAX + 1, max: MAX }),
        (u32::MAX, FrameError::TooLarge { len: u32::MAX as usize, max: MAX }),
    ] {
        let bytes = [stream(&[vec![1], vec![2]]), prefix.to_be_bytes().to_vec(), vec![9; 20]].concat();
        let expected = vec![Ok(Bytes::from_static(&[1])), Ok(Bytes::from_static(&[2])), Err(error)];
        for piece in [bytes.len(), 1] {
            let mut splitter = Splitter::new();
            let end = if piece == 1 { 14 } else { bytes.len() };
            let out: Vec<_> = bytes[..end].chunks(piece).flat_map(|piece| splitter.push(piece, MAX)).collect();
            assert_eq!(out, expected);
            let out: Vec<_> = splitter.push(&[1], MAX).collect();
            assert_eq!(out, [Err(error)], "a stream that failed stays failed");
            assert!(splitter.allocated() <= FIRST_RESERVE);
        }
    }
}

#[test]
fn the_longest_allowed_frame_passes() {
    let frame = vec![5; MAX];
    let out: Vec<_> = Splitter::new().push(&stream(std::slice::from_ref(&frame)), MAX).collect();
    assert_eq!(out, [Ok(Bytes::from(frame))]);
}

#[test]
fn frames_that_are_dropped_unread_do_not_disturb_the_stream() {
    let bytes = stream(&[vec![1], vec![2], vec![3; 9]]);
    let mut splitter = Splitter::new();
    drop(splitter.push(&bytes[..15], MAX));
    let out: Vec<_> = splitter.push(&bytes[15..], MAX).collect();
    assert_eq!(out, [Ok(Bytes::from(vec![3; 9]))]);
}
