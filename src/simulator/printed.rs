//! In: a CLI version and what Kafka knows of a group. Out: what `--describe` prints on both streams, and its exit code.
//! Never: knows SSH.

use super::load::{MemberState, Snapshot};
use super::table::{self, CliVersion};

/// What one run of the CLI left behind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Printed {
    pub stdout: String,
    pub stderr: String,
    pub code: i32,
}

/// What the CLI prints for `group`; `None` as snapshot: the broker has no such group.
///
/// Source of the texts: `ConsumerGroupCommand` of each version.
pub fn describe(version: CliVersion, group: &str, snapshot: Option<&Snapshot>) -> Printed {
    let (stdout, stderr) = match snapshot {
        None => (missing(version, group), String::new()),
        Some(snapshot) => known(version, group, snapshot),
    };
    Printed {
        stdout,
        stderr,
        code: 0, // for every failure that Kafka reports
    }
}

fn missing(version: CliVersion, group: &str) -> String {
    match version {
        CliVersion::V0_9 | CliVersion::V0_10_0 => {
            format!("Consumer group `{group}` does not exist or is rebalancing.\n")
        }
        CliVersion::V0_10_2 | CliVersion::V1_1 => {
            format!("Error: Consumer group '{group}' does not exist.\n")
        }
        CliVersion::V2_3 | CliVersion::V3_8 => {
            format!("\nError: Consumer group '{group}' does not exist.\n")
        }
        CliVersion::V4_0 | CliVersion::V4_0Verbose => format!(
            "\nError: Executing consumer group command failed due to \
             org.apache.kafka.common.errors.GroupIdNotFoundException: Group {group} not found.\n"
        ),
    }
}

fn known(version: CliVersion, group: &str, snapshot: &Snapshot) -> (String, String) {
    // These versions print the same words for a group in motion as for none, and no table.
    if version.has_owner() && snapshot.state != MemberState::Stable {
        return (missing(version, group), String::new());
    }
    let note = match version {
        CliVersion::V0_10_2 | CliVersion::V1_1 => {
            "Note: This will not show information about old Zookeeper-based consumers.\n"
        }
        _ => "",
    };
    let blank = match version {
        CliVersion::V0_10_2 | CliVersion::V1_1 => "",
        _ => "\n",
    };
    let message = match snapshot.state {
        MemberState::Stable => String::new(),
        MemberState::Empty => {
            format!("{blank}Consumer group '{group}' has no active members.\n")
        }
        MemberState::Rebalancing => {
            format!("{blank}Warning: Consumer group '{group}' is rebalancing.\n")
        }
    };
    // To 2.0 (2.1 and 2.2 share their layout with 1.1) every row is hidden until the group's first commit.
    let is_fresh = snapshot.rows.iter().all(|row| row.current_offset.is_none());
    let stdout = match version {
        CliVersion::V1_1 if is_fresh => String::new(),
        CliVersion::V0_10_2 if is_fresh => table::render(version, group, &[]),
        _ => table::render(version, group, &snapshot.rows),
    };
    (stdout, format!("{note}{message}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn snapshot(state: MemberState) -> Snapshot {
        let row = table::TableRow {
            topic: "orders".to_owned(),
            partition: 0,
            current_offset: Some(1),
            log_end_offset: Some(3),
            lag: Some(2),
            consumer_id: None,
            consumer_host: None,
            client_id: None,
        };
        Snapshot {
            state,
            rows: vec![row],
        }
    }

    #[test]
    fn a_state_message_goes_to_stderr_and_the_table_to_stdout() {
        let printed = describe(
            CliVersion::V2_3,
            "g",
            Some(&snapshot(MemberState::Rebalancing)),
        );
        assert_eq!(
            printed.stderr,
            "\nWarning: Consumer group 'g' is rebalancing.\n"
        );
        assert!(printed.stdout.contains("orders"));
        assert_eq!(printed.code, 0);
    }

    #[test]
    fn a_missing_group_is_said_in_the_words_of_each_version() {
        let said = |version| describe(version, "g", None).stdout;
        assert!(said(CliVersion::V0_10_0).contains("`g` does not exist or is rebalancing"));
        assert!(said(CliVersion::V0_10_2).starts_with("Error: Consumer group 'g' does not exist."));
        assert!(said(CliVersion::V3_8).starts_with("\nError: Consumer group 'g' does not exist."));
        assert!(said(CliVersion::V4_0).contains("GroupIdNotFoundException: Group g not found."));
    }

    #[test]
    fn old_versions_hide_a_group_that_never_committed() {
        let mut fresh = snapshot(MemberState::Stable);
        fresh.rows[0].current_offset = None;
        fresh.rows[0].lag = None;
        let said = |version| describe(version, "g", Some(&fresh)).stdout;
        assert_eq!(said(CliVersion::V1_1), "");
        assert!(!said(CliVersion::V0_10_2).contains("orders"));
        assert!(said(CliVersion::V2_3).contains("orders"));
    }
}
