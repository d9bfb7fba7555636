//! Everything that fuzzing once found interesting runs here, on every ordinary test run.

use std::fs;
use std::path::PathBuf;

/// Runs `target` on each file of its corpus; a corpus that is missing or empty is a fault of this test.
fn run(name: &str, target: fn(&[u8])) {
    let folder: PathBuf = [env!("CARGO_MANIFEST_DIR"), "../../fuzz/corpus", name].iter().collect();
    let files = fs::read_dir(&folder).expect("a corpus").map(|entry| entry.expect("a file").path());
    let mut count = 0;
    for file in files {
        println!("{}", file.display());
        target(&fs::read(&file).expect("a readable file"));
        count += 1;
    }
    assert!(count > 0, "{} is empty", folder.display());
}

#[test]
fn client_frames_of_the_corpus_are_read_or_refused() {
    run("client_frame", whimbrel_wire::fuzzing::client_frame);
}

#[test]
fn server_frames_of_the_corpus_are_read_or_refused() {
    run("server_frame", whimbrel_wire::fuzzing::server_frame);
}

#[test]
fn streams_of_the_corpus_split_the_same_however_they_are_cut() {
    run("splitter", whimbrel_wire::fuzzing::splitter);
}

#[test]
fn bodies_of_the_corpus_do_not_open() {
    run("open_seal", whimbrel_wire::fuzzing::open_seal);
}
