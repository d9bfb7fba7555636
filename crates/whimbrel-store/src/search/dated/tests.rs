use super::*;

fn conversation() -> ConversationId {
    ConversationId::from_bytes([0xab; 16])
}

#[test]
fn words_are_of_ascii_and_end_with_when_it_was() {
    let time = whole_time(1_790_000_000_000);
    assert_eq!(time, "1a0c45");
    let words = of_text(conversation(), UserId(u64::MAX), "The Zoo 你好 \u{10FFFF}\u{10FFFE}", &time);
    assert!(words.starts_with("cabababababababab1a0c45 sffffffffffffffffx1a0c45 "), "{words}");
    assert!(words.contains(" gthe1a0c45 ") && words.contains(" gz003eoo1a0c45 "), "{words}");
    let is_word = |word: &str| (4..=24).contains(&word.len()) && word.bytes().all(|byte| byte.is_ascii_alphanumeric());
    assert!(words.split(' ').all(is_word), "{words}");
    assert_eq!(
        (whole_time(0), whole_time(SLOT_MS), whole_time(u64::MAX)),
        ("000000".into(), "000001".into(), "ffffff".into())
    );
    assert_eq!((self::time(SLOT_MS << 8, 4), self::time(SLOT_MS << 8, 5)), ("0001".into(), "00010".into()));
}

fn is_found(ends: &[String], time: &str) -> bool {
    ends.iter().any(|end| end.strip_suffix('*').map_or(end == time, |begin| time.starts_with(begin)))
}

/// Against every slot about the borders: with all digits a text is found by a stretch if and only if it lies in it, with
/// fewer always if it does.
#[test]
fn a_stretch_finds_all_that_lies_in_it() {
    let mut slots: Vec<u32> = [0, 0x10, 0x100, 0x1000, 0x1a_0c45, 0x1a_0fff, 0xff_ff00, LAST]
        .into_iter()
        .flat_map(|about: u32| about.saturating_sub(18)..=about.saturating_add(18).min(LAST))
        .collect();
    slots.dedup();
    for from in slots.iter().step_by(5) {
        for upto in slots.iter().step_by(3).filter(|upto| *upto >= from) {
            let ends = stretch(*from..=*upto);
            assert!(ends.len() < 15 * 2 * 6 + 4, "{}", ends.len());
            for slot in &slots {
                let at = u64::from(*slot) * SLOT_MS + 7;
                let is_in = (from..=upto).contains(&slot);
                assert_eq!(is_found(&ends, &time(at, 6)), is_in, "{slot:x} in {from:x}..={upto:x}: {ends:?}");
                for digits in [4, 5] {
                    assert!(!is_in || is_found(&ends, &time(at, digits)), "{slot:x} in {from:x}..={upto:x}: {ends:?}");
                }
            }
        }
    }
    assert_eq!(stretch(0..=LAST), ["*"]);
    assert_eq!(stretch(0x1a_0c40..=0x1a_0c4f), ["1a0c", "1a0c4*"]);
    assert_eq!(stretch(0x1a_0c45..=0x1a_0c45), ["1a0c", "1a0c4", "1a0c45"]);
}

/// Much in a slot: all digits, from the first too many on, and in the next ones as long as it is so; little: few. So few
/// texts have few digits. Old ones in between change nothing.
#[test]
fn the_more_is_said_the_more_digits_a_time_has() {
    let pace = Pace::new();
    let place = |slot: u64, count: u64| {
        let mut digits = [0_u64; 7];
        for _ in 0..count {
            digits[pace.digits(slot * SLOT_MS)] += 1;
        }
        [digits[4], digits[5], digits[6]]
    };
    assert_eq!(place(100, 1000), [0, 255, 745], "what was before is not known: neither much nor little");
    assert_eq!(place(101, 1000), [0, 0, 1000]);
    assert_eq!(place(102, 20), [0, 0, 20]);
    assert_eq!(place(103, 10), [0, 10, 0]);
    assert_eq!(place(104, 20), [15, 5, 0]);
    assert_eq!(place(200, 300), [15, 240, 45], "a pause, and then all at once");
    assert_eq!(place(7, 300), [0, 0, 300], "older ones count too");
    assert_eq!(place(200, 1), [0, 0, 1]);
    assert_eq!(place(0xff_ffff, 3), [3, 0, 0]);
    assert_eq!(place(201, 400), [12, 240, 148], "a clock far ahead");
    assert_eq!(place(202, 400), [0, 0, 400]);
}

/// Of a term with many pieces a part is asked for, what is rare before what is frequent.
#[test]
fn what_is_asked_for_is_among_what_is_kept() {
    let terms = Terms::parse("kingfisher 今天天气很好 hi").expect("good terms");
    let asked = of_terms(&terms, 4, 24);
    let asked: Vec<_> = asked.into_iter().map(|piece| piece.word).collect();
    let kept = of_text(conversation(), UserId(1), "a kingfisher说今天天气很好hi", "1a0c45");
    assert_eq!(asked.len(), 8, "{asked:?}");
    assert!(asked.iter().all(|word| kept.split(' ').any(|kept| kept == format!("{word}1a0c45"))), "{asked:?} {kept}");
    let one = |typed: &str| {
        let pieces = of_terms(&Terms::parse(typed).expect("good terms"), 2, 3);
        pieces.into_iter().map(|piece| piece.word).collect::<Vec<_>>()
    };
    assert_eq!(one("kingfisher"), ["gngf", "gkin"], "neighbours say nearly the same");
    assert!(!one("gathering").contains(&"ging".to_owned()), "{:?}", one("gathering"));
    assert_eq!(one("feather report window").len(), 3);
    assert_eq!(one("hi 好 !?"), Vec::<String>::new());
}
