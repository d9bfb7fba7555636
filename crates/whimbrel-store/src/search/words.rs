//! The words by which an index finds a text: its pieces ([`grams`]), its conversation and its sender, each as a word of
//! ASCII letters and digits that every engine keeps as it is.
//!
//! | word | says |
//! |---|---|
//! | `g…` | a piece; a to y and digits are themselves, everything else is `z` and four digits to the base 36 |
//! | `c…` | the conversation: the end of its id |
//! | `sid…` | the sender |
//!
//! They have at least four letters, so that no engine finds them too short, and none is a word that engines pass over
//! (such as "the"). What they are may never change: SQLite's index takes a text out by the same words.

use std::fmt::Write as _;

use whimbrel_core::search::{Terms, fold, grams};
use whimbrel_core::{ConversationId, UserId};

/// Pieces that are asked for of one term, and of all. The more, the fewer texts are looked at in vain, and the more of an
/// index is read.
const PIECES_OF_TERM: usize = 4;
const PIECES: usize = 24;
/// Conversations that are named in one question to MySQL; of who is in more, all texts are asked for.
pub(crate) const SCOPE_MAX: usize = 64;

/// All words of a text, with spaces between them.
pub(crate) fn of_text(conversation: ConversationId, sender: UserId, text: &str) -> String {
    format!("{} {} {}", of_conversation(conversation), of_sender(sender), pieces(text))
}

/// Of these, the words of its pieces.
pub(crate) fn pieces(text: &str) -> String {
    let folded = fold(text);
    let grams = grams(&folded);
    let mut words = String::with_capacity(5 * grams.len());
    for gram in grams {
        if !words.is_empty() {
            words.push(' ');
        }
        push_gram(&mut words, gram);
    }
    words
}

/// The words of which a text that holds these terms has every one; none: no term is long enough.
pub(crate) fn of_terms(terms: &Terms) -> Vec<String> {
    let mut words: Vec<String> = Vec::new();
    for term in terms.iter() {
        let grams = grams(term);
        // Spread over the term: neighbours say nearly the same.
        let step = grams.len().div_ceil(PIECES_OF_TERM).max(1);
        for gram in grams.into_iter().step_by(step) {
            let mut word = String::new();
            push_gram(&mut word, gram);
            if !words.contains(&word) {
                words.push(word);
            }
        }
    }
    words.truncate(PIECES);
    words
}

/// The word of what is said in a conversation.
pub(crate) fn of_conversation(conversation: ConversationId) -> String {
    let mut word = String::from("c");
    for byte in &conversation.as_bytes()[8..] {
        let _ = write!(word, "{byte:02x}");
    }
    word
}

/// The word of what somebody said.
pub(crate) fn of_sender(sender: UserId) -> String {
    format!("sid{}", sender.0)
}

pub(super) fn push_gram(words: &mut String, gram: &str) {
    words.push('g');
    for letter in gram.chars() {
        if matches!(letter, 'a'..='y' | '0'..='9') {
            words.push(letter);
            continue;
        }
        words.push('z');
        let code = u32::from(letter);
        words.extend([46_656, 1296, 36, 1].map(|place| char::from_digit(code / place % 36, 36).unwrap_or('0')));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_of_ascii_and_say_which_piece_they_are() {
        let words = of_text(ConversationId::from_bytes([0xab; 16]), UserId(7), "The Zoo 你好 \u{10FFFF}\u{10FFFE}");
        assert!(words.starts_with("cabababababababab sid7 "), "{words}");
        assert!(words.contains(" gthe ") && words.contains(" gz003eoo "), "{words}");
        assert!(words.split(' ').all(|word| word.len() >= 4 && word.bytes().all(|byte| byte.is_ascii_alphanumeric())));
    }

    #[test]
    fn pieces_that_differ_have_words_that_differ() {
        let letters = ["a", "y", "z", "0", "é", "字", "😀", "\u{10FFFF}", "ж"];
        let mut words = std::collections::BTreeSet::new();
        for one in letters {
            for two in letters {
                let mut word = String::new();
                push_gram(&mut word, &format!("{one}{two}"));
                assert!(words.insert(word.clone()), "{word}");
            }
        }
    }

    /// Of a term with many pieces a part is asked for, and that is a part of the text's.
    #[test]
    fn what_is_asked_for_is_among_what_is_kept() {
        let long = "abcdefghijklmnopqrstuvwxyz0123456789".repeat(4);
        let terms = Terms::parse(&format!("{long} 今天天气很好 hi")).expect("good terms");
        let asked = of_terms(&terms);
        let kept = of_text(ConversationId::from_bytes([1; 16]), UserId(1), &format!("{long}今天天气很好hi"));
        let kept: Vec<&str> = kept.split(' ').collect();
        assert!((5..=8).contains(&asked.len()), "{asked:?}");
        assert!(asked.iter().all(|word| kept.contains(&word.as_str())), "{asked:?} {kept:?}");
        assert_eq!(of_terms(&Terms::parse("hi 好 !?").expect("good terms")), Vec::<String>::new());
    }
}
