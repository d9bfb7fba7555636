//! What people type behind a slash.

/// A line that was entered.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Entered {
    /// To be sent to the open conversation.
    Text(String),
    /// Something to do.
    Command(Command),
    /// Not understood; the sentence says what would be.
    Wrong(String),
}

/// The commands.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Command {
    /// Ask somebody to be friends.
    Add {
        handle: String,
        greeting: String,
    },
    /// Answer the selected friend request.
    Accept,
    /// Answer the selected friend request.
    Decline,
    /// About the open conversation's person.
    Block,
    Unblock,
    Remove,
    Help,
    Quit,
}

/// Name, arguments, meaning: for the help screen, which is therefore complete.
pub(super) const COMMANDS: &[(&str, &str, &str)] = &[
    ("/add", "HANDLE [GREETING]", "ask somebody to be friends"),
    ("/accept", "", "accept the selected friend request"),
    ("/decline", "", "decline it"),
    ("/block", "", "let nothing through from this person"),
    ("/unblock", "", "take that back"),
    ("/remove", "", "be friends no more"),
    ("/help", "", "show this"),
    ("/quit", "", "leave"),
];

/// Reads a line. `//` begins a text with a slash.
pub(super) fn read(line: &str) -> Option<Entered> {
    let line = line.trim();
    if line.is_empty() {
        return None;
    }
    if let Some(text) = line.strip_prefix("//") {
        return Some(Entered::Text(format!("/{text}")));
    }
    let Some(rest) = line.strip_prefix('/') else { return Some(Entered::Text(line.to_owned())) };
    let (name, arguments) = rest.split_once(' ').map_or((rest, ""), |(name, arguments)| (name, arguments.trim()));
    let command = match (name, arguments) {
        ("add", "") => return Some(Entered::Wrong("/add wants a handle, as in: /add bob Hello Bob".to_owned())),
        ("add", _) => {
            let (handle, greeting) = arguments.split_once(' ').unwrap_or((arguments, ""));
            let handle = handle.trim_start_matches('@').to_lowercase();
            Command::Add { handle, greeting: greeting.trim().to_owned() }
        }
        (_, arguments) if !arguments.is_empty() => {
            return Some(Entered::Wrong(format!(
                "/{name} takes nothing behind it; begin a text that starts with a slash with //"
            )));
        }
        ("accept", _) => Command::Accept,
        ("decline", _) => Command::Decline,
        ("block", _) => Command::Block,
        ("unblock", _) => Command::Unblock,
        ("remove", _) => Command::Remove,
        ("help", _) => Command::Help,
        ("quit" | "q" | "exit", _) => Command::Quit,
        _ => return Some(Entered::Wrong(format!("there is no /{name}; /help shows what there is"))),
    };
    Some(Entered::Command(command))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_texts_unless_a_single_slash_begins_them() {
        assert_eq!(read("  hello "), Some(Entered::Text("hello".into())));
        assert_eq!(read("//etc"), Some(Entered::Text("/etc".into())));
        assert_eq!(read("   "), None);
        let add = Command::Add { handle: "bob".into(), greeting: "hi there".into() };
        assert_eq!(read("/add @Bob hi there"), Some(Entered::Command(add)));
    }

    #[test]
    fn every_command_of_the_help_is_understood_and_others_are_named() {
        for (name, arguments, _) in COMMANDS {
            let line = if arguments.is_empty() { (*name).to_owned() } else { format!("{name} bob") };
            assert!(matches!(read(&line), Some(Entered::Command(_))), "{line}");
        }
        assert!(matches!(read("/dance"), Some(Entered::Wrong(text)) if text.contains("/dance")));
        assert!(matches!(read("/add"), Some(Entered::Wrong(_))));
    }
}
