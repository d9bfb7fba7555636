//! The first minutes: `whimbrel demo` as whoever clones the repository meets it (one command, a welcome, counters, a
//! verdict), and the guide that goes on from there.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

/// A demo on ports of its own; killed when the test ends early.
struct Demo(Child);

impl Demo {
    fn start(arguments: &[&str]) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_whimbrel"));
        command.arg("demo").args(arguments).stdin(Stdio::null()).stdout(Stdio::piped());
        Self(command.spawn().expect("the program starts"))
    }

    fn lines(&mut self) -> impl Iterator<Item = String> + use<> {
        let stdout = self.0.stdout.take().expect("it is a pipe");
        BufReader::new(stdout).lines().map_while(Result::ok)
    }

    fn code(&mut self) -> Option<i32> {
        self.0.wait().expect("it can be waited for").code()
    }
}

impl Drop for Demo {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn objects(demo: &mut Demo) -> Vec<Value> {
    demo.lines().map(|line| serde_json::from_str(&line).expect("every line is an object")).collect()
}

/// Everything that the bots sent in three seconds has come to its end: told SENT, shown, delivered, read.
#[test]
fn a_demo_ends_with_everything_sent_and_nothing_lost() {
    let any = "127.0.0.1:0";
    let mut demo = Demo::start(&["--seconds", "3", "--rate", "100", "--json", "--listen", any, "--http", any]);
    let objects = objects(&mut demo);
    let (welcome, last) = (&objects[0], &objects[objects.len() - 1]);
    assert_eq!(demo.code(), Some(0), "{last}");
    assert_eq!(welcome["people"][0], "alice");
    for none in ["lost", "doubled", "reordered", "refused", "under_way"] {
        assert_eq!(last[none], 0, "{none}: {last}");
    }
    let sent = last["sent"].as_u64().expect("a number");
    assert!(sent >= 30, "the bots did not talk: {last}");
    for all in ["confirmed", "delivered", "read"] {
        assert_eq!(last[all], sent, "{all}: {last}");
    }
    assert_eq!(welcome["group"], "Mudflat");
    let folder = welcome["folder"].as_str().expect("a path");
    assert!(!std::path::Path::new(folder).exists(), "{folder} was left behind");
}

/// Another process has both ports: the demo says which ones it has instead. SIGTERM ends it politely, and soon.
#[test]
fn a_demo_moves_aside_for_taken_ports_and_ends_when_it_is_told_to() {
    let taken = [0, 0].map(|port| TcpListener::bind(("127.0.0.1", port)).expect("a free port"));
    let [listen, http] = taken.each_ref().map(|taken| taken.local_addr().expect("it is bound").to_string());
    let mut demo = Demo::start(&["--json", "--listen", &listen, "--http", &http]);
    let mut lines = demo.lines();
    let welcome: Value = serde_json::from_str(&lines.next().expect("a welcome")).expect("an object");
    assert!(welcome["clients"].is_string() && welcome["clients"] != listen.as_str(), "{welcome}");
    assert_ne!(welcome["api"], format!("http://{http}"));
    lines.next().expect("counters");
    let asked = Instant::now();
    let pid = demo.0.id().to_string();
    assert!(Command::new("kill").args(["-TERM", &pid]).status().expect("kill is there").success());
    let last: Value = serde_json::from_str(&lines.last().expect("a last word")).expect("an object");
    assert_eq!(demo.code(), Some(0), "{last}");
    assert!(asked.elapsed() < Duration::from_secs(8), "it took {:?} to end", asked.elapsed());
}

/// The guide's programs are the SDK's first doc tests, line by line, so they compile and run with every test of the SDK.
#[test]
fn the_guides_programs_are_doc_tests_of_the_sdk() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let read = |path: &str| std::fs::read_to_string(root.join(path)).expect("the file is there");
    let (guide, sdk) = (read("docs/getting-started.md"), read("crates/whimbrel-client/src/lib.rs"));
    let programs: Vec<_> = guide.split("```rust\n").skip(1).filter_map(|rest| rest.split("```").next()).collect();
    assert_eq!(programs.len(), 2);
    let mut documented = sdk.lines().filter_map(|line| line.strip_prefix("//! "));
    for line in programs.iter().flat_map(|program| program.lines()).filter(|line| !line.trim().is_empty()) {
        assert!(documented.any(|documented| documented == line), "not, or not at this point, in the SDK: {line}");
    }
}

/// Each demo is another server, and a device's file outlives it. The second demo's alice says something to its bob with
/// the file of the first one's: it is sent, and the file of the first is still there.
#[test]
fn a_device_of_an_earlier_demo_begins_anew_and_keeps_the_old_file() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = folder.path().join("alice.db");
    let mut errors = Vec::new();
    for _ in 0..2 {
        let mut demo = Demo::start(&["--json", "--listen", "127.0.0.1:0", "--http", "127.0.0.1:0"]);
        let mut lines = demo.lines();
        let welcome: Value = serde_json::from_str(&lines.next().expect("a welcome")).expect("an object");
        let word = |name: &str| welcome[name].as_str().expect("text").to_owned();
        let mut chat = Command::new(env!("CARGO_BIN_EXE_whimbrel"))
            .args([
                "chat",
                "--plain",
                "--handle",
                "alice",
                "--server",
                &word("clients"),
                "--api",
                &word("api"),
                "--store",
            ])
            .arg(&store)
            .env("WHIMBREL_PASSWORD", word("password"))
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the program starts");
        chat.stdin.take().expect("a pipe").write_all(b"@bob hello\n").expect("it listens");
        let ended = chat.wait_with_output().expect("it ends");
        let error = String::from_utf8_lossy(&ended.stderr).into_owned();
        assert!(ended.status.success() && !error.contains("! "), "{error}");
        errors.push(error);
    }
    assert_eq!(errors[0], "");
    assert!(errors[1].contains("Another server"), "{}", errors[1]);
    assert!(folder.path().join("alice.old-1.db").exists());
}

/// Alice and Bob in a group that she makes, both line by line: he sees who came, what she says, and what she does to it; the
/// server's counts of readers are told; what is refused is told in its words.
#[test]
fn a_group_is_made_and_talked_in_line_by_line() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut demo = Demo::start(&["--rate", "1", "--json", "--listen", "127.0.0.1:0", "--http", "127.0.0.1:0"]);
    let mut lines = demo.lines();
    let welcome: Value = serde_json::from_str(&lines.next().expect("a welcome")).expect("an object");
    std::thread::spawn(move || lines.for_each(drop));
    let word = |name: &str| welcome[name].as_str().expect("text").to_owned();
    let chat = |handle: &str| {
        Command::new(env!("CARGO_BIN_EXE_whimbrel"))
            .args([
                "chat",
                "--plain",
                "--handle",
                handle,
                "--server",
                &word("clients"),
                "--api",
                &word("api"),
                "--store",
            ])
            .arg(folder.path().join(format!("{handle}.db")))
            .env("WHIMBREL_PASSWORD", word("password"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the program starts")
    };
    let mut bob = chat("bob");
    let mut bob_hears = BufReader::new(bob.stdout.take().expect("a pipe")).lines().map_while(Result::ok);
    let mut bob_reads = |what: &str| {
        let mut seen = Vec::new();
        for line in bob_hears.by_ref() {
            // The bots talk in theirs.
            if !line.contains("Mudflat") {
                seen.push(line);
            }
            if seen.last().is_some_and(|line| line.contains(what)) {
                return;
            }
        }
        panic!("bob was not told {what:?}, but {seen:?}");
    };
    let mut alice = chat("alice");
    let mut alice_says = alice.stdin.take().expect("a pipe");
    let mut say = |line: &str| writeln!(alice_says, "{line}").expect("she listens");
    say("/group Night watch @bob");
    say("Who takes the frst hour?");
    bob_reads("made the group");
    bob_reads("[Night watch] alice: Who takes the frst hour?");
    say("/edit Who takes the first hour?");
    bob_reads("* [Night watch] alice edited #2: Who takes the first hour?");
    say("/react #2 👍");
    bob_reads("* [Night watch] alice reacted to #2: 👍");
    let mut bob_says = bob.stdin.take().expect("a pipe");
    writeln!(bob_says, "@night-watch /reply #2 I do\n/leave").expect("he listens");
    drop(bob_says);
    let bob = bob.wait_with_output().expect("it ends");
    assert!(bob.status.success(), "{bob:?}");
    say("/remove carol");
    say("oops");
    say("/recall");
    say("/members");
    say("/last");
    drop(alice_says);
    let alice = alice.wait_with_output().expect("it ends");
    let (heard, errors) = (String::from_utf8_lossy(&alice.stdout), String::from_utf8_lossy(&alice.stderr));
    assert!(alice.status.success(), "{errors}");
    for told in ["[Night watch] bob: [Who takes the first hour?] I do", "* 1 member", "(taken back)", "Bob left"] {
        assert!(heard.contains(told), "{told:?} is not in:\n{heard}\n{errors}");
    }
    assert!(errors.contains("Night watch is made, with 2 in it"), "{errors}");
    assert!(errors.lines().any(|line| line.starts_with("! ")), "carol is not in it: {errors}");
}

/// Two demos, one after the other, on a server that runs already. The second finds alice there, who has the password of
/// then, and its bots are her friends all the same, under the names that it says.
#[test]
fn bots_that_join_a_server_are_found_by_the_names_that_are_said_and_befriend_who_was_there() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = |name: &str| folder.path().join(name).to_str().expect("text").to_owned();
    let key = "k".repeat(40);
    for (name, line) in [("key", key.as_str()), ("password", "correct horse")] {
        std::fs::write(path(name), line).expect("a file");
        std::fs::set_permissions(path(name), std::os::unix::fs::PermissionsExt::from_mode(0o600)).expect("private");
    }
    let [listen, http] = [0, 0].map(|port| TcpListener::bind(("127.0.0.1", port)).expect("a free port"));
    let [listen, http] = [listen, http].map(|bound| bound.local_addr().expect("it is bound").to_string());
    let api = format!("http://{http}");
    let server = Command::new(env!("CARGO_BIN_EXE_whimbrel"))
        .args(["standalone", "--data", &path("data"), "--listen", &listen, "--http", &http])
        .env("WHIMBREL_ADMIN__KEY", &key)
        .stderr(Stdio::null())
        .spawn();
    let _server = Demo(server.expect("the program starts"));
    let ready = || Command::new(env!("CARGO_BIN_EXE_whimbrel")).args(["health", "--url", &api]).output();
    while !ready().expect("it runs").status.success() {}
    for _ in 0..2 {
        let (keys, password) = (path("key"), path("password"));
        let mut demo = Demo::start(&[
            "--json",
            "--join",
            &listen,
            "--api",
            &api,
            "--admin-key-file",
            &keys,
            "--password-file",
            &password,
        ]);
        let welcome: Value = serde_json::from_str(&demo.lines().next().expect("a welcome")).expect("an object");
        let bot = welcome["bots"][0].as_str().expect("a name");
        let mut chat = Command::new(env!("CARGO_BIN_EXE_whimbrel"))
            .args(["chat", "--plain", "--handle", "alice", "--server", &listen, "--api", &api])
            .args(["--password-file", &password, "--store", &path("alice.db")])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the program starts");
        chat.stdin.take().expect("a pipe").write_all(format!("@{bot} hello\n").as_bytes()).expect("it listens");
        let ended = chat.wait_with_output().expect("it ends");
        let error = String::from_utf8_lossy(&ended.stderr).into_owned();
        assert!(ended.status.success() && !error.contains("! "), "{error}");
    }
}
