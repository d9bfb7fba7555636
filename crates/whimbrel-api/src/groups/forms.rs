//! What a group may be called, and the other bounds of its texts and lists.

use whimbrel_core::UserId;
use whimbrel_core::limits::{GROUP_CHANGE_USERS_MAX, GROUP_MEMBERS_MAX};

use crate::error::ApiError;

/// Characters of a name.
const NAME_MAX: usize = 100;

/// Characters of an announcement.
const ANNOUNCEMENT_MAX: usize = 2000;

/// Characters of what is said with a request.
const MESSAGE_MAX: usize = 200;

/// The latest time that JSON carries to every language (2⁵³ − 1); later ones become it. It stands for "for good".
const TIME_MAX: u64 = (1 << 53) - 1;

pub(super) fn check_name(name: &str) -> Result<(), ApiError> {
    let good = !name.trim().is_empty() && name.chars().count() <= NAME_MAX && !name.chars().any(char::is_control);
    match good {
        true => Ok(()),
        false => Err(ApiError::invalid("name", "a name has 1 to 100 characters, no control characters")),
    }
}

pub(super) fn check_announcement(text: &str) -> Result<(), ApiError> {
    match text.chars().count() <= ANNOUNCEMENT_MAX {
        true => Ok(()),
        false => Err(ApiError::invalid("announcement", "an announcement has at most 2000 characters")),
    }
}

pub(super) fn check_message(text: &str) -> Result<(), ApiError> {
    match text.chars().count() <= MESSAGE_MAX {
        true => Ok(()),
        false => Err(ApiError::invalid("message", "a message has at most 200 characters")),
    }
}

pub(super) fn check_member_limit(limit: u32) -> Result<(), ApiError> {
    match (1..=GROUP_MEMBERS_MAX).contains(&limit) {
        true => Ok(()),
        false => Err(ApiError::invalid("member_limit", "a group has room for 1 to 100000 members")),
    }
}

/// Users that a change names: each once, by number.
pub(super) fn users(field: &'static str, named: Vec<u64>) -> Result<Vec<UserId>, ApiError> {
    if named.len() > GROUP_CHANGE_USERS_MAX {
        return Err(ApiError::invalid(field, "at most 1000 users at once"));
    }
    let mut users: Vec<_> = named.into_iter().map(UserId).collect();
    users.sort_unstable();
    users.dedup();
    Ok(users)
}

/// As [`users`], at least one.
pub(super) fn some_users(field: &'static str, named: Vec<u64>) -> Result<Vec<UserId>, ApiError> {
    match named.is_empty() {
        true => Err(ApiError::invalid(field, "1 to 1000 users at once")),
        false => users(field, named),
    }
}

/// A time until which something holds.
pub(crate) fn until(time: u64) -> u64 {
    time.min(TIME_MAX)
}
