//! Passwords: argon2id, off the async threads, in bounded numbers.
//!
//! A password is hashed or compared with nothing held but one of a few turns. There is no quick answer: when there is
//! nothing to compare with, a hash of the same cost is compared instead.

use std::sync::Arc;

use argon2::password_hash::phc::PasswordHash;
use argon2::{Algorithm, Argon2, Params, PasswordHasher, PasswordVerifier, Version};
use secrecy::{ExposeSecret, SecretString};
use tokio::sync::Semaphore;

use crate::config::Hashing;
use crate::error::{ApiError, Code};

/// Characters of a password.
pub(crate) const PASSWORD_CHARS: std::ops::RangeInclusive<usize> = 8..=256;

/// Whether a hash waits when the queue is full.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Patience {
    /// It is refused (`busy`).
    None,
    /// It waits: the administrator's.
    Waits,
}

pub(crate) struct Passwords {
    argon2: Argon2<'static>,
    nobody: Arc<str>,
    running: Arc<Semaphore>,
    queue: Arc<Semaphore>,
}

impl Passwords {
    pub(crate) fn new(config: &Hashing) -> Result<Self, argon2::password_hash::Error> {
        let params = Params::new(config.memory_kib, config.passes, 1, None)?;
        let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
        let nobody = argon2.hash_password(&rand::random::<[u8; 32]>())?.to_string().into();
        let (running, queue) = (config.concurrency, config.concurrency + config.queue);
        Ok(Self { argon2, nobody, running: Arc::new(Semaphore::new(running)), queue: Arc::new(Semaphore::new(queue)) })
    }

    /// The hash of a new password, as a PHC string.
    pub(crate) async fn hash(&self, password: SecretString, patience: Patience) -> Result<String, ApiError> {
        let argon2 = self.argon2.clone();
        let hash = move || argon2.hash_password(password.expose_secret().as_bytes()).map(|hash| hash.to_string());
        self.in_turn(patience, hash).await?.map_err(|error| ApiError::internal(format!("hashing failed: {error}")))
    }

    /// Whether the password belongs to the hash. Without a hash: no, after the same time.
    pub(crate) async fn verify(&self, password: SecretString, hash: Option<String>) -> Result<bool, ApiError> {
        let nobody = self.nobody.clone();
        let work = move || {
            let parsed = PasswordHash::new(hash.as_deref().unwrap_or(&nobody))?;
            // The hash's own parameters count, so that a deployment may change its settings.
            let right = Argon2::default().verify_password(password.expose_secret().as_bytes(), &parsed).is_ok();
            Ok::<_, argon2::password_hash::phc::Error>(right && hash.is_some())
        };
        let verified = self.in_turn(Patience::None, work).await?;
        verified.map_err(|error| ApiError::internal(format!("a stored password hash is unreadable: {error}")))
    }

    /// Runs the work on a thread of its own; the turn ends with the work, also when nobody waits for it any more.
    async fn in_turn<T: Send + 'static>(
        &self,
        patience: Patience,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, ApiError> {
        let place = match patience {
            Patience::None => self.queue.clone().try_acquire_owned().map_err(|_| ApiError::new(Code::Busy))?,
            Patience::Waits => self.queue.clone().acquire_owned().await.map_err(ApiError::internal)?,
        };
        let turn = self.running.clone().acquire_owned().await.map_err(ApiError::internal)?;
        let done = tokio::task::spawn_blocking(move || {
            let result = work();
            drop((turn, place));
            result
        });
        done.await.map_err(ApiError::internal)
    }
}

/// Whether a text may become a password.
pub(crate) fn check_new(password: &SecretString, field: &'static str) -> Result<(), ApiError> {
    match PASSWORD_CHARS.contains(&password.expose_secret().chars().count()) {
        true => Ok(()),
        false => Err(ApiError::invalid(field, "a password has 8 to 256 characters")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cheap(concurrency: usize, queue: usize) -> Passwords {
        Passwords::new(&Hashing { memory_kib: 8, passes: 1, concurrency, queue }).expect("good parameters")
    }

    #[tokio::test]
    async fn a_password_is_right_for_its_own_hash_only_and_none_is_right_for_nobody() {
        let passwords = cheap(1, 0);
        let hash = passwords.hash("correct horse".into(), Patience::None).await.expect("hashed");
        assert!(hash.starts_with("$argon2id$v=19$m=8,t=1,p=1$"), "{hash}");
        assert!(passwords.verify("correct horse".into(), Some(hash.clone())).await.expect("verified"));
        assert!(!passwords.verify("wrong horse".into(), Some(hash)).await.expect("verified"));
        assert!(!passwords.verify("correct horse".into(), None).await.expect("verified"));
    }

    #[tokio::test]
    async fn beyond_the_queue_a_hash_is_refused_and_the_patient_wait() {
        // Idea: hold the only turn; one waits in the queue, the next is refused, a patient one comes through at last.
        let passwords = Arc::new(cheap(1, 1));
        let turn = passwords.running.clone().acquire_owned().await.expect("open");
        let hash = |patience| {
            let passwords = passwords.clone();
            tokio::spawn(async move { passwords.hash("correct horse".into(), patience).await })
        };
        let _running = passwords.queue.clone().acquire_owned().await.expect("open");
        let waiting = hash(Patience::None);
        while passwords.queue.available_permits() > 0 {
            tokio::task::yield_now().await;
        }
        assert_eq!(hash(Patience::None).await.expect("joined").err().map(|e| e.code), Some(Code::Busy));
        let patient = hash(Patience::Waits);
        drop(turn);
        assert!(waiting.await.expect("joined").is_ok());
        assert!(patient.await.expect("joined").is_ok());
    }
}
