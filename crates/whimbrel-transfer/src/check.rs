//! What can be said about a draft without asking anybody.

use std::time::{SystemTime, UNIX_EPOCH};

use whimbrel_core::{Draft, Refusal, limits};

use crate::Config;

/// The bounds that drafts of one submission are held against.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rules {
    bodies_readable: bool,
    oldest_ms: u64,
    newest_ms: u64,
}

impl Rules {
    /// The rules at this moment.
    pub(crate) fn now(config: &Config) -> Self {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let ms = |duration: std::time::Duration| u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
        Self {
            bodies_readable: config.bodies_readable,
            oldest_ms: ms(now.saturating_sub(config.oldest_draft)),
            newest_ms: ms(now.saturating_add(config.newest_draft)),
        }
    }

    /// Why this draft will never be placed, if that is certain.
    pub(crate) fn refuse(&self, draft: &Draft) -> Option<Refusal> {
        if !draft.kind.is_submittable() {
            return Some(Refusal::BadKind);
        }
        if draft.body.len() > limits::BODY_MAX {
            return Some(Refusal::TooLarge);
        }
        if self.bodies_readable != (draft.key_version == 0) {
            return Some(Refusal::BadKey);
        }
        if !is_formed(draft) {
            return Some(Refusal::BadBody);
        }
        match draft.message_id.unix_ms() {
            Some(at) if at >= self.oldest_ms => None,
            _ => Some(Refusal::TooOld),
        }
    }

    /// The draft is from the future. One of the two clocks is wrong, and it may be this one: nothing is certain.
    pub(crate) fn is_ahead(&self, draft: &Draft) -> bool {
        draft.message_id.unix_ms().is_some_and(|at| at > self.newest_ms)
    }
}

/// What people say has a body: an empty one is what stays of a message that was taken back. What they do to an earlier
/// message names it, and says what, unless it takes it away.
fn is_formed(draft: &Draft) -> bool {
    let Draft { kind, body, .. } = draft;
    match kind.is_follow_up() {
        true => kind.target(body).is_some() && (kind.takes_back() || body.len() > size_of::<u64>()),
        // What comes with a file names it first.
        false => body.len() > kind.open_len(),
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use whimbrel_core::{MessageId, MessageKind};

    use super::*;

    fn id_at(ms: u64) -> MessageId {
        let mut bytes = *MessageId::generate().as_bytes();
        bytes[..6].copy_from_slice(&ms.to_be_bytes()[2..]);
        MessageId::from_bytes(bytes)
    }

    #[test]
    fn a_draft_is_refused_for_what_it_is() {
        let good = Draft {
            message_id: MessageId::generate(),
            kind: MessageKind::TEXT,
            key_version: 1,
            body: Bytes::from_static(b"x"),
        };
        let sealed = Rules::now(&Config::default());
        let readable = Rules::now(&Config { bodies_readable: true, ..Config::default() });
        let now = good.message_id.unix_ms().expect("v7");
        let day = 24 * 3600 * 1000;
        assert_eq!(sealed.refuse(&good), None);
        assert_eq!(readable.refuse(&good), Some(Refusal::BadKey));
        let about = |kind, body: &[u8]| Draft { kind, body: Bytes::copy_from_slice(body), ..good.clone() };
        let one = [0, 0, 0, 0, 0, 0, 0, 1];
        let edit = [&one[..], b"x"].concat();
        for draft in
            [about(MessageKind::RECALL, &one), about(MessageKind::VANISH, &one), about(MessageKind::EDIT, &edit)]
        {
            assert_eq!(sealed.refuse(&draft), None);
        }
        let cases = [
            (about(MessageKind::TEXT, b""), Refusal::BadBody),
            (about(MessageKind::EDIT, &one), Refusal::BadBody),
            (about(MessageKind(777), &one), Refusal::BadBody),
            (about(MessageKind::IMAGE, &[7; 16]), Refusal::BadBody),
            (about(MessageKind::RECALL, &one[1..]), Refusal::BadBody),
            (about(MessageKind::RECALL, &[0; 8]), Refusal::BadBody),
            (Draft { kind: MessageKind::STANDING, ..good.clone() }, Refusal::BadKind),
            (Draft { body: vec![0; limits::BODY_MAX + 1].into(), ..good.clone() }, Refusal::TooLarge),
            (Draft { key_version: 0, ..good.clone() }, Refusal::BadKey),
            (Draft { message_id: MessageId::from_bytes([0; 16]), ..good.clone() }, Refusal::TooOld),
            (Draft { message_id: id_at(now - 31 * day), ..good.clone() }, Refusal::TooOld),
        ];
        for (draft, why) in cases {
            assert_eq!(sealed.refuse(&draft), Some(why));
        }
        for (at, is_ahead) in [(now - 29 * day, false), (now + day / 2, false), (now + 2 * day, true)] {
            let draft = Draft { message_id: id_at(at), ..good.clone() };
            assert_eq!((sealed.refuse(&draft), sealed.is_ahead(&draft)), (None, is_ahead));
        }
    }
}
