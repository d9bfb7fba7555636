//! What an operator does to a cluster that runs.

use std::process::Stdio;

use lapin::options::BasicPublishOptions;
use lapin::{BasicProperties, Connection, ConnectionProperties};
use serde_json::Value;
use sqlx::Connection as _;
use whimbrel_client::Outcome;
use whimbrel_core::Refusal;
use whimbrel_tests::cluster::Cluster;
use whimbrel_tests::people::friends;
use whimbrel_tests::wait::{until, within};

use crate::{ONE_OF_EACH, places, shown_once, write};

/// Longer than what the database takes meanwhile.
const LONG: usize = 2000;

/// `log dead list`, as objects.
fn dead(cluster: &Cluster) -> anyhow::Result<Vec<Value>> {
    let listed = cluster.run("log dead list --json")?;
    Ok(listed.lines().map(serde_json::from_str).collect::<Result<_, _>>()?)
}

async fn widen(cluster: &Cluster, body: &'static str) -> anyhow::Result<()> {
    let mut db = sqlx::MySqlConnection::connect(&cluster.database_url()).await?;
    sqlx::raw_sql(body).execute(&mut db).await?;
    Ok(db.close().await?)
}

/// A message that the database refuses and a record that nobody can read: both are parked, hold nobody up, and are listed.
/// One is dropped; the other is sent again once the database takes it, and reaches the friend under its own id.
#[tokio::test]
async fn dead_letters_are_listed_dropped_and_replayed() -> anyhow::Result<()> {
    let cluster = Cluster::start(&ONE_OF_EACH).await?;
    let (anna, ben) = friends(&cluster, "anna", "ben").await?;
    let (a, mut b) = (anna.device(&cluster).await?, ben.device(&cluster).await?);
    let chat = a.with(&ben).await?;
    assert!(dead(&cluster)?.is_empty());

    widen(&cluster, "ALTER TABLE message MODIFY body VARBINARY(500) NOT NULL").await?;
    let long = a.client.send_text(chat, &"long ".repeat(LONG / 5)).await?;
    let outcome = within("an answer", a.client.sent(chat, long)).await?;
    assert!(matches!(outcome, Outcome::Refused(Refusal::Unplaceable)), "{outcome:?}");
    let broker = Connection::connect(&cluster.rabbit.url(), ConnectionProperties::default()).await?;
    let channel = broker.create_channel().await?;
    let (options, properties) = (BasicPublishOptions::default(), BasicProperties::default().with_delivery_mode(2));
    for queue in 0..8 {
        let queue = format!("whimbrel.log.{queue}");
        channel.basic_publish("".into(), queue.into(), options, b"\xffnothing", properties.clone()).await?;
    }
    until("nine dead letters", async || dead(&cluster).expect("it lists").len() == 9).await;
    let (ids, mut listed) = (write(&a, chat, 0..5).await, dead(&cluster)?);
    let seqs = places(&a, chat, &ids).await;
    shown_once(&mut b, chat, &ids, &seqs).await;
    let at = listed.iter().position(|one| one["kind"] == "message").expect("the message is among them");
    let message = listed.remove(at);
    assert_eq!(message["message_id"], long.to_string());
    assert_eq!(message["sender"], anna.user.0);
    for record in listed {
        assert_eq!((&record["kind"], &record["bytes"]), (&Value::from("record"), &Value::from(8)), "{record}");
        let dropped = cluster.run(&format!("log dead drop {} --json", record["id"].as_str().expect("an id")))?;
        assert_eq!(serde_json::from_str::<Value>(&dropped)?["done"], 1);
    }
    assert_eq!(dead(&cluster)?.len(), 1);

    widen(&cluster, "ALTER TABLE message MODIFY body MEDIUMBLOB NOT NULL").await?;
    let replayed = cluster.run(&format!("log dead replay {} --json", message["id"].as_str().expect("an id")))?;
    assert_eq!(serde_json::from_str::<Value>(&replayed)?["done"], 1);
    let shown = b.messages(chat, 6).await;
    assert_eq!((shown[5].message_id, shown[5].seq.0), (long, seqs[4].0 + 1));
    assert!(dead(&cluster)?.is_empty());
    Ok(())
}

/// On a fresh database: two processes at once end well, one of them did it; the third has nothing to do.
/// Then the cluster goes from one master key to another: with both, wrapped again while people write, with the new one alone.
#[tokio::test]
async fn a_schema_and_a_master_key_are_changed_while_roles_run() -> anyhow::Result<()> {
    let mut cluster = Cluster::start(&ONE_OF_EACH).await?;
    let migrate = || -> anyhow::Result<_> {
        let url = cluster.sql.user_url("whimbrel_another");
        Ok(cluster.command("migrate --json")?.env("WHIMBREL_MYSQL__URL", url).stdout(Stdio::piped()).spawn()?)
    };
    let mut from = Vec::new();
    for process in [migrate()?, migrate()?] {
        let output = process.wait_with_output()?;
        assert!(output.status.success());
        from.push(serde_json::from_slice::<Value>(&output.stdout)?["from"].as_u64());
    }
    let again: Value = serde_json::from_slice(&migrate()?.wait_with_output()?.stdout)?;
    assert_eq!(again["from"], again["to"]);
    from.sort();
    assert_eq!(from, [Some(0), again["to"].as_u64()]);

    let (anna, ben) = friends(&cluster, "anna", "ben").await?;
    let a = anna.device(&cluster).await?;
    let chat = a.with(&ben).await?;
    let mut ids = write(&a, chat, 0..5).await;
    let mut seqs = places(&a, chat, &ids).await;
    let new = cluster.run("keys new")?.trim().to_owned();
    cluster.master_keys = format!("{new},{}", cluster.master_keys);
    cluster.relaunch().await?;
    // Tokens are signed with a key that is derived from the current one.
    let a = anna.device(&cluster).await?;
    ids.extend(write(&a, chat, 5..10).await);
    let rewrapped: Value = serde_json::from_str(&cluster.run("keys rewrap --json")?)?;
    assert_eq!(rewrapped["rewrapped"], 1);
    seqs.extend(places(&a, chat, &ids[5..]).await);
    cluster.master_keys = new;
    cluster.relaunch().await?;
    let mut b = ben.device(&cluster).await?;
    shown_once(&mut b, chat, &ids, &seqs).await;
    let text = |message: &whimbrel_client::StoredMessage| match &message.content {
        whimbrel_client::Content::Text(text) => text.clone(),
        other => panic!("not opened: {other:?}"),
    };
    assert_eq!(b.shown(chat).iter().map(text).collect::<Vec<_>>(), ["0", "1", "2", "3", "4", "5", "6", "7", "8", "9"]);
    Ok(())
}
