//! Where a JSON value ends: brackets, strings and escapes followed byte by byte, nothing built, nothing kept.
//!
//! A scan can stop at any byte and go on with the next piece of the file. It is no validator: what stands between the
//! brackets is judged by the parser. It notices only what makes a boundary doubtful: a bracket that closes another
//! kind, a value where a comma or key must stand, a line break inside a string.
//!
//! Not here: what a value is for, and where to go on after a fault (`reader`).

/// Levels a record may nest. Deeper ones are scanned past, not parsed.
pub const DEPTH_MAX: u32 = 64;

/// How far a scan looks back from a bracket for the key before it.
pub(super) const LOOK_BACK_BYTES: usize = 96;

/// The last thing a scan saw outside strings and white space.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Prev {
    Start,
    Open,
    Comma,
    Colon,
    Value,
}

/// Where a scan stopped, as indexes into the piece it was fed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    /// The piece is used up.
    More,
    /// The value ended before this index.
    Done(usize),
    /// A list of records (`"Records": [`, `"Events": [`) begins at this index.
    Enters(usize),
    /// The brackets make no sense from this index on.
    Broken(usize, &'static str),
    /// The bracket before this index is one level too deep. Feeding on is allowed.
    TooDeep(usize),
    /// `{` inside the value, not yet taken: only in a wary scan. [`Scan::brace`] takes it.
    Brace(usize),
}

/// The place in one value.
#[derive(Debug, Clone)]
pub(super) struct Scan {
    depth: u64,
    /// Bit `n`: level `n + 1` is an object. Deeper levels are not told apart.
    objects: u64,
    prev: Prev,
    in_string: bool,
    escaped: bool,
    /// Whether `"Records"` and `"Events"` of the outermost object are looked for.
    watch: bool,
    told_deep: bool,
}

impl Scan {
    pub(super) fn new(watch: bool) -> Self {
        Self { depth: 0, objects: 0, prev: Prev::Start, in_string: false, escaped: false, watch, told_deep: false }
    }

    /// Goes on in an outer object after its list of records has ended.
    pub(super) fn leave_list(&mut self) {
        self.close();
    }

    /// Scans `data` from `at`. In a `WARY` scan every inner `{` is shown first. What stands before `at` is looked at for
    /// context, up to [`LOOK_BACK_BYTES`].
    pub(super) fn feed<const WARY: bool>(&mut self, data: &[u8], mut at: usize) -> Step {
        loop {
            if self.in_string {
                if self.escaped {
                    if at >= data.len() {
                        return Step::More;
                    }
                    self.escaped = false;
                    at += 1;
                }
                at = string_end(data, at);
                match data.get(at) {
                    None => return Step::More,
                    Some(b'"') => {
                        at += 1;
                        self.in_string = false;
                        self.prev = Prev::Value;
                        if self.depth == 0 {
                            return Step::Done(at);
                        }
                    }
                    Some(b'\\') => {
                        self.escaped = true;
                        at += 1;
                    }
                    Some(_) => return Step::Broken(at, "a line ends inside a string"),
                }
                continue;
            }
            let Some(&byte) = data.get(at) else { return Step::More };
            match byte {
                b'"' => {
                    if self.prev == Prev::Value {
                        return Step::Broken(at, "a `,` or a closing bracket is missing");
                    }
                    self.in_string = true;
                    at += 1;
                }
                b',' => {
                    self.prev = Prev::Comma;
                    at += 1;
                }
                b':' => {
                    self.prev = Prev::Colon;
                    at += 1;
                }
                b' ' => {
                    at += 1;
                    // Indented files are a third spaces.
                    while data.get(at..at + 8).is_some_and(|eight| eight == [b' '; 8]) {
                        at += 8;
                    }
                }
                b'\n' | b'\r' | b'\t' => at += 1,
                b'{' => {
                    if WARY && self.depth > 0 {
                        return Step::Brace(at);
                    }
                    match self.open(true) {
                        Err(fault) => return Step::Broken(at, fault),
                        Ok(()) => at += 1,
                    }
                    if self.newly_deep() {
                        return Step::TooDeep(at);
                    }
                }
                b'[' => {
                    let enters = self.watch && self.depth == 1 && names_records(data, at);
                    match self.open(false) {
                        Err(fault) => return Step::Broken(at, fault),
                        Ok(()) => at += 1,
                    }
                    if enters {
                        return Step::Enters(at);
                    }
                    if self.newly_deep() {
                        return Step::TooDeep(at);
                    }
                }
                b'}' | b']' => {
                    if !self.closes(byte == b'}') {
                        return Step::Broken(at, "a bracket closes one of another kind");
                    }
                    at += 1;
                    self.close();
                    if self.depth == 0 {
                        return Step::Done(at);
                    }
                }
                _ => {
                    self.prev = Prev::Value;
                    at += 1;
                }
            }
        }
    }

    /// Takes the `{` that a wary scan showed.
    pub(super) fn brace(&mut self) -> Result<(), &'static str> {
        self.open(true)
    }

    fn open(&mut self, object: bool) -> Result<(), &'static str> {
        match self.prev {
            Prev::Value => return Err("a `,` or a closing bracket is missing"),
            Prev::Open | Prev::Comma if self.inside_object() => return Err("a key is missing"),
            _ => {}
        }
        if self.depth < u64::from(DEPTH_MAX) {
            let bit = 1 << self.depth;
            if object {
                self.objects |= bit;
            } else {
                self.objects &= !bit;
            }
        }
        self.depth += 1;
        self.prev = Prev::Open;
        Ok(())
    }

    fn close(&mut self) {
        self.depth -= 1;
        self.prev = Prev::Value;
    }

    fn closes(&self, object: bool) -> bool {
        self.depth > u64::from(DEPTH_MAX) || (self.depth > 0 && object == self.inside_object())
    }

    fn inside_object(&self) -> bool {
        (1..=u64::from(DEPTH_MAX)).contains(&self.depth) && self.objects & (1 << (self.depth - 1)) != 0
    }

    fn newly_deep(&mut self) -> bool {
        let newly = self.depth > u64::from(DEPTH_MAX) && !self.told_deep;
        self.told_deep |= newly;
        newly
    }
}

/// Whether `text` nests no deeper than [`DEPTH_MAX`].
pub(super) fn fits_depth(text: &[u8]) -> bool {
    let mut scan = Scan::new(false);
    !matches!(scan.feed::<false>(text, 0), Step::TooDeep(_))
}

/// Whether the key before the bracket at `here` is one that lists of records have.
fn names_records(data: &[u8], here: usize) -> bool {
    let before = data[here.saturating_sub(LOOK_BACK_BYTES)..here].trim_ascii_end();
    let Some(key) = before.strip_suffix(b":").map(<[u8]>::trim_ascii_end) else { return false };
    let rest = key.strip_suffix(b"\"Records\"").or_else(|| key.strip_suffix(b"\"Events\""));
    rest.is_some_and(|rest| rest.last() != Some(&b'\\'))
}

/// The first `"`, `\` or line break at or after `at`, or the end. Eight bytes a step: strings are most of a record.
fn string_end(data: &[u8], mut at: usize) -> usize {
    const ONES: u64 = 0x0101_0101_0101_0101;
    const HIGHS: u64 = 0x8080_8080_8080_8080;
    // A set high bit marks a zero byte; bits above the lowest set one may be false, so only the lowest is believed.
    let zeros = |word: u64| word.wrapping_sub(ONES) & !word & HIGHS;
    while let Some(eight) = data.get(at..at + 8).and_then(|eight| <[u8; 8]>::try_from(eight).ok()) {
        let word = u64::from_le_bytes(eight);
        let found = zeros(word ^ (ONES * 0x22)) | zeros(word ^ (ONES * 0x5c)) | zeros(word ^ (ONES * 0x0a));
        if found != 0 {
            return at + (found.trailing_zeros() / 8) as usize;
        }
        at += 8;
    }
    data[at.min(data.len())..]
        .iter()
        .position(|byte| matches!(byte, b'"' | b'\\' | b'\n'))
        .map_or(data.len(), |found| at + found)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scan(text: &str) -> Step {
        Scan::new(true).feed::<false>(text.as_bytes(), 0)
    }

    #[test]
    fn a_value_ends_where_its_brackets_do_whatever_its_strings_hold() {
        assert_eq!(scan(r#"{"a":"}\"]","b":[{"c":1}]} {"#), Step::Done(26));
        assert_eq!(scan(r#""a\\" "#), Step::Done(5));
        assert_eq!(scan(r#"{"a":"#), Step::More);
        assert_eq!(scan(r#"{"x":1, "Records" : [{"#), Step::Enters(21));
        assert_eq!(scan(r#"{"x":{"Records":[1]}}"#), Step::Done(21));
        assert_eq!(scan(r#"{"RecordsX":[1]}"#), Step::Done(16));
        assert_eq!(scan(r#"{"\"Records":[1]}"#), Step::Done(17));
        for blanks in 0..140 {
            let text = format!(r#"{}{{"a\\":{}"\\\"}}" , "b":[ ]}} "#, " ".repeat(blanks), " ".repeat(blanks % 67));
            assert_eq!(Scan::new(true).feed::<false>(text.as_bytes(), blanks), Step::Done(text.len() - 1), "{text}");
        }
    }

    #[test]
    fn a_scan_fed_in_pieces_ends_where_the_whole_one_does() {
        let text = br#"{"a":"x\\\"y","bcdefghijklmnop":[1,2,{"q":"\u0022"}],"0123456789":"}\\","and":{"so":["on"]},"Records":[]}"#;
        let whole = Scan::new(true).feed::<false>(text, 0);
        assert!(matches!(whole, Step::Enters(_)));
        for cut in 0..text.len() {
            let mut scan = Scan::new(true);
            let step = match scan.feed::<false>(&text[..cut], 0) {
                // What came before is there to look back on, as the reader keeps it.
                Step::More => scan.feed::<false>(text, cut),
                step => step,
            };
            assert_eq!(step, whole, "cut at {cut}");
        }
    }

    #[test]
    fn doubtful_boundaries_are_noticed() {
        assert!(matches!(scan(r#"{"a":1]"#), Step::Broken(6, _)));
        assert!(matches!(scan("{\"a\":\"x\n\"}"), Step::Broken(7, _)));
        assert!(matches!(scan("{\"a\":{\"b\":1}\n{\"a\""), Step::Broken(13, _)));
        assert!(matches!(scan("{\"a\":1,\n{\"a\""), Step::Broken(8, _)));
        assert!(matches!(scan("{\"a\":\"b},{\"c\":1}"), Step::Broken(12, _)));
        assert!(matches!(scan(&"[".repeat(65)), Step::TooDeep(65)));
        assert!(matches!(scan(&"[".repeat(64)), Step::More));
    }
}
