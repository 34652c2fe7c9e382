//! The program: parse, run, exit code. Everything else is `keyledger::cli`.

fn main() -> std::process::ExitCode {
    keyledger::cli::run()
}
