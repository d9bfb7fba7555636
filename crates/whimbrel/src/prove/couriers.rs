//! Files under the faults: of two accounts of their own, one sends files all the time and the other fetches each; every
//! one has to arrive, once, and to be what it was, byte by byte. Now and then the sender is closed in the middle of an
//! upload, and another one on the same store goes on. In the end, when everything has settled, a device that knew nothing
//! fetches all of them once more: what arrived has to be there still.

use std::collections::HashMap;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context;
use sha2::{Digest, Sha256};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use whimbrel_client::{
    Attachment, Client, ConversationId, Events, FileId, FileTransfer, FirstSync, MessageId, Sending, Seq,
};

use super::Doors;
use super::accounts::{Account, Accounts};
use super::clients::Order;
use super::dice::Dice;
use super::verdict::Kind;

/// Longest file, bytes: several pieces. Most are not longer than the second.
const SIZE_MAX: usize = 8 * 1024 * 1024;
const SIZE_USUAL: usize = 512 * 1024;
/// One file in so many may be as long as the longest; of these, one in so many has its sender closed in its middle.
const LONG_ONE_IN: usize = 4;
const CLOSED_ONE_IN: usize = 2;
/// Files that are fetched at once in the end.
const AT_ONCE: usize = 4;
/// Between one file's arrival and the next one's sending, on average.
const PAUSE: Duration = Duration::from_millis(500);
/// No file takes longer, whatever is done to the server meanwhile.
const WITHIN: Duration = Duration::from_secs(180);
/// And in the end none more than this, on average.
const EACH_AGAIN: Duration = Duration::from_millis(500);
/// How often is looked for a message.
const LOOK_EVERY: Duration = Duration::from_millis(50);
/// Their dice have this number.
const DICE: u64 = 900;
/// Messages that are read at once.
const PAGE: usize = 500;

/// Who sends, and who fetches.
pub(super) struct Couriers {
    doors: Doors,
    /// The sender's, the fetcher's, and that of a device of the fetcher's that comes in the end.
    accounts: [Account; 3],
    sender: Client,
    fetcher: Client,
    /// Held, so that both stay.
    events: [Events; 2],
    conversation: ConversationId,
    folder: PathBuf,
    dice: Dice,
}

/// What was brought.
#[derive(Debug, Default)]
pub(super) struct Brought {
    pub(super) files: usize,
    pub(super) bytes: u64,
    /// Senders that were closed in the middle of an upload.
    pub(super) closed: usize,
    pub(super) faults: Vec<(Kind, String)>,
    /// The hashes of what arrived.
    sent: HashMap<FileId, [u8; 32]>,
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

/// Fetches a file; what is wrong with it.
async fn compared(client: Client, attachment: Attachment, hash: [u8; 32], to: PathBuf) -> Option<(Kind, String)> {
    let fetched = client.fetch_file(&attachment, &to).finished().await.map_err(anyhow::Error::from);
    let bytes = fetched.and_then(|path| Ok(std::fs::read(path)?));
    drop(std::fs::remove_file(&to));
    match bytes {
        Ok(bytes) if <[u8; 32]>::from(Sha256::digest(&bytes)) == hash => None,
        Ok(_) => Some((Kind::Wrong, format!("file {} has become something else", attachment.file))),
        Err(error) => Some((Kind::Lost, format!("file {} is gone: {error:#}", attachment.file))),
    }
}

impl Couriers {
    /// Two new friends, each with a device.
    pub(super) async fn open(doors: &Doors, seed: u64, folder: &std::path::Path) -> anyhow::Result<Self> {
        let admin = Accounts::new(&doors.api, &doors.admin_key)?;
        let users = admin.users(2).await?;
        let whose = [users[0], users[1], users[1]];
        let accounts = admin.devices(&whose, Duration::from_secs(24 * 3600)).await?;
        let accounts: [Account; 3] = accounts.try_into().ok().context("a device each")?;
        let conversation = admin.befriend(&[(users[0], users[1])]).await?;
        let (sender, one) = device(doors, &accounts[0], Some(folder.join("courier.db"))).await?;
        let (fetcher, two) = device(doors, &accounts[1], None).await?;
        let conversation = *conversation.first().context("their conversation")?;
        let (doors, folder, dice) = (doors.clone(), folder.to_owned(), Dice::new(seed, DICE));
        Ok(Self { doors, accounts, sender, fetcher, events: [one, two], conversation, folder, dice })
    }

    /// Brings one file after the other as long as there is load; then looks whether each was said once.
    pub(super) async fn run(mut self, order: watch::Receiver<Order>) -> (Self, Brought) {
        let mut brought = Brought::default();
        let mut came: HashMap<FileId, usize> = HashMap::new();
        let mut seen = Seq::ZERO;
        while *order.borrow() == Order::Load {
            let number = brought.files + 1;
            let one = timeout(WITHIN, self.one(number, &mut seen, &mut came, &mut brought)).await;
            match one {
                Ok(Ok(())) => brought.files += 1,
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
        (self, brought)
    }

    /// Fetches everything that arrived once more, on a device that knew nothing; notes what is not there any more, and what
    /// has become something else.
    pub(super) async fn again(self, brought: &mut Brought) -> anyhow::Result<()> {
        self.sender.close().await;
        self.fetcher.close().await;
        let (fresh, _events) = device(&self.doors, &self.accounts[2], None).await?;
        let mut left = brought.sent.clone();
        let within = WITHIN.max(EACH_AGAIN * u32::try_from(left.len()).unwrap_or(u32::MAX));
        let all = async {
            let (mut seen, mut fetching) = (Seq::ZERO, JoinSet::new());
            while !left.is_empty() {
                let page = fresh.messages(self.conversation, seen, PAGE).await?;
                seen = page.last().map_or(seen, |last| last.seq);
                if page.is_empty() {
                    sleep(LOOK_EVERY).await;
                }
                for attachment in page.iter().filter_map(|message| message.attachment()) {
                    let Some(hash) = left.remove(&attachment.file) else { continue };
                    let to = self.folder.join(format!("again-{}.bin", attachment.file));
                    fetching.spawn(compared(fresh.clone(), attachment.clone(), hash, to));
                    if fetching.len() >= AT_ONCE {
                        brought.faults.extend(fetching.join_next().await.transpose()?.flatten());
                    }
                }
            }
            brought.faults.extend(fetching.join_all().await.into_iter().flatten());
            anyhow::Ok(())
        };
        match timeout(within, all).await {
            Ok(done) => done?,
            Err(_) => {
                let what = format!("not all files came a second time within {within:?}; {} were not found", left.len());
                brought.faults.push((Kind::Lost, what));
            }
        }
        fresh.close().await;
        Ok(())
    }

    /// Sends a file, waits until the other was shown its message, fetches it, and compares.
    async fn one(
        &mut self,
        number: usize,
        seen: &mut Seq,
        came: &mut HashMap<FileId, usize>,
        brought: &mut Brought,
    ) -> Result<(), (Kind, String)> {
        let wrong = |what: String| (Kind::Wrong, format!("file {number}: {what}"));
        let is_long = self.dice.below(LONG_ONE_IN) == 0;
        let is_closed = is_long && self.dice.below(CLOSED_ONE_IN) == 0;
        let size = self.dice.below(if is_long { SIZE_MAX } else { SIZE_USUAL });
        let bytes: Vec<u8> = (0..size.div_ceil(8)).flat_map(|_| self.dice.next().to_be_bytes()).take(size).collect();
        let (path, to) = (self.folder.join("courier.bin"), self.folder.join("fetched.bin"));
        std::fs::write(&path, &bytes).map_err(|error| wrong(error.to_string()))?;
        let sending = self.sender.send_file(self.conversation, Sending::new(&path)).await;
        let sending = sending.map_err(|error| wrong(error.to_string()))?;
        let file = sending.file();
        let sending =
            if is_closed { self.closed_in_the_middle(sending, brought).await.map_err(wrong)? } else { Some(sending) };
        if let Some(sending) = sending {
            sending.finished().await.map_err(|error| wrong(format!("sending failed: {error}")))?;
        }
        let attachment = self.arrived(file, seen, came).await.map_err(wrong)?;
        let fetching = self.fetcher.fetch_file(&attachment, &to);
        fetching.finished().await.map_err(|error| wrong(format!("fetching failed: {error}")))?;
        let fetched = std::fs::read(&to).map_err(|error| wrong(error.to_string()))?;
        std::fs::remove_file(&to).map_err(|error| wrong(error.to_string()))?;
        if fetched != bytes {
            return Err(wrong("it came as something else".into()));
        }
        brought.bytes += bytes.len() as u64;
        brought.sent.insert(file, Sha256::digest(&bytes).into());
        Ok(())
    }

    /// Closes the sender once something of a file has gone; another one on its store goes on. `None`: it was said already.
    async fn closed_in_the_middle(
        &mut self,
        mut sending: FileTransfer<MessageId>,
        brought: &mut Brought,
    ) -> Result<Option<FileTransfer<MessageId>>, String> {
        while sending.progress().done == 0 && sending.changed().await.is_some() {}
        self.sender.close().await;
        drop(sending);
        brought.closed += 1;
        let store = Some(self.folder.join("courier.db"));
        let again = device(&self.doors, &self.accounts[0], store).await.map_err(|error| format!("{error:#}"))?;
        (self.sender, self.events[0]) = again;
        let mut going = self.sender.resume_files().await.map_err(|error| error.to_string())?;
        Ok(going.pop())
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
