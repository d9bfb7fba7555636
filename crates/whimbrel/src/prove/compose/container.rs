//! What `docker inspect` says of a project's containers. Pure.
//!
//! It is asked rather than `docker compose ps`: it needs no compose file in the working folder, mixes up no project that
//! has one there, and its JSON is the same in all versions.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use anyhow::Context;
use serde_json::Value;

/// The label with a project's name.
pub(super) const PROJECT: &str = "com.docker.compose.project";
const SERVICE: &str = "com.docker.compose.service";
const NUMBER: &str = "com.docker.compose.container-number";
/// "True" for what `docker compose run` started: no replica of a service.
const ONE_OFF: &str = "com.docker.compose.oneoff";

/// A container of a project.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Container {
    pub(super) id: String,
    /// For people.
    pub(super) name: String,
    pub(super) service: String,
    number: u64,
    /// `running`, `paused`, `exited`, …
    pub(super) status: String,
    /// `healthy`, `unhealthy`, `starting`; nothing if it has no health check.
    pub(super) health: Option<String>,
    /// Another one after each start.
    pub(super) started: String,
    /// Ports inside and where they are reached.
    doors: Vec<(u16, SocketAddr)>,
}

impl Container {
    /// Whether its processes run.
    pub(super) fn runs(&self) -> bool {
        self.status == "running"
    }

    /// Whether it runs, and its health check, if it has one, says so too.
    pub(super) fn is_well(&self) -> bool {
        self.runs() && self.health.as_ref().is_none_or(|health| health == "healthy")
    }

    /// Its name, and what is the matter.
    pub(super) fn state(&self) -> String {
        match &self.health {
            Some(health) if self.runs() => format!("{} ({health})", self.name),
            _ => format!("{} ({})", self.name, self.status),
        }
    }

    /// Where a port of it is reached from this machine.
    pub(super) fn door(&self, port: u16) -> Option<SocketAddr> {
        self.doors.iter().find(|(inside, _)| *inside == port).map(|(_, outside)| *outside)
    }
}

/// The containers of this project and of no other one, in the order of their services and numbers.
pub(super) fn parse(inspected: &str, project: &str) -> anyhow::Result<Vec<Container>> {
    let all: Vec<Value> = serde_json::from_str(inspected).context("docker inspect printed what is no list of JSON")?;
    let mut containers = Vec::new();
    for one in &all {
        let label = |name: &str| one["Config"]["Labels"][name].as_str();
        if label(PROJECT) == Some(project) && label(ONE_OFF) != Some("True") {
            containers.push(container(one, label(SERVICE), label(NUMBER)).context("docker inspect lacks something")?);
        }
    }
    containers.sort_by(|a, b| (&a.service, a.number, &a.name).cmp(&(&b.service, b.number, &b.name)));
    Ok(containers)
}

fn container(one: &Value, service: Option<&str>, number: Option<&str>) -> anyhow::Result<Container> {
    let text = |value: &Value, what: &'static str| value.as_str().map(str::to_owned).context(what);
    let state = &one["State"];
    Ok(Container {
        id: text(&one["Id"], "Id")?,
        name: text(&one["Name"], "Name")?.trim_start_matches('/').to_owned(),
        service: service.context(SERVICE)?.to_owned(),
        number: number.and_then(|number| number.parse().ok()).unwrap_or_default(),
        status: text(&state["Status"], "State.Status")?,
        health: state["Health"]["Status"].as_str().map(str::to_owned),
        started: text(&state["StartedAt"], "State.StartedAt")?,
        doors: doors(&one["NetworkSettings"]["Ports"]),
    })
}

fn doors(ports: &Value) -> Vec<(u16, SocketAddr)> {
    let mut doors = Vec::new();
    for (inside, outside) in ports.as_object().into_iter().flatten() {
        let Some(inside) = inside.strip_suffix("/tcp").and_then(|port| port.parse().ok()) else { continue };
        for binding in outside.as_array().into_iter().flatten() {
            let Some(port) = binding["HostPort"].as_str().and_then(|port| port.parse().ok()) else { continue };
            doors.push((inside, SocketAddr::new(reachable(binding["HostIp"].as_str().unwrap_or_default()), port)));
        }
    }
    doors
}

/// "Every address" is reached on this machine's own.
fn reachable(address: &str) -> IpAddr {
    match address.parse() {
        Ok(IpAddr::V6(Ipv6Addr::UNSPECIFIED)) => Ipv6Addr::LOCALHOST.into(),
        Ok(address) if !address.is_unspecified() => address,
        _ => Ipv4Addr::LOCALHOST.into(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn inspected(name: &str, project: &str, service: &str, number: &str, one_off: &str, state: Value) -> Value {
        json!({
            "Id": format!("id-of-{name}"), "Name": format!("/{name}"), "State": state,
            "Config": { "Labels": { PROJECT: project, SERVICE: service, NUMBER: number, ONE_OFF: one_off } },
            "NetworkSettings": { "Ports": {} },
        })
    }

    fn running() -> Value {
        json!({ "Status": "running", "StartedAt": "2026-11-30T10:00:00Z" })
    }

    fn names(containers: &[Container]) -> Vec<&str> {
        containers.iter().map(|container| container.name.as_str()).collect()
    }

    /// Names that look alike do not count, the label does; what `docker compose run` started is no replica.
    #[test]
    fn containers_of_another_project_are_not_seen() {
        let all = json!([
            inspected("w-transfer-10", "w", "transfer", "10", "False", running()),
            inspected("w-transfer-2", "w", "transfer", "2", "False", running()),
            inspected("w-api-1", "w", "api", "1", "False", running()),
            inspected("w-2-api-1", "w-2", "api", "1", "False", running()),
            inspected("w-transfer-run-1", "w", "transfer", "1", "True", running()),
            { "Id": "x", "Name": "/w-api-3", "State": running(), "Config": { "Labels": null } },
        ]);
        let containers = parse(&all.to_string(), "w").expect("it is well made");
        assert_eq!(names(&containers), ["w-api-1", "w-transfer-2", "w-transfer-10"]);
        assert_eq!(containers[0].id, "id-of-w-api-1");
    }

    #[test]
    fn a_container_is_well_when_it_runs_and_its_health_check_says_so() {
        let state = |status: &str, health: Option<&str>| {
            let mut state = json!({ "Status": status, "StartedAt": "2026-11-30T10:00:00Z" });
            if let Some(health) = health {
                state["Health"] = json!({ "Status": health });
            }
            let one = inspected("c", "w", "api", "1", "False", state);
            parse(&json!([one]).to_string(), "w").expect("it is well made").remove(0)
        };
        assert!(state("running", None).is_well() && state("running", Some("healthy")).is_well());
        for (container, said) in [
            (state("running", Some("starting")), "c (starting)"),
            (state("paused", Some("healthy")), "c (paused)"),
            (state("exited", None), "c (exited)"),
        ] {
            assert!(!container.is_well());
            assert_eq!(container.state(), said);
        }
    }

    #[test]
    fn a_published_port_is_reached_from_this_machine() {
        let mut one = inspected("lb", "w", "haproxy", "1", "False", running());
        one["NetworkSettings"]["Ports"] = json!({
            "7100/tcp": [{ "HostIp": "0.0.0.0", "HostPort": "17100" }, { "HostIp": "::", "HostPort": "17100" }],
            "7180/tcp": [{ "HostIp": "192.0.2.7", "HostPort": "7180" }],
            "7190/tcp": [{ "HostIp": "::", "HostPort": "7190" }],
            "7199/tcp": null,
            "53/udp": [{ "HostIp": "0.0.0.0", "HostPort": "53" }],
        });
        let container = parse(&json!([one]).to_string(), "w").expect("it is well made").remove(0);
        let door = |port| container.door(port).map(|door| door.to_string());
        assert_eq!(door(7100).as_deref(), Some("127.0.0.1:17100"));
        assert_eq!(door(7180).as_deref(), Some("192.0.2.7:7180"));
        assert_eq!(door(7190).as_deref(), Some("[::1]:7190"));
        assert_eq!((door(7199), door(53)), (None, None));
    }

    #[test]
    fn what_is_no_answer_of_docker_is_an_error_and_no_container() {
        assert!(parse("", "w").is_err() && parse("{}", "w").is_err());
        let mut one = inspected("c", "w", "api", "1", "False", running());
        one["State"] = Value::Null;
        let error = parse(&json!([one]).to_string(), "w").expect_err("it has no state");
        assert!(format!("{error:#}").contains("State.Status"), "{error:#}");
    }
}
