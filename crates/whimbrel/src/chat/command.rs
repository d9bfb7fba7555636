//! What people type behind a slash.

use whimbrel_client::Role;

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
    /// Answer a friend request or an invitation: the selected one, or that of this handle or group.
    Accept(Option<String>),
    Decline(Option<String>),
    /// About the open conversation's person.
    Block,
    Unblock,
    Unfriend,
    /// Make a group.
    Group {
        name: String,
        handles: Vec<String>,
    },
    /// Get into one: its handle, its id, or the name of one that one is invited to.
    Join(String),
    /// About the open group.
    InGroup(InGroup),
    /// A file for the open conversation: its path, and what is said with it.
    Send(String),
    /// Hold the files that are on their way, let them go on, or give them up.
    Files(FileAct),
    /// About a message: what stands behind the command says which, and with what.
    About(About, String),
    /// Look for messages with these words, everywhere.
    Search(String),
    /// How the open conversation is shown.
    Pin,
    Quiet,
    /// Whether one looks offline to one's friends.
    Invisible(bool),
    Help,
    Quit,
}

/// What is done with the files that are on their way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum FileAct {
    Pause,
    Resume,
    Cancel,
}

/// What is done in a group. People are named by their handles.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum InGroup {
    Invite(Vec<String>),
    Leave,
    Remove(String),
    Members,
    Requests,
    /// Without a handle: the only one who waits.
    Approve(Option<String>),
    Reject(Option<String>),
    Rename(String),
    /// For so many minutes; 0: not any more.
    Mute(String, u64),
    Role(String, Role),
    Dissolve,
}

/// What is done about an earlier message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum About {
    Reply,
    React,
    Edit,
    Recall,
    Readers,
    /// Keep the file that it came with.
    Save,
    /// Look at its picture.
    Show,
}

/// Name, arguments, meaning: for the help screen, which is therefore complete, and for completion.
pub(super) const COMMANDS: &[(&str, &str, &str)] = &[
    ("/add", "HANDLE [GREETING]", "ask somebody to be friends"),
    ("/accept", "[WHO]", "accept the selected request or invitation"),
    ("/decline", "[WHO]", "decline it"),
    ("/block", "", "let nothing through from this person"),
    ("/unblock", "", "take that back"),
    ("/remove", "[HANDLE]", "be friends no more; in a group: send away"),
    ("/reply", "[#N] TEXT", "answer a message"),
    ("/react", "[#N] EMOJI", "react to it, or take that back"),
    ("/edit", "[#N] TEXT", "say something else instead"),
    ("/recall", "[#N]", "take it back"),
    ("/readers", "[#N]", "who has read it, in a group"),
    ("/send", "PATH [CAPTION]", "send a file"),
    ("/save", "[#N] [FOLDER]", "keep a file that came"),
    ("/show", "[#N]", "look at a picture that came"),
    ("/pause", "", "hold the files that are on their way"),
    ("/resume", "", "let them go on"),
    ("/cancel", "", "give them up"),
    ("/search", "WORDS", "look for messages, in all conversations"),
    ("/group", "NAME [@HANDLE …]", "make a group with these people"),
    ("/join", "HANDLE", "get into a group, or accept an invitation"),
    ("/invite", "HANDLE …", "ask people into this group"),
    ("/members", "", "who is in it"),
    ("/requests", "", "who wants in"),
    ("/approve", "[HANDLE]", "let them in"),
    ("/reject", "[HANDLE]", "do not"),
    ("/rename", "NAME", "call the group something else"),
    ("/mute", "HANDLE MINUTES", "keep a member silent; 0: not any more"),
    ("/role", "HANDLE ROLE", "admin, member, or owner in your place"),
    ("/leave", "", "go out of this group"),
    ("/dissolve", "", "end it for everybody"),
    ("/pin", "", "pin this conversation on top, or unpin it"),
    ("/quiet", "", "do not alert for it, or alert again"),
    ("/invisible", "on|off", "look offline to your friends, or not"),
    ("/help", "", "show this"),
    ("/quit", "", "leave"),
];

/// A handle as people write it.
fn handle(word: &str) -> String {
    word.trim_start_matches('@').to_lowercase()
}

fn handles(words: &str) -> Vec<String> {
    words.split_whitespace().map(|word| handle(word.trim_matches(','))).filter(|handle| !handle.is_empty()).collect()
}

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
    Some(match command(name, arguments) {
        Ok(command) => Entered::Command(command),
        Err(sentence) => Entered::Wrong(sentence),
    })
}

fn command(name: &str, arguments: &str) -> Result<Command, String> {
    let one = || Some(handle(arguments)).filter(|handle| !handle.is_empty());
    let example = |example: &str| Err(format!("/{name} wants more behind it, as in: /{name} {example}"));
    Ok(match (name, arguments) {
        ("add", "") => return example("bob Hello Bob"),
        ("add", _) => {
            let (who, greeting) = arguments.split_once(' ').unwrap_or((arguments, ""));
            Command::Add { handle: handle(who), greeting: greeting.trim().to_owned() }
        }
        ("accept", _) => Command::Accept(one()),
        ("decline", _) => Command::Decline(one()),
        ("remove", "") => Command::Unfriend,
        ("remove", _) => Command::InGroup(InGroup::Remove(handle(arguments))),
        ("group", "") => return example("Bird watchers @bob @carol"),
        ("group", _) => group(arguments)?,
        ("join", "") => return example("birds"),
        ("join", _) => Command::Join(arguments.trim_start_matches('@').to_owned()),
        ("invite", "") => return example("bob carol"),
        ("invite", _) => Command::InGroup(InGroup::Invite(handles(arguments))),
        ("approve", _) => Command::InGroup(InGroup::Approve(one())),
        ("reject", _) => Command::InGroup(InGroup::Reject(one())),
        ("rename", "") => return example("Bird watchers"),
        ("rename", _) => Command::InGroup(InGroup::Rename(arguments.to_owned())),
        ("mute", _) => match arguments.split_once(' ').map(|(who, minutes)| (who, minutes.trim().parse())) {
            Some((who, Ok(minutes))) => Command::InGroup(InGroup::Mute(handle(who), minutes)),
            _ => return example("bob 10"),
        },
        ("role", _) => match arguments.split_once(' ').map(|(who, word)| (who, role(word.trim()))) {
            Some((who, Some(role))) => Command::InGroup(InGroup::Role(handle(who), role)),
            _ => return example("bob admin"),
        },
        ("invisible", "on") => Command::Invisible(true),
        ("invisible", "off") => Command::Invisible(false),
        ("invisible", _) => return example("on"),
        ("reply", "") => return example("Of course"),
        ("react", "") => return example("👍"),
        ("edit", "") => return example("what I meant"),
        ("reply", _) => Command::About(About::Reply, arguments.to_owned()),
        ("react", _) => Command::About(About::React, arguments.to_owned()),
        ("edit", _) => Command::About(About::Edit, arguments.to_owned()),
        ("recall", _) => Command::About(About::Recall, arguments.to_owned()),
        ("readers", _) => Command::About(About::Readers, arguments.to_owned()),
        ("save", _) => Command::About(About::Save, arguments.to_owned()),
        ("show", _) => Command::About(About::Show, arguments.to_owned()),
        ("search", "") => return example("night train"),
        ("search", _) => Command::Search(arguments.to_owned()),
        ("send", "") => return example("~/sea.png The sea"),
        ("send", _) => Command::Send(arguments.to_owned()),
        (_, arguments) => return alone(name, arguments),
    })
}

/// Those that take nothing behind them.
fn alone(name: &str, arguments: &str) -> Result<Command, String> {
    let command = match name {
        "block" => Command::Block,
        "unblock" => Command::Unblock,
        "members" => Command::InGroup(InGroup::Members),
        "requests" => Command::InGroup(InGroup::Requests),
        "leave" => Command::InGroup(InGroup::Leave),
        "pause" => Command::Files(FileAct::Pause),
        "resume" => Command::Files(FileAct::Resume),
        "cancel" => Command::Files(FileAct::Cancel),
        "dissolve" => Command::InGroup(InGroup::Dissolve),
        "pin" => Command::Pin,
        "quiet" => Command::Quiet,
        "help" => Command::Help,
        "quit" | "q" | "exit" => Command::Quit,
        _ => return Err(format!("there is no /{name}; /help shows what there is")),
    };
    match arguments {
        "" => Ok(command),
        _ => Err(format!("/{name} takes nothing behind it; begin a text that starts with a slash with //")),
    }
}

/// A name of any words, up to the first one that is an @handle.
fn group(arguments: &str) -> Result<Command, String> {
    let (name, people) = match arguments.find(" @") {
        Some(at) => arguments.split_at(at),
        None => (arguments, ""),
    };
    if name.starts_with('@') {
        return Err("a group wants a name before its people, as in: /group Bird watchers @bob".to_owned());
    }
    Ok(Command::Group { name: name.trim().to_owned(), handles: handles(people) })
}

fn role(word: &str) -> Option<Role> {
    [Role::Member, Role::Admin, Role::Owner].into_iter().find(|role| role.name() == word)
}

/// The commands whose names begin with what is typed, while only the name is typed.
pub(super) fn completions(typed: &str) -> Vec<&'static str> {
    if !typed.starts_with('/') || typed.contains(' ') {
        return Vec::new();
    }
    COMMANDS.iter().map(|(name, _, _)| *name).filter(|name| name.starts_with(typed)).collect()
}

/// What Tab makes of it: as far as all of them go on alike, and a space behind the only one.
pub(super) fn completed(typed: &str) -> Option<String> {
    let found = completions(typed);
    let first = found.first()?;
    if found.len() == 1 {
        return Some(format!("{first} "));
    }
    let alike = |name: &&str| first.bytes().zip(name.bytes()).take_while(|(a, b)| a == b).count();
    let len = found.iter().map(alike).min().unwrap_or(0);
    Some(first[..len].to_owned()).filter(|longer| longer.len() > typed.len())
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
            let line = match *arguments {
                "" => (*name).to_owned(),
                "HANDLE MINUTES" => format!("{name} bob 10"),
                "on|off" => format!("{name} off"),
                "HANDLE ROLE" => format!("{name} bob admin"),
                _ => format!("{name} bob"),
            };
            assert!(matches!(read(&line), Some(Entered::Command(_))), "{line}");
        }
        assert!(matches!(read("/dance"), Some(Entered::Wrong(text)) if text.contains("/dance")));
        for line in
            ["/add", "/group", "/group @bob", "/mute bob", "/mute bob soon", "/role bob king", "/reply", "/invisible"]
        {
            assert!(matches!(read(line), Some(Entered::Wrong(_))), "{line}");
        }
        assert!(matches!(read("/block bob"), Some(Entered::Wrong(text)) if text.contains("//")));
    }

    #[test]
    fn a_groups_name_may_have_many_words_and_its_people_begin_with_an_at() {
        let of = |line| match read(line) {
            Some(Entered::Command(Command::Group { name, handles })) => (name, handles),
            other => panic!("{line}: {other:?}"),
        };
        assert_eq!(
            of("/group Bird watchers @Bob, @carol"),
            ("Bird watchers".into(), vec!["bob".into(), "carol".into()])
        );
        assert_eq!(of("/group 观鸟"), ("观鸟".into(), Vec::new()));
    }

    #[test]
    fn tab_completes_as_far_as_there_is_no_choice() {
        assert_eq!(completed("/rea").as_deref(), None);
        assert_eq!(completed("/rec").as_deref(), Some("/recall "));
        assert_eq!(completed("/un").as_deref(), Some("/unblock "));
        assert_eq!(completed("/d"), None);
        assert_eq!(completed("/mem").as_deref(), Some("/members "));
        assert_eq!(completions("/rea"), ["/react", "/readers"]);
        assert_eq!((completions("hello").len(), completions("/add bob").len(), completed("/x")), (0, 0, None));
    }
}
