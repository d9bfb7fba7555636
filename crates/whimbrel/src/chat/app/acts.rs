//! What was entered: a text to send, or a command.

use whimbrel_client::{Content, ConversationId, ConversationKind, EXCERPT_MAX, Outgoing, Pictured, Quote};

use super::{App, Effect, Notice, RelationDeed};
use crate::chat::command::{self, About, Command, Entered, InGroup};

impl App {
    pub(super) fn enter(&mut self) -> Vec<Effect> {
        let line = self.editor.take();
        self.notice = None;
        let effects = self.entered(&line);
        // What was picked was picked for this line.
        if self.editor.text().is_empty() {
            self.picked = None;
        }
        effects
    }

    /// Does what a line says. It is given back to the editor when it cannot be done.
    pub(in crate::chat) fn entered(&mut self, line: &str) -> Vec<Effect> {
        match command::read(line) {
            None => Vec::new(),
            Some(Entered::Text(text)) => match self.open() {
                Some(conversation) => self.say(conversation, Outgoing::text(text)),
                None => {
                    let asked = self.request().is_some() || self.invitation().is_some();
                    let what = if asked { "/accept or /decline first" } else { "/add somebody first" };
                    self.wrong(line, &format!("there is nobody to say that to: {what}"))
                }
            },
            Some(Entered::Wrong(sentence)) => self.wrong(line, &sentence),
            Some(Entered::Command(command)) => {
                let effects = self.command(command);
                if effects.is_empty() && matches!(self.notice, Some(Notice::Bad(_))) {
                    self.editor.insert(line);
                }
                effects
            }
        }
    }

    /// Sends a text, calling those whose handles stand in it.
    fn say(&mut self, conversation: ConversationId, what: Outgoing) -> Vec<Effect> {
        self.scroll = 0;
        let text = what.content.line();
        let what = if self.in_group() { what.mentioning(self.people.called_in(&text)) } else { what };
        let ticket = self.drafts.enter(conversation, text);
        let mut effects = vec![Effect::Send { conversation, ticket, what }];
        effects.extend(self.mark_read());
        effects
    }

    fn command(&mut self, command: Command) -> Vec<Effect> {
        match command {
            Command::Quit => vec![Effect::Quit],
            Command::Help => {
                (self.help, self.sheet) = (Some(0), None);
                Vec::new()
            }
            Command::Add { handle, greeting } => vec![Effect::Add { handle, greeting }],
            Command::Accept(who) => self.answer(who, true),
            Command::Decline(who) => self.answer(who, false),
            Command::Block => self.relate(RelationDeed::Block),
            Command::Unblock => self.relate(RelationDeed::Unblock),
            Command::Unfriend if self.in_group() => self.wrong("", "whom? as in: /remove bob (/leave is for yourself)"),
            Command::Unfriend => self.relate(RelationDeed::Remove),
            Command::Group { name, handles } => vec![Effect::NewGroup { name, handles }],
            Command::Join(group) => vec![Effect::Join(group)],
            Command::InGroup(act) => self.act(act),
            Command::Send(what) => self.set(|row| Effect::SendFile(row.id, what)),
            Command::Search(words) => vec![Effect::Search(words)],
            Command::Files(act) => vec![Effect::Files(act)],
            Command::About(about, rest) => self.about(about, &rest),
            Command::Pin => self.set(|row| Effect::Pin(row.id, row.pinned_at == 0)),
            Command::Quiet => {
                let now = self.now;
                self.set(|row| Effect::Quiet(row.id, !row.is_muted(now)))
            }
            Command::Invisible(invisible) => vec![Effect::Invisible(invisible)],
        }
    }

    /// Answers the friend request or the invitation that is meant.
    fn answer(&mut self, who: Option<String>, accept: bool) -> Vec<Effect> {
        let meant = |name: &str| who.as_deref().is_none_or(|who| name.to_lowercase() == who);
        let selected = who.is_none().then_some(self.selected).flatten();
        let request = match selected {
            Some(_) => self.request(),
            None => self.requests.iter().find(|relation| meant(&relation.peer.handle)).filter(|_| who.is_some()),
        };
        if let Some(relation) = request {
            let deed = if accept { RelationDeed::Accept } else { RelationDeed::Decline };
            return vec![Effect::Relation(relation.peer.id, relation.peer.handle.clone(), deed)];
        }
        let invitation = match selected {
            Some(_) => self.invitation(),
            None => self.invitations.iter().find(|request| meant(&request.group_name)).filter(|_| who.is_some()),
        };
        match (invitation, who) {
            (Some(request), _) => {
                let (group, name) = (request.group, request.group_name.clone());
                vec![Effect::Invitation { group, name, accept }]
            }
            (None, Some(who)) => self.wrong("", &format!("{who} waits for no answer")),
            (None, None) => self.wrong("", "select a friend request or an invitation first (Tab)"),
        }
    }

    /// About the person of the request or conversation that is shown.
    fn relate(&mut self, deed: RelationDeed) -> Vec<Effect> {
        let person = match (self.request(), self.summary()) {
            (Some(relation), _) => Some((relation.peer.id, relation.peer.handle.clone())),
            (None, Some(row)) if row.kind == ConversationKind::Direct => Some((row.peer, row.peer_name.clone())),
            (None, Some(_)) => return self.wrong("", "that is for a conversation with one person"),
            _ => None,
        };
        match person {
            Some((user, name)) => vec![Effect::Relation(user, name, deed)],
            None => self.wrong("", "select a conversation first (Tab)"),
        }
    }

    fn act(&mut self, act: InGroup) -> Vec<Effect> {
        match self.summary() {
            Some(row) if row.kind == ConversationKind::Group => vec![Effect::InGroup(row.id, act)],
            _ => self.wrong("", "select a group first (Tab); /group makes one"),
        }
    }

    fn set(&mut self, change: impl FnOnce(&whimbrel_client::ConversationSummary) -> Effect) -> Vec<Effect> {
        match self.summary() {
            Some(row) => vec![change(row)],
            None => self.wrong("", "select a conversation first (Tab)"),
        }
    }

    /// Does something about a message.
    pub(super) fn about(&mut self, about: About, rest: &str) -> Vec<Effect> {
        let Some(conversation) = self.open() else { return self.wrong("", "select a conversation first (Tab)") };
        let (item, rest) = match self.target(about, rest) {
            Ok((item, rest)) => (item.clone(), rest.to_owned()),
            Err(sentence) => return self.wrong("", &sentence),
        };
        let seq = item.seq;
        match about {
            _ if item.gone.is_some() && about != About::Readers => self.wrong("", "nothing is left of that message"),
            About::Reply | About::Edit | About::React if rest.is_empty() => self.wrong("", "with what?"),
            About::Reply => {
                let what = Outgoing { quote: Some(quote(&item)), ..Outgoing::text(rest) };
                self.say(conversation, what)
            }
            About::Edit => {
                let mentions = if self.in_group() { self.people.called_in(&rest) } else { Vec::new() };
                let what = Outgoing { quote: item.quote, mentions, ..Outgoing::text(rest) };
                vec![Effect::Edit(conversation, seq, what)]
            }
            About::React => {
                let given = item.reactions.iter().find(|reaction| reaction.emoji == rest);
                let removed = given.is_some_and(|reaction| reaction.users.contains(&self.me));
                vec![Effect::React { conversation, seq, emoji: rest, removed }]
            }
            About::Save | About::Show => match item.content {
                Content::Attachment(file) if about == About::Save => vec![Effect::SaveFile(file, rest)],
                Content::Attachment(file) => vec![Effect::ShowFile(file)],
                _ => self.wrong("", "that message came without a file"),
            },
            About::Recall => vec![Effect::Recall(conversation, seq)],
            About::Readers if self.in_group() => vec![Effect::Readers(conversation, seq)],
            About::Readers => self.wrong("", "/readers is for groups; here the marks behind your messages say it"),
        }
    }

    /// Says what is wrong, and gives the line back to be put right.
    pub(super) fn wrong(&mut self, line: &str, sentence: &str) -> Vec<Effect> {
        self.notify(Notice::Bad(sentence.to_owned()));
        self.editor.insert(line);
        Vec::new()
    }
}

fn quote(item: &Pictured) -> Quote {
    let excerpt = match &item.content {
        Content::Text(text) => text.clone(),
        content => content.line(),
    };
    let excerpt = excerpt.chars().take(EXCERPT_MAX).collect();
    Quote { seq: item.seq, message_id: item.message_id, sender: item.sender, excerpt }
}
