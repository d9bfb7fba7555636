//! Copies of a data folder.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use crate::support::{self, Server, run, stderr, stdout_json};

fn mode(path: &Path) -> u32 {
    std::fs::metadata(path).expect("it is there").permissions().mode() & 0o777
}

/// The copy is made while the server runs, and another server started on it: it knows the people, and its master key
/// opens their conversation's key, which only the right one can.
#[tokio::test]
async fn a_backup_of_a_running_server_opens_and_has_the_data() {
    support::install_provider();
    let folder = tempfile::tempdir().expect("a folder");
    let server = Server::start(&folder, &[]);
    let (anna, bert) = server.two_friends().await;
    let relation = format!("/v1/relations/{bert}");
    let token = server.token(anna).await["access_token"].as_str().expect("a token").to_owned();
    let before = server.get(&relation, &token).await;
    assert_eq!(before.0, 200, "{}", before.1);

    let other = tempfile::tempdir().expect("a folder");
    let to = other.path().join("data");
    let to_text = to.to_str().expect("a path");
    let copied = stdout_json(&run(folder.path(), &["backup", "--data", "data", "--to", to_text, "--json"]));
    assert_eq!(copied["master_key"], true, "{copied}");
    assert_eq!((mode(&to), mode(&to.join("whimbrel.db")), mode(&to.join("master.key"))), (0o700, 0o600, 0o600));
    // What comes after it is not in it.
    server.admin("users", serde_json::json!({"users": [{"handle": "carol"}]})).await;
    server.stop();

    let restored = Server::start(&other, &[]);
    assert_eq!(restored.get(&relation, &token).await, before, "the token and the key are good there, too");
    let carol = restored.get("/v1/users?handle=carol", &token).await;
    assert_eq!(carol.0, 404, "{}", carol.1);
    restored.stop();
}

#[test]
fn a_backup_is_never_written_over_and_leaves_the_master_key_out_when_told() {
    support::install_provider();
    let folder = tempfile::tempdir().expect("a folder");
    Server::start(&folder, &[]).stop();
    let args = ["backup", "--data", "data", "--to", "copy", "--without-master-key"];
    let first = run(folder.path(), &args);
    assert!(first.status.success(), "{}", stderr(&first));
    assert!(!folder.path().join("copy/master.key").exists());
    assert!(String::from_utf8_lossy(&first.stdout).contains("To restore"), "it says how");
    let second = run(folder.path(), &args);
    assert_eq!(second.status.code(), Some(1));
    assert!(stderr(&second).contains("copy is there already"), "{}", stderr(&second));
    let nothing = run(folder.path(), &["backup", "--data", "nowhere", "--to", "other"]);
    assert!(stderr(&nothing).contains("nowhere is no data folder"), "{}", stderr(&nothing));
    assert!(!folder.path().join("other").exists() && !folder.path().join("nowhere").exists());
}
