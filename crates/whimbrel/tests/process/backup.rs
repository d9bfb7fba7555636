//! Copies of a data folder.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use whimbrel_client::{Credentials, FileForm, Rest};
use whimbrel_core::{DeviceId, FileId, UserId};

use crate::support::{self, PATIENCE, Server, run, stderr, stdout_json, whimbrel};

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

/// A device that may upload, and its way to a server.
struct Uploader {
    rest: Rest,
    credentials: Credentials,
}

impl Uploader {
    async fn at(server: &Server, user: u64) -> Self {
        let token = server.token(user).await;
        let text = |key: &str| token[key].as_str().expect("text").to_owned();
        let device: DeviceId = text("device_id").parse().expect("an id");
        let credentials = Credentials {
            user: UserId(user),
            device,
            access_token: text("access_token").into(),
            access_expires_at: u64::MAX / 2,
            refresh_token: None,
        };
        Self { rest: Rest::new(&format!("http://{}", server.http)).expect("a client"), credentials }
    }

    /// A whole file of these bytes.
    async fn upload(&self, bytes: &[u8], sha256: &str) -> FileId {
        let id = FileId::generate();
        let form = FileForm {
            id: id.to_string(),
            name: String::new(),
            content_type: "application/octet-stream".to_owned(),
            size: bytes.len() as u64,
            sha256: sha256.to_owned(),
            encrypted: true,
            keeps_metadata: false,
        };
        self.rest.announce_file(&self.credentials, &form).await.expect("room");
        self.rest.upload_piece(&self.credentials, id, 0, bytes.to_vec().into()).await.expect("taken");
        assert!(self.rest.complete_file(&self.credentials, id).await.expect("its hash").is_whole());
        id
    }
}

/// SHA-256 of "whimbrel".
const WHIMBREL: &str = "5ea054f57a755ee9daf36bb1dc0a0411c8a8dad2a9f83a944bd941d2e22a570f";

/// The backup is killed in its middle, where it stands still: reading a pipe that nobody writes to. What it leaves is no
/// data folder, and says so; the same command goes on, copies what is missing and nothing twice, and a server that is
/// started on it has the file.
#[tokio::test]
async fn a_backup_that_was_killed_among_the_files_goes_on_and_a_server_has_them() {
    support::install_provider();
    let folder = tempfile::tempdir().expect("a folder");
    let server = Server::start(&folder, &[]);
    let (anna, _) = server.two_friends().await;
    let there = Uploader::at(&server, anna).await;
    let file = there.upload(b"whimbrel", WHIMBREL).await;
    let kept = folder.path().join("data/files/kept");
    for (name, bytes) in [("00/a00", "first"), ("zz/azz", "last")] {
        let path = kept.join(name);
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("made");
        std::fs::write(path, bytes).expect("written");
    }
    let pipe = kept.join("zz/pipe");
    assert!(std::process::Command::new("mkfifo").arg(&pipe).status().expect("mkfifo").success());

    let args = ["backup", "--data", "data", "--to", "copy", "--json"];
    let mut copying = whimbrel(folder.path()).args(args).spawn().expect("it starts");
    let copy = folder.path().join("copy");
    let began = std::time::Instant::now();
    while !copy.join("files/kept/zz/azz").exists() {
        assert!(began.elapsed() < PATIENCE, "it does not come to the pipe");
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    copying.kill().expect("it stands");
    copying.wait().expect("a child");
    assert!(copy.join("unfinished").exists() && !copy.join("whimbrel.db").exists());
    std::fs::remove_file(&pipe).expect("there");
    std::fs::write(kept.join("zz/new"), "kept meanwhile").expect("written");

    let done = stdout_json(&run(folder.path(), &args));
    assert_eq!(done["files"], serde_json::json!({"copied": 1, "bytes": 14, "there": 3}), "{done}");
    assert!(!copy.join("unfinished").exists() && !copy.join("files/copying").exists());
    assert_eq!((mode(&copy.join("files/kept/zz")), mode(&copy.join("files/kept/zz/new"))), (0o700, 0o600));
    let again = run(folder.path(), &args);
    assert!(stderr(&again).contains("copy is there already"), "{}", stderr(&again));
    server.stop();

    let other = tempfile::tempdir().expect("a folder");
    std::fs::rename(&copy, other.path().join("data")).expect("moved");
    let restored = Server::start(&other, &[]);
    let there = Uploader::at(&restored, anna).await;
    let bytes = there.rest.download_range(&there.credentials, file, 0, 100).await.expect("it came with the copy");
    assert_eq!(&bytes[..], b"whimbrel");
    restored.stop();
}

#[test]
fn a_backup_leaves_files_out_when_told_and_says_where_they_are_else() {
    support::install_provider();
    let folder = tempfile::tempdir().expect("a folder");
    Server::start(&folder, &[]).stop();
    let without = run(folder.path(), &["backup", "--data", "data", "--to", "one", "--without-files"]);
    let said = String::from_utf8_lossy(&without.stdout).into_owned();
    assert!(said.contains("Without the files that people sent."), "{said}{}", stderr(&without));
    assert!(folder.path().join("one/whimbrel.db").exists() && !folder.path().join("one/files").exists());
    let bucket = ["s3_bucket=birds", "s3_access_key=me", "s3_secret_key=secret"].map(|set| format!("files.{set}"));
    let mut args = vec!["backup", "--data", "data", "--to", "two"];
    args.extend(bucket.iter().flat_map(|set| ["--set", set]));
    let elsewhere = run(folder.path(), &args);
    let said = String::from_utf8_lossy(&elsewhere.stdout).into_owned();
    assert!(said.contains("are in the bucket \"birds\" and not in this copy"), "{said}{}", stderr(&elsewhere));
    assert!(!folder.path().join("two/files").exists());
}
