//! P9: what is secret does not rest in plain text, and a device that was logged out is cut off.

use std::path::Path;

use whimbrel_client::{DeviceInfo, Rest};
use whimbrel_core::GoodbyeCode;
use whimbrel_tests::people::friends;
use whimbrel_tests::raw::Raw;
use whimbrel_tests::server::Server;

const PASSWORD: &str = "correct horse battery staple";

/// The idea: register, befriend, talk; then look for the password, the tokens, the conversation's key and the text in
/// every file of the data folder, byte by byte.
#[tokio::test]
async fn no_password_token_key_or_text_rests_in_the_data_folder() -> anyhow::Result<()> {
    let server = Server::start().await?;
    let rest = Rest::new(&server.api())?;
    let info = DeviceInfo { id: None, platform: "test".into(), name: "test".into() };
    let credentials = rest.register("dora", PASSWORD, &info).await?;
    let (anna, ben) = friends(&server, "anna", "ben").await?;
    let (a, mut b) = (anna.device(&server).await?, ben.device(&server).await?);
    let chat = a.with(&ben).await?;
    a.client.send_text(chat, "the treaty of westphalia").await?;
    b.messages(chat, 1).await;

    let key = a.client.rest().relation(ben.user).await?.keys.first().map(|key| key.key_bytes()).expect("a key");
    let saved = credentials.to_exposed();
    let refresh = saved.refresh_token.expect("a refresh token");
    let secrets: [(&str, &[u8]); 6] = [
        ("the password", PASSWORD.as_bytes()),
        ("the access token", saved.access_token.as_bytes()),
        ("the refresh token", refresh.as_bytes()),
        ("the conversation's key", &key),
        ("the text", b"the treaty of westphalia"),
        ("the administrator's key", server.admin_key().as_bytes()),
    ];
    let mut read = 0;
    for file in std::fs::read_dir(server.data())? {
        let path = file?.path();
        if path.is_dir() {
            // What people sent as files has a test of its own.
            continue;
        }
        let bytes = std::fs::read(&path)?;
        read += bytes.len();
        for (what, secret) in &secrets {
            assert!(!contains(&bytes, secret), "{what} rests in {}", path.display());
        }
    }
    assert!(read > 50_000, "the data folder was looked at: {read} bytes");
    assert_modes(&server.data())?;
    Ok(())
}

fn contains(bytes: &[u8], part: &[u8]) -> bool {
    bytes.windows(part.len()).any(|window| window == part)
}

fn assert_modes(folder: &Path) -> anyhow::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    let mode = |path: &Path| anyhow::Ok(std::fs::metadata(path)?.permissions().mode() & 0o777);
    assert_eq!(mode(folder)?, 0o700);
    assert_eq!(mode(&folder.join("master.key"))?, 0o600);
    Ok(())
}

/// The idea: log a device out while its session is open, then come back with its token, which has not expired.
#[tokio::test]
async fn a_logged_out_device_is_cut_off_and_stays_out() -> anyhow::Result<()> {
    let server = Server::start().await?;
    let (anna, _) = friends(&server, "anna", "ben").await?;
    let a = anna.device(&server).await?;
    let access = anna.access(&server).await?;
    let mut raw = Raw::attach(server.clients(), &access.token, access.device).await?;
    a.client.rest().log_out_device(access.device).await?;
    assert_eq!(raw.goodbye().await?, GoodbyeCode::LOGGED_OUT.0);
    let mut raw = Raw::connect(server.clients()).await?;
    raw.hello(&access.token, access.device).await?;
    assert_eq!(raw.goodbye().await?, GoodbyeCode::LOGGED_OUT.0);
    Ok(())
}

/// The idea: a stolen token of one device opens nothing as another device.
#[tokio::test]
async fn a_token_opens_only_its_own_device() -> anyhow::Result<()> {
    let server = Server::start().await?;
    let (anna, ben) = friends(&server, "anna", "ben").await?;
    let access = anna.access(&server).await?;
    for (token, device) in [(access.token.as_str(), ben.access(&server).await?.device), ("nonsense", access.device)] {
        let mut raw = Raw::connect(server.clients()).await?;
        raw.hello(token, device).await?;
        assert_eq!(raw.goodbye().await?, GoodbyeCode::TOKEN_INVALID.0);
    }
    Ok(())
}
