//! What cannot be asked over AMQP: policies. Read from the management API, over plain HTTP to a configured address.

use std::time::Duration;

use secrecy::ExposeSecret;
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::config::RabbitConfig;

/// An answer's size, at most.
const ANSWER_MAX: u64 = 4 * 1024 * 1024;
const ANSWER_WITHIN: Duration = Duration::from_secs(5);
/// What a policy may not change, with the reason.
const KEYS: [(&str, &str); 6] = [
    ("delivery-limit", "records whose consumers die would be deleted"),
    ("max-length", "the log's length is decided by the configuration"),
    ("max-length-bytes", "the log could fill up, or forget its oldest records"),
    ("overflow", "a full queue would forget its oldest records"),
    ("message-ttl", "records that wait would be deleted"),
    ("expires", "a queue without consumers would be deleted"),
];

/// One sentence for each thing that an operator should change.
pub(super) async fn check(config: &RabbitConfig, vhost: &str) -> Vec<String> {
    let Some(url) = &config.management_url else {
        return vec![
            "policies were not checked, because no management URL is configured: make sure yourself that none sets \
             delivery-limit, max-length, overflow, message-ttl or expires for Whimbrel's queues"
                .into(),
        ];
    };
    let path = format!("/api/queues/{}?columns=name,effective_policy_definition,type", escape(vhost));
    match timeout(ANSWER_WITHIN, get(url.expose_secret(), &path)).await {
        Ok(Ok(answer)) => judge(config, &answer),
        Ok(Err(reason)) => vec![format!("policies were not checked: {reason}")],
        Err(_) => vec!["policies were not checked: the management API does not answer in time".into()],
    }
}

fn judge(config: &RabbitConfig, queues: &Value) -> Vec<String> {
    let prefix = format!("{}log.", config.prefix);
    let mut warnings = Vec::new();
    for queue in queues.as_array().into_iter().flatten() {
        let Some(name) = queue["name"].as_str().filter(|name| name.starts_with(&prefix)) else { continue };
        for (key, why) in KEYS {
            if !queue["effective_policy_definition"][key].is_null() {
                warnings.push(format!("a policy sets {key} for queue {name}: take it off, because {why}"));
            }
        }
    }
    warnings
}

async fn get(url: &str, path: &str) -> Result<Value, String> {
    let rest = url.strip_prefix("http://").ok_or("the management URL must begin with http://")?;
    let rest = rest.trim_end_matches('/');
    let (user, host) = rest.rsplit_once('@').unwrap_or(("guest:guest", rest));
    let address = if host.rsplit(']').next().is_some_and(|end| end.contains(':')) {
        host.into()
    } else {
        format!("{host}:15672")
    };
    let mut stream = TcpStream::connect(address).await.map_err(|error| error.to_string())?;
    // HTTP/1.0: the answer ends with the connection, and comes in one piece.
    let authorization = base64(user.as_bytes());
    let request = format!(
        "GET {path} HTTP/1.0\r\nHost: {host}\r\nAuthorization: Basic {authorization}\r\nAccept: application/json\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).await.map_err(|error| error.to_string())?;
    let mut answer = Vec::new();
    stream.take(ANSWER_MAX).read_to_end(&mut answer).await.map_err(|error| error.to_string())?;
    read(&answer)
}

fn read(answer: &[u8]) -> Result<Value, String> {
    let end = answer.windows(4).position(|window| window == b"\r\n\r\n").ok_or("the answer is no HTTP")?;
    let status = String::from_utf8_lossy(&answer[..end]);
    let status = status.lines().next().unwrap_or_default();
    if status.split(' ').nth(1) != Some("200") {
        return Err(format!("the management API answers {status}"));
    }
    serde_json::from_slice(&answer[end + 4..]).map_err(|error| error.to_string())
}

fn escape(text: &str) -> String {
    text.bytes().fold(String::new(), |escaped, byte| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' => {
            escaped + char::from(byte).encode_utf8(&mut [0; 4])
        }
        _ => format!("{escaped}%{byte:02x}"),
    })
}

fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let digit = |group: u32, place: u32| char::from(DIGITS[(group >> (6 * place) & 63) as usize]);
    let mut text = String::new();
    for chunk in bytes.chunks(3) {
        let byte = |at: usize| u32::from(chunk.get(at).copied().unwrap_or(0));
        let group = byte(0) << 16 | byte(1) << 8 | byte(2);
        text.extend([digit(group, 3), digit(group, 2)]);
        text.push(if chunk.len() > 1 { digit(group, 1) } else { '=' });
        text.push(if chunk.len() > 2 { digit(group, 0) } else { '=' });
    }
    text
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::*;

    /// A broker that answers as RabbitMQ does: one policy that hurts, one queue of somebody else.
    #[tokio::test]
    async fn policies_that_override_the_queues_are_told() {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let port = listener.local_addr().expect("bound").port();
        let broker = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.expect("asked");
            let mut request = vec![0; 4096];
            let length = stream.read(&mut request).await.expect("a request");
            let body = r#"[{"name":"w.log.0","effective_policy_definition":{"delivery-limit":20,"ha-mode":"all"}},
                {"name":"w.log.1","effective_policy_definition":[]},
                {"name":"other","effective_policy_definition":{"expires":1}}]"#;
            let answer = format!("HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n{body}");
            stream.write_all(answer.as_bytes()).await.expect("written");
            String::from_utf8_lossy(&request[..length]).into_owned()
        });
        let mut config = RabbitConfig::new("amqp://h".into(), "test");
        config.prefix = "w.".into();
        config.management_url = Some(format!("http://user:pass@127.0.0.1:{port}/").into());
        let warnings = check(&config, "/").await;
        assert_eq!(warnings.len(), 1, "{warnings:?}");
        assert!(warnings[0].contains("delivery-limit for queue w.log.0"), "{warnings:?}");
        let request = broker.await.expect("answered");
        assert!(request.starts_with("GET /api/queues/%2f?") && request.contains("Basic dXNlcjpwYXNz\r\n"), "{request}");
    }

    #[tokio::test]
    async fn what_could_not_be_checked_is_told() {
        let mut config = RabbitConfig::new("amqp://h".into(), "test");
        assert!(check(&config, "/").await[0].contains("no management URL"));
        for url in ["https://h", "http://127.0.0.1:1"] {
            config.management_url = Some(url.into());
            assert!(check(&config, "/").await[0].starts_with("policies were not checked"), "{url}");
        }
        assert!(read(b"HTTP/1.1 401 Unauthorized\r\n\r\n{}").is_err_and(|error| error.contains("401")));
    }

    #[test]
    fn base64_is_that_of_rfc_4648() {
        for (plain, coded) in [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foob", "Zm9vYg==")] {
            assert_eq!(base64(plain.as_bytes()), coded);
        }
    }
}
