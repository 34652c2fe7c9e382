//! The OpenAPI 3.1 document, made from the table of routes and from the types that bodies and answers are read and written with.
//!
//! Not here: the table (`table`), the types (`body`, `audit::rows`).

use super::super::{Reply, reply as whole};
use super::problem::Details;
use super::table::{Does, Kind, PREFIX, Param, Route, SchemaOf, routes, schema};
use bytes::Bytes;
use schemars::SchemaGenerator;
use schemars::generate::SchemaSettings;
use serde_json::{Map, Value, json};
use std::sync::LazyLock;

/// The document; it is made once.
pub fn reply() -> Reply {
    static DOCUMENT: LazyLock<Bytes> = LazyLock::new(|| document().to_string().into());
    whole(200, "application/json", DOCUMENT.clone())
}

fn document() -> Value {
    let settings = SchemaSettings::draft2020_12().with(|it| it.definitions_path = "/components/schemas".into());
    let mut generator = settings.into_generator();
    let problem = of(schema::<Details>, &mut generator);
    let mut paths: Map<String, Value> = Map::new();
    for route in routes() {
        let place = paths.entry(format!("{PREFIX}{}", route.path)).or_insert_with(|| json!({}));
        place[route.method.to_ascii_lowercase()] = operation(route, &problem, &mut generator);
    }
    let schemas = generator.take_definitions(true);
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "keyledger",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "Access keys as an event-sourced ledger. Requests are signed with AWS Signature Version 4 for \
                            service `keyledger`. Errors are RFC 9457 problems with a stable `code`. A change may carry \
                            `Idempotency-Key` (kept 24 h) and `If-Match`; every answer says the `seq` it is as of.",
            "license": { "name": "Apache-2.0", "identifier": "Apache-2.0" },
        },
        "paths": paths,
        "components": {
            "schemas": schemas,
            "securitySchemes": {
                "sigv4": {
                    "type": "apiKey",
                    "in": "header",
                    "name": "Authorization",
                    "description": "AWS4-HMAC-SHA256, service `keyledger`, the server's region",
                },
            },
        },
        "security": [{ "sigv4": [] }],
    })
}

fn of(schema: SchemaOf, generator: &mut SchemaGenerator) -> Value {
    schema(generator).to_value()
}

fn operation(route: &Route, problem: &Value, generator: &mut SchemaGenerator) -> Value {
    let mut parameters: Vec<Value> = path_names(route.path).map(|name| in_path(name, route)).collect();
    parameters.extend(route.params().map(in_query));
    if matches!(route.does, Does::Change { .. }) {
        let key = json!({ "type": "string", "minLength": 1, "maxLength": 64, "pattern": "^[!-~]+$" });
        let about = "Makes a retry safe for 24 h: the first answer again, without the secret";
        parameters.push(header("Idempotency-Key", about, &key));
        let version = json!({ "type": "string", "pattern": "^\"[0-9]{1,19}\"$" });
        let reason = json!({ "type": "string", "minLength": 1, "maxLength": 256, "pattern": "^[!-~]([ -~]*[!-~])?$" });
        parameters.push(header("Keyledger-Reason", "Why: a sentence or a ticket, kept with the event", &reason));
        parameters.push(header("If-Match", "The ETag that the target must have, else 412", &version));
    }
    if matches!(route.does, Does::Stream { .. }) {
        let id = json!({ "type": "string", "pattern": "^[0-9]{1,18}\\.[0-9]{1,9}$" });
        parameters.push(header("Last-Event-ID", "Go on behind this event", &id));
    }
    let answer = match route.does {
        Does::Stream { .. } => json!({ "text/event-stream": { "schema": { "type": "string" } } }),
        _ => json!({ "application/json": { "schema": of(route.answer, generator) } }),
    };
    let refused = json!({
        "description": "A problem, its `code` saying which",
        "content": { "application/problem+json": { "schema": problem } },
    });
    let mut operation = json!({
        "operationId": operation_id(route),
        "summary": route.about,
        "parameters": parameters,
        "responses": {
            route.status.to_string(): { "description": "Done", "content": answer },
            "4XX": refused.clone(),
            "5XX": refused,
        },
    });
    if let Some(body) = route.body {
        let body = of(body, generator);
        operation["requestBody"] = json!({ "required": true, "content": { "application/json": { "schema": body } } });
    }
    if matches!(route.does, Does::Document) {
        operation["security"] = json!([]);
    }
    operation
}

/// `put-users-user-role`
fn operation_id(route: &Route) -> String {
    let words = route.path.split(['/', '{', '}', '.']).filter(|word| !word.is_empty());
    let words: Vec<&str> = words.collect();
    format!("{}-{}", route.method.to_ascii_lowercase(), words.join("-"))
}

fn path_names(path: &'static str) -> impl Iterator<Item = &'static str> {
    path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'))
}

fn in_path(name: &str, route: &Route) -> Value {
    let about = match name {
        "key" => "An access key id",
        "policy" if route.path.contains("inline") => "The inline policy's name",
        "policy" => "The policy's name, or its ARN",
        "version" => "A version: `2` or `v2`",
        _ => "Its name",
    };
    json!({ "name": name, "in": "path", "required": true, "description": about, "schema": { "type": "string", "minLength": 1 } })
}

fn in_query(param: Param) -> Value {
    let schema = match param.kind {
        Kind::Text | Kind::When => json!({ "type": "string", "minLength": 1, "maxLength": 2048 }),
        Kind::Number(min, max) => json!({ "type": "integer", "minimum": min, "maximum": max }),
        Kind::Flag => json!({ "type": "boolean" }),
        Kind::OneOf(words) => json!({ "type": "string", "enum": words }),
        Kind::Many => json!({ "type": "array", "items": { "type": "string", "minLength": 1 }, "maxItems": 64 }),
    };
    json!({ "name": param.name, "in": "query", "required": param.required, "description": param.about, "schema": schema })
}

fn header(name: &str, about: &str, schema: &Value) -> Value {
    json!({ "name": name, "in": "header", "required": false, "description": about, "schema": schema })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn every_route_stands_in_the_document_with_its_parameters() {
        let document = document();
        let mut ids = BTreeSet::new();
        for route in routes() {
            let operation = &document["paths"][format!("{PREFIX}{}", route.path)][route.method.to_ascii_lowercase()];
            assert_eq!(operation["summary"], route.about);
            assert!(ids.insert(operation["operationId"].to_string()), "{operation}");
            let named: Vec<_> =
                operation["parameters"].as_array().unwrap().iter().map(|it| it["name"].clone()).collect();
            let wanted = path_names(route.path).chain(route.params().map(|param| param.name));
            for name in wanted {
                assert!(named.contains(&json!(name)), "{route:?} {name}");
            }
            assert_eq!(operation["requestBody"].is_object(), route.body.is_some(), "{route:?}");
        }
    }

    #[test]
    fn every_schema_that_is_referred_to_is_there_and_bodies_are_closed() {
        let document = document();
        let text = document.to_string();
        for reference in text.split("\"$ref\":\"#").skip(1) {
            let pointer = reference.split('"').next().unwrap();
            assert!(document.pointer(pointer).is_some(), "{pointer}");
        }
        for route in routes().filter(|route| route.body.is_some()) {
            let path = &document["paths"][format!("{PREFIX}{}", route.path)][route.method.to_ascii_lowercase()];
            let schema = &path["requestBody"]["content"]["application/json"]["schema"];
            let pointer = schema["$ref"].as_str().unwrap().trim_start_matches('#');
            assert_eq!(document.pointer(pointer).unwrap()["additionalProperties"], false, "{route:?}");
        }
    }
}
