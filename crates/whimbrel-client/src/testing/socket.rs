//! The socket's side of the server.

use std::sync::Arc;

use bytes::BytesMut;
use parking_lot::Mutex;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use whimbrel_core::{GoodbyeCode, SessionId, UserId};
use whimbrel_wire::codec::Splitter;
use whimbrel_wire::convert::{self, WireId};
use whimbrel_wire::frame::{decode_client, put_frame};
use whimbrel_wire::{ClientPayload, Encoded, ServerPayload, proto};

use super::State;
use super::state::Session;

/// Frames that wait for a session.
const WAITING: usize = 4096;

pub(super) async fn serve(listener: TcpListener, state: Arc<Mutex<State>>) {
    while let Ok((stream, _)) = listener.accept().await {
        let state = state.clone();
        tokio::spawn(async move {
            let mut session = None;
            let _ = converse(stream, &state, &mut session).await;
            if let Some(id) = session {
                state.lock().sessions.remove(&id);
            }
        });
    }
}

async fn converse(mut stream: TcpStream, state: &Mutex<State>, session: &mut Option<u64>) -> std::io::Result<()> {
    let (out, mut waiting) = mpsc::channel(WAITING);
    // The state holds the only sender once there is a session: dropping it there ends this connection.
    let mut out = Some(out);
    let (mut splitter, mut buffer) = (Splitter::new(), vec![0; 64 * 1024]);
    let (mut number, mut received) = (0, 0);
    loop {
        let mut answers = Vec::new();
        tokio::select! {
            read = stream.read(&mut buffer) => {
                let read = read?;
                if read == 0 {
                    return Ok(());
                }
                for frame in splitter.push(&buffer[..read], 256 * 1024) {
                    let frame = decode_client(frame.map_err(std::io::Error::other)?).map_err(std::io::Error::other)?;
                    received = received.max(frame.number);
                    answers.extend(frame.payload.and_then(|payload| answer(payload, state, session, &mut out)));
                }
            }
            payload = waiting.recv() => match payload {
                Some(payload) => answers.push(payload),
                None => return Ok(()),
            },
        }
        let mut bytes = BytesMut::new();
        let is_last = answers.iter().any(|payload| matches!(payload, ServerPayload::Goodbye(_)));
        for payload in answers {
            let payload = Encoded::server(&payload);
            number += u64::from(payload.is_numbered());
            put_frame(&mut bytes, if payload.is_numbered() { number } else { 0 }, received, Some(&payload));
        }
        stream.write_all(&bytes).await?;
        if is_last {
            return Ok(());
        }
    }
}

fn answer(
    payload: ClientPayload,
    state: &Mutex<State>,
    session: &mut Option<u64>,
    out: &mut Option<mpsc::Sender<ServerPayload>>,
) -> Option<ServerPayload> {
    let mut state = state.lock();
    match (payload, *session) {
        (ClientPayload::Hello(hello), _) => Some(welcome(&mut state, hello, session, out.take()?)),
        (ClientPayload::Send(send), Some(id)) => {
            let (conversation, drafts) = convert::send(send).ok()?;
            let answers = state.send(id, conversation, drafts);
            let answers: Vec<_> = answers.into_iter().map(Into::into).collect();
            let conversation_id = conversation.wire();
            (!answers.is_empty()).then_some(ServerPayload::Answers(proto::Answers { conversation_id, answers }))
        }
        (ClientPayload::Advance(advance), Some(id)) => {
            let durable = state.advance(id, convert::advance(advance).ok()?);
            let cursors = durable.into_iter().map(Into::into).collect();
            Some(ServerPayload::Advanced(proto::Advanced { cursors }))
        }
        (ClientPayload::Signal(signal), Some(id)) => {
            let (conversation, body) = convert::signal(signal).ok()?;
            state.signal(id, conversation, body);
            None
        }
        (ClientPayload::Watch(watch), Some(_)) => {
            let presences = state.presences(&convert::watch(watch).ok()?);
            let presences = presences.into_iter().map(Into::into).collect::<Vec<_>>();
            (!presences.is_empty()).then_some(ServerPayload::Presences(proto::Presences { presences }))
        }
        (ClientPayload::Sync(sync), Some(id)) => {
            let user = state.sessions.get(&id)?.user;
            let answer = state.sync(user, &convert::sync(sync).ok()?);
            Some(ServerPayload::Synced(answer.into()))
        }
        _ => None,
    }
}

fn welcome(
    state: &mut State,
    hello: proto::Hello,
    session: &mut Option<u64>,
    out: mpsc::Sender<ServerPayload>,
) -> ServerPayload {
    state.counts.hellos += 1;
    let goodbye = |code, hint| ServerPayload::Goodbye(convert::goodbye(code, "not now", hint));
    if let Some((code, hint)) = state.refusing.pop_front() {
        return goodbye(code, hint);
    }
    let Some(&(user, device)) = state.access_tokens.get(&hello.access_token) else {
        return goodbye(GoodbyeCode::TOKEN_INVALID, 0);
    };
    let same: Vec<u64> = state.sessions.iter().filter(|(_, open)| open.device == device).map(|(id, _)| *id).collect();
    for id in same {
        if let Some(replaced) = state.sessions.remove(&id) {
            let _ = replaced.out.try_send(goodbye(GoodbyeCode::REPLACED, 0));
        }
    }
    state.last_session += 1;
    *session = Some(state.last_session);
    state.sessions.insert(state.last_session, Session { user, device, out });
    ServerPayload::Welcome(limits(user, state.bodies_readable).into())
}

fn limits(user: UserId, bodies_readable: bool) -> convert::Welcome {
    convert::Welcome {
        session: SessionId::generate(),
        user,
        max_frame: 256 * 1024,
        window: 256,
        heartbeat_ms: 5_000,
        silence_ms: 15_000,
        ack_timeout_ms: 2_000,
        ack_timeouts: 5,
        server_time_ms: 0,
        bodies_readable,
        max_body: 64 * 1024,
        max_drafts: 100,
        max_conversations: 500,
        max_watched: 200,
    }
}
