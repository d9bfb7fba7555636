//! `whimbrel config print`: what counts, and who said so.

use serde_json::{Map, Value as Json, json};

use super::reader::Entry;
use super::value::Origin;

/// As TOML that reads back (secrets excepted), with the origin beside what is not a default.
pub(crate) fn toml(entries: &[Entry]) -> String {
    let mut text = String::new();
    let mut current = "";
    for entry in entries {
        let (section, name) = entry.key.split_once('.').expect("every key is section.name");
        if section != current {
            let gap = if current.is_empty() { "" } else { "\n" };
            text.push_str(&format!("{gap}[{section}]\n"));
            current = section;
        }
        let line = match &entry.value {
            Json::Null => format!("# {name} is not set"),
            value if is_secret(value) => format!("# {name} is set and not shown"),
            // JSON's strings, numbers, booleans and lists of strings are TOML's.
            value => format!("{name} = {value}"),
        };
        match &entry.origin {
            Origin::Default => text.push_str(&format!("{line}\n")),
            origin => text.push_str(&format!("{line:<40} # {origin}\n")),
        }
    }
    text
}

/// As one JSON object of sections; each key with its value and origin.
pub(crate) fn json(entries: &[Entry]) -> Json {
    let mut sections = Map::new();
    for entry in entries {
        let (section, name) = entry.key.split_once('.').expect("every key is section.name");
        let keys = sections.entry(section).or_insert_with(|| json!({}));
        keys[name] = json!({ "value": entry.value, "origin": entry.origin.to_string() });
    }
    Json::Object(sections)
}

fn is_secret(value: &Json) -> bool {
    value.as_str() == Some(super::kind::SECRET_SHOWN)
}
