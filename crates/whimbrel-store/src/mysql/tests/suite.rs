//! The conformance cases of the timeline.

use std::sync::Arc;

use super::fresh;
use super::seed::Seed;
use crate::conformance::Stores;

async fn stores() -> Stores {
    let (store, database) = fresh().await;
    Stores { timeline: Arc::new(store.clone()), directory: Arc::new(Seed(store)), keep: Box::new(database) }
}

crate::timeline_and_directory_conformance! { @cases stores;
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
}
