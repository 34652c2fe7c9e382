//! The real program, run in a folder of its own.
//!
//! Not here: what it should answer (each test file).
#![allow(dead_code, reason = "each test file uses a part")]
#![allow(clippy::disallowed_methods, reason = "a test stands outside and looks at the real files")]

use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

/// A ledger in a folder that goes when the test ends.
pub struct Ledger {
    folder: tempfile::TempDir,
}

/// What a run of the program gave.
#[derive(Debug)]
pub struct Ran {
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
}

impl Ledger {
    /// A folder without a ledger in it.
    pub fn none() -> Self {
        Self { folder: tempfile::tempdir().expect("a temporary folder") }
    }

    /// A new ledger with one org.
    pub fn new() -> Self {
        let ledger = Self::none();
        ledger.done(&["init"]);
        ledger
    }

    pub fn dir(&self) -> PathBuf {
        self.folder.path().join("ledger")
    }

    /// A file beside the ledger.
    pub fn file(&self, name: &str, content: &str) -> String {
        let path = self.folder.path().join(name);
        std::fs::write(&path, content).expect("a file");
        path.display().to_string()
    }

    /// A path beside the ledger.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The program with this ledger and these arguments, not started yet.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = program();
        command.arg("--ledger").arg(self.dir()).args(arguments).current_dir(self.folder.path());
        command
    }

    pub fn run(&self, arguments: &[&str]) -> Ran {
        ran(self.command(arguments).stdin(Stdio::null()).output().expect("the program starts"))
    }

    /// Runs with `input` on standard input.
    pub fn run_with(&self, arguments: &[&str], input: &str) -> Ran {
        use std::io::Write;
        let mut child = self
            .command(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the program starts");
        let mut stdin = child.stdin.take().expect("a pipe");
        // A program that does not read is no failure of the test's.
        let _ = stdin.write_all(input.as_bytes());
        drop(stdin);
        ran(child.wait_with_output().expect("the program ends"))
    }

    /// Runs and insists on exit 0.
    #[track_caller]
    pub fn done(&self, arguments: &[&str]) -> Ran {
        let ran = self.run(arguments);
        assert_eq!(ran.code, 0, "{arguments:?}\n{}\n{}", ran.stdout, ran.stderr);
        ran
    }

    /// Runs with `--json` and gives the lines as values.
    #[track_caller]
    pub fn json(&self, arguments: &[&str]) -> Vec<Value> {
        let mut arguments = arguments.to_vec();
        arguments.push("--json");
        self.done(&arguments).lines()
    }

    /// Runs with `--json` and gives the only line.
    #[track_caller]
    pub fn json_one(&self, arguments: &[&str]) -> Value {
        let mut lines = self.json(arguments);
        assert_eq!(lines.len(), 1, "{arguments:?} {lines:?}");
        lines.remove(0)
    }

    /// Makes a key and gives its id and secret.
    #[track_caller]
    pub fn key(&self, arguments: &[&str]) -> (String, String) {
        let made = self.json_one(&[&["key", "create"], arguments].concat());
        (text(&made, "access_key_id"), text(&made, "secret_access_key"))
    }

    /// Every file of the ledger, with its bytes.
    pub fn files(&self) -> Vec<(PathBuf, Vec<u8>)> {
        files_below(&self.dir())
    }
}

impl Ran {
    /// Every line of the answer as JSON.
    #[track_caller]
    pub fn lines(&self) -> Vec<Value> {
        let parse = |line: &str| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
        self.stdout.lines().map(parse).collect()
    }
}

/// The program without the environment of whoever runs the tests.
pub fn program() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_keyledger"));
    let aws = ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_PROFILE", "AWS_REGION"];
    let own = ["KEYLEDGER_DIR", "KEYLEDGER_ENDPOINT", "NO_COLOR", "RUST_LOG", "CLICOLOR_FORCE"];
    for name in own.into_iter().chain(aws) {
        command.env_remove(name);
    }
    command
}

#[expect(clippy::needless_pass_by_value, reason = "a run is over when its output is taken")]
pub fn ran(output: Output) -> Ran {
    Ran {
        code: output.status.code().unwrap_or(-1),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

/// A field that is a text.
#[track_caller]
pub fn text(value: &Value, field: &str) -> String {
    value[field].as_str().unwrap_or_else(|| panic!("no text `{field}` in {value}")).to_owned()
}

/// Every file below a folder, with its bytes.
pub fn files_below(folder: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            files.extend(files_below(&path));
        } else {
            let bytes = std::fs::read(&path).expect("a file");
            files.push((path, bytes));
        }
    }
    files
}
