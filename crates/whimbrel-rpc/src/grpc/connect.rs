//! How a connector's streams are opened and read, and what is settled when one ends.

use std::sync::Arc;
use std::time::Instant;

use tokio_util::sync::CancellationToken;
use tonic::transport::Channel;
use tonic::{Request as Call, Status, Streaming};
use whimbrel_core::{ConnectorId, TransferId};

use super::connects::malformed;
use super::fleet::{Dial, Line as _};
use super::hello::Role;
use super::limits::spread_ms;
use super::line::ConnectLine;
use super::outbox::Drain;
use super::underway::UnderWay;
use super::waiting::{OwnAnswers, Waiting};
use super::{Limits, Security, figures, hello};
use crate::convert::pb::transfer_client::TransferClient;
use crate::convert::{self, out, pb};
use crate::{Push, PushItem};

pub(super) struct Connects {
    id: ConnectorId,
    push: Arc<dyn Push>,
    security: Security,
    limits: Arc<Limits>,
    pub(super) own: OwnAnswers,
    pub(super) waiting: Waiting,
}

impl Connects {
    pub(super) fn new(
        id: ConnectorId,
        push: Arc<dyn Push>,
        security: Security,
        limits: Arc<Limits>,
        stop: &CancellationToken,
    ) -> Self {
        let own = OwnAnswers::start(push.clone(), limits.clone(), stop.clone());
        Self { id, push, security, limits, own, waiting: Waiting::default() }
    }

    /// Answers Sends with "retry", and has syncs asked again.
    async fn give_up(&self, under_way: UnderWay, why: &'static str) {
        let (answers, syncs) = under_way.give_up(|| spread_ms(self.limits.retry_hint));
        if !answers.is_empty() {
            figures::retries(why, answers.len());
            self.push.push(answers).await;
        }
        let until = tokio::time::Instant::now() + self.limits.sync_wait;
        for sync in syncs {
            figures::asked_again("sync");
            let session = sync.from.session;
            if !self.waiting.add(sync, until, self.limits.syncs_waiting, true) {
                figures::full("syncs_waiting");
                self.own.close(session);
            }
        }
    }
}

impl Dial for Connects {
    type Line = ConnectLine;
    type Down = pb::ToConnector;

    async fn open(
        &self,
        to: TransferId,
        channel: Channel,
    ) -> Result<(Arc<ConnectLine>, Streaming<pb::ToConnector>), Status> {
        let hello = hello::hello(self.limits.protocol, Role::Connector, out(self.id));
        let mut line = ConnectLine::new(hello::addressed(&hello, to), self.limits.clone());
        let mut call = Call::new(Drain::of_client(line.outbox.clone()));
        self.security.sign(&mut call);
        let mut client = TransferClient::new(channel)
            .max_decoding_message_size(self.limits.message_max)
            .max_encoding_message_size(self.limits.message_max);
        let mut inbound = client.connect(call).await?.into_inner();
        let first = hello::first(&mut inbound).await?;
        line.protocol = hello::answered(first.hello, first.refused, self.limits.protocol)?;
        Ok((Arc::new(line), inbound))
    }

    async fn take(&self, line: &ConnectLine, message: pb::ToConnector) -> Result<(), Status> {
        if message.leaving {
            line.leave();
        }
        if !message.answers.is_empty() {
            line.outbox.with(|up| up.answered(message.answers));
        }
        if message.pushes.is_empty() {
            return Ok(());
        }
        let items: Vec<PushItem> = convert::all(message.pushes, TryInto::try_into).map_err(malformed)?;
        if line.outbox.with(|up| up.pushed(message.first, &items)) == Some(false) {
            return Err(Status::invalid_argument("ToConnector.first does not follow on the last push"));
        }
        let taken = self.push.push(items).await;
        line.outbox.with(|up| up.took(taken));
        Ok(())
    }

    async fn sweep(&self, line: &ConnectLine) {
        let within = self.limits.answer_within;
        if let Some(late) = line.outbox.with(|up| up.under_way.overdue(within, Instant::now())) {
            self.give_up(late, "unanswered").await;
        }
    }

    async fn ended(&self, line: &ConnectLine) {
        // What waits for answers is dropped with the rest, and so learns that there will be none.
        if let Some(up) = line.outbox.end(None) {
            self.give_up(up.under_way, "stream_ended").await;
        }
    }
}
