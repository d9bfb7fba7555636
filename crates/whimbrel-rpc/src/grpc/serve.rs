//! The server.
//!
//! Told to stop, it says so to its peers, lets nobody new in, and waits until the connectors have nothing more under way
//! here. Only then the streams of announcements end: the places that those connectors wait for come by them.

use std::pin::Pin;
use std::sync::Arc;

use tokio::net::TcpListener;
use tokio_stream::Stream;
use tokio_util::sync::CancellationToken;
use tonic::transport::Server;
use tonic::transport::server::TcpIncoming;
use tonic::{Request, Response, Status, Streaming};
use tracing::{debug, info, warn};

use super::announces::{Announcements, Down};
use super::connects::Connection;
use super::hello::{Peer, Role, first, judge, meant};
use super::outbox::{Drain, Outbox};
use super::peer::Streams;
use super::security::{Door, WINDOW};
use super::{Security, figures};
use crate::convert::pb::transfer_server::{Transfer as Service, TransferServer};
use crate::convert::{id, pb};
use crate::{Announce, Transfer};

/// Why a server ended that was not told to.
#[derive(Debug, thiserror::Error)]
#[error("the transfer's streams cannot be served")]
pub struct ServeError(#[from] tonic::transport::Error);

/// Streams that one connection may open; a peer of this version opens one.
const STREAMS_PER_CONNECTION: u32 = 16;

/// Serves connectors, archivers and the API on `listener`. After `stop` it says goodbye politely, for at most
/// [`Limits::drain`](super::Limits::drain).
pub async fn serve(
    listener: TcpListener,
    security: Security,
    streams: Arc<Streams>,
    transfer: Arc<dyn Transfer>,
    announce: Arc<dyn Announce>,
    stop: CancellationToken,
) -> Result<(), ServeError> {
    let limits = streams.limits.clone();
    let mut server = Server::builder()
        .http2_keepalive_interval(Some(limits.alive_every))
        .http2_keepalive_timeout(Some(limits.alive_within))
        .initial_stream_window_size(WINDOW)
        .initial_connection_window_size(WINDOW)
        .max_concurrent_streams(STREAMS_PER_CONNECTION);
    if let Some(tls) = &security.tls {
        server = server.tls_config(tls.server().timeout(limits.open_within))?;
    }
    let desk = Desk { door: Door::new(&security), streams: streams.clone(), transfer, announce };
    let service = TransferServer::new(desk)
        .max_decoding_message_size(limits.message_max)
        .max_encoding_message_size(limits.message_max);
    let incoming = TcpIncoming::from(listener).with_nodelay(Some(true));
    let serving = server.serve_with_incoming_shutdown(service, incoming, stop.clone().cancelled_owned());
    tokio::pin!(serving);
    tokio::select! {
        ended = &mut serving => return Ok(ended?),
        () = goodbye(&streams, stop) => {}
    }
    // What is left now are connections that somebody does not close.
    if tokio::time::timeout(limits.alive_every + limits.alive_within, serving).await.is_err() {
        warn!("connections to this transfer were still open when it stopped");
    }
    Ok(())
}

async fn goodbye(streams: &Streams, stop: CancellationToken) {
    stop.cancelled().await;
    streams.leaving.cancel();
    streams.tasks.close();
    if tokio::time::timeout(streams.limits.drain, streams.tasks.wait()).await.is_err() {
        warn!(
            connectors = streams.tasks.len(),
            "connectors still had something under way; it is asked for again elsewhere"
        );
    }
    streams.closing.cancel();
}

struct Desk {
    door: Door,
    streams: Arc<Streams>,
    transfer: Arc<dyn Transfer>,
    announce: Arc<dyn Announce>,
}

type Answers<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

impl Desk {
    /// Reads a stream's Hello. The inner error is the sentence for who is refused.
    async fn open<T>(
        &self,
        inbound: &mut Streaming<T>,
        hello: impl FnOnce(T) -> Option<pb::Hello>,
        expected: &[Role],
    ) -> Result<Result<Peer, String>, Status> {
        let opening = tokio::time::timeout(self.streams.limits.open_within, first(inbound)).await;
        let opening = opening.map_err(|_| Status::deadline_exceeded("Hello did not come in time"))??;
        let hello = hello(opening).ok_or_else(|| Status::invalid_argument("the first message is not Hello"))?;
        let judged = judge(&hello, self.streams.limits.protocol, expected);
        if judged.is_ok()
            && let Err(unlike) = meant(&hello, self.streams.id)
        {
            // Usual for as long as the list still names the run before this one.
            figures::hello_refused(unlike.why);
            debug!(why = unlike.why, "a stream was refused: {}", unlike.sentence);
            return Ok(Err(unlike.sentence));
        }
        Ok(judged.map_err(|unlike| {
            figures::hello_refused(unlike.why);
            warn!(why = unlike.why, "a stream was refused: {}", unlike.sentence);
            unlike.sentence
        }))
    }
}

fn refused(sentence: String) -> Option<pb::Refused> {
    Some(pb::Refused { sentence })
}

#[tonic::async_trait]
impl Service for Desk {
    type ConnectStream = Answers<pb::ToConnector>;
    type AnnounceStream = Answers<pb::Announced>;

    async fn connect(
        &self,
        request: Request<Streaming<pb::FromConnector>>,
    ) -> Result<Response<Self::ConnectStream>, Status> {
        self.door.check(&request)?;
        let mut inbound = request.into_inner();
        let peer = match self.open(&mut inbound, |message| message.hello, &[Role::Connector]).await? {
            Ok(peer) => peer,
            Err(sentence) => {
                let only = pb::ToConnector { refused: refused(sentence), ..Default::default() };
                return Ok(Response::new(Box::pin(tokio_stream::once(Ok(only)))));
            }
        };
        let peer = self.streams.add(id(peer.id), peer.protocol);
        info!(connector = %peer.connector, "a connector has opened its stream");
        let answers = Drain::of_server(peer.outbox.clone());
        let connection = Connection::new(peer, self.streams.clone(), self.transfer.clone());
        self.streams.tasks.spawn(connection.run(inbound));
        Ok(Response::new(Box::pin(answers)))
    }

    async fn announce(
        &self,
        request: Request<Streaming<pb::Announcement>>,
    ) -> Result<Response<Self::AnnounceStream>, Status> {
        self.door.check(&request)?;
        let mut inbound = request.into_inner();
        let peer = match self.open(&mut inbound, |message| message.hello, &[Role::Archiver, Role::Api]).await? {
            Ok(peer) => peer,
            Err(sentence) => {
                let only = pb::Announced { refused: refused(sentence), ..Default::default() };
                return Ok(Response::new(Box::pin(tokio_stream::once(Ok(only)))));
            }
        };
        info!(role = peer.role.name(), "a stream of announcements was opened");
        let outbox = Outbox::new(Down::new(self.streams.hello.clone()));
        let answers = Drain::of_server(outbox.clone());
        let (streams, announce) = (self.streams.clone(), self.announce.clone());
        tokio::spawn(Announcements { role: peer.role, outbox, streams, announce }.run(inbound));
        Ok(Response::new(Box::pin(answers)))
    }
}
