//! Which message a command is about: the one that `#7` names, the picked one, or the last that fits.
//!
//! A message's number is the end of its place, so that it stays the same while others come.

use whimbrel_client::{Content, Pictured, Seq};

use super::{App, Effect};
use crate::chat::command::{self, About, Command, Entered};

/// Numbers are below this; the newest of several messages with one number is meant.
const NUMBERS: u64 = 100;

/// The short number of the message at a place.
pub(in crate::chat) fn number(seq: Seq) -> u64 {
    seq.0 % NUMBERS
}

impl App {
    /// Picks the message before or behind the picked one; behind the last one none is picked.
    pub(super) fn pick(&mut self, by: isize) {
        let mut said = self.messages.values().filter(|item| item.kind.is_countable()).map(|item| item.seq);
        self.picked = match (self.picked, by < 0) {
            (None, true) => said.next_back(),
            (None, false) => None,
            (Some(at), true) => said.take_while(|seq| *seq < at).last().or(Some(at)),
            (Some(at), false) => said.find(|seq| *seq > at),
        };
        self.reveal = true;
    }

    /// A letter that means something about the picked message, and a letter of a text otherwise.
    pub(super) fn shortcut(&mut self, letter: char) -> Vec<Effect> {
        let line = match letter {
            'r' => "/reply ".to_owned(),
            '+' => "/react ".to_owned(),
            'd' => "/recall".to_owned(),
            'e' => match self.picked_item().filter(|item| item.sender == self.me).map(|item| &item.content) {
                Some(Content::Text(text)) => format!("/edit {text}"),
                _ => return self.wrong("", "only your own texts can be edited"),
            },
            'w' => return self.about(About::Readers, ""),
            letter => letter.to_string(),
        };
        self.editor.insert(&line);
        Vec::new()
    }

    fn picked_item(&self) -> Option<&Pictured> {
        self.messages.get(&self.picked?)
    }

    /// What is being typed about which message, if it is a command about one.
    pub(in crate::chat) fn composing(&self) -> Option<(About, Option<&Pictured>)> {
        let line = self.editor.text();
        let bare = COMPOSED.iter().find(|(name, _)| line.trim_end() == *name).map(|(_, about)| (*about, String::new()));
        let (about, rest) = bare.or_else(|| match command::read(line) {
            Some(Entered::Command(Command::About(about, rest))) => Some((about, rest)),
            _ => None,
        })?;
        Some((about, self.target(about, &rest).ok().map(|(item, _)| item)))
    }

    /// The message that is meant, and what stands behind its number.
    ///
    /// # Errors
    /// A sentence for the person.
    pub(super) fn target<'a>(&self, about: About, rest: &'a str) -> Result<(&Pictured, &'a str), String> {
        let (first, behind) = rest.split_once(' ').map_or((rest, ""), |(first, behind)| (first, behind.trim_start()));
        let named = first.strip_prefix('#').map(str::parse::<u64>);
        if let Some(named) = named {
            let found = named.ok().and_then(|number| self.numbered(number));
            return found.map(|item| (item, behind)).ok_or_else(|| format!("there is no message {first} here"));
        }
        if let Some(picked) = self.picked {
            let item = self.messages.get(&picked).ok_or("that message is no longer here")?;
            return Ok((item, rest));
        }
        // A number alone is a number where that makes sense; otherwise it is what is said.
        let alone = matches!(about, About::Recall | About::Readers | About::Save | About::Show);
        let enough = !behind.is_empty() || alone;
        if let Some(item) = first.parse().ok().filter(|_| enough).and_then(|number| self.numbered(number)) {
            return Ok((item, behind));
        }
        let own = match about {
            About::Reply | About::React | About::Save | About::Show => false,
            About::Edit | About::Recall | About::Readers => true,
        };
        let with_file = matches!(about, About::Save | About::Show);
        let fits = |item: &&Pictured| !with_file || matches!(item.content, Content::Attachment(_));
        let mut said = self.messages.values().rev().filter(|item| item.kind.is_countable() && item.gone.is_none());
        if with_file {
            return said
                .find(fits)
                .map(|item| (item, rest))
                .ok_or_else(|| "nothing came with a file here yet".to_owned());
        }
        let found = said.clone().find(|item| (item.sender == self.me) == own);
        let found = found.or_else(|| said.next().filter(|_| !own));
        let nothing = if own { "you have said nothing here yet" } else { "nothing was said here yet" };
        found.map(|item| (item, rest)).ok_or_else(|| nothing.to_owned())
    }

    fn numbered(&self, wanted: u64) -> Option<&Pictured> {
        self.messages.values().rev().find(|item| item.kind.is_countable() && number(item.seq) == wanted)
    }
}

const COMPOSED: [(&str, About); 5] = [
    ("/reply", About::Reply),
    ("/react", About::React),
    ("/edit", About::Edit),
    ("/recall", About::Recall),
    ("/readers", About::Readers),
];
