//! In: settings of the CLI, one question, a lease, a marker. Out: one command line for the SSH exec request.
//! Never: puts a value into the script, passes a value that a login shell could read as a command.

use std::time::Duration;

use super::{Describe, Jvm, Settings};

/// The loop that runs on the mirror host; every value reaches it as a positional argument.
///
/// `$1` marker, `$2` lease in seconds, `$3` limit of a describe in seconds, `$4` `JAVA_HOME` or empty, `$5` `light` or `as_is`, and
/// from `$6` on the CLI with its arguments.
///
/// It is one line without `!` and without `'`, because tcsh expands the one and rejects line feeds even in single quotes. It says hello
/// on both streams, then for each line of its standard input that is not empty runs one describe and prints the marker line on
/// both streams, stderr first. The line feed before the marker ends the row that Kafka 3.8 and 3.9 leave open.
///
/// `timeout` is probed and not only looked up, for that of an old BusyBox has no `-k`. Where it is missing there is no lease and
/// no limit. Each `read` runs in a process of its own so that the lease can end it; an empty line renews the lease.
/// `timeout` makes a process group of its own and signals it, but children that do not hear the signal outlive it, and so do those that a
/// CLI leaves behind: when the describe is over, what is left of its group is killed. The group's number is `$` and `!`, written as `\041`.
/// Java's own standard input is `/dev/null`, or it would eat ticks.
pub const LOOP_SCRIPT: &str = concat!(
    r#"m=$1; lease=$2; limit=$3; if [ -n "$4" ]; then JAVA_HOME=$4; export JAVA_HOME; fi; "#,
    r#"if [ "$5" = light ]; then KAFKA_HEAP_OPTS=-Xmx256M; "#,
    r#"KAFKA_JVM_PERFORMANCE_OPTS="-XX:+UseSerialGC -XX:TieredStopAtLevel=1"; "#,
    r#"export KAFKA_HEAP_OPTS KAFKA_JVM_PERFORMANCE_OPTS; fi; "#,
    r#"shift 5; unset JMX_PORT KAFKA_JMX_OPTS KAFKA_LOG4J_OPTS; LC_ALL=C.UTF-8; export LC_ALL; "#,
    r#"if timeout -k 5 5 true </dev/null >/dev/null 2>&1; then has=timeout; else has=no-timeout; fi; "#,
    r#"tick() { if [ $has = timeout ]; "#,
    r#"then t=$(timeout "$lease" /bin/sh -c "IFS= read -r t && printf %s. \"\$t\"") && t=${t%.}; "#,
    r#"else IFS= read -r t; fi; }; "#,
    r#"describe() { if [ $has = timeout ]; then timeout -k 5 "$limit" "$@" & eval "d=\$$(printf "\041")"; "#,
    r#"wait "$d"; code=$?; kill -KILL "-$d" 2>/dev/null; else "$@"; code=$?; fi; }; "#,
    r#"printf "\n%s hello %s\n" "$m" $has >&2; printf "\n%s hello %s\n" "$m" $has; "#,
    r#"while tick; do [ -n "$t" ] || continue; describe "$@" </dev/null; "#,
    r#"printf "\n%s %s %s\n" "$m" "$t" $code >&2; printf "\n%s %s %s\n" "$m" "$t" $code; done"#,
);

/// A value that not every login shell passes on as it is.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{what} {value:?} has the character {character:?}, which a login shell on the mirror host may change even inside quotes; \
     use a value without it"
)]
pub struct Unquotable {
    /// Which value.
    pub what: &'static str,
    pub value: String,
    /// `!`, a line feed or NUL.
    pub character: char,
}

/// The command line of the SSH exec request: the remote loop, ready for ticks on its standard input.
///
/// It works from every login shell that knows `exec` and single quotes. `lease` and the limit of a describe are rounded up
/// to whole seconds, the unit that every `timeout` knows, and are at least one.
///
/// # Errors
/// A value has a character that tcsh changes inside quotes (`!`, line feed) or that no argument can have (NUL).
pub fn loop_command(
    settings: &Settings,
    describe: &Describe,
    lease: Duration,
    marker: &str,
) -> Result<String, Unquotable> {
    let jvm = match settings.jvm {
        Jvm::Light => "light",
        Jvm::AsIs => "as_is",
    };
    let lease = whole_seconds(lease);
    let limit = whole_seconds(describe.limit);
    let java_home = settings.java_home.as_deref().unwrap_or_default();
    let bootstrap_servers = describe.bootstrap_servers.join(",");
    let mut arguments = vec![
        ("marker", marker),
        ("lease", &lease),
        ("limit", &limit),
        ("java_home", java_home),
        ("jvm", jvm),
        ("consumer_groups", &settings.consumer_groups),
        ("option", "--bootstrap-server"),
        ("bootstrap_servers", &bootstrap_servers),
        ("option", "--describe"),
        ("option", "--group"),
        ("group", &describe.group),
    ];
    if let Some(file) = &describe.command_config {
        arguments.extend([("option", "--command-config"), ("command_config", file)]);
    }
    let timeout = settings.timeout.map(milliseconds);
    if let Some(timeout) = &timeout {
        arguments.extend([("option", "--timeout"), ("timeout", timeout.as_str())]);
    }

    let mut command = format!("exec /bin/sh -c '{LOOP_SCRIPT}' sh");
    for (what, value) in arguments {
        command.push(' ');
        command.push_str(&quote(what, value)?);
    }
    Ok(command)
}

/// One word for every login shell.
///
/// `shlex` puts what has a quote or a backslash between double quotes, where tcsh takes no backslash; between single quotes fish takes
/// one. Outside of quotes all shells agree, so those two characters are escaped there, and `shlex` gets what stands between them.
fn quote(what: &'static str, value: &str) -> Result<String, Unquotable> {
    let unquotable = |character| Unquotable {
        what,
        value: value.to_owned(),
        character,
    };
    if let Some(character) = value.chars().find(|c| matches!(c, '!' | '\n' | '\0')) {
        return Err(unquotable(character));
    }
    if value.is_empty() {
        return Ok("''".to_owned());
    }
    let mut word = String::with_capacity(value.len() + 2);
    for piece in value.split_inclusive(['\'', '\\']) {
        let plain = piece.trim_end_matches(['\'', '\\']);
        if !plain.is_empty() {
            // NUL is all that the library refuses.
            word.push_str(&shlex::try_quote(plain).map_err(|_| unquotable('\0'))?);
        }
        if let Some(escaped) = piece.get(plain.len()..).filter(|rest| !rest.is_empty()) {
            word.push('\\');
            word.push_str(escaped);
        }
    }
    Ok(word)
}

/// Never 0, which `timeout` takes for "no limit".
fn whole_seconds(duration: Duration) -> String {
    let seconds = duration.as_secs() + u64::from(duration.subsec_nanos() > 0);
    seconds.max(1).to_string()
}

/// `--timeout` is a Java `int` of milliseconds.
fn milliseconds(duration: Duration) -> String {
    duration.as_millis().clamp(1, i32::MAX as u128).to_string()
}
