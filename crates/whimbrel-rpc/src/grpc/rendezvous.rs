//! Rendezvous hashing (Thaler and Ravishankar, 1996): each key ranks all members by a hash of both, and takes the first.
//!
//! Nobody has to agree on anything but the list, and a member that leaves moves its own keys only, evenly to the others.
//! The hash is fixed: processes of different versions choose alike.

use whimbrel_core::{ConversationId, TransferId, UserId};

/// What is looked for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Key(u64);

impl From<ConversationId> for Key {
    fn from(id: ConversationId) -> Self {
        Self(fold(id.as_bytes()))
    }
}

impl From<UserId> for Key {
    fn from(user: UserId) -> Self {
        Self(mix(user.0))
    }
}

/// The place in the list of the member that this key takes.
pub(crate) fn choose(key: Key, members: impl IntoIterator<Item = TransferId>) -> Option<usize> {
    let ranked = members.into_iter().enumerate().map(|(at, id)| (mix(key.0 ^ fold(id.as_bytes())), id, at));
    // Equal hashes are told apart by the id, so that the order of the list plays no part.
    ranked.max_by_key(|(rank, id, _)| (*rank, *id)).map(|(_, _, at)| at)
}

fn fold(bytes: &[u8; 16]) -> u64 {
    let number = u128::from_be_bytes(*bytes);
    mix(mix((number >> 64) as u64) ^ number as u64)
}

/// The finalizer of MurmurHash3: every bit of the input moves every bit of the output.
fn mix(mut h: u64) -> u64 {
    h = (h ^ (h >> 33)).wrapping_mul(0xFF51_AFD7_ED55_8CCD);
    h = (h ^ (h >> 33)).wrapping_mul(0xC4CE_B9FE_1A85_EC53);
    h ^ (h >> 33)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_member_that_leaves_moves_only_its_own_keys_and_all_have_their_share() {
        let members: Vec<TransferId> = (0..5).map(|_| TransferId::generate()).collect();
        let (mut share, mut moved) = ([0; 5], [0; 5]);
        for _ in 0..10_000 {
            let key = Key::from(ConversationId::generate());
            let before = choose(key, members.iter().copied()).expect("a member");
            share[before] += 1;
            let mut shuffled = members.clone();
            shuffled.reverse();
            assert_eq!(choose(key, shuffled.iter().copied()), Some(4 - before), "the order of the list plays no part");
            let left: Vec<TransferId> = members[..4].to_vec();
            let after = choose(key, left).expect("a member");
            if before == 4 {
                moved[after] += 1;
            } else {
                assert_eq!(after, before, "only the keys of who left move");
            }
        }
        assert!(share.iter().all(|keys| (1700..2300).contains(keys)), "{share:?}");
        assert!(moved[..4].iter().all(|keys| (350..650).contains(keys)), "{moved:?}");
        assert_eq!(choose(Key::from(UserId(1)), []), None);
    }

    /// Users are small numbers: they spread nevertheless.
    #[test]
    fn neighbouring_users_are_spread() {
        let members: Vec<TransferId> = (0..4).map(|_| TransferId::generate()).collect();
        let mut share = [0; 4];
        for user in 1..=10_000 {
            share[choose(UserId(user).into(), members.iter().copied()).expect("a member")] += 1;
        }
        assert!(share.iter().all(|keys| (2200..2800).contains(keys)), "{share:?}");
    }
}
