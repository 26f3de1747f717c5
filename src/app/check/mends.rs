//! In: a mirror host, a question, the CLI's reason for failing. Out: the mend, as a command to type where there is one.
//! Never: runs it.

use crate::collector::MirrorHost;
use crate::kafka::{Describe, Failure, Outcome};

/// What the CLI says where no broker answers.
const NO_CONNECTION: &[&str] = &[
    "TimeoutException",
    "timed out",
    "Timed out",
    "failed on brokers",
];
/// What the CLI says where its settings make no client.
const NO_CLIENT: &[&str] = &[
    "Failed to create new KafkaAdminClient",
    "NoSuchFileException",
];
const NO_LOGIN: &[&str] = &[
    "SaslAuthenticationException",
    "SslAuthenticationException",
    "IllegalSaslState",
];

/// Whether the next question to the same brokers would end as this one did.
pub(super) fn is_about_brokers(failure: &Failure) -> bool {
    failure.outcome == Outcome::Timeout || says(failure, NO_CONNECTION) || says(failure, NO_CLIENT)
}

fn says(failure: &Failure, words: &[&str]) -> bool {
    words.iter().any(|word| failure.reason.contains(word))
}

/// The mend for the texts of Kafka that name their cause; else the command that shows the whole output.
pub(super) fn mend_of(host: &MirrorHost, describe: &Describe, failure: &Failure) -> String {
    let by_hand = by_hand(host, describe);
    if failure.outcome == Outcome::Timeout {
        return format!("look at brokers and host, or raise describe_timeout; by hand: {by_hand}");
    }
    if says(failure, &["AuthorizationException"]) {
        return format!(
            "allow the CLI's user to describe: kafka-acls.sh --add --allow-principal User:NAME --operation Describe --group {} --topic '*'",
            quoted(&describe.group)
        );
    }
    if says(failure, NO_LOGIN) {
        return "correct user, password and protocol in the file of command_config".to_owned();
    }
    if says(failure, NO_CLIENT) {
        return format!(
            "correct bootstrap_servers and what the file of command_config names; by hand: {by_hand}"
        );
    }
    if says(failure, NO_CONNECTION) {
        let server = describe
            .bootstrap_servers
            .first()
            .map_or("", String::as_str);
        let (name, port) = server.rsplit_once(':').unwrap_or((server, ""));
        return format!(
            "correct bootstrap_servers, or give TLS or SASL settings by command_config; is the port open from there? {} nc -zv {name} {port}",
            login_command(host)
        );
    }
    format!("by hand: {by_hand}")
}

/// The describe as one line to paste into a local shell.
pub(super) fn by_hand(host: &MirrorHost, describe: &Describe) -> String {
    let group = format!("--describe --group {}", quoted(&describe.group));
    remote_line(host, describe, &group)
}

pub(super) fn list_by_hand(host: &MirrorHost, describe: &Describe) -> String {
    remote_line(host, describe, "--list")
}

fn remote_line(host: &MirrorHost, describe: &Describe, action: &str) -> String {
    let cli = quoted(&host.kafka.consumer_groups);
    let servers = describe.bootstrap_servers.join(",");
    let file = describe.command_config.as_deref();
    let file = file.map_or_else(String::new, |file| {
        format!(" --command-config {}", quoted(file))
    });
    let remote = format!("{cli} --bootstrap-server {servers}{file} {action}");
    format!("{} {}", login_command(host), quoted(&remote))
}

/// `ssh` with port, key and user, ready for a command behind it.
pub(super) fn login_command(host: &MirrorHost) -> String {
    let ssh = &host.ssh;
    let key = ssh.private_key.as_ref();
    let key = key.map_or_else(String::new, |key| {
        format!(" -i {}", quoted(&key.display().to_string()))
    });
    let hops = ssh.hops();
    let hops = hops
        .iter()
        .map(|hop| format!("{}@{}:{}", hop.user, hop.address, hop.port));
    let hops = hops.collect::<Vec<_>>().join(",");
    let jump = match hops.as_str() {
        "" => String::new(),
        hops => format!(" -J {}", quoted(hops)),
    };
    format!(
        "ssh{jump} -p {}{key} {}@{}",
        ssh.port,
        quoted(&ssh.user),
        ssh.address
    )
}

fn quoted(text: &str) -> String {
    shlex::try_quote(text).map_or_else(|_| format!("{text:?}"), |quoted| quoted.into_owned())
}
