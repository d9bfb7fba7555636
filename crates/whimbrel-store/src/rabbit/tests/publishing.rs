//! Appending: bounds, refusals, what is missing.

use super::super::{RabbitError, RabbitLog};
use super::*;

/// Three fit, the fourth is rejected by the broker; an acknowledgement makes room.
#[tokio::test]
async fn a_full_partition_rejects_until_one_is_acknowledged() {
    let config = RabbitConfig { queue_max_length: 3, ..config(1) };
    let _cleanup = Cleanup(config.clone(), 1);
    let log = RabbitLog::open(config).await.expect("a broker");
    append_all(&log, 0, 0..3).await;
    // The broker looks at the length before a publish, and may let one more in.
    let mut taken = 3;
    while let Ok(()) = log.append(0, numbered(taken)).expect("taken").await {
        taken += 1;
        assert!(taken < 10, "it never rejects");
    }
    assert_eq!(log.append(0, numbered(99)).expect("taken").await, Err(LogError::Full));
    let mut consumer = log.consume().await.expect("a broker");
    let all = take(&mut *consumer, taken as usize).await;
    assert_eq!(numbers(&all), (0..taken).collect::<Vec<_>>(), "what was rejected is not there");
    consumer.acknowledge(&[(0, all[all.len() - 1].tag)]).await.expect("answers");
    until("room again", async || log.append(0, numbered(7)).expect("taken").await.is_ok()).await;
}

/// The queue is deleted under many appends. Whatever was confirmed was in the queue before, and what was appended after
/// is refused, although the broker confirms it: every confirm of a batch is looked at before one is told. Then the
/// queue is declared again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deleted_queue_is_an_error_and_comes_back() {
    let config = config(2);
    let _cleanup = Cleanup(config.clone(), 2);
    let log = RabbitLog::open(config.clone()).await.expect("a broker");
    append_all(&log, 0, 0..3).await;
    delete(&config, &config.log_queue(0)).await;
    let confirms: Vec<_> = (0..32).filter_map(|number| log.append(0, numbered(number)).ok()).collect();
    assert!(!confirms.is_empty());
    for confirm in confirms {
        assert!(matches!(confirm.await, Err(LogError::Unavailable(_))), "nothing that was returned is confirmed");
    }
    until("declared again", async || match log.append(0, numbered(100)) {
        Ok(confirm) => confirm.await.is_ok(),
        Err(_) => false,
    })
    .await;
    let mut consumer = log.consume().await.expect("a broker");
    assert_eq!(numbers(&take(&mut *consumer, 1).await), [100]);
}

#[tokio::test]
async fn what_only_an_operator_can_mend_is_an_error() {
    let wrong = |url: String| RabbitConfig { url: url.into(), ..config(1) };
    let opened = RabbitLog::open(wrong("http://h".into())).await;
    assert!(matches!(opened, Err(RabbitError::Config(_))));
    let other = url_with(|uri| uri.authority.userinfo.password = "wrong".into());
    let refused = RabbitLog::open(wrong(other)).await.err().expect("refused");
    assert!(matches!(refused, RabbitError::Refused { .. }), "{refused}");
    let refused =
        RabbitLog::open(wrong(url_with(|uri| uri.vhost = "no.such.vhost".into()))).await.err().expect("refused");
    assert!(matches!(refused, RabbitError::Refused { .. }), "{refused}");

    let config = config(1);
    let _cleanup = Cleanup(config.clone(), 1);
    drop(RabbitLog::open(config.clone()).await.expect("a broker"));
    let opened = RabbitLog::open(RabbitConfig { queue_max_length: 9, ..config }).await;
    let Err(RabbitError::Queue(sentence)) = opened else { panic!("it was let pass") };
    assert!(sentence.contains("log.0") && sentence.contains("x-max-length"), "{sentence}");
}

/// Many appends, then close at once: all are confirmed, none is taken later.
#[tokio::test]
async fn what_was_appended_before_the_close_is_finished() {
    let config = config(2);
    let _cleanup = Cleanup(config.clone(), 2);
    let log = RabbitLog::open(config.clone()).await.expect("a broker");
    let confirms: Vec<_> = (0..40).map(|number| log.append(1, numbered(number)).expect("taken")).collect();
    log.close();
    assert!(log.append(1, numbered(40)).is_err());
    for confirm in confirms {
        assert_eq!(confirm.await, Ok(()));
    }
    assert_eq!(waiting(&config, config.log_queue(1)).await, 40);
}

/// Nobody reads the lanes meanwhile: this runs on one thread, and does not wait.
#[tokio::test]
async fn more_than_may_wait_is_refused_at_once() {
    let config = RabbitConfig { record_bytes_max: 100, ..config(1) };
    let _cleanup = Cleanup(config.clone(), 1);
    let log = RabbitLog::open(config).await.expect("a broker");
    let taken: Vec<_> = (0..).map_while(|number| log.append(0, numbered(number)).ok()).collect();
    assert_eq!(taken.len(), super::super::config::QUEUED_MAX);
    assert!(matches!(log.append(0, numbered(0)).map(drop), Err(LogError::Full)));
    let mut heavy = numbered(0);
    if let Entry::Drafts(entry) = &mut heavy.entries[0] {
        entry.drafts[0].body = Bytes::from(vec![0; 101]);
    }
    assert!(
        matches!(log.append(0, heavy).map(drop), Err(LogError::Unavailable(why)) if why.contains("over the limit"))
    );
    assert!(matches!(log.append(1, numbered(0)).map(drop), Err(LogError::Unavailable(_))));
    for confirm in taken {
        assert_eq!(confirm.await, Ok(()));
    }
}
