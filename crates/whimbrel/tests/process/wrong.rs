//! What the program says to what is wrong, before it opens anything.

use std::net::TcpListener;

use crate::support::{run, stderr};

/// The folder stays empty: neither a data folder nor a port was touched.
#[test]
fn wrong_configuration_exits_with_2_before_anything_is_opened() {
    let folder = tempfile::tempdir().expect("a folder");
    let cases: [(&[&str], &str); 4] = [
        (
            &["--set", "clients.max_connections=many"],
            "error: clients.max_connections (flag --set) is \"many\"; it must be",
        ),
        (&["--http", "7180"], "error: http.listen (flag --http) is \"7180\"; it must be an IP address and a port"),
        (&["--listen", "0.0.0.0:0"], "error: clients.listen (flag --listen) is 0.0.0.0:0, which others can reach"),
        (&["--config", "nowhere.toml"], "error: nowhere.toml cannot be read"),
    ];
    for (args, expected) in cases {
        let output = run(folder.path(), &[&["standalone"], args].concat());
        assert_eq!(output.status.code(), Some(2), "{args:?}: {}", stderr(&output));
        assert!(stderr(&output).contains(expected), "{args:?}: {}", stderr(&output));
        assert_eq!(stderr(&output).lines().count(), 1, "{}", stderr(&output));
    }
    assert_eq!(std::fs::read_dir(folder.path()).expect("a folder").count(), 0);
}

#[test]
fn a_port_in_use_is_named_with_its_key() {
    let folder = tempfile::tempdir().expect("a folder");
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = taken.local_addr().expect("a port").to_string();
    let output = run(folder.path(), &["standalone", "--http", &address, "--listen", "127.0.0.1:0"]);
    assert_eq!(output.status.code(), Some(1));
    let expected = format!("http.listen: {address} cannot be listened on");
    assert!(stderr(&output).contains(&expected), "{}", stderr(&output));
}

/// The file in the working folder is read without being named, and `config check` speaks of the same one.
#[test]
fn the_usual_file_is_read_and_checked() {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("whimbrel.toml"), "[clients]\n\nlisten = 7100\n").expect("written");
    let output = run(folder.path(), &["config", "check"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).contains("clients.listen (whimbrel.toml:3) is 7100;"), "{}", stderr(&output));
}

/// The manual, saved and checked, is a good configuration.
#[test]
fn the_printed_manual_is_a_good_file() {
    let folder = tempfile::tempdir().expect("a folder");
    let manual = run(folder.path(), &["config", "default"]);
    std::fs::write(folder.path().join("whimbrel.toml"), &manual.stdout).expect("written");
    let output = run(folder.path(), &["config", "check"]);
    assert!(output.status.success(), "{}", stderr(&output));
}
