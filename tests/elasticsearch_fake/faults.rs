//! The fault matrix of Elasticsearch (`tests/faults/elasticsearch.md`), for what a healthy server never shows: while it lasts, the journal
//! and another sink go on, the log stays short, and afterwards every sample is there once, without help.

use std::collections::BTreeMap;
use std::io::Write;
use std::sync::{Arc, Mutex};

use bulk_server::Server;
use mirrorlag::delivery::{self, Limits, Phase, Status};
use mirrorlag::journal::{self, Journal};
use mirrorlag::sinks::Reply;
use relay::{Line, Relay};
use tokio_util::sync::CancellationToken;

use super::*;

pub const DEADLINE: Duration = Duration::from_secs(60);

/// Requests that must have failed before a fault is mended: enough for a line per retry to be seen.
const REQUESTS: usize = 30;
/// Lines of one fault: that it does not work, in one word or two, and that a node fails where there are several.
const LINES_MAX: usize = 3;

/// What was logged in this thread, which is where a test's runtime has all its tasks.
pub struct Log {
    text: Arc<Mutex<Vec<u8>>>,
    _guard: tracing::subscriber::DefaultGuard,
}

#[derive(Clone)]
struct Writer(Arc<Mutex<Vec<u8>>>);

impl Write for Writer {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl Log {
    pub fn capture() -> Self {
        let text = Arc::new(Mutex::new(Vec::new()));
        let writer = Writer(text.clone());
        let subscriber = tracing_subscriber::fmt()
            .with_max_level(tracing::Level::INFO)
            .with_ansi(false)
            .with_writer(move || writer.clone())
            .finish();
        Self {
            text,
            _guard: tracing::subscriber::set_default(subscriber),
        }
    }

    pub fn lines(&self) -> Vec<String> {
        let text = self.text.lock().unwrap();
        let text = String::from_utf8_lossy(&text);
        text.lines().map(str::to_owned).collect()
    }
}

/// The other sink: it works, and counts what it was given.
#[derive(Clone, Default)]
struct Other(Arc<Mutex<BTreeMap<String, usize>>>);

impl Sink for Other {
    fn name(&self) -> &'static str {
        "other"
    }

    async fn prepare(&mut self) -> Result<(), NotReady> {
        Ok(())
    }

    async fn deliver(&mut self, batch: &[Sample]) -> Reply {
        let mut given = self.0.lock().unwrap();
        for sample in batch {
            *given.entry(sample.id()).or_default() += 1;
        }
        Reply::all(Fate::Stored, batch.len())
    }
}

/// One journal and two sinks, with waits of milliseconds.
pub struct Bench {
    pub journal: Journal,
    pub elasticsearch: Arc<Status>,
    other: Other,
    samples: Vec<Sample>,
    stop: CancellationToken,
    tasks: tokio::task::JoinSet<()>,
    _folder: tempfile::TempDir,
}

impl Bench {
    pub async fn start(settings: &Settings) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let journal = Journal::open(&journal::Settings {
            path: folder.path().join("journal.db"),
            retain_for: Duration::from_secs(86_400),
            bytes_max: 1 << 30,
        })
        .unwrap();
        let names = ["elasticsearch", "other"];
        journal.keep_readers(&names).await.unwrap();
        let limits = Limits {
            flush_after: Duration::from_millis(2),
            retry: (Duration::from_millis(2), Duration::from_millis(10)),
            hold_probe: Duration::from_millis(10),
            ..Limits::default()
        };
        let stop = CancellationToken::new();
        let [elasticsearch, recorded] = names.map(|name| Arc::new(Status::new(name)));
        let other = Other::default();
        let mut tasks = tokio::task::JoinSet::new();
        tasks.spawn(delivery::run(
            Elasticsearch::new(settings).unwrap(),
            journal.clone(),
            elasticsearch.clone(),
            limits.clone(),
            stop.clone(),
        ));
        tasks.spawn(delivery::run(
            other.clone(),
            journal.clone(),
            recorded,
            limits,
            stop.clone(),
        ));
        Self {
            journal,
            elasticsearch,
            other,
            samples: Vec::new(),
            stop,
            tasks,
            _folder: folder,
        }
    }

    /// One tick after the other; each is in the journal, and with the other sink, before the next.
    pub async fn ticks(&mut self, count: usize) {
        for _ in 0..count {
            let tick = i64::try_from(self.samples.len()).unwrap();
            self.append(sample(tick, &[tick])).await;
        }
    }

    pub async fn append(&mut self, sample: Sample) {
        let body = serde_json::to_vec(&sample).unwrap();
        self.journal.append(vec![body], None).await.unwrap();
        let id = sample.id();
        self.samples.push(sample);
        until("the other sink has the tick", || {
            self.other.0.lock().unwrap().contains_key(&id)
        })
        .await;
    }

    pub async fn until_committed(&self) {
        let head = self.samples.len() as u64;
        let state = || self.elasticsearch.state();
        until_or("all is committed", || state().position == head, state).await;
    }

    pub fn phase(&self) -> &'static str {
        match self.elasticsearch.state().phase {
            Phase::Working => "working",
            Phase::Retrying { .. } => "retrying",
            Phase::Holding { .. } => "holding",
        }
    }

    pub fn reason(&self) -> String {
        match self.elasticsearch.state().phase {
            Phase::Working => String::new(),
            Phase::Retrying { reason, .. } | Phase::Holding { reason } => reason,
        }
    }

    /// Every sample but the letters is in the index, made once; the other sink had each once.
    pub async fn assert_each_once(&self, fake: &Fake, letters: usize) {
        let lost = self.journal.letters(0, 1000).await.unwrap();
        assert_eq!(lost.len(), letters, "{lost:?}");
        let refused: Vec<u64> = lost.iter().map(|it| it.letter.position).collect();
        let documents = fake.documents(INDEX);
        for (position, sample) in (1_u64..).zip(&self.samples) {
            let is_there = documents.contains_key(&sample.id());
            assert_eq!(is_there, !refused.contains(&position), "{position}");
        }
        assert_eq!(documents.len(), self.samples.len() - letters);
        fake.assert_strict();
        let given = self.other.0.lock().unwrap();
        assert_eq!(given.len(), self.samples.len());
        assert!(given.values().all(|count| *count == 1), "{given:?}");
    }

    pub async fn end(mut self) {
        self.stop.cancel();
        while self.tasks.join_next().await.is_some() {}
        self.journal.close().await;
    }
}

async fn until(what: &str, is_so: impl Fn() -> bool) {
    until_or(what, is_so, || "no more is known").await;
}

pub async fn until_or<S: std::fmt::Debug>(
    what: &str,
    is_so: impl Fn() -> bool,
    state: impl Fn() -> S,
) {
    let started = Instant::now();
    while !is_so() {
        assert!(started.elapsed() < DEADLINE, "not: {what}: {:?}", state());
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

/// The life of one fault: all is well, `wound`, many failed requests, `mend`, all is there once.
async fn row(
    settings: impl FnOnce(&Fake) -> Settings,
    wound: impl FnOnce(&mut Server),
    expected: (&str, &str),
    mend: impl FnOnce(&mut Server),
) {
    let log = Log::capture();
    let fake = Fake::start().await;
    let mut bench = Bench::start(&settings(&fake)).await;
    bench.ticks(5).await;
    bench.until_committed().await;
    let lines_before = log.lines().len();
    wound(&mut fake.lock());
    let requests_before = fake.lock().requests.len();
    bench.ticks(20).await;
    until_or(
        "the fault is in the state",
        || bench.phase() == expected.0 && bench.reason().contains(expected.1),
        || bench.elasticsearch.state(),
    )
    .await;
    let requests = || fake.lock().requests.len() - requests_before;
    until_or("it was tried often", || requests() > REQUESTS, requests).await;
    bench.ticks(5).await;
    mend(&mut fake.lock());
    bench.ticks(5).await;
    bench.until_committed().await;
    until("it works", || bench.phase() == "working").await;
    bench.assert_each_once(&fake, 0).await;
    let lines = log.lines().split_off(lines_before);
    assert!(
        (1..=LINES_MAX).contains(&lines.len()),
        "{}",
        lines.join("\n")
    );
    bench.end().await;
}

/// A fault of every bulk.
async fn lasting(fault: Fault, phase: &str, reason: &str) {
    let wound = |server: &mut Server| server.lasting = Some(fault);
    let settings = |fake: &Fake| Settings {
        request_timeout: Duration::from_millis(250),
        ..settings(&[&fake.url])
    };
    row(settings, wound, (phase, reason), |server| {
        server.lasting = None;
    })
    .await;
}

fn status(status: u16, kind: &str) -> Fault {
    Fault::Status(status, vec![], error_body(status, kind, "because"))
}

fn items(status: u16, kind: &'static str, reason: &'static str) -> Fault {
    Fault::Items(vec![Some((status, kind, reason)); 500])
}

#[tokio::test]
async fn a_reply_cut_in_half_costs_nothing_but_time() {
    lasting(Fault::Truncated, "retrying", "not one of Elasticsearch").await;
}

#[tokio::test]
async fn a_page_of_a_proxy_with_200_costs_nothing_but_time() {
    lasting(Fault::Html, "retrying", "not one of Elasticsearch").await;
}

#[tokio::test]
async fn a_200_that_is_not_json_costs_nothing_but_time() {
    let ok = Fault::Status(200, vec![], "OK".to_owned());
    lasting(ok, "retrying", "not one of Elasticsearch").await;
}

#[tokio::test]
async fn an_item_list_shorter_than_sent_costs_nothing_but_time() {
    lasting(Fault::OneItemShort, "retrying", "items").await;
}

#[tokio::test]
async fn a_bulk_that_is_never_answered_costs_nothing_but_time() {
    lasting(Fault::Hang, "retrying", "no answer in time").await;
}

#[tokio::test]
async fn a_403_of_the_whole_request_holds_until_the_rights_are_there() {
    lasting(status(403, "security_exception"), "holding", "security_exc").await;
}

#[tokio::test]
async fn a_403_of_each_item_holds_until_the_rights_are_there() {
    let fault = items(403, "security_exception", "action is unauthorized");
    lasting(fault, "holding", "unauthorized").await;
}

#[tokio::test]
async fn a_429_of_the_whole_request_with_retry_after_is_waited_out() {
    let body = error_body(429, "es_rejected_execution_exception", "full");
    // Far above the longest wait, which caps it.
    let headers = vec![("retry-after", "1000000".to_owned())];
    lasting(Fault::Status(429, headers, body), "retrying", "full").await;
}

#[tokio::test]
async fn a_429_of_each_item_is_waited_out() {
    let fault = items(429, "es_rejected_execution_exception", "queue full");
    lasting(fault, "retrying", "queue full").await;
}

#[tokio::test]
async fn a_circuit_breaker_is_waited_out() {
    let fault = status(429, "circuit_breaking_exception");
    lasting(fault, "retrying", "circuit_breaking").await;
}

#[tokio::test]
async fn the_flood_stage_of_a_disk_holds_until_there_is_room() {
    let reason = "index blocked: [TOO_MANY_REQUESTS/12/disk usage exceeded flood-stage watermark]";
    let fault = items(429, "cluster_block_exception", reason);
    lasting(fault, "holding", "flood-stage").await;
}

#[tokio::test]
async fn a_503_is_waited_out() {
    lasting(Fault::Status(503, vec![], String::new()), "retrying", "503").await;
}

#[tokio::test]
async fn a_413_of_every_size_holds_and_names_it() {
    let fault = Fault::Status(413, vec![], String::new());
    lasting(fault, "holding", "every document is refused").await;
}

#[tokio::test]
async fn a_400_of_every_request_holds_and_makes_no_dead_letter() {
    let fault = status(400, "illegal_argument_exception");
    lasting(fault, "holding", "every document is refused").await;
}

#[tokio::test]
async fn a_404_page_of_a_proxy_holds() {
    let page = Fault::Status(404, vec![], "<html>nginx".to_owned());
    lasting(page, "holding", "nginx").await;
}

#[tokio::test]
async fn a_login_page_holds_and_is_logged_once_though_its_address_is_never_the_same() {
    let other = Fake::start().await;
    let place = Arc::new(Mutex::new(0));
    let log = Log::capture();
    let fake = Fake::start().await;
    let mut bench = Bench::start(&settings(&[&fake.url])).await;
    bench.ticks(1).await;
    bench.until_committed().await;
    let before = log.lines().len();
    for _ in 0..10 {
        let token = {
            let mut token = place.lock().unwrap();
            *token += 1;
            format!("{}/login?state={:x}", other.url, 0xabcdef_u64 * *token)
        };
        fake.fail([Fault::Status(302, vec![("location", token)], String::new())]);
    }
    bench.ticks(1).await;
    until("it holds", || {
        bench.phase() == "holding" || fake.lock().faults.is_empty()
    })
    .await;
    bench.until_committed().await;
    bench.assert_each_once(&fake, 0).await;
    assert!(fake.lock().faults.is_empty(), "not every redirect was met");
    let lines = log.lines().split_off(before);
    assert!(lines.len() <= 2, "{}", lines.join("\n"));
    assert!(lines[0].contains("/login") && !lines[0].contains("state="));
    bench.end().await;
}

#[tokio::test]
async fn a_redirect_takes_no_login_to_another_place() {
    let fake = Fake::start().await;
    let elsewhere = Fake::start().await;
    fake.lock().login = Some(("elastic".to_owned(), "s3cret".to_owned()));
    let mut with_login = settings(&[&fake.url]);
    with_login.credentials = Credentials::Basic {
        username: "elastic".to_owned(),
        password: SecretString::from("s3cret"),
    };
    let mut sink = Elasticsearch::new(&with_login).unwrap();
    sink.prepare().await.unwrap();
    for status in [301, 302, 303, 307, 308] {
        let location = format!("{}/consumer_lag/_bulk", elsewhere.url);
        let redirect = (status, vec![("location", location)], String::new());
        fake.lock().lasting = Some(Fault::Status(redirect.0, redirect.1.clone(), String::new()));
        assert_eq!(words(&sink.deliver(&samples(2)).await.fates), ["hold"; 2]);
        // And where every request is redirected, also the question for the index.
        fake.lock().proxy = Some(redirect);
        let fates = sink.deliver(&samples(2)).await.fates;
        assert_eq!(words(&fates), ["hold"; 2]);
        assert!(reason(&fates).contains(&elsewhere.url), "{fates:?}");
        fake.lock().proxy = None;
    }
    assert!(!elsewhere.lock().requests.is_empty(), "it was followed");
    assert_eq!(elsewhere.lock().logins, 0);
}

#[tokio::test]
async fn a_401_holds_until_the_login_is_mended() {
    let user = "elastic".to_owned();
    let settings = |fake: &Fake| {
        fake.lock().login = Some((user.clone(), "s3cret".to_owned()));
        Settings {
            credentials: Credentials::Basic {
                username: user.clone(),
                password: SecretString::from("s3cret"),
            },
            ..settings(&[&fake.url])
        }
    };
    row(
        settings,
        |server| server.login = Some((user.clone(), "changed".to_owned())),
        ("holding", "mend username and password"),
        |server| server.login = Some((user.clone(), "s3cret".to_owned())),
    )
    .await;
}

#[tokio::test]
async fn a_404_of_an_index_that_we_may_not_make_again_holds_until_it_is_there() {
    row(
        |fake| settings(&[&fake.url]),
        |server| {
            server.privileges.retain(|it| *it != "create_index");
            // Moved away, as by somebody who makes room.
            let index = server.indices.remove(INDEX).unwrap();
            server.indices.insert("kept".to_owned(), index);
        },
        ("holding", "grant create_index"),
        |server| {
            let index = server.indices.remove("kept").unwrap();
            server.indices.insert(INDEX.to_owned(), index);
        },
    )
    .await;
}

#[tokio::test]
async fn a_proxy_that_answers_every_request_with_502_is_waited_out() {
    row(
        |fake| settings(&[&fake.url]),
        |server| server.proxy = Some((502, vec![], "<html>Bad Gateway".to_owned())),
        ("retrying", "502"),
        |server| server.proxy = None,
    )
    .await;
}

#[tokio::test]
async fn a_proxy_that_limits_every_request_with_429_is_waited_out() {
    row(
        |fake| settings(&[&fake.url]),
        |server| server.proxy = Some((429, vec![("retry-after", "5".to_owned())], String::new())),
        ("retrying", "429"),
        |server| server.proxy = None,
    )
    .await;
}

#[tokio::test]
async fn retry_after_is_passed_on_from_the_question_for_the_index_too() {
    let fake = Fake::start().await;
    let mut sink = sink(&[&fake.url]);
    for status in [429, 503] {
        let headers = vec![("retry-after", "7".to_owned())];
        fake.lock().proxy = Some((status, headers, String::new()));
        let reply = sink.deliver(&samples(2)).await;
        assert_eq!(words(&reply.fates), ["retry"; 2]);
        assert_eq!(reply.retry_after, Some(Duration::from_secs(7)), "{status}");
        let after = match sink.prepare().await {
            Err(NotReady::Retry { after, .. }) => after,
            other => panic!("{other:?}"),
        };
        assert_eq!(after, Some(Duration::from_secs(7)), "{status}");
    }
}

#[tokio::test]
async fn a_batch_that_never_fits_into_the_servers_memory_arrives_in_smaller_requests() {
    let log = Log::capture();
    let fake = Fake::start().await;
    let mut bench = Bench::start(&settings(&[&fake.url])).await;
    bench.ticks(1).await;
    bench.until_committed().await;
    let before = log.lines().len();
    // A backlog of 500 comes into being while nothing is taken.
    fake.lock().documents_room = 0;
    let bodies = (1..500).map(|tick| sample(tick, &[tick]));
    for sample in bodies {
        let body = serde_json::to_vec(&sample).unwrap();
        bench.samples.push(sample);
        bench.journal.append(vec![body], None).await.unwrap();
    }
    until("it is tried", || bench.phase() == "retrying").await;
    fake.lock().documents_room = 40;
    bench.until_committed().await;
    until("the other has all", || {
        bench.other.0.lock().unwrap().len() == 500
    })
    .await;
    bench.assert_each_once(&fake, 0).await;
    let lines = log.lines().split_off(before);
    assert!(lines.len() <= LINES_MAX, "{}", lines.join("\n"));
    bench.end().await;
}

#[tokio::test]
async fn a_429_asks_the_next_node_first_and_says_nothing_of_it() {
    let log = Log::capture();
    let (busy, idle) = (Fake::start().await, Fake::start().await);
    busy.lock().lasting = Some(status(429, "circuit_breaking_exception"));
    let mut sink = sink(&[&busy.url, &idle.url]);
    let reply = sink.deliver(&samples(2)).await;
    assert_eq!(words(&reply.fates), ["retry"; 2]);
    assert!(reply.another_node && reply.is_crowded);
    assert_eq!(words(&sink.deliver(&samples(2)).await.fates), ["stored"; 2]);
    idle.lock().lasting = Some(status(429, "circuit_breaking_exception"));
    let reply = sink.deliver(&samples(2)).await;
    assert!(!reply.another_node, "both are left alone now");
    let lines = log.lines();
    let of_nodes = lines.iter().filter(|line| line.contains("node"));
    assert_eq!(of_nodes.count(), 0, "{lines:?}");
}

#[tokio::test]
async fn one_document_that_spoils_a_request_is_a_letter_and_its_neighbours_are_stored() {
    let fake = Fake::start().await;
    let mut bench = Bench::start(&settings(&[&fake.url])).await;
    bench.ticks(1).await;
    bench.until_committed().await;
    fake.lock().poison = Some(sample(7, &[7]).id());
    // In one batch, so that it has neighbours.
    fake.lock().proxy = Some((503, vec![], String::new()));
    bench.ticks(11).await;
    fake.lock().proxy = None;
    bench.until_committed().await;
    bench.assert_each_once(&fake, 1).await;
    let letters = bench.journal.letters(0, 10).await.unwrap();
    assert!(letters[0].letter.reason.contains("spoils"), "{letters:?}");
    bench.end().await;
}

#[tokio::test]
async fn one_document_too_large_for_a_proxy_is_a_letter_and_its_neighbours_are_stored() {
    let fake = Fake::start().await;
    let mut bench = Bench::start(&settings(&[&fake.url])).await;
    bench.ticks(1).await;
    bench.until_committed().await;
    fake.lock().content_bytes_max = 3000;
    fake.lock().lasting = Some(Fault::Status(503, vec![], String::new()));
    bench.ticks(3).await;
    bench.append(sample(4, &[1; 400])).await;
    bench.append(sample(5, &[5])).await;
    fake.lock().lasting = None;
    bench.until_committed().await;
    bench.assert_each_once(&fake, 1).await;
    bench.end().await;
}

#[tokio::test]
async fn ten_minutes_worth_of_ticks_wait_for_a_server_that_is_down() {
    let log = Log::capture();
    let fake = Fake::start().await;
    let relay = Relay::to(fake.address()).await;
    let mut bench = Bench::start(&settings(&[&relay.url()])).await;
    bench.ticks(3).await;
    bench.until_committed().await;
    let before = log.lines().len();
    relay.set(Line::Cut);
    // At the shortest interval there is, a second.
    bench.ticks(600).await;
    until("it retries", || bench.phase() == "retrying").await;
    relay.set(Line::Through);
    bench.until_committed().await;
    bench.assert_each_once(&fake, 0).await;
    let lines = log.lines().split_off(before);
    assert!(lines.len() <= LINES_MAX, "{}", lines.join("\n"));
    bench.end().await;
}

/// Three nodes of one cluster, each behind a line of its own.
async fn three(fake: &Fake) -> [Relay; 3] {
    [
        Relay::to(fake.address()).await,
        Relay::to(fake.address()).await,
        Relay::to(fake.address()).await,
    ]
}

fn settings_of(nodes: &[Relay; 3]) -> Settings {
    let urls = nodes.each_ref().map(Relay::url);
    Settings {
        request_timeout: Duration::from_millis(500),
        ..settings(&urls.each_ref().map(String::as_str))
    }
}

#[tokio::test]
async fn one_dead_node_of_three_is_said_once_and_nothing_waits_for_it() {
    let log = Log::capture();
    let fake = Fake::start().await;
    let nodes = three(&fake).await;
    let mut bench = Bench::start(&settings_of(&nodes)).await;
    bench.ticks(3).await;
    bench.until_committed().await;
    let before = log.lines().len();
    nodes[0].set(Line::Cut);
    for _ in 0..20 {
        bench.ticks(1).await;
        bench.until_committed().await;
    }
    nodes[0].set(Line::Through);
    bench.ticks(3).await;
    bench.until_committed().await;
    bench.assert_each_once(&fake, 0).await;
    let lines = log.lines().split_off(before);
    assert_eq!(lines.len(), 1, "{}", lines.join("\n"));
    assert!(lines[0].contains(&nodes[0].url()), "{}", lines[0]);
    bench.end().await;
}

#[tokio::test]
async fn all_nodes_dead_and_back_is_a_line_for_each_and_everything_arrives() {
    let log = Log::capture();
    let fake = Fake::start().await;
    let nodes = three(&fake).await;
    let mut bench = Bench::start(&settings_of(&nodes)).await;
    bench.ticks(3).await;
    bench.until_committed().await;
    let before = log.lines().len();
    for (node, line) in nodes.iter().zip([Line::Cut, Line::Silent, Line::Cut]) {
        node.set(line);
    }
    bench.ticks(30).await;
    until("it is tried often", || {
        matches!(bench.elasticsearch.state().phase, Phase::Retrying { attempts, .. } if attempts > 12)
    })
    .await;
    for node in &nodes {
        node.set(Line::Through);
    }
    bench.until_committed().await;
    bench.assert_each_once(&fake, 0).await;
    let lines = log.lines().split_off(before);
    // Each node once, the sink once, and back: the node that answered, the sink.
    assert!(lines.len() <= 6, "{}", lines.join("\n"));
    bench.end().await;
}

#[tokio::test]
async fn nodes_that_fail_in_different_ways_do_not_fill_the_log() {
    let log = Log::capture();
    let fake = Fake::start().await;
    let relay = Relay::to(fake.address()).await;
    let page = b"HTTP/1.1 404 Not Found\r\ncontent-type: text/html\r\ncontent-length: 5\r\nconnection: close\r\n\r\nnginx";
    let (wrong, asked) = raw_port(Some(page)).await;
    let away = b"HTTP/1.1 302 Found\r\nlocation: http://127.0.0.1:1/\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
    let (redirecting, _) = raw_port(Some(away)).await;
    let urls = [
        relay.url(),
        format!("http://{wrong}"),
        format!("http://{redirecting}"),
    ];
    let mut bench = Bench::start(&settings(&urls.each_ref().map(String::as_str))).await;
    bench.ticks(3).await;
    bench.until_committed().await;
    let before = log.lines().len();
    relay.set(Line::Cut);
    bench.ticks(10).await;
    until("it is tried often", || *asked.lock().unwrap() > 40).await;
    relay.set(Line::Through);
    bench.until_committed().await;
    bench.assert_each_once(&fake, 0).await;
    let lines = log.lines().split_off(before);
    // A line for each node, one that it retries, one for each reason to hold, and back.
    assert!(lines.len() <= 8, "{}", lines.join("\n"));
    bench.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn a_reply_that_never_ends_is_given_up_before_it_fills_the_memory() {
    let (endless, sent) = endless_port().await;
    let mut settings = settings(&[&format!("http://{endless}")]);
    settings.request_timeout = Duration::from_secs(600);
    let mut sink = Elasticsearch::new(&settings).unwrap();
    for _ in 0..3 {
        let before = *sent.lock().unwrap();
        let reply = sink.deliver(&samples(2)).await;
        assert_eq!(words(&reply.fates), ["retry"; 2]);
        assert!(
            reason(&reply.fates).contains("does not end"),
            "{:?}",
            reply.fates
        );
        // 64 MiB, what comes between two looks, and what the allocator still had of the time before.
        let taken = (*sent.lock().unwrap() - before) >> 20;
        assert!(taken < 1024, "{taken} MiB");
    }
}
