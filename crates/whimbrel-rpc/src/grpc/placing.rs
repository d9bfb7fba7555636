//! How long things become parts of messages: cut to pieces that fit, and what cannot be cut and does not fit, left out.

use std::sync::Arc;

use tracing::error;
use whimbrel_core::Delivery;

use super::{Limits, figures};
use crate::convert::{pb, weight};
use crate::{PlacedBatch, PushBody, PushItem, To};

/// Pushes with their bytes. A delivery that is longer than a batch may be becomes several.
pub(super) fn pushes(items: &[PushItem], limits: &Limits) -> Vec<(pb::PushItem, usize)> {
    let mut parts = Vec::with_capacity(items.len());
    for item in items {
        match (weight::push(item), &item.body) {
            (bytes, _) if bytes <= limits.cut => parts.push((item.into(), bytes)),
            (_, PushBody::Deliver(delivery)) => deliveries(item, delivery, limits, &mut parts),
            (bytes, _) if fits(bytes, limits) => parts.push((item.into(), bytes)),
            (bytes, body) => {
                figures::oversized();
                error!(bytes, what = kind(body), "a push is longer than any message and is left out");
            }
        }
    }
    parts
}

/// Whether one thing of this length can be sent at all, with something else around it.
pub(super) fn fits(bytes: usize, limits: &Limits) -> bool {
    bytes <= limits.message_max / 2
}

fn deliveries(item: &PushItem, delivery: &Delivery, limits: &Limits, parts: &mut Vec<(pb::PushItem, usize)>) {
    let mut to = item.to.clone();
    for messages in cut(&delivery.messages, limits.cut, weight::message) {
        let part = Delivery { conversation: delivery.conversation, messages: messages.to_vec() };
        let part = PushItem { to: to.clone(), body: PushBody::Deliver(Arc::new(part)) };
        parts.push(((&part).into(), weight::push(&part)));
        // A roster comes with the first: the others find it there.
        if let To::Group(group) = &mut to {
            group.roster = None;
        }
    }
}

const fn kind(body: &PushBody) -> &'static str {
    match body {
        PushBody::Answers { .. } => "answers",
        PushBody::Deliver(_) => "messages",
        PushBody::Receipts(_) => "receipts",
        PushBody::Signal(_) => "a signal",
        PushBody::Advanced(_) => "cursors",
        PushBody::Synced(_) => "the answer to a sync",
        PushBody::Poke => "poke",
        PushBody::Close { .. } => "close",
    }
}

/// Batches in groups that fit into one message each, in their order. A batch that is longer is told as several of the
/// same record: the outcomes come with the first.
pub(super) fn batches(batches: Vec<PlacedBatch>, limits: &Limits) -> Vec<Vec<PlacedBatch>> {
    let (mut groups, mut group, mut bytes) = (Vec::new(), Vec::new(), 0);
    for part in batches.into_iter().flat_map(|batch| pieces(batch, limits.cut)) {
        let more = weight::placed(&part);
        if bytes + more > limits.cut && !group.is_empty() {
            groups.push(std::mem::take(&mut group));
            bytes = 0;
        }
        bytes += more;
        group.push(part);
    }
    if !group.is_empty() {
        groups.push(group);
    }
    groups
}

fn pieces(mut batch: PlacedBatch, room: usize) -> Vec<PlacedBatch> {
    if weight::placed(&batch) <= room {
        return vec![batch];
    }
    let (rows, outcomes) = (std::mem::take(&mut batch.rows), std::mem::take(&mut batch.outcomes));
    let piece = |outcomes, rows| PlacedBatch { batch: batch.batch, transfer: batch.transfer, outcomes, rows };
    let told = cut(&outcomes, room, |_| weight::ENTRY).map(|outcomes| piece(outcomes.to_vec(), Vec::new()));
    let mut pieces: Vec<PlacedBatch> = told.collect();
    let mut rest = cut(&rows, room, weight::row).map(|rows| piece(Vec::new(), rows.to_vec())).collect();
    pieces.append(&mut rest);
    pieces
}

/// A list in runs of at most `room` bytes, or of one thing that is longer.
pub(super) fn cut<T>(list: &[T], room: usize, bytes: impl Fn(&T) -> usize) -> impl Iterator<Item = &[T]> {
    let mut rest = list;
    std::iter::from_fn(move || {
        let (mut sum, mut count) = (0, 0);
        for thing in rest {
            sum += bytes(thing);
            if sum > room && count > 0 {
                break;
            }
            count += 1;
        }
        let run;
        (run, rest) = rest.split_at(count);
        (count > 0).then_some(run)
    })
}
