//! Files: uploaded in pieces, completed, read by those who see a message that came with them.

use std::collections::BTreeMap;

use axum::body::Body;
use axum::http::Request;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use uuid::Uuid;
use whimbrel_api::Config;
use whimbrel_core::{ConversationId, DeviceId, Message, MessageId, MessageKind, UserId};
use whimbrel_store::{NewRow, PlaceBatch};

use crate::support::{Answer, Api, On, Person, config, on_both};

/// Readable files are taken too, and what nothing needs is collected at once.
pub(crate) fn files_config() -> Config {
    let mut config = config();
    config.files.readable = true;
    config
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

pub(crate) fn sha256(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

/// Bytes that no two places share by chance.
pub(crate) fn content(len: usize) -> Vec<u8> {
    (0..len as u64).map(|at| (at.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 56) as u8).collect()
}

/// What announces these bytes, readable.
pub(crate) fn form(bytes: &[u8]) -> Value {
    json!({"name": "sea.bin", "type": "application/octet-stream", "size": bytes.len(), "sha256": sha256(bytes)})
}

impl Api {
    pub(crate) async fn piece(&self, who: &Person, id: &str, offset: usize, bytes: &[u8]) -> Answer {
        let request = Request::patch(format!("/v1/files/{id}/content?offset={offset}"));
        let request = request.header("authorization", format!("Bearer {}", who.access));
        self.send(request.body(Body::from(bytes.to_vec())).expect("a request")).await
    }

    pub(crate) async fn complete(&self, who: &Person, id: &str) -> Answer {
        self.by(who, &format!("POST /v1/files/{id}/complete"), Value::Null).await
    }

    /// A file of this form and content, whole; its id.
    pub(crate) async fn upload(&self, who: &Person, form: Value, bytes: &[u8]) -> String {
        let announced = self.by(who, "POST /v1/files", form).await;
        assert_eq!(announced.status, 201, "{}", announced.body);
        let id = announced.text("id");
        self.piece(who, &id, 0, bytes).await.good();
        assert_eq!(self.complete(who, &id).await.good()["state"], "whole");
        id
    }

    pub(crate) async fn download(&self, who: &Person, id: &str, headers: &[(&str, &str)]) -> Answer {
        let mut request = Request::get(format!("/v1/files/{id}/content"));
        request = request.header("authorization", format!("Bearer {}", who.access));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        self.send(request.body(Body::empty()).expect("a request")).await
    }

    /// Places a message of this kind as an archiver does; its seq.
    pub(crate) async fn place(&self, who: &Person, conversation: &str, kind: MessageKind, body: Vec<u8>) -> u64 {
        let conversation: ConversationId = conversation.parse().expect("an id");
        let head = self.store.heads(&[conversation]).await.expect("answers").remove(0).expect("there");
        let message = Message {
            conversation,
            seq: head.seq.next(),
            sender: UserId(who.id),
            device: DeviceId::from_bytes([5; 16]),
            message_id: MessageId::generate(),
            kind,
            key_version: 1,
            body: body.into(),
            at: head.at + 1,
        };
        let seq = message.seq.0;
        let row = NewRow { message, hash: [7; 32], n: head.n, own: 0, in_group: false };
        let batch = PlaceBatch { rows: vec![row], cursors: Vec::new() };
        self.store.commit(batch).await.map_err(|(_, error)| error).expect("the place is free");
        seq
    }

    /// Says something that comes with a file; its seq.
    pub(crate) async fn say_file(&self, who: &Person, conversation: &str, id: &str) -> u64 {
        let id: Uuid = id.parse().expect("an id");
        let body = [&id.as_bytes()[..], b"sealed"].concat();
        self.place(who, conversation, MessageKind::IMAGE, body).await
    }
}

on_both! {
    a_file_goes_up_in_pieces_and_comes_down_whole_and_in_ranges on Bucket,
    a_piece_that_was_cut_off_is_kept_as_far_as_it_came_also_over_a_restart on Bucket,
    the_same_upload_from_two_devices_at_once_is_harmless on Bucket,
    who_does_not_see_a_message_with_it_finds_no_file on Shared,
    a_removed_members_old_link_finds_what_was_said_before_and_nothing_after on Shared,
    what_nothing_needs_is_collected_and_what_a_message_needs_is_not on Bucket,
}

async fn a_file_goes_up_in_pieces_and_comes_down_whole_and_in_ranges(on: On) {
    let api = Api::on(on, files_config()).await;
    let anna = api.register("anna").await;
    let bytes = content(3_000_000);
    let announced = api.by(&anna, "POST /v1/files", form(&bytes)).await;
    let id = announced.text("id");
    assert_eq!((announced.status.as_u16(), &announced.body["received"]), (201, &json!(0)));
    let (mut at, mut pieces) = (0, 0);
    while at < bytes.len() {
        let end = (at + 1_000_000).min(bytes.len());
        let answer = api.piece(&anna, &id, at, &bytes[at..end]).await.good();
        at = answer["received"].as_u64().expect("a number") as usize;
        assert_eq!(at, end);
        let seen = api.by(&anna, &format!("GET /v1/files/{id}"), Value::Null).await.good();
        assert_eq!((&seen["received"], &seen["state"]), (&json!(at), &json!("uploading")));
        pieces += 1;
    }
    assert_eq!(pieces, 3);
    api.download(&anna, &id, &[]).await.is(404, "no_such_file");
    assert_eq!(api.complete(&anna, &id).await.good()["state"], "whole");
    assert_eq!(api.complete(&anna, &id).await.good()["state"], "whole", "again");
    assert!(api.resting().await.values().eq([&bytes]), "nothing else rests, of no piece");
    assert_eq!(api.piece(&anna, &id, 0, b"late").await.good()["received"], bytes.len(), "nothing more is taken");

    let all = api.download(&anna, &id, &[]).await;
    assert_eq!((all.status.as_u16(), all.bytes == bytes), (200, true));
    let headers: BTreeMap<_, _> =
        all.headers.iter().map(|(name, value)| (name.as_str(), value.to_str().expect("text"))).collect();
    assert_eq!(headers["content-length"], "3000000");
    assert_eq!(headers["content-disposition"], "attachment; filename*=UTF-8''sea.bin");
    assert_eq!(headers["x-content-type-options"], "nosniff");
    let tag = headers["etag"];
    let part = api.download(&anna, &id, &[("range", "bytes=999999-2000000"), ("if-range", tag)]).await;
    assert_eq!((part.status.as_u16(), &part.bytes[..]), (206, &bytes[999_999..2_000_001]));
    assert_eq!(part.headers["content-range"], "bytes 999999-2000000/3000000");
    let end = api.download(&anna, &id, &[("range", "bytes=-5")]).await;
    assert_eq!((end.status.as_u16(), &end.bytes[..]), (206, &bytes[2_999_995..]));
    let beyond = api.download(&anna, &id, &[("range", "bytes=3000000-")]).await;
    beyond.is(416, "range_not_satisfiable");
    assert_eq!(beyond.headers["content-range"], "bytes */3000000");
    let known = api.download(&anna, &id, &[("if-none-match", tag)]).await;
    assert_eq!((known.status.as_u16(), known.bytes.len()), (304, 0));
}

async fn a_piece_that_was_cut_off_is_kept_as_far_as_it_came_also_over_a_restart(on: On) {
    // Idea: the body breaks in its middle, as when the client is killed; the API is thrown away and made anew on the same
    // folder, as when the server is; the rest goes to where it is told.
    let api = Api::on(on, files_config()).await;
    let anna = api.register("anna").await;
    let bytes = content(2_000_000);
    let id = api.by(&anna, "POST /v1/files", form(&bytes)).await.text("id");
    let parts = bytes[..1_500_000].chunks(100_000).map(|part| Ok(part.to_vec())).collect::<Vec<_>>();
    let cut = parts.into_iter().chain([Err(std::io::Error::other("gone"))]);
    let request = Request::patch(format!("/v1/files/{id}/content?offset=0"));
    let request = request.header("authorization", format!("Bearer {}", anna.access));
    let body = Body::from_stream(futures_util::stream::iter(cut));
    api.send(request.body(body).expect("a request")).await.is(400, "bad_request");
    let api = api.restarted(files_config()).await;
    let seen = api.by(&anna, &format!("GET /v1/files/{id}"), Value::Null).await.good();
    let at = seen["received"].as_u64().expect("a number") as usize;
    assert_eq!(at, 1_500_000);
    let hole = api.piece(&anna, &id, at + 1, &bytes[at + 1..]).await;
    hole.is(409, "wrong_offset");
    api.complete(&anna, &id).await.is(409, "wrong_offset");
    api.piece(&anna, &id, at, &bytes[at..]).await.good();
    api.complete(&anna, &id).await.good();
    assert_eq!(api.download(&anna, &id, &[]).await.bytes, bytes);
}

async fn the_same_upload_from_two_devices_at_once_is_harmless(on: On) {
    let api = Api::on(on, files_config()).await;
    let anna = api.register("anna").await;
    let bytes = content(1_500_000);
    let mut form = form(&bytes);
    form["id"] = json!(Uuid::now_v7());
    let device = async || {
        let announced = api.by(&anna, "POST /v1/files", form.clone()).await;
        assert_eq!(announced.status, 201, "{}", announced.body);
        let id = announced.text("id");
        loop {
            let seen = api.by(&anna, &format!("GET /v1/files/{id}"), Value::Null).await.good();
            let at = seen["received"].as_u64().expect("a number") as usize;
            if at == bytes.len() {
                break;
            }
            let end = (at + 300_000).min(bytes.len());
            let answer = api.piece(&anna, &id, at, &bytes[at..end]).await;
            assert!(answer.status == 200 || answer.code() == "upload_busy", "{}", answer.body);
            tokio::task::yield_now().await;
        }
        loop {
            let done = api.complete(&anna, &id).await;
            match done.code() {
                "upload_busy" => tokio::task::yield_now().await,
                _ => return assert_eq!(done.good()["state"], "whole"),
            }
        }
    };
    tokio::join!(device(), device());
    let id = form["id"].as_str().expect("an id");
    assert_eq!(api.download(&anna, id, &[]).await.bytes, bytes);
    let limits = api.by(&anna, "GET /v1/files/limits", Value::Null).await.good();
    assert_eq!((&limits["files"], &limits["bytes"], &limits["uploads"]), (&json!(1), &json!(1_500_000), &json!(0)));
}

async fn who_does_not_see_a_message_with_it_finds_no_file(on: On) {
    let api = Api::on(on, files_config()).await;
    let people = api.people("p", 3).await;
    let [anna, bert, carl] = [&people[0], &people[1], &people[2]];
    let conversation = api.befriend(anna, bert).await;
    let bytes = content(1000);
    let id = api.upload(anna, form(&bytes), &bytes).await;
    let nobody = async |who: &Person| {
        api.download(who, &id, &[]).await.is(404, "no_such_file");
        api.by(who, &format!("GET /v1/files/{id}"), Value::Null).await.is(404, "no_such_file");
        api.by(who, &format!("POST /v1/files/{id}/copy"), Value::Null).await.is(404, "no_such_file");
        api.by(who, &format!("DELETE /v1/files/{id}"), Value::Null).await.is(404, "no_such_file");
        api.piece(who, &id, 0, b"x").await.is(404, "no_such_file");
        api.complete(who, &id).await.is(404, "no_such_file");
    };
    nobody(bert).await;
    let seq = api.say_file(anna, &conversation, &id).await;
    assert_eq!(api.download(bert, &id, &[]).await.bytes, bytes);
    assert_eq!(api.by(bert, &format!("GET /v1/files/{id}"), Value::Null).await.good()["sha256"], sha256(&bytes));
    nobody(carl).await;
    // Bert sends it on: a file of his own, for which nothing travels.
    let copy = api.by(bert, &format!("POST /v1/files/{id}/copy"), Value::Null).await;
    assert_eq!(copy.status, 201, "{}", copy.body);
    let other = api.befriend(bert, carl).await;
    api.say_file(bert, &other, &copy.text("id")).await;
    assert_eq!(api.download(carl, &copy.text("id"), &[]).await.bytes, bytes);
    // Taken back: Bert's link finds nothing, his copy stays his.
    api.place(anna, &conversation, MessageKind::RECALL, seq.to_be_bytes().to_vec()).await;
    nobody(bert).await;
    assert_eq!(api.download(anna, &id, &[]).await.status, 200);
    assert_eq!(api.download(bert, &copy.text("id"), &[]).await.status, 200);
}

async fn a_removed_members_old_link_finds_what_was_said_before_and_nothing_after(on: On) {
    let api = Api::on(on, files_config()).await;
    let people = api.people("p", 2).await;
    let group = api.group(&people[0], json!({"name": "Birds"})).await;
    api.add(&group, &[&people[1]]).await;
    let bytes = content(100);
    let before = api.upload(&people[0], form(&bytes), &bytes).await;
    api.say_file(&people[0], &group, &before).await;
    api.act(&people[0], &group, "remove", json!({"user": people[1].id})).await.good();
    let after = api.upload(&people[0], form(&bytes), &bytes).await;
    api.say_file(&people[0], &group, &after).await;
    assert_eq!(api.download(&people[1], &before, &[]).await.status, 200);
    api.download(&people[1], &after, &[]).await.is(404, "no_such_file");
}

async fn what_nothing_needs_is_collected_and_what_a_message_needs_is_not(on: On) {
    let mut config = files_config();
    config.files.keep_unattached = std::time::Duration::ZERO;
    config.files.keep_unfinished = std::time::Duration::ZERO;
    let api = Api::on(on, config).await;
    let people = api.people("p", 2).await;
    let conversation = api.befriend(&people[0], &people[1]).await;
    let bytes = content(1000);
    let said = api.upload(&people[0], form(&bytes), &bytes).await;
    api.say_file(&people[0], &conversation, &said).await;
    let unsaid = api.upload(&people[0], form(b"unsaid"), b"unsaid").await;
    let half = api.by(&people[0], "POST /v1/files", form(b"half")).await.text("id");
    api.piece(&people[0], &half, 0, b"ha").await.good();
    let on_disk = async || api.resting().await.len();
    assert_eq!(on_disk().await, 3);
    // Idle since an earlier millisecond than the collection's.
    while api.role.collect_files().await.expect("answers") > 0 || on_disk().await > 1 {
        tokio::task::yield_now().await;
    }
    assert_eq!(api.download(&people[1], &said, &[]).await.bytes, bytes);
    for id in [unsaid, half] {
        api.by(&people[0], &format!("GET /v1/files/{id}"), Value::Null).await.is(404, "no_such_file");
    }
    api.by(&people[0], &format!("DELETE /v1/files/{said}"), Value::Null).await.is(409, "file_attached");
    let limits = api.by(&people[0], "GET /v1/files/limits", Value::Null).await.good();
    assert_eq!((&limits["files"], &limits["bytes"]), (&json!(1), &json!(1000)));
}

/// All files below a folder.
pub(crate) fn walk(folder: &std::path::Path) -> Vec<std::path::PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() { found.extend(walk(&path)) } else { found.push(path) }
    }
    found
}
