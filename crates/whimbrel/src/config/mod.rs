//! The configuration: defaults, then a TOML file, then the environment, then flags; later ones win.
//!
//! All of it is read and checked before a port is bound. What is wrong is a sentence that names the key, where its
//! value was found, the value, and what is allowed. There are no unknown keys: a slip is an error and not a silence.

pub(crate) mod check;
pub(crate) mod cluster;
mod env;
mod file;
pub(crate) mod files;
pub(crate) mod flags;
pub(crate) mod kind;
pub(crate) mod print;
mod reader;
pub(crate) mod sections;
mod suggest;
mod units;
mod value;

use std::fmt;
use std::path::{Path, PathBuf};

use reader::{Entry, Reader};
use sections::{Admin, Data, Listen, Log, MasterKeySource, Process, Tls};
use value::{Given, Origin};

/// The manual: every key with its default, explained.
pub(crate) const DEFAULT_FILE: &str = include_str!("../../../../deploy/whimbrel.toml");

/// The file that is read when no other is named, if it is there.
const USUAL_FILE: &str = "whimbrel.toml";

/// Everything a server is told.
#[derive(Debug, Clone)]
pub(crate) struct Config {
    pub(crate) data: Data,
    pub(crate) clients: Listen,
    pub(crate) connector: whimbrel_connector::Config,
    pub(crate) http: Listen,
    pub(crate) api: whimbrel_api::Config,
    pub(crate) tls: Tls,
    pub(crate) admin: Admin,
    pub(crate) master_key: MasterKeySource,
    pub(crate) transfer: whimbrel_transfer::Config,
    pub(crate) archiver: whimbrel_archiver::Config,
    pub(crate) files: files::Shelf,
    pub(crate) database: whimbrel_store::sqlite::SqliteConfig,
    pub(crate) cluster: cluster::Cluster,
    pub(crate) places: cluster::Places,
    pub(crate) engines: cluster::Engines,
    pub(crate) log: Log,
    pub(crate) process: Process,
}

/// A configuration with where it comes from.
#[derive(Debug)]
pub(crate) struct Loaded {
    /// What counts.
    pub(crate) config: Config,
    /// Every key, in the order of the manual.
    pub(crate) entries: Vec<Entry>,
    /// The file that was read, if any.
    pub(crate) file: Option<PathBuf>,
}

impl Loaded {
    /// Whether somebody set this key.
    pub(crate) fn is_set(&self, key: &str) -> bool {
        self.entries.iter().any(|entry| entry.key == key && entry.origin != Origin::Default)
    }
}

/// What is wrong with a configuration: sentences, at least one.
#[derive(Debug)]
pub(crate) struct Wrong(pub(crate) Vec<String>);

impl fmt::Display for Wrong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join("\n"))
    }
}

impl std::error::Error for Wrong {}

impl Config {
    /// The defaults, with ports that the system chooses and this data folder: for servers that are started from inside.
    pub(crate) fn private(folder: &Path) -> Self {
        let mut config = Self::read(&mut Reader::new([]));
        config.data.folder = folder.to_owned();
        config.clients.address.set_port(0);
        config.http.address.set_port(0);
        config
    }

    /// In the order of the manual.
    fn read(r: &mut Reader) -> Self {
        let data = Data::read(r);
        let (clients, mut connector) = sections::clients(r);
        let mut api = whimbrel_api::Config::default();
        let http = sections::http(r, &mut api);
        let tls = Tls::read(r);
        sections::auth(r, &mut api);
        let admin = Admin::read(r);
        let master_key = MasterKeySource::read(r);
        let mut archiver = whimbrel_archiver::Config::default();
        let transfer = sections::messages(r, &mut connector, &mut archiver);
        sections::retention(r, &transfer, &mut archiver.retention);
        api.bodies_readable = transfer.bodies_readable;
        let files = files::Shelf::read(r, &mut api, transfer.bodies_readable);
        let database = sections::database(r);
        let cluster = cluster::Cluster::read(r);
        let places = cluster::Places::read(r);
        let engines = cluster::Engines::read(r);
        let log = Log::read(r);
        let process = Process::read(r);
        Self {
            data,
            clients,
            connector,
            http,
            api,
            tls,
            admin,
            master_key,
            transfer,
            archiver,
            files,
            database,
            cluster,
            places,
            engines,
            log,
            process,
        }
    }
}

/// Reads every layer of this process.
pub(crate) fn load(flags: &flags::ConfigFlags) -> Result<Loaded, Wrong> {
    let variables: Vec<_> = std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.to_string_lossy().into_owned())))
        .collect();
    let file = flags.config.clone().or_else(named_by_environment).or_else(usual_file);
    let from_file = match &file {
        Some(path) => file::read(path).map_err(|sentence| Wrong(vec![sentence]))?,
        None => Vec::new(),
    };
    let from_flags = flags.given().map_err(|sentence| Wrong(vec![sentence]))?;
    let (config, entries) = layered(from_file, &variables, from_flags)?;
    Ok(Loaded { config, entries, file })
}

fn named_by_environment() -> Option<PathBuf> {
    std::env::var_os("WHIMBREL_CONFIG").filter(|file| !file.is_empty()).map(PathBuf::from)
}

fn usual_file() -> Option<PathBuf> {
    let file = Path::new(USUAL_FILE);
    file.exists().then(|| file.to_owned())
}

type Layer = Vec<(String, Given)>;

fn layered(file: Layer, variables: &[(String, String)], flags: Layer) -> Result<(Config, Vec<Entry>), Wrong> {
    let mut reader = Reader::new([file, env::read(variables), flags]);
    let config = Config::read(&mut reader);
    check::check(&config, &mut reader);
    let (entries, mut problems) = reader.finish();
    problems.extend(env::slips(variables, entries.iter().map(|entry| entry.key)));
    if problems.is_empty() { Ok((config, entries)) } else { Err(Wrong(problems)) }
}

#[cfg(test)]
mod tests;
