//! In: lines that are neither header nor row. Out: state of the group, whether it is missing, the reason of a failure.
//! Never: takes a warning for a failure, an exit code for a success.

use super::GroupState;

/// Bytes of a reason that are kept; the longest message of the CLI that says something is about 300.
const REASON_BYTES_MAX: usize = 500;

/// What the CLI says about a group. Sources: `ConsumerGroupCommand.collectConsumerGroupState`, `printOffsets`.
const ABOUT_A_GROUP: [(&str, About); 3] = [
    (" does not exist", About::Missing),
    (" has no active members", About::State(GroupState::Empty)),
    (" is rebalancing", About::State(GroupState::Rebalancing)),
];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum About {
    Missing,
    State(GroupState),
}

/// Whose message it is.
enum Whose {
    Asked(About),
    OtherGroup,
}

/// What the texts of one round say about the group asked for.
#[derive(Debug)]
pub(super) struct Messages<'a> {
    group: &'a str,
    /// State message, with its line.
    pub(super) state: Option<(GroupState, &'a str)>,
    /// The line that says that the group does not exist.
    pub(super) missing: Option<&'a str>,
    /// First line of stdout that starts with `Error`, and the line behind it.
    error: Option<(&'a str, &'a str)>,
    /// The line before was that error.
    is_behind_error: bool,
    /// An error about a group that was not asked for; it counts where nothing else was said.
    other_group: Option<&'a str>,
    /// First line of stdout that says none of this.
    other_stdout: Option<&'a str>,
    /// First line of stderr that is not noise.
    stderr: Option<&'a str>,
    caused_by: Option<&'a str>,
}

impl<'a> Messages<'a> {
    pub(super) fn new(group: &'a str) -> Self {
        Self {
            group,
            state: None,
            missing: None,
            error: None,
            is_behind_error: false,
            other_group: None,
            other_stdout: None,
            stderr: None,
            caused_by: None,
        }
    }

    /// Takes a line of stdout that is not blank. Tells whether it is a message of the CLI, and not just some text.
    pub(super) fn take_stdout(&mut self, line: &'a str) -> bool {
        let is_behind_error = std::mem::take(&mut self.is_behind_error);
        if self.take_message(line) {
            return true;
        }
        if line.starts_with("Error") {
            self.is_behind_error = self.error.is_none();
            self.error.get_or_insert((line, ""));
            return true;
        }
        if is_behind_error && let Some((_, behind)) = &mut self.error {
            *behind = line;
            return true;
        }
        if !is_noise(line) {
            self.other_stdout.get_or_insert(line);
        }
        false
    }

    pub(super) fn take_stderr(&mut self, text: &'a str) {
        for line in text.lines() {
            if self.take_message(line) {
                continue;
            }
            if line.starts_with("Caused by:") {
                self.caused_by = Some(line);
            } else if !is_noise(line) {
                self.stderr.get_or_insert(line);
            }
        }
    }

    /// Why there is no table, in the words of the CLI, the JVM or the shell; `None` where nothing was said.
    pub(super) fn reason(&self) -> Option<String> {
        let text = || self.other_group.or(self.other_stdout).map(shortened);
        self.complaint().or_else(text)
    }

    /// The same, of lines only that are surely a complaint.
    pub(super) fn complaint(&self) -> Option<String> {
        if let Some((line, behind)) = self.error {
            return Some(match self.caused_by {
                _ if line.starts_with("Error occurred during initialization of VM") => {
                    shortened(&format!("{line}: {behind}"))
                }
                Some(cause) if line.contains("Failed to create new") => {
                    shortened(&format!("{line}: {cause}"))
                }
                _ => shortened(line),
            });
        }
        self.stderr.map(shortened)
    }

    /// Whether an error was printed that is not about some other group.
    pub(super) fn has_error(&self) -> bool {
        self.error.is_some()
    }

    /// Takes a line that says something about a group, on either stream: versions differ.
    fn take_message(&mut self, line: &'a str) -> bool {
        match whose(self.group, line) {
            Some(Whose::Asked(About::Missing)) => {
                self.missing.get_or_insert(line);
            }
            Some(Whose::Asked(About::State(state))) => {
                self.state.get_or_insert((state, line));
            }
            Some(Whose::OtherGroup) => {
                self.other_group.get_or_insert(line);
            }
            None => return false,
        }
        true
    }
}

fn whose(group: &str, line: &str) -> Option<Whose> {
    // Only 4.x brokers know this exception (KIP-1043), and it hides all other groups.
    if let Some((_, text)) = line.split_once("GroupIdNotFoundException") {
        let named = text
            .strip_prefix(": Group ")
            .and_then(|t| t.strip_suffix(" not found."));
        return Some(match named {
            Some(name) if name != group => Whose::OtherGroup,
            _ => Whose::Asked(About::Missing),
        });
    }
    let line = ["Error: ", "Warning: "]
        .iter()
        .find_map(|word| line.strip_prefix(word))
        .unwrap_or(line);
    let text = ["Consumer group ", "The consumer group "]
        .iter()
        .find_map(|word| line.strip_prefix(word))?;
    // To 0.10.1 the name stands between backticks.
    let quote = text.chars().next().filter(|c| matches!(c, '\'' | '`'))?;
    let text = text.get(1..)?;
    let about = |text: &str| {
        ABOUT_A_GROUP
            .iter()
            .find(|(words, _)| text.starts_with(words))
            .map(|(_, about)| *about)
    };
    let asked = text
        .strip_prefix(group)
        .and_then(|t| t.strip_prefix(quote))
        .and_then(about);
    match asked {
        Some(about) => Some(Whose::Asked(about)),
        None => {
            let (_, behind) = text.rsplit_once(quote)?;
            about(behind).map(|_| Whose::OtherGroup)
        }
    }
}

/// Lines that a healthy run may print too: blank, indented, notes, warnings and the logs of libraries.
fn is_noise(line: &str) -> bool {
    const STARTS: [&str; 7] = [
        " ",
        "\t",
        "Note: ",
        "SLF4J:",
        "log4j:",
        "Picked up ",
        "WARNING: ",
    ];
    line.trim().is_empty()
        || STARTS.iter().any(|start| line.starts_with(start))
        || line.contains(" VM warning:")
        || is_quiet_log_line(line)
}

/// `[2026-11-21 07:04:39,645] WARN ...`
fn is_quiet_log_line(line: &str) -> bool {
    let Some((date, text)) = line.strip_prefix('[').and_then(|l| l.split_once("] ")) else {
        return false;
    };
    date.starts_with(|c: char| c.is_ascii_digit())
        && ["WARN", "INFO", "DEBUG", "TRACE"]
            .iter()
            .any(|level| text.starts_with(level))
}

/// At most `REASON_BYTES_MAX` bytes, cut between characters, a blank for each character that would move a terminal's cursor.
pub(super) fn shortened(text: &str) -> String {
    let mut end = text.len().min(REASON_BYTES_MAX);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    let printable = |letter: char| if letter.is_control() { ' ' } else { letter };
    let text = text.get(..end).unwrap_or_default().trim();
    text.chars().map(printable).collect()
}
