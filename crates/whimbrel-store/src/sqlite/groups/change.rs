//! A change of a group: read, decided by the rules, written, told, all as one job.

use rusqlite::{Connection, params};
use whimbrel_core::{ConversationId, ConversationKind, UserId};

use super::super::directory::tell::Teller;
use super::super::value::{run, sql};
use super::write::Writing;
use super::{read, scene};
use crate::Keyring;
use crate::directory::Rows;
use crate::groups::rules::{self, Needs, Scene};
use crate::groups::{Actor, Group, GroupChange, GroupError, NewGroup};

pub(super) fn change(
    db: &Connection,
    keyring: &Keyring,
    id: ConversationId,
    by: Actor,
    change: &GroupChange,
    now: u64,
) -> Result<(Group, Rows), GroupError> {
    let needs = rules::needs(by, change)?;
    let before = read::by_id(db, id)?.ok_or(GroupError::NoSuchGroup)?;
    let acts = match by {
        Actor::User(user) => Some(user),
        Actor::Operator => None,
    };
    let people = scene::people(db, id, &needs, acts)?;
    let waiting = if needs.waiting { scene::waiting(db, id)? } else { 0 };
    let effect = rules::decide(&Scene { group: &before, by, people: &people, waiting, now }, change)?;
    let mut teller = Teller::new(db, now);
    let writing = Writing { db, keyring, by: acts.unwrap_or(UserId(0)), now };
    let group = writing.write(&mut teller, &before, effect)?;
    Ok((group, teller.into_rows()))
}

pub(super) fn create(db: &Connection, keyring: &Keyring, new: NewGroup, now: u64) -> Result<(Group, Rows), GroupError> {
    let (id, owner) = (ConversationId::generate(), new.owner);
    let mut people: Vec<UserId> = new.members.iter().copied().chain([owner]).collect();
    people.sort_unstable();
    people.dedup();
    let needs = Needs { people, groups: true, blocks: true, waiting: false };
    let people = scene::people(db, id, &needs, Some(owner))?;
    let effect = rules::begin(id, new, &people, now)?;
    let insert = "INSERT INTO conversation (id, kind, first, second, created_at) VALUES (?1, ?2, 0, 0, ?3)";
    run(db, insert, params![id.as_bytes(), ConversationKind::Group as u8, sql(now)])?;
    let insert = "INSERT INTO chat_group (conv, name, owner, join_mode, listed, history_for_all, member_limit, size, \
         created_at) VALUES (?1, '', 0, 1, 0, 0, 0, 0, ?2)";
    run(db, insert, params![id.as_bytes(), sql(now)])?;
    let before = effect.group.clone();
    let mut teller = Teller::new(db, now);
    let group = Writing { db, keyring, by: owner, now }.write(&mut teller, &before, effect)?;
    Ok((group, teller.into_rows()))
}
