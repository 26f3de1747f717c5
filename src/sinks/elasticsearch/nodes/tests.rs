use secrecy::SecretString;

use super::super::{Credentials, Layout};
use super::*;

fn settings(urls: &[&str]) -> Settings {
    Settings {
        urls: urls.iter().map(|&url| url.to_owned()).collect(),
        index: "consumer_lag".parse().unwrap(),
        mapping: "{}".to_owned(),
        layout: Layout::Wide,
        partitions_index: "consumer_lag_partitions".parse().unwrap(),
        partitions_mapping: "{}".to_owned(),
        data_stream: false,
        retain_for: None,
        credentials: Credentials::None,
        ca_file: None,
        accept_any_certificate: false,
        proxy: None,
        request_timeout: Duration::from_secs(1),
    }
}

fn three() -> Nodes {
    Nodes::new(&settings(&["http://a:1", "http://b:1", "http://c:1"])).unwrap()
}

fn message(result: Result<Nodes, SettingsError>) -> String {
    match result {
        Ok(_) => String::new(),
        Err(error) => error.to_string(),
    }
}

#[test]
fn a_node_that_answers_is_asked_until_it_fails() {
    let now = Instant::now();
    let mut nodes = three();
    assert_eq!((nodes.pick(now), nodes.pick(now)), (0, 0));
    nodes.failed(0, "refused", now);
    assert!(nodes.another(now));
    assert_eq!((nodes.pick(now), nodes.pick(now)), (1, 1));
    // Its pause is long over, but the second works: nothing is gained by a probe.
    let later = now + PAUSE_LONGEST;
    assert_eq!(nodes.pick(later), 1);
}

#[test]
fn when_every_node_is_paused_the_one_due_first_is_asked() {
    let now = Instant::now();
    let mut nodes = three();
    nodes.failed(0, "refused", now);
    nodes.failed(0, "refused", now);
    nodes.failed(1, "refused", now);
    nodes.failed(2, "refused", now + Duration::from_millis(1));
    assert!(!nodes.another(now));
    assert_eq!(nodes.pick(now), 1);
}

#[test]
fn pauses_double_from_one_second_to_sixty_and_an_answer_ends_them() {
    let now = Instant::now();
    let mut nodes = three();
    let mut pauses = Vec::new();
    for _ in 0..8 {
        nodes.failed(0, "refused", now);
        let until = nodes.list[0].paused_until.unwrap();
        pauses.push((until - now).as_secs());
    }
    assert_eq!(pauses, [1, 2, 4, 8, 16, 32, 60, 60]);
    nodes.worked(0);
    nodes.failed(0, "refused", now);
    assert_eq!(nodes.list[0].paused_until, Some(now + PAUSE_FIRST));
}

#[test]
fn a_url_with_a_password_is_refused_and_the_password_not_repeated() {
    for url in ["http://elastic:s3cret@a:1", "http://elastic:s3cret@a:port"] {
        let message = message(Nodes::new(&settings(&[url])));
        assert!(message.contains("cannot use the url"), "{message}");
        assert!(!message.contains("s3cret"), "{message}");
    }
    assert!(message(Nodes::new(&settings(&[]))).contains("no url"));
}

#[test]
fn an_api_key_may_end_in_a_newline_and_must_be_the_encoded_one() {
    let mut with_key = settings(&["http://a:1"]);
    let mut attempt = |key: &str| {
        with_key.credentials = Credentials::ApiKey(SecretString::from(key));
        message(Nodes::new(&with_key))
    };
    // base64 of "id:key"
    assert_eq!(attempt("aWQ6a2V5\n"), "");
    for wrong in ["id:key", "aWQ6a2\n V5", "", "aWRrZXk="] {
        let message = attempt(wrong);
        assert!(message.contains("base64 of id:key"), "{wrong:?}: {message}");
    }
}

#[test]
fn no_debug_output_of_settings_shows_a_secret() {
    let mut settings = settings(&["http://a:1"]);
    settings.credentials = Credentials::Basic {
        username: "elastic".to_owned(),
        password: SecretString::from("s3cret"),
    };
    assert!(!format!("{settings:?}").contains("s3cret"));
}

#[test]
fn a_missing_or_empty_ca_file_is_named() {
    let mut settings = settings(&["https://a:1"]);
    settings.ca_file = Some("/nonexistent/ca.pem".into());
    assert!(message(Nodes::new(&settings)).contains("/nonexistent/ca.pem"));
    let file = tempfile::NamedTempFile::new().unwrap();
    settings.ca_file = Some(file.path().to_owned());
    assert!(message(Nodes::new(&settings)).contains("PEM"));
}
