//! `mirrorlag migrate` against a server that copies by itself (`_reindex`): killed before and after each of its requests, stopped, refused.

#![allow(clippy::unwrap_used, clippy::expect_used)] // in functions that tests call, which clippy does not know as tests

#[path = "support/index_server.rs"]
mod index_server;
#[path = "support/running.rs"]
mod running;

use std::process::{Child, Stdio};
use std::time::Instant;

use index_server::{Fake, document};
use running::{DEADLINE, Place, Said};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::json;

const INDEX: &str = "consumer_lag";
const NEW: &str = "consumer_lag_v2";
const KEPT: &str = "consumer_lag_before_migration";
const DOCUMENTS: usize = 500;

/// A place, and a server whose index has the older mapping.
async fn older() -> (Place, Fake) {
    let (place, fake) = (Place::new(), Fake::start().await);
    let fleet = place.fleet().await;
    place.configure(
        &fleet,
        &format!("urls: ['{}'], request_timeout: 5s", fake.url),
    );
    fake.lock().seed(INDEX, DOCUMENTS);
    (place, fake)
}

fn start(place: &Place) -> Child {
    let mut command = place.command(&["migrate"]);
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    command.spawn().unwrap()
}

/// A migration in the middle of its copy, which goes on by 50 documents at each look.
async fn half_way() -> (Place, Fake, Child) {
    let (place, fake) = older().await;
    fake.lock().task_step = 50;
    let migrate = start(&place);
    until("a task", || fake.lock().has_running_task()).await;
    (place, fake, migrate)
}

/// Kills a migration at the request that the server does not answer.
async fn kill_where_it_stalls(place: &Place, fake: &Fake, what: &str) {
    let mut migrate = start(place);
    until(what, || fake.lock().has_stalled).await;
    migrate.kill().unwrap();
    migrate.wait().unwrap();
}

/// A migration that ends with exit code 0, and what it said.
#[track_caller]
fn moved(place: &Place) -> Said {
    let said = place.output(&["migrate"]);
    assert_eq!(said.code, Some(0), "{said:?}");
    said
}

#[track_caller]
fn assert_ends_with(migrate: Child, words: &str) {
    let output = migrate.wait_with_output().unwrap();
    let text = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(text.contains(words), "{text}");
}

async fn until(what: &str, is_so: impl Fn() -> bool) {
    let from = Instant::now();
    while !is_so() {
        assert!(from.elapsed() < DEADLINE, "never: {what}");
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
}

/// Every document is found once by the name, in the new index; the older one is kept where no data view looks.
#[track_caller]
fn assert_moved(fake: &Fake, documents: usize) {
    let server = fake.lock();
    assert_eq!(server.violations, Vec::<String>::new());
    assert_eq!(server.behind(INDEX).into_iter().collect::<Vec<_>>(), [NEW]);
    assert_eq!(server.found(INDEX).len(), documents);
    assert!(server.found("consumer_lag-*").is_empty());
    let names: Vec<&String> = server.indices.keys().collect();
    assert_eq!(names, [KEPT, NEW]);
    let (new, kept) = (&server.indices[NEW], &server.indices[KEPT]);
    assert_eq!(
        new.documents, kept.documents,
        "the same documents under the same ids"
    );
    assert!(kept.is_blocked() && !new.is_blocked());
    assert_eq!(new.aliases[INDEX], json!({"is_write_index": true}));
    assert_eq!(new.mappings["properties"]["p18"]["type"], "long");
}

/// The name leads to every document, each once, whatever has happened.
#[track_caller]
fn assert_whole(fake: &Fake, documents: usize, when: &str) {
    let found = fake.lock().found(INDEX);
    assert_eq!(found.len(), documents, "{when}");
    assert!(found.values().all(|count| *count == 1), "{when}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_documents_move_by_a_task_of_the_server_and_a_second_time_there_is_nothing_to_do() {
    let (place, fake) = older().await;
    let said = moved(&place);
    assert_moved(&fake, DOCUMENTS);
    assert!(said.out.contains("by _reindex, task n1:1"), "{said:?}");
    assert!(
        said.out
            .contains("counted 500 documents in both, of 3 topics"),
        "{said:?}"
    );
    let writing = |fake: &Fake| {
        let requests = fake.lock().requests.clone();
        requests
            .into_iter()
            .filter(|line| !line.starts_with("GET"))
            .count()
    };
    let before = writing(&fake);
    let again = place.output(&["migrate"]);
    assert_eq!(again.code, Some(0), "{again:?}");
    assert!(again.out.starts_with("nothing to do: "), "{again:?}");
    assert_eq!(writing(&fake), before, "nothing was written");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dry_run_says_the_steps_and_changes_nothing() {
    let (place, fake) = older().await;
    let said = place.output(&["migrate", "--dry-run"]);
    assert_eq!(said.code, Some(0), "{said:?}");
    for part in [
        "500 documents",
        "topic is text",
        "would create consumer_lag_v2",
        "_before_migration",
    ] {
        assert!(said.out.contains(part), "{part}: {said:?}");
    }
    let server = fake.lock();
    assert_eq!(server.indices.len(), 1);
    assert!(!server.indices[INDEX].is_blocked());
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_at_any_request_it_goes_on_or_starts_over_and_every_document_is_there_once() {
    let requests = [
        "PUT /consumer_lag_v2",
        "PUT /consumer_lag/_block/write",
        "POST /consumer_lag/_refresh",
        "POST /_reindex",
        "GET /_tasks/n1",
        "POST /consumer_lag_v2/_refresh",
        "PUT /consumer_lag/_mapping",
        "PUT /consumer_lag/_clone",
        "GET /_cluster/health",
        "POST /_aliases",
    ];
    for (at, is_done) in requests
        .into_iter()
        .flat_map(|at| [(at, false), (at, true)])
    {
        let (place, fake) = older().await;
        fake.stall(at, is_done);
        kill_where_it_stalls(&place, &fake, at).await;
        assert_whole(&fake, DOCUMENTS, at);
        // A collector that still may write, does.
        let mut documents = DOCUMENTS;
        {
            let mut server = fake.lock();
            if let Some(index) = server
                .indices
                .get_mut(INDEX)
                .filter(|index| !index.is_blocked())
            {
                index
                    .documents
                    .insert("id-later".to_owned(), document(DOCUMENTS));
                documents += 1;
            }
        }
        let said = place.output(&["migrate"]);
        assert_eq!(said.code, Some(0), "{at}, done: {is_done}: {said:?}");
        assert_moved(&fake, documents);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_of_a_time_when_documents_still_came_is_not_trusted() {
    let (place, fake) = older().await;
    fake.lock().task_step = 20;
    fake.stall("GET /_tasks/n1", true);
    kill_where_it_stalls(&place, &fake, "the task").await;
    {
        // Somebody lifts the block; documents come and go; the task still copies.
        let mut server = fake.lock();
        assert!(server.has_running_task());
        let index = server.indices.get_mut(INDEX).unwrap();
        index.settings.clear();
        index.documents.remove("id-0");
        index
            .documents
            .insert("id-later".to_owned(), document(DOCUMENTS));
    }
    let said = moved(&place);
    assert!(
        said.out
            .contains("deleted consumer_lag_v2, which a migration had begun"),
        "{said:?}"
    );
    assert_moved(&fake, DOCUMENTS);
    assert!(!fake.lock().found(INDEX).contains_key("id-0"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_task_that_a_killed_migration_left_is_waited_for() {
    let (place, fake) = older().await;
    fake.lock().task_step = 20;
    fake.stall("GET /_tasks/n1", true);
    kill_where_it_stalls(&place, &fake, "the task").await;
    let said = moved(&place);
    assert!(said.out.contains("waiting for task n1:1"), "{said:?}");
    let copies = fake
        .lock()
        .requests
        .iter()
        .filter(|line| *line == "POST /_reindex")
        .count();
    assert_eq!(copies, 1);
    assert_moved(&fake, DOCUMENTS);
}

#[tokio::test(flavor = "multi_thread")]
async fn told_to_stop_it_ends_the_task_and_the_index_takes_documents_as_before() {
    let (place, fake) = older().await;
    // So many that the task is still at work when the signal comes.
    fake.lock().seed(INDEX, 20_000);
    let migrate = start(&place);
    until("a task", || fake.lock().has_running_task()).await;
    kill_process(Pid::from_child(&migrate), Signal::INT).unwrap();
    let output = migrate.wait_with_output().unwrap();
    let out = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(1), "{out}");
    assert!(
        out.ends_with("nothing has changed: consumer_lag takes documents as before\n"),
        "{out}"
    );
    let server = fake.lock();
    assert!(!server.has_running_task());
    assert_eq!(server.indices.keys().collect::<Vec<_>>(), [INDEX]);
    assert!(!server.indices[INDEX].is_blocked());
    assert_eq!(server.violations, Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_document_that_does_not_fit_is_named_and_nothing_is_moved() {
    let (place, fake) = older().await;
    fake.lock().refused = Some("id-7".to_owned());
    let said = place.output(&["migrate"]);
    assert_eq!(said.code, Some(1), "{said:?}");
    assert!(
        said.err.contains("document \"id-7\" of \"consumer_lag\"") && said.err.contains("[p0]"),
        "{said:?}"
    );
    {
        let server = fake.lock();
        assert_eq!(server.indices.keys().collect::<Vec<_>>(), [INDEX]);
        assert!(!server.indices[INDEX].is_blocked());
    }
    fake.lock().refused = None;
    assert_eq!(place.output(&["migrate"]).code, Some(0));
    assert_moved(&fake, DOCUMENTS);
}

/// Nothing but the older index is there, and it takes documents.
#[track_caller]
fn assert_as_before(fake: &Fake) {
    let server = fake.lock();
    assert_eq!(server.indices.keys().collect::<Vec<_>>(), [INDEX]);
    assert!(!server.indices[INDEX].is_blocked());
    assert_eq!(server.indices[INDEX].documents.len(), DOCUMENTS);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_that_lacks_a_document_or_has_another_is_never_given_the_name() {
    let (place, fake) = older().await;
    fake.lock().lost = Some("id-7".to_owned());
    let said = place.output(&["migrate"]);
    assert_eq!(said.code, Some(1), "{said:?}");
    assert!(
        said.err
            .contains("consumer_lag has 500 documents, consumer_lag_v2 has 499"),
        "{said:?}"
    );
    assert_as_before(&fake);
    {
        let mut server = fake.lock();
        server.lost = None;
        server.mangled = Some("id-7".to_owned());
    }
    let said = place.output(&["migrate"]);
    assert_eq!(said.code, Some(1), "{said:?}");
    assert!(
        said.err.contains("of topic \"topic-1\" there are 167 from"),
        "{said:?}"
    );
    assert_as_before(&fake);
}

#[tokio::test(flavor = "multi_thread")]
async fn where_topics_cannot_be_counted_in_time_the_counts_in_all_decide() {
    let (place, fake) = older().await;
    fake.stall("POST /consumer_lag_v2/_search", false);
    let said = moved(&place);
    assert!(
        said.out
            .contains("counted 500 documents in both; not compared by topic: "),
        "{said:?}"
    );
    assert_moved(&fake, DOCUMENTS);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_whose_copy_was_taken_over_leaves_it_as_it_is() {
    let (_place, fake, migrate) = half_way().await;
    {
        let mut server = fake.lock();
        let index = server.indices.get_mut(NEW).unwrap();
        index.mappings["_meta"]["mirrorlag_migration"]["by"] = json!("another");
    }
    assert_ends_with(migrate, "another migration of consumer_lag has taken over");
    let server = fake.lock();
    assert!(server.indices[INDEX].is_blocked());
    assert_eq!(server.indices[NEW].documents.len(), DOCUMENTS);
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_that_are_typed_at_once_one_moves_all_and_the_other_spoils_nothing() {
    let (place, fake) = older().await;
    fake.lock().task_step = 50;
    let first = start(&place);
    until("a task", || fake.lock().has_running_task()).await;
    let second = start(&place);
    let outputs = [first, second].map(|child| child.wait_with_output().unwrap());
    // The first may be done before the second has looked.
    assert_eq!(outputs[1].status.code(), Some(0), "{outputs:?}");
    assert_moved(&fake, DOCUMENTS);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_block_that_somebody_lifts_in_between_ends_it() {
    let (_place, fake, migrate) = half_way().await;
    {
        let mut server = fake.lock();
        let index = server.indices.get_mut(INDEX).unwrap();
        index.settings.clear();
    }
    assert_ends_with(
        migrate,
        "somebody has made consumer_lag take documents again",
    );
    assert_as_before(&fake);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_disk_for_two_nothing_is_begun() {
    let (place, fake) = older().await;
    fake.lock().free_bytes = 1000;
    let said = place.output(&["migrate"]);
    assert_eq!(said.code, Some(1), "{said:?}");
    assert!(
        said.out.contains("the copy needs about 48.8 KiB"),
        "{said:?}"
    );
    assert!(said.err.contains("free some first"), "{said:?}");
    assert_as_before(&fake);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_url_before_the_one_that_answers_is_passed_over() {
    let (place, fake) = (Place::new(), Fake::start().await);
    let fleet = place.fleet().await;
    place.configure(
        &fleet,
        &format!("urls: ['http://127.0.0.1:1', '{}']", fake.url),
    );
    fake.lock().seed(INDEX, DOCUMENTS);
    moved(&place);
    assert_moved(&fake, DOCUMENTS);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_never_comes_to_the_exchange_of_names_is_looked_for() {
    let (place, fake) = older().await;
    fake.stall("POST /_aliases", true);
    moved(&place);
    assert_moved(&fake, DOCUMENTS);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_index_that_somebody_blocked_before_stays_blocked_when_it_is_given_up() {
    let (place, fake) = older().await;
    {
        let mut server = fake.lock();
        server.refused = Some("id-7".to_owned());
        let index = server.indices.get_mut(INDEX).unwrap();
        index
            .settings
            .insert("index.blocks.write".to_owned(), json!("true"));
    }
    assert_eq!(place.output(&["migrate"]).code, Some(1));
    let server = fake.lock();
    assert!(server.indices[INDEX].is_blocked());
    assert_eq!(server.indices.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn indices_and_aliases_of_others_are_left_alone() {
    let (place, fake) = older().await;
    {
        let mut server = fake.lock();
        // Somebody's own, under the names that would be taken.
        server.seed("consumer_lag_v2", 3);
        server.seed("consumer_lag_before_migration", 4);
        let index = server.indices.get_mut(INDEX).unwrap();
        index.aliases.insert("lag".to_owned(), json!({}));
    }
    moved(&place);
    let server = fake.lock();
    assert_eq!(server.indices["consumer_lag_v2"].documents.len(), 3);
    assert_eq!(
        server.indices["consumer_lag_before_migration"]
            .documents
            .len(),
        4
    );
    assert_eq!(server.found(INDEX).len(), DOCUMENTS);
    assert_eq!(
        server.found("lag").len(),
        DOCUMENTS,
        "its own alias goes with the documents"
    );
    assert_eq!(
        server.indices["consumer_lag_before_migration_2"]
            .documents
            .len(),
        DOCUMENTS
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_older_index_is_said_in_clear_words() {
    let said_of = async |sink: &str, prepare: &dyn Fn(&Fake)| -> Said {
        let (place, fake) = (Place::new(), Fake::start().await);
        let fleet = place.fleet().await;
        place.configure(&fleet, &format!("urls: ['{}']{sink}", fake.url));
        prepare(&fake);
        let said = place.output(&["migrate"]);
        let requests = fake.lock().requests.clone();
        assert!(
            !requests.iter().any(|line| line.starts_with("PUT")),
            "{requests:?}"
        );
        said
    };
    let nothing = said_of("", &|_| {}).await;
    assert_eq!(nothing.code, Some(0));
    assert!(
        nothing.out.contains("there is no index consumer_lag yet"),
        "{nothing:?}"
    );
    let dated = said_of(", index: 'consumer_lag-%Y.%m'", &|_| {}).await;
    assert_eq!(dated.code, Some(1));
    assert!(dated.err.contains("its indices are dated"), "{dated:?}");
    let alias = said_of("", &|fake| {
        let mut server = fake.lock();
        server.seed("old", 1);
        let index = server.indices.get_mut("old").unwrap();
        index.aliases.insert(INDEX.to_owned(), json!({}));
    })
    .await;
    assert_eq!(alias.code, Some(1));
    assert!(alias.err.contains("is an alias of old"), "{alias:?}");
}
