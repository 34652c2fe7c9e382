//! The least work that decides a request: bits for actions, masks for addresses, prefixes and globs for resources.
//!
//! Not here: variables, other operators, Not-elements, anything with a missing value.

/// One statement, compiled by hand for these very questions.
#[derive(Debug)]
pub struct Statement {
    pub allow: bool,
    /// One bit an action.
    pub actions: u64,
    pub resource: Resource,
    pub net: u32,
    pub mask: u32,
    /// Seconds since 1970; the request must be earlier.
    pub before: i64,
}

#[derive(Debug)]
pub enum Resource {
    Prefix(Box<[u8]>),
    /// The texts between its stars.
    Glob(Vec<Box<[u8]>>),
}

/// One request.
#[derive(Debug)]
pub struct Request {
    pub action: u32,
    pub resource: Box<[u8]>,
    pub address: u32,
    pub now: i64,
}

/// Whether it is allowed: some statement allows it and none denies it.
pub fn decide(statements: &[Statement], request: &Request) -> bool {
    let mut allowed = false;
    for statement in statements {
        if statement.actions >> request.action & 1 == 0 || statement.allow && allowed {
            continue;
        }
        let resource = match &statement.resource {
            Resource::Prefix(prefix) => request.resource.starts_with(prefix),
            Resource::Glob(texts) => between(texts, &request.resource),
        };
        if !resource || request.address & statement.mask != statement.net || request.now >= statement.before {
            continue;
        }
        if !statement.allow {
            return false;
        }
        allowed = true;
    }
    allowed
}

/// Whether `text` is these texts in order, with anything between them.
fn between(texts: &[Box<[u8]>], text: &[u8]) -> bool {
    let [first, middle @ .., last] = texts else { return false };
    let Some(mut rest) = text.strip_prefix(&**first).and_then(|rest| rest.strip_suffix(&**last)) else { return false };
    for wanted in middle {
        let found = memchr::memchr_iter(wanted[0], rest).find(|at| rest[*at..].starts_with(wanted));
        let Some(at) = found else { return false };
        rest = &rest[at + wanted.len()..];
    }
    true
}

/// Whether `text` is what `pattern` with its stars says.
pub fn glob(pattern: &[u8], text: &[u8]) -> bool {
    let (mut p, mut t, mut star) = (0, 0, None);
    while t < text.len() {
        if pattern.get(p) == Some(&b'*') {
            star = Some((p, t));
            p += 1;
        } else if pattern.get(p) == Some(&text[t]) {
            p += 1;
            t += 1;
        } else if let Some((at, from)) = star {
            star = Some((at, from + 1));
            (p, t) = (at + 1, from + 1);
        } else {
            return false;
        }
    }
    pattern[p..].iter().all(|byte| *byte == b'*')
}
