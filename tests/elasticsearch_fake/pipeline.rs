//! Journal, delivery and sink together: whatever the server does, every sample is there once in the end.

use std::sync::Arc;

use mirrorlag::delivery::{self, Limits, Phase, Status};
use mirrorlag::journal::{self, Journal};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::*;

const DEADLINE: Duration = Duration::from_secs(30);

pub struct Pipeline {
    pub journal: Journal,
    pub status: Arc<Status>,
    stop: CancellationToken,
    task: JoinHandle<()>,
    folder: tempfile::TempDir,
}

impl Pipeline {
    /// A journal that holds `samples`, and a delivery of it with waits of milliseconds.
    pub async fn start(settings: &Settings, samples: &[Sample]) -> Self {
        let pipeline = Self::of_journal(settings, tempfile::tempdir().unwrap()).await;
        pipeline.append(samples).await;
        pipeline
    }

    /// Ends this one, and begins another on its journal.
    pub async fn again(self, settings: &Settings) -> Self {
        let folder = self.end().await;
        Self::of_journal(settings, folder).await
    }

    async fn of_journal(settings: &Settings, folder: tempfile::TempDir) -> Self {
        let journal = Journal::open(&journal::Settings {
            path: folder.path().join("journal.db"),
            retain_for: Duration::from_secs(86_400),
            bytes_max: 1 << 30,
        })
        .unwrap();
        journal.keep_readers(&["elasticsearch"]).await.unwrap();
        let status = Arc::new(Status::new("elasticsearch"));
        let stop = CancellationToken::new();
        let limits = Limits {
            flush_after: Duration::from_millis(10),
            retry: (Duration::from_millis(5), Duration::from_millis(20)),
            hold_probe: Duration::from_millis(50),
            ..Limits::default()
        };
        let sink = Elasticsearch::new(settings).unwrap();
        let running = delivery::run(sink, journal.clone(), status.clone(), limits, stop.clone());
        Self {
            task: tokio::spawn(running),
            journal,
            status,
            stop,
            folder,
        }
    }

    pub async fn append(&self, samples: &[Sample]) {
        let body = |sample: &Sample| serde_json::to_vec(sample).unwrap();
        self.journal
            .append(samples.iter().map(body).collect(), None)
            .await
            .unwrap();
    }

    /// Waits until the delivery is in a state, and says which it is in when it never is.
    pub async fn reaches(&self, what: &str, is_reached: impl Fn(&delivery::State) -> bool) {
        let started = Instant::now();
        while !is_reached(&self.status.state()) {
            assert!(
                started.elapsed() < DEADLINE,
                "not {what}: {:?}",
                self.status.state()
            );
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    pub async fn commits(&self, position: u64) {
        self.reaches("committed", |state| state.position == position)
            .await;
    }

    /// The folder goes with the last of it.
    pub async fn end(self) -> tempfile::TempDir {
        self.stop.cancel();
        tokio::time::timeout(DEADLINE, self.task)
            .await
            .unwrap()
            .unwrap();
        self.journal.close().await;
        self.folder
    }
}

#[tokio::test]
async fn every_sample_is_there_once_whatever_the_server_answers_on_the_way() {
    let fake = Fake::start().await;
    let rejected = || error_body(429, "es_rejected_execution_exception", "queue full");
    fake.fail([
        Fault::Truncated,
        Fault::Status(
            429,
            vec![("retry-after", "1000000000".to_owned())],
            rejected(),
        ),
        Fault::Html,
        Fault::Status(503, vec![], String::new()),
        Fault::OneItemShort,
        Fault::Status(413, vec![], String::new()),
        Fault::Items(vec![
            None,
            Some((429, "es_rejected_execution_exception", "queue full")),
            None,
        ]),
        Fault::Status(502, vec![], "<html>bad gateway".to_owned()),
    ]);
    let samples = samples(40);
    let pipeline = Pipeline::start(&settings(&[&fake.url]), &samples).await;
    pipeline.commits(40).await;
    let documents = fake.documents(INDEX);
    assert_eq!(documents.len(), 40);
    assert!(
        samples
            .iter()
            .all(|sample| documents.contains_key(&sample.id()))
    );
    assert!(fake.lock().faults.is_empty(), "not every fault was met");
    assert_eq!(pipeline.journal.letters(0, 1).await.unwrap(), []);
    fake.assert_strict();
    pipeline.end().await;
}

#[tokio::test]
async fn a_document_that_can_never_be_stored_is_a_letter_and_its_neighbours_are_stored() {
    let fake = Fake::start().await;
    let bad = (
        400,
        "document_parsing_exception",
        "failed to parse field [@timestamp]",
    );
    fake.fail([Fault::Items(vec![None, Some(bad), None])]);
    let pipeline = Pipeline::start(&settings(&[&fake.url]), &samples(3)).await;
    pipeline.commits(3).await;
    assert_eq!(fake.documents(INDEX).len(), 2);
    let letters = pipeline.journal.letters(0, 10).await.unwrap();
    assert_eq!(letters.len(), 1);
    assert_eq!(letters[0].letter.position, 2);
    assert_eq!(letters[0].letter.reason, format!("{}: {}", bad.1, bad.2));
    pipeline.end().await;
}

#[tokio::test]
async fn a_body_over_the_limit_of_a_proxy_arrives_in_parts() {
    let fake = Fake::start().await;
    fake.lock()
        .indices
        .insert(INDEX.to_owned(), bulk_server::Index::default());
    fake.lock().content_bytes_max = 2000;
    let pipeline = Pipeline::start(&settings(&[&fake.url]), &samples(100)).await;
    pipeline.commits(100).await;
    assert_eq!(fake.documents(INDEX).len(), 100);
    assert_eq!(pipeline.journal.letters(0, 1).await.unwrap(), []);
    pipeline.end().await;
}

#[tokio::test]
async fn a_wrong_password_keeps_everything_until_it_is_mended() {
    let fake = Fake::start().await;
    fake.lock().login = Some(("elastic".to_owned(), "changed".to_owned()));
    let mut settings = settings(&[&fake.url]);
    settings.credentials = Credentials::Basic {
        username: "elastic".to_owned(),
        password: SecretString::from("s3cret"),
    };
    let pipeline = Pipeline::start(&settings, &samples(10)).await;
    let is_held = |state: &delivery::State| matches!(state.phase, Phase::Holding { .. });
    pipeline.reaches("held", is_held).await;
    pipeline.append(&[sample(100, &[1])]).await;
    fake.lock().login = Some(("elastic".to_owned(), "s3cret".to_owned()));
    pipeline.commits(11).await;
    assert_eq!(fake.documents(INDEX).len(), 11);
    assert_eq!(pipeline.status.state().letters, 0);
    pipeline.end().await;
}

#[tokio::test]
async fn a_block_holds_and_delivery_goes_on_by_itself_once_it_is_lifted() {
    let fake = Fake::start().await;
    let flood = (
        429,
        "cluster_block_exception",
        "index blocked: [TOO_MANY_REQUESTS/12/disk usage exceeded flood-stage watermark]",
    );
    let blocked = || Fault::Items(vec![Some(flood); 5]);
    fake.fail([blocked(), blocked(), blocked()]);
    let pipeline = Pipeline::start(&settings(&[&fake.url]), &samples(5)).await;
    pipeline.commits(5).await;
    assert_eq!(fake.lock().bulks.len(), 4);
    assert_eq!(fake.documents(INDEX).len(), 5);
    assert_eq!(pipeline.status.state().letters, 0);
    pipeline.end().await;
}

#[tokio::test]
async fn an_index_deleted_while_delivering_is_made_anew_with_our_mapping() {
    let fake = Fake::start().await;
    fake.lock().auto_create = false;
    let pipeline = Pipeline::start(&settings(&[&fake.url]), &samples(5)).await;
    pipeline.commits(5).await;
    fake.lock().indices.clear();
    pipeline.append(&[sample(50, &[1])]).await;
    pipeline.commits(6).await;
    let index = fake.lock().indices[INDEX].clone();
    assert_eq!(index.documents.len(), 1);
    assert!(index.mapping.get("dynamic_templates").is_some());
    pipeline.end().await;
}

#[tokio::test]
async fn one_field_too_many_is_a_letter_and_the_others_are_stored() {
    let fake = Fake::start().await;
    fake.lock().fields_max = 100;
    let wide: Vec<i64> = vec![1; 200];
    let samples = [sample(0, &[1]), sample(1, &wide), sample(2, &[1])];
    let pipeline = Pipeline::start(&settings(&[&fake.url]), &samples).await;
    pipeline.commits(3).await;
    let letters = pipeline.journal.letters(0, 10).await.unwrap();
    assert_eq!(letters.len(), 1);
    assert!(
        letters[0]
            .letter
            .reason
            .contains("Limit of total fields [100]")
    );
    pipeline.end().await;
}

#[tokio::test]
async fn with_one_url_dead_and_one_hanging_a_batch_waits_one_timeout_per_url() {
    let fake = Fake::start().await;
    let (dead, _) = raw_port(Some(b"")).await;
    let (hanging, _) = raw_port(None).await;
    let (dead, hanging) = (format!("http://{dead}"), format!("http://{hanging}"));
    let mut settings = settings(&[&dead, &hanging, &fake.url]);
    settings.request_timeout = Duration::from_secs(1);
    let started = Instant::now();
    let pipeline = Pipeline::start(&settings, &samples(5)).await;
    pipeline.commits(5).await;
    let first = started.elapsed();
    assert!(first < Duration::from_secs(5), "{first:?}");
    let started = Instant::now();
    pipeline.append(&[sample(50, &[1])]).await;
    pipeline.commits(6).await;
    // The next batch goes to the node that answered.
    assert!(
        started.elapsed() < Duration::from_millis(900),
        "{:?}",
        started.elapsed()
    );
    pipeline.end().await;
}
