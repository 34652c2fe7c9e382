//! A policy document as a state holds it: the text as it was given, and compiled when it is first asked.
//!
//! Every holder, version and past state that has the text shares one compiled [`Document`]. A writer compiles what it
//! stores before it is published (`State::compile`), so that no request does; a replay compiles nothing.
//!
//! Not here: who holds it (`record`, `key`), and what it says (`policy`).

use crate::model::{PolicyUid, uids};
use crate::policy::{Document, DocumentKind, managed};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;
use std::ops::Deref;
use std::sync::{Arc, LazyLock, OnceLock};

/// The text of a policy document. Derefs to the text; equal when the texts are.
#[derive(Clone)]
pub struct PolicyText(Arc<Stored>);

struct Stored {
    text: Arc<str>,
    compiled: OnceLock<Option<Document>>,
}

impl PolicyText {
    /// As it was given; empty when it is not in evidence.
    pub fn text(&self) -> &Arc<str> {
        &self.0.text
    }

    /// The document; `None` when it is not in evidence or not understood, which never happens to one that a command stored.
    pub fn document(&self) -> Option<&Document> {
        // Checked by its own kind's limits when it was stored; here it is only read.
        self.0.compiled.get_or_init(|| Document::parse(&self.0.text, DocumentKind::Evidence).ok()).as_ref()
    }
}

impl From<Arc<str>> for PolicyText {
    fn from(text: Arc<str>) -> Self {
        Self(Arc::new(Stored { text, compiled: OnceLock::new() }))
    }
}

impl Deref for PolicyText {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0.text
    }
}

impl PartialEq for PolicyText {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0) || self.0.text == other.0.text
    }
}

impl Eq for PolicyText {}

impl fmt::Debug for PolicyText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0.text, f)
    }
}

impl fmt::Display for PolicyText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self)
    }
}

/// The document of a policy of AWS's own that exists everywhere or that evidence names, and that is kept here.
pub(super) fn managed_text(policy: PolicyUid) -> Option<&'static PolicyText> {
    static KEPT: LazyLock<Vec<(PolicyUid, PolicyText)>> = LazyLock::new(|| {
        let kept = managed::ALL.iter().filter_map(|known| Some((known.arn, known.document?)));
        kept.map(|(arn, text)| (uids::policy(arn), PolicyText::from(Arc::<str>::from(text)))).collect()
    });
    KEPT.iter().find(|(uid, _)| *uid == policy).map(|(_, text)| text)
}

impl Serialize for PolicyText {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.text.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for PolicyText {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Arc::<str>::deserialize(deserializer).map(Self::from)
    }
}
