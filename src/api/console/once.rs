//! The page that shows a secret: once.
//!
//! Invariants
//! - The secret stands in the answer to the form that made it, which no browser keeps; a reload gets the same page without it.
//!
//! Not here: making keys (`create`, `change`).

use super::page::{self, Tab};
use super::{Call, show};
use crate::api::Reply;
use crate::ledger::KeyMade;
use crate::model::AccessKeyId;
use crate::vault::SecretKey;
use maud::{Markup, html};

/// A key that was made, or made before by the same form.
pub fn page(call: &Call<'_>, made: &KeyMade, title: &str) -> Reply {
    shown(call, &made.access_key_id, made.secret.as_ref(), title)
}

/// A key with a new secret.
pub fn shown(call: &Call<'_>, id: &AccessKeyId, secret: Option<&SecretKey>, title: &str) -> Reply {
    // The key may be younger than the state of this request.
    let state = call.api.ledger.state();
    let label = state.with_key(id.as_str(), |key| key.label()).unwrap_or_default();
    let body = html! {
        p.crumbs { a href="/console/keys" { "Access keys" } " / " a href={ "/console/keys/" (id) } { (show::text(&label)) } }
        h1 { (title) }
        @match secret {
            Some(secret) => { (with_secret(call, id, secret)) }
            None => {
                div.banner.warn role="status" {
                    p {
                        strong { "The secret was shown before, and cannot be shown again." }
                        " If nobody kept it, rotate the key or delete it."
                    }
                }
                dl.facts { div { dt { "Access key id" } dd { code { (id) } } } }
            }
        }
        div.actions { a.button href={ "/console/keys/" (id) } { "To the key" } a.button href="/console/keys" { "All keys" } }
    };
    page::whole(200, title, Some(Tab::Keys), &call.visitor, &body)
}

fn with_secret(call: &Call<'_>, id: &AccessKeyId, secret: &SecretKey) -> Markup {
    let secret = secret.expose_secret();
    let endpoint = show::endpoint(call.api, call.incoming);
    let region = &call.api.options.region;
    let boto3 = format!(
        "import boto3\n\ns3 = boto3.client(\n    \"s3\",\n    endpoint_url=\"{endpoint}\",\n    region_name=\"{region}\",\n    \
         aws_access_key_id=\"{id}\",\n    aws_secret_access_key=\"{}\",\n)\nprint([b[\"Name\"] for b in s3.list_buckets()[\"Buckets\"]])",
        in_python(secret)
    );
    let cli = format!(
        "export AWS_ACCESS_KEY_ID='{id}'\nexport AWS_SECRET_ACCESS_KEY='{}'\nexport AWS_REGION='{region}'\nexport \
         AWS_ENDPOINT_URL_S3='{endpoint}'\naws s3 ls",
        secret.replace('\'', "'\\''")
    );
    html! {
        div.banner.warn role="status" {
            p {
                strong { "Copy the secret now." }
                " It is shown this once and cannot be read again, by anybody. Keep it in a secret store, never in source control."
            }
        }
        section.card.secret {
            div.field {
                span.name { "Access key id" }
                div.value { code id="made-id" { (id) } (show::copy("made-id", "the access key id")) }
            }
            div.field {
                span.name { "Secret access key" }
                div.value { code id="made-secret" { (secret) } (show::copy("made-secret", "the secret access key")) }
            }
        }
        section.card {
            h2 { "Use it" }
            div.snippet {
                div.snippet-top { h3 { "AWS CLI" } (show::copy("snippet-cli", "the commands")) }
                pre { code id="snippet-cli" { (cli) } }
            }
            div.snippet {
                div.snippet-top { h3 { "Python, boto3" } (show::copy("snippet-boto3", "the program")) }
                pre { code id="snippet-boto3" { (boto3) } }
            }
        }
    }
}

/// Inside a string of Python's. Secrets are visible ASCII.
fn in_python(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"")
}
