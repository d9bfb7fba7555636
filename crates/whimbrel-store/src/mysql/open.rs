//! Opening: where the database is, whether it can be used, and what its owner should know.

use std::sync::Arc;
use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};
use sqlx::ConnectOptions;
use sqlx::mysql::{MySqlConnectOptions, MySqlConnection};

use super::error::{OpenError, number};
use super::pool::{self, Pool};
use super::{MySqlStore, migrate, server};
use crate::Keyring;

/// Prepared statements that a connection keeps; more than there are in this program.
const STATEMENTS: usize = 256;

/// `ER_BAD_DB_ERROR`.
const NO_SUCH_DATABASE: u16 = 1049;

/// What somebody has to put right: `ER_DBACCESS_DENIED_ERROR`, `ER_ACCESS_DENIED_ERROR`, `ER_BAD_DB_ERROR`,
/// `ER_HOST_NOT_PRIVILEGED`, `ER_TABLEACCESS_DENIED_ERROR`, `ER_COLUMNACCESS_DENIED_ERROR`, `ER_NO_SUCH_TABLE`,
/// `ER_UNKNOWN_SYSTEM_VARIABLE`, `ER_SPECIFIC_ACCESS_DENIED_ERROR`, `ER_ACCESS_DENIED_NO_PASSWORD_ERROR`,
/// `ER_MUST_CHANGE_PASSWORD`, `ER_ACCOUNT_HAS_BEEN_LOCKED`.
const WRONG: [u16; 12] = [1044, 1045, NO_SUCH_DATABASE, 1130, 1142, 1143, 1146, 1193, 1227, 1698, 1820, 3118];

/// Where the database is, and how it is used.
#[derive(Debug, Clone)]
pub struct MySqlConfig {
    /// `mysql://user:password@host:port/database`.
    pub url: SecretString,
    /// Connections at most, at least 1. Who needs one more waits for it as long as for a connection.
    pub connections: u32,
    /// After so long without a word from us the server ends a session and undoes its transaction: so long may a frozen
    /// process hold up the others. Whole seconds; at least 2, because resting connections speak every second.
    pub wait_timeout: Duration,
    /// So long a connection may take to be made, or to become free.
    pub connect_timeout: Duration,
    /// So long a call may take; longer than `lock_timeout`.
    pub answer_timeout: Duration,
    /// So long a statement waits for rows that another transaction holds; longer than `wait_timeout`, so that a frozen
    /// rival is outlived. Whole seconds.
    pub lock_timeout: Duration,
}

impl MySqlConfig {
    /// This database, used as most deployments want it.
    pub fn new(url: SecretString) -> Self {
        Self {
            url,
            connections: 8,
            wait_timeout: Duration::from_secs(3),
            connect_timeout: Duration::from_secs(3),
            answer_timeout: Duration::from_secs(10),
            lock_timeout: Duration::from_secs(5),
        }
    }
}

/// The URL, read; for connecting and for sentences.
pub(super) struct Target {
    pub(super) options: MySqlConnectOptions,
    /// The database's name.
    pub(super) database: String,
}

impl Target {
    pub(super) fn of(config: &MySqlConfig) -> Result<Self, OpenError> {
        let parsed = config.url.expose_secret().parse::<MySqlConnectOptions>();
        let options =
            parsed.map_err(|error| OpenError::Wrong(format!("the database's URL cannot be read: {error}")))?;
        let database = options.get_database().filter(|name| !name.is_empty()).map(str::to_owned).ok_or_else(|| {
            OpenError::Wrong("the database's URL names no database: mysql://user:password@host:port/database".into())
        })?;
        // What sqlx would set by itself is part of our own settings, in one round trip.
        let options = options
            .pipes_as_concat(false)
            .no_engine_substitution(false)
            .timezone(None)
            .set_names(false)
            .statement_cache_capacity(STATEMENTS)
            .disable_statement_logging();
        Ok(Self { options, database })
    }

    /// What an error at the beginning means, and where it happened; never the password.
    pub(super) fn explain(&self, error: &sqlx::Error) -> OpenError {
        let place = format!("{}:{}", self.options.get_host(), self.options.get_port());
        let (database, user) = (&self.database, self.options.get_username());
        match (error, number(error)) {
            (_, Some(1045 | 1698)) => {
                OpenError::Wrong(format!("the database server at {place} refuses the user {user}: {error}"))
            }
            (_, Some(NO_SUCH_DATABASE)) => OpenError::Wrong(format!(
                "there is no database {database} at {place}: run `whimbrel migrate`, which makes it"
            )),
            (_, Some(number)) if WRONG.contains(&number) => {
                OpenError::Wrong(format!("the database {database} at {place} cannot be used by {user}: {error}"))
            }
            (sqlx::Error::Tls(_) | sqlx::Error::Configuration(_) | sqlx::Error::Protocol(_), _) => {
                OpenError::Wrong(format!("no connection to the database server at {place}: {error}"))
            }
            _ => OpenError::Away(format!("the database {database} at {place} is away: {error}")),
        }
    }

    /// A connection outside any pool; `None` if there is no such database.
    pub(super) async fn connect(&self, config: &MySqlConfig) -> Result<Option<MySqlConnection>, OpenError> {
        match pool::connect(&self.options, &pool::settings(config), config.connect_timeout).await {
            Ok((connection, _)) => Ok(Some(connection)),
            Err(error) if number(&error) == Some(NO_SUCH_DATABASE) => Ok(None),
            Err(error) => Err(self.explain(&error)),
        }
    }
}

impl MySqlStore {
    /// Opens a database that has been migrated: asks the server who it is and how it is set, and the database which
    /// schema it has. One attempt; the caller decides whether an [`OpenError::Away`] is worth another.
    ///
    /// # Errors
    /// [`OpenError::Away`] if it does not answer; [`OpenError::Wrong`] if waiting does not help: a wrong user, password
    /// or database, a server that is too old, a schema that is not this program's.
    pub async fn open(config: MySqlConfig, keyring: Arc<Keyring>) -> Result<Self, OpenError> {
        let target = Target::of(&config)?;
        let pool = Pool::new(target.options.clone(), config);
        let mut session = pool.first_session().await.map_err(|error| target.explain(&error))?;
        let checks = async {
            let server = server::check(&mut session, &target).await?;
            migrate::check(&mut session, &target).await?;
            Ok(server)
        };
        let server = tokio::time::timeout(pool.config().answer_timeout, checks).await.unwrap_or_else(|_| {
            Err(OpenError::Away(format!("the database {} did not answer in time", target.database)))
        })?;
        session.done();
        Ok(Self {
            pool,
            keyring,
            warnings: server.warnings.into(),
            packet_max: server.packet_max,
            texts: Arc::default(),
        })
    }

    /// Settings of the server under which a promise may not hold, each in a sentence; for the log at start.
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// Ends the connections that rest; later calls of any clone find the store unavailable.
    pub async fn close(&self) {
        self.pool.close().await;
    }

    /// The ring that keys are wrapped with.
    pub(super) fn keyring(&self) -> &Keyring {
        &self.keyring
    }
}
