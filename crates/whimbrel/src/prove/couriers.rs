//! Files under the faults: of two accounts of their own, one sends files all the time and the other fetches each; every
//! one has to arrive, once, and to be what it was, byte by byte.

use std::collections::HashMap;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context;
use tokio::sync::watch;
use tokio::time::{sleep, timeout};
use whimbrel_client::{Attachment, Client, ConversationId, Events, FileId, FirstSync, Sending, Seq};

use super::Doors;
use super::accounts::{Account, Accounts};
use super::clients::Order;
use super::dice::Dice;
use super::verdict::Kind;

/// Longest file, bytes.
const SIZE_MAX: usize = 1024 * 1024;
/// Between one file's arrival and the next one's sending, on average.
const PAUSE: Duration = Duration::from_millis(500);
/// No file takes longer, whatever is done to the server meanwhile.
const WITHIN: Duration = Duration::from_secs(180);
/// How often is looked for a message.
const LOOK_EVERY: Duration = Duration::from_millis(50);
/// Their dice have this number.
const DICE: u64 = 900;
/// Messages that are read at once.
const PAGE: usize = 500;

/// Who sends, and who fetches.
pub(super) struct Couriers {
    sender: Client,
    fetcher: Client,
    /// Held, so that both stay.
    _events: [Events; 2],
    conversation: ConversationId,
    folder: PathBuf,
    dice: Dice,
}

/// What was brought.
#[derive(Debug, Default)]
pub(super) struct Brought {
    pub(super) files: usize,
    pub(super) bytes: u64,
    pub(super) faults: Vec<(Kind, String)>,
}

async fn device(doors: &Doors, account: &Account, store: Option<PathBuf>) -> anyhow::Result<(Client, Events)> {
    let builder = Client::builder(&doors.api, &doors.clients)
        .credentials(account.credentials())
        .first_sync(FirstSync::Everything);
    let builder = match store {
        Some(path) => builder.store_file(path),
        None => builder.store_memory(),
    };
    Ok(builder.connect().await?)
}

impl Couriers {
    /// Two new friends, each with a device.
    pub(super) async fn open(doors: &Doors, seed: u64, folder: &std::path::Path) -> anyhow::Result<Self> {
        let admin = Accounts::new(&doors.api, &doors.admin_key)?;
        let users = admin.users(2).await?;
        let accounts = admin.devices(&users, Duration::from_secs(24 * 3600)).await?;
        let conversation = admin.befriend(&[(users[0], users[1])]).await?;
        let (sender, one) = device(doors, &accounts[0], Some(folder.join("courier.db"))).await?;
        let (fetcher, two) = device(doors, &accounts[1], None).await?;
        let conversation = *conversation.first().context("their conversation")?;
        let (folder, dice) = (folder.to_owned(), Dice::new(seed, DICE));
        Ok(Self { sender, fetcher, _events: [one, two], conversation, folder, dice })
    }

    /// Brings one file after the other as long as there is load; then looks whether each was said once.
    pub(super) async fn run(mut self, order: watch::Receiver<Order>) -> Brought {
        let mut brought = Brought::default();
        let mut came: HashMap<FileId, usize> = HashMap::new();
        let mut seen = Seq::ZERO;
        while *order.borrow() == Order::Load {
            let number = brought.files + 1;
            let one = timeout(WITHIN, self.one(number, &mut seen, &mut came)).await;
            match one {
                Ok(Ok(bytes)) => {
                    brought.files += 1;
                    brought.bytes += bytes;
                }
                Ok(Err(fault)) => brought.faults.push(fault),
                Err(_) => brought.faults.push((Kind::Lost, format!("file {number} did not arrive within {WITHIN:?}"))),
            }
            if !brought.faults.is_empty() {
                break;
            }
            let pause = self.dice.pause(PAUSE);
            sleep(pause).await;
        }
        let twice = came.values().filter(|times| **times > 1).count();
        if twice > 0 {
            brought.faults.push((Kind::Doubled, format!("{twice} files were said more than once")));
        }
        self.sender.close().await;
        self.fetcher.close().await;
        brought
    }

    /// Sends a file, waits until the other was shown its message, fetches it, and compares.
    async fn one(
        &mut self,
        number: usize,
        seen: &mut Seq,
        came: &mut HashMap<FileId, usize>,
    ) -> Result<u64, (Kind, String)> {
        let wrong = |what: String| (Kind::Wrong, format!("file {number}: {what}"));
        let size = self.dice.below(SIZE_MAX);
        let bytes: Vec<u8> = (0..size.div_ceil(8)).flat_map(|_| self.dice.next().to_be_bytes()).take(size).collect();
        let (path, to) = (self.folder.join("courier.bin"), self.folder.join("fetched.bin"));
        std::fs::write(&path, &bytes).map_err(|error| wrong(error.to_string()))?;
        let sending = self.sender.send_file(self.conversation, Sending::new(&path)).await;
        let sending = sending.map_err(|error| wrong(error.to_string()))?;
        let file = sending.file();
        sending.finished().await.map_err(|error| wrong(format!("sending failed: {error}")))?;
        let attachment = self.arrived(file, seen, came).await.map_err(wrong)?;
        let fetching = self.fetcher.fetch_file(&attachment, &to);
        fetching.finished().await.map_err(|error| wrong(format!("fetching failed: {error}")))?;
        let fetched = std::fs::read(&to).map_err(|error| wrong(error.to_string()))?;
        std::fs::remove_file(&to).map_err(|error| wrong(error.to_string()))?;
        if fetched == bytes { Ok(bytes.len() as u64) } else { Err(wrong("it came as something else".into())) }
    }

    /// Waits for the message that comes with this file.
    async fn arrived(
        &self,
        file: FileId,
        seen: &mut Seq,
        came: &mut HashMap<FileId, usize>,
    ) -> Result<Attachment, String> {
        loop {
            let page =
                self.fetcher.messages(self.conversation, *seen, PAGE).await.map_err(|error| error.to_string())?;
            let mut found = None;
            for message in page {
                *seen = message.seq;
                if let Some(attachment) = message.attachment() {
                    *came.entry(attachment.file).or_default() += 1;
                    found = found.or_else(|| (attachment.file == file).then(|| attachment.clone()));
                }
            }
            match found {
                Some(attachment) => return Ok(attachment),
                None => sleep(LOOK_EVERY).await,
            }
        }
    }
}
