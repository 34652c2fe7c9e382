//! tests/import.rs: what becomes of every record of a CloudTrail import, whole or not.
#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    clippy::format_collect,
    reason = "tests write the files they read"
)]

use flate2::Compression;
use flate2::write::GzEncoder;
use keyledger::ledger::import::reader::{Item, Reader};
use keyledger::ledger::import::{
    EvidenceSink, ImportCounts, ImportError, ImportOptions, Rejection, import_cloudtrail, uids,
};
use keyledger::model::{
    AccessKeyId, AccountId, Event, EvidenceRecord, Holder, IdentityKind, KeyOwner, Observed, Outcome, Rank, Time, codec,
};
use keyledger::sys::RealIo;
use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

const ACCOUNT: &str = "111122223333";

// What a test imports into and from

#[derive(Debug, thiserror::Error)]
#[error("the sink is full")]
struct Full;

#[derive(Default)]
struct VecSink {
    batches: Vec<(AccountId, String, Vec<Event>)>,
    batches_max: Option<usize>,
    known: Vec<[u8; 16]>,
}

impl EvidenceSink for VecSink {
    type Error = Full;

    fn known_ids(&mut self, add: &mut dyn FnMut([u8; 16])) -> Result<(), Full> {
        self.known.iter().for_each(|id| add(*id));
        Ok(())
    }

    fn batch(&mut self, account: AccountId, source: &str, events: Vec<Event>) -> Result<(), Full> {
        if self.batches_max == Some(self.batches.len()) {
            return Err(Full);
        }
        self.batches.push((account, source.to_owned(), events));
        Ok(())
    }
}

impl VecSink {
    fn events(&self) -> impl Iterator<Item = &Event> {
        self.batches.iter().flat_map(|(_, _, events)| events)
    }

    /// The events in the order they would be folded in, with their accounts: what must not depend on the order of import.
    fn folded(&self) -> Vec<(AccountId, Event)> {
        let mut all: Vec<_> = self
            .batches
            .iter()
            .flat_map(|(account, _, events)| events.iter().map(|event| (*account, event.clone())))
            .collect();
        all.sort_by_key(|(account, event)| (*account, record_of(event).order()));
        all
    }
}

fn record_of(event: &Event) -> &EvidenceRecord {
    match event {
        Event::EvidenceChanged(change) => &change.record,
        Event::EvidenceObserved(observed) => &observed.record,
        other => panic!("an import makes no {other:?}"),
    }
}

struct Imported {
    sink: VecSink,
    counts: ImportCounts,
    rejections: Vec<Rejection>,
}

fn import_with(paths: &[PathBuf], mut sink: VecSink, options: ImportOptions<'_>) -> Imported {
    let mut rejections = Vec::new();
    let counts = import_cloudtrail(&RealIo, paths, options, &mut sink, &mut |rejection| rejections.push(rejection))
        .expect("the import runs");
    assert_eq!(counts.records, counts.imported + counts.duplicates + counts.rejected, "{counts:?}");
    assert_eq!(counts.rejected, rejections.len() as u64);
    assert_eq!(counts.imported, sink.events().count() as u64);
    Imported { sink, counts, rejections }
}

fn import(paths: &[PathBuf]) -> Imported {
    import_with(paths, VecSink::default(), ImportOptions { threads: 2, ..ImportOptions::default() })
}

/// Imports one file with this content.
fn import_text(content: impl AsRef<[u8]>) -> Imported {
    let folder = TempDir::new().unwrap();
    import(&[write(&folder, "file", content)])
}

fn write(folder: &TempDir, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
    let path = folder.path().join(name);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(&path, content).unwrap();
    path
}

fn gzip(text: impl AsRef<[u8]>) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(text.as_ref()).unwrap();
    encoder.finish().unwrap()
}

/// A record of `n`: each its own event id and second.
fn record(n: u32) -> String {
    format!(
        r#"{{"eventVersion":"1.09","userIdentity":{{"type":"IAMUser","principalId":"AIDAEXAMPLE","arn":"arn:aws:iam::{ACCOUNT}:user/alice","accountId":"{ACCOUNT}","accessKeyId":"AKIAALICE00000000001","userName":"alice"}},"eventTime":"2026-03-01T{:02}:{:02}:{:02}Z","eventSource":"s3.amazonaws.com","eventName":"GetObject","awsRegion":"us-east-1","sourceIPAddress":"198.51.100.7","userAgent":"[aws-cli/2.15.30]","requestParameters":{{"bucketName":"reports","key":"a \"quoted\" {{name}}/{n}"}},"responseElements":null,"additionalEventData":{{"bytesTransferredIn":0,"bytesTransferredOut":{n}}},"requestID":"R{n}","eventID":"00000000-0000-4000-8000-{n:012}","readOnly":true,"recipientAccountId":"{ACCOUNT}"}}"#,
        n / 3600 % 24,
        n / 60 % 60,
        n % 60
    )
}

/// An IAM call by alice, with these parameters and answer.
fn call(name: &str, parameters: &str, answer: &str) -> String {
    format!(
        r#"{{"eventTime":"2026-03-01T09:00:00Z","eventSource":"iam.amazonaws.com","eventName":"{name}","awsRegion":"us-east-1","eventID":"{}","userIdentity":{{"type":"IAMUser","accountId":"{ACCOUNT}","accessKeyId":"AKIAALICE00000000001","userName":"alice"}},"requestParameters":{parameters},"responseElements":{answer},"recipientAccountId":"{ACCOUNT}"}}"#,
        blake3::hash(format!("{name}{parameters}{answer}").as_bytes()).to_hex()
    )
}

fn records(numbers: impl IntoIterator<Item = u32>) -> Vec<String> {
    numbers.into_iter().map(record).collect()
}

/// The numbers of the records that were imported, in order of arrival.
fn numbers(imported: &Imported) -> Vec<u64> {
    imported.sink.events().map(|event| observed(event).bytes_out).collect()
}

fn observed(event: &Event) -> &Observed {
    match event {
        Event::EvidenceObserved(observed) => observed,
        other => panic!("not observed: {other:?}"),
    }
}

fn account() -> AccountId {
    AccountId::parse(ACCOUNT).unwrap()
}

// Formats

#[test]
fn every_format_gives_the_same_events() {
    let list = records(1..=5);
    let lookup = |records: &[String]| {
        let events: Vec<_> = records
            .iter()
            .map(|record| serde_json::json!({"EventId": "x", "Username": "alice", "CloudTrailEvent": record}))
            .collect();
        serde_json::json!({"Events": events, "NextToken": "more [{"}).to_string()
    };
    let pretty =
        |text: &str| serde_json::to_string_pretty(&serde_json::from_str::<serde_json::Value>(text).unwrap()).unwrap();
    let array = format!("[{}]", list.join(","));
    let envelope = format!("{{\"Records\":{array}}}");
    let files: Vec<(&str, Vec<u8>)> = vec![
        ("records", envelope.clone().into()),
        ("records, pretty", pretty(&envelope).into()),
        (
            "records after other fields",
            format!("{{\"a\":{{\"Records\":[1]}},\"b\":[],\"Records\":{array},\"c\":1}}").into(),
        ),
        ("array", array.clone().into()),
        ("array, pretty", pretty(&array).into()),
        ("lines", list.join("\n").into()),
        ("lines with CRLF and empty lines", (list.join("\r\n\r\n") + "\r\n").into()),
        ("lines of envelopes", list.iter().map(|r| format!("{{\"Records\":[{r}]}}\n")).collect::<String>().into()),
        ("lines of arrays", list.iter().map(|r| format!("[{r}]\n")).collect::<String>().into()),
        ("one after another", list.concat().into()),
        ("pretty objects", list.iter().map(|r| pretty(r) + "\n").collect::<String>().into()),
        ("lookup-events", lookup(&list).into()),
        ("lookup-events, pretty", pretty(&lookup(&list)).into()),
        ("lookup-events, two answers", format!("{}\n{}", lookup(&list[..2]), lookup(&list[2..])).into()),
        ("with a byte order mark", format!("\u{feff}{envelope}").into()),
        ("gzip", gzip(&envelope)),
        ("gzip of several members", [gzip(list[..2].join("\n")), gzip("\n"), gzip(list[2..].join("\n"))].concat()),
    ];
    let expected = import_text(list.join("\n")).sink.folded();
    assert_eq!(expected.len(), 5);
    for (name, content) in files {
        let imported = import_text(content);
        assert_eq!(imported.rejections, [], "{name}");
        assert_eq!(imported.sink.folded(), expected, "{name}");
    }
    let single = import_text(pretty(&list[0]));
    assert_eq!(single.sink.folded(), expected[..1]);
}

#[test]
fn an_empty_file_or_list_holds_no_records() {
    for content in ["", " \n\n", "[]", "{\"Records\":[]}", "{\"Events\":[],\"NextToken\":\"x\"}"] {
        assert_eq!(import_text(content).counts, ImportCounts::default(), "{content:?}");
    }
    assert_eq!(import_text(gzip("")).counts, ImportCounts::default());
}

#[test]
fn shuffled_and_doubled_files_give_the_same_set_of_events_with_any_number_of_threads() {
    let folder = TempDir::new().unwrap();
    let all = records(0..4_000);
    let mut paths = Vec::new();
    for (index, part) in all.chunks(300).enumerate() {
        let text = format!("{{\"Records\":[{}]}}", part.join(","));
        paths.push(match index % 2 {
            0 => write(&folder, &format!("{index}.json"), text),
            _ => write(&folder, &format!("{index}.json.gz"), gzip(text)),
        });
    }
    let first = import(&paths);
    assert_eq!(first.counts, ImportCounts { records: 4_000, imported: 4_000, ..ImportCounts::default() });
    assert_eq!(numbers(&first), (0..4_000).collect::<Vec<_>>(), "one account: the order of the files");

    let mut shuffled: Vec<_> = paths.iter().rev().chain(&paths).cloned().collect();
    shuffled.swap(3, 9);
    let mut batches = Vec::new();
    for threads in [1, 2, 7] {
        let options = ImportOptions { threads, ..ImportOptions::default() };
        let imported = import_with(&shuffled, VecSink::default(), options);
        let counts = ImportCounts { records: 8_000, imported: 4_000, duplicates: 4_000, rejected: 0 };
        assert_eq!(imported.counts, counts);
        assert_eq!(imported.sink.folded(), first.sink.folded());
        batches.push(imported.sink.batches);
    }
    assert!(batches.iter().all(|other| *other == batches[0]), "the same batches whatever the number of threads");
}

#[test]
fn what_is_already_there_is_a_duplicate_so_an_import_that_was_cut_off_can_be_repeated() {
    let folder = TempDir::new().unwrap();
    let path = write(&folder, "logs.json", format!("[{}]", records(0..2_000).join(",")));
    let mut sink = VecSink { batches_max: Some(2), ..VecSink::default() };
    let paths = [path];
    let result = import_cloudtrail(&RealIo, &paths, ImportOptions::default(), &mut sink, &mut |_| {});
    assert!(matches!(result, Err(ImportError::Sink(Full))));
    let there: Vec<_> = sink.events().map(|event| record_of(event).event_id).collect();
    assert!(!there.is_empty() && there.len() < 2_000);

    let again = VecSink { known: there.clone(), ..VecSink::default() };
    let resumed = import_with(&paths, again, ImportOptions::default());
    assert_eq!(resumed.counts.duplicates, there.len() as u64);
    assert_eq!(resumed.counts.imported, 2_000 - there.len() as u64);
}

// Paths

#[test]
fn folders_are_walked_for_files_that_look_like_records_and_patterns_take_what_they_match() {
    let folder = TempDir::new().unwrap();
    write(&folder, "b/2026/03/2.json.gz", gzip(record(2)));
    write(&folder, "b/2026/03/3.JSONL", record(3));
    write(&folder, "b/README.md", "no records");
    write(&folder, "b/.hidden.json", record(9));
    write(&folder, "a/1.json", record(1));
    write(&folder, "a/4.log", record(4));
    write(&folder, "a/[x].json", record(5));
    let at = |name: &str| folder.path().join(name);
    assert_eq!(numbers(&import(&[at("")])).sorted(), [1, 2, 3, 5]);
    assert_eq!(numbers(&import(&[at("a/4.log"), at("b")])), [4, 2, 3]);
    assert_eq!(numbers(&import(&[at("a/*")])).sorted(), [1, 4, 5]);
    assert_eq!(numbers(&import(&[at("b/*/03/*.gz")])), [2]);
    assert_eq!(numbers(&import(&[at("**/*.json")])).sorted(), [1, 5]);
    assert_eq!(numbers(&import(&[at("b/20*")])), [2, 3], "a folder that matches is taken whole");
    assert_eq!(numbers(&import(&[at("a/[x].json")])), [5], "a file of that very name goes before the pattern");
}

trait Sorted {
    fn sorted(self) -> Vec<u64>;
}
impl<T: AsRef<[u64]>> Sorted for T {
    fn sorted(self) -> Vec<u64> {
        let mut all = self.as_ref().to_vec();
        all.sort_unstable();
        all
    }
}

#[test]
fn a_path_that_means_nothing_is_an_error_before_anything_is_imported() {
    let folder = TempDir::new().unwrap();
    let good = write(&folder, "good.json", record(1));
    let error = |path: PathBuf| {
        let mut sink = VecSink::default();
        let paths = [good.clone(), path];
        let error = import_cloudtrail(&RealIo, &paths, ImportOptions::default(), &mut sink, &mut |_| {}).unwrap_err();
        assert!(sink.batches.is_empty());
        error
    };
    assert!(matches!(error(folder.path().join("none.json")), ImportError::NotFound { .. }));
    assert!(matches!(error(folder.path().join("*.gz")), ImportError::NothingMatches { .. }));
    assert!(matches!(error(folder.path().join("a[.gz")), ImportError::BadPattern { .. }));
}

// Bad input

/// Where and why: offset, number and the reason.
fn places(imported: &Imported) -> Vec<(u64, u64, &str)> {
    imported.rejections.iter().map(|r| (r.offset, r.record, r.reason.as_str())).collect()
}

#[test]
fn a_broken_line_is_rejected_with_its_place_and_the_lines_around_it_go_in() {
    let (one, two, three) = (record(1), record(2), record(3));
    let second = one.len() as u64 + 1;
    for (broken, reason) in [
        ("{\"eventTime\":\"2026", "a line ends inside a string"),
        ("{\"a\":{\"b\":1}", "a `,` or a closing bracket is missing"),
        ("{\"a\":1]", "a bracket closes one of another kind"),
        ("{\"a\":1,", "a key is missing"),
        ("{\"a\":tru}", "expected ident"),
        ("{\"a\" 1}", "expected `:`"),
        ("{}", "`eventTime` is missing"),
        ("rubbish, not JSON", "not a record: found `r`"),
        ("\"text\"", "not a record: found `\"`"),
        ("\u{0}\u{1b}[2J", "not a record: found `\\u{0}`"),
    ] {
        let imported = import_text(format!("{one}\n{broken}\n{two}\n{three}\n"));
        assert_eq!(numbers(&imported), [1, 2, 3], "{broken}");
        let found = places(&imported);
        assert_eq!(found.len(), 1, "{broken}: {found:?}");
        assert_eq!((found[0].0, found[0].1), (second, 2), "{broken}");
        assert!(found[0].2.contains(reason), "{broken}: {}", found[0].2);
    }
}

#[test]
fn a_broken_element_of_a_list_is_rejected_with_its_place_and_the_elements_around_it_go_in() {
    let (one, two) = (record(1), record(2));
    for broken in [
        "{\"eventVersion\":}",
        "{\"eventVersion\":\"1.09\",\"a\":{\"b\":1}",
        "{\"eventVersion\":\"1.09\" \"a\":1}",
        "{\"eventVersion\":\"1.0",
        "{\"eventVersion\":[1}",
        "[1,2]",
        "\"text\"",
        "12",
        "null",
    ] {
        for (before, after) in
            [("{\"Records\":[", "]}"), ("[\n", "\n]\n"), ("{\"x\":0, \"Records\": [ ", " ] , \"y\":1}")]
        {
            let imported = import_text(format!("{before}{one},{broken},{two}{after}"));
            assert_eq!(numbers(&imported), [1, 2], "{broken}");
            let found = places(&imported);
            assert_eq!(found.len(), 1, "{broken}: {found:?}");
            assert_eq!((found[0].0, found[0].1), ((before.len() + one.len() + 1) as u64, 2), "{broken}: {found:?}");
        }
    }
}

#[test]
fn a_byte_where_the_json_is_broken_is_named_in_the_file() {
    let imported = import_text(format!("{}\n{{\"eventTime\":\"x\",\n\n\"b\":truX}}\n", record(1)));
    let second = record(1).len() + 1;
    let text = "{\"eventTime\":\"x\",\n\n\"b\":tru";
    assert_eq!(imported.rejections.len(), 1);
    let reason = &imported.rejections[0].reason;
    assert!(reason.ends_with(&format!("at byte {}", second + text.len())), "{reason}");
}

#[test]
fn wrong_types_and_values_are_rejected_naming_the_field() {
    let good = record(7);
    for (from, to, reason) in [
        ("\"2026-03-01T00:00:07Z\"", "17", "`eventTime` should be text but is a number"),
        ("\"2026-03-01T00:00:07Z\"", "\"yesterday\"", "`eventTime`: time `yesterday` is not valid"),
        ("\"2026-03-01T00:00:07Z\"", "null", "`eventTime` is missing"),
        ("\"GetObject\"", "[\"GetObject\"]", "`eventName` should be text but is a list"),
        ("\"s3.amazonaws.com\"", "{}", "`eventSource` should be text but is an object"),
        ("\"readOnly\":true", "\"readOnly\":1", "`readOnly` should be true or false but is a number"),
        ("\"198.51.100.7\"", "false", "`sourceIPAddress` should be text but is true or false"),
        ("\"AKIAALICE00000000001\"", "\"AKIA\"", "`userIdentity.accessKeyId`: access key id `AKIA` is not valid"),
        ("\"alice\"", "3", "`userIdentity.userName` should be text but is a number"),
        (
            "\"recipientAccountId\":\"111122223333\"",
            "\"recipientAccountId\":\"12\"",
            "`recipientAccountId`: account id `12`",
        ),
    ] {
        let bad = good.replacen(from, to, 1);
        assert_ne!(bad, good);
        let imported = import_text(format!("[{},{bad}]", record(1)));
        assert_eq!(numbers(&imported), [1]);
        assert!(places(&imported)[0].2.starts_with(reason), "{:?}", places(&imported));
    }
    let identity = good.find("\"userIdentity\"").unwrap()..good.find(",\"eventTime\"").unwrap();
    let mut bad = good.clone();
    bad.replace_range(identity.clone(), "\"userIdentity\":\"alice\"");
    assert_eq!(places(&import_text(&bad))[0].2, "`userIdentity` should be an object but is text");
    bad = good.replace(",\"recipientAccountId\":\"111122223333\"", "");
    assert_eq!(import_text(&bad).sink.batches[0].0, account(), "the account of the identity");
    bad.replace_range(identity, "\"userIdentity\":{}");
    assert!(places(&import_text(&bad))[0].2.starts_with("no account"));
}

#[test]
fn a_truncated_gzip_gives_what_was_before_and_one_rejection() {
    let text = format!("{{\"Records\":[{}]}}", records(0..3_000).join(","));
    let whole = gzip(&text);
    for keep in [whole.len() / 2, whole.len() - 9, whole.len() - 2, 40] {
        let imported = import_text(&whole[..keep]);
        let found = places(&imported);
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(found[0].2.starts_with("the gzip data ends early"), "{found:?}");
        let count = imported.counts.imported;
        assert_eq!(numbers(&imported), (0..count).collect::<Vec<_>>());
        assert_eq!(found[0].1, count + 1);
        if keep == whole.len() / 2 {
            assert!((1_000..2_000).contains(&count), "{count}");
            assert_eq!(found[0].0, text.find(&record(u32::try_from(count).unwrap())).unwrap() as u64);
        }
    }
    let mut damaged = whole.clone();
    damaged[whole.len() / 2] ^= 0x55;
    damaged[whole.len() / 2 + 1] ^= 0x55;
    let imported = import_text(damaged);
    assert!(imported.counts.imported > 500);
    assert!(imported.rejections.iter().any(|r| r.reason.contains("gzip data")), "{:?}", imported.rejections.last());
}

#[test]
fn a_plain_file_that_ends_early_says_so_once() {
    let text = format!("{{\"Records\":[{}]}}", records(0..10).join(","));
    let imported = import_text(&text[..text.len() - 300]);
    assert_eq!(numbers(&imported), (0..9).collect::<Vec<_>>());
    assert_eq!(places(&imported)[0].2, "the file ends in the middle of this record");
    let imported = import_text(&text[..text.len() - 2]);
    assert_eq!(numbers(&imported), (0..10).collect::<Vec<_>>());
    assert_eq!(places(&imported), [(text.len() as u64 - 2, 11, "the file ends before its list does")]);
}

#[test]
fn deep_nesting_is_rejected_and_the_rest_goes_in() {
    let nest = |levels: usize| format!("{{\"a\":{}{}}}", "[".repeat(levels), "]".repeat(levels));
    let objects = |levels: usize| format!("{}1{}", "{\"a\":".repeat(levels), "}".repeat(levels));
    for deep in [nest(64), nest(100_000), objects(65), objects(100_000), nest(2_000_000)] {
        for (before, between, after) in [("", "\n", "\n"), ("[", ",", "]"), ("{\"Records\":[", ",", "]}")] {
            let imported = import_text(format!("{before}{}{between}{deep}{between}{}{after}", record(1), record(2)));
            assert_eq!(numbers(&imported), [1, 2]);
            let offset = (before.len() + record(1).len() + 1) as u64;
            assert_eq!(places(&imported), [(offset, 2, "nested deeper than 64 levels")]);
        }
    }
    // Brackets that never close take their line, and in a list what stands before the next record.
    for (before, between, after) in [("", "\n", "\n"), ("{\"Records\":[", ",", "]}")] {
        let open = "{\"a\":".to_owned() + &"[".repeat(100_000);
        let imported = import_text(format!("{before}{}{between}{open}{between}{}{after}", record(1), record(2)));
        assert_eq!(numbers(&imported), [1, 2]);
    }
    let allowed = record(1).replacen("\"responseElements\":null", &format!("\"responseElements\":{}", nest(62)), 1);
    assert_eq!(import_text(allowed).counts.imported, 1);
    let inner = serde_json::json!({"CloudTrailEvent": nest(500)}).to_string();
    assert_eq!(places(&import_text(inner))[0].2, "`CloudTrailEvent` is nested too deep");
}

#[test]
fn a_huge_line_is_rejected_while_memory_stays_flat_and_the_lines_around_it_go_in() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("huge.jsonl");
    let mut file = std::io::BufWriter::new(std::fs::File::create(&path).unwrap());
    let huge_bytes = 64 << 20;
    writeln!(file, "{}", record(1)).unwrap();
    write!(file, "{{\"eventTime\":\"").unwrap();
    for _ in 0..huge_bytes / 1024 {
        file.write_all(&[b'x'; 1024]).unwrap();
    }
    writeln!(file, "\"}}\n{}", record(2)).unwrap();
    // Never closed: ends with its line.
    write!(file, "{{\"a\":[{{\"b\":[").unwrap();
    for _ in 0..huge_bytes / 1024 {
        file.write_all(b"[1,{\"q\":\"\\\\\"},2],".repeat(60).as_slice()).unwrap();
    }
    writeln!(file, "\n{}", record(3)).unwrap();
    drop(file);
    let second = record(1).len() as u64 + 1;
    let options = ImportOptions { threads: 2, record_bytes_max: 4_096, ..ImportOptions::default() };
    let imported = import_with(std::slice::from_ref(&path), VecSink::default(), options);
    assert_eq!(numbers(&imported), [1, 2, 3]);
    let found = places(&imported);
    assert_eq!(found[0], (second, 2, "longer than 4096 bytes"));
    assert_eq!((found.len(), found[1].1, found[1].2), (2, 4, "longer than 4096 bytes"));

    // The reader itself never holds more than a record's bound and a piece of the file.
    let mut reader = Reader::open(&RealIo, &path, 4_096);
    let mut buffer = Vec::new();
    let mut largest = 0;
    while let Some(block) = reader.next_block(std::mem::take(&mut buffer)) {
        largest = largest.max(block.data.capacity());
        buffer = block.data;
    }
    assert!(largest < 1 << 20, "{largest} bytes held");
}

#[test]
fn a_record_is_bounded_at_exactly_its_bound() {
    let text = record(1);
    for (bound, imported) in [(text.len(), 1), (text.len() - 1, 0)] {
        let folder = TempDir::new().unwrap();
        let path = write(&folder, "file", &text);
        let options = ImportOptions { record_bytes_max: bound, ..ImportOptions::default() };
        assert_eq!(import_with(&[path], VecSink::default(), options).counts.imported, imported);
    }
}

#[test]
fn an_unreadable_file_among_others_is_one_rejection() {
    let folder = TempDir::new().unwrap();
    write(&folder, "1.json", record(1));
    std::os::unix::fs::symlink("/nowhere", folder.path().join("2.json")).unwrap();
    write(&folder, "3.json", record(3));
    let imported = import(&[folder.path().to_owned()]);
    assert_eq!(numbers(&imported), [1, 3]);
    assert_eq!(imported.rejections.len(), 1);
    assert_eq!(imported.rejections[0].file, folder.path().join("2.json"));
    assert!(imported.rejections[0].reason.starts_with("the file could not be opened"));
}

#[test]
fn no_prefix_cut_or_flipped_byte_makes_an_import_panic_or_lose_count() {
    let mut text = format!("{{\"x\":[],\"Records\":[{}]}}\n", records(1..4).join(",\n"));
    text += &records(4..6).join("\n");
    let bytes = text.as_bytes();
    let mut seed = 7_u64;
    for round in 0..1_500 {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let at = (seed >> 33) as usize % bytes.len();
        let mut bad = bytes.to_vec();
        match round % 4 {
            0 => bad.truncate(at),
            1 => bad[at] ^= 1 << (seed % 8),
            2 => bad[at] = b"{}[]\",:\\\n"[(seed % 9) as usize],
            _ => drop(bad.drain(at..(at + (seed % 40) as usize).min(bytes.len()))),
        }
        let folder = TempDir::new().unwrap();
        let imported = import(&[write(&folder, "file", &bad)]);
        assert!(imported.counts.records > 0 || at < 2, "round {round}");
    }
}

#[test]
fn where_the_pieces_of_a_file_are_cut_makes_no_difference() {
    let mut seed = 11_u64;
    let mut dice = move |below: usize| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (seed >> 33) as usize % below
    };
    let tokens =
        ["{", "}", "[", "]", "\"", ",", ":", "\\", "\n", "\n{", "{\"eventVersion\":", "\"Records\":[", " ", "x", "[[["];
    let deep = "[".repeat(70);
    for round in 0..60 {
        let (before, between, after) =
            [("{\"Records\":[", ",", "]}"), ("", "\n", "\n"), ("[\n", ",\n  ", "\n]\n{\"Events\":[]}")][round % 3];
        let mut text = before.to_owned() + &records(0..700).join(between) + after;
        for _ in 0..dice(12) {
            let at = dice(text.len());
            match dice(4) {
                0 => text.insert_str(at, tokens[dice(tokens.len())]),
                1 => text.insert_str(at, &deep),
                2 => drop(text.drain(at..(at + dice(3)).min(text.len()))),
                _ => drop(text.drain(at..(at + dice(3_000)).min(text.len()))),
            }
        }
        let folder = TempDir::new().unwrap();
        let mut seen: Option<Vec<String>> = None;
        for shift in [0, 1, 7, 40 + dice(1_000)] {
            // Blanks in front move every cut of the file through its content.
            let path = write(&folder, "file", " ".repeat(shift) + &text);
            let mut reader = Reader::open(&RealIo, &path, 1 << 20);
            let mut items = Vec::new();
            while let Some(block) = reader.next_block(Vec::new()) {
                for item in &block.items {
                    items.push(match item {
                        Item::Record { start, end } => {
                            format!("{} {}", block.base + *start as u64 - shift as u64, end - start)
                        }
                        Item::Rejected { offset, reason } => {
                            // Faults are told with places of their own.
                            let what = reason.split(" at byte ").next().unwrap_or_default();
                            format!("{} {what}", offset - shift as u64)
                        }
                    });
                }
            }
            match &seen {
                None => seen = Some(items),
                Some(first) => assert_eq!(&items, first, "round {round}, shifted by {shift}"),
            }
        }
    }
}

// What a record becomes

#[test]
fn a_data_event_keeps_who_whence_what_and_how_much() {
    let imported = import_text(record(3_661));
    let observed = observed(imported.sink.events().next().unwrap());
    let record = &observed.record;
    assert_eq!(record.effective_at, Time::parse("2026-03-01T01:01:01Z").unwrap());
    assert_eq!(record.event_id[15], 0x61);
    assert_eq!(record.rank, Rank::Observed);
    assert_eq!(record.identity.kind, IdentityKind::User);
    assert_eq!(record.identity.name, "alice");
    assert_eq!(record.identity.key.as_ref().unwrap().as_str(), "AKIAALICE00000000001");
    assert_eq!((record.service(), record.region.as_str(), record.read_only), ("s3", "us-east-1", true));
    assert_eq!(observed.bucket.as_ref().unwrap().as_str(), "reports");
    assert_eq!(observed.resource.as_deref(), Some("a \"quoted\" {name}/3661"));
    assert_eq!(observed.bytes_out, 3_661);
}

fn changes(record: &str) -> (Rank, Vec<Event>) {
    let imported = import_text(record);
    assert_eq!(imported.rejections, []);
    match imported.sink.events().next().unwrap() {
        Event::EvidenceChanged(change) => {
            let real = change.changes.iter().filter(|event| !uids::is_mention(&change.record, event));
            (change.record.rank, real.cloned().collect())
        }
        other => panic!("changed nothing: {other:?}"),
    }
}

#[test]
fn successful_calls_become_the_events_of_commands() {
    let user = uids::user(account(), "Bob");
    let group = uids::group(account(), "ops");
    let admin = uids::policy("arn:aws:iam::aws:policy/AdministratorAccess");
    let own = uids::policy("arn:aws:iam::111122223333:policy/team/deploy");
    let key = |id: &str| uids::key(&AccessKeyId::parse(id).unwrap());

    let (rank, events) = changes(&call(
        "CreateUser",
        r#"{"userName":"bob","path":"/team/","tags":[{"key":"a","value":"b"}],"permissionsBoundary":"arn:aws:iam::aws:policy/ReadOnlyAccess"}"#,
        r#"{"user":{"path":"/team/","userName":"bob"}}"#,
    ));
    assert_eq!(rank, Rank::CreateNoun);
    assert!(matches!(&events[0], Event::UserCreated { user: u, name, path, tags, .. }
        if *u == user && name == "bob" && path == "/team/" && tags["a"] == "b"));
    assert!(matches!(&events[1], Event::UserBoundarySet { after: Some(_), .. }));

    let (rank, events) = changes(&call(
        "CreateAccessKey",
        r#"{"userName":"bob"}"#,
        r#"{"accessKey":{"userName":"bob","accessKeyId":"AKIABOB0000000000001","status":"Active"}}"#,
    ));
    assert_eq!(rank, Rank::CreateKey);
    let [Event::KeyCreated(created)] = events.as_slice() else { panic!("{events:?}") };
    assert_eq!(created.key, key("AKIABOB0000000000001"));
    assert_eq!(created.owner, KeyOwner::User(user));
    assert_eq!(created.made_by, Some(key("AKIAALICE00000000001")));

    // Without a name: the caller's own.
    let answer = r#"{"accessKey":{"accessKeyId":"AKIAALICE00000000002"}}"#;
    let (_, events) = changes(&call("CreateAccessKey", "null", answer));
    let [Event::KeyCreated(created)] = events.as_slice() else { panic!("{events:?}") };
    assert_eq!(created.owner, KeyOwner::User(uids::user(account(), "alice")));
    let root = call("CreateAccessKey", "null", answer).replacen("IAMUser", "Root", 1);
    let (_, events) = changes(&root);
    assert!(matches!(events.as_slice(), [Event::KeyCreated(created)] if created.owner == KeyOwner::Org));

    let simple = |name: &str, parameters: &str| changes(&call(name, parameters, "null"));
    let bob_key = r#"{"userName":"bob","accessKeyId":"AKIABOB0000000000001","status":"Inactive"}"#;
    let bob = key("AKIABOB0000000000001");
    assert_eq!(
        simple("UpdateAccessKey", bob_key),
        (Rank::Update, vec![Event::KeySuspended { key: bob, by_admin: true }])
    );
    let active = &bob_key.replace("Inactive", "Active");
    assert_eq!(simple("UpdateAccessKey", active), (Rank::Update, vec![Event::KeyResumed { key: bob }]));
    let (rank, events) = simple("UpdateAccessKey", r#"{"accessKeyId":"AKIAALICE00000000001","status":"Inactive"}"#);
    assert_eq!(rank, Rank::Update);
    assert!(matches!(events[0], Event::KeySuspended { by_admin: false, .. }));
    let (rank, events) = simple("DeleteAccessKey", bob_key);
    assert!(rank == Rank::Delete && matches!(&events[0], Event::KeyDeleted { key, .. } if *key == bob));

    let attach = r#"{"userName":"bob","policyArn":"arn:aws:iam::aws:policy/AdministratorAccess"}"#;
    let attached = Event::PolicyAttached { policy: admin, holder: Holder::User(user) };
    assert_eq!(simple("AttachUserPolicy", attach), (Rank::PutOrAttach, vec![attached]));
    let detached = Event::PolicyDetached { policy: admin, holder: Holder::User(user) };
    assert_eq!(simple("DetachUserPolicy", attach), (Rank::Detach, vec![detached]));
    let attach = r#"{"groupName":"Ops","policyArn":"arn:aws:iam::111122223333:policy/team/deploy"}"#;
    let attached = Event::PolicyAttached { policy: own, holder: Holder::Group(group) };
    assert_eq!(simple("AttachGroupPolicy", attach), (Rank::PutOrAttach, vec![attached]));

    let (rank, events) = changes(&call(
        "CreatePolicy",
        r#"{"policyName":"deploy","path":"/team/","policyDocument":"{}","description":"d"}"#,
        r#"{"policy":{"arn":"arn:aws:iam::111122223333:policy/team/deploy"}}"#,
    ));
    assert!(
        rank == Rank::CreateNoun
            && matches!(&events[0], Event::PolicyCreated { policy, path, .. } if *policy == own && path == "/team/")
    );
    let deploy = r#"{"policyArn":"arn:aws:iam::111122223333:policy/team/deploy","policyDocument":"{}","setAsDefault":true,"versionId":"v2"}"#;
    let (_, events) = changes(&call(
        "CreatePolicyVersion",
        deploy,
        r#"{"policyVersion":{"versionId":"v2","isDefaultVersion":true}}"#,
    ));
    assert!(
        matches!(&events[0], Event::PolicyVersionCreated { policy, version: 2, is_default: true, .. } if *policy == own)
    );
    assert_eq!(
        simple("SetDefaultPolicyVersion", deploy).1,
        [Event::PolicyDefaultSet { policy: own, before: 0, after: 2 }]
    );
    assert_eq!(
        simple("DeletePolicyVersion", deploy),
        (Rank::Detach, vec![Event::PolicyVersionDeleted { policy: own, version: 2 }])
    );
    let deleted = Event::PolicyDeleted { policy: own, name: "deploy".into(), forced: false };
    assert_eq!(simple("DeletePolicy", deploy), (Rank::Delete, vec![deleted]));

    let inline = r#"{"userName":"bob","policyName":"p","policyDocument":"{\"a\":1}"}"#;
    let put = Event::InlinePolicyPut {
        holder: Holder::User(user),
        name: "p".into(),
        before: None,
        document: "{\"a\":1}".into(),
    };
    assert_eq!(simple("PutUserPolicy", inline), (Rank::PutOrAttach, vec![put]));
    assert!(matches!(simple("DeleteUserPolicy", inline).1[0], Event::InlinePolicyDeleted { .. }));
    assert!(matches!(simple("PutGroupPolicy", r#"{"groupName":"ops","policyName":"p","policyDocument":"{}"}"#).1[0],
        Event::InlinePolicyPut { holder: Holder::Group(g), .. } if g == group));

    let member = r#"{"userName":"BOB","groupName":"ops"}"#;
    assert_eq!(simple("AddUserToGroup", member).1, [Event::GroupMemberAdded { group, user }]);
    assert_eq!(simple("RemoveUserFromGroup", member).1, [Event::GroupMemberRemoved { group, user }]);
    assert!(matches!(simple("CreateGroup", r#"{"groupName":"ops"}"#).1[0], Event::GroupCreated { .. }));
    let renamed = Event::GroupRenamed { group, before: "ops".into(), after: "sre".into() };
    assert_eq!(simple("UpdateGroup", r#"{"groupName":"ops","newGroupName":"sre"}"#).1, [renamed]);
    assert!(matches!(simple("DeleteGroup", r#"{"groupName":"ops"}"#).1[0], Event::GroupDeleted { .. }));

    let (rank, events) = simple("UpdateUser", r#"{"userName":"bob","newUserName":"rob","newPath":"/x/"}"#);
    assert_eq!(rank, Rank::Update);
    assert!(matches!(&events[0], Event::UserMoved { user: u, after, .. } if *u == user && after == "/x/"));
    assert_eq!(events[1], Event::UserRenamed { user, before: "bob".into(), after: "rob".into() });
    assert_eq!(simple("DeleteUser", r#"{"userName":"bob"}"#).1, [Event::UserDeleted { user, name: "bob".into() }]);
    let boundary = r#"{"userName":"bob","permissionsBoundary":"arn:aws:iam::aws:policy/AdministratorAccess"}"#;
    assert_eq!(
        simple("PutUserPermissionsBoundary", boundary).1,
        [Event::UserBoundarySet { user, before: None, after: Some(admin) }]
    );
    assert_eq!(
        simple("DeleteUserPermissionsBoundary", boundary).1,
        [Event::UserBoundarySet { user, before: None, after: None }]
    );
    let tagged = simple("TagUser", r#"{"userName":"bob","tags":[{"key":"k\u202e","value":""}]}"#).1;
    assert!(matches!(&tagged[0], Event::UserTagged { set, .. } if set.contains_key("k\\u{202e}")), "{tagged:?}");
    assert!(
        matches!(&simple("UntagUser", r#"{"userName":"bob","tagKeys":["k"]}"#).1[0], Event::UserTagged { removed, .. } if removed.len() == 1)
    );
}

#[test]
fn lightsail_keys_belong_to_their_bucket_and_buckets_come_and_go() {
    let lightsail = |name: &str, parameters: &str, answer: &str| {
        changes(&call(name, parameters, answer).replacen("iam.amazonaws.com", "lightsail.amazonaws.com", 1))
    };
    let answer = r#"{"accessKey":{"accessKeyId":"AKIALIGHT00000000001","status":"Active"}}"#;
    let (rank, events) = lightsail("CreateBucketAccessKey", r#"{"bucketName":"media"}"#, answer);
    let [Event::KeyCreated(created)] = events.as_slice() else { panic!("{events:?}") };
    assert!(rank == Rank::CreateKey && matches!(&created.owner, KeyOwner::Bucket(name) if name.as_str() == "media"));
    assert_eq!(created.grants.len(), 1);
    let parameters = r#"{"bucketName":"media","accessKeyId":"AKIALIGHT00000000001"}"#;
    assert!(matches!(lightsail("DeleteBucketAccessKey", parameters, "null").1[0], Event::KeyDeleted { .. }));
    assert!(matches!(lightsail("CreateBucket", parameters, "null").1[0], Event::BucketRegistered { .. }));
    assert!(matches!(lightsail("DeleteBucket", parameters, "null").1[0], Event::BucketForgotten { .. }));
}

#[test]
fn a_change_mentions_the_nouns_it_speaks_of_by_name() {
    let imported = import_text(call(
        "AttachUserPolicy",
        r#"{"userName":"bob","policyArn":"arn:aws:iam::aws:policy/job-function/SomethingElse"}"#,
        "null",
    ));
    let Some(Event::EvidenceChanged(change)) = imported.sink.events().next() else { panic!() };
    assert_eq!(change.changes.len(), 3);
    assert!(
        matches!(&change.changes[0], Event::UserRenamed { before, after, .. } if before == "bob" && after == "bob")
    );
    assert!(matches!(&change.changes[1], Event::PolicyCreated { name, path, document, .. }
        if name == "SomethingElse" && path == "/job-function/" && document.is_empty()));
}

#[test]
fn a_failed_call_changes_nothing_and_denials_are_told_from_failures() {
    for (code, denied) in [
        ("AccessDenied", true),
        ("AccessDeniedException", true),
        ("Client.UnauthorizedOperation", true),
        ("LimitExceededException", false),
        ("InvalidClientTokenId", false),
    ] {
        let failed = call("CreateUser", r#"{"userName":"bob"}"#, "null").replacen(
            "\"eventID\"",
            &format!("\"errorCode\":\"{code}\",\"errorMessage\":\"no \\u001b[1m\",\"eventID\""),
            1,
        );
        let imported = import_text(failed);
        let observed = observed(imported.sink.events().next().unwrap());
        assert_eq!(matches!(observed.record.outcome, Outcome::Denied { .. }), denied);
        assert_eq!(observed.record.outcome.as_str(), code);
        assert_eq!(observed.resource.as_deref(), Some("bob"));
        assert_eq!(observed.error_message.as_deref(), Some("no \\u{1b}[1m"));
    }
}

#[test]
fn temporary_keys_are_known_by_who_got_them() {
    let sts = |name: &str, parameters: &str, answer: &str| {
        let imported =
            import_text(call(name, parameters, answer).replacen("iam.amazonaws.com", "sts.amazonaws.com", 1));
        assert_eq!(imported.rejections, []);
        observed(imported.sink.events().next().unwrap()).clone()
    };
    let credentials = r#""credentials":{"accessKeyId":"ASIATEMP000000000001","sessionToken":"x"}"#;
    let role = "arn:aws:iam::111122223333:role/export";
    let assumed =
        sts("AssumeRole", &format!(r#"{{"roleArn":"{role}","roleSessionName":"s"}}"#), &format!("{{{credentials}}}"));
    assert_eq!(assumed.issued_key.unwrap().as_str(), "ASIATEMP000000000001");
    assert_eq!(assumed.issued_for.as_deref(), Some(role));
    assert_eq!(assumed.resource.as_deref(), Some(role));
    let federated = sts(
        "GetFederationToken",
        r#"{"name":"f"}"#,
        &format!(r#"{{{credentials},"federatedUser":{{"arn":"arn:aws:sts::111122223333:federated-user/f"}}}}"#),
    );
    assert_eq!(federated.issued_for.as_deref(), Some("arn:aws:sts::111122223333:federated-user/f"));
    let session = sts("GetSessionToken", "null", &format!("{{{credentials}}}"));
    assert_eq!(session.issued_for.as_deref(), Some("alice"));
}

#[test]
fn a_name_out_of_bounds_in_a_change_is_rejected_naming_field_and_bound() {
    for (name, parameters, field) in [
        ("CreateUser", format!(r#"{{"userName":"{}"}}"#, "a".repeat(65)), "`requestParameters.userName`: user name"),
        ("CreateGroup", r#"{"groupName":"a\nb"}"#.to_owned(), "`requestParameters.groupName`: group name `a\\u{a}b`"),
        ("DeleteAccessKey", r#"{"accessKeyId":"x"}"#.to_owned(), "`requestParameters.accessKeyId`: access key id `x`"),
        ("CreateUser", r#"{"userName":{}}"#.to_owned(), "`requestParameters.userName` should be text but is an object"),
        ("CreateUser", "[]".to_owned(), "`requestParameters` should be an object but is a list"),
        (
            "AttachUserPolicy",
            r#"{"userName":"a","policyArn":"x"}"#.to_owned(),
            "`requestParameters.policyArn` is not a policy's ARN",
        ),
    ] {
        let imported = import_text(call(name, &parameters, "null"));
        assert!(places(&imported)[0].2.starts_with(field), "{:?}", places(&imported));
    }
    // Left out because it was too large: a fact all the same.
    let imported = import_text(call("CreateUser", "null", "null"));
    assert_eq!(observed(imported.sink.events().next().unwrap()).record.event_name, "CreateUser");
}

#[test]
fn batches_fit_a_commit() {
    let folder = TempDir::new().unwrap();
    let document = "x".repeat(100_000);
    let mut lines = records(0..1_200);
    for n in 0..6 {
        lines.push(call(
            "PutUserPolicy",
            &format!(r#"{{"userName":"u{n}","policyName":"p","policyDocument":"{document}"}}"#),
            "null",
        ));
    }
    let imported = import(&[write(&folder, "file", lines.join("\n"))]);
    assert_eq!(imported.counts.imported, 1_206);
    for (account, source, events) in &imported.sink.batches {
        assert_eq!(*account, self::account());
        assert!(source.ends_with("/file"));
        assert!((1..=512).contains(&events.len()));
        let mut bytes = Vec::new();
        for event in events {
            codec::encode_value(event, &mut bytes).unwrap();
        }
        assert!(bytes.len() <= 200_000, "{} bytes in {} events", bytes.len(), events.len());
    }
}

#[test]
fn progress_ends_at_everything() {
    let folder = TempDir::new().unwrap();
    write(&folder, "1.json", format!("[{}]", records(0..2_000).join(",")));
    write(&folder, "2.json.gz", gzip(record(2_001)));
    let mut last = None;
    let mut tell = |progress| last = Some(progress);
    let options = ImportOptions { progress: Some(&mut tell), ..ImportOptions::default() };
    import_with(&[folder.path().to_owned()], VecSink::default(), options);
    let last = last.unwrap();
    assert_eq!((last.bytes_done, last.files_done, last.records), (last.bytes_total, 2, 2_001));
}

// The folders at hand

#[test]
fn the_fixtures_tell_the_story_their_readme_tells() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/cloudtrail");
    let imported = import(&[folder]);
    assert_eq!(imported.rejections, []);
    let counts = ImportCounts { records: 361, imported: 340, duplicates: 21, rejected: 0 };
    assert_eq!(imported.counts, counts);
    for event in imported.sink.events() {
        let mut bytes = Vec::new();
        codec::encode_value(event, &mut bytes).unwrap();
        assert_eq!(codec::decode_value::<Event>(&bytes).unwrap(), (event.clone(), bytes.len()));
    }
    let leaked = AccessKeyId::parse("AKIA4VQ2H7M9TX5RWLE3").unwrap();
    let folded = imported.sink.folded();
    let made_by = |maker: &AccessKeyId| -> Vec<String> {
        let made = folded.iter().filter_map(|(_, event)| match event {
            Event::EvidenceChanged(change) if change.record.identity.key.as_ref() == Some(maker) => {
                Some(&change.changes)
            }
            _ => None,
        });
        made.flatten()
            .filter_map(|event| match event {
                Event::KeyCreated(created) => Some(created.access_key_id.to_string()),
                _ => None,
            })
            .collect()
    };
    assert_eq!(made_by(&leaked), ["AKIA4VQ2ZC8K1YJ6NQ0B", "AKIA4VQ2P5D3SGU7HVM1"]);
    let backdoor = AccessKeyId::parse("AKIA4VQ2ZC8K1YJ6NQ0B").unwrap();
    assert_eq!(made_by(&backdoor), ["AKIA4VQ2R9F6BWX2KTE8"]);
    let deleted: BTreeSet<String> = folded
        .iter()
        .filter_map(|(_, event)| if let Event::EvidenceChanged(change) = event { Some(&change.changes) } else { None })
        .flatten()
        .filter_map(|event| {
            if let Event::KeyDeleted { access_key_id, .. } = event { Some(access_key_id.to_string()) } else { None }
        })
        .collect();
    assert!(deleted.contains("AKIA4VQ2ZC8K1YJ6NQ0B") && deleted.contains("AKIA4VQ2P5D3SGU7HVM1"));
    assert!(!deleted.contains("AKIA4VQ2R9F6BWX2KTE8"), "one of the keys the attacker made is still alive");
}

#[test]
fn real_logs_are_accounted_for_to_the_last_record() {
    let beside = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../shared/data/cloudtrail")).to_owned();
    let folder = std::env::var_os("KEYLEDGER_TEST_CLOUDTRAIL").map_or(beside, PathBuf::from);
    if !folder.is_dir() {
        println!("skipped: no real logs at {} (set KEYLEDGER_TEST_CLOUDTRAIL)", folder.display());
        return;
    }
    let once = import(std::slice::from_ref(&folder));
    assert_eq!(once.rejections, []);
    assert!(once.counts.imported > 0);
    println!("{:?}", once.counts);
    let twice = import(&[folder.clone(), folder]);
    assert_eq!(twice.counts.records, 2 * once.counts.records);
    assert_eq!(twice.counts.duplicates, once.counts.records + once.counts.duplicates);
    assert_eq!(twice.sink.folded(), once.sink.folded());
    let mut kinds = BTreeMap::new();
    for event in once.sink.events() {
        if let Event::EvidenceChanged(change) = event {
            *kinds.entry(change.record.event_name.to_string()).or_insert(0) += 1;
        }
    }
    println!("{kinds:?}");
}
