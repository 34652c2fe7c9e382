//! `import`: bringing in what was made or recorded elsewhere.
//!
//! Not here: reading CloudTrail records (`ledger::import`), whether a key may be imported (`ledger::decide`).

mod cloudtrail;
mod keys;

pub use cloudtrail::{import, print_counts};

use super::{Context, Done};
use clap::Subcommand;

#[derive(Debug, Subcommand)]
pub enum Import {
    /// AWS CloudTrail records, as evidence to investigate
    #[command(after_help = "Example:  keyledger import cloudtrail ./AWSLogs 'more/*.json.gz'\n\n\
                            Takes files, folders and patterns; {\"Records\": […]}, arrays, JSON lines and the output of\n\
                            `aws cloudtrail lookup-events`, gzip or plain. Repeat it to go on where it was cut off.")]
    Cloudtrail(cloudtrail::Cloudtrail),
    /// Existing access keys with their secrets, from CSV or JSON lines
    #[command(
        after_help = "Columns:  access_key_id, secret_access_key, user_name, bucket, label, description, buckets, \
                            policies, status, expires_at\nExample:  keyledger import keys accessKeys.csv --user alice"
    )]
    Keys(keys::Keys),
}

impl Import {
    pub fn run(self, cx: &mut Context) -> Done {
        match self {
            Import::Cloudtrail(cloudtrail) => cloudtrail.run(cx),
            Import::Keys(keys) => keys.run(cx),
        }
    }
}
