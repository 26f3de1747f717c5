//! What `check` says of each link, and which mend.

use mirrorlag::finding::{Finding, Verdict};
use mirrorlag::sinks::elasticsearch::check;

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
    let findings = check(&settings).await;
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
    let findings = check(&with_login(&fake)).await;
    assert!(format!("{:?}", one(&findings, "index")).contains("`run` creates it"));
    assert!(matches!(one(&findings, "mapping"), Verdict::Skipped(_)));
    assert!(fake.lock().indices.is_empty());
    fake.lock().privileges.retain(|it| *it != "create_index");
    let findings = check(&with_login(&fake)).await;
    assert!(format!("{:?}", one(&findings, "index")).contains("grant create_index"));
    assert!(findings.iter().any(is_failure));
}

#[tokio::test]
async fn a_user_who_may_only_create_documents_is_told_what_is_missing() {
    let fake = Fake::start().await;
    let settings = with_login(&fake);
    fake.lock().privileges = vec!["create_doc"];
    let findings = check(&settings).await;
    let privileges = format!("{:?}", one(&findings, "privileges"));
    assert!(privileges.contains("view_index_metadata"), "{privileges}");
    assert!(findings.iter().any(is_failure));
    fake.lock().privileges = vec!["create_doc", "view_index_metadata"];
    let findings = check(&settings).await;
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
    let findings = check(&settings).await;
    assert!(matches!(one(&findings, "login"), Verdict::Failed { .. }));
    assert!(matches!(one(&findings, "index"), Verdict::Skipped(_)));
    assert!(!texts(&findings).concat().contains("s3cret"));
    settings.credentials = Credentials::None;
    let findings = check(&settings).await;
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
    let findings = check(&settings(&[&fake.url])).await;
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
    let findings = check(&settings(&urls)).await;
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
    let findings = check(&settings).await;
    assert!(
        texts(&findings)[0].contains("/nonexistent/ca.pem"),
        "{findings:?}"
    );
}
