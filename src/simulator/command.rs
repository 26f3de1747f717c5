//! In: the command line of an exec request. Out: the remote loop with its positional arguments, or what a shell would answer.
//! Never: runs anything. It is the one place that knows the contract between the remote loop and the simulator.

use std::time::Duration;

/// Where the CLI lies on every simulated host.
pub const CONSUMER_GROUPS: &str = "/opt/kafka/bin/kafka-consumer-groups.sh";

/// What a client asked a host to run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Command {
    Loop(LoopArguments),
    LineLoop(LineLoopArguments),
    /// A command that ends at once.
    Other(Answer),
}

/// What a command that ends at once leaves behind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Answer {
    pub(super) stdout: String,
    pub(super) stderr: String,
    pub(super) code: u32,
}

/// The positional arguments of the remote loop, `exec /bin/sh -c SCRIPT sh MARKER LEASE LIMIT JAVA_HOME JVM CLI ARGUMENTS...`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct LoopArguments {
    pub(super) marker: String,
    pub(super) lease: Duration,
    /// Of one describe.
    pub(super) limit: Duration,
    pub(super) consumer_groups: String,
    pub(super) group: String,
}

/// The shell loop that scripts use, `while sleep 1; do echo $(CLI ... --group GROUP --describe ... | grep TOPIC | ... | xargs); done`:
/// a line with the lags of one topic, for ever.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct LineLoopArguments {
    pub(super) pause: Duration,
    pub(super) group: String,
    /// As for `grep`: any row that contains it.
    pub(super) topic: String,
}

/// Reads a command line as a POSIX shell would split it.
pub(super) fn parse(line: &str) -> Command {
    let words = shlex::split(line).unwrap_or_default();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    if let Some(arguments) = loop_arguments(&words) {
        return Command::Loop(arguments);
    }
    if let Some(arguments) = line_loop_arguments(&words) {
        return Command::LineLoop(arguments);
    }
    let name = words.iter().find(|word| **word != "exec").copied();
    Command::Other(Answer {
        stdout: String::new(),
        stderr: format!("sh: 1: {}: not found\n", name.unwrap_or("syntax error")),
        code: 127,
    })
}

fn loop_arguments(words: &[&str]) -> Option<LoopArguments> {
    let ["exec", "/bin/sh", "-c", script, "sh", arguments @ ..] = words else {
        return None;
    };
    let [
        marker,
        lease,
        limit,
        _java_home,
        _jvm,
        consumer_groups,
        options @ ..,
    ] = arguments
    else {
        return None;
    };
    if !script.contains("while ") || !options.contains(&"--describe") {
        return None;
    }
    Some(LoopArguments {
        marker: (*marker).to_owned(),
        lease: Duration::from_secs(lease.parse().ok()?),
        limit: Duration::from_secs(limit.parse().ok()?),
        consumer_groups: (*consumer_groups).to_owned(),
        group: value_of(options, "--group")?.to_owned(),
    })
}

fn line_loop_arguments(words: &[&str]) -> Option<LineLoopArguments> {
    let ["while", "sleep", pause, "do", "echo", options @ ..] = words else {
        return None;
    };
    let pause = pause.strip_suffix(';')?.parse().ok()?;
    if !options.contains(&"--describe") {
        return None;
    }
    Some(LineLoopArguments {
        pause: Duration::try_from_secs_f64(pause).ok()?,
        group: value_of(options, "--group")?.to_owned(),
        topic: value_of(options, "grep")?.to_owned(),
    })
}

fn value_of<'w>(words: &[&'w str], option: &str) -> Option<&'w str> {
    let at = words.iter().position(|word| *word == option)?;
    words.get(at + 1).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_positional_arguments_of_the_loop_are_read_and_a_group_may_have_spaces() {
        let line = "exec /bin/sh -c 'm=$1; while tick; do :; done' sh m4rk 90 30 '' light \
            /opt/kafka/bin/kafka-consumer-groups.sh --bootstrap-server b1:9092 --describe --group 'my group'";
        let expected = LoopArguments {
            marker: "m4rk".to_owned(),
            lease: Duration::from_secs(90),
            limit: Duration::from_secs(30),
            consumer_groups: CONSUMER_GROUPS.to_owned(),
            group: "my group".to_owned(),
        };
        assert_eq!(parse(line), Command::Loop(expected));
    }

    #[test]
    fn the_loop_of_a_script_is_read() {
        let line = "while sleep 1; do echo $(/opt/kafka/bin/kafka-consumer-groups.sh --bootstrap-server b1:9092 \
            --group mirror --describe --command-config /mm.properties 2>/dev/null | grep orders | sed 's/\\s\\+/\\t/g' \
            | cut -f 6 | xargs); done";
        let expected = LineLoopArguments {
            pause: Duration::from_secs(1),
            group: "mirror".to_owned(),
            topic: "orders".to_owned(),
        };
        assert_eq!(parse(line), Command::LineLoop(expected));
    }

    #[test]
    fn another_command_is_not_found() {
        for (line, name) in [
            ("uname -a", "uname"),
            ("exec /bin/sh -c 'true' sh", "/bin/sh"),
        ] {
            let Command::Other(answer) = parse(line) else {
                panic!("{line} is no loop");
            };
            assert_eq!((answer.code, answer.stdout.as_str()), (127, ""));
            assert!(answer.stderr.contains(name), "{}", answer.stderr);
        }
    }
}
