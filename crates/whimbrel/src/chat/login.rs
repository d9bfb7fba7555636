//! Who talks, with which password, and where their device keeps things.

use std::io::{IsTerminal, Write};
use std::path::PathBuf;

use anyhow::{Context, bail};
use secrecy::{ExposeSecret, SecretString};
use whimbrel_client::{Client, DeviceInfo, Error, Events, Rest};

use super::{Args, device};

/// Who talks.
pub(super) struct Person {
    pub(super) handle: String,
    password: SecretString,
}

/// Finds the handle and the password: flags, then the environment, then a question.
pub(super) fn ask(args: &Args) -> anyhow::Result<Person> {
    let handle = match &args.handle {
        Some(handle) => handle.clone(),
        None => question("Handle: ")?,
    };
    let handle = handle.trim().trim_start_matches('@').to_lowercase();
    if handle.is_empty() {
        bail!("a handle is needed: --handle NAME");
    }
    let password = match (&args.password_file, std::env::var("WHIMBREL_PASSWORD")) {
        (Some(file), _) => {
            std::fs::read_to_string(file).with_context(|| format!("cannot read the password in {}", file.display()))?
        }
        (None, Ok(password)) => password,
        (None, Err(_)) if std::io::stdin().is_terminal() => {
            rpassword::prompt_password(format!("Password of {handle}: ")).context("cannot read the password")?
        }
        (None, Err(_)) => bail!("a password is needed: --password-file FILE, or WHIMBREL_PASSWORD in the environment"),
    };
    let password = password.trim_end_matches(['\r', '\n']).to_owned().into();
    Ok(Person { handle, password })
}

fn question(text: &str) -> anyhow::Result<String> {
    if !std::io::stdin().is_terminal() {
        bail!("a handle is needed: --handle NAME");
    }
    let mut out = std::io::stderr();
    out.write_all(text.as_bytes()).and_then(|()| out.flush()).context("cannot ask")?;
    let mut line = String::new();
    std::io::stdin().read_line(&mut line).context("cannot read an answer")?;
    Ok(line)
}

/// What this is to the server.
pub(super) fn terminal() -> DeviceInfo {
    DeviceInfo { name: "terminal".to_owned(), ..DeviceInfo::default() }
}

/// Logs in (after registering, if that was asked for) and starts the client.
pub(super) async fn connect(args: &Args, person: &Person) -> anyhow::Result<(Client, Events)> {
    start(args, person).await.map_err(|error| {
        let question = match error.downcast_ref::<Error>() {
            Some(Error::Http(_)) => "; does a server run there?",
            _ => "",
        };
        error.context(format!("cannot log in at {} as {}{question}", args.api, person.handle))
    })
}

async fn start(args: &Args, person: &Person) -> anyhow::Result<(Client, Events)> {
    let root = match &args.root_certificate {
        Some(path) => Some(std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))?),
        None => None,
    };
    let rest = match &root {
        Some(pem) => Rest::with_root_certificate(&args.api, pem)?,
        None => Rest::new(&args.api)?,
    };
    let (handle, password) = (&person.handle, person.password.expose_secret());
    let registered = match args.register {
        true => Some(rest.register(handle, password, &terminal()).await.context("cannot register")?),
        false => None,
    };
    let path = match &args.store {
        Some(store) => store.clone(),
        None => default_store(&args.api, handle)?,
    };
    let log_in = async |device| rest.log_in(handle, password, &device).await;
    let opened = device::open(&path, &rest, log_in).await?;
    if let Some(aside) = &opened.put_aside {
        eprintln!("Another server answers at {} now; what was kept of the former is in {}.", args.api, aside.display());
    }
    let mut builder = Client::builder(&args.api, &args.server).password(handle, password);
    if let Some(credentials) = opened.credentials.or(registered) {
        builder = builder.credentials(credentials);
    }
    if let Some(pem) = root {
        builder = builder.root_certificate(pem);
    }
    Ok(builder.device(terminal()).store(opened.store).connect().await?)
}

/// One file for each server and handle.
fn default_store(api: &str, handle: &str) -> anyhow::Result<PathBuf> {
    let base = std::env::var_os("XDG_DATA_HOME")
        .map(PathBuf::from)
        .or_else(|| std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".local/share")))
        .context("neither HOME nor XDG_DATA_HOME is set: name a file with --store")?;
    let clean = |text: &str| -> String {
        text.chars().map(|c| if c.is_ascii_alphanumeric() || "._-".contains(c) { c } else { '_' }).collect()
    };
    let host = api.split("://").last().unwrap_or(api);
    let folder = base.join("whimbrel").join(clean(host));
    std::fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
    Ok(folder.join(format!("{}.db", clean(handle))))
}
