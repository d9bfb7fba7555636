//! [`Park`] in the broker: drafts that the database refuses for good rest in the queue of dead letters.

use async_trait::async_trait;

use super::log::RabbitLog;
use super::{dead, record};
use crate::StoreError;
use crate::park::{DeadLetter, Park};

/// Keeps dead letters in the broker, over the publishing connection of a log.
#[derive(Clone)]
pub struct RabbitPark {
    log: RabbitLog,
}

impl RabbitPark {
    /// Next to this log.
    pub fn new(log: &RabbitLog) -> Self {
        Self { log: log.clone() }
    }
}

#[async_trait]
impl Park for RabbitPark {
    async fn park(&self, letter: DeadLetter) -> Result<(), StoreError> {
        let headers = dead::headers_of_draft();
        let kept = self.log.shared.bury(record::encode_dead(letter).into(), headers).await;
        kept.map_err(|error| StoreError::Unavailable(error.to_string()))
    }
}
