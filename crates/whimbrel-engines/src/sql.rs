//! A private MariaDB or MySQL server, whichever is installed.
//!
//! Both its users have random passwords, because the server may run as root and others may work on this machine: `root`,
//! who may do everything, and `whimbrel`, who may do everything in databases whose names start with `whimbrel`. They are
//! made by the server's init file at every start, before it takes connections; the last in it is a user without a
//! password and without rights, so that the file has been executed to its end once that user can log in.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, bail};

use crate::instance::{Instance, Parts, Recipe, log_path, log_tail, make_folder};
use crate::leash::Leashed;
use crate::ports::{Port, random_hex};
use crate::speak::mysql;
use crate::{leash, programs};

const PLACES: [&str; 7] = [
    "/usr/sbin",
    "/usr/bin",
    "/usr/libexec",
    "/usr/local/bin",
    "/usr/local/mysql/bin",
    "/opt/homebrew/bin",
    "/opt/homebrew/opt/mariadb/bin",
];
const PROGRAMS: [&str; 2] = ["mariadbd", "mysqld"];
const INSTALLERS: [&str; 2] = ["mariadb-install-db", "mysql_install_db"];
/// MySQL takes 5 s to make its own tables, many times that on a busy machine.
const INSTALL_TIMEOUT: Duration = Duration::from_secs(180);
/// There once the server's own tables are.
const INSTALLED: &str = "installed";
const PROBE_USER: &str = "probe";

/// A private MariaDB or MySQL server.
pub type Sql = Instance<SqlRecipe>;

/// How a private MariaDB or MySQL is started.
#[derive(Debug)]
pub struct SqlRecipe {
    program: PathBuf,
    folder: PathBuf,
    ports: [Port; 1],
    password: String,
    wipe: bool,
}

/// The server program, if it is installed.
pub(crate) fn program() -> Option<PathBuf> {
    programs::locate(&PROGRAMS, &PLACES)
}

impl SqlRecipe {
    fn new(folder: &Path, wipe: bool) -> anyhow::Result<Self> {
        let program = program().context("Neither mariadbd nor mysqld is installed")?;
        let (folder, password) = (make_folder(folder)?, random_hex::<16>()?);
        make_folder(&folder.join("tmp"))?;
        let recipe = Self { program, folder, ports: [Port::reserve()?], password, wipe };
        recipe.write_users()?;
        Ok(recipe)
    }

    /// The init file, which only the owner may read.
    fn write_users(&self) -> anyhow::Result<()> {
        use std::os::unix::fs::PermissionsExt;
        let password = &self.password;
        let users = format!(
            "CREATE USER IF NOT EXISTS 'root'@'127.0.0.1';\n\
             ALTER USER 'root'@'127.0.0.1' IDENTIFIED BY '{password}';\n\
             GRANT ALL ON *.* TO 'root'@'127.0.0.1' WITH GRANT OPTION;\n\
             ALTER USER 'root'@'localhost' IDENTIFIED BY '{password}';\n\
             CREATE USER IF NOT EXISTS 'whimbrel'@'127.0.0.1';\n\
             ALTER USER 'whimbrel'@'127.0.0.1' IDENTIFIED BY '{password}';\n\
             GRANT ALL ON `whimbrel%`.* TO 'whimbrel'@'127.0.0.1';\n\
             CREATE USER IF NOT EXISTS '{PROBE_USER}'@'127.0.0.1';\n"
        );
        let file = self.folder.join("users.sql");
        std::fs::write(&file, "")
            .and_then(|()| std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)))
            .and_then(|()| std::fs::write(&file, users))
            .context("The file of the users")
    }

    fn address(&self) -> String {
        format!("127.0.0.1:{}", self.ports[0].number())
    }

    /// The server's own tables, made once for each folder.
    async fn install(&self) -> anyhow::Result<()> {
        let done = self.folder.join(INSTALLED);
        if done.exists() {
            return Ok(());
        }
        // What an attempt that was broken off left behind would be in the way.
        let _ = std::fs::remove_dir_all(self.folder.join("data"));
        let is_mariadb = programs::output(&self.program, &["--version"])?.contains("MariaDB");
        let mut command = if is_mariadb {
            let installer = programs::locate(&INSTALLERS, &PLACES).context("mariadb-install-db was not found")?;
            let mut command = leash::command(installer);
            command.args(["--no-defaults", "--auth-root-authentication-method=normal", "--skip-test-db"]);
            command.args(["--skip-name-resolve", "--innodb-log-file-size=8M"]);
            command
        } else {
            let mut command = leash::command(&self.program);
            command.args(["--no-defaults", "--initialize-insecure"]);
            command
        };
        // Nobody's data yet, so nothing need be safe before the end.
        command.args(["--innodb-flush-log-at-trx-commit=0", "--innodb-buffer-pool-size=64M"]);
        self.common(&mut command);
        let log = log_path(&self.folder);
        let mut installing = Leashed::spawn(command, &log, self.wipe.then_some(&self.folder))?;
        match installing.wait(INSTALL_TIMEOUT).await? {
            Some(status) if status.success() => std::fs::write(&done, "").context("The mark of an installed database"),
            Some(status) => bail!("The database could not be initialised ({status}):\n{}", log_tail(&log)),
            None => bail!("The database is not initialised after {INSTALL_TIMEOUT:?}:\n{}", log_tail(&log)),
        }
    }

    /// What initialising and running have in common.
    fn common(&self, command: &mut Command) {
        command.current_dir(&self.folder).arg(format!("--datadir={}", self.folder.join("data").display()));
        // A server that starts removes the temporary tables of all others from the folder for them.
        let temporary = self.folder.join("tmp");
        command.env("TMPDIR", &temporary).arg(format!("--tmpdir={}", temporary.display()));
        if rustix::process::geteuid().is_root() {
            command.arg("--user=root");
        }
    }
}

impl Recipe for SqlRecipe {
    const NAME: &'static str = "MariaDB or MySQL";

    /// Root's. It names no database.
    fn url(&self) -> String {
        format!("mysql://root:{}@{}", self.password, self.address())
    }

    fn parts(&self) -> Parts<'_> {
        Parts { folder: &self.folder, ports: &self.ports, wipe: self.wipe }
    }

    fn command(&self) -> anyhow::Result<Command> {
        let mut command = leash::command(&self.program);
        command.arg("--no-defaults");
        self.common(&mut command);
        command
            .arg(format!("--port={}", self.ports[0].number()))
            .arg(format!("--init-file={}", self.folder.join("users.sql").display()))
            .args(["--bind-address=127.0.0.1", "--skip-name-resolve", "--loose-mysqlx=OFF"])
            // Below the data folder: a whole path could be longer than a socket's may be.
            .args(["--socket=server.sock", "--pid-file=server.pid"])
            .args(["--character-set-server=utf8mb4", "--max-connections=500", "--skip-log-bin"])
            .args(["--performance-schema=OFF", "--innodb-buffer-pool-size=128M", "--innodb-flush-log-at-trx-commit=1"])
            // A pool that is as it was takes time at both ends.
            .args(["--innodb-buffer-pool-dump-at-shutdown=OFF", "--innodb-buffer-pool-load-at-startup=OFF"]);
        Ok(command)
    }

    async fn probe(&self) -> anyhow::Result<()> {
        mysql::probe(&self.address(), Some(PROBE_USER)).await.map(drop)
    }
}

impl Instance<SqlRecipe> {
    /// Starts one with its files in `folder`, and waits until a client can log in.
    ///
    /// # Errors
    /// When it is not installed or does not become ready; the end of its log is part of the error.
    pub async fn start(folder: &Path) -> anyhow::Result<Self> {
        Self::install_and_begin(folder, false).await
    }

    /// As [`Sql::start`]; the folder is removed when this process ends.
    pub(crate) async fn start_wiped(folder: &Path) -> anyhow::Result<Self> {
        Self::install_and_begin(folder, true).await
    }

    async fn install_and_begin(folder: &Path, wipe: bool) -> anyhow::Result<Self> {
        SqlRecipe::new(folder, wipe)?.install().await?;
        Self::begin(|| SqlRecipe::new(folder, wipe)).await
    }

    /// Root's address of one database, which need not exist.
    #[must_use]
    pub fn database_url(&self, database: &str) -> String {
        format!("{}/{database}", self.url())
    }

    /// The address of one database, whose name starts with `whimbrel`, for the user `whimbrel`, who may do everything there
    /// and nothing elsewhere. It need not exist.
    #[must_use]
    pub fn user_url(&self, database: &str) -> String {
        format!("mysql://whimbrel:{}@{}/{database}", self.recipe.password, self.recipe.address())
    }
}
