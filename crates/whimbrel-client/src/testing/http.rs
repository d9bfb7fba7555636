//! REST's side of the server: one request per connection.

use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use parking_lot::Mutex;
use secrecy::ExposeSecret;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use whimbrel_core::{DeviceId, UserId};

use super::{State, files};
use crate::account::Credentials;

pub(super) type Answer = Result<Value, (u16, &'static str)>;

pub(super) async fn serve(listener: TcpListener, state: Arc<Mutex<State>>) {
    while let Ok((stream, _)) = listener.accept().await {
        tokio::spawn(one(stream, state.clone()));
    }
}

async fn one(mut stream: TcpStream, state: Arc<Mutex<State>>) -> std::io::Result<()> {
    let mut bytes = Vec::new();
    let (head, length) = loop {
        if stream.read_buf(&mut bytes).await? == 0 {
            return Ok(());
        }
        if let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
            let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
            bytes.drain(..end + 4);
            let length = header(&head, "content-length").and_then(|length| length.parse().ok()).unwrap_or(0);
            break (head, length);
        }
    };
    if let Some((takes, id)) = files::content_of(&head) {
        let answer = match takes {
            true => files::take(&mut stream, (&head, &id), bytes, length, &state).await?,
            false => files::give(&mut stream, (&head, &id), &state).await?,
        };
        return match answer {
            Some(answer) => tell(&mut stream, answer).await,
            None => Ok(()),
        };
    }
    while bytes.len() < length {
        stream.read_buf(&mut bytes).await?;
    }
    let body = serde_json::from_slice(&bytes).unwrap_or(Value::Null);
    let answer = route(&mut state.lock(), &head, &body);
    tell(&mut stream, answer).await
}

async fn tell(stream: &mut TcpStream, answer: Answer) -> std::io::Result<()> {
    let (status, answer) = match answer {
        Ok(answer) => (200, answer),
        Err((status, code)) => (status, json!({ "code": code, "message": code })),
    };
    let answer = answer.to_string();
    let head = format!("HTTP/1.1 {status} As Said\r\ncontent-length: {}\r\nconnection: close\r\n\r\n", answer.len());
    stream.write_all(head.as_bytes()).await?;
    stream.write_all(answer.as_bytes()).await
}

pub(super) fn header<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    head.lines()
        .filter_map(|line| line.split_once(':'))
        .find(|(n, _)| n.eq_ignore_ascii_case(name))
        .map(|(_, v)| v.trim())
}

fn route(state: &mut State, head: &str, body: &Value) -> Answer {
    let mut words = head.split_whitespace();
    let (method, target) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let path: Vec<&str> = path.trim_start_matches("/v1/").split('/').collect();
    match (method, path.as_slice()) {
        ("POST", ["register"]) => {
            let user = state.user(text(body, "handle"), text(body, "password"));
            open(state, user, body)
        }
        ("POST", ["login"]) => {
            let known = (text(body, "handle").to_owned(), text(body, "password").to_owned());
            let user = state.users.iter().find(|(_, user)| **user == known).map(|(id, _)| *id);
            open(state, user.ok_or((401, "bad_credentials"))?, body)
        }
        ("POST", ["refresh"]) => refresh(state, text(body, "refresh_token")),
        (method, path) => {
            let token =
                header(head, "authorization").and_then(|value| value.strip_prefix("Bearer ")).unwrap_or_default();
            let &(caller, _) = state.access_tokens.get(token).ok_or((401, "unauthenticated"))?;
            inside(state, caller, (method, path, query), body)
        }
    }
}

fn inside(state: &mut State, caller: UserId, request: (&str, &[&str], &str), body: &Value) -> Answer {
    let number = |text: &str| text.parse().map(UserId).map_err(|_| (404, "not_found"));
    match request {
        ("GET", ["relations", ..], _) if state.relations_fail => Err((503, "unavailable")),
        ("GET", ["conversations", _, _], _) if state.history_fails => Err((503, "unavailable")),
        ("GET", ["me"], _) => profile(state, caller),
        ("GET", ["users"], query) => {
            let handle = query.trim_start_matches("handle=");
            let user = state.users.iter().find(|(_, (known, _))| known == handle).map(|(id, _)| *id);
            profile(state, user.ok_or((404, "no_such_user"))?)
        }
        (method, ["files", path @ ..], _) => files::route(state, method, path, body),
        ("GET", ["search"], _) => match state.search_fails {
            Some(status) => Err((status, "unavailable")),
            None => Ok(json!({ "hits": [], "next": null })),
        },
        ("GET", ["groups", ..], _) if state.relations_fail => Err((503, "unavailable")),
        ("GET", ["users", user], _) => profile(state, number(user)?),
        ("GET", ["relations"], query) => {
            let after = query.split('&').find_map(|part| part.strip_prefix("after=")?.parse().ok()).unwrap_or(0);
            let mut peers: Vec<UserId> = state.users.keys().copied().filter(|peer| peer.0 > after).collect();
            peers.retain(|peer| {
                state.pairs.iter().any(|pair| pair.users.contains(peer) && pair.users.contains(&caller))
            });
            peers.retain(|peer| *peer != caller);
            let relations =
                peers.into_iter().map(|peer| relation(state, caller, peer)).collect::<Result<Vec<_>, _>>()?;
            Ok(json!({ "relations": relations, "next": null }))
        }
        ("GET", ["relations", peer], _) => {
            state.counts.relations += 1;
            relation(state, caller, number(peer)?)
        }
        ("POST", ["relations", peer, verb], _) => {
            let peer = number(peer)?;
            match *verb {
                "request" => state.pair(caller, peer).asked_by = Some(caller),
                "accept" if state.pair(caller, peer).asked_by == Some(peer) => drop(state.befriend(caller, peer)),
                _ => return Err((409, "not_applicable")),
            }
            state.relation_changed(caller, peer);
            relation(state, caller, peer)
        }
        request => super::groups::route(state, caller, request, body),
    }
}

pub(super) fn text<'a>(body: &'a Value, name: &str) -> &'a str {
    body[name].as_str().unwrap_or_default()
}

fn open(state: &mut State, user: UserId, body: &Value) -> Answer {
    state.counts.logins += 1;
    let device = body["device_id"].as_str().and_then(|id| id.parse::<DeviceId>().ok());
    let credentials = state.open_device(user, device);
    let profile = profile(state, user)?;
    let mut answer = tokens(&credentials);
    answer["user"] = profile;
    Ok(answer)
}

fn refresh(state: &mut State, token: &str) -> Answer {
    state.counts.refreshes += 1;
    if state.refused_refreshes > 0 {
        state.refused_refreshes -= 1;
        return Err((401, "refresh_invalid"));
    }
    let (user, device) = state.refresh_tokens.remove(token).ok_or((401, "refresh_invalid"))?;
    let mut answer = tokens(&state.open_device(user, Some(device)));
    answer["user_id"] = json!(user.0);
    Ok(answer)
}

fn tokens(credentials: &Credentials) -> Value {
    json!({
        "device_id": credentials.device.to_string(),
        "access_token": credentials.access_token.expose_secret(),
        "access_expires_at": credentials.access_expires_at * 1000,
        "refresh_token": credentials.refresh_token.as_ref().map(|token| token.expose_secret()),
    })
}

fn profile(state: &State, user: UserId) -> Answer {
    let (handle, _) = state.users.get(&user).ok_or((404, "no_such_user"))?;
    Ok(json!({ "id": user.0, "handle": handle, "display_name": handle, "avatar": "" }))
}

fn relation(state: &State, caller: UserId, peer: UserId) -> Answer {
    let pair = state.pairs.iter().find(|pair| pair.users.contains(&caller) && pair.users.contains(&peer));
    let standing = match pair.map(|pair| (pair.conversation, pair.asked_by)) {
        Some((Some(_), _)) => "friends",
        Some((None, Some(asked_by))) if asked_by == caller => "request_sent",
        Some((None, Some(_))) => "request_received",
        _ => "none",
    };
    let keys = pair.into_iter().flat_map(|pair| &pair.keys);
    let keys: Vec<Value> =
        keys.map(|key| json!({ "version": key.version, "key": STANDARD.encode(key.key.expose()) })).collect();
    Ok(json!({
        "peer": profile(state, peer)?,
        "state": standing,
        "blocked": false,
        "greeting": "",
        "conversation_id": pair.and_then(|pair| pair.conversation).map(|id| id.to_string()),
        "changed_at": keys.len(),
        "keys": keys,
    }))
}
