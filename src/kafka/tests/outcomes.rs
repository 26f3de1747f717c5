//! In: rounds as the CLI ends them. Out: the outcome, its reason, the state of the group.

use super::*;

#[test]
fn a_header_without_rows_is_left_to_the_caller() {
    let round = round(0, HEADER, "");
    let description = read("g", &round);
    assert_eq!(
        (description.failure, description.group_state),
        (None, GroupState::Stable)
    );
}

#[test]
fn a_state_message_belongs_to_the_group_it_names() {
    let text = format!("{HEADER}g t 0 1 2 1 - - -\n");
    for (stderr, state) in [
        (
            "\nConsumer group 'g' has no active members.\n",
            GroupState::Empty,
        ),
        (
            "\nWarning: Consumer group 'g' is rebalancing.\n",
            GroupState::Rebalancing,
        ),
        (
            "\nWarning: Consumer group 'g2' is rebalancing.\n",
            GroupState::Stable,
        ),
        ("", GroupState::Stable),
    ] {
        let round = round(0, &text, stderr);
        let description = read("g", &round);
        assert_eq!(
            (description.group_state, description.failure),
            (state, None),
            "{stderr}"
        );
    }
}

#[test]
fn a_state_message_alone_is_no_rows_in_that_state() {
    for (stdout, stderr, state) in [
        (
            "",
            "\nConsumer group 'g' has no active members.\n",
            GroupState::Empty,
        ),
        (
            "Consumer group `g` is rebalancing.\n",
            "",
            GroupState::Rebalancing,
        ),
    ] {
        let round = round(0, stdout, stderr);
        let description = read("g", &round);
        assert_eq!(description.group_state, state);
        assert_eq!(
            description.failure.map(|f| f.outcome),
            Some(Outcome::NoRows)
        );
    }
}

#[test]
fn nothing_at_all_is_no_rows_in_an_unknown_state() {
    let round = round(
        0,
        "\n\n",
        "Note: This will not show information about old Zookeeper-based consumers.\n\n",
    );
    let description = read("g", &round);
    assert_eq!(description.group_state, GroupState::Unknown);
    let failure = description.failure.expect("a failure");
    assert_eq!(failure.outcome, Outcome::NoRows);
    assert_eq!(failure.reason, "the CLI printed nothing");
}

#[test]
fn every_text_for_a_missing_group_is_group_missing() {
    for line in [
        "Error: Consumer group 'g' does not exist.",
        "Error: The consumer group 'g' does not exist.",
        "Consumer group `g` does not exist.",
        "Consumer group `g` does not exist or is rebalancing.",
        "Error: Executing consumer group command failed due to org.apache.kafka.common.errors.GroupIdNotFoundException: Group g not found.",
    ] {
        let (outcome, reason) = failure(0, &format!("\n{line}\n"), "");
        assert_eq!(outcome, Outcome::GroupMissing, "{line}");
        assert_eq!(reason, line);
    }
}

#[test]
fn a_group_with_quotes_in_its_name_is_told_from_its_message() {
    let text = "\nError: Consumer group 'it's' does not exist.\n";
    let round = round(0, text, "");
    let outcome = |group| read(group, &round).failure.map(|f| f.outcome);
    assert_eq!(outcome("it's"), Some(Outcome::GroupMissing));
    // Nothing else was said: the reason is that line, but nobody claims that "it" is missing.
    assert_eq!(outcome("it"), Some(Outcome::CliError));
}

#[test]
fn every_failure_that_kafka_reports_has_its_first_line_as_the_reason() {
    for cause in [
        "org.apache.kafka.common.errors.TimeoutException: Timed out waiting for a node assignment. Call: describeConsumerGroups(api=FIND_COORDINATOR)",
        "org.apache.kafka.common.errors.TimeoutException: Call(callName=findCoordinator, deadlineMs=1, tries=1) timed out at 2 after 1 attempt(s)",
        "The consumer group command timed out while waiting for group to initialize: ",
        "Request METADATA failed on brokers List(127.0.0.1:9 (id: -1 rack: null))",
        "java.nio.file.NoSuchFileException: /etc/kafka/missing.properties",
        "org.apache.kafka.common.errors.GroupAuthorizationException: Not authorized to access group: g",
        "org.apache.kafka.common.errors.SaslAuthenticationException: Authentication failed",
        "org.apache.kafka.common.errors.IllegalSaslStateException: Unexpected handshake request",
        "org.apache.kafka.common.errors.UnknownTopicOrPartitionException: This server does not host this topic-partition.",
        "null",
        "Expected a valid consumer group state, but found 'Unknown'.",
    ] {
        let line = format!("Error: Executing consumer group command failed due to {cause}");
        let stderr = "java.lang.RuntimeException: x\n\tat a.B(C.java:1)\nCaused by: y\n\tat d\n";
        let (outcome, reason) = failure(0, &format!("\n{line}\n"), stderr);
        assert_eq!(
            (outcome, reason.as_str()),
            (Outcome::CliError, line.trim_end())
        );
    }
}

#[test]
fn a_client_that_cannot_be_created_names_the_last_cause() {
    let line = "Error: Executing consumer group command failed due to Failed to create new KafkaAdminClient";
    let stderr = "org.apache.kafka.common.KafkaException: Failed to create new KafkaAdminClient\n\tat x\n\
                  Caused by: a\n\tat y\nCaused by: org.apache.kafka.common.config.ConfigException: No resolvable bootstrap urls\n";
    let (_, reason) = failure(0, &format!("\n{line}\n"), stderr);
    assert_eq!(
        reason,
        format!(
            "{line}: Caused by: org.apache.kafka.common.config.ConfigException: No resolvable bootstrap urls"
        )
    );
}

#[test]
fn the_reason_of_a_jvm_that_did_not_start_stands_on_its_second_line() {
    let stdout = "Error occurred during initialization of VM\nToo small maximum heap\n";
    assert_eq!(
        failure(1, stdout, ""),
        (
            Outcome::CliError,
            "Error occurred during initialization of VM: Too small maximum heap".to_owned()
        )
    );
}

#[test]
fn without_an_error_on_stdout_the_first_line_of_stderr_that_is_no_noise_is_the_reason() {
    for (code, line) in [
        (
            1,
            "Error: Could not find or load main class kafka.admin.ConsumerGroupCommand",
        ),
        (
            1,
            "Error: Exception thrown by the agent : java.rmi.server.ExportException: Port already in use: 5555",
        ),
        (
            1,
            "Exception in thread \"main\" java.nio.file.NoSuchFileException: /x",
        ),
        (1, "no-such-option is not a recognized option"),
        (
            126,
            "timeout: failed to run command '/x': Permission denied",
        ),
        (
            127,
            "timeout: failed to run command '/x': No such file or directory",
        ),
        (
            127,
            "/opt/kafka/bin/kafka-run-class.sh: line 342: exec: java: not found",
        ),
    ] {
        let stderr = format!(
            "\nPicked up JAVA_TOOL_OPTIONS: -Dx=y\nNote: This will not show\nSLF4J: No providers\nlog4j:WARN No appenders\n\
             OpenJDK 64-Bit Server VM warning: x\n[2026-11-21 07:04:39,645] WARN x (y)\n\tat b\n{line}\n\tat c\nlast\n"
        );
        assert_eq!(
            failure(code, "", &stderr),
            (Outcome::CliError, line.to_owned())
        );
    }
}

#[test]
fn a_silent_failure_names_its_exit_code() {
    assert_eq!(
        failure(3, "", ""),
        (
            Outcome::CliError,
            "the CLI ended with code 3 and said nothing".to_owned()
        )
    );
}

#[test]
fn a_describe_that_was_ended_has_no_rows_however_many_it_printed() {
    let text = format!("{HEADER}g t 0 0 5 5 - - -\ng t 1 0 5 ");
    for code in [124, 137, 143] {
        assert_eq!(failure(code, &text, "").0, Outcome::Timeout, "{code}");
    }
    assert_eq!(
        failure(134, &text, ""),
        (
            Outcome::CliError,
            "the describe was ended by signal 6".to_owned()
        )
    );
}

#[test]
fn an_exit_code_alone_does_not_spoil_a_table() {
    let round = round(1, &format!("{HEADER}g t 0 0 5 5 - - -\n"), "");
    let description = read("g", &round);
    assert_eq!((description.rows.len(), description.failure), (1, None));
}

#[test]
fn a_header_alone_does_not_hide_an_error() {
    let stdout = format!("{HEADER}\nError: Executing consumer group command failed due to null\n");
    assert_eq!(failure(0, &stdout, "").0, Outcome::CliError);
    assert_eq!(failure(1, HEADER, "killed").1, "killed");
}

#[test]
fn too_much_output_is_a_failure_and_not_half_a_table() {
    let round = RoundText {
        is_too_much: true,
        ..round(0, &format!("{HEADER}g t 0 0 5 5 - - -\n"), "")
    };
    let description = read("g", &round);
    assert!(description.rows.is_empty());
    assert_eq!(
        description.failure.map(|f| f.outcome),
        Some(Outcome::CliError)
    );
    assert_eq!(description.problems, [Problem::TooMuchOutput]);
}

#[test]
fn noise_around_and_between_the_rows_costs_no_row() {
    let text = format!(
        "[2026-11-21 07:04:39,645] INFO AdminClientConfig values: \n\tacks = 1\n{HEADER}g t 0 0 5 5 - - -\n\
         log4j:WARN x\nOpenJDK 64-Bit Server VM warning: y\ng t 1 0 6 6 - - -\n[2026-11-21 07:04:39,646] INFO bye\n"
    );
    let round = round(0, &text, "");
    let description = read("g", &round);
    assert_eq!((description.rows.len(), description.failure), (2, None));
    assert_eq!(
        description.problems,
        [Problem::NotRows {
            count: 3,
            first: "log4j:WARN x".to_owned()
        }]
    );
}

#[test]
fn a_long_reason_is_cut_between_characters() {
    let (_, reason) = failure(1, "", &"ä".repeat(400));
    assert_eq!(reason, "ä".repeat(250));
}

#[test]
fn problems_are_bounded() {
    let rows: String = (0..50).map(|p| format!("g t {p} 0 1 1 - - -\n")).collect();
    let round = round(0, &format!("{HEADER}{rows}{rows}"), "");
    let description = read("g", &round);
    assert_eq!(
        (description.rows.len(), description.problems.len()),
        (50, 8)
    );
}
