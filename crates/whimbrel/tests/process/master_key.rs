//! The master key: made once, kept private, replaced.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use crate::support::{self, Server, run, stderr, stdout_json};

fn keys(folder: &tempfile::TempDir) -> Vec<String> {
    let text = fs::read_to_string(folder.path().join("data/master.key")).expect("there");
    text.lines().filter(|line| !line.starts_with('#') && !line.is_empty()).map(str::to_owned).collect()
}

#[test]
fn a_master_key_that_others_may_read_is_refused_with_the_way_out() {
    support::install_provider();
    let folder = tempfile::tempdir().expect("a folder");
    Server::start(&folder, &[]).stop();
    let file = folder.path().join("data/master.key");
    assert_eq!(fs::metadata(&file).expect("made").permissions().mode() & 0o777, 0o600);
    fs::set_permissions(&file, fs::Permissions::from_mode(0o640)).expect("changed");
    let args = ["standalone", "--data", "data", "--listen", "127.0.0.1:0", "--http", "127.0.0.1:0"];
    let output = run(folder.path(), &args);
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains("chmod 600 data/master.key"), "{}", stderr(&output));
}

/// A conversation's key is the same before and after, first with both master keys on the ring, then with the new one
/// alone: so it was wrapped again.
#[tokio::test]
async fn rotating_wraps_every_key_again_and_the_old_one_can_be_forgotten() {
    support::install_provider();
    let folder = tempfile::tempdir().expect("a folder");
    let server = Server::start(&folder, &[]);
    let (anna, bert) = server.two_friends().await;
    let relation = format!("/v1/relations/{bert}");
    let ask = async |server: &Server| {
        let token = server.token(anna).await["access_token"].as_str().expect("a token").to_owned();
        server.get(&relation, &token).await
    };
    let before = ask(&server).await;
    assert_eq!(before.0, 200, "{}", before.1);

    let running = run(folder.path(), &["keys", "rotate", "--data", "data"]);
    assert!(stderr(&running).contains("The server must be stopped for this"), "{}", stderr(&running));
    server.stop();

    let old = keys(&folder);
    let rotated = stdout_json(&run(folder.path(), &["keys", "rotate", "--data", "data", "--json"]));
    assert_eq!(rotated["rewrapped"], 1, "{rotated}");
    let both = keys(&folder);
    assert_eq!((both.len(), &both[1]), (2, &old[0]));
    let server = Server::start(&folder, &[]);
    assert_eq!(ask(&server).await, before);
    server.stop();

    let args = ["keys", "rotate", "--data", "data", "--forget-old", "--json"];
    assert_eq!(stdout_json(&run(folder.path(), &args))["kept"], false);
    assert_eq!(keys(&folder).len(), 1);
    assert!(!both.contains(&keys(&folder)[0]));
    let server = Server::start(&folder, &[]);
    assert_eq!(ask(&server).await, before);
    server.stop();
}

/// The key comes by the environment: none rests in the data folder, and a backup has none.
#[test]
fn a_master_key_from_the_environment_leaves_none_on_disk() {
    support::install_provider();
    let folder = tempfile::tempdir().expect("a folder");
    let key = format!("master_key.keys={}", "0123456789abcdef".repeat(4));
    Server::start(&folder, &["--set", &key]).stop();
    assert!(folder.path().join("data/whimbrel.db").exists());
    assert!(!folder.path().join("data/master.key").exists());
}

#[test]
fn an_administrators_key_is_written_for_its_owner_only_and_never_over_another() {
    let folder = tempfile::tempdir().expect("a folder");
    let args = ["admin-key", "--to", "admin.key"];
    assert!(run(folder.path(), &args).status.success());
    let file = folder.path().join("admin.key");
    assert_eq!(fs::metadata(&file).expect("made").permissions().mode() & 0o777, 0o600);
    assert_eq!(fs::read_to_string(&file).expect("there").trim().len(), 64);
    assert_eq!(run(folder.path(), &args).status.code(), Some(1));
    let printed = run(folder.path(), &["admin-key"]);
    assert_eq!(String::from_utf8_lossy(&printed.stdout).trim().len(), 64);
}
