//! What is typed, what is found, what is shown; and, for any text, that an index by pieces misses nothing.

use proptest::prelude::*;

use super::*;

fn terms(typed: &str) -> Terms {
    Terms::parse(typed).expect("good terms")
}

fn found<'a>(typed: &str, text: &'a str) -> Option<Vec<&'a str>> {
    terms(typed).find(text).map(|ranges| ranges.into_iter().map(|range| &text[range]).collect())
}

fn shown(typed: &str, text: &str, letters: usize) -> (String, Vec<(usize, usize)>) {
    let Snippet { text, highlights } = snippet(text, &terms(typed).find(text).expect("it is found"), letters);
    (text, highlights.into_iter().map(|range| (range.start, range.end)).collect())
}

#[test]
fn words_stand_apart_and_phrases_stay_whole() {
    let parsed = |typed: &str| terms(typed).iter().map(str::to_owned).collect::<Vec<_>>();
    assert_eq!(parsed("  Hello \t WORLD hello"), ["hello", "world"]);
    assert_eq!(parsed(r#"a "Good Morning" b"#), ["a", "good morning", "b"]);
    assert_eq!(parsed(r#""not closed "#), ["not closed"]);
    assert_eq!(parsed("你好\u{3000}世界"), ["你好", "世界"]);
    assert_eq!(parsed(r#"x"y z"w"#), ["x", "y z", "w"]);
}

#[test]
fn what_cannot_be_searched_for_is_named() {
    for empty in ["", "  ", "\"\"", "\" \" \"\""] {
        assert_eq!(Terms::parse(empty), Err(TermsError::Empty), "{empty:?}");
    }
    let many = |count: usize| (0..count).map(|n| format!("w{n} ")).collect::<String>();
    assert!(Terms::parse(&many(SEARCH_TERMS_MAX)).is_ok());
    assert_eq!(Terms::parse(&many(SEARCH_TERMS_MAX + 1)), Err(TermsError::TooMany));
    assert!(Terms::parse(&"字".repeat(SEARCH_LETTERS_MAX)).is_ok());
    assert_eq!(Terms::parse(&"字".repeat(SEARCH_LETTERS_MAX + 1)), Err(TermsError::TooLong));
}

#[test]
fn all_terms_must_occur_wherever_they_do() {
    assert_eq!(found("lo wor", "Hello World"), Some(vec!["lo", "Wor"]));
    assert_eq!(found("hello mars", "Hello World"), None);
    assert_eq!(found("\"o w\"", "Hello World"), Some(vec!["o W"]));
    assert_eq!(found("世界 早", "早上好，世界！"), Some(vec!["早", "世界"]));
    assert_eq!(found("ab bc", "abc"), Some(vec!["abc"]), "what overlaps is one");
    assert_eq!(found("%", "100% of_it"), Some(vec!["%"]));
}

/// Letters that take more, or fewer, bytes when they are folded move nothing.
#[test]
fn what_is_found_is_named_in_the_text_as_it_is() {
    assert_eq!(found("x", "ȺȺx"), Some(vec!["x"]));
    assert_eq!(found("ⱥ", "aȺb"), Some(vec!["Ⱥ"]));
    assert_eq!(found("k", "\u{212A}\u{212A} k"), Some(vec!["\u{212A}\u{212A}", "k"]));
    assert_eq!(found("istanbul", "İSTANBUL"), Some(vec!["İSTANBUL"]));
}

#[test]
fn a_snippet_shows_what_was_found_and_where_it_is_cut() {
    assert_eq!(shown("world", "Hello World", 40), ("Hello World".into(), vec![(6, 11)]));
    assert_eq!(
        shown("five", "one two three four five six seven eight", 16),
        ("…our five six sev…".into(), vec![(5, 9)])
    );
    assert_eq!(
        shown("eight", "one two three four five six seven eight", 16),
        ("… six seven eight".into(), vec![(12, 17)])
    );
    assert_eq!(shown("b", "a\n\n\tb\0c", 40), ("a b c".into(), vec![(2, 3)]));
    assert_eq!(shown("🎉", "👩‍👩‍👧 🎉🎉 你好", 40).1, [(6, 8)], "characters, not bytes");
    let nothing = snippet("a long title", &[], 6);
    assert_eq!((nothing.text.as_str(), nothing.highlights.len()), ("a long…", 0));
}

#[test]
fn pieces_are_threes_and_where_a_script_is_dense_twos() {
    let grams = |text: &str| grams(text).into_iter().map(str::to_owned).collect::<Vec<_>>();
    assert_eq!(grams("hello, it is"), ["ell", "hel", "llo"]);
    assert_eq!(grams("今天见ok吧abc"), ["abc", "k吧", "今天", "吧a", "天见", "见o"]);
    assert_eq!(grams("a b 字 !?"), Vec::<String>::new());
}

fn texts() -> impl Strategy<Value = String> {
    // Few letters, so that terms occur; among them those that change their length when folded.
    proptest::collection::vec(
        proptest::sample::select("aAbcȺⱥİi\u{212A}你好 \t\"%🎉.1".chars().collect::<Vec<_>>()),
        0..60,
    )
    .prop_map(|letters| letters.into_iter().collect())
}

proptest! {
    /// For what is found, every piece of every term is a piece of the text.
    #[test]
    fn an_index_misses_nothing(text in texts(), typed in "[aAbȺiK你好 ]{1,6}") {
        let Ok(terms) = Terms::parse(&typed) else { return Ok(()) };
        let folded = fold(&text);
        let text_has = grams(&folded);
        let is_found = terms.iter().all(|term| folded.contains(term));
        prop_assert_eq!(terms.find(&text).is_some(), is_found);
        if is_found {
            for term in terms.iter() {
                prop_assert!(grams(term).is_subset(&text_has));
            }
        }
    }

    /// What is cut out of a text is found in it.
    #[test]
    fn every_part_of_a_text_is_found_in_it(text in texts(), from in 0usize..60, count in 1usize..20) {
        let part: String = text.chars().skip(from).take(count).filter(|letter| *letter != '"').collect();
        let Ok(terms) = Terms::parse(&part) else { return Ok(()) };
        let text = text.replace('"', "");
        let ranges = terms.find(&text).expect("it is a part");
        let again: String = ranges.iter().map(|range| fold(&text[range.clone()])).collect();
        prop_assert!(terms.iter().any(|term| again.contains(term)));
        prop_assert!(ranges.windows(2).all(|pair| pair[0].end < pair[1].start));
    }

    /// A snippet holds no more than it may, and its highlights are what was found, as it was written.
    #[test]
    fn a_snippet_is_a_part_of_the_text(text in texts(), letters in 1usize..30) {
        let Some(ranges) = terms("a").find(&text) else { return Ok(()) };
        let Snippet { text: shown, highlights } = snippet(&text, &ranges, letters);
        let characters: Vec<char> = shown.chars().collect();
        prop_assert!(characters.len() <= letters + 2);
        prop_assert!(!highlights.is_empty());
        for range in highlights {
            prop_assert!(characters[range].iter().all(|letter| matches!(letter, 'a' | 'A')));
        }
    }

    /// Whatever is typed is parsed, or refused with a name.
    #[test]
    fn nothing_that_is_typed_breaks_it(typed in ".{0,250}", text in ".{0,100}") {
        if let Ok(terms) = Terms::parse(&typed)
            && let Some(ranges) = terms.find(&text)
        {
            snippet(&text, &ranges, 20);
        }
    }
}
