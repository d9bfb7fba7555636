//! Directory: devices and refresh tokens.

use whimbrel_core::limits::DEVICES_MAX;
use whimbrel_core::{DeviceId, UserId};

use super::people::people;
use super::relations::{ACCOUNT, heard, told};
use crate::directory::{DirectoryError, LogIn, Refreshed, Rows};
use crate::{Directory, Timeline};

const GRACE: u64 = 60_000;

pub(super) fn device(number: u8) -> DeviceId {
    DeviceId::from_bytes([number; 16])
}

/// Logs a device in; its number is the time, too.
pub(super) async fn log_in(
    directory: &dyn Directory,
    user: UserId,
    number: u8,
    refresh_hash: Option<[u8; 32]>,
) -> Result<Rows, DirectoryError> {
    let (platform, name) = ("linux".into(), format!("device {number}"));
    let log_in = LogIn { user, device: device(number), platform, name, refresh_hash, now: number.into() };
    directory.log_in(vec![log_in]).await.expect("the store answers").remove(0)
}

async fn refresh(directory: &dyn Directory, token: u8, successor: u8, now: u64) -> Refreshed {
    directory.refresh([token; 32], [successor; 32], now, GRACE).await.expect("the store answers")
}

/// A new device is told, the same one again is not; logging out is told once for all, and to nobody when nobody is in.
pub async fn logging_in_and_out_is_told_once(_: &dyn Timeline, directory: &dyn Directory) {
    let user = people(directory, "user", 1).await[0];
    let added = heard(user, ACCOUNT, r#"{"what":"device_added"}"#);
    let removed = heard(user, ACCOUNT, r#"{"what":"device_removed"}"#);
    assert_eq!(told(&log_in(directory, user, 1, None).await.expect("room")), vec![added.clone()]);
    assert_eq!(told(&log_in(directory, user, 1, None).await.expect("room")), []);
    for number in [2, 3] {
        assert_eq!(told(&log_in(directory, user, number, None).await.expect("room")), vec![added.clone()]);
    }
    let devices = directory.devices(user).await.expect("answers");
    assert_eq!(devices.iter().map(|device| device.id).collect::<Vec<_>>(), [device(1), device(2), device(3)]);
    assert_eq!((devices[2].name.as_str(), devices[2].platform.as_str(), devices[2].seen_at), ("device 3", "linux", 3));

    let (gone, rows) = directory.log_out(user, Some(device(2)), 9).await.expect("it is in");
    assert_eq!((gone, told(&rows)), (vec![device(2)], vec![removed.clone()]));
    let again = directory.log_out(user, Some(device(2)), 9).await;
    assert!(matches!(again, Err(DirectoryError::NoSuchDevice)));
    let (mut gone, rows) = directory.log_out(user, None, 9).await.expect("an account");
    gone.sort();
    assert_eq!((gone, told(&rows)), (vec![device(1), device(3)], vec![removed]));
    let (gone, rows) = directory.log_out(user, None, 9).await.expect("an account");
    assert_eq!((gone, told(&rows)), (vec![], vec![]));
    assert!(matches!(directory.log_out(UserId(99), None, 9).await, Err(DirectoryError::NoSuchUser)));
}

/// One more than the limit is refused, one that is in already is not, and a free place can be taken; another user's
/// device of the same id is another device.
pub async fn a_user_has_a_bounded_number_of_devices(_: &dyn Timeline, directory: &dyn Directory) {
    let users = people(directory, "user", 2).await;
    let max = u8::try_from(DEVICES_MAX).expect("few devices");
    for number in 1..=max {
        log_in(directory, users[0], number, None).await.expect("room");
    }
    let one_more = log_in(directory, users[0], max + 1, None).await;
    assert!(matches!(one_more, Err(DirectoryError::TooManyDevices)));
    log_in(directory, users[0], 1, None).await.expect("it is in already");
    log_in(directory, users[1], 1, None).await.expect("another user");
    directory.log_out(users[0], Some(device(1)), 9).await.expect("it is in");
    assert!(directory.is_logged_in(users[1], device(1)).await.expect("answers"));
    log_in(directory, users[0], max + 1, None).await.expect("a free place");
}

/// Exchanged, repeated at the end of the time of grace with the same answer; unknown ones stay unknown.
pub async fn a_refresh_token_is_good_once_and_repeats_within_grace(_: &dyn Timeline, directory: &dyn Directory) {
    let user = people(directory, "user", 1).await[0];
    log_in(directory, user, 1, Some([10; 32])).await.expect("room");
    let device = device(1);
    assert_eq!(refresh(directory, 99, 11, 1000).await, Refreshed::Unknown);
    assert_eq!(refresh(directory, 10, 11, 1000).await, Refreshed::Rotated { user, device });
    assert_eq!(refresh(directory, 10, 11, 1000 + GRACE).await, Refreshed::Repeated { user, device });
    assert_eq!(refresh(directory, 10, 12, 1000 + GRACE).await, Refreshed::Unknown, "not the same successor");
    assert_eq!(refresh(directory, 11, 12, 1000 + GRACE).await, Refreshed::Rotated { user, device });
    assert_eq!(directory.devices(user).await.expect("answers")[0].seen_at, 1000 + GRACE);
    assert!(directory.is_logged_in(user, device).await.expect("answers"));
}

/// One millisecond after grace it is theft: the device is out, and no token of its family opens anything.
pub async fn a_refresh_token_used_late_again_logs_the_device_out(_: &dyn Timeline, directory: &dyn Directory) {
    let user = people(directory, "user", 1).await[0];
    log_in(directory, user, 1, Some([10; 32])).await.expect("room");
    log_in(directory, user, 2, Some([20; 32])).await.expect("room");
    refresh(directory, 10, 11, 1000).await;
    let Refreshed::Stolen { rows, .. } = refresh(directory, 10, 11, 1001 + GRACE).await else {
        panic!("a copy was used")
    };
    assert_eq!(told(&rows), [heard(user, ACCOUNT, r#"{"what":"device_removed"}"#)]);
    assert!(!directory.is_logged_in(user, device(1)).await.expect("answers"));
    assert_eq!(refresh(directory, 11, 12, 1001 + GRACE).await, Refreshed::Unknown);
    assert!(directory.is_logged_in(user, device(2)).await.expect("answers"), "another family");
}

/// The thief went on twice before the owner came back with the token of two exchanges ago.
pub async fn an_older_refresh_token_is_theft_too(_: &dyn Timeline, directory: &dyn Directory) {
    let user = people(directory, "user", 1).await[0];
    log_in(directory, user, 1, Some([10; 32])).await.expect("room");
    refresh(directory, 10, 11, 1000).await;
    refresh(directory, 11, 12, 2000).await;
    // A straggler within the time of grace harms nobody.
    assert_eq!(refresh(directory, 10, 11, 3000).await, Refreshed::Unknown);
    assert!(directory.is_logged_in(user, device(1)).await.expect("answers"));
    assert!(matches!(refresh(directory, 10, 11, 3000 + GRACE).await, Refreshed::Stolen { .. }));
    assert!(!directory.is_logged_in(user, device(1)).await.expect("answers"));
}

/// A new log-in on the same device: the tokens of before are nobody's, and nobody is thrown out by using them.
pub async fn logging_in_again_ends_the_former_token(_: &dyn Timeline, directory: &dyn Directory) {
    let user = people(directory, "user", 1).await[0];
    log_in(directory, user, 1, Some([10; 32])).await.expect("room");
    refresh(directory, 10, 11, 1000).await;
    log_in(directory, user, 1, Some([20; 32])).await.expect("it is in already");
    for former in [10, 11] {
        assert_eq!(refresh(directory, former, 30, 10 * GRACE).await, Refreshed::Unknown);
    }
    let device = device(1);
    assert_eq!(refresh(directory, 20, 21, 10 * GRACE).await, Refreshed::Rotated { user, device });
    log_in(directory, user, 1, None).await.expect("it is in already");
    assert_eq!(refresh(directory, 21, 22, 10 * GRACE).await, Refreshed::Unknown, "none was issued this time");
}
