//! What a mirror host's owner can do to a login, for which a test needs users or mounts of its own, and so root: accounts that are
//! locked, start-up files that print, ask or end the shell, an authentication that hangs, a full disk.

use std::path::Path;
use std::time::Duration;

use crate::collector::{Config, END_LIMIT, text_of};
use crate::elasticsearch::Elasticsearch;
use crate::login::Login;
use crate::sshd::Sshd;
use crate::two_hosts::{SUFFERING, TICKS_OF_A_FAULT, TwoHosts, assert_only_true_numbers};
use crate::{kafka, lab};

/// After the collector's end: what is in flight and a busy machine.
const GONE_LIMIT: Duration = Duration::from_secs(30);

#[test]
fn an_authentication_that_never_answers_is_given_up_at_its_limit() {
    // sshd asks a command for the keys of the login, and that takes its time.
    let lines = "AuthorizedKeysCommand /bin/sleep 20\nAuthorizedKeysCommandUser root\nAuthorizedKeysFile none";
    let mut sshd = Sshd::start_with("silent-login", lines);
    let mut hosts = TwoHosts::new("silent-login", sshd.port);
    let limit = "ssh: {connect_timeout: 3s}";
    hosts.config.edit_host(SUFFERING, limit);
    let collector = hosts.config.run();
    hosts.until_latest("ssh_error", "login took longer than 3s");
    hosts.healthy_ticks(TICKS_OF_A_FAULT);
    sshd.stop();
    sshd.configure("", "host_ed25519");
    sshd.start_again();
    hosts.until_all_are_ok();
    hosts.end(collector);
}

#[test]
fn a_locked_account_is_tried_like_a_wrong_key_and_used_when_it_is_unlocked() {
    let login = Login::new("/bin/bash");
    let sshd = Sshd::start("locked");
    let mut hosts = TwoHosts::new("locked", sshd.port);
    let user = format!("ssh: {{user: {}}}", login.name);
    hosts.config.edit_host(SUFFERING, &user);
    login.modify(&["--lock"]);
    let collector = hosts.config.run();
    hosts.until_latest("ssh_error", "login refused");
    hosts.healthy_ticks(TICKS_OF_A_FAULT);
    let attempts = sshd.log().matches("account is locked").count();
    assert_eq!(attempts, 1, "one login a minute at most:\n{}", sshd.log());
    let log = collector.log();
    assert!(log.contains("locked or expired"), "{log}");
    login.modify(&["--password", "*"]);
    hosts.until_all_are_ok();
    hosts.end(collector);
}

#[test]
fn an_expired_account_and_one_without_a_shell_are_named_by_check() {
    let login = Login::new("/bin/bash");
    let sshd = Sshd::start("expired");
    let mut config = Config::new("expired", &sshd);
    config.user.clone_from(&login.name);
    login.modify(&["--expiredate", "1"]);
    let check = config.check();
    assert_eq!(check.status.code(), Some(1));
    let text = text_of(&check);
    assert!(text.contains("locked or expired"), "{text}");
    login.modify(&["--expiredate", "", "--shell", "/usr/sbin/nologin"]);
    let once = config.once();
    let text = text_of(&once);
    assert_eq!(once.status.code(), Some(1), "{text}");
    assert!(text.contains("not available"), "{text}");
}

#[test]
fn login_shell_bash_whose_files_print_and_ask_brings_the_numbers() {
    let login = Login::new("/bin/bash");
    let noise = "echo 'GROUP TOPIC PARTITION'; echo 'Last login: today' >&2; read -r -p 'continue? ' answer; cat /dev/zero | head -c 300000\n";
    for file in [".bashrc", ".profile", ".bash_profile", ".bash_login"] {
        login.write(file, noise);
    }
    login.write(".bash_logout", "echo bye; sleep 1\n");
    numbers_come_in_spite_of(&login);
}

#[test]
fn login_shell_tcsh_whose_files_print_and_ask_brings_the_numbers() {
    let login = Login::new("/usr/bin/tcsh");
    for file in [".cshrc", ".tcshrc", ".login"] {
        login.write(file, "echo 'GROUP TOPIC PARTITION'\nset answer = $<\n");
    }
    numbers_come_in_spite_of(&login);
}

fn numbers_come_in_spite_of(login: &Login) {
    let banner = login.home.join("banner");
    std::fs::write(&banner, "Authorised use only\n".repeat(50)).expect("a banner");
    let lines = format!(
        "PrintMotd yes\nPrintLastLog yes\nBanner {}",
        banner.display()
    );
    let sshd = Sshd::start_with("noisy", &lines);
    let hosts = user_on("noisy", &sshd, login);
    let collector = hosts.config.run();
    hosts.until_all_are_ok();
    hosts.healthy_ticks(5);
    hosts.end(collector);
    sshd.no_process_left_within(Duration::from_secs(15));
}

#[test]
fn start_up_files_that_end_the_shell_are_named_and_paced() {
    let login = Login::new("/bin/bash");
    login.write(".bashrc", "echo 'host is in maintenance'; exit 0\n");
    let sshd = Sshd::start("exits");
    let hosts = user_on("exits", &sshd, &login);
    let collector = hosts.config.run();
    hosts.until_latest("ssh_error", "host is in maintenance");
    hosts.healthy_ticks(TICKS_OF_A_FAULT);
    login.write(".bashrc", "");
    hosts.until_all_are_ok();
    hosts.end(collector);
}

fn user_on(stem: &str, sshd: &Sshd, login: &Login) -> TwoHosts {
    let mut hosts = TwoHosts::new(stem, sshd.port);
    let user = format!("ssh: {{user: {}}}", login.name);
    hosts.config.edit_host(SUFFERING, &user);
    hosts
}

#[test]
fn a_full_disk_on_the_host_costs_no_number() {
    let run = lab::run_folder();
    let run = run.display();
    // The lab's folder lies in /tmp, so it is put back into the small /tmp of this sshd.
    let script = format!(
        "mount --make-rprivate /; mount --bind /tmp /mnt; mount -t tmpfs -o size=64k none /tmp; chmod 1777 /tmp; mkdir -p {run}; \
         mount --bind /mnt{rest} {run}; for full in {run}/home/mirrorlab-bash /var/tmp /dev/shm; do mount -t tmpfs -o size=16k none $full; \
         done; for full in /tmp {run}/home/mirrorlab-bash /var/tmp /dev/shm; do cat /dev/zero >$full/full 2>/dev/null || true; done",
        rest = run.to_string().trim_start_matches("/tmp"),
    );
    let sshd = Sshd::start_on_disk("full-disk", &script);
    let mut hosts = TwoHosts::new("full-disk", sshd.port);
    // The real CLI with its JVM, which likes to write into /tmp.
    let cli = kafka::cli(kafka::VERSION);
    assert!(Path::new(&cli).exists());
    let keys = format!("kafka: {{consumer_groups: {}}}", cli.display());
    hosts.config.edit_host(SUFFERING, &keys);
    hosts.config.interval = "5s";
    let mut collector = hosts.config.run();
    hosts.until_all_are_ok();
    collector.terminate(END_LIMIT);
    crate::delivery::assert_index_equals_journal(&hosts.config, &Elasticsearch::main());
    // The healthy host prints what this CLI printed when the lab started.
    assert_only_true_numbers(&hosts.config.records());
    sshd.no_process_left_within(GONE_LIMIT);
}
