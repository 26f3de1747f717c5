//! In: paths on a mirror host. Out: the command that looks at them there; what its output says.
//! Never: changes anything on the host, trusts a line without its marker.

use crate::kafka::{Jvm, Settings};

/// Looks at the host as the describe loop will find it: same shell, same environment.
///
/// `$1` marker, `$2` the CLI, `$3` `light` or `as_is`, `$4` `JAVA_HOME` or empty, from `$5` on the properties files. One line without `!` and
/// `'`, as the loop itself and for the same reasons. Every fact is a line behind the marker, for a login shell may print
/// before it.
const SCRIPT: &str = concat!(
    r#"m=$1; cli=$2; jvm=$3; home=$4; shift 4; "#,
    r#"say() { printf "%s %s\n" "$m" "$*"; }; printf "\n"; say shell; "#,
    r#"if timeout -k 5 5 true </dev/null >/dev/null 2>&1; then has=yes; else has=no; fi; say timeout $has; "#,
    r#"if [ -n "$home" ]; then JAVA_HOME=$home; export JAVA_HOME; fi; "#,
    r#"if [ "$jvm" = light ]; then KAFKA_HEAP_OPTS=-Xmx256M; "#,
    r#"KAFKA_JVM_PERFORMANCE_OPTS="-XX:+UseSerialGC -XX:TieredStopAtLevel=1"; "#,
    r#"export KAFKA_HEAP_OPTS KAFKA_JVM_PERFORMANCE_OPTS; fi; "#,
    r#"unset JMX_PORT KAFKA_JMX_OPTS KAFKA_LOG4J_OPTS; LC_ALL=C.UTF-8; export LC_ALL; "#,
    r#"for f in "$@"; do if [ -d "$f" ]; then say file folder "$f"; elif [ -r "$f" ]; then say file readable "$f"; "#,
    r#"elif [ -e "$f" ]; then say file closed "$f"; else say file missing "$f"; fi; done; "#,
    r#"if [ -n "$JAVA_HOME" ]; then java=$JAVA_HOME/bin/java; else java=java; fi; "#,
    r#"if command -v "$java" >/dev/null 2>&1; then say java yes; else say java no; "#,
    r#"for f in /usr/lib/jvm/*/bin/java /opt/java/*/bin/java /opt/*/jre/bin/java; do "#,
    r#"if [ -x "$f" ]; then say jvm "${f%/bin/java}"; fi; done; fi; "#,
    r#"run() { if [ $has = yes ]; then timeout -k 5 30 "$@"; else "$@"; fi; }; "#,
    r#"if [ -d "$cli" ]; then say cli folder; elif [ -x "$cli" ]; then say cli found; "#,
    r#"out=$(run "$cli" --version </dev/null 2>&1); code=$?; "#,
    r#"printf "%s\n" "$out" | head -n 20 | while IFS= read -r line; do say said "$line"; done; say version $code; "#,
    r#"elif [ -e "$cli" ]; then say cli closed; else say cli missing; "#,
    r#"for f in /opt/kafka*/bin/kafka-consumer-groups.sh /opt/*/kafka*/bin/kafka-consumer-groups.sh "#,
    r#"/usr/local/kafka*/bin/kafka-consumer-groups.sh /srv/kafka*/bin/kafka-consumer-groups.sh "#,
    r#""$HOME"/kafka*/bin/kafka-consumer-groups.sh /usr/bin/kafka-consumer-groups; do "#,
    r#"if [ -x "$f" ]; then say seen "$f"; fi; done; fi; say end"#,
);

/// What stands at a path on the host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Entry {
    Missing,
    Folder,
    /// It is there, but this login may not use it.
    Closed,
    Usable,
}

/// What the host said.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Seen {
    /// Whether it came to its end.
    pub is_whole: bool,
    /// The login shell started `/bin/sh`.
    pub has_shell: bool,
    pub has_timeout: bool,
    pub has_java: bool,
    /// Candidates for `java_home`, where there is no Java.
    pub java_homes: Vec<String>,
    /// `None`: the host did not say.
    pub cli: Option<Entry>,
    /// CLIs at usual places, where the configured one is missing.
    pub other_clis: Vec<String>,
    /// Of `--version`; `None`: it was not run.
    pub exit_code: Option<i32>,
    /// The first lines that `--version` printed, both streams.
    pub said: Vec<String>,
    /// The properties files, in the order asked for.
    pub files: Vec<(String, Entry)>,
}

/// The command line for the host, or the value that cannot be quoted.
pub(super) fn command(settings: &Settings, files: &[&str], marker: &str) -> Result<String, String> {
    let jvm = match settings.jvm {
        Jvm::Light => "light",
        Jvm::AsIs => "as_is",
    };
    let java_home = settings.java_home.as_deref().unwrap_or_default();
    let mut command = format!("exec /bin/sh -c '{SCRIPT}' sh");
    let first = [marker, &settings.consumer_groups, jvm, java_home];
    for value in first.iter().chain(files) {
        // `config` lets no path through that a shell could change; this holds for settings made otherwise.
        let is_plain = |c: char| !c.is_control() && !"!'\"\\`$".contains(c);
        if !value.chars().all(is_plain) {
            return Err((*value).to_owned());
        }
        let quoted = shlex::try_quote(value).map_err(|_| (*value).to_owned())?;
        command.push(' ');
        command.push_str(&quoted);
    }
    Ok(command)
}

/// Reads the lines behind `marker`.
pub(super) fn read(output: &str, marker: &str) -> Seen {
    let mut seen = Seen::default();
    let facts = output.lines().filter_map(|line| {
        let fact = line.strip_prefix(marker)?.strip_prefix(' ')?;
        Some(fact.split_once(' ').unwrap_or((fact, "")))
    });
    for (word, rest) in facts {
        match word {
            "shell" => seen.has_shell = true,
            "timeout" => seen.has_timeout = rest == "yes",
            "java" => seen.has_java = rest == "yes",
            "jvm" => seen.java_homes.push(rest.to_owned()),
            "cli" => seen.cli = entry(rest),
            "seen" => seen.other_clis.push(rest.to_owned()),
            "said" => seen.said.push(rest.to_owned()),
            "version" => seen.exit_code = rest.parse().ok(),
            "file" => {
                let (state, path) = rest.split_once(' ').unwrap_or((rest, ""));
                seen.files
                    .extend(entry(state).map(|entry| (path.to_owned(), entry)));
            }
            "end" => seen.is_whole = true,
            _ => {}
        }
    }
    seen
}

impl Seen {
    /// The version of the CLI, as `--version` prints it from 2.0 on: `3.9.1`, or `2.6.2 (Commit:da65af02e5856e34)`.
    pub fn version(&self) -> Option<&str> {
        let words = self.said.iter().filter_map(|line| line.split(' ').next());
        let is_version = |word: &&str| {
            let mut parts = word.split('.');
            let mut is_number = || parts.next().is_some_and(|part| part.parse::<u32>().is_ok());
            is_number() && is_number()
        };
        words.into_iter().find(is_version)
    }
}

fn entry(word: &str) -> Option<Entry> {
    Some(match word {
        "missing" => Entry::Missing,
        "folder" => Entry::Folder,
        "closed" => Entry::Closed,
        "found" | "readable" => Entry::Usable,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;
    use std::path::Path;
    use std::process::Command;

    use super::*;

    const MARKER: &str = "mirrorlag-test";

    fn settings(cli: &Path) -> Settings {
        Settings {
            consumer_groups: cli.to_str().unwrap().to_owned(),
            java_home: None,
            jvm: Jvm::Light,
            timeout: None,
        }
    }

    fn script(path: &Path, text: &str, mode: u32) {
        fs::write(path, format!("#!/bin/sh\n{text}\n")).unwrap();
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    }

    /// Runs the command as sshd would, with a login shell that prints before it.
    fn look(settings: &Settings, files: &[&str]) -> Seen {
        let command = command(settings, files, MARKER).unwrap();
        let output = Command::new("/bin/sh")
            .args(["-c", &format!("echo Welcome; {command}")])
            .env("JMX_PORT", "5555")
            .output()
            .unwrap();
        read(&String::from_utf8(output.stdout).unwrap(), MARKER)
    }

    #[test]
    fn a_cli_that_runs_says_its_version_in_the_environment_of_the_loop() {
        let folder = tempfile::tempdir().unwrap();
        let cli = folder.path().join("kafka-consumer-groups.sh");
        script(
            &cli,
            r#"echo "heap=$KAFKA_HEAP_OPTS jmx=$JMX_PORT" >&2; [ "$1" = --version ] && echo "2.6.2 (Commit:da65af02e5856e34)""#,
            0o755,
        );
        let file = folder.path().join("mm consumer.properties");
        fs::write(&file, "").unwrap();
        let file = file.to_str().unwrap();
        let seen = look(&settings(&cli), &[file, "/none/at/all"]);
        assert!(
            seen.has_shell && seen.is_whole && seen.has_timeout,
            "{seen:?}"
        );
        assert_eq!(seen.cli, Some(Entry::Usable));
        assert_eq!(seen.version(), Some("2.6.2"));
        assert_eq!(seen.exit_code, Some(0));
        assert!(
            seen.said.contains(&"heap=-Xmx256M jmx=".to_owned()),
            "{seen:?}"
        );
        let files = [
            (file.to_owned(), Entry::Usable),
            ("/none/at/all".to_owned(), Entry::Missing),
        ];
        assert_eq!(seen.files, files);
    }

    #[test]
    fn a_cli_that_is_missing_closed_or_a_folder_is_not_run() {
        let folder = tempfile::tempdir().unwrap();
        let missing = look(&settings(&folder.path().join("none")), &[]);
        assert_eq!(
            (missing.cli, missing.exit_code),
            (Some(Entry::Missing), None)
        );
        let closed = folder.path().join("closed.sh");
        script(&closed, "exit 0", 0o600);
        assert_eq!(look(&settings(&closed), &[]).cli, Some(Entry::Closed));
        let is_folder = look(&settings(folder.path()), &[]);
        assert_eq!(
            (is_folder.cli, is_folder.exit_code),
            (Some(Entry::Folder), None)
        );
    }

    #[test]
    fn a_cli_without_java_keeps_its_exit_code_and_its_words() {
        let folder = tempfile::tempdir().unwrap();
        let cli = folder.path().join("cli");
        script(&cli, "echo 'exec: java: not found' >&2; exit 127", 0o755);
        let mut settings = settings(&cli);
        settings.java_home = Some("/none/java".to_owned());
        let seen = look(&settings, &[]);
        assert!(!seen.has_java);
        assert_eq!(seen.exit_code, Some(127));
        assert_eq!((seen.version(), seen.said.len()), (None, 1));
    }

    #[test]
    fn words_that_look_like_a_version_must_begin_with_two_numbers() {
        let version = |line: &str| {
            let seen = Seen {
                said: vec![
                    "Picked up JAVA_TOOL_OPTIONS: 3.1".to_owned(),
                    line.to_owned(),
                ],
                ..Seen::default()
            };
            seen.version().map(str::to_owned)
        };
        assert_eq!(version("3.9.1").as_deref(), Some("3.9.1"));
        assert_eq!(
            version("7.5.0-ccs (Commit:1)").as_deref(),
            Some("7.5.0-ccs")
        );
        assert_eq!(version("2026-11-21 WARN"), None);
        assert_eq!(version("no version here"), None);
    }

    #[test]
    fn a_value_that_a_shell_could_change_is_refused() {
        for value in ["/a'b", "/a!b", "/a\nb", "/$(reboot)", "/`reboot`", "/a\\b"] {
            assert_eq!(
                command(&settings(Path::new(value)), &[], MARKER),
                Err(value.to_owned())
            );
        }
    }

    #[test]
    fn lines_without_the_marker_say_nothing() {
        assert_eq!(
            read("shell\ntimeout yes\n xmirrorlag-test shell\n", MARKER),
            Seen::default()
        );
    }
}
