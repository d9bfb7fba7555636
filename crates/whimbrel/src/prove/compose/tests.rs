use serde_json::{Value, json};

use super::*;

/// A project as Docker describes it; `state` of each service.
fn project(state: impl Fn(&str) -> &'static str) -> Vec<Container> {
    let one = |service: &&str| -> Value {
        let labels = json!({ container::PROJECT: "w", "com.docker.compose.service": service });
        let health = json!({ "Status": state(service), "StartedAt": "t", "Health": { "Status": "healthy" } });
        json!({ "Id": service, "Name": format!("/w-{service}-1"), "State": health, "Config": { "Labels": labels } })
    };
    let others = ["secrets", "bots"];
    let all: Vec<_> = SERVICES.iter().chain(&others).map(one).collect();
    container::parse(&Value::from(all).to_string(), "w").expect("it is well made")
}

#[test]
fn a_whole_project_is_one_whose_roles_and_engines_are_well() {
    assert!(check_whole("w", &project(|_| "running")).is_ok());
    // What has made the secrets has ended, and the bots are nobody's concern.
    assert!(
        check_whole("w", &project(|service| if SERVICES.contains(&service) { "running" } else { "exited" })).is_ok()
    );
}

#[test]
fn what_is_not_well_is_named_with_what_brings_it_up() {
    let containers = project(|service| if service == "mysql" { "exited" } else { "running" });
    let error = check_whole("w", &containers).expect_err("the database is down").to_string();
    assert!(error.contains("w-mysql-1 (exited); `docker compose -p w up --wait`"), "{error}");
    assert_eq!(ill(&containers), ["w-mysql-1 (exited)"]);
}

#[test]
fn services_that_are_missing_are_named_all_at_once() {
    let mut containers = project(|_| "running");
    containers.retain(|container| !["redis", "transfer"].contains(&container.service.as_str()));
    let error = check_whole("w", &containers).expect_err("two are missing").to_string();
    assert!(error.starts_with("The Compose project w has no transfer, no redis; "), "{error}");
}

#[test]
fn a_project_that_is_not_there_is_said_with_those_that_are() {
    let others = distinct("shop\n\nblog\nshop\n");
    assert_eq!(others, ["blog", "shop"]);
    let said = nothing("whimbrel", &others);
    assert!(said.starts_with("There is no Compose project called whimbrel: Docker has blog, shop; "), "{said}");
    assert!(nothing("w", &[]).contains("Docker runs none"));
}
