//! What a group becomes with the row that tells of it: its revision, and who begins and ends with that row. All of it in
//! one round trip, however many come or go.

use whimbrel_core::limits::GROUP_SPANS_MAX;
use whimbrel_core::{ConversationId, GroupStanding, Role, RosterChange, Seq, UserId};

use super::super::directory::work::{Stop, Work};
use super::super::text::Text;
use crate::Head;

/// Again after a time outside: a new span, but for a mute, which leaving does not end; cursors that never go back. What was
/// said by oneself before is read.
const JOIN_MEMBERS: &str = " ON DUPLICATE KEY UPDATE role=VALUES(role),since=VALUES(since),until=0,\
     key_from=VALUES(key_from),key_to=0,joined_at=VALUES(joined_at);";
const SEE: &str = " ON DUPLICATE KEY UPDATE delivered=GREATEST(delivered,VALUES(delivered)),\
     `read`=GREATEST(`read`,VALUES(`read`)),since=VALUES(since),until=0,n_read=VALUES(n_read),own_read=own_total;";

/// Who comes back sees what they saw before: the time that is over, with its keys, and how far they had got in it.
const KEEP_SPANS: &str = "INSERT INTO member_span (user,conv,until,since,came,key_from,key_to,delivered,`read`) \
     SELECT g.user,g.conv,g.until,m.since,g.since,g.key_from,g.key_to,m.delivered,m.`read` \
     FROM group_member g FORCE INDEX (PRIMARY) STRAIGHT_JOIN member m ON m.user=g.user AND m.conv=g.conv \
     WHERE g.until>0 AND g.conv=";
const FORGET_SPANS: &str = "DELETE s FROM (SELECT user,conv,until,ROW_NUMBER() OVER (PARTITION BY user ORDER BY until DESC) AS nth \
     FROM member_span FORCE INDEX (PRIMARY) WHERE conv=";
const FORGET_BEYOND: &str =
    ") o JOIN member_span s ON s.user=o.user AND s.conv=o.conv AND s.until=o.until WHERE o.nth>";

/// What begins and ends with one row of a group.
#[derive(Debug)]
pub(in crate::mysql) struct Turn {
    /// The revision that it builds on.
    pub(super) before: Seq,
    /// What the group's rules are then; the revision is the row's.
    pub(in crate::mysql) after: GroupStanding,
    /// Who comes, as what.
    pub(super) joined: Vec<(UserId, Role)>,
    /// Of these, those who were in it before: they keep what they saw then.
    pub(super) returning: Vec<UserId>,
    /// Who goes.
    pub(super) left: Vec<UserId>,
    /// Those who come see what was said before, but for what they cleared.
    pub(super) history_for_all: bool,
    /// The first version of the key that those who come get.
    pub(super) key_from: u32,
    /// The last version of the key that those who go get.
    pub(super) key_to: u32,
    /// The caller's time.
    pub(super) now: u64,
}

impl Turn {
    /// What a roster becomes with the row at this place.
    pub(in crate::mysql) fn change(&self, at: Seq) -> RosterChange {
        let joined = self.joined.iter().map(|(user, _)| *user).collect();
        RosterChange { after: self.before, at, joined, left: self.left.clone() }
    }

    /// Writes it, when the row is in: the last one at this end.
    pub(in crate::mysql) async fn write(
        &self,
        work: &mut Work,
        conversation: ConversationId,
        end: &Head,
    ) -> Result<(), Stop> {
        let mut text = Text::new("UPDATE chat_group SET revision=");
        text.number(end.seq.0).words(",size=").number(self.after.size.into());
        text.words(" WHERE conv=").bytes(conversation.as_bytes()).words(";");
        if !self.returning.is_empty() {
            self.push_returning(&mut text, conversation);
        }
        if !self.joined.is_empty() {
            self.push_joined(&mut text, conversation, end);
        }
        if !self.left.is_empty() {
            self.push_left(&mut text, conversation, end.seq);
        }
        text.run(work.db()).await?;
        Ok(())
    }

    /// The time that is over, and not more such times than are kept: the oldest go.
    fn push_returning(&self, text: &mut Text, conversation: ConversationId) {
        text.words(KEEP_SPANS).bytes(conversation.as_bytes());
        push_users(text, " AND g.user IN (", &self.returning);
        text.words(";").words(FORGET_SPANS).bytes(conversation.as_bytes());
        push_users(text, " AND user IN (", &self.returning);
        text.words(FORGET_BEYOND).number(GROUP_SPANS_MAX as u64).words(";");
    }

    fn push_joined(&self, text: &mut Text, conversation: ConversationId, end: &Head) {
        text.words("INSERT INTO group_member (conv,user,role,since,key_from,joined_at) VALUES ");
        text.each(&self.joined, "(", ",(", |text, (user, role)| {
            text.bytes(conversation.as_bytes()).words(",").number(user.0).words(",").number(*role as u64);
            text.words(",").number(end.seq.0).words(",").number(self.key_from.into());
            text.words(",").number(self.now).words(")");
        });
        text.words(JOIN_MEMBERS);
        let cursor = end.seq.0.saturating_sub(1);
        text.words("INSERT INTO member (user,conv,delivered,`read`,n_read,since) VALUES ");
        text.each(&self.joined, "(", ",(", |text, (user, _)| {
            text.number(user.0).words(",").bytes(conversation.as_bytes());
            text.words(",").number(cursor).words(",").number(cursor).words(",").number(end.n).words(",");
            if self.history_for_all {
                text.words("1+COALESCE((SELECT cleared FROM setting WHERE user=").number(user.0);
                text.words(" AND conv=").bytes(conversation.as_bytes()).words("),0))");
            } else {
                text.number(end.seq.0).words(")");
            }
        });
        text.words(SEE);
    }

    fn push_left(&self, text: &mut Text, conversation: ConversationId, until: Seq) {
        text.words("UPDATE group_member FORCE INDEX (PRIMARY) SET until=").number(until.0);
        text.words(",key_to=").number(self.key_to.into());
        text.words(" WHERE conv=").bytes(conversation.as_bytes());
        push_users(text, " AND user IN (", &self.left);
        text.words(";UPDATE member FORCE INDEX (PRIMARY) SET until=").number(until.0);
        text.words(" WHERE conv=").bytes(conversation.as_bytes());
        push_users(text, " AND user IN (", &self.left);
        text.words(";");
    }
}

fn push_users(text: &mut Text, which: &'static str, users: &[UserId]) {
    text.each(users, which, ",", |text, user| {
        text.number(user.0);
    });
    text.words(")");
}
