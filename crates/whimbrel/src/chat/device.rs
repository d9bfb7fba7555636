//! The device's file, and whether it is of the server that answers now.
//!
//! Servers come and go at one address: each demo is a new one. A pair of users keeps one conversation for ever, so a
//! file that knows another conversation of the same two, or somebody whom the server does not know, is another
//! server's. It is put aside, never deleted, and the device begins anew.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context;
use whimbrel_client::store::{SqliteStore, Store};
use whimbrel_client::{Credentials, DeviceInfo, Error, RELATIONS_PAGE, Rest};

/// A store, and the credentials to go with it.
pub(super) struct Opened {
    pub(super) store: Arc<dyn Store>,
    /// None while the server cannot be asked, and for a new file.
    pub(super) credentials: Option<Credentials>,
    /// Where another server's file was put.
    pub(super) put_aside: Option<PathBuf>,
}

/// Opens the file; `log_in` is for when its tokens are no longer taken.
pub(super) async fn open<L>(path: &Path, rest: &Rest, log_in: L) -> anyhow::Result<Opened>
where
    L: AsyncFnOnce(DeviceInfo) -> Result<Credentials, Error>,
{
    let store = SqliteStore::open(path).await.with_context(|| format!("cannot open {}", path.display()))?;
    let Some(saved) = store.credentials().await? else { return Ok(fresh(store, None)) };
    let credentials = match taken(rest, &store, &saved).await {
        Ok(credentials) => credentials,
        Err(Error::Api(refusal)) if refusal.status == 401 => {
            let credentials = log_in(DeviceInfo { id: Some(saved.device), ..super::login::terminal() }).await?;
            let yours = (credentials.user, credentials.device) == (saved.user, saved.device);
            if !yours || is_of_another_server(rest, &store, &credentials).await? {
                store.close().await;
                let aside = put_aside(path)?;
                return Ok(fresh(SqliteStore::open(path).await?, Some(aside)));
            }
            credentials
        }
        // Nobody answers, or not now: the device works on with what it has.
        Err(_) => return Ok(fresh(store, None)),
    };
    Ok(Opened { store: Arc::new(store), credentials: Some(credentials), put_aside: None })
}

fn fresh(store: SqliteStore, put_aside: Option<PathBuf>) -> Opened {
    Opened { store: Arc::new(store), credentials: None, put_aside }
}

/// The saved credentials if the server takes them, renewed if need be.
async fn taken(rest: &Rest, store: &SqliteStore, saved: &Credentials) -> Result<Credentials, Error> {
    match rest.me(saved).await {
        Ok(_) => Ok(saved.clone()),
        Err(Error::Api(refusal)) if refusal.status == 401 => {
            let renewed = rest.refresh(saved).await?;
            store.save_credentials(&renewed).await?;
            Ok(renewed)
        }
        Err(error) => Err(error),
    }
}

async fn is_of_another_server(rest: &Rest, store: &SqliteStore, credentials: &Credentials) -> Result<bool, Error> {
    let mut known = store.load().await?.relations;
    known.retain(|relation| relation.conversation.is_some());
    let mut after = None;
    while !known.is_empty() {
        let page = rest.relations(credentials, after, RELATIONS_PAGE).await?;
        for relation in &page {
            let Some(at) = known.iter().position(|known| known.peer.id == relation.peer.id) else { continue };
            if known.swap_remove(at).conversation != relation.conversation {
                return Ok(true);
            }
        }
        after = page.last().map(|relation| relation.peer.id);
        if page.len() < RELATIONS_PAGE {
            break;
        }
    }
    Ok(!known.is_empty())
}

/// Renames the file to the first free `….old-N`.
fn put_aside(path: &Path) -> anyhow::Result<PathBuf> {
    let mut n = 1;
    let aside = loop {
        let aside = path.with_extension(format!("old-{n}.db"));
        if !aside.exists() {
            break aside;
        }
        n += 1;
    };
    std::fs::rename(path, &aside).with_context(|| format!("cannot rename {}", path.display()))?;
    Ok(aside)
}
