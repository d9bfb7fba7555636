//! The OpenAPI document: the contract with other languages.
//!
//! Each handler names the codes that are its own; those that any request may be answered with are added here, and each
//! code becomes an example under its status. So the list of codes stands once, in `error`.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::json;
use utoipa::Modify;
use utoipa::OpenApi as _;
use utoipa::openapi::example::ExampleBuilder;
use utoipa::openapi::path::Operation;
use utoipa::openapi::security::{Http, HttpAuthScheme, SecurityScheme};
use utoipa::openapi::{ContentBuilder, OpenApi, Ref, ResponseBuilder};

use crate::error::{Code, ErrorBody};
use crate::router::{administration, people, transfers};

/// The extension in which a handler names its codes.
const CODES: &str = "x-error-codes";

#[derive(utoipa::OpenApi)]
#[openapi(
    info(title = "Whimbrel", version = "1", license(name = "Apache-2.0", identifier = "Apache-2.0"),
        description = "Accounts, devices, relations, groups, history and administration of a Whimbrel server. Messages \
                       are sent by the socket protocol. Times are milliseconds since 1970 unless a name says otherwise (`_s`: \
                       seconds). Every error has the shape `Error`; decide by its code."),
    components(schemas(ErrorBody)),
    modifiers(&Schemes),
    tags((name = "tokens", description = "Register, log in, refresh, log out"),
        (name = "accounts", description = "Password and end of an account"),
        (name = "devices", description = "Installations that are logged in"),
        (name = "users", description = "People and profiles"),
        (name = "relations", description = "Friends, requests, blocks, keys"),
        (name = "groups", description = "Groups, their members, requests and keys"),
        (name = "conversations", description = "What was said in conversations, and how they are shown to one user"),
        (name = "presence", description = "Who of your friends is here, and how you let yourself be seen"),
        (name = "files", description = "What is sent with messages: uploads in pieces, downloads with ranges"),
        (name = "admin", description = "For the embedding product and load tools; needs the administrator's key"),
        (name = "health", description = "For operators"))
)]
struct Base;

struct Schemes;

impl Modify for Schemes {
    fn modify(&self, document: &mut OpenApi) {
        let components = document.components.get_or_insert_default();
        for (name, what) in [
            ("access_token", "An access token, from registering, logging in or refreshing."),
            ("admin_key", "The administrator's key, from the server's configuration."),
        ] {
            let mut scheme = Http::new(HttpAuthScheme::Bearer);
            scheme.description = Some(what.to_owned());
            components.add_security_scheme(name, SecurityScheme::Http(scheme));
        }
    }
}

/// The OpenAPI document of this version.
pub fn document() -> OpenApi {
    let mut document = Base::openapi();
    document.merge(people().into_openapi());
    document.merge(transfers().into_openapi());
    document.merge(administration().into_openapi());
    for item in document.paths.paths.values_mut() {
        item.get.iter_mut().for_each(|operation| complete(operation, false));
        let changes = [&mut item.post, &mut item.put, &mut item.patch, &mut item.delete];
        changes.into_iter().flatten().for_each(|operation| complete(operation, true));
    }
    document
}

/// Every code that this operation may be answered with, by status.
fn codes(operation: &Operation, is_change: bool) -> BTreeMap<u16, Vec<Code>> {
    let own = operation.extensions.as_ref().and_then(|extensions| extensions.get(CODES));
    let own: Vec<&str> =
        own.and_then(|codes| codes.as_array()).into_iter().flatten().filter_map(|c| c.as_str()).collect();
    // A body that nobody needs (`accept`) is read all the same, and refused if it holds anything.
    let without_body = ["log_out_one", "delete_user", "dissolve_group", "discard_file", "complete_file"];
    let may_have_body = is_change && !operation.operation_id.as_deref().is_some_and(|id| without_body.contains(&id));
    let with_parameters = operation.parameters.as_ref().is_some_and(|parameters| !parameters.is_empty());
    let with_token = operation.security.is_some();
    let for_people = with_token && !operation.tags.iter().flatten().any(|tag| tag == "admin");
    let health = operation.tags.iter().flatten().any(|tag| tag == "health");
    let common = |code| match code {
        Code::BadRequest => is_change || with_parameters,
        Code::TooLarge | Code::UnsupportedMediaType => may_have_body,
        Code::Unauthenticated => with_token,
        Code::TokenExpired | Code::LoggedOut => for_people,
        Code::TooManyAttempts => is_change && for_people,
        Code::Busy => is_change,
        Code::Unavailable | Code::Timeout | Code::Internal => !health,
        _ => false,
    };
    let mut by_status: BTreeMap<u16, Vec<Code>> = BTreeMap::new();
    for code in Code::ALL.iter().copied().filter(|code| own.contains(&code.name()) || common(*code)) {
        by_status.entry(code.status().as_u16()).or_default().push(code);
    }
    by_status
}

/// Writes the codes out as responses.
fn complete(operation: &mut Operation, is_change: bool) {
    for (status, codes) in codes(operation, is_change) {
        let sentences: Vec<String> =
            codes.iter().map(|code| format!("`{}`: {}", code.name(), code.sentence())).collect();
        let examples = codes.iter().map(|code| {
            let value = json!({"code": code.name(), "message": code.sentence()});
            (code.name(), ExampleBuilder::new().value(Some(value)).build())
        });
        let content =
            ContentBuilder::new().schema(Some(Ref::from_schema_name("Error"))).examples_from_iter(examples).build();
        let response =
            ResponseBuilder::new().description(sentences.join(" · ")).content("application/json", content).build();
        operation.responses.responses.insert(status.to_string(), response.into());
    }
    operation.extensions = None;
}

static JSON: LazyLock<String> =
    LazyLock::new(|| document().to_pretty_json().expect("the document is plain data with text for keys"));

/// This document
#[utoipa::path(get, path = "/openapi.json", tag = "health",
    responses((status = 200, description = "An OpenAPI 3.1 document.", body = serde_json::Value,
        example = json!({"openapi": "3.1.0"}))))]
pub(crate) async fn serve_document() -> Response {
    (StatusCode::OK, [(header::CONTENT_TYPE, "application/json")], JSON.as_str()).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_document_is_the_one_that_was_agreed_upon() {
        insta::assert_snapshot!(JSON.as_str());
    }

    #[test]
    fn every_operation_has_a_summary_an_example_and_only_known_codes() {
        let document: serde_json::Value = serde_json::from_str(&JSON).expect("JSON");
        for (path, item) in document["paths"].as_object().expect("paths") {
            for (method, operation) in item.as_object().expect("operations") {
                let name = format!("{method} {path}");
                assert!(operation["summary"].as_str().is_some_and(|s| s.len() > 5), "{name}: summary");
                let responses = operation["responses"].as_object().expect("responses");
                let good = |r: &&serde_json::Value| r["content"].as_object().is_some();
                for (status, response) in responses.iter().filter(|(_, r)| good(r)) {
                    let content = response["content"].as_object().expect("content").values().next().expect("one");
                    let has = content.get("example").is_some() || content.get("examples").is_some();
                    assert!(has, "{name} {status}: example");
                }
                let body = &operation["requestBody"]["content"]["application/json"];
                assert!(body.is_null() || body.get("example").is_some(), "{name}: example of the body");
            }
        }
    }

    #[test]
    fn every_operation_has_a_name_of_its_own() {
        let document: serde_json::Value = serde_json::from_str(&JSON).expect("JSON");
        let items = document["paths"].as_object().expect("paths").values();
        let operations = items.flat_map(|item| item.as_object().expect("operations").values());
        let mut names: Vec<_> = operations.map(|operation| operation["operationId"].as_str()).collect();
        names.sort_unstable();
        let count = names.len();
        names.dedup();
        assert_eq!(names.len(), count, "{names:?}");
    }

    #[test]
    fn handlers_name_known_codes_only() {
        for router in [people(), transfers(), administration()] {
            for (path, item) in router.into_openapi().paths.paths {
                let operations = [item.get, item.post, item.put, item.patch, item.delete];
                for operation in operations.into_iter().flatten() {
                    let codes = operation.extensions.as_ref().and_then(|e| e.get(CODES)).cloned().unwrap_or(json!([]));
                    for code in codes.as_array().expect("a list") {
                        assert!(Code::ALL.iter().any(|known| *code == known.name()), "{path}: {code}");
                    }
                }
            }
        }
    }
}
