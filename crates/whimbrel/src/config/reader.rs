//! Reading keys out of the layers. The reading is the definition: the keys that are asked for are the keys that
//! exist, in that order, with their kinds and defaults.

use std::collections::HashMap;

use serde_json::Value as Json;

use super::kind::Kind;
use super::suggest::closest;
use super::value::{Given, Origin};

/// One key with its effective value, for printing.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    /// `section.name`.
    pub(crate) key: &'static str,
    /// What counts; `Null` if there is none; secrets are replaced by a word.
    pub(crate) value: Json,
    /// What would count if nobody set it.
    #[cfg_attr(not(test), expect(dead_code, reason = "the manual is compared with it"))]
    pub(crate) default: Json,
    /// Who set it.
    pub(crate) origin: Origin,
}

/// Takes values by key, and gathers what is wrong with them.
pub(crate) struct Reader {
    given: HashMap<String, Given>,
    entries: Vec<Entry>,
    problems: Vec<String>,
}

impl Reader {
    /// Reads from these layers; later ones win.
    pub(crate) fn new(layers: impl IntoIterator<Item = Vec<(String, Given)>>) -> Self {
        let given = layers.into_iter().flatten().collect();
        Self { given, entries: Vec::new(), problems: Vec::new() }
    }

    /// The value of this key; the default if nobody set it, or what was set is not allowed (which is noted).
    pub(crate) fn get<K: Kind>(&mut self, key: &'static str, default: K::Value, kind: K) -> K::Value {
        let default_shown = kind.show(&default);
        let (value, origin) = match self.given.remove(key) {
            None => (default, Origin::Default),
            Some(given) => match kind.read(&given.raw) {
                Some(value) => (value, given.origin),
                None => {
                    self.problems.push(refusal::<K>(key, &given, &kind));
                    (default, given.origin)
                }
            },
        };
        let shown = kind.show(&value);
        self.entries.push(Entry { key, value: shown, default: default_shown, origin });
        value
    }

    /// Where the value of a key comes from, once it was read.
    pub(crate) fn origin(&self, key: &str) -> &Origin {
        self.entries.iter().find(|entry| entry.key == key).map_or(&Origin::Default, |entry| &entry.origin)
    }

    /// Notes something wrong, as a sentence.
    pub(crate) fn problem(&mut self, sentence: String) {
        self.problems.push(sentence);
    }

    /// Ends the reading: what is left was never asked for, so it is unknown.
    pub(crate) fn finish(mut self) -> (Vec<Entry>, Vec<String>) {
        let mut left: Vec<_> = self.given.into_iter().collect();
        left.sort_by(|a, b| a.0.cmp(&b.0));
        for (key, given) in left {
            let meant = closest(&key, self.entries.iter().map(|entry| entry.key));
            let hint = meant.map_or_else(
                || "`whimbrel config default` prints all keys.".to_owned(),
                |meant| format!("did you mean {meant}?"),
            );
            self.problems.push(format!("{key} ({}) is not a key of the configuration; {hint}", given.origin));
        }
        (self.entries, self.problems)
    }
}

fn refusal<K: Kind>(key: &str, given: &Given, kind: &K) -> String {
    let Given { raw, origin } = given;
    if K::SECRET {
        // Not even a wrong secret is printed: it may be the right one with a character too few.
        return format!("{key} ({origin}) is not acceptable; it must be {}.", kind.allowed());
    }
    format!("{key} ({origin}) is {raw}; it must be {}.", kind.allowed())
}
