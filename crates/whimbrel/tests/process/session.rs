//! A session, as little of one as these tests need: Hello, and what the server answers.

use std::io::{Read, Write};

use serde_json::Value as Json;
use whimbrel_core::limits::HELLO_FRAME_MAX;
use whimbrel_core::{DeviceId, GoodbyeCode};
use whimbrel_wire::codec::Splitter;
use whimbrel_wire::frame::{Encoded, decode_server, put_frame};
use whimbrel_wire::proto::Hello;
use whimbrel_wire::{ClientPayload, PROTOCOL, ServerPayload};

/// Says Hello with an issued token, and waits for Welcome.
pub(crate) fn open(stream: &mut (impl Read + Write), issued: &Json) {
    let text = |key: &str| issued[key].as_str().unwrap_or_else(|| panic!("{key} in {issued}")).to_owned();
    let device: DeviceId = text("device_id").parse().expect("a device id");
    let hello = Hello {
        protocol: PROTOCOL,
        access_token: text("access_token"),
        device_id: device.as_bytes().to_vec().into(),
        platform: "test".into(),
        sdk_version: "test".into(),
    };
    let mut bytes = Vec::new();
    put_frame(&mut bytes, 0, 0, Some(&Encoded::client(&ClientPayload::Hello(hello))));
    stream.write_all(&bytes).expect("the server listens");
    let first = payloads(stream).into_iter().next();
    assert!(matches!(first, Some(ServerPayload::Welcome(_))), "{first:?}");
}

/// Reads until Goodbye, and returns its code.
pub(crate) fn goodbye(stream: &mut impl Read) -> GoodbyeCode {
    loop {
        let read = payloads(stream);
        assert!(!read.is_empty(), "the connection ended without a goodbye");
        let goodbye = read.into_iter().find_map(|payload| match payload {
            ServerPayload::Goodbye(goodbye) => Some(GoodbyeCode(goodbye.code)),
            _ => None,
        });
        if let Some(code) = goodbye {
            return code;
        }
    }
}

/// The payloads of the next read that holds a whole frame; none at the end of the stream.
fn payloads(stream: &mut impl Read) -> Vec<ServerPayload> {
    let mut splitter = Splitter::new();
    let mut buffer = [0; HELLO_FRAME_MAX];
    loop {
        let read = stream.read(&mut buffer).expect("an answer in time");
        let frames = splitter.push(&buffer[..read], HELLO_FRAME_MAX);
        let found: Vec<_> =
            frames.filter_map(|frame| decode_server(frame.expect("a frame")).expect("a good frame").payload).collect();
        if read == 0 || !found.is_empty() {
            return found;
        }
    }
}
