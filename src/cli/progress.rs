//! Progress of long work, on stderr, only when a person watches.
//!
//! Not here: the work. Whoever works says how far it is.

use indicatif::{ProgressBar, ProgressStyle};
use std::io::{self, IsTerminal};

/// A bar, a counter, or nothing at all.
#[derive(Debug, Clone)]
pub struct Progress(ProgressBar);

impl Progress {
    /// Bytes of a known whole (0: unknown yet).
    #[must_use]
    pub fn bytes(what: &'static str, total: u64) -> Self {
        Self::styled(what, total, "{msg} {wide_bar} {bytes}/{total_bytes} {bytes_per_sec} {eta}")
    }

    /// Things of a known whole (0: unknown yet).
    #[must_use]
    pub fn count(what: &'static str, total: u64) -> Self {
        Self::styled(what, total, "{msg} {wide_bar} {human_pos}/{human_len} {per_sec} {eta}")
    }

    fn styled(what: &'static str, total: u64, template: &str) -> Self {
        if !io::stderr().is_terminal() {
            return Self(ProgressBar::hidden());
        }
        let bar = ProgressBar::new(total).with_message(what);
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style.progress_chars("=> "));
        }
        Self(bar)
    }

    /// So far, of that many.
    pub fn set(&self, done: u64, total: u64) {
        self.0.set_length(total);
        self.0.set_position(done);
    }

    /// So far.
    pub fn at(&self, done: u64) {
        self.0.set_position(done);
    }

    /// Takes the bar away.
    pub fn finish(&self) {
        self.0.finish_and_clear();
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}
