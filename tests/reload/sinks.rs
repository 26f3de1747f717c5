//! A sink that did not change goes on, whatever it is doing; a changed one begins anew at its committed position.

use std::collections::BTreeSet;
use std::fs;

use rustix::process::Signal;

use crate::bulk_server::Fake;
use crate::journal::{
    age_by_an_hour, assert_no_tick_missing, assert_no_tick_twice, readers, records,
};
use crate::run::{Run, claim, eventually};
use crate::site::Site;

const INDEX: &str = "consumer_lag";

/// `mm-0/topic-0 1763632800000` of every document of an index.
fn indexed(fake: &Fake, index: &str) -> BTreeSet<String> {
    let documents = fake.documents(index);
    let names = documents.values().map(|document| {
        let text = |key: &str| document[key].as_str().unwrap().to_owned();
        let at = chrono::DateTime::parse_from_rfc3339(&text("@timestamp")).unwrap();
        let (host, topic) = (text("mirror_host"), text("topic"));
        format!("{host}/{topic} {}", at.timestamp_millis())
    });
    let names: BTreeSet<_> = names.collect();
    assert_eq!(names.len(), documents.len(), "a tick is there twice");
    names
}

fn recorded(site: &Site) -> BTreeSet<String> {
    let records = records(&site.journal());
    assert_no_tick_twice(&records);
    let names = records
        .iter()
        .map(|it| format!("{} {}", it.series, it.tick_ms));
    names.collect()
}

/// Stops it, and waits until the index has each record once; a last clean run delivers what the stop left behind.
#[track_caller]
pub fn everything_is_indexed_once(site: &Site, fake: &Fake, index: &str) {
    let mut last = Run::start(&site.file());
    last.until_it_says("connected");
    let all = recorded(site);
    eventually("everything in the index", || {
        let missing: Vec<_> = all.difference(&indexed(fake, index)).cloned().collect();
        claim(missing.is_empty(), missing)
    });
    last.stop();
    let indexed = indexed(fake, index);
    let recorded = recorded(site);
    let foreign: Vec<_> = indexed.difference(&recorded).collect();
    assert!(foreign.is_empty(), "in no record: {foreign:?}");
    fake.assert_strict();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_password_mended_by_a_reload_ends_a_hold_and_no_session_is_touched() {
    let mut site = Site::new(1).await;
    let fake = Fake::start().await;
    fake.lock().login = Some(("mirrorlag".to_owned(), "right".to_owned()));
    let secret = site.folder.path().join("secret");
    fs::write(&secret, "wrong\n").unwrap();
    site.sinks = format!(
        "elasticsearch: {{urls: ['{}'], username: mirrorlag, password_file: {}}}",
        fake.url,
        secret.display()
    );
    let entries = [(0, 0, 1), (0, 1, 1)];
    site.write(&entries);
    let mut run = Run::start(&site.file());
    run.until_it_says("the sink holds");
    eventually("records that wait", || {
        claim(recorded(&site).len() >= 4, ())
    });
    assert!(fake.documents(INDEX).is_empty());

    // The file of the configuration is the same; what it names is not.
    fs::write(&secret, "right\n").unwrap();
    let line = run.reload();
    assert!(
        line.contains(
            "kept=2 added=0 changed=0 removed=0 sinks_kept=0 sinks_added=0 sinks_changed=1"
        ),
        "{line}"
    );
    let waited = recorded(&site);
    eventually("what waited is in the index", || {
        let missing: Vec<_> = waited.difference(&indexed(&fake, INDEX)).cloned().collect();
        claim(missing.is_empty(), missing)
    });
    assert_eq!(site.logins("mm-0"), 2);
    run.stop();
    assert_no_tick_missing(&records(&site.journal()), "mm-0/topic-0", 1000);
    assert!(
        !run.log()
            .iter()
            .any(|it| it.contains("wrong") || it.contains("right"))
    );
    everything_is_indexed_once(&site, &fake, INDEX);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sink_that_holds_and_did_not_change_goes_on_holding_while_sources_change() {
    let mut site = Site::new(1).await;
    let fake = Fake::start().await;
    fake.lock().login = Some(("mirrorlag".to_owned(), "right".to_owned()));
    site.sinks = format!("elasticsearch: {{urls: ['{}']}}", fake.url);
    site.write(&[(0, 0, 1)]);
    let mut run = Run::start(&site.file());
    run.until_it_says("the sink holds");
    let asked = fake.lock().requests.len();
    site.write(&[(0, 0, 1), (0, 1, 1)]);
    let line = run.reload();
    assert!(
        line.contains("added=1") && line.contains("sinks_kept=1"),
        "{line}"
    );
    run.until_it_says("connected source=mm-0/mirror/topic-1");
    assert_eq!(run.lines_with("the sink holds").len(), 1);
    // A probe comes every 30 s; a delivery begun anew would ask at once.
    assert!(fake.lock().requests.len() <= asked + 4);
    run.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn another_index_gets_what_comes_from_then_on_and_nothing_is_lost_between() {
    let mut site = Site::new(1).await;
    let fake = Fake::start().await;
    site.sinks = format!("elasticsearch: {{urls: ['{}']}}", fake.url);
    site.write(&[(0, 0, 1), (0, 1, 1)]);
    let mut run = Run::start(&site.file());
    eventually("documents", || claim(!fake.documents(INDEX).is_empty(), ()));
    site.sinks = format!("elasticsearch: {{urls: ['{}'], index: other}}", fake.url);
    site.write(&[(0, 0, 1), (0, 1, 1)]);
    let line = run.reload();
    assert!(
        line.contains("kept=2") && line.contains("sinks_changed=1"),
        "{line}"
    );
    eventually("documents in the other index", || {
        claim(fake.documents("other").len() >= 4, ())
    });
    run.stop();
    let mut last = Run::start(&site.file());
    last.until_it_says("connected");
    let all = recorded(&site);
    eventually("everything in one of the two", || {
        let both = &indexed(&fake, INDEX) | &indexed(&fake, "other");
        let missing: Vec<_> = all.difference(&both).cloned().collect();
        claim(missing.is_empty(), missing)
    });
    last.stop();
    fake.assert_strict();
}

#[tokio::test(flavor = "multi_thread")]
async fn another_layout_and_a_dated_name_take_effect_and_send_nothing_again() {
    let mut site = Site::new(1).await;
    let fake = Fake::start().await;
    let entries = [(0, 0, 1), (0, 1, 1)];
    site.sinks = format!("elasticsearch: {{urls: ['{}']}}", fake.url);
    site.write(&entries);
    let mut run = Run::start(&site.file());
    eventually("wide documents", || {
        claim(indexed(&fake, INDEX).len() >= 4, ())
    });
    site.sinks = format!(
        "elasticsearch: {{urls: ['{}'], layout: both, index: consumer_lag-%Y}}",
        fake.url
    );
    site.write(&entries);
    let line = run.reload();
    assert!(
        line.contains("kept=2") && line.contains("sinks_changed=1"),
        "{line}"
    );
    let year = chrono::Utc::now().format("%Y");
    let (dated, partitions) = (
        format!("consumer_lag-{year}"),
        format!("consumer_lag_partitions-{year}"),
    );
    eventually("documents of both kinds by year", || {
        claim(indexed(&fake, &dated).len() >= 4, ())
    });
    run.stop();
    let mut last = Run::start(&site.file());
    last.until_it_says("connected");
    let all = recorded(&site);
    eventually("everything in one of the two", || {
        let both = &indexed(&fake, INDEX) | &indexed(&fake, &dated);
        let missing: Vec<_> = all.difference(&both).cloned().collect();
        claim(missing.is_empty(), missing)
    });
    last.stop();
    let again: Vec<_> = indexed(&fake, INDEX)
        .intersection(&indexed(&fake, &dated))
        .cloned()
        .collect();
    assert!(again.is_empty(), "sent again: {again:?}");
    let ids = |index: &str| -> BTreeSet<String> {
        let ids = fake.documents(index).into_keys();
        ids.map(|id| id.split("-p").next().unwrap().to_owned())
            .collect()
    };
    assert_eq!(ids(&dated), ids(&partitions), "the same samples in both");
    fake.assert_strict();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_sink_gets_everything_that_is_kept_and_a_removed_one_holds_nothing_back() {
    let mut site = Site::new(1).await;
    let fake = Fake::start().await;
    let entries = [(0, 0, 1)];
    site.write(&entries);
    let mut run = Run::start(&site.file());
    eventually("records before it", || {
        claim(recorded(&site).len() >= 3, ())
    });
    let before = recorded(&site);
    site.sinks = format!("stdout: {{}}\n  elasticsearch: {{urls: ['{}']}}", fake.url);
    site.write(&entries);
    let line = run.reload();
    assert!(line.contains("sinks_kept=1 sinks_added=1"), "{line}");
    eventually("what was before it, too", || {
        claim(
            before.is_subset(&indexed(&fake, INDEX)),
            fake.documents(INDEX).len(),
        )
    });

    site.sinks = "stdout: {}".to_owned();
    site.write(&entries);
    let line = run.reload();
    assert!(
        line.contains("sinks_kept=1 sinks_added=0 sinks_changed=0 sinks_removed=1"),
        "{line}"
    );
    assert!(!readers(&site.journal())["elasticsearch"].1);
    let had = readers(&site.journal())["elasticsearch"].0;

    // Back again, it goes on where it had stopped.
    site.sinks = format!("elasticsearch: {{urls: ['{}']}}", fake.url);
    site.write(&entries);
    let line = run.reload();
    assert!(
        line.contains("sinks_added=1") && line.contains("sinks_removed=1"),
        "{line}"
    );
    eventually("it goes on", || {
        let now = readers(&site.journal());
        claim(now["elasticsearch"].0 > had && !now["stdout"].1, now)
    });
    assert_eq!(site.logins("mm-0"), 1);
    run.stop();
    everything_is_indexed_once(&site, &fake, INDEX);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sink_that_cannot_be_made_changes_nothing() {
    let mut site = Site::new(1).await;
    site.write(&[(0, 0, 1)]);
    let mut run = Run::start(&site.file());
    run.until_it_says("connected");
    let ca = site.folder.path().join("ca.pem");
    fs::write(
        &ca,
        "-----BEGIN CERTIFICATE-----\nbm8gY2VydGlmaWNhdGU=\n-----END CERTIFICATE-----\n",
    )
    .unwrap();
    site.sinks = format!(
        "elasticsearch: {{urls: ['https://127.0.0.1:9'], ca_file: {}}}",
        ca.display()
    );
    site.write(&[(0, 0, 1), (0, 1, 1)]);
    run.tell(Signal::HUP);
    let line = run.until_it_says("configuration not changed");
    assert!(
        line.contains("ca.pem") && line.contains("PEM certificates"),
        "{line}"
    );
    assert_eq!(site.logins("mm-0"), 1);
    let readers = readers(&site.journal());
    assert_eq!(readers.keys().collect::<Vec<_>>(), ["stdout"]);
    run.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_that_was_renewed_in_its_place_is_a_changed_sink() {
    let mut site = Site::new(1).await;
    let ca = site.folder.path().join("ca.pem");
    let certificate =
        fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/reload/ca.pem"));
    let certificate = certificate.unwrap();
    fs::write(&ca, &certificate).unwrap();
    site.sinks = format!(
        "elasticsearch: {{urls: ['https://127.0.0.1:9'], ca_file: {}}}",
        ca.display()
    );
    site.write(&[(0, 0, 1)]);
    let mut run = Run::start(&site.file());
    run.until_it_says("connected");
    let line = run.reload();
    assert!(line.contains("sinks_kept=1"), "{line}");
    fs::write(&ca, format!("{certificate}\n{certificate}")).unwrap();
    let line = run.reload();
    assert!(
        line.contains("kept=1") && line.contains("sinks_changed=1"),
        "{line}"
    );
    run.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shorter_time_to_keep_takes_effect_at_once() {
    let mut site = Site::new(1).await;
    site.write(&[(0, 0, 1)]);
    let mut run = Run::start(&site.file());
    eventually("records that the sink has had", || {
        let now = records(&site.journal()).len();
        let had = readers_or_none(&site);
        claim(had >= 3, (now, had))
    });
    age_by_an_hour(&site.journal());
    let old = records(&site.journal());
    site.journal_keys = ", retain_for: 1m".to_owned();
    site.write(&[(0, 0, 1)]);
    let line = run.reload();
    assert!(line.contains("kept=1"), "{line}");
    eventually("the old records go", || {
        let now = records(&site.journal());
        claim(!now.contains(&old[0]), now.len())
    });
    run.stop();
}

fn readers_or_none(site: &Site) -> i64 {
    if records(&site.journal()).is_empty() {
        return 0;
    }
    readers(&site.journal()).get("stdout").map_or(0, |it| it.0)
}
