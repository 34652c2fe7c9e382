//! `bench quick|full [--only D1,R2] [--json] [--seed N] [--dir DIR]`: keyledger beside floors and peers, in one table.

use keyledger_bench::data::Data;
use keyledger_bench::plan::Plan;
use keyledger_bench::table::Report;
use keyledger_bench::{
    Result, audit, console, disk, durable, gate, http, import, lookup, noise, pit, policy, replay, signature,
};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

const USAGE: &str = "usage: bench quick|full [--only GOALS] [--json] [--seed N] [--dir DIR]

  quick        at most five minutes on two cores
  full         5 M events, 10^7 keys
  --only       comma-separated goals: D1 D2 D3 D4 R1 R2 R3 L1 L2 S1 P1 A1 H1 H2 H3 H4 H5 T1 T2 Q1 Q2 cases rights revoke import disk
  --json       JSON lines instead of tables
  --seed N     fixes every random choice (1)
  --dir DIR    where files are written, on the disk to be measured (the system's temporary folder)

Exit codes: 0 every goal measured was reached, 1 some were missed, 2 could not measure.";

fn main() -> ExitCode {
    match run() {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(1),
        Err(error) => {
            eprintln!("{error}");
            ExitCode::from(2)
        }
    }
}

fn plan() -> Result<Plan> {
    let mut arguments = std::env::args().skip(1);
    let folder = std::env::temp_dir().join(format!("keyledger-bench-{}", std::process::id()));
    let mut plan = match arguments.next().as_deref() {
        Some("quick") => Plan::quick(folder),
        Some("full") => Plan::full(folder),
        _ => return Err(USAGE.into()),
    };
    while let Some(name) = arguments.next() {
        let mut value = || arguments.next().ok_or_else(|| format!("`{name}` wants a value\n\n{USAGE}"));
        match name.as_str() {
            "--only" => plan.only = value()?.split(',').map(str::to_owned).collect(),
            "--json" => plan.json = true,
            "--seed" => plan.seed = value()?.parse()?,
            "--dir" => plan.folder = PathBuf::from(value()?).join(format!("keyledger-bench-{}", std::process::id())),
            _ => return Err(format!("`{name}` is not an option\n\n{USAGE}").into()),
        }
    }
    Ok(plan)
}

fn run() -> Result<bool> {
    // Started by the stage `revoke` as its other process.
    if let [Some("revoker"), Some(folder)] = [1, 2].map(|at| std::env::args().nth(at)).each_ref().map(Option::as_deref)
    {
        return gate::revoker(folder.as_ref()).map(|()| true);
    }
    // Started by the stages H3 and H4.
    if let [Some("held"), Some(what), Some(folder)] =
        [1, 2, 3].map(|at| std::env::args().nth(at)).each_ref().map(Option::as_deref)
    {
        return http::held(folder.as_ref(), what).map(|()| true);
    }
    let plan = plan()?;
    std::fs::create_dir_all(&plan.folder)?;
    let outcome = stages(&plan);
    let _ = std::fs::remove_dir_all(&plan.folder);
    outcome
}

fn stages(plan: &Plan) -> Result<bool> {
    let began = Instant::now();
    let mut report = Report::new(plan.json);
    let peers = if cfg!(feature = "peers") { "" } else { ", without peers" };
    report.say(&format!("bench {}{peers}, seed {}, in `{}`", plan.name, plan.seed, plan.folder.display()));
    let canary = |report: &Report, when: &str| -> Result<()> {
        let (p50, p99) = noise::flush_cost(&plan.folder)?;
        report.say(&format!("one 4 KiB write and flush {when}: p50 {p50:.0} µs, p99 {p99:.0} µs"));
        Ok(())
    };
    canary(&report, "at the start")?;
    if plan.wants(&["D1", "D2", "D3", "D4"]) {
        durable::run(plan, &mut report)?;
    }
    if plan.wants(&["R1", "R2", "R3", "T1", "T2", "Q1", "Q2", "disk"]) {
        let data = Data::build(plan)?;
        replay::run(plan, &mut report, &data)?;
        pit::run(plan, &mut report, &data)?;
        disk::run(plan, &mut report, &data)?;
        // Last: its indexes make SQLite's file larger.
        audit::run(plan, &mut report, &data)?;
    }
    lookup::run(plan, &mut report)?;
    signature::run(plan, &mut report)?;
    policy::run(plan, &mut report)?;
    gate::run(plan, &mut report)?;
    http::run(plan, &mut report)?;
    console::run(plan, &mut report)?;
    import::run(plan, &mut report)?;
    canary(&report, "at the end")?;
    let (reached, missed, open) = report.print();
    let seconds = began.elapsed().as_secs();
    report.say(&format!("\n{reached} goals reached, {missed} missed, {open} not measured, in {seconds} s"));
    Ok(missed == 0)
}
