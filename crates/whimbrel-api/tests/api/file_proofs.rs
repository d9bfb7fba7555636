//! Content that the server has already: there at once for who has it too, and nothing for who knows its hash.

use hmac::{Hmac, KeyInit, Mac};
use serde_json::{Value, json};
use sha2::Sha256;

use crate::files::{content, files_config, form, hex, sha256};
use crate::support::{Answer, Api, On, Person, on_both};

/// The proof that an announcement asks for.
pub(crate) fn proof(announced: &Value, bytes: &[u8]) -> String {
    let asked = &announced["proof"];
    let nonce = asked["nonce"].as_str().expect("text").as_bytes();
    let digit = |byte: u8| char::from(byte).to_digit(16).expect("a digit") as u8;
    let nonce: Vec<u8> = nonce.chunks(2).map(|pair| digit(pair[0]) * 16 + digit(pair[1])).collect();
    let mut mac = Hmac::<Sha256>::new_from_slice(&nonce).expect("any key");
    for range in asked["ranges"].as_array().expect("ranges") {
        let number = |key: &str| range[key].as_u64().expect("a number");
        let (offset, length) = (number("offset"), number("length"));
        mac.update(&offset.to_be_bytes());
        mac.update(&length.to_be_bytes());
        mac.update(&bytes[offset as usize..(offset + length) as usize]);
    }
    hex(&mac.finalize().into_bytes())
}

pub(crate) async fn prove(api: &Api, who: &Person, id: &str, mac: &str) -> Answer {
    api.by(who, &format!("POST /v1/files/{id}/proof"), json!({"mac": mac})).await
}

on_both! {
    who_has_the_content_has_the_file_at_once on Bucket,
    a_known_hash_alone_gives_nothing_not_even_whether_it_is_here on Shared,
    a_proof_is_of_its_own_announcement on Shared,
    encrypted_content_is_shared_with_nobody on Shared,
}

async fn who_has_the_content_has_the_file_at_once(on: On) {
    let api = Api::on(on, files_config()).await;
    let people = api.people("p", 2).await;
    for len in [1, 60_000, 2_000_000] {
        let bytes = content(len);
        api.upload(&people[0], form(&bytes), &bytes).await;
        let announced = api.by(&people[1], "POST /v1/files", form(&bytes)).await;
        let id = announced.text("id");
        let done = prove(&api, &people[1], &id, &proof(&announced.body, &bytes)).await.good();
        assert_eq!((&done["state"], &done["proof"]), (&json!("whole"), &Value::Null));
        assert_eq!(api.download(&people[1], &id, &[]).await.bytes, bytes);
    }
}

async fn a_known_hash_alone_gives_nothing_not_even_whether_it_is_here(on: On) {
    // Idea: every answer to who knows a hash of content that is here is the one to who names a hash of nothing.
    let api = Api::on(on, files_config()).await;
    let people = api.people("p", 2).await;
    let bytes = content(200_000);
    api.upload(&people[0], form(&bytes), &bytes).await;
    let mut answers = Vec::new();
    for hash in [sha256(&bytes), sha256(b"nothing that is here")] {
        let form = json!({"name": "x", "type": "application/octet-stream", "size": 200_000, "sha256": hash});
        let announced = api.by(&people[1], "POST /v1/files", form).await;
        assert_eq!(announced.body["proof"]["ranges"].as_array().map(Vec::len), Some(16));
        let id = announced.text("id");
        let guess = proof(&announced.body, &content(200_001)[1..]);
        let refused = prove(&api, &people[1], &id, &guess).await;
        refused.is(409, "proof_not_accepted");
        // The nonce is used up, also for the right proof.
        let late = prove(&api, &people[1], &id, &proof(&announced.body, &bytes)).await;
        late.is(409, "proof_not_accepted");
        api.download(&people[1], &id, &[]).await.is(404, "no_such_file");
        let seen = api.by(&people[1], &format!("GET /v1/files/{id}"), Value::Null).await.good();
        answers.push((refused.body, late.body, seen["state"].clone(), seen["received"].clone(), seen["proof"].clone()));
    }
    assert_eq!(answers[0], answers[1]);
}

async fn a_proof_is_of_its_own_announcement(on: On) {
    let api = Api::on(on, files_config()).await;
    let people = api.people("p", 3).await;
    let bytes = content(200_000);
    api.upload(&people[0], form(&bytes), &bytes).await;
    let first = api.by(&people[1], "POST /v1/files", form(&bytes)).await;
    let second = api.by(&people[2], "POST /v1/files", form(&bytes)).await;
    let mac = proof(&first.body, &bytes);
    prove(&api, &people[2], &second.text("id"), &mac).await.is(409, "proof_not_accepted");
    prove(&api, &people[2], &first.text("id"), &mac).await.is(404, "no_such_file");
    prove(&api, &people[1], &first.text("id"), "abc").await.is(422, "invalid");
    prove(&api, &people[1], &first.text("id"), &mac).await.good();
}

async fn encrypted_content_is_shared_with_nobody(on: On) {
    let api = Api::on(on, files_config()).await;
    let people = api.people("p", 2).await;
    let bytes = content(70_000);
    let mut sealed = form(&bytes);
    sealed["encrypted"] = json!(true);
    sealed["name"] = json!("");
    api.upload(&people[0], sealed.clone(), &bytes).await;
    let announced = api.by(&people[1], "POST /v1/files", sealed).await;
    assert_eq!(announced.body["proof"], Value::Null);
    let readable = api.by(&people[1], "POST /v1/files", form(&bytes)).await;
    prove(&api, &people[1], &readable.text("id"), &proof(&readable.body, &bytes)).await.is(409, "proof_not_accepted");
    prove(&api, &people[1], &announced.text("id"), &proof(&readable.body, &bytes)).await.is(409, "proof_not_accepted");
}
