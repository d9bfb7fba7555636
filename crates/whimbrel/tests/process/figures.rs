//! The list of figures in the handbook.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

/// Every name that a source file gives to a counter, a gauge or a histogram.
fn in_sources(folder: &Path, names: &mut BTreeSet<String>) {
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            in_sources(&path, names);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = fs::read_to_string(&path).expect("a text");
            for kind in ["counter!(", "gauge!(", "histogram!("] {
                let calls = text.split(kind).skip(1);
                let quoted = calls.filter_map(|call| call.trim_start().strip_prefix('"')?.split('"').next());
                names.extend(quoted.map(str::to_owned));
            }
        }
    }
}

/// Compared both ways: none is missing in the handbook, and the handbook invents none.
#[test]
fn the_handbook_lists_every_figure_that_is_counted() {
    let repository = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let mut counted = BTreeSet::new();
    for role in ["api", "archiver", "connector", "rpc", "store", "transfer"] {
        in_sources(&repository.join(format!("crates/whimbrel-{role}/src")), &mut counted);
    }
    for room in ["house", "roles"] {
        in_sources(&repository.join(format!("crates/whimbrel/src/{room}")), &mut counted);
    }
    let page = fs::read_to_string(repository.join("docs/operations.md")).expect("the handbook");
    let rows = page.lines().filter(|line| line.starts_with("| `whimbrel_"));
    let names = rows.flat_map(|row| row.split('|').nth(1).unwrap_or("").split('`').skip(1).step_by(2));
    let listed: BTreeSet<String> = names.map(|name| name.split('{').next().unwrap_or("").to_owned()).collect();
    assert_eq!(listed, counted);
}
