//! A journal that cannot be written: collecting goes on in memory, nothing acknowledged is lost, the log stays short.

use std::fs;
use std::process::Command;

use crate::run::{Place, records};

/// A file system of 12 MiB in a mount namespace of its own, which ends with the process. It is filled to the last byte once
/// `$FULL.fill` is there, and has space again once `$FULL.free` is.
const SMALL_DISK: &str = r#"exec unshare -m sh -c '
  mount -t tmpfs -o size=12m none "$FULL" || exit 1
  (for i in $(seq 2400); do [ -e "$FULL.fill" ] && break; sleep 0.05; done
   while [ ! -e "$FULL.free" ]; do cat /dev/zero >>"$FULL/other"; sleep 0.05; done; rm "$FULL/other") </dev/null >/dev/null 2>&1 &
  exec "$@"' sh "$@""#;

const TAKES_NONE: &str = "the journal does not take samples";
const TAKES_AGAIN: &str = "the journal takes samples again";

fn may_mount() -> bool {
    let status = Command::new("unshare").args(["-m", "true"]).output();
    let may = status.is_ok_and(|it| it.status.success());
    assert!(may || std::env::var_os("CI").is_none(), "no right to mount");
    may
}

#[tokio::test(flavor = "multi_thread")]
async fn on_a_full_disk_samples_wait_in_memory_and_are_all_stored_when_there_is_space() {
    if !may_mount() {
        println!("not checked: no right to mount a small file system");
        return;
    }
    let place = Place::new().await;
    let folder = place.journal().parent().unwrap().to_owned();
    fs::create_dir_all(&folder).unwrap();
    let wrapper = format!("export FULL='{}'; {SMALL_DISK}", folder.display());
    let mut run = place.run_under(&wrapper);
    place.until_more_documents(4).await;
    fs::write(folder.with_extension("fill"), "").unwrap();
    place
        .until("an error", |it| it.lines(TAKES_NONE) == 1)
        .await;
    let rounds = place.fleet.counts("mm-0").describes;
    place
        .until("rounds on a full disk", |it| {
            it.fleet.counts("mm-0").describes >= rounds + 5
        })
        .await;
    let before = place.documents().len();
    fs::write(folder.with_extension("free"), "").unwrap();
    place.until("space", |it| it.lines(TAKES_AGAIN) == 1).await;
    place
        .until("what was held", |it| it.documents().len() >= before + 10)
        .await;
    run.end_in_order();
    let log = place.log();
    let again = log.lines().find(|it| it.contains(TAKES_AGAIN)).unwrap();
    assert!(again.contains("given_up=0"), "{again}");
    assert_eq!(place.lines(TAKES_NONE), 1, "{log}");
    assert!(log.lines().count() < 40, "{log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_journal_that_lost_its_name_is_told_once_and_takes_what_was_held_when_it_is_back() {
    let place = Place::new().await;
    let mut run = place.run();
    place.until_more_documents(4).await;
    let away = place.journal().with_extension("away");
    fs::rename(place.journal(), &away).unwrap();
    place
        .until("an error", |it| it.lines(TAKES_NONE) == 1)
        .await;
    assert!(place.log().contains("moved, removed or replaced"));
    let rounds = place.fleet.counts("mm-0").describes;
    place
        .until("rounds meanwhile", |it| {
            it.fleet.counts("mm-0").describes >= rounds + 3
        })
        .await;
    assert!(
        !place.journal().exists(),
        "it was made anew behind our back"
    );
    fs::rename(&away, place.journal()).unwrap();
    place
        .until("the end", |it| it.lines(TAKES_AGAIN) == 1)
        .await;
    place.until_more_documents(4).await;
    run.end_in_order();
    let kept = records(&place.journal());
    assert!(place.documents().is_subset(&kept));
    assert_eq!(place.lines(TAKES_NONE), 1, "{}", place.log());
    assert!(place.log().contains("given_up=0"), "{}", place.log());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_without_a_journal_ends_in_time_and_says_what_it_costs() {
    let place = Place::new().await;
    let mut run = place.run();
    place.until_more_documents(4).await;
    fs::remove_file(place.journal()).unwrap();
    place
        .until("an error", |it| it.lines(TAKES_NONE) == 1)
        .await;
    run.end_in_order();
    assert_eq!(
        place.lines("were given up at the end"),
        1,
        "{}",
        place.log()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_journal_is_refused_and_moved_aside_only_when_told_to() {
    let place = Place::new().await;
    let mut run = place.run();
    place.until_more_documents(4).await;
    run.end_in_order();

    // A sound one stays where it is.
    let reset = ["--journal-reset"];
    let mut refused = place.run_with(place.port(), &place.fake.url, &reset, |_| {});
    assert_eq!(refused.end().0, Some(3));
    assert!(place.log().contains("this journal is sound"));

    let mut bytes = fs::read(place.journal()).unwrap();
    let middle = bytes.len() / 2 / 4096 * 4096;
    bytes[middle..].fill(0xa5);
    fs::write(place.journal(), &bytes).unwrap();
    let mut refused = place.run();
    assert_eq!(refused.end().0, Some(3));
    assert!(place.log().contains("run --journal-reset"));
    assert_eq!(fs::read(place.journal()).unwrap(), bytes, "it was changed");

    let mut run = place.run_with(place.port(), &place.fake.url, &reset, |_| {});
    place.until_more_documents(4).await;
    // While it is in use it is not moved, whatever its state.
    let mut second = place.run_with(place.port(), &place.fake.url, &reset, |_| {});
    assert_eq!(second.end().0, Some(3));
    assert!(place.log().contains("in use by another mirrorlag"));
    run.end_in_order();
    let folder = fs::read_dir(place.journal().parent().unwrap()).unwrap();
    let aside: Vec<_> = folder
        .map(|it| it.unwrap().path())
        .filter(|it| it.display().to_string().contains(".damaged-"))
        .filter(|it| it.display().to_string().ends_with('Z'))
        .collect();
    assert_eq!(aside.len(), 1, "{aside:?}");
    assert_eq!(fs::read(&aside[0]).unwrap(), bytes);
}

#[tokio::test(flavor = "multi_thread")]
async fn on_a_read_only_file_system_it_does_not_start_and_says_why() {
    if !may_mount() {
        println!("not checked: no right to mount a file system");
        return;
    }
    let place = Place::new().await;
    let folder = place.journal().parent().unwrap().to_owned();
    fs::create_dir_all(&folder).unwrap();
    let read_only =
        r#"exec unshare -m sh -c 'mount -t tmpfs -o ro none "$FULL" || exit 1; exec "$@"' sh "$@""#;
    let mut run = place.run_under(&format!("export FULL='{}'; {read_only}", folder.display()));
    assert_eq!(run.end().0, Some(3));
    let log = place.log();
    assert!(log.contains("Read-only file system"), "{log}");
    assert!(log.contains("may be written to"), "{log}");
}
