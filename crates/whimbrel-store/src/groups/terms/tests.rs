use whimbrel_core::UserId;

use super::*;
use crate::groups::JoinMode;

fn group(name: &str, handle: Option<&str>) -> Group {
    Group {
        id: ConversationId::from_bytes([7; 16]),
        handle: handle.map(Into::into),
        name: name.into(),
        avatar: String::new(),
        announcement: String::new(),
        owner: UserId(1),
        join: JoinMode::Open,
        listed: true,
        history_for_all: false,
        member_limit: 10,
        size: 1,
        muted_until: 0,
        revision: Seq(1),
        key_version: 1,
        created_at: 1,
        dissolved_at: None,
        keep: crate::groups::Keep::default(),
    }
}

fn terms(name: &str, handle: Option<&str>) -> Vec<String> {
    of(&group(name, handle)).into_iter().collect()
}

#[test]
fn a_name_is_found_from_each_of_its_words_on_and_a_handle_from_its_beginning() {
    assert_eq!(terms("Bird  Watchers (Kent)", None), ["bird watchers kent", "kent", "watchers kent"]);
    assert_eq!(terms("Owls", Some("night.owls")), ["night owls", "owls"]);
    assert_eq!(terms("„Eulen“ – Übung", None).len(), 5, "quotes and dashes are found, and the words within");
    assert!(terms("„Eulen“ – Übung", None).contains(&"übung".to_owned()));
    assert!(terms("„Eulen“", None).iter().any(|term| term.starts_with("eulen")));
    assert_eq!(terms("東京 鳥", None), ["京 鳥", "東京 鳥", "鳥"]);
    assert_eq!(terms("%_!", None), [""; 0]);
}

#[test]
fn who_is_not_listed_or_has_ended_is_found_by_nothing() {
    assert!(of(&Group { listed: false, ..group("Owls", Some("owls")) }).is_empty());
    assert!(of(&Group { dissolved_at: Some(5), ..group("Owls", None) }).is_empty());
}

#[test]
fn a_name_of_many_words_has_a_bounded_number_of_terms_of_a_bounded_length() {
    let terms = terms(&"a ".repeat(50), Some(&"h".repeat(64)));
    assert!(terms.len() <= SEARCH_STARTS_MAX + 1);
    let long = of(&group(&"İ".repeat(100), None));
    assert!(long.iter().all(|term| term.chars().count() <= SEARCH_TERM_MAX && term.len() <= 4 * SEARCH_TERM_MAX));
}

#[test]
fn a_change_adds_and_takes_away_what_is_different() {
    let (before, after) = (group("Bird watchers", None), group("Owl watchers", None));
    let (gone, new) = changed(&before, &after);
    assert_eq!((gone, new), (vec!["bird watchers".to_owned()], vec!["owl watchers".to_owned()]));
    let new = Group { revision: Seq::ZERO, ..before.clone() };
    assert_eq!(changed(&new, &before).1.len(), 2, "one that is new has nothing yet");
}

/// Two of its words begin with what is wanted: it is shown by the first of them.
#[test]
fn a_group_is_shown_once() {
    let group = group("Birds and birders", None);
    let mut search = Search::new("BIRD", None).expect("something");
    assert_eq!(search.after(), (&b"bird"[..], &FIRST));
    assert_eq!(search.end(), b"bire");
    assert!(!search.shows(b"birds and birders".to_vec(), &group));
    assert!(search.shows(b"birders".to_vec(), &group));
    assert_eq!(search.after().0, b"birders");
    assert_eq!(Search::new("bird", Some(&group)), Some(search), "and what follows begins behind it");
    assert_eq!(Search::new(" - ", None), None);
}
