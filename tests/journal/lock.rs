//! One process at a time, and the second is told which is the first.

use mirrorlag::journal::Journal;

use crate::Place;
use crate::child::Appender;

const DIRECTLY: &str = r#"exec "$@""#;

#[tokio::test]
async fn a_second_process_is_refused_with_the_pid_of_the_first() {
    let place = Place::new();
    let journal = place.open();
    let mut second = Appender::start(&place.path(), DIRECTLY);
    let refused = second.next("refused").unwrap();
    assert!(
        refused.contains(&format!("pid {}", std::process::id())),
        "{refused}"
    );
    assert!(refused.contains("journal.path"), "{refused}");
    journal.close().await;
    let mut third = Appender::start(&place.path(), DIRECTLY);
    assert_eq!(third.next("appended").unwrap(), "1");
}

#[tokio::test]
async fn the_lock_of_a_killed_process_is_free() {
    let place = Place::new();
    let mut first = Appender::start(&place.path(), DIRECTLY);
    first.next("appended").unwrap();
    let error = Journal::open(&place.settings()).unwrap_err();
    assert!(
        error
            .to_string()
            .contains("in use by another mirrorlag (pid "),
        "{error}"
    );
    first.kill();
    place.open();
}

#[tokio::test]
async fn a_lock_file_with_rubbish_in_it_is_no_lock() {
    let place = Place::new();
    std::fs::create_dir_all(place.path().parent().unwrap()).unwrap();
    std::fs::write(place.path().with_file_name("journal.db.lock"), "rubbish").unwrap();
    let journal = place.open();
    let error = Journal::open(&place.settings()).unwrap_err();
    let pid = format!("(pid {})", std::process::id());
    assert!(error.to_string().contains(&pid), "{error}");
    drop(journal);
}
