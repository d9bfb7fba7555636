//! Words that carry when a message was placed, for an index that gives whole lists and in no order: of a word in a stretch
//! of time only what was said then is read, so that the newest are found without the rest.
//!
//! | word | says |
//! |---|---|
//! | `g…` and a time | a piece, as in [`words`](super::words) |
//! | `c…` and a time | the conversation |
//! | `s…x` and a time | the sender, to the base 16 |
//!
//! A time is a number of [`SLOT_MS`] since 1970, as [`DIGITS`] digits to the base 16; what begins with the same digits
//! stands together in the index, so a stretch of any length is a few words and beginnings of words ([`stretch`]). Where
//! little is said the last digits are left out ([`Pace`]), so that more texts share a word: a word that says less is
//! asked for with all that lie within it. So a text is found by whichever of the forms it has.
//!
//! Words that carry no time, of a former version, are found by their beginnings ([`EVER`]) alone.

use std::ops::RangeInclusive;
use std::sync::atomic::{AtomicU64, Ordering};

use whimbrel_core::search::{Terms, fold, grams};
use whimbrel_core::{ConversationId, UserId};

use super::words::{self, push_gram};

/// Some seventeen minutes. At ten messages a second that is ten thousand of them: what a word that is in each twentieth
/// costs is a few hundred rows.
pub(crate) const SLOT_MS: u64 = 1 << 20;
const DIGITS: usize = 6;
/// The fewest digits of a time.
const DIGITS_MIN: usize = 4;
/// The last time there is: what is placed after the year 2527 shares it.
pub(crate) const LAST: u32 = (1 << (4 * DIGITS as u32)) - 1;
/// Stands for a time that only the database knows: no word has a capital letter.
pub(crate) const OPEN: &str = "T";
/// Of so many texts of one process in a slot each has all digits; of fewer, fewer.
const DENSE: u64 = 256;
const SPARSE: u64 = 16;
/// The end of words for all times, also of those that carry none.
pub(crate) const EVER: &str = "*";

/// When something was placed.
pub(crate) fn slot(at: u64) -> u32 {
    u32::try_from(at / SLOT_MS).unwrap_or(LAST).min(LAST)
}

/// How much is said, as one process sees it: so many digits times have. It may be wrong about it, which costs room or time
/// and nothing else.
#[derive(Debug)]
pub(crate) struct Pace(AtomicU64);

impl Pace {
    pub(crate) fn new() -> Self {
        Self(AtomicU64::new(Self::pack(0, SPARSE, 0)))
    }

    /// The digits of the next text, which was placed then.
    pub(crate) fn digits(&self, at: u64) -> usize {
        let slot = u64::from(slot(at));
        let mut most = 0;
        let count = |state: u64| {
            let (newest, mut before, mut here) = (state >> 40, state >> 20 & 0xf_ffff, state & 0xf_ffff);
            if slot > newest {
                before = if newest == 0 {
                    before
                } else if slot == newest + 1 {
                    here
                } else {
                    0
                };
                here = 0;
            }
            // What is older counts as well: whoever places much of it is not to share its words with all else.
            here = (here + 1).min(0xf_ffff);
            most = before.max(here);
            Some(Self::pack(newest.max(slot), before, here))
        };
        let _ = self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, count);
        match most {
            DENSE.. => DIGITS,
            SPARSE.. => DIGITS - 1,
            _ => DIGITS_MIN,
        }
    }

    fn pack(newest: u64, before: u64, here: u64) -> u64 {
        newest << 40 | before << 20 | here
    }
}

/// When, in so many digits.
pub(crate) fn time(at: u64, digits: usize) -> String {
    let mut time = format!("{:0DIGITS$x}", slot(at));
    time.truncate(digits.clamp(DIGITS_MIN, DIGITS));
    time
}

/// When, in all digits.
pub(crate) fn whole_time(at: u64) -> String {
    time(at, DIGITS)
}

/// All words of a text, with spaces between them; `time` ends each of them.
pub(crate) fn of_text(conversation: ConversationId, sender: UserId, text: &str, time: &str) -> String {
    let mut words = format!("{}{time} {}{time} ", words::of_conversation(conversation), of_sender(sender));
    push_pieces(&mut words, text, time);
    words
}

/// Of these, the words of its pieces.
pub(crate) fn push_pieces(words: &mut String, text: &str, time: &str) {
    let folded = fold(text);
    for (index, gram) in grams(&folded).into_iter().enumerate() {
        if index > 0 {
            words.push(' ');
        }
        push_gram(words, gram);
        words.push_str(time);
    }
}

/// What words of somebody's texts begin with.
pub(crate) fn of_sender(sender: UserId) -> String {
    format!("s{:x}x", sender.0)
}

/// The ends of words for these slots, an asterisk where more may follow: each text of theirs has one of them, and some
/// of the nearest others have as well.
pub(crate) fn stretch(slots: RangeInclusive<u32>) -> Vec<String> {
    let (mut from, end) = (u64::from(*slots.start()), u64::from(*slots.end().min(&LAST)));
    let mut ends: Vec<String> = Vec::new();
    while from <= end {
        let mut level = 0;
        while level < DIGITS && from % (1 << (4 * (level + 1))) == 0 && from + (1 << (4 * (level + 1))) - 1 <= end {
            level += 1;
        }
        let whole = format!("{from:0DIGITS$x}");
        for digits in DIGITS_MIN..DIGITS - level.min(DIGITS) {
            let within = &whole[..digits];
            if !ends.iter().any(|end| end == within) {
                ends.push(within.to_owned());
            }
        }
        let mut word = whole[..DIGITS - level].to_owned();
        if level > 0 {
            word.push('*');
        }
        ends.push(word);
        from += 1 << (4 * level);
    }
    ends
}

/// How seldom a piece is said, by its letters: English is what most of what is long consists of, and elsewhere it does no
/// harm. It decides what is read, not what is found.
fn rarity(gram: &str) -> u32 {
    /// Frequent letters, and the tenths of a bit that each is worth.
    const LETTERS: &[u8; 26] = b"etaoinshrdlcumwfgypbvkjxqz";
    const WORTH: [u32; 26] =
        [30, 35, 36, 37, 38, 39, 40, 40, 41, 46, 46, 52, 52, 54, 54, 55, 56, 57, 57, 61, 67, 70, 94, 94, 100, 104];
    const SAID: [&str; 39] = [
        "the", "and", "ing", "her", "hat", "his", "tha", "ere", "for", "ent", "ion", "ter", "was", "you", "ith", "ver",
        "all", "wit", "thi", "tio", "est", "ers", "ess", "are", "our", "eve", "ate", "not", "but", "out", "ave", "hav",
        "com", "con", "pro", "ome", "htt", "ttp", "www",
    ];
    const HAN: &str = "的一是不了在人有我他这个们来上大你好天么";
    if SAID.contains(&gram) {
        return 60;
    }
    gram.chars()
        .map(|letter| match LETTERS.iter().position(|known| char::from(*known) == letter) {
            Some(place) => WORTH[place],
            None if letter < '\u{2E80}' => 60,
            None if HAN.contains(letter) => 60,
            None => 90,
        })
        .sum()
}

/// What the words of a piece begin with, and of which term it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Piece {
    pub(crate) word: String,
    pub(crate) term: usize,
}

/// Pieces that each text with these terms has, the rarest first; of each term so many and of all so many at most. None: no
/// term is long enough.
pub(crate) fn of_terms(terms: &Terms, of_term: usize, of_all: usize) -> Vec<Piece> {
    let mut all: Vec<(u32, Piece)> = Vec::new();
    for (number, term) in terms.iter().enumerate() {
        let mut grams: Vec<(u32, &str)> = grams(term).into_iter().map(|gram| (rarity(gram), gram)).collect();
        grams.sort_by_key(|(rarity, _)| std::cmp::Reverse(*rarity));
        // Neighbours say nearly the same: they come after the others.
        let (mut far, mut near): (Vec<(usize, _)>, Vec<_>) = (Vec::new(), Vec::new());
        for gram in grams {
            let at = term.find(gram.1).map_or(0, |at| term[..at].chars().count());
            let is_near = far.iter().any(|(other, _)| at.abs_diff(*other) < 2);
            if is_near { near.push(gram) } else { far.push((at, gram)) }
        }
        for (rarity, gram) in far.into_iter().map(|(_, gram)| gram).chain(near).take(of_term) {
            let mut word = String::new();
            push_gram(&mut word, gram);
            if all.iter().all(|(_, piece)| piece.word != word) {
                all.push((rarity, Piece { word, term: number }));
            }
        }
    }
    all.sort_by_key(|(rarity, _)| std::cmp::Reverse(*rarity));
    all.into_iter().map(|(_, piece)| piece).take(of_all).collect()
}

#[cfg(test)]
mod tests;
