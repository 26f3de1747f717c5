//! What goes wrong at a server: one clear line, exit code 1, and a next run that goes on from there.

use serde_json::json;

use super::scripted::{Fault, PASSWORD, Server, html};
use super::{DATED, Machine, setup};

/// What a Kibana, or what stands in its place, answers to everything; and what the one line about it has to say.
#[tokio::test]
async fn what_is_wrong_with_kibana_is_one_line() {
    let page = |status, body: &str| {
        Fault::Page(
            status,
            vec![("content-type", "application/json")],
            body.to_owned(),
        )
    };
    let login = Fault::Page(
        302,
        vec![("location", "/login?next=secret-token")],
        String::new(),
    );
    let cases = [
        (
            page(401, r#"{"message":"nobody"}"#),
            "refuses the login (HTTP 401: nobody); mend username",
        ),
        (
            page(403, r#"{"message":"Forbidden"}"#),
            "this user may not GET api/status (HTTP 403: Forbidden); give it the Kibana role",
        ),
        (
            html(200),
            "does not answer as Kibana (HTTP 200: <!doctype html> <html><title>Sign in</title></html>); mend kibana.url",
        ),
        (html(404), "does not answer as Kibana (HTTP 404"),
        (
            page(404, r#"{"error":"no handler"}"#),
            "does not answer as Kibana (HTTP 404: no handler); mend kibana.url",
        ),
        (
            login,
            "redirects to /login; write the address of Kibana itself",
        ),
        (
            Fault::Page(503, vec![], "Kibana server is not ready yet".to_owned()),
            "is not ready (HTTP 503: Kibana server is not ready yet); wait",
        ),
        (
            page(200, r#"{"version":{"number":"8.8.2"}}"#),
            "it is version 8.8.2, and the dashboards need 8.9 or later",
        ),
        (
            Fault::Hang,
            "does not answer: no answer in time; raise kibana.request_timeout",
        ),
    ];
    let elasticsearch = Server::elasticsearch().await;
    for (fault, said_of_it) in cases {
        let kibana = Server::kibana().await;
        kibana.seen().always = Some(fault);
        let machine = Machine::new();
        let file = machine.config((&elasticsearch, ""), Some((&kibana, "")));
        let text = std::fs::read_to_string(&file).unwrap();
        // The shortest time that the configuration allows, for the one that hangs.
        std::fs::write(
            &file,
            text.replace("request_timeout: 5s", "request_timeout: 1s"),
        )
        .unwrap();
        let said = setup(&file, &[]).await;
        assert_eq!(said.code, Some(1), "{said_of_it}");
        let failed = said.lines("failed");
        assert_eq!(failed.len(), 1, "{}", said.out);
        assert!(failed[0].starts_with("failed    Kibana: "), "{}", failed[0]);
        assert!(
            failed[0].contains(said_of_it),
            "{}\nlacks\n{said_of_it}",
            failed[0]
        );
        let text = format!("{}{}", said.out, said.err);
        assert!(!text.contains(PASSWORD) && !text.contains("secret-token"));
    }
}

#[tokio::test]
async fn a_kibana_that_is_not_there_and_an_elasticsearch_in_its_place_are_one_line_each() {
    let elasticsearch = Server::elasticsearch().await;
    let machine = Machine::new();
    let file = machine.config((&elasticsearch, ""), Some((&elasticsearch, "")));
    let said = setup(&file, &[]).await;
    assert!(
        said.line("Kibana")
            .contains("does not answer as Kibana (HTTP 400"),
        "{}",
        said.out
    );
    let text = std::fs::read_to_string(&file).unwrap();
    let nobody = format!("kibana: {{url: '{}'", elasticsearch.url);
    std::fs::write(
        &file,
        text.replace(&nobody, "kibana: {url: 'http://127.0.0.1:9'"),
    )
    .unwrap();
    let said = setup(&file, &[]).await;
    assert!(
        said.line("Kibana").contains("Connection refused"),
        "{}",
        said.out
    );
    assert_eq!(said.code, Some(1));
}

#[tokio::test]
async fn a_space_that_is_not_there_is_named_before_anything_is_imported() {
    let (elasticsearch, kibana) = (Server::elasticsearch().await, Server::kibana().await);
    let machine = Machine::new();
    let file = machine.config((&elasticsearch, ""), Some((&kibana, "space: ops")));
    let said = setup(&file, &["--alerts"]).await;
    assert_eq!(said.code, Some(1));
    assert!(
        said.line("Kibana").contains("there is no space \"ops\""),
        "{}",
        said.out
    );
    assert!(kibana.seen().writes.is_empty());
}

#[tokio::test]
async fn an_import_without_success_fails_though_it_answers_200() {
    let (elasticsearch, kibana) = (Server::elasticsearch().await, Server::kibana().await);
    let machine = Machine::new();
    let file = machine.config((&elasticsearch, ""), Some((&kibana, "")));
    // The data view is refused; what refers to it is refused by Kibana itself.
    let refusal = json!({"success": false, "successCount": 0, "errors": [{"id": "x", "type": "index-pattern",
        "error": {"type": "unknown", "message": "disk full", "statusCode": 500}}]});
    kibana.fail("_import", Fault::Page(200, vec![], refusal.to_string()));
    let said = setup(&file, &[]).await;
    assert_eq!(said.code, Some(1));
    assert!(
        said.line("data view mirrorlag")
            .contains("Kibana refuses the import: unknown: disk full"),
        "{}",
        said.out
    );
    let overview = said.line("dashboard mirrorlag: overview");
    assert!(
        overview.contains("missing_references (mirrorlag-consumer-lag"),
        "{overview}"
    );
    assert_eq!(said.lines("failed").len(), 6);

    let again = setup(&file, &[]).await;
    assert_eq!(
        (again.code, again.lines("created").len()),
        (Some(0), 6),
        "{}",
        again.out
    );
}

#[tokio::test]
async fn a_setup_that_breaks_halfway_is_completed_by_the_next() {
    let (elasticsearch, kibana) = (Server::elasticsearch().await, Server::kibana().await);
    let machine = Machine::new();
    let file = machine.config((&elasticsearch, DATED), Some((&kibana, "")));
    let trouble = json!({"error": {"type": "process_cluster_event_timeout_exception", "reason": "failed to process"}});
    elasticsearch.fail(
        "consumer_lag_partitions",
        Fault::Page(503, vec![], trouble.to_string()),
    );
    kibana.fail(
        "alerting",
        Fault::Page(
            500,
            vec![],
            r#"{"message":"encryption key is missing"}"#.to_owned(),
        ),
    );
    let first = setup(&file, &["--alerts"]).await;
    assert_eq!(first.code, Some(1));
    let template = first.line("index template consumer_lag_partitions");
    assert!(
        template.contains("HTTP 503 process_cluster_event_timeout_exception"),
        "{template}"
    );
    // A stream needs its template.
    assert!(first.line("data stream").starts_with("failed "));
    assert!(
        first
            .line("alert rule lag")
            .contains("encryption key is missing")
    );
    assert_eq!(first.lines("failed").len(), 3, "{}", first.out);

    let second = setup(&file, &["--alerts"]).await;
    assert_eq!(
        (
            second.code,
            second.lines("created").len(),
            second.lines("unchanged").len()
        ),
        (Some(0), 3, 16),
        "{}",
        second.out
    );
}

#[tokio::test]
async fn a_server_that_is_lost_ends_its_part_and_the_other_goes_on() {
    let (elasticsearch, kibana) = (Server::elasticsearch().await, Server::kibana().await);
    elasticsearch.seen().always = Some(html(200));
    let machine = Machine::new();
    let file = machine.config((&elasticsearch, ""), Some((&kibana, "")));
    let said = setup(&file, &[]).await;
    assert_eq!(said.code, Some(1));
    assert_eq!(said.lines("failed").len(), 1, "{}", said.out);
    assert!(
        said.line("Elasticsearch")
            .contains("is not Elasticsearch (HTTP 200 without JSON)")
    );
    assert_eq!(said.lines("created").len(), 6);
    assert_eq!(kibana.seen().objects.len(), 6);
}

#[tokio::test]
async fn a_missing_privilege_is_named_and_keeps_nothing_else_from_being_made() {
    let (elasticsearch, kibana) = (Server::elasticsearch().await, Server::kibana().await);
    let machine = Machine::new();
    let file = machine.config((&elasticsearch, ""), Some((&kibana, "")));
    let reason = "action [indices:admin/index_template/put] is unauthorized for user [setup], \
        this action is granted by the cluster privileges [manage_index_templates,manage,all]";
    let refusal = json!({"error": {"type": "security_exception", "reason": reason}});
    elasticsearch.fail(
        "_index_template",
        Fault::Page(403, vec![], refusal.to_string()),
    );
    kibana.fail(
        "_import",
        Fault::Page(
            403,
            vec![],
            r#"{"message":"Unable to bulk_create index-pattern"}"#.to_owned(),
        ),
    );
    let said = setup(&file, &[]).await;
    assert_eq!(said.code, Some(1));
    assert!(
        said.line("index template")
            .contains("grant the cluster privilege manage_index_templates"),
        "{}",
        said.out
    );
    assert!(
        said.line("data view")
            .contains("Unable to bulk_create index-pattern); give it the Kibana role"),
        "{}",
        said.out
    );
    assert!(said.line("index consumer_lag").starts_with("created"));
    assert!(said.lines("failed").len() > 1);
}

#[tokio::test]
async fn a_login_that_is_refused_is_one_line_per_server_without_the_password() {
    let (elasticsearch, kibana) = (Server::elasticsearch().await, Server::kibana().await);
    let machine = Machine::new();
    let file = machine.config((&elasticsearch, ""), Some((&kibana, "")));
    let text = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, text.replace("username: setup", "username: nobody")).unwrap();
    let said = setup(&file, &[]).await;
    assert_eq!(said.code, Some(1));
    assert_eq!(said.lines("failed").len(), 2, "{}", said.out);
    for server in ["Elasticsearch", "Kibana"] {
        assert!(
            said.line(server).contains("refuses the login"),
            "{}",
            said.out
        );
    }
    assert!(!said.out.contains(PASSWORD) && !said.err.contains(PASSWORD));
    assert!(elasticsearch.seen().writes.is_empty() && kibana.seen().writes.is_empty());
}

#[tokio::test]
async fn an_answer_without_end_and_a_broken_authority_are_one_line() {
    let (elasticsearch, kibana) = (Server::elasticsearch().await, Server::kibana().await);
    let machine = Machine::new();
    let ca = machine.folder.path().join("ca.pem");
    std::fs::write(
        &ca,
        "-----BEGIN CERTIFICATE-----\nnothing\n-----END CERTIFICATE-----\n",
    )
    .unwrap();
    let keys = format!("ca_file: {}", ca.display());
    let file = machine.config((&elasticsearch, ""), Some((&kibana, &keys)));
    let said = setup(&file, &[]).await;
    assert!(
        said.line("Kibana")
            .contains("kibana cannot use its ca_file"),
        "{}",
        said.out
    );
    assert_eq!(said.code, Some(1));

    let endless = " ".repeat(9 << 20);
    kibana.seen().always = Some(Fault::Page(200, vec![], endless));
    let file = machine.config((&elasticsearch, ""), Some((&kibana, "")));
    let said = setup(&file, &[]).await;
    assert!(
        said.line("Kibana")
            .contains("answers with more than 8388608 bytes"),
        "{}",
        said.out
    );
}
