//! What connectors ask about those whom their sessions watch.

use whimbrel_core::{Sight, UserId};

use super::{Malformed, Result, all, pb, user};
use crate::{Stirred, Stirring};

fn users(field: &'static str, numbers: Vec<u64>) -> Result<Vec<UserId>> {
    all(numbers, |number| user(field, number))
}

fn numbers(users: &[UserId]) -> Vec<u64> {
    users.iter().map(|user| user.0).collect()
}

/// Two lists of one length as one of pairs.
fn pairs<T>(
    field: &'static str,
    firsts: Vec<u64>,
    seconds: Vec<u64>,
    second: impl Fn(u64) -> Result<T>,
) -> Result<Vec<(UserId, T)>> {
    if firsts.len() != seconds.len() {
        return Err(Malformed(field));
    }
    firsts.into_iter().zip(seconds).map(|(one, two)| Ok((user(field, one)?, second(two)?))).collect()
}

/// Who looks, and at whom, on its way out.
pub(crate) fn looks_out(pairs: &[(UserId, UserId)]) -> pb::Looks {
    pb::Looks { users: pairs.iter().map(|pair| pair.0.0).collect(), at: pairs.iter().map(|pair| pair.1.0).collect() }
}

/// Who looks, and at whom.
pub(crate) fn looks(looks: pb::Looks) -> Result<Vec<(UserId, UserId)>> {
    pairs("Looks", looks.users, looks.at, |number| user("Looks.at", number))
}

/// What is shown, on its way out.
pub(crate) fn sights_out(sights: Option<Vec<Option<Sight>>>) -> pb::Sights {
    let out = |sight: Option<Sight>| match sight {
        None => pb::Sight { barred: true, ..Default::default() },
        Some(Sight { invisible, last_seen_hidden, seen_at }) => {
            pb::Sight { barred: false, invisible, last_seen_hidden, seen_at }
        }
    };
    pb::Sights { of: sights.map(|sights| pb::SightList { of: sights.into_iter().map(out).collect() }) }
}

/// What is shown.
pub(crate) fn sights(sights: pb::Sights) -> Option<Vec<Option<Sight>>> {
    let read = |pb::Sight { barred, invisible, last_seen_hidden, seen_at }: pb::Sight| {
        (!barred).then_some(Sight { invisible, last_seen_hidden, seen_at })
    };
    Some(sights.of?.of.into_iter().map(read).collect())
}

impl From<&Stirring> for pb::Stirring {
    fn from(stirring: &Stirring) -> Self {
        let (gone, gone_at) = stirring.gone.iter().map(|(user, at)| (user.0, *at)).unzip();
        Self { users: numbers(&stirring.users), since: stirring.since, gone, gone_at }
    }
}

impl TryFrom<pb::Stirring> for Stirring {
    type Error = Malformed;
    fn try_from(stirring: pb::Stirring) -> Result<Self> {
        Ok(Self {
            users: users("Stirring.users", stirring.users)?,
            since: stirring.since,
            gone: pairs("Stirring.gone", stirring.gone, stirring.gone_at, Ok)?,
        })
    }
}

/// An answer without a time: nobody knows.
impl From<Option<Stirred>> for pb::Stirred {
    fn from(stirred: Option<Stirred>) -> Self {
        let Some(Stirred { as_of, here, changed }) = stirred else { return Self::default() };
        Self {
            as_of,
            blind: here.is_none(),
            here: numbers(&here.unwrap_or_default()),
            all_changed: changed.is_none(),
            changed: numbers(&changed.unwrap_or_default()),
        }
    }
}

impl pb::Stirred {
    /// As the connector reads it.
    pub(crate) fn read(self) -> Result<Option<Stirred>> {
        if self.as_of == 0 {
            return Ok(None);
        }
        let here = users("Stirred.here", self.here)?;
        let changed = users("Stirred.changed", self.changed)?;
        Ok(Some(Stirred {
            as_of: self.as_of,
            here: (!self.blind).then_some(here),
            changed: (!self.all_changed).then_some(changed),
        }))
    }
}
