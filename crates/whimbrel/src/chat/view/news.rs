//! Changes of a group in words.

use whimbrel_client::{GroupNews, Role, UserId};

use super::Look;
use super::text::{clock, one_line};
use crate::chat::app::App;

/// People who are named; the rest is counted.
const NAMED: usize = 4;

/// `Ann added Bob and Carol`
pub(in crate::chat) fn sentence(app: &App, news: &GroupNews, look: Look) -> String {
    let name = |user: UserId| if user == UserId(0) { "the operator".to_owned() } else { one_line(&app.name(user)) };
    let by = name(news.by);
    let others: Vec<_> = news.users.iter().copied().filter(|user| *user != news.by).map(name).collect();
    let whom = all(&others);
    let all_of_them = all(&news.users.iter().copied().map(name).collect::<Vec<_>>());
    let until = |until: u64| match until {
        0 => String::new(),
        until => {
            let (time, date) = clock(until, look.offset);
            // Beyond what calendars know it is for good.
            if date.starts_with("1970") || date.len() > 10 {
                " for good".to_owned()
            } else {
                format!(" until {date} {time}")
            }
        }
    };
    match (news.what.as_str(), news.until) {
        ("created", _) if others.is_empty() => format!("{by} made the group"),
        ("created", _) => format!("{by} made the group with {whom}"),
        ("joined", _) if others.is_empty() => format!("{by} joined"),
        ("joined", _) => format!("{whom} joined"),
        ("added", _) => format!("{by} added {all_of_them}"),
        ("left", _) => {
            let heir = news.owner.map_or(String::new(), |owner| format!("; the owner is {} now", name(owner)));
            format!("{all_of_them} left{heir}")
        }
        ("removed", _) => format!("{by} removed {all_of_them}"),
        ("role", _) => {
            let is_admin = news.role.as_deref() == Some(Role::Admin.name());
            format!("{by} made {all_of_them} {}", if is_admin { "an admin" } else { "a member" })
        }
        ("owner", _) => format!("{by} gave the group to {whom}"),
        ("muted", Some(0)) => format!("{by} let {all_of_them} speak again"),
        ("muted", at) => format!("{by} muted {all_of_them}{}", until(at.unwrap_or(0))),
        ("all_muted", Some(0)) => format!("{by} let everybody speak again"),
        ("all_muted", at) => format!("{by} muted everybody{}", until(at.unwrap_or(0))),
        ("settings", _) if news.changed.is_empty() => format!("{by} changed the group"),
        ("settings", _) => {
            let changed: Vec<_> = news.changed.iter().map(|name| one_line(&name.replace('_', " "))).collect();
            format!("{by} changed the group: {}", changed.join(", "))
        }
        ("dissolved", _) => format!("{by} dissolved the group"),
        (what, _) => format!("the group changed: {}", one_line(what)),
    }
}

fn all(names: &[String]) -> String {
    let (shown, rest) = names.split_at(names.len().min(NAMED));
    match (shown, rest.len()) {
        ([], _) => "nobody".to_owned(),
        ([one], 0) => one.clone(),
        ([first @ .., last], 0) => format!("{} and {last}", first.join(", ")),
        (shown, more) => format!("{} and {more} more", shown.join(", ")),
    }
}
