//! Which friends are here, in the list and above their conversation.

use whimbrel_client::{Presence, PresenceState, Privacy};

use super::*;

fn presence(user: u64, state: PresenceState, last_seen: u64) -> Happened {
    Happened::Event(Event::Presence(Presence { user: UserId(user), state, last_seen }))
}

/// Bob, who is open, was here; Carol is.
fn known() -> App {
    let mut app = app();
    app.update(presence(2, PresenceState::Offline, START));
    app.update(presence(3, PresenceState::Online, 0));
    app
}

#[test]
fn friends_who_are_here_have_a_mark_and_others_a_time() {
    snapshots("presence", known);
    snapshots("presence_here", || {
        let mut app = known();
        app.update(presence(2, PresenceState::Online, 0));
        app.update(Happened::Privacy(Privacy { invisible: true, last_seen_hidden: false }));
        app
    });
}

#[test]
fn friends_are_watched_when_the_list_becomes_another_one() {
    let mut app = App::new(ME, DEVICE, "alice".to_owned());
    let watched = |effects: Vec<Effect>| {
        let watch = effects.into_iter().find(|effect| matches!(effect, Effect::Watch(_)));
        watch.map(|effect| if let Effect::Watch(users) = effect { users } else { Vec::new() })
    };
    let list = |app: &mut App, rows| watched(app.update(Happened::Conversations(rows)));
    assert_eq!(list(&mut app, vec![summary(3, "Carol", 0), summary(2, "Bob", 0)]), Some(vec![UserId(2), UserId(3)]));
    assert_eq!(list(&mut app, vec![summary(2, "Bob", 1), summary(3, "Carol", 0)]), None, "in another order");
    assert_eq!(list(&mut app, vec![summary(2, "Bob", 1)]), Some(vec![UserId(2)]));
    assert_eq!(list(&mut app, Vec::new()), Some(Vec::new()));
}

#[test]
fn nobody_is_known_to_be_here_without_a_connection() {
    let mut app = known();
    assert!(screen(&mut app, SIZES[0]).contains("last seen"));
    app.update(Happened::Event(Event::State(ConnectionState::Waiting { retry_in: Duration::from_secs(3) })));
    let shown = screen(&mut app, SIZES[0]);
    assert!(!shown.contains("last seen") && !shown.contains("●"), "{shown}");
    app.update(Happened::Event(Event::State(ConnectionState::Online)));
    app.update(presence(2, PresenceState::Unknown, 0));
    assert!(!screen(&mut app, SIZES[0]).contains("last seen"));
}

#[test]
fn invisible_is_asked_for_by_a_command_and_by_whatever_changes_the_account() {
    let mut app = app();
    assert_eq!(type_line(&mut app, "/invisible on"), [Effect::Invisible(true)]);
    assert_eq!(type_line(&mut app, "/invisible off"), [Effect::Invisible(false)]);
    assert_eq!(type_line(&mut app, "/invisible maybe"), []);
    assert!(matches!(&app.notice, Some(Notice::Bad(text)) if text.contains("/invisible on")), "{:?}", app.notice);
    assert_eq!(app.update(Happened::Event(Event::AccountChanged)), [Effect::RefreshPrivacy]);
}
