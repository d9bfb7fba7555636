//! Readable pictures by bare REST: without their place, with what they look like; and the list of one's own files.

use std::io::Cursor;

use bytes::Bytes;
use futures_util::stream;
use image::{ImageFormat, RgbImage};
use serde_json::{Value, json};
use whimbrel_core::{FileId, MessageKind};
use whimbrel_store::Blobs;

use crate::file_proofs::{proof, prove};
use crate::files::{files_config, form, sha256};
use crate::support::{Answer, Api, On, Person, on_both};

const PLACE: &[u8] = b"52.5200N 13.4050E";

fn plain(format: ImageFormat) -> Vec<u8> {
    let picture = RgbImage::from_fn(400, 200, |x, y| image::Rgb([x as u8, y as u8, 90]));
    let mut bytes = Cursor::new(Vec::new());
    picture.write_to(&mut bytes, format).expect("it is written");
    bytes.into_inner()
}

/// A JPEG that lies on its side, into which a camera wrote where it was.
fn photo() -> Vec<u8> {
    let plain = plain(ImageFormat::Jpeg);
    let mut exif = b"Exif\0\0MM\0\x2a\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0".to_vec();
    exif.extend(PLACE);
    let len = (exif.len() as u16 + 2).to_be_bytes();
    [&plain[..2], &[0xff, 0xe1], &len, &exif, &plain[2..]].concat()
}

fn has_place(bytes: &[u8]) -> bool {
    bytes.windows(PLACE.len()).any(|window| window == PLACE)
}

fn as_jpeg(bytes: &[u8]) -> Value {
    let mut form = form(bytes);
    form["type"] = json!("image/jpeg");
    form
}

/// What the server says of a file.
async fn seen(api: &Api, who: &Person, id: &str) -> Value {
    api.by(who, &format!("GET /v1/files/{id}"), Value::Null).await.good()
}

async fn small(api: &Api, who: &Person, id: &str) -> Answer {
    api.by(who, &format!("GET /v1/files/{id}/thumbnail"), Value::Null).await
}

on_both! {
    a_readable_picture_loses_its_place_and_shows_what_it_looks_like on Bucket,
    a_picture_that_is_to_keep_everything_keeps_it_and_is_seen_too on Shared,
    content_is_shared_by_what_is_kept_and_never_by_what_was_taken_out on Bucket,
    what_has_the_content_may_still_not_call_it_what_it_is_not on Shared,
    a_picture_whose_metadata_cannot_be_taken_out_is_not_kept_unasked on Shared,
    a_completing_that_was_killed_is_done_again_to_the_same_end on Bucket,
    many_requests_that_complete_one_picture_agree on Bucket,
    one_sees_what_takes_up_ones_room_and_gives_it_up on Shared,
}

async fn a_readable_picture_loses_its_place_and_shows_what_it_looks_like(on: On) {
    let api = Api::on(on, files_config()).await;
    let people = api.people("p", 3).await;
    let [anna, bert, carl] = [&people[0], &people[1], &people[2]];
    let conversation = api.befriend(anna, bert).await;
    let bytes = photo();
    assert!(has_place(&bytes));
    let mut form = as_jpeg(&bytes);
    form["id"] = json!("0199e2a4-6c00-7cc3-98c4-dc0c0c07398f");
    let id = api.upload(anna, form.clone(), &bytes).await;
    let whole = api.complete(anna, &id).await.good();
    assert_eq!((&whole["metadata_removed"], &whole["has_thumbnail"]), (&json!(true), &json!(true)));
    assert_eq!((&whole["width"], &whole["height"]), (&json!(200), &json!(400)), "upright");
    assert_eq!(whole["blur_hash"].as_str().map(str::len), Some(28));
    assert_eq!(seen(&api, anna, &id).await, whole);
    assert_eq!(api.by(anna, "POST /v1/files", form).await.good(), whole, "the same announcement");

    let down = api.download(anna, &id, &[]).await;
    assert!(!has_place(&down.bytes));
    assert_eq!((json!(down.bytes.len()), json!(sha256(&down.bytes))), (whole["size"].clone(), whole["sha256"].clone()));
    assert_eq!(down.headers["etag"], format!("\"{}\"", sha256(&down.bytes)));
    let pixels = |bytes: &[u8]| image::load_from_memory(bytes).expect("a picture").into_rgb8();
    assert_eq!(pixels(&down.bytes), pixels(&bytes), "bit by bit");
    let part = api.download(anna, &id, &[("range", "bytes=10-19")]).await;
    assert_eq!((part.status.as_u16(), &part.bytes[..]), (206, &down.bytes[10..20]));
    let limits = api.by(anna, "GET /v1/files/limits", Value::Null).await.good();
    assert_eq!(limits["bytes"], whole["size"], "what was taken out takes up nothing");
    api.role.collect_files().await.expect("answers");
    let resting: Vec<Vec<u8>> = api.resting().await.into_values().collect();
    assert_eq!(resting, [down.bytes.to_vec()], "nothing else rests");

    let picture = small(&api, anna, &id).await;
    assert_eq!(
        (picture.status.as_u16(), &picture.headers["content-type"]),
        (200, &"image/jpeg".parse().expect("text"))
    );
    let shown = pixels(&picture.bytes);
    assert_eq!((shown.width(), shown.height(), picture.bytes.len() <= 16 * 1024), (120, 240, true));
    assert_eq!(picture.headers["x-content-type-options"], "nosniff");
    small(&api, bert, &id).await.is(404, "no_such_file");
    let seq = api.say_file(anna, &conversation, &id).await;
    assert_eq!(small(&api, bert, &id).await.bytes, picture.bytes);
    assert_eq!(seen(&api, bert, &id).await["width"], 200);
    small(&api, carl, &id).await.is(404, "no_such_file");
    api.place(anna, &conversation, MessageKind::RECALL, seq.to_be_bytes().to_vec()).await;
    small(&api, bert, &id).await.is(404, "no_such_file");
}

async fn a_picture_that_is_to_keep_everything_keeps_it_and_is_seen_too(on: On) {
    let api = Api::on(on, files_config()).await;
    let anna = api.register("anna").await;
    let bytes = photo();
    let mut form = as_jpeg(&bytes);
    form["keeps_metadata"] = json!(true);
    let id = api.upload(&anna, form, &bytes).await;
    let whole = seen(&api, &anna, &id).await;
    assert_eq!((&whole["metadata_removed"], &whole["sha256"]), (&json!(false), &json!(sha256(&bytes))));
    assert_eq!((&whole["width"], &whole["has_thumbnail"]), (&json!(200), &json!(true)));
    assert_eq!(api.download(&anna, &id, &[]).await.bytes, bytes);
    // What is no picture by its type is a file like others; what is sealed is not looked at.
    let plain = api.upload(&anna, crate::files::form(&bytes), &bytes).await;
    assert_eq!(api.download(&anna, &plain, &[]).await.bytes, bytes);
    let mut sealed = crate::files::form(&bytes);
    (sealed["encrypted"], sealed["name"]) = (json!(true), json!(""));
    let sealed = api.upload(&anna, sealed, &bytes).await;
    let sealed = seen(&api, &anna, &sealed).await;
    assert_eq!((&sealed["width"], &sealed["has_thumbnail"]), (&Value::Null, &json!(false)));
    small(&api, &anna, sealed["id"].as_str().expect("text")).await.is(404, "no_thumbnail");
}

async fn content_is_shared_by_what_is_kept_and_never_by_what_was_taken_out(on: On) {
    // Idea: the same photo comes again and again. Who proves to have it as the camera wrote it gets nothing of that unless
    // they asked for it; what is kept of it is there once.
    let api = Api::on(on, files_config()).await;
    let people = api.people("p", 2).await;
    let bytes = photo();
    let on_disk = async || {
        api.role.collect_files().await.expect("answers");
        api.resting().await.len()
    };
    let first = api.upload(&people[0], as_jpeg(&bytes), &bytes).await;
    let cleaned = api.download(&people[0], &first, &[]).await.bytes.to_vec();
    let announced = api.by(&people[1], "POST /v1/files", as_jpeg(&bytes)).await;
    let second = announced.text("id");
    prove(&api, &people[1], &second, &proof(&announced.body, &bytes)).await.is(409, "proof_not_accepted");
    api.piece(&people[1], &second, 0, &bytes).await.good();
    let whole = api.complete(&people[1], &second).await.good();
    assert_eq!((&whole["sha256"], &whole["has_thumbnail"]), (&json!(sha256(&cleaned)), &json!(true)));
    assert_eq!(on_disk().await, 1);
    let announced = api.by(&people[1], "POST /v1/files", as_jpeg(&cleaned)).await;
    let third = prove(&api, &people[1], &announced.text("id"), &proof(&announced.body, &cleaned)).await.good();
    assert_eq!((&third["metadata_removed"], &third["has_thumbnail"]), (&json!(false), &json!(true)));

    let mut keeps = as_jpeg(&bytes);
    keeps["keeps_metadata"] = json!(true);
    let told = api.upload(&people[0], keeps.clone(), &bytes).await;
    assert!(has_place(&api.download(&people[0], &told, &[]).await.bytes));
    let announced = api.by(&people[1], "POST /v1/files", as_jpeg(&bytes)).await;
    let right = proof(&announced.body, &bytes);
    prove(&api, &people[1], &announced.text("id"), &right).await.is(409, "proof_not_accepted");
    api.piece(&people[1], &announced.text("id"), 0, &bytes).await.good();
    api.complete(&people[1], &announced.text("id")).await.good();
    assert!(!has_place(&api.download(&people[1], &announced.text("id"), &[]).await.bytes));
    let announced = api.by(&people[1], "POST /v1/files", keeps).await;
    prove(&api, &people[1], &announced.text("id"), &proof(&announced.body, &bytes)).await.good();
    assert_eq!(on_disk().await, 2);
}

async fn what_has_the_content_may_still_not_call_it_what_it_is_not(on: On) {
    let api = Api::on(on, files_config()).await;
    let people = api.people("p", 2).await;
    let program = b"MZ\x90\0\x03\0\0\0 a program".to_vec();
    api.upload(&people[0], form(&program), &program).await;
    let announced = api.by(&people[1], "POST /v1/files", as_jpeg(&program)).await;
    let id = announced.text("id");
    prove(&api, &people[1], &id, &proof(&announced.body, &program)).await.is(422, "type_mismatch");
    api.by(&people[1], &format!("GET /v1/files/{id}"), Value::Null).await.is(404, "no_such_file");
}

async fn a_picture_whose_metadata_cannot_be_taken_out_is_not_kept_unasked(on: On) {
    let mut config = files_config();
    config.files.picture_max = 30_000;
    let api = Api::on(on, config).await;
    let anna = api.register("anna").await;
    assert_eq!(api.by(&anna, "GET /v1/files/limits", Value::Null).await.good()["picture_max"], 30_000);
    let announce = async |kind: &str, size: u64, keeps: bool| {
        let form = json!({"name": "x", "type": kind, "size": size, "sha256": sha256(b""), "keeps_metadata": keeps});
        api.by(&anna, "POST /v1/files", form).await
    };
    announce("image/heic", 1, false).await.is(422, "metadata_stays");
    announce("image/jpeg", 30_001, false).await.is(413, "file_too_large");
    for (kind, size, keeps) in [("image/heic", 1, true), ("image/jpeg", 30_001, true), ("image/bmp", 30_001, false)] {
        assert_eq!(announce(kind, size, keeps).await.status, 201, "{kind}");
    }
    // Cut off: where it ends cannot be told.
    let bytes = photo();
    let cut = &bytes[..bytes.len() - 2];
    let id = api.by(&anna, "POST /v1/files", as_jpeg(cut)).await.text("id");
    api.piece(&anna, &id, 0, cut).await.good();
    api.complete(&anna, &id).await.is(422, "metadata_stays");
    api.by(&anna, &format!("GET /v1/files/{id}"), Value::Null).await.is(404, "no_such_file");
    // Its parts are all there, and no pixel can be read: a file, and nothing to look at.
    let mut broken = plain(ImageFormat::Png);
    let data = broken.windows(4).position(|four| four == b"IDAT").expect("it has pixels") + 4;
    broken[data..data + 40].fill(0x5c);
    let mut png = form(&broken);
    png["type"] = json!("image/png");
    let id = api.upload(&anna, png, &broken).await;
    let whole = seen(&api, &anna, &id).await;
    assert_eq!((&whole["width"], &whole["height"]), (&json!(400), &json!(200)));
    assert_eq!((&whole["has_thumbnail"], &whole["blur_hash"]), (&json!(false), &Value::Null));
    assert_eq!(api.download(&anna, &id, &[]).await.bytes, broken);
    small(&api, &anna, &id).await.is(404, "no_thumbnail");
}

/// The content of an API's files, as another process has it.
async fn write(blobs: &dyn Blobs, name: FileId, size: usize, bytes: &[u8]) {
    let part: Vec<std::io::Result<Bytes>> = vec![Ok(Bytes::copy_from_slice(bytes))];
    blobs.append(name, 0, size as u64, Box::pin(stream::iter(part))).await.expect("taken");
}

async fn a_completing_that_was_killed_is_done_again_to_the_same_end(on: On) {
    // Idea: what a process leaves that is killed between its steps is put there by hand: the upload is kept and what is
    // made of it half written, or kept too, and no row says so. Asked again, the answer is what it would have been; given
    // up instead, nothing of it stays.
    let mut config = files_config();
    config.files.keep_unfinished = std::time::Duration::ZERO;
    let api = Api::on(on, config).await;
    let anna = api.register("anna").await;
    let bytes = photo();
    let expected = api.upload(&anna, as_jpeg(&bytes), &bytes).await;
    let cleaned = api.download(&anna, &expected, &[]).await.bytes.to_vec();
    let expected = seen(&api, &anna, &expected).await;
    api.by(&anna, &format!("DELETE /v1/files/{}", expected["id"].as_str().expect("text")), Value::Null).await.good();
    for (step, ends) in [(1, true), (2, true), (3, true), (3, false)] {
        let id = api.by(&anna, "POST /v1/files", as_jpeg(&bytes)).await.text("id");
        api.piece(&anna, &id, 0, &bytes).await.good();
        let row = api.store.file(id.parse().expect("an id")).await.expect("answers").expect("there");
        let (blobs, size) = (&*api.blobs, cleaned.len());
        blobs.finish(row.blob, row.file.size, row.file.hash).await.expect("its hash");
        if step > 1 {
            write(blobs, row.made(), size, &cleaned[..if step == 2 { size / 2 } else { size }]).await;
        }
        if step > 2 {
            blobs.finish(row.made(), size as u64, hash(&cleaned)).await.expect("its hash");
        }
        assert_eq!(seen(&api, &anna, &id).await["state"], "uploading");
        if ends {
            let (whole, again) = (api.complete(&anna, &id).await.good(), api.complete(&anna, &id).await.good());
            assert_eq!(whole, again);
            for key in ["sha256", "size", "metadata_removed", "blur_hash", "has_thumbnail"] {
                assert_eq!(whole[key], expected[key], "{key}");
            }
            assert_eq!(api.download(&anna, &id, &[]).await.bytes, cleaned);
            api.role.collect_files().await.expect("answers");
            assert_eq!(api.resting().await.len(), 1, "step {step}");
        }
        api.by(&anna, &format!("DELETE /v1/files/{id}"), Value::Null).await.good();
        api.role.collect_files().await.expect("answers");
        assert_eq!(api.resting().await.len(), 0, "step {step}");
    }
}

fn hash(bytes: &[u8]) -> [u8; 32] {
    use sha2::{Digest, Sha256};
    Sha256::digest(bytes).into()
}

async fn many_requests_that_complete_one_picture_agree(on: On) {
    let api = Api::on(on, files_config()).await;
    let anna = api.register("anna").await;
    let bytes = photo();
    let id = api.by(&anna, "POST /v1/files", as_jpeg(&bytes)).await.text("id");
    api.piece(&anna, &id, 0, &bytes).await.good();
    let all = (0..6).map(|_| api.complete(&anna, &id));
    let answers: Vec<_> = futures_util::future::join_all(all).await.into_iter().map(Answer::good).collect();
    assert!(answers.iter().all(|answer| *answer == answers[0]), "{answers:?}");
    api.role.collect_files().await.expect("answers");
    assert_eq!(api.resting().await.len(), 1);
}

async fn one_sees_what_takes_up_ones_room_and_gives_it_up(on: On) {
    let api = Api::on(on, files_config()).await;
    let people = api.people("p", 2).await;
    let conversation = api.befriend(&people[0], &people[1]).await;
    let mut ids = Vec::new();
    for number in 0..5 {
        let bytes = vec![number; 100];
        ids.push(api.upload(&people[0], form(&bytes), &bytes).await);
    }
    api.say_file(&people[0], &conversation, &ids[1]).await;
    let half = api.by(&people[0], "POST /v1/files", form(b"half")).await.text("id");
    api.piece(&people[0], &half, 0, b"ha").await.good();
    api.upload(&people[1], form(b"theirs"), b"theirs").await;
    ids.push(half.clone());
    let (mut listed, mut query) = (Vec::new(), String::from("?limit=2"));
    loop {
        let page = api.by(&people[0], &format!("GET /v1/files{query}"), Value::Null).await.good();
        assert_eq!(page["usage"], json!({"bytes": 504, "files": 6, "uploads": 1}));
        listed.extend(page["files"].as_array().expect("a list").clone());
        let Some(next) = page["next"].as_str() else { break };
        query = format!("?limit=2&before={next}");
    }
    let mut found: Vec<_> = listed.iter().map(|file| file["id"].as_str().expect("text").to_owned()).collect();
    let times: Vec<_> = listed.iter().map(|file| file["created_at"].as_u64().expect("a time")).collect();
    assert!(times.is_sorted_by(|one, two| one >= two), "the newest first: {times:?}");
    for file in &listed {
        let id = file["id"].as_str().expect("text");
        assert_eq!(*file, seen(&api, &people[0], id).await);
        assert_eq!(file["attached"], json!(id == ids[1]));
        assert_eq!(file["received"], if id == half { 2 } else { 100 });
    }
    found.sort_unstable();
    ids.sort_unstable();
    assert_eq!(found, ids);
    for file in listed.iter().filter(|file| file["attached"] == false) {
        let id = file["id"].as_str().expect("text");
        api.by(&people[0], &format!("DELETE /v1/files/{id}"), Value::Null).await.good();
    }
    let left = api.by(&people[0], "GET /v1/files", Value::Null).await.good();
    assert_eq!((left["files"].as_array().map(Vec::len), &left["usage"]["bytes"]), (Some(1), &json!(100)));
    for (query, field) in [("?limit=0", "limit"), ("?before=yesterday", "before")] {
        let refused = api.by(&people[0], &format!("GET /v1/files{query}"), Value::Null).await;
        refused.is(422, "invalid");
        assert_eq!(refused.body["field"], field);
    }
}
