//! One node: each file proves one promise, on the real program.

mod erasing;
mod files;
mod groups;
mod history;
mod p1_durable_before_sent;
mod p2_one_order_each_once;
mod p3_told_seqs_never_change;
mod p4_receipts_tell_the_truth;
mod p5_missed_then_live;
mod p6_no_ghosts;
mod p7_bounded;
mod p8_leaving_politely;
mod p9_private;
mod presence;
mod search;
