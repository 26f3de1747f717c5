use super::*;

fn refusal_with(kind: &str, reason: &str) -> Refusal {
    Refusal {
        kind: Some(kind.to_owned()).filter(|kind| !kind.is_empty()),
        reason: reason.to_owned(),
    }
}

fn word(fate: &Fate) -> &'static str {
    match fate {
        Fate::Stored => "stored",
        Fate::Retry(_) => "retry",
        Fate::Hold(_) => "hold",
        Fate::Reject(_) => "reject",
        Fate::Divide(_) => "divide",
    }
}

#[test]
fn every_item_is_judged_by_its_type_first_and_its_status_second() {
    let table = [
        (
            409,
            "version_conflict_engine_exception",
            "document already exists",
            "stored",
        ),
        (
            429,
            "es_rejected_execution_exception",
            "queue full",
            "retry",
        ),
        (
            429,
            "circuit_breaking_exception",
            "[parent] Data too large",
            "retry",
        ),
        (
            429,
            "cluster_block_exception",
            "TOO_MANY_REQUESTS/12/disk usage exceeded",
            "hold",
        ),
        (
            403,
            "cluster_block_exception",
            "FORBIDDEN/12/index read-only",
            "hold",
        ),
        (
            403,
            "cluster_block_exception",
            "FORBIDDEN/8/index write (api)",
            "hold",
        ),
        (
            503,
            "cluster_block_exception",
            "SERVICE_UNAVAILABLE/1/not recovered",
            "retry",
        ),
        (
            503,
            "unavailable_shards_exception",
            "primary shard is not active",
            "retry",
        ),
        (503, "no_shard_available_action_exception", "", "retry"),
        (
            503,
            "process_cluster_event_timeout_exception",
            "failed to process",
            "retry",
        ),
        (404, "index_not_found_exception", "no such index", "hold"),
        (400, "index_closed_exception", "closed", "hold"),
        (403, "security_exception", "action is unauthorized", "hold"),
        (401, "security_exception", "unable to authenticate", "hold"),
        // A type that nobody has met yet: the status decides, and a right that is missing is an operator's.
        (401, "some_new_exception", "who are you", "hold"),
        (403, "some_new_exception", "not you", "hold"),
        (
            400,
            "document_parsing_exception",
            "[1:27] failed to parse field [p0]",
            "reject",
        ),
        (400, "mapper_parsing_exception", "failed to parse", "reject"),
        (
            400,
            "strict_dynamic_mapping_exception",
            "introducing [p99]",
            "reject",
        ),
        (
            400,
            "illegal_argument_exception",
            "pipeline with id [x] does not exist",
            "hold",
        ),
        (
            400,
            "illegal_argument_exception",
            "no write index is defined for alias [c]",
            "hold",
        ),
        (
            400,
            "illegal_argument_exception",
            "only write ops with an op_type of create are allowed in data streams",
            "hold",
        ),
        (
            400,
            "illegal_argument_exception",
            "if _id is specified it must not be empty",
            "reject",
        ),
        (400, "some_new_exception", "", "reject"),
        (500, "some_new_exception", "", "retry"),
        (0, "", "", "retry"),
        (429, "", "", "retry"),
    ];
    for (status, kind, reason, expected) in table {
        let fate = item_fate(status, Some(&refusal_with(kind, reason)));
        assert_eq!(word(&fate), expected, "{status} {kind} {reason}");
    }
    assert_eq!(item_fate(201, None), Fate::Stored);
    assert_eq!(item_fate(200, None), Fate::Stored);
    assert_eq!(item_fate(409, None), Fate::Stored);
}

#[test]
fn every_whole_request_is_judged_without_dropping_a_document() {
    let table = [
        (502, "", "retry"),
        (503, "", "retry"),
        (504, "", "retry"),
        (500, "some_exception", "retry"),
        (408, "", "retry"),
        (400, "illegal_argument_exception", "divide"),
        (400, "media_type_header_exception", "hold"),
        (400, "", "hold"),
        (401, "security_exception", "hold"),
        (403, "security_exception", "hold"),
        (403, "cluster_block_exception", "hold"),
        (404, "", "hold"),
        (405, "", "hold"),
        (406, "", "hold"),
        (413, "", "divide"),
        (429, "es_rejected_execution_exception", "retry"),
        (429, "circuit_breaking_exception", "retry"),
        (429, "cluster_block_exception", "hold"),
        (429, "", "retry"),
        (301, "", "hold"),
        (418, "", "hold"),
    ];
    for (status, kind, expected) in table {
        let fate = request_fate(status, &refusal_with(kind, "why"));
        assert_eq!(word(&fate), expected, "{status} {kind}");
    }
}

#[test]
fn only_what_is_not_an_answer_of_elasticsearch_is_a_wrong_server() {
    let foreign = refusal(b"<html>nginx</html>");
    assert!(is_wrong_server(404, &foreign));
    assert!(is_wrong_server(400, &foreign));
    let own = refusal(br#"{"error":{"type":"index_not_found_exception","reason":"x"}}"#);
    assert!(!is_wrong_server(404, &own));
    assert!(!is_wrong_server(503, &foreign));
}

#[test]
fn the_reason_of_a_cause_is_added_where_it_says_more() {
    let body = br#"{"error":{"type":"mapper_parsing_exception","reason":"failed to parse",
        "caused_by":{"type":"x","reason":"Limit of total fields [1000] has been exceeded"}}}"#;
    assert_eq!(
        refusal(body).reason,
        "failed to parse: Limit of total fields [1000] has been exceeded"
    );
}

#[test]
fn a_reply_that_is_short_foreign_torn_or_of_others_proves_nothing() {
    let ids = ["a".to_owned(), "b".to_owned()];
    let whole = r#"{"errors":false,"items":[{"create":{"_id":"a","status":201}},{"create":{"_id":"b","status":409}}]}"#;
    assert_eq!(
        bulk_fates(whole.as_bytes(), &ids),
        Ok((vec![Fate::Stored, Fate::Stored], false))
    );
    let swapped = whole.replace("\"b\"", "\"c\"");
    let short = r#"{"errors":false,"items":[{"create":{"_id":"a","status":201}}]}"#;
    let indexed = whole.replace("create", "index");
    for body in [
        &whole[..60],
        "<html></html>",
        "",
        "{}",
        "null",
        short,
        &swapped,
        &indexed,
    ] {
        assert!(bulk_fates(body.as_bytes(), &ids).is_err(), "{body}");
    }
}

#[test]
fn retry_after_is_read_as_seconds_or_date_and_rubbish_is_none() {
    let now = "2026-11-20T10:00:00Z".parse().unwrap();
    let seconds = |text| retry_after(text, now).map(|it| it.as_secs());
    assert_eq!(seconds("7"), Some(7));
    assert_eq!(seconds(" 7 "), Some(7));
    assert_eq!(seconds("1000000000"), Some(1_000_000_000));
    assert_eq!(seconds("Fri, 20 Nov 2026 10:00:30 GMT"), Some(30));
    assert_eq!(seconds("Fri, 20 Nov 2026 09:00:00 GMT"), Some(0));
    for rubbish in ["", "soon", "-1", "1.5", "99999999999999999999999"] {
        assert_eq!(seconds(rubbish), None, "{rubbish}");
    }
}

#[test]
fn a_long_reason_is_cut_and_stays_one_line() {
    let body = format!(
        r#"{{"error":{{"type":"t","reason":"a\nb {}"}}}}"#,
        "x".repeat(5000)
    );
    let refusal = refusal(body.as_bytes());
    assert_eq!(refusal.reason.len(), REASON_CHARS_MAX);
    assert!(refusal.reason.starts_with("a b x"));
}

#[test]
fn only_a_reply_that_found_no_room_for_any_document_asks_for_smaller_requests() {
    let ids = ["a".to_owned(), "b".to_owned()];
    let crowded = |first: &str, second: &str| {
        let item = |id: &str, rest: &str| format!(r#"{{"create":{{"_id":"{id}",{rest}}}}}"#);
        let body = format!(
            r#"{{"errors":true,"items":[{},{}]}}"#,
            item("a", first),
            item("b", second)
        );
        bulk_fates(body.as_bytes(), &ids).unwrap().1
    };
    let queue =
        r#""status":429,"error":{"type":"es_rejected_execution_exception","reason":"full"}"#;
    let flood = r#""status":429,"error":{"type":"cluster_block_exception","reason":"disk"}"#;
    assert!(crowded(queue, queue));
    assert!(!crowded(queue, r#""status":201"#));
    assert!(!crowded(flood, flood));
}
