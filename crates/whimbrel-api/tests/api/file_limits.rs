//! What is refused about files: before a byte is sent where that can be known, and otherwise at its sender's cost alone.

use std::collections::BTreeMap;

use axum::body::Body;
use axum::http::Request;
use serde_json::{Value, json};

use crate::files::{content, files_config, form, sha256, walk};
use crate::support::{Api, On, Person, on_both};

on_both! {
    limits_are_told_by_name_before_any_byte on Shared,
    what_is_wrong_with_an_announcement_is_said on Shared,
    a_path_that_climbs_leads_nowhere on Shared,
    a_forged_hash_a_lying_type_and_a_bomb_cost_their_sender_only on Shared,
    more_than_a_piece_and_more_than_was_announced_are_not_taken on Shared,
    transfers_of_one_user_are_bounded_and_others_go_on on Shared,
    ten_thousand_small_files_are_there_each_once on Shared,
}

async fn limits_are_told_by_name_before_any_byte(on: On) {
    let mut config = files_config();
    config.files.size_max = 10_000;
    config.files.types = vec!["image/*".into(), "text/plain".into()];
    config.files.room = whimbrel_store::filing::Usage { bytes: 15_000, files: 3, uploads: 2 };
    let api = Api::on(on, config).await;
    let anna = api.register("anna").await;
    let limits = api.by(&anna, "GET /v1/files/limits", Value::Null).await.good();
    for (name, value) in
        [("size_max", 10_000), ("bytes_max", 15_000), ("files_max", 3), ("uploads_max", 2), ("bytes", 0)]
    {
        assert_eq!(limits[name], value, "{name}");
    }
    let announce = async |size: u64, kind: &str| {
        let form = json!({"name": "x", "type": kind, "size": size, "sha256": sha256(b"")});
        api.by(&anna, "POST /v1/files", form).await
    };
    let large = announce(10_001, "text/plain").await;
    large.is(413, "file_too_large");
    assert!(large.body["message"].as_str().expect("text").contains("10000"), "{}", large.body);
    announce(1, "application/pdf").await.is(415, "type_not_allowed");
    assert_eq!(announce(10_000, "image/png").await.status, 201);
    announce(5_001, "image/png").await.is(409, "quota_exceeded");
    let last = announce(5_000, "text/plain").await;
    assert_eq!(last.status, 201);
    announce(0, "text/plain").await.is(409, "too_many_uploads");
    api.by(&anna, &format!("DELETE /v1/files/{}", last.text("id")), Value::Null).await;
    for _ in 0..2 {
        let id = announce(0, "text/plain").await.text("id");
        api.complete(&anna, &id).await.is(409, "wrong_offset");
        api.piece(&anna, &id, 0, b"").await.good();
        api.complete(&anna, &id).await.good();
    }
    announce(0, "text/plain").await.is(409, "quota_exceeded");
    assert_eq!(api.resting().await.len(), 2, "what was refused left nothing");
}

async fn what_is_wrong_with_an_announcement_is_said(on: On) {
    let api = Api::on(on, files_config()).await;
    let anna = api.register("anna").await;
    let good = form(b"x");
    for (field, value) in [
        ("type", json!("png")),
        ("type", json!("image/png\r\nx: y")),
        ("name", json!("x".repeat(256))),
        ("sha256", json!("abc")),
        ("sha256", json!("z".repeat(64))),
        ("encrypted", json!(true)),
    ] {
        let mut form = good.clone();
        form[field] = value;
        let answer = api.by(&anna, "POST /v1/files", form).await;
        answer.is(422, "invalid");
        assert_eq!(answer.body["field"], field);
    }
    let mut elsewhere = good.clone();
    elsewhere["conversation"] = json!("0199e2a4-6c00-7cc3-98c4-dc0c0c07398f");
    api.by(&anna, "POST /v1/files", elsewhere).await.is(404, "no_such_conversation");
    for (key, value) in [("size", json!(-1)), ("path", json!("/etc/passwd")), ("id", json!("../../x"))] {
        let mut form = good.clone();
        form[key] = value;
        api.by(&anna, "POST /v1/files", form).await.is(400, "bad_request");
    }
    let mut config = files_config();
    config.files.readable = false;
    let sealed = Api::on(on, config).await;
    let anna = sealed.register("anna").await;
    sealed.by(&anna, "POST /v1/files", good.clone()).await.is(422, "invalid");
    let mut encrypted = good;
    encrypted["encrypted"] = json!(true);
    encrypted["name"] = json!("");
    assert_eq!(sealed.by(&anna, "POST /v1/files", encrypted).await.status, 201);
}

async fn a_path_that_climbs_leads_nowhere(on: On) {
    let api = Api::on(on, files_config()).await;
    let anna = api.register("anna").await;
    for id in ["..%2f..%2fwhimbrel.db", "%2e%2e", "..", "whimbrel.db", "%2fetc%2fpasswd"] {
        for what in ["GET /v1/files/ID", "GET /v1/files/ID/content", "POST /v1/files/ID/complete"] {
            let answer = api.by(&anna, &what.replace("ID", id), Value::Null).await;
            assert!([400, 404, 405].contains(&answer.status.as_u16()), "{id}: {}", answer.body);
        }
    }
    let mut climbing = form(b"content");
    climbing["name"] = json!("../../../../tmp/\u{202e}evil\r\nset-cookie: a=b");
    let id = api.upload(&anna, climbing, b"content").await;
    let down = api.download(&anna, &id, &[]).await;
    let said = down.headers["content-disposition"].to_str().expect("plain letters");
    assert_eq!(said, "attachment; filename*=UTF-8''%E2%80%AEevil%0D%0Aset-cookie%3A%20a%3Db");
    assert!(!down.headers.contains_key("set-cookie"));
    let resting: Vec<String> = api.resting().await.into_keys().collect();
    let [name] = &resting[..] else { panic!("{resting:?}") };
    assert!(name.len() == 32 && name.bytes().all(|byte| byte.is_ascii_hexdigit()), "{name}");
    if on == On::Folder {
        let files = walk(&api.folder().join("files"));
        assert_eq!(files, [api.folder().join("files/kept").join(&name[30..]).join(name)]);
    }
}

async fn a_forged_hash_a_lying_type_and_a_bomb_cost_their_sender_only(on: On) {
    // Idea: a good file of somebody else's stands under the hash that is forged; it is as it was afterwards, and the
    // forger has nothing but their room back.
    let mut config = files_config();
    config.files.pixels_max = 1_000_000;
    let api = Api::on(on, config).await;
    let people = api.people("p", 2).await;
    let good = content(5000);
    let theirs = api.upload(&people[0], form(&good), &good).await;
    let mut bomb = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR".to_vec();
    bomb.extend([0, 0, 0x10, 0, 0, 0, 0x10, 0, 8, 6, 0, 0, 0, 0, 0, 0, 0]);
    let mut png = form(&bomb);
    png["type"] = json!("image/png");
    let mut lie = form(b"MZ\x90\0\x03\0\0\0 a program");
    lie["type"] = json!("image/png");
    for (form, bytes, code) in [
        (form(&good), &content(5001)[1..], "content_mismatch"),
        (lie, b"MZ\x90\0\x03\0\0\0 a program", "type_mismatch"),
        (png, &bomb[..], "too_many_pixels"),
    ] {
        let id = api.by(&people[1], "POST /v1/files", form).await.text("id");
        api.piece(&people[1], &id, 0, bytes).await.good();
        api.complete(&people[1], &id).await.is(422, code);
        api.by(&people[1], &format!("GET /v1/files/{id}"), Value::Null).await.is(404, "no_such_file");
    }
    api.role.collect_files().await.expect("answers");
    assert_eq!(api.resting().await.len(), 1);
    assert_eq!(api.download(&people[0], &theirs, &[]).await.bytes, good);
    let limits = api.by(&people[1], "GET /v1/files/limits", Value::Null).await.good();
    assert_eq!((&limits["files"], &limits["bytes"], &limits["uploads"]), (&json!(0), &json!(0), &json!(0)));
}

async fn more_than_a_piece_and_more_than_was_announced_are_not_taken(on: On) {
    let api = Api::on(on, files_config()).await;
    let anna = api.register("anna").await;
    let id = api.by(&anna, "POST /v1/files", form(b"short")).await.text("id");
    api.piece(&anna, &id, 0, b"longer than that").await.is(413, "too_large");
    api.piece(&anna, &id, 0, b"short").await.good();
    api.complete(&anna, &id).await.good();
    let mut long = form(b"");
    long["size"] = json!(20 << 20);
    let id = api.by(&anna, "POST /v1/files", long).await.text("id");
    let chunks = (0..9).map(|_| Ok::<_, std::io::Error>(vec![7; 1 << 20]));
    let request = Request::patch(format!("/v1/files/{id}/content?offset=0"));
    let request = request.header("authorization", format!("Bearer {}", anna.access));
    let body = Body::from_stream(futures_util::stream::iter(chunks));
    api.send(request.body(body).expect("a request")).await.is(413, "too_large");
    let seen = api.by(&anna, &format!("GET /v1/files/{id}"), Value::Null).await.good();
    assert_eq!(seen["received"], 8 << 20, "what was within the piece is kept");
}

async fn transfers_of_one_user_are_bounded_and_others_go_on(on: On) {
    let mut config = files_config();
    config.files.transfers_per_user = 2;
    config.files.transfers_max = 3;
    let api = Api::on(on, config).await;
    let people = api.people("p", 2).await;
    let mut slow = Vec::new();
    for who in [&people[0], &people[0], &people[1]] {
        let id = api.by(who, "POST /v1/files", form(b"slow")).await.text("id");
        let (send, mut waiting) = tokio::sync::mpsc::channel::<Result<Vec<u8>, std::io::Error>>(1);
        let body = Body::from_stream(futures_util::stream::poll_fn(move |context| waiting.poll_recv(context)));
        let request = Request::patch(format!("/v1/files/{id}/content?offset=0"));
        let request = request.header("authorization", format!("Bearer {}", who.access));
        let request = request.body(body).expect("a request");
        let role = api.role.clone();
        let going = tokio::spawn(async move {
            let mut request = request;
            request.extensions_mut().insert(whimbrel_api::Peer("127.0.0.1:9".parse().expect("an address")));
            tower::ServiceExt::oneshot(role.router(), request).await.expect("routers do not fail").status()
        });
        // Twice: the second is taken only when the first was read, so the transfer is under way.
        send.send(Ok(b"s".to_vec())).await.expect("it reads");
        send.send(Ok(b"l".to_vec())).await.expect("it reads");
        slow.push((send, going));
        if slow.len() == 2 {
            let id = api.by(who, "POST /v1/files", form(b"third")).await.text("id");
            api.piece(who, &id, 0, b"third").await.is(503, "busy");
        }
    }
    let id = api.by(&people[1], "POST /v1/files", form(b"fourth")).await.text("id");
    api.piece(&people[1], &id, 0, b"fourth").await.is(503, "busy");
    for (send, going) in slow {
        drop(send);
        assert_eq!(going.await.expect("no panic"), 200);
    }
    api.piece(&people[1], &id, 0, b"fourth").await.good();
}

async fn ten_thousand_small_files_are_there_each_once(on: On) {
    // Idea: ten people send a thousand files each at the same time; pages list each of them once, what they take up is
    // exact, each has its own content, and when nobody needs them any more nothing is left.
    const EACH: usize = 1000;
    let mut config = files_config();
    config.files.keep_unattached = std::time::Duration::ZERO;
    let api = Api::on(on, config).await;
    let people = api.people("p", 10).await;
    let content = |who: &Person, number: usize| format!("file {number} of {}", who.id).into_bytes();
    let all = people.iter().map(async |who| {
        let mut ids = BTreeMap::new();
        for number in 0..EACH {
            let bytes = content(who, number);
            ids.insert(api.upload(who, form(&bytes), &bytes).await, number);
        }
        ids
    });
    let sent = futures_util::future::join_all(all).await;
    for (who, ids) in people.iter().zip(&sent) {
        let limits = api.by(who, "GET /v1/files/limits", Value::Null).await.good();
        let bytes: usize = (0..EACH).map(|number| content(who, number).len()).sum();
        assert_eq!([&limits["files"], &limits["uploads"], &limits["bytes"]], [&json!(EACH), &json!(0), &json!(bytes)]);
        let (mut listed, mut next) = (Vec::new(), String::new());
        loop {
            let page = api.by(who, &format!("GET /v1/files?limit=100{next}"), Value::Null).await.good();
            let files = page["files"].as_array().expect("a list");
            listed.extend(files.iter().map(|file| file["id"].as_str().expect("text").to_owned()));
            let Some(before) = page["next"].as_str() else { break };
            next = format!("&before={before}");
        }
        listed.sort_unstable();
        assert!(listed.iter().eq(ids.keys()), "{} listed", listed.len());
        for (id, number) in ids.iter().step_by(97) {
            assert_eq!(api.download(who, id, &[]).await.bytes, content(who, *number));
        }
    }
    assert_eq!(api.resting().await.len(), people.len() * EACH);
    assert_eq!(api.role.collect_files().await.expect("answers"), people.len() * EACH);
    assert_eq!(api.resting().await.len(), 0);
}
