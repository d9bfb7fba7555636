//! Who may say what, as of the head that it would be placed on. Pure: everything that it depends on was read before.
//!
//! What the same batch does to a target counts too: an edit behind its message's recall is refused, also when neither is
//! committed yet.

use hashbrown::{HashMap, HashSet};
use whimbrel_core::{
    Action, ConversationId, FileId, Members, Message, MessageKind, Refusal, Role, Seq, Speak, Standing, UserId, limits,
};
use whimbrel_store::Target;

use super::slots::Slot;

/// What senders are in groups, and those whose messages somebody takes back; `None` for those who are not in it.
pub(super) type Standings = HashMap<(ConversationId, UserId), Option<Standing>>;
/// What follow-ups are about; `None` where nothing stands.
pub(super) type Targets = HashMap<(ConversationId, Seq), Option<Target>>;

/// Files that may be said, each by its owner.
pub(super) type Files = HashSet<(FileId, UserId)>;

/// What rights depend on.
#[derive(Debug, Default)]
pub(super) struct Sight {
    pub(super) standings: Standings,
    pub(super) targets: Targets,
    pub(super) files: Files,
    /// How long an author may take a message back, milliseconds.
    pub(super) recall_within: u64,
    /// Milliseconds since 1970.
    pub(super) now: u64,
}

impl Sight {
    /// Why this draft may not be placed among these members, if so.
    pub(super) fn judge(&self, slot: &Slot, members: &Members) -> Result<(), Refusal> {
        let standing = self.standings.get(&(slot.conversation, slot.sender)).copied().flatten();
        let speak = match members {
            Members::Group(group) => group.may_speak(standing, self.now),
            two => two.may_speak(slot.sender),
        };
        let kind = slot.draft.kind;
        let is_muted = match speak {
            Speak::Allowed => false,
            // Who is muted may still take their own back.
            Speak::Muted if kind == MessageKind::RECALL => true,
            Speak::Muted => return Err(Refusal::Muted),
            Speak::NotMember | Speak::Depends => return Err(Refusal::NotMember),
            Speak::NotFriends => return Err(Refusal::NotFriends),
            Speak::Blocked => return Err(Refusal::Blocked),
            Speak::ReadOnly => return Err(Refusal::ReadOnly),
        };
        let may = |action| standing.is_some_and(|standing| standing.role.may(action));
        if kind == MessageKind::CALL && !may(Action::Call) {
            return Err(Refusal::NotAllowed);
        }
        if let Some(file) = kind.file(&slot.draft.body)
            && !self.files.contains(&(file, slot.sender))
        {
            return Err(Refusal::NoFile);
        }
        if !kind.is_follow_up() {
            return Ok(());
        }
        let target = self.target(slot, standing.map_or(Seq(1), |standing| standing.sees_from))?;
        let is_own = target.sender == slot.sender;
        if is_muted && !is_own {
            return Err(Refusal::Muted);
        }
        match kind {
            MessageKind::RECALL if is_own => {
                let age = self.now.saturating_sub(target.at);
                if age > self.recall_within { Err(Refusal::TooLate) } else { Ok(()) }
            }
            MessageKind::RECALL => {
                let of = (slot.conversation, target.sender);
                let role = self.standings.get(&of).copied().flatten().map_or(Role::Member, |of| of.role);
                if may(Action::RecallOther { target: role }) { Ok(()) } else { Err(Refusal::NotYours) }
            }
            kind if kind.adds_content() => adds(kind, &target, is_own),
            MessageKind::VANISH if target.kind != MessageKind::FLEETING => Err(Refusal::NoTarget),
            _ => Ok(()),
        }
    }

    /// The message that a follow-up is about, if something can be done to it by somebody who sees what stands from
    /// `sees_from` on.
    fn target(&self, slot: &Slot, sees_from: Seq) -> Result<Target, Refusal> {
        let seq = slot.draft.kind.target(&slot.draft.body).ok_or(Refusal::BadBody)?;
        let target = self.targets.get(&(slot.conversation, seq)).copied().flatten();
        let target = target.filter(|_| seq >= sees_from);
        match target.filter(|target| target.kind.is_countable()) {
            None => Err(Refusal::NoTarget),
            Some(target) if target.recalled => Err(Refusal::Recalled),
            Some(target) => Ok(target),
        }
    }

    /// This row comes with the same transaction: what follows sees what it does.
    pub(super) fn placed(&mut self, row: &Message) {
        // Nobody asks for targets: nothing to keep up.
        if self.targets.is_empty() {
            return;
        }
        if row.kind.is_countable() {
            let Some(target) = self.targets.get_mut(&(row.conversation, row.seq)) else { return };
            let recalled = row.body.is_empty();
            let (sender, kind, at) = (row.sender, row.kind, row.at);
            *target = Some(Target { sender, kind, at, recalled, follow_ups: 0, finished: false });
        } else if let Some(seq) = row.kind.target(&row.body)
            && let Some(Some(target)) = self.targets.get_mut(&(row.conversation, seq))
        {
            target.recalled |= row.kind.takes_back();
            target.finished |= row.kind == MessageKind::FINISH;
            target.follow_ups = target.follow_ups.saturating_add(u32::from(row.kind.adds_content()));
        }
    }
}

/// Edits and parts of streams.
fn adds(kind: MessageKind, target: &Target, is_own: bool) -> Result<(), Refusal> {
    let is_stream = target.kind == MessageKind::STREAM;
    let fits = match kind {
        MessageKind::EDIT => !is_stream && target.kind != MessageKind::FLEETING && target.kind != MessageKind::MERGED,
        _ => is_stream,
    };
    if !is_own {
        Err(Refusal::NotYours)
    } else if !fits {
        Err(Refusal::NoTarget)
    } else if target.finished {
        Err(Refusal::Finished)
    } else if target.follow_ups >= limits::FOLLOW_UPS_MAX {
        Err(Refusal::TooLate)
    } else {
        Ok(())
    }
}
