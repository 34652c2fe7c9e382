//! Whose key signs: the AWS variables, or a profile of the AWS credentials file, as AWS's own tools find them.
//!
//! Not here: roles, SSO, credential processes and instance metadata: keyledger gives out none of them.

use crate::model::AccessKeyId;
use crate::model::text::excerpt;
use crate::sys::Io;
use crate::vault::SecretKey;
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

/// Bytes of a credentials file.
const FILE_BYTES_MAX: u64 = 1 << 20;

/// An access key with its secret.
pub struct Credentials {
    pub access_key_id: String,
    pub secret: SecretKey,
    pub session_token: Option<String>,
}

impl std::fmt::Debug for Credentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Credentials({})", self.access_key_id)
    }
}

/// Why there are no credentials.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CredentialsError {
    #[error(
        "no credentials: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE to a profile in ~/.aws/credentials"
    )]
    None,
    #[error("set both AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or neither")]
    Half,
    #[error("`{path}` has no profile `{profile}` with aws_access_key_id and aws_secret_access_key")]
    NoProfile { path: String, profile: String },
    #[error("the access key id or secret of {source_name} is not one: an id is 16 to 128 letters and digits")]
    Malformed { source_name: String },
    #[error("could not read `{path}`")]
    Io { path: String, source: std::io::Error },
}

impl Credentials {
    /// From the variables that `var` knows, else from the file that they name, else from `~/.aws/credentials`.
    ///
    /// # Errors
    /// [`CredentialsError`], without a word of a secret.
    pub fn find(io: &dyn Io, var: &dyn Fn(&str) -> Option<String>) -> Result<Self, CredentialsError> {
        let set = |name: &str| var(name).filter(|value| !value.is_empty());
        let profile = set("AWS_PROFILE");
        match (set("AWS_ACCESS_KEY_ID"), set("AWS_SECRET_ACCESS_KEY").map(Zeroizing::new)) {
            (Some(id), Some(secret)) => {
                return Self::new(&id, &secret, set("AWS_SESSION_TOKEN"), "the environment");
            }
            (None, None) => {}
            _ => return Err(CredentialsError::Half),
        }
        let named = set("AWS_SHARED_CREDENTIALS_FILE").map(PathBuf::from);
        let is_asked_for = named.is_some() || profile.is_some();
        let at_home = || set("HOME").map(|home| Path::new(&home).join(".aws").join("credentials"));
        let path = named.or_else(at_home).ok_or(CredentialsError::None)?;
        let shown = excerpt(&path.display().to_string(), 200);
        let bytes = match io.read(&path, FILE_BYTES_MAX) {
            Ok(bytes) => Zeroizing::new(bytes),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound && !is_asked_for => {
                return Err(CredentialsError::None);
            }
            Err(source) => return Err(CredentialsError::Io { path: shown, source }),
        };
        let profile = profile.unwrap_or_else(|| "default".to_owned());
        let text = std::str::from_utf8(&bytes).unwrap_or_default();
        let missing = || CredentialsError::NoProfile { path: shown.clone(), profile: excerpt(&profile, 64) };
        let found = |name| value_in(text, &profile, name);
        let id = found("aws_access_key_id").ok_or_else(missing)?;
        let secret = found("aws_secret_access_key").ok_or_else(missing)?;
        Self::new(id, secret, found("aws_session_token").map(str::to_owned), &shown)
    }

    fn new(id: &str, secret: &str, session_token: Option<String>, from: &str) -> Result<Self, CredentialsError> {
        let malformed = || CredentialsError::Malformed { source_name: from.to_owned() };
        AccessKeyId::parse(id).map_err(|_| malformed())?;
        let secret = SecretKey::import(secret).map_err(|_| malformed())?;
        Ok(Self { access_key_id: id.to_owned(), secret, session_token })
    }
}

/// `name = value` under `[profile]`, the last one that is there.
fn value_in<'a>(text: &'a str, profile: &str, name: &str) -> Option<&'a str> {
    let (mut is_here, mut found) = (false, None);
    for line in text.lines().map(str::trim).filter(|line| !line.starts_with(['#', ';'])) {
        if let Some(section) = line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            is_here = section.trim() == profile;
        } else if let Some((key, value)) = line.split_once('=')
            && is_here
            && key.trim().eq_ignore_ascii_case(name)
        {
            found = Some(value.trim()).filter(|value| !value.is_empty());
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_profile_is_read_as_aws_tools_read_it() {
        let text = "# mine\n[default]\naws_access_key_id=AKIAIOSFODNN7EXAMPLE\n\n[ work ]\n; old\nAWS_Secret_Access_Key = s=1 \nregion = x\n";
        assert_eq!(value_in(text, "default", "aws_access_key_id"), Some("AKIAIOSFODNN7EXAMPLE"));
        assert_eq!(value_in(text, "work", "aws_secret_access_key"), Some("s=1"));
        assert_eq!(value_in(text, "work", "aws_access_key_id"), None);
        assert_eq!(value_in(text, "home", "region"), None);
    }
}
