//! What the facts about the CLI say, one test each: texts in, description out. Real outputs are in `tests/describe`.

use super::*;

/// The header of 2.3 and later; what stands below may have any widths.
const HEADER: &str =
    "\nGROUP TOPIC PARTITION  CURRENT-OFFSET  LOG-END-OFFSET  LAG  CONSUMER-ID HOST CLIENT-ID\n";
/// The header of 0.10.2 to 2.2.
const HEADER_OLD: &str =
    "\nTOPIC PARTITION  CURRENT-OFFSET  LOG-END-OFFSET  LAG  CONSUMER-ID HOST CLIENT-ID\n";
const UUID: &str = "d57b630d-e052-4ba6-9170-8946bea22377";

fn round(exit_code: i32, stdout: &str, stderr: &str) -> RoundText {
    RoundText {
        tick: "1".to_owned(),
        exit_code,
        stdout: stdout.to_owned(),
        stderr: stderr.to_owned(),
        cut_lines: 0,
        is_too_much: false,
    }
}

/// Topic, partition, lag of each row.
fn lags(group: &str, stdout: &str) -> Vec<(String, i32, Option<i64>)> {
    let round = round(0, stdout, "");
    read(group, &round)
        .rows
        .iter()
        .map(|row| (row.topic.to_owned(), row.partition, row.lag))
        .collect()
}

fn failure(exit_code: i32, stdout: &str, stderr: &str) -> (Outcome, String) {
    let round = round(exit_code, stdout, stderr);
    let description = read("g", &round);
    assert!(description.rows.is_empty());
    let failure = description.failure.expect("a failure");
    (failure.outcome, failure.reason)
}

/// CONSUMER-ID, HOST and CLIENT-ID of one row with this right side.
fn member(header: &str, right: &str) -> (Option<String>, Option<String>, Option<String>) {
    let group = if header == HEADER { "g " } else { "" };
    let round = round(0, &format!("{header}{group}t 0 1 2 1 {right}\n"), "");
    let description = read("g", &round);
    assert_eq!(
        description.rows.len(),
        1,
        "the right side never costs the row: {right:?}"
    );
    assert_eq!(description.rows[0].lag, Some(1));
    let row = &description.rows[0];
    (
        row.consumer_id.map(str::to_owned),
        row.consumer_host.map(str::to_owned),
        row.client_id.map(str::to_owned),
    )
}

fn some(
    consumer_id: &str,
    host: &str,
    client_id: &str,
) -> (Option<String>, Option<String>, Option<String>) {
    (
        Some(consumer_id.to_owned()),
        Some(host.to_owned()),
        Some(client_id.to_owned()),
    )
}

mod rows {
    use super::*;

    #[test]
    fn a_dash_in_the_lag_column_is_unknown_not_zero() {
        let text = format!("{HEADER}g t 0 - 20 - c /1 c\n");
        assert_eq!(lags("g", &text), [("t".to_owned(), 0, None)]);
        let round = round(0, &text, "");
        let row = &read("g", &round).rows[0];
        assert_eq!((row.current_offset, row.log_end_offset), (None, Some(20)));
    }

    #[test]
    fn the_word_unknown_is_unknown_too() {
        let text = "GROUP, TOPIC, PARTITION, CURRENT OFFSET, LOG END OFFSET, LAG, OWNER\n\
                    g, t, 0, unknown, 20, unknown, none\n";
        assert_eq!(lags("g", text), [("t".to_owned(), 0, None)]);
    }

    #[test]
    fn a_negative_lag_stays_negative_and_nineteen_digits_fit() {
        let text = format!(
            "{HEADER}g t 0 90 20 -70 - - -\ng t 1 0 9223372036854775807 9223372036854775807 - - -\n"
        );
        assert_eq!(
            lags("g", &text),
            [
                ("t".to_owned(), 0, Some(-70)),
                ("t".to_owned(), 1, Some(i64::MAX))
            ]
        );
    }

    #[test]
    fn a_number_too_large_for_an_offset_is_no_number() {
        let text = format!("{HEADER}g t 0 0 9223372036854775808 1 - - -\ng t 1 +1 2 1 - - -\n");
        let round = round(0, &text, "");
        let description = read("g", &round);
        assert!(description.rows.is_empty());
        assert_eq!(
            description.problems,
            [Problem::NotRows {
                count: 2,
                first: "g t 0 0 9223372036854775808 1 - - -".to_owned()
            }]
        );
    }

    #[test]
    fn a_number_too_large_for_a_partition_is_no_partition() {
        assert_eq!(
            lags("g", &format!("{HEADER}g t 3000000000 0 1 1 - - -\n")),
            []
        );
        assert_eq!(lags("g", &format!("{HEADER}g t -1 0 1 1 - - -\n")), []);
    }

    #[test]
    fn rows_keep_the_order_in_which_they_are_printed() {
        let text = format!("{HEADER}g t 10 0 1 1 - - -\ng u 0 0 2 2 - - -\ng t 2 0 3 3 - - -\n");
        assert_eq!(
            lags("g", &text),
            [
                ("t".to_owned(), 10, Some(1)),
                ("u".to_owned(), 0, Some(2)),
                ("t".to_owned(), 2, Some(3))
            ]
        );
    }

    #[test]
    fn a_partition_listed_twice_counts_once_and_is_named() {
        let text = format!("{HEADER}g t 0 0 5 5 - - -\ng t 0 0 9 9 - - -\n");
        let round = round(0, &text, "");
        let description = read("g", &round);
        assert_eq!(lags("g", &text), [("t".to_owned(), 0, Some(5))]);
        assert_eq!(
            description.problems,
            [Problem::PartitionTwice {
                topic: "t".to_owned(),
                partition: 0
            }]
        );
    }

    #[test]
    fn a_member_without_partitions_is_dropped_without_a_problem() {
        let text = format!(
            "{HEADER_OLD}t 0 1 2 1 c-{UUID} /10.0.0.7 c\n-  -  -  -  -  c-{UUID} /10.0.0.7 c\n"
        );
        let round = round(0, &text, "");
        let description = read("g", &round);
        assert_eq!(description.rows.len(), 1);
        assert_eq!(description.problems, []);
    }

    #[test]
    fn a_number_torn_off_at_the_end_of_a_line_is_not_read() {
        // "1134" became "11": the row is complete but for what cannot be seen.
        for torn in [
            "g t 0 100 1234 11",
            "g t 0 100 12",
            "g t 0 100 1234 1134",
            "g t",
            "g t 0",
        ] {
            assert_eq!(lags("g", &format!("{HEADER}{torn}")), [], "{torn}");
            assert_eq!(lags("g", &format!("{HEADER}{torn}\n")), [], "{torn}");
            assert_eq!(lags("g", &format!("{HEADER}{torn}\r\n")), [], "{torn}");
        }
        assert_eq!(lags("g", &format!("{HEADER}g t 0 100 1234 1134 ")).len(), 1);
    }

    #[test]
    fn windows_line_ends_do_not_change_a_row() {
        let text = format!("{HEADER}g t 0 1 2 1 c-{UUID} /10.0.0.7 c\n").replace('\n', "\r\n");
        let round = round(0, &text, "");
        let description = read("g", &round);
        assert_eq!(description.rows[0].client_id, Some("c"));
        assert_eq!(description.problems, []);
    }

    #[test]
    fn the_leader_epoch_is_no_offset() {
        let text = "\nGROUP TOPIC PARTITION LEADER-EPOCH CURRENT-OFFSET LOG-END-OFFSET LAG CONSUMER-ID HOST CLIENT-ID\n\
                    g t 0 7 100 130 30 - - -\ng t 1 - 100 120 20 - - -\n";
        assert_eq!(
            lags("g", text),
            [("t".to_owned(), 0, Some(30)), ("t".to_owned(), 1, Some(20))]
        );
    }

    #[test]
    fn a_topic_kafka_forbids_is_no_row() {
        let long = "t".repeat(250);
        let text = format!("{HEADER}g t/x 0 1 2 1 - - -\ng {long} 0 1 2 1 - - -\n");
        assert_eq!(lags("g", &text), []);
    }
}

mod groups {
    use super::*;

    #[test]
    fn only_rows_of_the_group_asked_for_are_read() {
        let text = format!("{HEADER}team blue t 0 0 5 5 - - -\n{HEADER}team t 0 0 9 9 - - -\n");
        assert_eq!(lags("team", &text), [("t".to_owned(), 0, Some(9))]);
        assert_eq!(lags("team blue", &text), [("t".to_owned(), 0, Some(5))]);
        let round = round(0, &text, "");
        assert_eq!(read("team", &round).problems, []);
    }

    #[test]
    fn a_group_that_looks_like_a_row_is_told_by_its_name() {
        let text = format!("{HEADER}team 1 2 3 4 x orders 0 10 12 2 - - -\n");
        assert_eq!(
            lags("team 1 2 3 4 x", &text),
            [("orders".to_owned(), 0, Some(2))]
        );
    }

    #[test]
    fn a_topic_that_contains_the_name_of_another_is_another_topic() {
        let text = format!("{HEADER}g orders-eu 0 0 5 5 - - -\ng orders 0 0 9 9 - - -\n");
        assert_eq!(
            lags("g", &text),
            [
                ("orders-eu".to_owned(), 0, Some(5)),
                ("orders".to_owned(), 0, Some(9))
            ]
        );
    }

    #[test]
    fn a_group_of_a_longer_name_is_not_the_group() {
        let text = format!("{HEADER}g2 t 0 0 5 5 - - -\n");
        let round = round(0, &text, "");
        let description = read("g", &round);
        assert_eq!((description.rows, description.problems), (vec![], vec![]));
    }

    #[test]
    fn each_group_of_one_output_is_judged_by_itself() {
        let text =
            format!("{HEADER}g t 0 0 5 5 - - -\n\nError: Consumer group 'gone' does not exist.\n");
        let round = round(0, &text, "");
        let here = read("g", &round);
        assert_eq!((here.rows.len(), here.failure), (1, None));
        let gone = read("gone", &round).failure.map(|f| f.outcome);
        assert_eq!(gone, Some(Outcome::GroupMissing));
    }

    #[test]
    fn without_a_group_column_every_row_is_of_the_group_asked_for() {
        let text = format!("{HEADER_OLD}t 0 1 2 1 - - -\n");
        assert_eq!(lags("any thing", &text), [("t".to_owned(), 0, Some(1))]);
    }
}

mod members {
    use super::*;

    #[test]
    fn nobody_owns_a_partition_of_three_dashes() {
        assert_eq!(member(HEADER, "-   -   -"), (None, None, None));
        assert_eq!(member(HEADER_OLD, "-   -   -"), (None, None, None));
    }

    #[test]
    fn ids_may_contain_spaces() {
        let id = format!("web app-{UUID}");
        assert_eq!(
            member(HEADER, &format!("{id} /10.0.0.7 web app")),
            some(&id, "/10.0.0.7", "web app")
        );
        assert_eq!(
            member(HEADER_OLD, &format!("{id}/10.0.0.7   web app")),
            some(&id, "/10.0.0.7", "web app")
        );
    }

    #[test]
    fn ids_of_49_50_and_51_characters_are_cut_from_the_host_at_the_uuid() {
        for length in [49, 50, 51] {
            let id = format!("{}-{UUID}", "m".repeat(length - 37));
            assert_eq!(id.len(), length);
            // %-50s%-30s: no column separator, only what padding is left.
            let right = format!("{id:<50}{:<30} m", "/10.0.0.7");
            assert_eq!(
                member(HEADER_OLD, &right),
                some(&id, "/10.0.0.7", "m"),
                "{length}"
            );
            let right = format!("{id:<50}{:<30} m", "name/10.0.0.7");
            assert_eq!(
                member(HEADER_OLD, &right),
                some(&id, "name/10.0.0.7", "m"),
                "{length}"
            );
        }
    }

    #[test]
    fn ids_may_contain_slashes_quotes_and_letters_of_other_alphabets() {
        for client in [
            "a/b",
            "a /b",
            "it's \"x\"",
            "größe",
            "日本 \u{1d11e}",
            "x/1 y",
        ] {
            let id = format!("{client}-{UUID}");
            let right = format!("{id} /10.0.0.7 {client}");
            assert_eq!(member(HEADER, &right), some(&id, "/10.0.0.7", client));
        }
    }

    #[test]
    fn a_host_may_have_a_name_and_a_port() {
        for host in [
            "/10.0.0.7",
            "mm-1.example/10.0.0.7",
            "/10.0.0.7:52114",
            "/[fe80::1%eth0]:9",
            "/fe80:0:0:0:1%2",
        ] {
            let id = format!("c-{UUID}");
            assert_eq!(
                member(HEADER, &format!("{id} {host} c")),
                some(&id, host, "c")
            );
        }
    }

    #[test]
    fn an_id_without_a_uuid_still_ends_at_the_address() {
        // Members of the newer consumer protocol choose their own id.
        let id = "Sg8hWcYbTm-aOEaiv-o1Jg";
        assert_eq!(
            member(HEADER, &format!("{id} /10.0.0.7 c")),
            some(id, "/10.0.0.7", "c")
        );
        assert_eq!(
            member(HEADER, &format!("{id} n/10.0.0.7 c")),
            some(id, "n/10.0.0.7", "c")
        );
    }

    #[test]
    fn an_unclear_right_side_costs_its_fields_and_not_the_row() {
        assert_eq!(member(HEADER, "what is this"), (None, None, None));
        assert_eq!(member(HEADER, ""), (None, None, None));
        assert_eq!(
            member(HEADER_OLD, "no-uuid-and-glued/10.0.0.7 c"),
            (None, None, None)
        );
    }

    #[test]
    fn a_log_line_glued_to_the_last_row_is_not_part_of_the_client_id() {
        let id = format!("mm-0-{UUID}");
        let right = format!("{id} /10.0.0.7 mm-0[2026-11-21 07:04:39,645] INFO App info");
        assert_eq!(member(HEADER, &right), some(&id, "/10.0.0.7", "mm-0"));
        // Brackets alone are the client's own.
        assert_eq!(
            member(HEADER, &format!("{id} /10.0.0.7 mm[0]")),
            some(&id, "/10.0.0.7", "mm[0]")
        );
    }

    #[test]
    fn an_owner_is_a_client_id_and_a_host() {
        let header = "GROUP TOPIC PARTITION CURRENT-OFFSET LOG-END-OFFSET LAG OWNER\n";
        let text = format!("{header}g t 0 1 2 1 web_app x_/10.0.0.7\ng t 1 1 2 1 none\n");
        let round = round(0, &text, "");
        let description = read("g", &round);
        assert_eq!(description.rows[0].client_id, Some("web_app x"));
        assert_eq!(description.rows[0].consumer_host, Some("/10.0.0.7"));
        assert_eq!(description.rows[1].client_id, None);
    }
}

mod headers {
    use super::*;

    #[test]
    fn nothing_below_the_header_of_another_view_is_read() {
        for header in [
            "GROUP           CONSUMER-ID  HOST            CLIENT-ID       #PARTITIONS     ",
            "GROUP                     COORDINATOR (ID)          ASSIGNMENT-STRATEGY  STATE           #MEMBERS",
            "CONSUMER-ID  HOST  CLIENT-ID  #PARTITIONS",
            "COORDINATOR (ID)  ASSIGNMENT-STRATEGY  STATE  #MEMBERS",
            "GROUP TOPIC PARTITION START-OFFSET LAG",
            "GROUP TOPIC PARTITION OFFSET-LAG",
            "TOPIC PARTITION CURRENT-OFFSET LOG-END-OFFSET LAG",
            "GROUP TOPIC PARTITION CURRENT-OFFSET LOG-END-OFFSET LAG CONSUMER-ID HOST CLIENT-ID RACK",
        ] {
            let (outcome, reason) = failure(0, &format!("\n{header}\ng t 0 1 2 1 - - -\n"), "");
            assert_eq!(outcome, Outcome::CliError, "{header}");
            assert_eq!(reason, format!("unknown table header: {}", header.trim()));
        }
    }

    #[test]
    fn a_header_rules_until_the_next() {
        let text = format!(
            "{HEADER}g t 0 1 2 1 - - -\n\nGROUP TOPIC PARTITION OFFSET-LAG\ng t 1 1 2 1 - - -\n{HEADER_OLD}t 2 1 2 1 - - -\n"
        );
        let round = round(0, &text, "");
        let description = read("g", &round);
        let partitions: Vec<i32> = description.rows.iter().map(|r| r.partition).collect();
        assert_eq!(partitions, [0, 2]);
        assert_eq!(
            description.problems,
            [Problem::UnknownHeader {
                header: "GROUP TOPIC PARTITION OFFSET-LAG".to_owned()
            }]
        );
    }

    #[test]
    fn a_group_called_group_is_no_header() {
        let text = format!("{HEADER}GROUP TOPIC 0 1 2 1 - - -\n");
        assert_eq!(lags("GROUP", &text), [("TOPIC".to_owned(), 0, Some(1))]);
    }

    #[test]
    fn rows_without_a_header_are_not_rows() {
        assert_eq!(failure(0, "g t 0 1 2 1 - - -\n", "").0, Outcome::CliError);
    }
}

mod outcomes {
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
            let stderr =
                "java.lang.RuntimeException: x\n\tat a.B(C.java:1)\nCaused by: y\n\tat d\n";
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
        let stdout =
            format!("{HEADER}\nError: Executing consumer group command failed due to null\n");
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
}
