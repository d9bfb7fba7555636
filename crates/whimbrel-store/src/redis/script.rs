//! Calls of scripts: how they are put together, and what their answers say.
//!
//! Every call is one script over the keys of one group, so that it is one slot of a Redis Cluster, and atomic: nothing
//! (no FLUSHALL, no snapshot) comes between what it reads, what it writes and the life that it says it was in. A
//! server that does not know the script is sent it: `EVALSHA`, then `EVAL`.

use std::fmt::Write;
use std::sync::LazyLock;
use std::time::Duration;

use redis::{Arg, Cmd, Value};
use uuid::Uuid;
use whimbrel_core::UserId;

use super::life::{Life, Lives};

/// A script, and what errors call it.
pub(super) struct Script {
    pub(super) name: &'static str,
    code: &'static str,
    hash: String,
}

macro_rules! script {
    ($(#[$doc:meta])* $name:ident, $file:literal) => {
        $(#[$doc])*
        pub(super) static $name: LazyLock<Script> = LazyLock::new(|| {
            let code = concat!(include_str!("lua/life.lua"), include_str!(concat!("lua/", $file, ".lua")));
            Script { name: $file, code, hash: redis::Script::new(code).get_hash().to_owned() }
        });
    };
}

script!(ONLINE, "online");
script!(OFFLINE, "offline");
script!(LOCATE, "locate");
script!(RENEW, "renew");
script!(EXPEL, "expel");
script!(JOIN, "join");
script!(LEAVE, "leave");
script!(MEMBERS, "members");
script!(PROBE, "probe");

/// What is the same for all calls of a process.
pub(super) struct Caller {
    pub(super) prefix: String,
    pub(super) lives: Lives,
    pub(super) routes_unsure: Duration,
    /// Connections are not bound to one run of a server, so that every call has to ask for it.
    pub(super) checks_run: bool,
}

/// One call.
pub(super) struct Call {
    pub(super) script: &'static Script,
    pub(super) group: usize,
    pub(super) command: Cmd,
}

/// How a call begins: its keys.
pub(super) enum Keys<'a> {
    /// The group's users.
    Users(&'a mut dyn ExactSizeIterator<Item = UserId>),
    /// What is named so in the group.
    Named(&'a [&'a str]),
}

/// What a call asks beyond its script.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Asks {
    pub(super) run: bool,
    pub(super) beat: bool,
}

impl Caller {
    /// A call with its keys and the arguments that all scripts have; the script's own are to follow.
    pub(super) fn call(&self, script: &'static Script, group: usize, keys: Keys<'_>, asks: Asks) -> Call {
        let mut command = Cmd::new();
        let count = match &keys {
            Keys::Users(users) => users.len(),
            Keys::Named(names) => names.len(),
        };
        command.arg(b"EVALSHA").arg(&script.hash).arg(count + 2);
        let mut key = format!("{{{}:{group}}}:", self.prefix);
        let stem = key.len();
        let mut push = |name: &dyn std::fmt::Display| {
            key.truncate(stem);
            // Writing to a String does not fail.
            let _ = write!(key, "{name}");
            command.arg(&key);
        };
        push(&"life");
        push(&"leases");
        match keys {
            Keys::Users(users) => users.for_each(|user| push(&format_args!("user:{user}"))),
            Keys::Named(names) => names.iter().for_each(|name| push(name)),
        }
        let known = self.lives.known(group);
        command.arg(&known.id).arg(known.number).arg(&self.lives.writer).arg(known.beat);
        command.arg(Uuid::new_v4().as_bytes()).arg(self.routes_unsure.as_millis() as u64);
        command.arg(u8::from(asks.run || self.checks_run)).arg(u8::from(asks.beat));
        Call { script, group, command }
    }
}

impl Call {
    /// The same with the script itself.
    pub(super) fn with_code(&self) -> Cmd {
        let mut command = Cmd::new();
        command.arg(b"EVAL").arg(self.script.code);
        for arg in self.command.args_iter().skip(2) {
            if let Arg::Simple(bytes) = arg {
                command.arg(bytes);
            }
        }
        command
    }
}

/// An answer that no script of this program gives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{0} cannot be read")]
pub(super) struct Unreadable(pub(super) &'static str);

/// What every script answers, and the rest.
pub(super) struct Answer {
    pub(super) life: Life,
    /// For how long routes cannot be trusted yet.
    pub(super) unsure: Duration,
    /// This call found the life that was known to be lost, and began another one.
    pub(super) began: bool,
    pub(super) rest: Vec<Value>,
}

impl Answer {
    pub(super) fn read(value: Value) -> Result<Self, Unreadable> {
        let Value::Array(mut values) = value else { return Err(Unreadable("a script's answer")) };
        if values.len() < 5 {
            return Err(Unreadable("a script's answer"));
        }
        let rest = values.split_off(5);
        match &values[..] {
            [Value::BulkString(id), Value::Int(number), Value::Int(beat), Value::Int(unsure), Value::Int(began)] => {
                let unsure = Duration::from_millis(unsure.unsigned_abs());
                Ok(Self { life: Life::read((id, *number, *beat))?, unsure, began: *began == 1, rest })
            }
            _ => Err(Unreadable("a script's answer")),
        }
    }

    /// The next of the rest, a list.
    pub(super) fn list(&mut self) -> Result<Vec<Value>, Unreadable> {
        match self.rest.is_empty() {
            false if let Value::Array(values) = self.rest.remove(0) => Ok(values),
            _ => Err(Unreadable("a script's list")),
        }
    }
}
