//! Files: several on their way beside each other, each telling how far it is; what was on its way when the program ended
//! last goes on by itself.

use std::path::{Path, PathBuf};

use tokio::sync::{mpsc, watch};
use whimbrel_client::{Attachment, Client, FileTransfer, Progress, Sending, Stage};

use super::perform::sentence;
use crate::chat::app::{Effect, Happened, Notice, Sheet};
use crate::chat::command::FileAct;
use crate::chat::view::said::size;

/// Files on their way at a time.
const MOVING_MAX: usize = 8;
/// Told between two looks of the screen.
const TOLD_MAX: usize = 64;
/// What is said when nothing is on its way.
pub(super) const NONE: &str = "no file is on its way";
/// Before a path: a picture keeps what the camera wrote into it.
pub(super) const AS_IT_IS: &str = "--as-it-is";
/// Columns and rows of pixels of a picture that is shown.
const PICTURE: (u32, u32) = (64, 36);

/// Files on their way.
pub(super) struct Moving {
    client: Client,
    tell: mpsc::Sender<Happened>,
    told: mpsc::Receiver<Happened>,
    asked: watch::Sender<Asked>,
}

/// What was asked of all that are on their way.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Asked {
    /// How often they were given up.
    cancelled: u64,
    paused: bool,
}

/// What one transfer hears of it: everything since it was begun, also while its file is still being looked at.
#[derive(Debug, Clone)]
pub(super) struct Reins {
    asked: watch::Receiver<Asked>,
    /// What was given up before.
    before: u64,
}

impl Reins {
    fn of(asked: &watch::Sender<Asked>) -> Self {
        let asked = asked.subscribe();
        let before = asked.borrow().cancelled;
        Self { asked, before }
    }

    /// Of somebody who never asks for anything.
    pub(super) fn loose() -> Self {
        Self::of(&watch::Sender::new(Asked::default()))
    }
}

impl Moving {
    pub(super) fn new(client: &Client) -> Self {
        let (tell, told) = mpsc::channel(TOLD_MAX);
        let moving = Self { client: client.clone(), tell, told, asked: watch::Sender::new(Asked::default()) };
        moving.go_on();
        moving
    }

    /// What an earlier run of the program left.
    fn go_on(&self) {
        let (client, tell, asked) = (self.client.clone(), self.tell.clone(), Reins::of(&self.asked));
        tokio::spawn(async move {
            for transfer in client.resume_files().await.unwrap_or_default() {
                let (tell, asked) = (tell.clone(), asked.clone());
                tokio::spawn(async move {
                    let say = |notice| drop(tell.try_send(notice));
                    let notice = match follow(transfer, "a file of before", &say, asked).await {
                        Ok(_) => Notice::Good("sent a file of before".to_owned()),
                        Err(error) => Notice::Bad(format!("a file of before was not sent: {}", sentence(&error))),
                    };
                    drop(tell.send(Happened::Notice(notice)).await);
                });
            }
        });
    }

    pub(super) fn push(&self, effect: Effect) {
        if self.asked.receiver_count() >= MOVING_MAX {
            let notice = Notice::Bad("enough files are on their way; wait for one, or /cancel".to_owned());
            return drop(self.tell.try_send(Happened::Notice(notice)));
        }
        let (client, tell, asked) = (self.client.clone(), self.tell.clone(), Reins::of(&self.asked));
        tokio::spawn(async move {
            let notice = carry(&client, effect, &|notice| drop(tell.try_send(notice)), asked).await;
            drop(tell.send(Happened::Notice(notice)).await);
        });
    }

    /// Holds all of them, lets them go on, or gives them up. Those that come later go by themselves.
    pub(super) fn act(&self, act: FileAct) {
        if self.asked.receiver_count() == 0 {
            return drop(self.tell.try_send(Happened::Notice(Notice::Bad(NONE.to_owned()))));
        }
        if act == FileAct::Pause {
            // One that is still being looked at says so itself later on.
            let notice = Notice::Good("the files on their way are held; /resume lets them go on".to_owned());
            drop(self.tell.try_send(Happened::Notice(notice)));
        }
        self.asked.send_modify(|asked| match act {
            FileAct::Pause => asked.paused = true,
            FileAct::Resume => asked.paused = false,
            FileAct::Cancel => asked.cancelled += 1,
        });
    }

    pub(super) async fn next(&mut self) -> Happened {
        // One's own end of it stays open.
        match self.told.recv().await {
            Some(happened) => happened,
            None => std::future::pending().await,
        }
    }
}

/// Moves a file, telling how far it is; what became of it.
pub(super) async fn carry(
    client: &Client,
    effect: Effect,
    tell: &(dyn Fn(Happened) + Send + Sync),
    asked: Reins,
) -> Notice {
    let done = match effect {
        Effect::SendFile(conversation, words) => {
            let (keeps_metadata, words) = as_it_is(&words);
            let (path, caption) = path_and_caption(words);
            let name = path.display().to_string();
            // Sealing a large file takes a while.
            tell(Happened::Notice(Notice::Good(format!("{name}: looking at it"))));
            let sent = async {
                let what = Sending { caption, keeps_metadata, ..Sending::new(&path) };
                let transfer = client.send_file(conversation, what).await?;
                follow(transfer, &name, tell, asked).await?;
                Ok(format!("sent {name}"))
            };
            sent.await.map_err(|error: anyhow::Error| format!("{name} was not sent: {}", sentence(&error)))
        }
        Effect::SaveFile(file, folder) => {
            let to = free(&home(&folder), &file.name);
            let name = to.display().to_string();
            let saved = async {
                follow(client.fetch_file(&file, &to), &name, tell, asked).await?;
                Ok(format!("saved {name}, {}", size(file.size)))
            };
            saved.await.map_err(|error: anyhow::Error| format!("{name} was not saved: {}", sentence(&error)))
        }
        _ => Err("that is no file".to_owned()),
    };
    done.map_or_else(Notice::Bad, Notice::Good)
}

/// Waits for a transfer's end; holds it, lets it go on or cancels it when that is asked for.
async fn follow<T: Send + 'static>(
    mut transfer: FileTransfer<T>,
    name: &str,
    tell: &(dyn Fn(Happened) + Send + Sync),
    Reins { mut asked, before }: Reins,
) -> anyhow::Result<T> {
    let (mut is_asked, mut last) = (true, String::new());
    loop {
        tokio::select! {
            changed = asked.changed(), if is_asked => {
                is_asked = changed.is_ok();
                let Asked { cancelled, paused } = *asked.borrow_and_update();
                match paused {
                    _ if cancelled > before => transfer.cancel(),
                    // Nobody is left who could let it go on: then it does.
                    true if is_asked => transfer.pause(),
                    _ => transfer.resume(),
                }
            }
            progress = transfer.changed() => {
                let Some(progress) = progress else { break };
                let now = line(name, progress);
                if now != last {
                    tell(Happened::Notice(Notice::Good(now.clone())));
                    last = now;
                }
            }
        }
    }
    Ok(transfer.finished().await?)
}

/// `sea.png: 40 %`, in steps of ten.
fn line(name: &str, progress: Progress) -> String {
    let tenths = (progress.done * 10).checked_div(progress.total).unwrap_or(0);
    match progress.stage {
        Stage::Preparing => format!("{name}: looking at it"),
        Stage::Waiting => format!("{name}: waiting for the server"),
        Stage::Paused => format!("{name}: {} %, paused; /resume lets it go on", tenths * 10),
        Stage::Checking | Stage::Over => format!("{name}: checking"),
        Stage::Moving => format!("{name}: {} %", tenths * 10),
    }
}

/// Whether a picture is to keep what the camera wrote into it, and what is said besides.
fn as_it_is(words: &str) -> (bool, &str) {
    match words.strip_prefix(AS_IT_IS).and_then(|rest| rest.strip_prefix(' ')) {
        Some(rest) => (true, rest.trim_start()),
        None => (false, words),
    }
}

/// All of it is a path if there is such a file; else its first word is.
fn path_and_caption(words: &str) -> (PathBuf, String) {
    let whole = home(words);
    if whole.exists() {
        return (whole, String::new());
    }
    let (path, caption) = words.split_once(' ').unwrap_or((words, ""));
    (home(path), caption.trim().to_owned())
}

/// A path as people write it.
fn home(path: &str) -> PathBuf {
    let own = std::env::var_os("HOME").filter(|home| !home.is_empty());
    match (path.strip_prefix("~/"), own) {
        (Some(rest), Some(home)) => Path::new(&home).join(rest),
        _ => path.into(),
    }
}

/// Where a file of this name can be in a folder without being in another one's place. The name is somebody else's words:
/// nothing of it leads elsewhere.
fn free(folder: &Path, name: &str) -> PathBuf {
    let last = name.rsplit(['/', '\\']).next().unwrap_or_default();
    let plain: String = last.chars().filter(|c| !c.is_control()).take(100).collect();
    let plain = if plain.trim_matches(['.', ' ']).is_empty() { "file".to_owned() } else { plain };
    let (stem, extension) = match plain.rsplit_once('.') {
        Some((stem, extension)) if !stem.is_empty() => (stem.to_owned(), format!(".{extension}")),
        _ => (plain.clone(), String::new()),
    };
    let numbered = (2..1000).map(|number| format!("{stem} ({number}){extension}"));
    let names = std::iter::once(plain.clone()).chain(numbered);
    let mut free = names.map(|name| folder.join(name)).filter(|path| !path.exists());
    free.next().unwrap_or_else(|| folder.join(plain))
}

/// A picture as blocks, and what is known of the file.
pub(super) fn show(file: &Attachment) -> Happened {
    let Some(picture) = file.thumbnail.pixels(PICTURE.0, PICTURE.1) else {
        return Happened::Notice(Notice::Bad("there is nothing to look at".to_owned()));
    };
    let rows = picture.chunks(2).map(|rows| {
        let below = rows.get(1).unwrap_or(&rows[0]);
        rows[0].iter().zip(below).map(|(up, down)| [*up, *down]).collect()
    });
    let lines = vec![format!("{}, {}", file.content_type, size(file.size)), file.caption.clone()];
    Happened::Sheet(Sheet { title: file.name.clone(), lines, picture: rows.collect() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_of_somebody_elses_leads_nowhere_else_and_replaces_nothing() {
        let folder = tempfile::tempdir().expect("a folder");
        let at = |name: &str| free(folder.path(), name).strip_prefix(folder.path()).expect("in it").to_owned();
        for (name, expected) in [
            ("sea.png", "sea.png"),
            ("../../.bashrc", ".bashrc"),
            ("C:\\x\\boot.ini", "boot.ini"),
            ("..", "file"),
            ("", "file"),
            ("a\n\u{1b}[31m.txt", "a[31m.txt"),
        ] {
            assert_eq!(at(name), Path::new(expected), "{name:?}");
        }
        std::fs::write(folder.path().join("sea.png"), b"").expect("written");
        assert_eq!(at("sea.png"), Path::new("sea (2).png"));
    }

    #[test]
    fn a_path_may_have_spaces_if_it_is_one() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("the sea.png");
        std::fs::write(&path, b"").expect("written");
        let words = path.display().to_string();
        assert_eq!(path_and_caption(&words), (path, String::new()));
        assert_eq!(path_and_caption("/nowhere/sea.png The sea"), ("/nowhere/sea.png".into(), "The sea".into()));
    }

    #[test]
    fn a_picture_keeps_what_the_camera_wrote_only_if_that_is_said() {
        assert_eq!(as_it_is("--as-it-is sea.heic The sea"), (true, "sea.heic The sea"));
        assert_eq!(as_it_is("sea.heic --as-it-is"), (false, "sea.heic --as-it-is"));
        assert_eq!(as_it_is("--as-it-is.png"), (false, "--as-it-is.png"));
        let hint = sentence(&whimbrel_client::Error::MetadataStays.into());
        assert!(hint.ends_with("/send --as-it-is sends it with that"), "{hint}");
    }
}
