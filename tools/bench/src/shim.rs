//! Every flush this process asks for: counted, and on request as slow as a plain disk's.
//!
//! The functions below take the place of the C library's own for everything linked into this program: Rust's
//! `File::sync_data`, SQLite's C code and the other stores alike. So one switch slows them all by the same amount.
//!
//! Not here: `O_DSYNC` writes, which nothing raced here uses.

use libc::{c_int, c_void, size_t};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

static FLUSHES: AtomicU64 = AtomicU64::new(0);
static DELAY_NS: AtomicU64 = AtomicU64::new(0);

/// Flushes since the program began.
pub fn flushes() -> u64 {
    FLUSHES.load(Relaxed)
}

/// Slows each flush down while it lives.
#[derive(Debug)]
pub struct Slow(());

impl Slow {
    /// Adds `delay` before each flush, for the whole process.
    pub fn by(delay: Duration) -> Self {
        // SAFETY: a plain request about this thread's timers; threads it starts inherit it. The default of 50 µs
        // would blur a delay of 1 ms.
        unsafe { libc::prctl(libc::PR_SET_TIMERSLACK, 1) };
        DELAY_NS.store(delay.as_nanos() as u64, Relaxed);
        Self(())
    }
}

impl Drop for Slow {
    fn drop(&mut self) {
        DELAY_NS.store(0, Relaxed);
    }
}

fn before_flush() {
    FLUSHES.fetch_add(1, Relaxed);
    let delay = DELAY_NS.load(Relaxed);
    if delay > 0 {
        std::thread::sleep(Duration::from_nanos(delay));
    }
}

/// Stands for the C library's function.
///
/// # Safety
/// As `fdatasync(2)`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fdatasync(fd: c_int) -> c_int {
    before_flush();
    // SAFETY: the caller's own request, passed on.
    unsafe { libc::syscall(libc::SYS_fdatasync, fd) as c_int }
}

/// Stands for the C library's function.
///
/// # Safety
/// As `fsync(2)`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fsync(fd: c_int) -> c_int {
    before_flush();
    // SAFETY: the caller's own request, passed on.
    unsafe { libc::syscall(libc::SYS_fsync, fd) as c_int }
}

/// Stands for the C library's function.
///
/// # Safety
/// As `msync(2)`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn msync(address: *mut c_void, len: size_t, flags: c_int) -> c_int {
    if flags & libc::MS_SYNC != 0 {
        before_flush();
    }
    // SAFETY: the caller's own request, passed on.
    unsafe { libc::syscall(libc::SYS_msync, address, len, flags) as c_int }
}
