//! In: a name or address as written. Out: whether Kafka, Elasticsearch, SSH and a remote shell take it, or what is wrong with it.
//! Never: changes a name.

use chrono::DateTime;

use super::expand::Fault;
use crate::sinks::elasticsearch::{BadIndexName, IndexName};

/// Kafka's limit of a topic name (`org.apache.kafka.common.internals.Topic`).
const TOPIC_CHARS_MAX: usize = 249;

/// Kafka has no limit below 32 kB; a longer id would not fit into a line that a person reads.
const GROUP_CHARS_MAX: usize = 500;

/// A DNS name has at most 253 characters; a longer name of a mirror host is a slip.
const HOST_CHARS_MAX: usize = 253;

/// Linux refuses a longer path.
const PATH_BYTES_MAX: usize = 4095;

/// Elasticsearch's limit of an index name in bytes.
const INDEX_BYTES_MAX: usize = 255;

fn fault<T>(what: impl Into<String>, mend: impl Into<String>) -> Result<T, Fault> {
    Err((what.into(), mend.into()))
}

pub(super) fn topic(name: &str) -> Result<String, Fault> {
    let is_legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    if let Some(bad) = name.chars().find(|c| !is_legal(*c)) {
        return fault(
            format!("{name:?} is not a topic name: Kafka forbids {bad:?}"),
            "write one topic, with letters, digits, '.', '_' and '-' only",
        );
    }
    if name == "." || name == ".." || name.len() > TOPIC_CHARS_MAX {
        return fault(
            format!("Kafka forbids the topic name {name:?}"),
            format!("a topic has 1 to {TOPIC_CHARS_MAX} characters and is not . or .."),
        );
    }
    Ok(name.to_owned())
}

/// Kafka takes any text as a group id; the remote shell of a mirror host does not.
pub(super) fn group(name: &str) -> Result<String, Fault> {
    if name.chars().count() > GROUP_CHARS_MAX {
        return fault(
            format!("is longer than {GROUP_CHARS_MAX} characters"),
            "write the group.id of the consumer",
        );
    }
    if name.trim() != name {
        return fault(
            format!("{name:?} begins or ends with a blank"),
            "remove the blank",
        );
    }
    for_remote_shell(name)
}

pub(super) fn mirror_host(name: &str) -> Result<String, Fault> {
    let is_legal = |c: char| c.is_alphanumeric() || matches!(c, '.' | '_' | '-' | ':');
    if name.is_empty() || !name.chars().all(is_legal) || name.chars().count() > HOST_CHARS_MAX {
        return fault(
            format!("{name:?} cannot name a mirror host"),
            "use letters, digits, '.', '_', '-' and ':'; the machine itself goes under address:",
        );
    }
    Ok(name.to_owned())
}

/// A host name or IP address for SSH, without user and port.
pub(super) fn address(text: &str) -> Result<String, Fault> {
    if let Some((user, rest)) = text.split_once('@') {
        return fault(
            format!("{text:?} has a user name in it"),
            format!("write address: {rest} and ssh: {{user: {user}}}"),
        );
    }
    if text.parse::<std::net::Ipv6Addr>().is_ok() {
        return Ok(text.to_owned());
    }
    if let Some(inner) = text.strip_prefix('[').and_then(|t| t.strip_suffix(']')) {
        let mend = format!("write it without brackets: '{inner}'");
        return fault(format!("{text:?} is not an address"), mend);
    }
    if let Some((name, port)) = text.rsplit_once(':') {
        return fault(
            format!("{text:?} has a port in it"),
            format!("write address: {name} and port: {port}"),
        );
    }
    if text.len() > HOST_CHARS_MAX || !is_host_name(text) {
        return fault(
            format!("{text:?} is not a host name or an IP address"),
            "write what you would type after ssh, without user and port",
        );
    }
    Ok(text.to_owned())
}

pub(super) fn user(name: &str) -> Result<String, Fault> {
    if name.chars().any(|c| c.is_whitespace() || c.is_control()) {
        return fault(
            format!("{name:?} is not a login name"),
            "write what you would type before the @ of ssh",
        );
    }
    Ok(name.to_owned())
}

/// One `host:port` of `--bootstrap-server`.
pub(super) fn bootstrap_server(text: &str) -> Result<String, Fault> {
    let example = "write host:port, as in b1:9092";
    if let Some((_, rest)) = text.split_once("://") {
        return fault(
            format!("{text:?} has a protocol in it"),
            format!("write {rest}; the protocol belongs into the file of command_config"),
        );
    }
    let Some((name, port)) = text.rsplit_once(':') else {
        return fault(format!("{text:?} has no port"), example);
    };
    let name_is_good = match name.strip_prefix('[').and_then(|n| n.strip_suffix(']')) {
        Some(inner) => inner.parse::<std::net::Ipv6Addr>().is_ok(),
        None => is_host_name(name),
    };
    if !name_is_good {
        return fault(format!("{text:?} does not name a broker"), example);
    }
    if !port.bytes().all(|b| b.is_ascii_digit()) || !matches!(port.parse::<u16>(), Ok(1..)) {
        return fault(
            format!("{port:?} is not a port"),
            "write host:port with a port of 1 to 65535",
        );
    }
    Ok(text.to_owned())
}

/// A path on a mirror host that a shell there passes on.
pub(super) fn remote_path(text: &str) -> Result<String, Fault> {
    if !text.starts_with('/') {
        let what = format!("{text:?} is not an absolute path");
        let mend = if text.starts_with('~') {
            "write it from / on, as pwd prints it on the mirror host: ~ is expanded only on this machine"
        } else {
            "write it from / on: a command over SSH has no login shell and a bare PATH"
        };
        return fault(what, mend);
    }
    let is_legal = |c: char| c.is_alphanumeric() || " /._-+=,:@%~".contains(c);
    if let Some(bad) = text.chars().find(|c| !is_legal(*c)) {
        return fault(
            format!("{text:?} has {bad:?} in it"),
            "use a path of letters, digits, blanks and /._-+=,:@%~ on the mirror host (a symbolic link serves)",
        );
    }
    if text.len() > PATH_BYTES_MAX || text.ends_with('/') {
        return fault(
            format!("{text:?} does not name a file"),
            "name the file itself, without a slash at the end",
        );
    }
    Ok(text.to_owned())
}

/// The path of the CLI: Kafka's own script breaks on a blank in it.
pub(super) fn remote_command(text: &str) -> Result<String, Fault> {
    if text.contains(' ') {
        return fault(
            format!("{text:?} has a blank in it, on which Kafka's scripts break"),
            "move Kafka to a path without blanks, arguments have no place here",
        );
    }
    remote_path(text)
}

/// An index, alias or data stream name, with or without a date in it.
///
/// Source: Elasticsearch, create index API, "Path parameters".
pub(super) fn index(text: &str) -> Result<IndexName, Fault> {
    let rule = "use lower case letters, digits, '_', '-' and '.', beginning with a letter or digit";
    let name: IndexName = text
        .parse()
        .map_err(|bad: BadIndexName| (bad.what, bad.mend))?;
    // Any date is as long, and made of the same characters.
    let example = name.at(DateTime::UNIX_EPOCH);
    let bad = example
        .chars()
        .find(|c| c.is_uppercase() || c.is_control() || " \\/*?\"<>|,#:".contains(*c));
    if let Some(bad) = bad {
        return fault(
            format!("{text:?} is not an index name: Elasticsearch forbids {bad:?}"),
            rule,
        );
    }
    if example.starts_with(['-', '_', '+']) || example == "." || example == ".." {
        return fault(
            format!("Elasticsearch forbids the index name {text:?}"),
            rule,
        );
    }
    if example.len() > INDEX_BYTES_MAX {
        let mend = format!("write at most {INDEX_BYTES_MAX} bytes");
        return fault("is too long for an index name", mend);
    }
    Ok(name)
}

/// Quoting keeps a value one word in every shell but tcsh, which expands `!` and ends at a line end even in quotes.
fn for_remote_shell(text: &str) -> Result<String, Fault> {
    match text.chars().find(|c| c.is_control() || *c == '!') {
        Some(bad) => fault(
            format!("{text:?} has {bad:?} in it, which some login shells change even in quotes"),
            "mirrorlag does not send it to a remote shell: watch this group from another tool, or rename it",
        ),
        None => Ok(text.to_owned()),
    }
}

fn is_host_name(name: &str) -> bool {
    !name.is_empty()
        && !name.starts_with(['-', '.'])
        && name
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_'))
}
