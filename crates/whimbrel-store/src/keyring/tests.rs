use secrecy::ExposeSecret;

use super::*;

const OLD: &str = "old:000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";
const NEW: &str = "new:ff0102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1eff";

fn ring(text: &str) -> Keyring {
    Keyring::from_text(text).expect("a good text")
}

/// Wrapped by the old key, unwrapped with both on the ring; not for another owner, not without the old key.
#[test]
fn a_wrapped_key_opens_for_its_owner_while_its_master_key_is_on_the_ring() {
    let plain = [7; KEY_LEN];
    let wrapped = ring(OLD).wrap(b"owner", &plain);
    let both = ring(&format!("# comment\n\n{NEW}\n{OLD}\n"));
    assert_eq!(both.unwrap(b"owner", &wrapped).expect("unwraps"), plain);
    assert!(!both.is_current(&wrapped));
    assert!(both.is_current(&both.wrap(b"owner", &plain)));
    assert!(matches!(both.unwrap(b"other", &wrapped), Err(KeyError::DoesNotUnwrap)));
    assert!(matches!(ring(NEW).unwrap(b"owner", &wrapped), Err(KeyError::UnknownKey(id)) if id == "old"));
}

/// Every single byte is changed once, and every prefix is tried: nothing opens, nothing panics.
#[test]
fn changed_bytes_do_not_open() {
    let ring = ring(OLD);
    let wrapped = ring.wrap(b"owner", &[7; KEY_LEN]);
    for at in 0..wrapped.len() {
        let mut changed = wrapped.clone();
        changed[at] ^= 1;
        assert!(ring.unwrap(b"owner", &changed).is_err(), "byte {at}");
        assert!(ring.unwrap(b"owner", &wrapped[..at]).is_err(), "prefix {at}");
    }
}

#[test]
fn two_wrappings_of_one_key_differ() {
    let ring = ring(OLD);
    assert_ne!(ring.wrap(b"o", &[7; KEY_LEN]), ring.wrap(b"o", &[7; KEY_LEN]));
}

#[test]
fn purposes_have_different_secrets_and_one_purpose_the_same() {
    let derive = |ring: &Keyring, purpose| ring.derive(purpose).expose_secret().to_vec();
    assert_eq!(derive(&ring(OLD), "a"), derive(&ring(OLD), "a"));
    assert_ne!(derive(&ring(OLD), "a"), derive(&ring(OLD), "b"));
    assert_ne!(derive(&ring(OLD), "a"), derive(&ring(NEW), "a"));
    assert_eq!(derive(&ring(OLD), "a").len(), 32);
}

#[test]
fn debug_shows_ids_and_no_key() {
    let ring = ring(OLD);
    assert_eq!(format!("{ring:?}"), r#"["old"]"#);
    assert_eq!(format!("{:?}", ring.keys[0]), "MasterKey(old, …)");
}

#[test]
fn texts_that_are_no_keys_are_refused() {
    for text in
        ["", "# only a comment", "abc", "id:12", &format!("{OLD}\n{OLD}"), &OLD[4..60], &format!(" :{}", &OLD[4..])]
    {
        assert!(Keyring::from_text(text).is_err(), "{text:?}");
    }
    assert!(MasterKey::from_text(&format!("{OLD}\n{NEW}")).is_err());
    assert!(MasterKey::from_text(&OLD[4..]).is_ok());
}

/// A made file reads back as the same key, is its owner's only, and is never made twice.
#[test]
fn a_created_file_reads_back_and_is_not_overwritten() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("master.key");
    let made = Keyring::load_or_create(&path).expect("made");
    let read = Keyring::load_or_create(&path).expect("read");
    assert_eq!(read.unwrap(b"o", &made.wrap(b"o", &[9; KEY_LEN])).expect("the same key"), [9; KEY_LEN]);
    assert!(matches!(MasterKey::create(&path), Err(KeyError::File { .. })));
    assert_eq!(MasterKey::load(&path).expect("one key").id(), made.current_id());
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        assert_eq!(std::fs::metadata(&path).expect("there").permissions().mode() & 0o777, 0o600);
    }
}
