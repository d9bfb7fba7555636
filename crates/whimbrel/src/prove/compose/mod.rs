//! A running Compose project to doubt: its containers are killed, paused and started again, one at a time.
//!
//! | module | owns |
//! |---|---|
//! | `docker` | one command of Docker's |
//! | `container` | what Docker says of the project's containers; pure |
//! | `deed` | what of a plan can be done to a container, and that it is undone whatever happens |
//!
//! Only containers that carry the project's label are looked at and touched, by their ids. All that was done is undone
//! when a run ends, however it ends. The people of a run and what they wrote stay in the project.

mod container;
mod deed;
mod docker;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};

use super::Doors;
use super::cluster::Doubted;
use super::trouble::{FROZEN, Trouble};
use container::Container;
use deed::{Deed, Done};
use docker::docker;

/// What a project has to consist of. The first is where clients and REST come in.
const SERVICES: [&str; 8] = ["haproxy", "connector", "transfer", "archiver", "api", "redis", "rabbitmq", "mysql"];
const FRONT: &str = SERVICES[0];
/// Its ports inside, for clients and for REST.
const CLIENTS: u16 = 7100;
const REST: u16 = 7180;
/// What was started is well after so long, or will not be.
const START_TIMEOUT: Duration = Duration::from_secs(120);
/// How often that is looked at; each look is a process.
const LOOK_EVERY: Duration = Duration::from_millis(250);
/// A container that stopped by itself may be one that is being removed: it gets so long to be gone.
const REMOVAL: Duration = Duration::from_secs(3);
/// So many lists in which a container was removed before it could be looked at are bad luck no more.
const LISTS: usize = 10;
/// Lines of a log that are shown when something went wrong.
const LOG_LINES: &str = "20";
/// Where an API has the administrator's key, as its configuration says.
const READ_KEY: &str = r#"printf %s "${WHIMBREL_ADMIN__KEY:-$(cat "$WHIMBREL_ADMIN__KEY_FILE")}""#;

/// Why a kind of fault is left out, if it is.
pub(super) fn left_out(trouble: Trouble) -> Option<&'static str> {
    deed::deed(trouble).err()
}

/// A project that runs.
pub(super) struct Project {
    name: String,
    doors: Doors,
    /// By id: the name, and when it was last started with this program's knowledge.
    known: BTreeMap<String, (String, String)>,
}

impl Project {
    /// Finds it, and everything that a run needs of it.
    ///
    /// # Errors
    /// When Docker or the project is missing, or some part of it is not well.
    pub(super) async fn open(name: &str) -> anyhow::Result<Self> {
        let containers = list(name).await?;
        if containers.is_empty() {
            bail!(nothing(name, &projects().await?));
        }
        check_whole(name, &containers)?;
        let front = containers.iter().find(|container| container.service == FRONT).context("no front")?;
        let door = |port, what| {
            let missing = || format!("{} publishes no port for {what} ({port} inside)", front.name);
            front.door(port).with_context(missing)
        };
        let (clients, rest) = (door(CLIENTS, "clients")?, door(REST, "REST")?);
        let api = containers.iter().find(|container| container.service == "api").context("no API")?;
        let key = docker(&["exec", &api.id, "sh", "-c", READ_KEY]).await;
        let key = key.with_context(|| format!("{} does not say the administrator's key", api.name))?.out;
        let admin_key = key.lines().next().unwrap_or_default().trim().to_owned();
        if admin_key.is_empty() {
            bail!("{} has no administrator's key; prove makes its people with it", api.name);
        }
        let doors = Doors { clients: clients.to_string(), api: format!("http://{rest}"), admin_key };
        let mut project = Self { name: name.to_owned(), doors, known: BTreeMap::new() };
        project.learn(&containers);
        Ok(project)
    }

    /// Where its clients and its REST are.
    pub(super) fn doors(&self) -> Doors {
        self.doors.clone()
    }

    /// Waits until all that is still in the project is well: nothing is left as a fault made it.
    ///
    /// # Errors
    /// When something is not.
    pub(super) async fn leave(self) -> anyhow::Result<()> {
        let began = Instant::now();
        loop {
            let ill = ill(&list(&self.name).await?);
            match ill.is_empty() {
                true => return Ok(()),
                false if began.elapsed() > START_TIMEOUT => bail!("not well when all was over: {}", ill.join(", ")),
                false => tokio::time::sleep(LOOK_EVERY).await,
            }
        }
    }

    fn learn(&mut self, containers: &[Container]) {
        let known = containers.iter().filter(|container| matters(container));
        self.known = known.map(|one| (one.id.clone(), (one.name.clone(), one.started.clone()))).collect();
    }

    /// Waits until it is well, or removed by somebody else meanwhile.
    async fn wait_well(&mut self, victim: &Container) -> anyhow::Result<()> {
        let began = Instant::now();
        loop {
            let Some(now) = list(&self.name).await?.into_iter().find(|one| one.id == victim.id) else { return Ok(()) };
            if now.is_well() {
                self.known.insert(now.id, (now.name, now.started));
                return Ok(());
            }
            if began.elapsed() > START_TIMEOUT {
                bail!("{} after {START_TIMEOUT:?}:\n{}", now.state(), logs(&now.id).await);
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }
}

impl Doubted for Project {
    async fn cause(&mut self, trouble: Trouble, which: usize, down: Duration) -> anyhow::Result<()> {
        let (service, deed) = deed::deed(trouble).map_err(anyhow::Error::msg)?;
        let containers = list(&self.name).await?;
        let running: Vec<_> = containers.iter().filter(|one| one.service == service && one.runs()).collect();
        if running.is_empty() {
            bail!("no {service} of {} runs", self.name);
        }
        let victim = running[which % running.len()];
        match deed {
            Deed::Flush => {
                let said = docker(&["exec", &victim.id, "redis-cli", "FLUSHALL"]).await?.out;
                if said.trim() != "OK" {
                    bail!("{} answered FLUSHALL with {}", victim.name, said.trim());
                }
            }
            Deed::Kill | Deed::Pause => {
                let done = Done::begin(deed, &victim.id).await.with_context(|| victim.name.clone())?;
                tokio::time::sleep(if deed == Deed::Pause { FROZEN } else { down }).await;
                // Somebody else may have removed it, as when the project is made smaller, or undone it already.
                let undone = done.undo().await;
                let now = list(&self.name).await?.into_iter().find(|one| one.id == victim.id);
                if now.is_some_and(|now| !now.runs()) {
                    undone.with_context(|| victim.name.clone())?;
                }
                if deed == Deed::Kill {
                    self.wait_well(victim).await?;
                }
            }
        }
        Ok(())
    }

    /// Docker starts most of what ends by itself again; that counts all the same.
    async fn revive(&mut self) -> anyhow::Result<Vec<String>> {
        let mut containers = list(&self.name).await?;
        if containers.iter().any(|one| self.known.contains_key(&one.id) && one.status == "exited") {
            tokio::time::sleep(REMOVAL).await;
            containers = list(&self.name).await?;
        }
        let mut ended = Vec::new();
        for one in &containers {
            let Some((name, started)) = self.known.get(&one.id) else { continue };
            if *started != one.started || one.status == "exited" {
                ended.push(format!("{name} ended by itself:\n{}", logs(&one.id).await));
                if one.status == "exited" {
                    docker(&["start", &one.id]).await?;
                }
                self.wait_well(one).await?;
            }
        }
        self.learn(&list(&self.name).await?);
        Ok(ended)
    }
}

/// After an interruption: what does not run, although what was done has been undone.
pub(super) async fn stopped(name: &str) -> anyhow::Result<Vec<String>> {
    let containers = list(name).await?;
    Ok(containers.iter().filter(|one| matters(one) && !one.runs()).map(Container::state).collect())
}

/// Whether it has to run: others, such as what makes secrets, have done their work.
fn matters(container: &Container) -> bool {
    SERVICES.contains(&container.service.as_str())
}

fn ill(containers: &[Container]) -> Vec<String> {
    containers.iter().filter(|container| matters(container) && !container.is_well()).map(Container::state).collect()
}

/// A fault begins from a whole project only: what was not well before it is not its doing.
fn check_whole(project: &str, containers: &[Container]) -> anyhow::Result<()> {
    let has = |service: &&&str| containers.iter().any(|container| container.service == **service);
    let missing: Vec<_> = SERVICES.iter().filter(|service| !has(service)).copied().collect();
    let hint = format!("`docker compose -p {project} up --wait`, in the folder of its compose file, brings it up");
    if !missing.is_empty() {
        bail!("The Compose project {project} has no {}; {hint}", missing.join(", no "));
    }
    let ill = ill(containers);
    if !ill.is_empty() {
        bail!("Not everything in the Compose project {project} is well: {}; {hint}", ill.join(", "));
    }
    Ok(())
}

/// Says that there is no such project, and which ones there are.
fn nothing(name: &str, others: &[String]) -> String {
    let others = match others {
        [] => "Docker runs none".to_owned(),
        others => format!("Docker has {}", others.join(", ")),
    };
    format!(
        "There is no Compose project called {name}: {others}; `docker compose up --build --wait` in Whimbrel's folder starts \
         one, and --compose PROJECT takes another name"
    )
}

/// The project's containers, stopped ones too.
async fn list(project: &str) -> anyhow::Result<Vec<Container>> {
    let label = format!("label={}={project}", container::PROJECT);
    for _ in 0..LISTS {
        let ids = docker(&["ps", "--all", "--quiet", "--no-trunc", "--filter", &label]).await?.out;
        let ids: Vec<_> = ids.lines().collect();
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        match docker(&[&["inspect", "--type", "container"][..], &ids].concat()).await {
            Ok(inspected) => return container::parse(&inspected.out, project),
            // One that was removed in between is not in the next list.
            Err(error) if format!("{error:#}").contains("No such") => {}
            Err(error) => return Err(error),
        }
    }
    bail!("The containers of {project} change all the time")
}

/// Names of all projects that have containers.
async fn projects() -> anyhow::Result<Vec<String>> {
    let format = format!("{{{{.Label \"{}\"}}}}", container::PROJECT);
    let names = docker(&["ps", "--all", "--format", &format]).await?.out;
    Ok(distinct(&names))
}

fn distinct(names: &str) -> Vec<String> {
    let names: std::collections::BTreeSet<_> = names.lines().map(str::trim).filter(|name| !name.is_empty()).collect();
    names.into_iter().map(str::to_owned).collect()
}

/// The end of what a container logged; it is for people, so that it cannot be had is no error.
async fn logs(id: &str) -> String {
    match docker(&["logs", "--tail", LOG_LINES, id]).await {
        Ok(printed) => printed.out + &printed.err,
        Err(error) => format!("(no log: {error:#})"),
    }
}

#[cfg(test)]
mod tests;
