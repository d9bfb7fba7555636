//! Files on their way by the SDK's REST calls.

use anyhow::{Context, ensure};
use tokio::task::JoinSet;
use whimbrel_client::{Credentials, FileForm, Rest};
use whimbrel_core::FileId;

use super::content::Content;
use crate::prove::accounts::Account;

/// People who send and fetch.
#[derive(Clone)]
pub(super) struct Load {
    rest: Rest,
    people: Vec<Credentials>,
}

/// What the figures of up and down are called: speed and cost of each.
pub(super) fn names(encrypted: bool, together: bool) -> [&'static str; 4] {
    match (encrypted, together) {
        (false, false) => [
            "readable_upload_mb_per_s",
            "readable_upload_cpu_s_per_gb",
            "readable_download_mb_per_s",
            "readable_download_cpu_s_per_gb",
        ],
        (false, true) => [
            "readable_uploads_together_mb_per_s",
            "readable_uploads_together_cpu_s_per_gb",
            "readable_downloads_together_mb_per_s",
            "readable_downloads_together_cpu_s_per_gb",
        ],
        (true, false) => [
            "sealed_upload_mb_per_s",
            "sealed_upload_cpu_s_per_gb",
            "sealed_download_mb_per_s",
            "sealed_download_cpu_s_per_gb",
        ],
        (true, true) => [
            "sealed_uploads_together_mb_per_s",
            "sealed_uploads_together_cpu_s_per_gb",
            "sealed_downloads_together_mb_per_s",
            "sealed_downloads_together_cpu_s_per_gb",
        ],
    }
}

impl Load {
    pub(super) fn new(api: &str, accounts: &[Account]) -> anyhow::Result<Self> {
        Ok(Self { rest: Rest::new(api)?, people: accounts.iter().map(Account::credentials).collect() })
    }

    /// Whose the file with this number is.
    fn owner(&self, number: usize) -> &Credentials {
        &self.people[number % self.people.len()]
    }

    /// Sends these, `together` at a time; their ids.
    pub(super) async fn up(
        &self,
        contents: &[Content],
        encrypted: bool,
        together: usize,
    ) -> anyhow::Result<Vec<FileId>> {
        let ids: Vec<FileId> = contents.iter().map(|_| FileId::generate()).collect();
        let all: Vec<_> = contents.iter().cloned().zip(ids.iter().copied()).enumerate().collect();
        self.each(all, together, move |load, (number, (content, id))| async move {
            load.announce(number, id, &content, encrypted).await?;
            load.send(number, id, &content).await
        })
        .await?;
        Ok(ids)
    }

    /// Takes room for a file.
    pub(super) async fn announce(
        &self,
        number: usize,
        id: FileId,
        content: &Content,
        encrypted: bool,
    ) -> anyhow::Result<()> {
        let form = FileForm {
            id: id.to_string(),
            name: String::new(),
            content_type: "application/octet-stream".to_owned(),
            size: content.size() as u64,
            sha256: content.sha256.clone(),
            encrypted,
            keeps_metadata: false,
        };
        self.rest.announce_file(self.owner(number), &form).await.context("A file cannot be announced")?;
        Ok(())
    }

    /// Sends what was announced, and has it checked.
    pub(super) async fn send(&self, number: usize, id: FileId, content: &Content) -> anyhow::Result<()> {
        let owner = self.owner(number);
        for range in content.pieces() {
            let sent = self.rest.upload_piece(owner, id, range.start as u64, content.piece(range)).await;
            sent.context("A piece was not taken")?;
        }
        let whole = self.rest.complete_file(owner, id).await.context("A file was not kept")?;
        ensure!(whole.is_whole(), "A file that was completed is {}", whole.state);
        Ok(())
    }

    /// Fetches these, `together` at a time, and compares each byte.
    pub(super) async fn down(&self, contents: &[Content], ids: &[FileId], together: usize) -> anyhow::Result<()> {
        let all: Vec<_> = contents.iter().cloned().zip(ids.iter().copied()).enumerate().collect();
        self.each(all, together, |load, (number, (content, id))| async move {
            for range in content.pieces() {
                let (offset, length) = (range.start as u64, range.len() as u64);
                let bytes = load.rest.download_range(load.owner(number), id, offset, length).await;
                let bytes = bytes.context("A part of a file did not come")?;
                ensure!(content.is(range, &bytes), "What came of a file is not what was sent");
            }
            Ok(())
        })
        .await
    }

    /// Gives these up, so that they are collected.
    pub(super) async fn give_up(&self, ids: &[FileId]) -> anyhow::Result<()> {
        for (number, id) in ids.iter().enumerate() {
            self.rest.discard_file(self.owner(number), *id).await.context("A file cannot be given up")?;
        }
        Ok(())
    }

    /// Does it with each of these, `together` at a time.
    async fn each<T, F>(
        &self,
        all: Vec<T>,
        together: usize,
        work: impl Fn(Self, T) -> F + Clone + Send + 'static,
    ) -> anyhow::Result<()>
    where
        T: Send + 'static,
        F: Future<Output = anyhow::Result<()>> + Send,
    {
        let mut waiting = all.into_iter();
        let mut going = JoinSet::new();
        loop {
            while going.len() < together
                && let Some(next) = waiting.next()
            {
                let (work, load) = (work.clone(), self.clone());
                going.spawn(async move { work(load, next).await });
            }
            match going.join_next().await {
                Some(done) => done??,
                None => return Ok(()),
            }
        }
    }
}
