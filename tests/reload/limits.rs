//! The process checks its own limits against the number of sources, at the start and before it takes a configuration.

use std::path::Path;
use std::process::Command;

use rustix::process::Signal;

use crate::journal::records;
use crate::run::{Run, claim, command, eventually};
use crate::site::{Entry, Site};

const HOSTS: usize = 10;

/// A hundred sources on ten hosts.
fn hundred() -> Vec<Entry> {
    let hosts = 0..HOSTS;
    hosts
        .flat_map(|host| (0..10).map(move |topic| (host, topic, 5)))
        .collect()
}

/// The program under limits that `ulimit` sets first.
fn limited(limits: &str, program: &Command) -> Command {
    let mut command = Command::new("sh");
    command
        .arg("-c")
        .arg(format!("{limits} && exec \"$@\""))
        .arg("sh");
    command.arg(program.get_program()).args(program.get_args());
    command
}

fn check(file: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_mirrorlag"));
    command.args(["check", "-c"]).arg(file);
    command
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hard_limit_of_open_files_that_is_too_small_is_said_with_the_mend_before_anything_is_asked()
 {
    let site = Site::new(HOSTS).await;
    site.write(&hundred());
    let mut run = Run::of(limited("ulimit -n 64", &command(&site.file())));
    let line = run.until_it_says("open files");
    assert!(
        line.contains("100 sources need ")
            && line.contains("this process may have 64")
            && line.contains("set LimitNOFILE=")
            && line.contains("`ulimit -n "),
        "{line}"
    );
    assert_eq!(run.end().0, Some(3));
    assert_eq!(site.logins("mm-0"), 0);
    assert!(!site.journal().exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_low_soft_limit_of_open_files_is_raised_to_what_is_needed_and_no_further() {
    let site = Site::new(HOSTS).await;
    site.write(&hundred());
    let limits = "ulimit -Sn 64 && ulimit -Hn 4096";
    let mut run = Run::of(limited(limits, &command(&site.file())));
    let line = run.until_it_says("raised the soft limit of open files");
    let needed: usize = line.rsplit("to=").next().unwrap().parse().unwrap();
    assert!((100..500).contains(&needed), "{line}");
    let mut most = 0;
    eventually("every source at work", || {
        most = most.max(run.open_files());
        let loops: u64 = (0..HOSTS)
            .map(|host| site.loops(&format!("mm-{host}")))
            .sum();
        claim(loops == 100, loops)
    });
    most = most.max(run.open_files());
    eprintln!("{most} open files, {needed} reckoned");
    assert!(
        most > 100 && most <= needed,
        "{most} open files, {needed} reckoned"
    );
    assert!(
        !run.log()
            .iter()
            .any(|it| it.contains("Too many open files"))
    );
    run.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_configuration_that_needs_more_open_files_than_allowed_is_not_taken() {
    let site = Site::new(HOSTS).await;
    let few = [(0, 0, 1), (1, 0, 1)];
    site.write(&few);
    let mut run = Run::of(limited("ulimit -n 128", &command(&site.file())));
    run.until_it_says("connected");
    run.until_it_says("connected");
    site.write(&hundred());
    run.tell(Signal::HUP);
    let line = run.until_it_says("configuration not changed");
    assert!(
        line.contains("need")
            && line.contains("this process may have 128")
            && line.contains("LimitNOFILE="),
        "{line}"
    );
    assert_eq!((site.logins("mm-0"), site.logins("mm-2")), (1, 0));
    site.write(&few);
    assert!(run.reload().contains("kept=2"));
    run.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn check_says_what_the_limits_of_the_process_are_worth() {
    let mut site = Site::new(1).await;
    site.hosts = 1;
    site.write(&[(0, 0, 5)]);
    let good = check(&site.file()).output().unwrap();
    let text = String::from_utf8(good.stdout).unwrap();
    let line = text.lines().find(|it| it.contains("open files")).unwrap();
    assert!(
        line.starts_with("ok") && line.contains(" needed, "),
        "{text}"
    );
    assert!(
        text.lines()
            .any(|it| it.starts_with("ok") && it.contains("  memory ")),
        "{text}"
    );

    let bad = limited("ulimit -n 32", &check(&site.file()))
        .output()
        .unwrap();
    let text = String::from_utf8(bad.stdout).unwrap();
    let at = text
        .lines()
        .position(|it| it.contains("open files"))
        .unwrap();
    let lines: Vec<_> = text.lines().skip(at).take(2).collect();
    assert!(lines[0].starts_with("FAIL"), "{text}");
    assert!(lines[1].contains("mend: set LimitNOFILE="), "{text}");
    assert_eq!(bad.status.code(), Some(1));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_space_that_may_be_too_small_is_a_warning_with_the_mend() {
    let site = Site::new(1).await;
    site.write(&[(0, 0, 1)]);
    let mut run = Run::of(limited("ulimit -v 900000", &command(&site.file())));
    let line = run.until_it_says("RLIMIT_AS");
    assert!(
        line.contains("WARN") && line.contains("ulimit -v unlimited"),
        "{line}"
    );
    run.until_it_says("connected");
    run.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_sources_take_less_memory_than_is_reckoned() {
    let site = Site::new(HOSTS).await;
    site.write(&hundred());
    let mut run = Run::start(&site.file());
    eventually("three records of every source", || {
        let all = records(&site.journal()).len();
        claim(all >= 300, all)
    });
    let most = run.status("VmHWM");
    let most_kib: u64 = most.trim_end_matches(" kB").parse().unwrap();
    run.stop();
    // `app/limits/memory.rs`: 32 MiB and 512 KiB a source.
    let reckoned_kib = 32 * 1024 + 100 * 512;
    eprintln!("{most_kib} KiB of {reckoned_kib}");
    assert!(most_kib < reckoned_kib, "{most_kib} KiB of {reckoned_kib}");
}
