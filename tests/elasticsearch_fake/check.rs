//! What `check` says of each link, and which mend.

use chrono::Utc;
use mirrorlag::finding::{Finding, Verdict};
use mirrorlag::sinks::elasticsearch::{IndexName, Widest, check};

use super::*;

fn texts(findings: &[Finding]) -> Vec<String> {
    let text = |finding: &Finding| format!("{} / {:?}", finding.link, finding.verdict);
    findings.iter().map(text).collect()
}

fn one<'a>(findings: &'a [Finding], link: &str) -> &'a Verdict {
    let found = findings.iter().find(|finding| finding.link == link);
    &found
        .unwrap_or_else(|| panic!("no {link} in {:?}", texts(findings)))
        .verdict
}

fn is_failure(finding: &Finding) -> bool {
    matches!(finding.verdict, Verdict::Failed { .. })
}

fn with_login(fake: &Fake) -> Settings {
    fake.lock().login = Some(("elastic".to_owned(), "s3cret".to_owned()));
    Settings {
        credentials: Credentials::Basic {
            username: "elastic".to_owned(),
            password: SecretString::from("s3cret"),
        },
        ..settings(&[&fake.url])
    }
}

#[tokio::test]
async fn a_sound_cluster_passes_without_being_asked_for_its_root() {
    let fake = Fake::start().await;
    let settings = with_login(&fake);
    Elasticsearch::new(&settings)
        .unwrap()
        .prepare()
        .await
        .unwrap();
    fake.lock().requests.clear();
    let findings = check(&settings, None).await;
    for link in ["reachable", "login", "privileges", "index", "mapping"] {
        assert!(
            matches!(one(&findings, link), Verdict::Passed(_)),
            "{:?}",
            texts(&findings)
        );
    }
    assert_eq!(
        *one(&findings, "reachable"),
        Verdict::Passed("version 8.17.4".to_owned())
    );
    let requests = fake.lock().requests.clone();
    assert!(!requests.contains(&"GET /".to_owned()));
    assert!(
        requests.iter().all(|it| !it.starts_with("PUT")),
        "{requests:?}"
    );
}

#[tokio::test]
async fn a_missing_index_is_not_made_by_a_check() {
    let fake = Fake::start().await;
    let findings = check(&with_login(&fake), None).await;
    assert!(format!("{:?}", one(&findings, "index")).contains("`run` creates it"));
    assert!(matches!(one(&findings, "mapping"), Verdict::Skipped(_)));
    assert!(fake.lock().indices.is_empty());
    fake.lock().privileges.retain(|it| *it != "create_index");
    let findings = check(&with_login(&fake), None).await;
    assert!(format!("{:?}", one(&findings, "index")).contains("grant create_index"));
    assert!(findings.iter().any(is_failure));
}

#[tokio::test]
async fn a_user_who_may_only_create_documents_is_told_what_is_missing() {
    let fake = Fake::start().await;
    let settings = with_login(&fake);
    fake.lock().privileges = vec!["create_doc"];
    let findings = check(&settings, None).await;
    let privileges = format!("{:?}", one(&findings, "privileges"));
    assert!(privileges.contains("view_index_metadata"), "{privileges}");
    assert!(findings.iter().any(is_failure));
    fake.lock().privileges = vec!["create_doc", "view_index_metadata"];
    let findings = check(&settings, None).await;
    assert!(matches!(
        one(&findings, "privileges"),
        Verdict::Warned { .. }
    ));
}

#[tokio::test]
async fn a_refused_login_ends_the_check_of_that_cluster() {
    let fake = Fake::start().await;
    let mut settings = with_login(&fake);
    fake.lock().login = Some(("elastic".to_owned(), "changed".to_owned()));
    let findings = check(&settings, None).await;
    assert!(matches!(one(&findings, "login"), Verdict::Failed { .. }));
    assert!(matches!(one(&findings, "index"), Verdict::Skipped(_)));
    assert!(!texts(&findings).concat().contains("s3cret"));
    settings.credentials = Credentials::None;
    let findings = check(&settings, None).await;
    assert!(format!("{:?}", one(&findings, "login")).contains("asks for a login"));
}

#[tokio::test]
async fn the_older_mapping_is_a_warning_with_its_mend() {
    let fake = Fake::start().await;
    let older = serde_json::json!({"properties": {"@timestamp": {"type": "date"},
        "topic": {"type": "text"}, "p0": {"type": "integer"}}});
    let index = bulk_server::Index {
        mapping: older,
        ..bulk_server::Index::default()
    };
    fake.lock().indices.insert(INDEX.to_owned(), index);
    let findings = check(&settings(&[&fake.url]), None).await;
    assert!(
        matches!(one(&findings, "mapping"), Verdict::Warned { .. }),
        "{:?}",
        texts(&findings)
    );
    assert!(matches!(one(&findings, "login"), Verdict::Passed(it) if it == "security is off"));
    assert!(!findings.iter().any(is_failure));
}

#[tokio::test]
async fn each_dead_url_is_named_with_its_own_mend_and_a_live_one_is_checked_on() {
    let fake = Fake::start().await;
    // What a TLS port does with plain HTTP.
    let (tls, _) = raw_port(Some(b"")).await;
    let (refusing, _) = {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        (listener.local_addr().unwrap(), ())
    };
    let urls = [
        format!("http://{tls}"),
        format!("http://{refusing}"),
        fake.url.replace("http://", "https://"),
        "http://no-such-name.invalid:9200".to_owned(),
        fake.url.clone(),
    ];
    let urls: Vec<&str> = urls.iter().map(String::as_str).collect();
    let findings = check(&settings(&urls), None).await;
    let texts = texts(&findings);
    for (place, part) in [
        (0, "write https://"),
        (1, "check that Elasticsearch runs there"),
        (2, "write http://"),
        (3, "mend the name in urls"),
        (4, "version 8.17.4"),
    ] {
        assert!(texts[place].contains(part), "{place}: {texts:?}");
    }
    assert!(
        matches!(one(&findings, "index"), Verdict::Passed(_)),
        "{texts:?}"
    );
}

#[tokio::test]
async fn settings_that_cannot_be_used_are_one_finding() {
    let mut settings = settings(&["https://127.0.0.1:1"]);
    settings.ca_file = Some("/nonexistent/ca.pem".into());
    let findings = check(&settings, None).await;
    assert!(
        texts(&findings)[0].contains("/nonexistent/ca.pem"),
        "{findings:?}"
    );
}

/// `subject / link: text` of each finding about an index or a data stream.
fn of_indices(findings: &[Finding]) -> Vec<String> {
    let text = |verdict: &Verdict| match verdict {
        Verdict::Passed(text) | Verdict::Skipped(text) => text.clone(),
        Verdict::Warned { what, mend } => format!("warned: {what}; {mend}"),
        Verdict::Failed { why, mend } => format!("failed: {why}; {mend}"),
    };
    let line = |it: &Finding| format!("{} / {}: {}", it.subject, it.link, text(&it.verdict));
    let about = |it: &&Finding| it.subject.contains(" index ") || it.subject.contains(" stream ");
    findings.iter().filter(about).map(line).collect()
}

fn has(lines: &[String], start: &str, part: &str) {
    let found = lines
        .iter()
        .any(|line| line.starts_with(start) && line.contains(part));
    assert!(found, "no {start:?} with {part:?} in {lines:#?}");
}

#[tokio::test]
async fn each_index_of_a_layout_is_checked_and_it_is_said_which_it_is() {
    let fake = Fake::start().await;
    let both = Settings {
        layout: Layout::Both,
        ..settings(&[&fake.url])
    };
    let (wide, partitions) = (
        "elasticsearch index consumer_lag / ",
        "elasticsearch index consumer_lag_partitions / ",
    );
    let lines = of_indices(&check(&both, None).await);
    has(
        &lines,
        &format!("{wide}index"),
        "does not exist yet; `run` creates it with its mapping, for wide documents",
    );
    has(
        &lines,
        &format!("{partitions}index"),
        "for documents of partitions",
    );
    let mut sink = Elasticsearch::new(&both).unwrap();
    sink.prepare().await.unwrap();
    let lines = of_indices(&check(&both, None).await);
    has(
        &lines,
        &format!("{wide}index: exists"),
        "for wide documents",
    );
    has(&lines, &format!("{wide}mapping"), "64 p<N> mapped");
    has(
        &lines,
        &format!("{wide}fields"),
        "of 1000 fields are mapped, room for",
    );
    has(
        &lines,
        &format!("{partitions}index: exists"),
        "for documents of partitions",
    );
    has(
        &lines,
        &format!("{partitions}mapping"),
        "for documents of partitions",
    );
    let only = Settings {
        layout: Layout::Partitions,
        ..both
    };
    let lines = of_indices(&check(&only, None).await);
    assert!(
        lines.iter().all(|line| line.starts_with(partitions)),
        "{lines:#?}"
    );
    assert!(
        !lines.iter().any(|line| line.contains("/ fields")),
        "{lines:#?}"
    );
}

#[tokio::test]
async fn a_topic_with_more_partitions_than_fields_is_a_warning_before_it_is_lost() {
    let fake = Fake::start().await;
    let settings = settings(&[&fake.url]);
    let widest = Widest {
        topic: "orders".to_owned(),
        partitions: 5000,
    };
    let warned = "\"orders\" has 5000: none of its documents is stored; write layout: partitions, or raise index.mapping.total_fields.limit";
    let fields = "elasticsearch index consumer_lag / fields: warned";
    // Also while there is no index, and nothing is lost so far.
    let lines = of_indices(&check(&settings, Some(&widest)).await);
    has(&lines, fields, warned);
    Elasticsearch::new(&settings)
        .unwrap()
        .prepare()
        .await
        .unwrap();
    let lines = of_indices(&check(&settings, Some(&widest)).await);
    has(&lines, fields, warned);
    has(&lines, fields, "(PUT consumer_lag/_settings)");
    fake.lock().fields_max = 90;
    let lines = of_indices(&check(&settings, None).await);
    has(&lines, fields, "of 90 fields are mapped");
    fake.lock().fields_max = 6000;
    let findings = check(&settings, Some(&widest)).await;
    assert!(matches!(one(&findings, "fields"), Verdict::Passed(_)));
}

#[tokio::test]
async fn of_a_dated_name_the_index_of_now_is_looked_at_or_else_the_newest() {
    let fake = Fake::start().await;
    let name: IndexName = "consumer_lag-%Y.%m".parse().unwrap();
    let mut settings = with_login(&fake);
    settings.index = name.clone();
    let index = "elasticsearch index consumer_lag-%Y.%m / index: ";
    let lines = of_indices(&check(&settings, None).await);
    has(
        &lines,
        index,
        "does not exist yet (there is none so far); `run` creates it",
    );
    let older = bulk_server::Index {
        mapping: serde_json::json!({"properties": {"topic": {"type": "text"}}}),
        ..bulk_server::Index::default()
    };
    for month in [
        "consumer_lag-2024.01",
        "consumer_lag-2025.07",
        "consumer_lag-2025.07-kept",
    ] {
        fake.lock().indices.insert(month.to_owned(), older.clone());
    }
    let lines = of_indices(&check(&settings, None).await);
    has(&lines, index, "(the newest is \"consumer_lag-2025.07\")");
    has(
        &lines,
        "elasticsearch index consumer_lag-%Y.%m / mapping: warned",
        "topic is text",
    );
    let now = name.at(Utc::now());
    fake.lock()
        .indices
        .insert(now.clone(), bulk_server::Index::default());
    let lines = of_indices(&check(&settings, None).await);
    has(
        &lines,
        index,
        &format!("{now:?} exists, for wide documents"),
    );
    fake.lock().privileges.retain(|it| *it != "create_index");
    let lines = of_indices(&check(&settings, None).await);
    has(
        &lines,
        &format!("{index}warned"),
        "may not create the next one; grant create_index on \"consumer_lag-*.*\"",
    );
    let requests = fake.lock().requests.clone();
    assert!(
        requests.iter().all(|it| !it.starts_with("PUT")),
        "{requests:?}"
    );
}

#[tokio::test]
async fn a_data_stream_is_told_from_an_index_and_from_a_server_that_has_none() {
    let fake = Fake::start().await;
    let settings = Settings {
        layout: Layout::Partitions,
        data_stream: true,
        ..settings(&[&fake.url])
    };
    let index = "elasticsearch data stream consumer_lag_partitions / index: ";
    let lines = of_indices(&check(&settings, None).await);
    has(
        &lines,
        &format!("{index}failed: does not exist, and the server does not answer"),
        "data_stream: false where the server has none",
    );
    fake.lock().streams = Some(Default::default());
    let lines = of_indices(&check(&settings, None).await);
    has(
        &lines,
        &format!("{index}failed: does not exist; "),
        "`mirrorlag setup`",
    );
    let there = (PARTITIONS_INDEX.to_owned(), bulk_server::Index::default());
    fake.lock().indices.extend([there]);
    let lines = of_indices(&check(&settings, None).await);
    has(
        &lines,
        &format!("{index}failed: is an index or an alias"),
        "data_stream: false",
    );
    fake.lock().streams = Some([PARTITIONS_INDEX.to_owned()].into());
    let lines = of_indices(&check(&settings, None).await);
    has(&lines, index, "exists, a data stream");
}
