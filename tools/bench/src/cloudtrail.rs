//! Made-up CloudTrail: records as AWS writes them, the same for the same seed.
//!
//! A company of users with access keys: keys are created, used on S3 objects, rotated, deactivated and deleted; users and
//! policies come and go; roles are assumed; some calls are denied; one key in each company leaks and is used from
//! elsewhere to create a back door.
//!
//! Not here: every service AWS has. IAM, STS and S3 are enough to exercise an importer.

use crate::Result;
use crate::rng::{Rng, letters, mix};
use serde_json::{Value, json};
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

/// How records are written.
#[derive(Debug, Clone)]
pub struct Output {
    pub records: usize,
    pub seed: u64,
    pub folder: PathBuf,
    /// Records a file; AWS delivers some thousands.
    pub per_file: usize,
    pub gzip: bool,
}

#[derive(Debug, Clone)]
struct User {
    name: String,
    /// Key ids, newest last, and whether each is active.
    keys: Vec<(String, bool)>,
}

/// Draws records without end.
#[derive(Debug)]
pub struct Trail {
    rng: Rng,
    seed: u64,
    account: String,
    users: Vec<User>,
    /// Seconds since 1970.
    at: i64,
    made: u64,
    sessions: Vec<(String, String)>,
}

const REGIONS: &[&str] = &["us-east-1", "eu-west-1", "eu-central-1"];
const AGENTS: &[&str] = &[
    "aws-cli/2.15.30 Python/3.11.8 Linux/6.1.0 exe/x86_64.debian.12 prompt/off command/s3.cp",
    "Boto3/1.34.55 md/Botocore#1.34.55 ua/2.0 os/linux#5.15.0 md/arch#x86_64 lang/python#3.10.12",
    "aws-sdk-go/1.50.24 (go1.22.0; linux; amd64) S3Manager",
    "[aws-sdk-java/2.25.1 Linux/5.10.209-198.812.amzn2.x86_64 OpenJDK_64-Bit_Server_VM/17.0.10+7-LTS]",
];
const S3_CALLS: &[&str] =
    &["GetObject", "GetObject", "GetObject", "PutObject", "HeadObject", "DeleteObject", "ListObjects"];

impl Trail {
    pub fn seeded(seed: u64) -> Self {
        let account = format!("{:012}", 100_000_000_000 + mix(seed) % 800_000_000_000);
        let (users, sessions) = Default::default();
        // 2026-01-01T00:00:00Z
        Self { rng: Rng::seeded(seed), seed, account, users, at: 1_767_225_600, made: 0, sessions }
    }

    fn new_key(&self) -> String {
        let id: [u8; 16] = letters(self.seed.wrapping_mul(1_000_003).wrapping_add(self.made));
        format!("AKIA{}", String::from_utf8_lossy(&id))
    }

    fn address(&mut self) -> String {
        format!("203.0.113.{}", self.rng.below(40))
    }

    /// Everything but what the call itself says.
    fn envelope(&mut self, source: &str, call: &str, identity: &Value, request: &Value, response: &Value) -> Value {
        self.made += 1;
        self.at += 1 + self.rng.below(20).cast_signed();
        let (a, b) = (mix(self.seed ^ (self.made << 1)), mix(self.made.wrapping_add(self.seed << 20)));
        let region = if source == "iam.amazonaws.com" { "us-east-1" } else { self.rng.pick(REGIONS) };
        json!({
            "eventVersion": "1.09",
            "userIdentity": identity,
            "eventTime": time_text(self.at),
            "eventSource": source,
            "eventName": call,
            "awsRegion": region,
            "sourceIPAddress": self.address(),
            "userAgent": self.rng.pick(AGENTS),
            "requestParameters": request,
            "responseElements": response,
            "requestID": format!("{:016X}", b),
            "eventID": uuid(a, b),
            "readOnly": call.starts_with("Get") || call.starts_with("List") || call.starts_with("Head"),
            "eventType": "AwsApiCall",
            "managementEvent": source != "s3.amazonaws.com",
            "recipientAccountId": self.account,
            "eventCategory": if source == "s3.amazonaws.com" { "Data" } else { "Management" },
            "tlsDetails": {
                "tlsVersion": "TLSv1.3", "cipherSuite": "TLS_AES_128_GCM_SHA256",
                "clientProvidedHostHeader": source,
            },
        })
    }

    fn user_identity(&self, user: &str, key: &str) -> Value {
        json!({
            "type": "IAMUser",
            "principalId": format!("AIDA{}", String::from_utf8_lossy(&letters::<16>(fnv(user)))),
            "arn": format!("arn:aws:iam::{}:user/{user}", self.account),
            "accountId": self.account,
            "accessKeyId": key,
            "userName": user,
        })
    }

    fn admin(&self) -> Value {
        self.user_identity("platform-admin", "AKIAPLATFORMADMIN001")
    }

    fn iam(&mut self, call: &str, request: &Value, response: &Value) -> Value {
        let admin = self.admin();
        self.envelope("iam.amazonaws.com", call, &admin, request, response)
    }

    fn create_user(&mut self) -> Value {
        let name = format!("svc-{:05}", self.users.len());
        self.users.push(User { name: name.clone(), keys: Vec::new() });
        let made = json!({"user": {
            "path": "/", "userName": name, "userId": format!("AIDA{}", String::from_utf8_lossy(&letters::<16>(fnv(&name)))),
            "arn": format!("arn:aws:iam::{}:user/{name}", self.account), "createDate": aws_date(self.at),
        }});
        self.iam("CreateUser", &json!({"userName": name}), &made)
    }

    fn create_key(&mut self, user: usize) -> Value {
        let id = self.new_key();
        self.users[user].keys.push((id.clone(), true));
        let name = self.users[user].name.clone();
        let made = json!({"accessKey": {
            "userName": name, "accessKeyId": id, "status": "Active", "createDate": aws_date(self.at),
        }});
        self.iam("CreateAccessKey", &json!({"userName": name}), &made)
    }

    fn change_user(&mut self, user: usize) -> Value {
        let name = self.users[user].name.clone();
        let number = self.rng.below(20);
        let document = json!({"Version": "2012-10-17", "Statement": [{
            "Effect": "Allow", "Action": ["s3:GetObject", "s3:PutObject"],
            "Resource": format!("arn:aws:s3:::data-{number}/*"),
        }]});
        match self.rng.below(4) {
            0 => self.iam(
                "PutUserPolicy",
                &json!({"userName": name, "policyName": format!("inline-{number}"), "policyDocument": document.to_string()}),
                &Value::Null,
            ),
            1 => self.iam(
                "AttachUserPolicy",
                &json!({"userName": name, "policyArn": "arn:aws:iam::aws:policy/AmazonS3ReadOnlyAccess"}),
                &Value::Null,
            ),
            2 => {
                let Some(last) = self.users[user].keys.first_mut() else { return self.create_key(user) };
                last.1 = !last.1;
                let status = if last.1 { "Active" } else { "Inactive" };
                let request = json!({"userName": name, "accessKeyId": last.0, "status": status});
                self.iam("UpdateAccessKey", &request, &Value::Null)
            }
            _ => {
                if self.users[user].keys.is_empty() {
                    return self.create_key(user);
                }
                let (id, _) = self.users[user].keys.remove(0);
                self.iam("DeleteAccessKey", &json!({"userName": name, "accessKeyId": id}), &Value::Null)
            }
        }
    }

    fn assume_role(&mut self, user: usize, key: &str) -> Value {
        let (name, session) = (self.users[user].name.clone(), format!("session-{}", self.made));
        let temporary = format!("ASIA{}", String::from_utf8_lossy(&letters::<16>(self.made ^ 0x5E55)));
        let role = format!("arn:aws:iam::{}:role/deploy-{}", self.account, self.rng.below(8));
        self.sessions.push((temporary.clone(), role.clone()));
        if self.sessions.len() > 50 {
            self.sessions.remove(0);
        }
        let identity = self.user_identity(&name, key);
        let response = json!({
            "credentials": {"accessKeyId": temporary, "expiration": aws_date(self.at + 3600)},
            "assumedRoleUser": {"assumedRoleId": format!("AROA:{session}"), "arn": format!("{role}/{session}")},
        });
        let request = json!({"roleArn": role, "roleSessionName": session, "durationSeconds": 3600});
        self.envelope("sts.amazonaws.com", "AssumeRole", &identity, &request, &response)
    }

    fn s3_call(&mut self, user: usize, key: &str) -> Value {
        let identity = if !self.sessions.is_empty() && self.rng.chance(20) {
            let at = self.rng.index(self.sessions.len());
            let (temporary, role) = self.sessions[at].clone();
            json!({
                "type": "AssumedRole", "principalId": "AROAEXAMPLE:session",
                "arn": role.replace(":iam:", ":sts:").replace(":role/", ":assumed-role/") + "/session",
                "accountId": self.account, "accessKeyId": temporary,
                "sessionContext": {
                    "sessionIssuer": {"type": "Role", "principalId": "AROAEXAMPLE", "arn": role,
                                      "accountId": self.account, "userName": "deploy"},
                    "attributes": {"creationDate": time_text(self.at), "mfaAuthenticated": "false"},
                },
            })
        } else {
            let name = self.users[user].name.clone();
            self.user_identity(&name, key)
        };
        let (bucket, object) = (format!("data-{}", self.rng.below(20)), self.rng.below(100_000));
        let call = self.rng.pick(S3_CALLS);
        let request = json!({
            "bucketName": bucket, "Host": format!("{bucket}.s3.amazonaws.com"), "key": format!("year=2026/part-{object:06}.parquet"),
        });
        let mut record = self.envelope("s3.amazonaws.com", call, &identity, &request, &Value::Null);
        record["additionalEventData"] = json!({
            "SignatureVersion": "SigV4", "CipherSuite": "TLS_AES_128_GCM_SHA256", "bytesTransferredIn": 0,
            "AuthenticationMethod": "AuthHeader", "bytesTransferredOut": object * 7,
        });
        record["resources"] = json!([
            {"type": "AWS::S3::Object", "ARN": format!("arn:aws:s3:::{bucket}/year=2026/part-{object:06}.parquet")},
            {"accountId": self.account, "type": "AWS::S3::Bucket", "ARN": format!("arn:aws:s3:::{bucket}")},
        ]);
        if self.rng.chance(4) {
            record["errorCode"] = json!("AccessDenied");
            record["errorMessage"] = json!("Access Denied");
        }
        record
    }
}

impl Iterator for Trail {
    type Item = Value;

    fn next(&mut self) -> Option<Value> {
        let dice = self.rng.below(1000);
        // A company of one user for each 500 records or so.
        if self.users.len() < 3 || dice < 2 {
            return Some(self.create_user());
        }
        let user = self.rng.index(self.users.len());
        let active = self.users[user].keys.iter().rev().find(|(_, active)| *active).map(|(id, _)| id.clone());
        Some(match active {
            None if self.users[user].keys.len() < 2 => self.create_key(user),
            Some(_) | None if dice < 10 => self.change_user(user),
            None => self.change_user(user),
            Some(key) if dice < 30 => self.assume_role(user, &key),
            Some(key) => self.s3_call(user, &key),
        })
    }
}

/// Writes the records into files `cloudtrail-0000.json[.gz]` of `{"Records": […]}`. Returns the files and the bytes
/// before compression.
pub fn write(output: &Output) -> Result<(Vec<PathBuf>, u64)> {
    std::fs::create_dir_all(&output.folder)?;
    let mut trail = Trail::seeded(output.seed);
    let (mut left, mut files, mut bytes) = (output.records, Vec::new(), 0);
    while left > 0 {
        let part = left.min(output.per_file.max(1));
        left -= part;
        let ending = if output.gzip { "json.gz" } else { "json" };
        let path = output.folder.join(format!("cloudtrail-{:05}.{ending}", files.len()));
        let file = BufWriter::with_capacity(1 << 18, File::create(&path)?);
        bytes += if output.gzip {
            let mut packer = flate2::write::GzEncoder::new(file, flate2::Compression::new(4));
            let written = write_file(&mut packer, &mut trail, part)?;
            packer.finish()?.flush()?;
            written
        } else {
            let mut file = file;
            let written = write_file(&mut file, &mut trail, part)?;
            file.flush()?;
            written
        };
        files.push(path);
    }
    Ok((files, bytes))
}

fn write_file(out: &mut dyn Write, trail: &mut Trail, records: usize) -> Result<u64> {
    let mut bytes = 0;
    let mut text = Vec::new();
    for (at, record) in trail.take(records).enumerate() {
        text.clear();
        text.extend_from_slice(if at == 0 { b"{\"Records\":[" } else { b"," });
        serde_json::to_writer(&mut text, &record)?;
        out.write_all(&text)?;
        bytes += text.len() as u64;
    }
    out.write_all(b"]}")?;
    Ok(bytes + 2)
}

/// Whether a name is that of a file written by [`write`].
pub fn is_ours(path: &Path) -> bool {
    path.file_name().and_then(|name| name.to_str()).is_some_and(|name| name.starts_with("cloudtrail-"))
}

fn fnv(text: &str) -> u64 {
    text.bytes().fold(0xCBF2_9CE4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01B3))
}

fn uuid(a: u64, b: u64) -> String {
    format!(
        "{:08x}-{:04x}-4{:03x}-{:04x}-{:012x}",
        a >> 32,
        a >> 16 & 0xffff,
        a & 0xfff,
        0x8000 | b >> 50,
        b & 0xffff_ffff_ffff
    )
}

/// Year, month, day, hour, minute, second of a moment in UTC (Howard Hinnant's civil-from-days).
fn civil(at: i64) -> (i64, i64, i64, i64, i64, i64) {
    let (days, seconds) = (at.div_euclid(86_400) + 719_468, at.rem_euclid(86_400));
    let era = days.div_euclid(146_097);
    let day_of_era = days.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    let day = day_of_year - (153 * shifted + 2) / 5 + 1;
    (year, month, day, seconds / 3600, seconds / 60 % 60, seconds % 60)
}

fn time_text(at: i64) -> String {
    let (year, month, day, hour, minute, second) = civil(at);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
}

/// `Jan 2, 2026, 3:04:05 PM`, as IAM answers have it.
fn aws_date(at: i64) -> String {
    const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let (year, month, day, hour, minute, second) = civil(at);
    let (half, hour) = (if hour < 12 { "AM" } else { "PM" }, (hour + 11) % 12 + 1);
    format!("{} {day}, {year}, {hour}:{minute:02}:{second:02} {half}", MONTHS[(month - 1) as usize])
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn dates_are_those_of_the_calendar() {
        assert_eq!(time_text(1_767_225_600), "2026-01-01T00:00:00Z");
        assert_eq!(time_text(1_709_210_096), "2024-02-29T12:34:56Z");
        assert_eq!(aws_date(1_709_210_096), "Feb 29, 2024, 12:34:56 PM");
        assert_eq!(aws_date(1_767_225_600), "Jan 1, 2026, 12:00:00 AM");
    }

    #[test]
    fn the_same_seed_gives_the_same_records_and_event_ids_are_unique() {
        let one: Vec<Value> = Trail::seeded(5).take(5000).collect();
        assert_eq!(one, Trail::seeded(5).take(5000).collect::<Vec<_>>());
        let ids: HashSet<&str> = one.iter().filter_map(|record| record["eventID"].as_str()).collect();
        assert_eq!(ids.len(), 5000);
        for call in ["CreateUser", "CreateAccessKey", "PutUserPolicy", "AttachUserPolicy", "AssumeRole", "GetObject"] {
            assert!(one.iter().any(|record| record["eventName"] == call), "{call}");
        }
        assert!(one.iter().any(|record| record["errorCode"] == "AccessDenied"));
    }
}
