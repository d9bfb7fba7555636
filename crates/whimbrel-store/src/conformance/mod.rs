//! What every engine must do: one suite for each trait, run by each engine's tests.
//!
//! Each case is a function over the trait, named after the fact that it proves, and panics when the fact does not
//! hold. The macros make a `#[tokio::test]` of every case; they take a path to an `async fn` that opens an empty
//! engine. Nothing of an engine is known here but its trait.

mod accounts;
mod company;
mod devices;
mod erasing;
mod filing;
mod follow_ups;
mod group_changes;
mod group_sync;
mod group_unread;
mod groups;
mod history;
mod keeping;
mod keeping_races;
mod log;
mod people;
mod places;
mod presence;
mod relations;
mod remembering;
mod returning;
mod searching;
mod settings;
mod standing;
mod sync;
mod unread;
mod user_status;

use std::any::Any;
use std::sync::Arc;

use crate::{Directory, Files, Groups, History, Keeping, Presences, Search, Settings, Timeline};

/// The cases, for the macros.
#[doc(hidden)]
pub mod cases {
    pub use super::accounts::*;
    pub use super::devices::*;
    pub use super::erasing::*;
    pub use super::filing::*;
    pub use super::follow_ups::*;
    pub use super::group_changes::*;
    pub use super::group_sync::*;
    pub use super::group_unread::*;
    pub use super::groups::*;
    pub use super::history::*;
    pub use super::keeping::*;
    pub use super::keeping_races::*;
    pub use super::log::*;
    pub use super::places::*;
    pub use super::presence::*;
    pub use super::relations::*;
    pub use super::remembering::*;
    pub use super::returning::*;
    pub use super::searching::*;
    pub use super::settings::*;
    pub use super::standing::*;
    pub use super::sync::*;
    pub use super::unread::*;
    pub use super::user_status::*;
}

pub use people::{Dice, Lane, befriend, draft_row, people};

/// An empty database, as each of its traits.
pub struct Stores {
    /// The timeline.
    pub timeline: Arc<dyn Timeline>,
    /// The directory over the same data.
    pub directory: Arc<dyn Directory>,
    /// Groups in the same data.
    pub groups: Arc<dyn Groups>,
    /// Settings in the same data.
    pub settings: Arc<dyn Settings>,
    /// Pages of the timeline.
    pub history: Arc<dyn History>,
    /// Retention's steps on it.
    pub keeping: Arc<dyn Keeping>,
    /// Searches in the same data.
    pub search: Arc<dyn Search>,
    /// Presence in the same data.
    pub presences: Arc<dyn Presences>,
    /// Files in the same data.
    pub files: Arc<dyn Files>,
    /// What has to live as long: a temporary folder, a server.
    pub keep: Box<dyn Any + Send + Sync>,
}

/// Makes a test of every case of the timeline and the directory; `$open`: an `async fn() -> Stores`.
#[macro_export]
macro_rules! timeline_and_directory_conformance {
    ($open:path) => {
        $crate::timeline_and_directory_conformance! { @cases $open;
            a_committed_row_reads_back_whole
            a_taken_place_undoes_the_whole_batch
            a_taken_id_undoes_the_whole_batch
            an_id_is_taken_only_for_its_sender_in_its_conversation
            a_taken_place_is_told_before_a_taken_id
            a_row_that_cannot_be_stored_is_named
            batches_at_one_time_fail_alone
            a_found_row_is_the_one_that_was_placed
            heads_come_in_the_order_asked
            cursors_only_grow_and_end_at_the_head
            cursors_of_others_are_passed_over
            read_goes_on_after_a_place
            unread_is_what_a_recount_says
            a_sync_of_everything_names_every_conversation_once
            ranges_together_are_the_whole
            pages_together_are_the_whole
            a_device_that_follows_ends_with_the_timeline
            a_run_of_another_timeline_is_reset
            an_answer_stays_within_its_bytes_and_still_goes_on
            conversations_of_others_are_not_answered
            unnamed_conversations_bring_no_messages
            receipts_are_part_of_every_sync
            accounts_have_numbers_handles_and_private_conversations
            a_profile_is_told_to_friends_and_own_devices
            a_new_password_logs_out_the_other_devices
            a_deleted_user_is_gone_and_the_messages_stay
            logging_in_and_out_is_told_once
            a_user_has_a_bounded_number_of_devices
            a_refresh_token_is_good_once_and_repeats_within_grace
            a_refresh_token_used_late_again_logs_the_device_out
            an_older_refresh_token_is_theft_too
            logging_in_again_ends_the_former_token
            friendship_comes_from_a_request_and_its_answer
            requests_end_by_decline_and_cancel
            a_request_to_one_who_asked_is_a_yes
            befriending_again_keeps_the_conversation_and_adds_a_key
            changes_that_do_not_fit_are_refused
            a_block_is_told_to_the_blocker_only
            a_block_ends_a_request_and_forbids_another
            relations_are_listed_in_order
            changed_rights_take_a_place_and_show_in_the_head
        }
    };
    (@cases $open:path; $($case:ident)*) => {
        $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $case() {
                let stores: $crate::conformance::Stores = $open().await;
                $crate::conformance::cases::$case(&*stores.timeline, &*stores.directory).await;
            }
        )*
    };
}

/// Makes a test of every case of groups, settings, follow-ups and files; `$open`: an `async fn() -> Stores`.
#[macro_export]
macro_rules! groups_conformance {
    ($open:path) => {
        $crate::groups_conformance! { @cases $open;
            a_group_begins_with_friends_and_invites_others
            groups_are_found_by_handle_and_name
            what_finds_a_group_changes_with_its_name
            a_handle_is_one_groups_until_it_is_given_up
            what_does_not_fit_is_refused_by_name
            what_waits_is_listed_and_answered_once
            who_blocks_the_inviter_is_not_invited
            standings_are_those_of_the_last_change
            nobody_is_in_more_groups_than_one_may_be
            who_has_read_a_message_is_counted_among_those_to_whom_it_was_said
            who_does_not_see_a_message_is_not_told_who_has_read_it
            a_change_is_one_row_that_says_who_came_and_went
            a_stale_archiver_collides_with_a_change_of_the_group
            keys_are_of_the_time_in_which_one_is_in_the_group
            a_group_has_as_many_keys_as_members_left
            a_deleted_user_leaves_every_group_and_an_heir_takes_theirs
            a_thousand_are_added_in_one_change
            a_group_that_ends_keeps_nobody_waiting
            who_left_sees_their_time_and_nothing_after_it
            history_for_all_shows_what_was_before
            groups_of_others_are_not_answered
            cursors_in_groups_end_with_the_time_of_their_user
            unread_in_groups_is_what_a_recount_says
            what_is_taken_back_loses_its_content_and_that_of_its_follow_ups
            taking_back_touches_nothing_else
            a_target_is_what_its_follow_ups_rights_depend_on
            follow_ups_are_counted_on
            settings_are_kept_and_told_to_their_user
            settings_are_of_conversations_that_one_is_in
            settings_are_listed_in_order
            what_is_cleared_is_gone_for_its_user_only
            what_is_cleared_does_not_come_back
            only_friends_who_do_not_block_each_other_are_shown_anything
            last_seen_only_grows_and_stands_still_for_the_invisible
            who_is_here_is_seen_and_nothing_else_is_shown_of_them
            how_one_is_seen_is_told_to_oneself_once
            what_others_may_be_shown_anew_is_found_by_its_time
            a_file_begins_with_room_and_ends_without
            room_is_given_out_once
            asking_again_gives_the_same_file
            a_nonce_is_good_once
            a_file_is_read_by_those_who_see_a_message_that_came_with_it
            a_removed_member_reads_what_was_said_before_and_nothing_after
            a_message_refers_only_to_whole_files_of_its_sender
            what_is_taken_back_frees_its_file
            what_is_not_kept_frees_its_file
            what_a_message_refers_to_is_not_collected
            content_ends_with_its_last_file
            encrypted_content_is_not_found_by_its_hash
            what_is_made_of_an_upload_is_kept_instead_of_it
            what_may_have_been_made_of_an_upload_is_thrown_away_with_it
            a_users_files_are_listed_by_age
            attaching_and_collecting_at_once_never_lose_a_file
        }
    };
    (@cases $open:path; $($case:ident)*) => {
        $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $case() {
                let stores: $crate::conformance::Stores = $open().await;
                $crate::conformance::cases::$case(&stores).await;
            }
        )*
    };
}

/// Makes a test of every case of history and of what retention does; `$open`: an `async fn() -> Stores`.
#[macro_export]
macro_rules! history_conformance {
    ($open:path) => {
        $crate::groups_conformance! { @cases $open;
            a_page_is_what_the_reader_sees_of_a_conversation
            a_time_is_found_wherever_it_lies
            strangers_and_those_who_left_read_what_is_theirs
            a_page_stays_within_its_bytes_and_lies_next_to_what_was_asked
            follow_ups_come_with_their_messages_wherever_they_stand
            a_floor_empties_the_row_at_it_and_the_sweep_takes_those_below
            a_floor_only_grows_and_ends_at_the_head
            the_newest_row_stays_with_its_counts
            a_device_below_the_floor_jumps_and_is_told
            unread_counts_what_is_left
            conversations_are_looked_at_in_pages
            what_is_about_messages_goes_with_them
            what_one_said_is_found_wherever_it_was_said
            what_is_erased_is_empty_and_the_rest_as_it_was
            where_one_said_something_one_row_says_that_it_is_gone
            the_row_comes_with_the_last_of_what_was_said
            erasing_that_begins_anew_says_it_at_most_once_more
            what_retention_takes_meanwhile_is_told_all_the_same
            what_is_said_while_it_is_erased_stands_on_the_right_side
            floors_rise_while_messages_are_placed
            several_at_once_end_as_one
            who_comes_back_sees_each_of_their_times_and_nothing_between
            who_comes_back_to_a_group_that_shows_its_history_sees_all_of_it
            what_is_about_an_earlier_time_is_seen_if_it_was_said_in_one
            who_has_read_a_message_of_an_earlier_time_is_told_as_it_was_then
            the_oldest_times_beyond_what_is_kept_are_forgotten
            the_earlier_times_of_a_deleted_user_are_gone
        }
    };
}

/// Makes a test of every case of searching; `$open`: an `async fn() -> Stores`.
#[macro_export]
macro_rules! search_conformance {
    ($open:path) => {
        $crate::groups_conformance! { @cases $open;
            what_is_said_is_found_by_what_it_says
            only_what_is_readable_is_found
            a_message_is_found_by_what_it_says_now
            each_finds_what_they_see
            what_is_not_kept_is_not_found
            pages_together_are_what_a_naive_reading_finds
            pages_are_the_same_however_far_apart_messages_are
            many_conversations_are_searched_as_few_are
            what_others_say_is_not_in_the_way
            a_page_looks_at_a_bounded_number_of_messages
            long_texts_are_found_to_their_ends
        }
    };
}

/// Makes a test of every case of a directory that several processes use at once, and that remembers for each what the
/// others changed; `$open`: an `async fn() -> Stores`.
#[macro_export]
macro_rules! remembering_directory_conformance {
    ($open:path) => {
        $crate::timeline_and_directory_conformance! { @cases $open;
            whoever_may_not_stay_connected_is_remembered
            log_outs_are_forgotten_after_an_hour
            rows_are_untold_until_they_are_told
            untold_rows_read_back_as_they_were_placed
        }
    };
}

/// Makes a test of every case of the log; `$open`: an `async fn() -> Arc<dyn Log>`.
#[macro_export]
macro_rules! log_conformance {
    ($open:path) => {
        $crate::log_conformance! { @cases $open;
            records_come_in_the_order_of_their_appending
            what_was_not_acknowledged_comes_again_first_and_marked
            acknowledged_records_never_come_again
            a_record_is_confirmed_once_it_is_safe
            a_second_consumer_waits_for_the_end_of_the_first
            a_delivery_holds_about_as_many_drafts_as_asked
            a_waiting_consumer_wakes_by_an_append
            a_closed_log_is_drained_and_takes_no_more
        }
    };
    (@cases $open:path; $($case:ident)*) => {
        $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $case() {
                let log: std::sync::Arc<dyn $crate::Log> = $open().await;
                $crate::conformance::cases::$case(&*log).await;
            }
        )*
    };
}

/// Makes a test of every case of who is online; `$open`: an `async fn() -> Arc<dyn UserStatus>`. Or one test of all of
/// them, on one server that takes long to start; `$open`: an `async fn(&Server) -> Arc<dyn UserStatus>`, empty each time.
#[macro_export]
macro_rules! user_status_conformance {
    ($open:path) => {
        $crate::user_status_conformance! { @list each ($open); }
    };
    ($name:ident, $server:expr, $open:path) => {
        $crate::user_status_conformance! { @list together ($name, $server, $open); }
    };
    (@list $how:ident $open:tt;) => {
        $crate::user_status_conformance! { @cases $how $open;
            sessions_are_found_by_user_in_the_order_asked
            a_new_session_replaces_its_devices_former_one
            a_late_offline_removes_nobody_else
            a_session_that_says_it_again_is_there_once
            an_older_session_of_a_device_does_not_come_back
            a_newer_session_without_a_lease_gives_way
            since_is_compared_to_the_last_bit
            a_user_has_many_devices
            sessions_of_a_connector_without_a_lease_are_not_found
        }
    };
    (@cases each ($open:path); $($case:ident)*) => {
        $(
            #[tokio::test]
            async fn $case() {
                let status: std::sync::Arc<dyn $crate::UserStatus> = $open().await;
                $crate::conformance::cases::$case(&*status).await;
            }
        )*
    };
    (@cases together ($name:ident, $server:expr, $open:path); $($case:ident)*) => {
        #[tokio::test]
        async fn $name() {
            let server = $server;
            $(
                let status: std::sync::Arc<dyn $crate::UserStatus> = $open(&server).await;
                $crate::conformance::cases::$case(&*status).await;
            )*
        }
    };
}
