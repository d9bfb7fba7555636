//! Where the server programs are.
//!
//! The usual places come before PATH: on Debian `/usr/sbin/rabbitmq-server` is a wrapper that changes the user, and many
//! users' PATH leaves out `/usr/sbin`.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::Context;

/// The first of `names` that is an executable file in `places` or on PATH; names go before places.
pub(crate) fn locate(names: &[&str], places: &[&str]) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders: Vec<PathBuf> =
        places.iter().flat_map(|place| expand(place)).chain(std::env::split_paths(&path)).collect();
    names.iter().find_map(|name| folders.iter().map(|folder| folder.join(name)).find(|file| is_executable(file)))
}

/// What a program prints when it is run with these arguments, which should take it but a moment.
pub(crate) fn output(program: &Path, arguments: &[&str]) -> anyhow::Result<String> {
    let output = Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .with_context(|| format!("{} cannot be run", program.display()))?;
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

fn is_executable(file: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    file.metadata().is_ok_and(|data| data.is_file() && data.permissions().mode() & 0o111 != 0)
}

/// `/a/b-*/c` as the folders that are there, in the order of their names, highest first; others as they stand.
fn expand(place: &str) -> Vec<PathBuf> {
    let Some((before, after)) = place.split_once('*') else { return vec![PathBuf::from(place)] };
    let (parent, start) = before.rsplit_once('/').unwrap_or(("", before));
    let mut found: Vec<PathBuf> = std::fs::read_dir(parent)
        .into_iter()
        .flatten()
        .flatten()
        .filter(|entry| entry.file_name().to_string_lossy().starts_with(start))
        .map(|entry| entry.path().join(after.trim_start_matches('/')))
        .collect();
    found.sort_by(|one, other| other.cmp(one));
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_go_before_places_and_stars_are_filled_with_the_highest() {
        let folder = tempfile::tempdir().unwrap();
        for version in ["v-1", "v-2"] {
            std::fs::create_dir_all(folder.path().join(version).join("bin")).unwrap();
        }
        let make = |path: &str, mode| {
            use std::os::unix::fs::PermissionsExt;
            let file = folder.path().join(path);
            std::fs::write(&file, "").unwrap();
            std::fs::set_permissions(&file, std::fs::Permissions::from_mode(mode)).unwrap();
            file
        };
        let (one, two) = (make("v-1/bin/engine-a", 0o755), make("v-2/bin/engine-a", 0o755));
        let other = make("v-1/bin/engine-b", 0o755);
        let _not_executable = make("v-2/bin/engine-b", 0o644);
        let starred = format!("{}/v-*/bin", folder.path().display());
        assert_eq!(locate(&["engine-a"], &[&starred]), Some(two));
        assert_eq!(locate(&["engine-b", "engine-a"], &[&starred]), Some(other));
        assert_eq!(locate(&["engine-a"], &[&format!("{}/v-1/bin", folder.path().display())]), Some(one));
        assert_eq!(locate(&["engine-c"], &[&starred]), None);
    }
}
