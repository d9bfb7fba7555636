//! `docs/protocol.md` shows bytes and tables; they are held against the vectors and the code here.

use whimbrel_core::{GoodbyeCode, Refusal};

use super::{frames, hex, sealing};

fn guide() -> String {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/protocol.md");
    std::fs::read_to_string(path).expect("docs/protocol.md is there")
}

/// The blocks that show a vector: its name, and its bytes without spaces and comments.
fn blocks(guide: &str) -> Vec<(String, String)> {
    let mut blocks = Vec::new();
    for block in guide.split("```vector ").skip(1) {
        let (name, rest) = block.split_once('\n').expect("a name");
        let (body, _) = rest.split_once("```").expect("an end");
        let code = body.lines().map(|line| line.split('#').next().unwrap_or_default());
        blocks.push((name.to_string(), code.flat_map(str::chars).filter(|c| !c.is_whitespace()).collect()));
    }
    blocks
}

/// The rows of the table under a heading, cell by cell, without its head.
fn table(guide: &str, heading: &str) -> Vec<Vec<String>> {
    let (_, section) = guide.split_once(heading).expect("the heading");
    let rows = section.lines().skip_while(|line| !line.starts_with('|')).take_while(|line| line.starts_with('|'));
    let cells = |row: &str| row.trim_matches('|').split('|').map(|cell| cell.trim().to_string()).collect();
    rows.skip(2).map(cells).collect()
}

#[test]
fn the_guide_shows_the_vectors_bytes() {
    let file = frames::file();
    let mut known = sealing::shown();
    known.extend(file.client.iter().map(|v| (format!("client/{}", v.name), hex::encode(&v.bytes))));
    known.extend(file.server.iter().map(|v| (format!("server/{}", v.name), hex::encode(&v.bytes))));
    let blocks = blocks(&guide());
    assert!(blocks.len() >= 14, "the guide shows bytes at every step");
    for block in blocks {
        assert!(known.contains(&block), "{} is not what the vectors say: {}", block.0, block.1);
    }
}

#[test]
fn the_guides_tables_are_the_codes() {
    let guide = guide();
    let goodbyes = GoodbyeCode::ALL.iter().map(|code| vec![code.0.to_string(), code.name().to_string()]);
    let shown: Vec<_> = table(&guide, "## Goodbyes").into_iter().map(|row| row[..2].to_vec()).collect();
    assert_eq!(shown, goodbyes.collect::<Vec<_>>());
    let refusals =
        Refusal::ALL.iter().map(|r| vec![r.number().to_string(), r.name().to_string(), r.sentence().to_string()]);
    assert_eq!(table(&guide, "## Refusals"), refusals.collect::<Vec<_>>());
}
