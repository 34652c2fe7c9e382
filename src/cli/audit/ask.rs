//! A question of rights, as a command line asks it.

use crate::audit::Worlds;
use crate::audit::access::Question;
use crate::cli::Failure;
use crate::model::AccessKeyId;
use crate::state::KeyRecord;
use clap::Args;

#[derive(Debug, Args)]
pub struct AskArgs {
    /// What is asked, such as s3:GetObject
    #[arg(long, requires = "resource")]
    action: Option<String>,
    /// Of what, such as arn:aws:s3:::bucket/key, or * where an action is about nothing in particular
    #[arg(long, requires = "action")]
    resource: Option<String>,
    /// A condition key of the request; repeat a key to give it several values
    #[arg(long, value_name = "KEY=VALUE", requires = "action")]
    context: Vec<String>,
}

impl AskArgs {
    pub fn question(&self) -> Result<Option<Question>, Failure> {
        let (Some(action), Some(resource)) = (&self.action, &self.resource) else { return Ok(None) };
        question(action, resource, &self.context).map(Some)
    }
}

/// A question from its parts.
pub fn question(action: &str, resource: &str, context: &[String]) -> Result<Question, Failure> {
    Ok(Question::new(action, resource).with_context(context)?)
}

/// The keys of an id, live first, of the org that is meant.
pub fn key_places(worlds: &Worlds, id: &str, org: Option<&str>) -> Result<Vec<KeyRecord>, Failure> {
    AccessKeyId::parse(id)?;
    let orgs = org.map(|org| worlds.orgs_named(org.trim_start_matches("evidence:"))).transpose()?;
    let places = worlds.keys_of_id(id).into_iter().map(|place| place.record);
    Ok(places.filter(|key| orgs.as_ref().is_none_or(|orgs| orgs.contains(&key.org))).collect())
}
