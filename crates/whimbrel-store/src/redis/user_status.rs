//! [`UserStatus`] in Redis.

use std::sync::Arc;

use async_trait::async_trait;
use futures_util::future::try_join_all;
use redis::{Cmd, Value};
use smallvec::SmallVec;
use whimbrel_core::{ConnectorId, SessionId, UserId};

use super::RedisConfig;
use super::engine::{Engine, HOME};
use super::life::{Life, incarnation};
use super::route::{pack, routes};
use super::script::{Answer, Call, EXPEL, Keys, LOCATE, OFFLINE, ONLINE, RENEW, Script, Unreadable};
use crate::StoreError;
use crate::user_status::{Renewed, Route, UserStatus};

/// Keys in one call of a script, which Redis does without doing anything else.
const CALL_KEYS_MAX: usize = 1000;

/// Who is online, in Redis.
pub struct RedisUserStatus {
    engine: Arc<Engine>,
}

impl RedisUserStatus {
    /// Reads the configuration, and connects when something is asked. An error names what is wrong in the configuration;
    /// a Redis that is away is none.
    pub fn new(config: RedisConfig) -> Result<Self, StoreError> {
        Ok(Self { engine: Engine::new(config)? })
    }

    fn group(&self, user: UserId) -> usize {
        (user.0 % self.engine.groups() as u64) as usize
    }

    /// Numbers of things by the group of their user.
    fn by_group(&self, users: impl Iterator<Item = UserId>) -> Vec<Vec<usize>> {
        let mut groups = vec![Vec::new(); self.engine.groups()];
        users.enumerate().for_each(|(number, user)| groups[self.group(user)].push(number));
        groups
    }

    /// Calls `script` for the users with these numbers, piece after piece, and gives each piece with its answer.
    async fn in_pieces<'a>(
        &self,
        numbers: &'a [usize],
        call: impl Fn(&'a [usize]) -> Call,
    ) -> Result<Vec<(&'a [usize], Answer)>, StoreError> {
        let mut answers = Vec::with_capacity(1);
        for piece in numbers.chunks(CALL_KEYS_MAX) {
            answers.extend(self.engine.run(vec![call(piece)]).await?.into_iter().map(|answer| (piece, answer)));
        }
        Ok(answers)
    }

    /// The same of every group: each has its own leases, so that no call needs two groups.
    async fn of_all_groups(
        &self,
        script: &'static Script,
        keys: &[&str],
        add: impl Fn(&mut Cmd),
    ) -> Result<Vec<Answer>, StoreError> {
        let calls = (0..self.engine.groups()).map(|group| {
            let mut call = self.engine.call(script, group, Keys::Named(keys), true);
            add(&mut call.command);
            call
        });
        self.engine.run(calls.collect()).await
    }
}

#[async_trait]
impl UserStatus for RedisUserStatus {
    async fn online(&self, sessions: &[(UserId, Route)]) -> Result<Vec<SmallVec<[Route; 1]>>, StoreError> {
        let groups = self.by_group(sessions.iter().map(|(user, _)| *user));
        let answers = try_join_all(groups.iter().enumerate().map(|(group, numbers)| {
            self.in_pieces(numbers, move |piece| {
                let users = &mut piece.iter().map(|number| sessions[*number].0);
                let mut call = self.engine.call(&ONLINE, group, Keys::Users(users), true);
                piece.iter().for_each(|number| {
                    call.command.arg(&pack(&sessions[*number].1));
                });
                call
            })
        }));
        let mut replaced = vec![SmallVec::new(); sessions.len()];
        for (piece, mut answer) in answers.await?.into_iter().flatten() {
            for pair in answer.list().map_err(|error| corrupt("online", error))?.chunks(2) {
                let [Value::Int(at), Value::BulkString(bytes)] = pair else {
                    return Err(corrupt("online", Unreadable("what was replaced")));
                };
                let number = usize::try_from(*at).ok().and_then(|at| piece.get(at));
                let number = number.ok_or_else(|| corrupt("online", Unreadable("what was replaced")))?;
                replaced[*number] = routes(bytes).map_err(|error| corrupt("online", error))?.collect();
            }
        }
        Ok(replaced)
    }

    async fn offline(&self, sessions: &[(UserId, SessionId)]) -> Result<(), StoreError> {
        let groups = self.by_group(sessions.iter().map(|(user, _)| *user));
        let answers = try_join_all(groups.iter().enumerate().map(|(group, numbers)| {
            self.in_pieces(numbers, move |piece| {
                let users = &mut piece.iter().map(|number| sessions[*number].0);
                let mut call = self.engine.call(&OFFLINE, group, Keys::Users(users), false);
                piece.iter().for_each(|number| {
                    call.command.arg(sessions[*number].1.as_bytes());
                });
                call
            })
        }));
        answers.await.map(drop)
    }

    async fn locate(&self, users: &[UserId]) -> Result<Vec<SmallVec<[Route; 2]>>, StoreError> {
        let mut calls = Vec::new();
        let groups = self.by_group(users.iter().copied());
        let mut pieces: Vec<&[usize]> = Vec::new();
        for (group, numbers) in groups.iter().enumerate() {
            for piece in numbers.chunks(CALL_KEYS_MAX) {
                let named = &mut piece.iter().map(|number| users[*number]);
                calls.push(self.engine.call(&LOCATE, group, Keys::Users(named), false));
                pieces.push(piece);
            }
        }
        let answers = self.engine.run(calls).await?;
        sure(&answers)?;
        let read = |error| corrupt("locate", error);
        let mut located = vec![SmallVec::new(); users.len()];
        for (piece, mut answer) in pieces.into_iter().zip(answers) {
            let connectors = leased(&answer.list().map_err(read)?).map_err(read)?;
            for (number, held) in piece.iter().zip(answer.list().map_err(read)?) {
                match held {
                    Value::Nil => {}
                    Value::BulkString(bytes) => {
                        let standing = routes(&bytes).map_err(read)?;
                        located[*number] = standing.filter(|route| connectors.contains(&route.connector)).collect();
                    }
                    _ => return Err(corrupt("locate", Unreadable("a user's routes"))),
                }
            }
        }
        Ok(located)
    }

    async fn renew(&self, connector: ConnectorId) -> Result<Renewed, StoreError> {
        let lease = self.engine.config.lease.as_millis() as u64;
        let answers = self.of_all_groups(&RENEW, &["terms"], |command| {
            command.arg(connector.as_bytes()).arg(lease);
        });
        let answers = answers.await?;
        let terms = answers.iter().map(|answer| match answer.rest.first() {
            Some(Value::Int(term)) => Ok(*term as u64),
            _ => Err(corrupt("renew", Unreadable("a term"))),
        });
        // A group's term only rises, so that the sum is another one when any of them is.
        let term = terms.sum::<Result<u64, StoreError>>()?;
        let lives: Vec<Life> = answers.iter().map(|answer| answer.life).collect();
        Ok(Renewed { incarnation: incarnation(&lives), term })
    }

    async fn expel(&self, connectors: &[ConnectorId]) -> Result<(), StoreError> {
        let answers = self.of_all_groups(&EXPEL, &[], |command| {
            connectors.iter().for_each(|connector| {
                command.arg(connector.as_bytes());
            });
        });
        answers.await.map(drop)
    }

    async fn connectors(&self) -> Result<Vec<ConnectorId>, StoreError> {
        let call = self.engine.call(&LOCATE, HOME, Keys::Named(&[]), false);
        let mut answers = self.engine.run(vec![call]).await?;
        sure(&answers)?;
        let leases = answers.remove(0).list();
        leases.and_then(|leases| leased(&leases)).map_err(|error| corrupt("connectors", error))
    }
}

/// Nothing is told of a life in which some have not said yet that they are there.
fn sure(answers: &[Answer]) -> Result<(), StoreError> {
    match answers.iter().map(|answer| answer.unsure).max() {
        Some(unsure) if !unsure.is_zero() => {
            Err(StoreError::Unavailable(format!("Redis, locate: routes are being rebuilt, for another {unsure:?}")))
        }
        _ => Ok(()),
    }
}

fn leased(leases: &[Value]) -> Result<Vec<ConnectorId>, Unreadable> {
    let connector = |value: &Value| match value {
        Value::BulkString(bytes) => ConnectorId::from_slice(bytes).ok_or(Unreadable("a lease")),
        _ => Err(Unreadable("a lease")),
    };
    leases.iter().map(connector).collect()
}

fn corrupt(name: &str, error: Unreadable) -> StoreError {
    StoreError::Corrupt(format!("Redis, {name}: {error}"))
}
