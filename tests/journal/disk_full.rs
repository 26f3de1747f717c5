//! A disk without space: appends fail clearly, lose nothing, and work again when there is space.

use std::path::Path;
use std::process::Command;

use mirrorlag::journal::Journal;

use crate::child::Appender;
use crate::{Place, assert_sound, bodies, numbers};

/// A file system of 1 MiB in a mount namespace of its own, which ends with the process. A third of it is taken by a file that is
/// removed, within a minute, once `$FULL.free` is there.
const SMALL_DISK: &str = r#"exec unshare -m sh -c '
  mount -t tmpfs -o size=1m none "$FULL" || exit 1
  head -c 300000 /dev/zero >"$FULL/other"
  (for i in $(seq 1200); do [ -e "$FULL.free" ] && break; sleep 0.05; done; rm "$FULL/other") </dev/null >/dev/null 2>&1 &
  exec "$@"' sh "$@""#;

/// No file may grow beyond half a MiB; the write that fails must not kill the process, as it would by default.
const SMALL_FILES: &str = r#"trap '' XFSZ; ulimit -f 1024; exec "$@""#;

fn may_mount(folder: &Path) -> bool {
    let status = Command::new("unshare")
        .args(["-m", "mount", "-t", "tmpfs", "-o", "size=1m", "none"])
        .arg(folder)
        .output();
    status.is_ok_and(|it| it.status.success())
}

#[tokio::test]
async fn on_a_full_disk_appends_fail_clearly_and_work_again_when_space_is_back() {
    let place = Place::new();
    let folder = place.path().parent().unwrap().to_owned();
    std::fs::create_dir_all(&folder).unwrap();
    // Without the right to mount, the limit on file sizes is the nearest that any user may set.
    if !may_mount(&folder) {
        return appends_fail_and_nothing_is_lost(&place).await;
    }
    let wrapper = format!("export FULL='{}'; {SMALL_DISK}", folder.display());
    let mut appender = Appender::start(&place.path(), &wrapper);
    let failed = appender.next("failed").unwrap();
    assert!(failed.contains("no space left on the disk"), "{failed}");
    std::fs::write(folder.with_extension("free"), "").unwrap();
    // The child itself asserts that the position is the next after the last it was told of.
    let after = appender.next("appended").unwrap();
    assert!(after.parse::<u64>().unwrap() > 1, "{after}");
}

#[tokio::test]
async fn a_file_that_may_not_grow_loses_nothing_that_was_acknowledged() {
    appends_fail_and_nothing_is_lost(&Place::new()).await;
}

async fn appends_fail_and_nothing_is_lost(place: &Place) {
    let mut appender = Appender::start(&place.path(), SMALL_FILES);
    let mut acknowledged = 0;
    let failed = loop {
        let line = appender.next_of(&["appended", "failed"]).unwrap();
        match line.parse::<u64>() {
            Ok(position) => acknowledged = position,
            Err(_) => break line,
        }
    };
    assert!(failed.contains("nothing of this was kept"), "{failed}");
    assert!(acknowledged > 0);
    appender.kill();
    let journal = Journal::open(&place.settings()).unwrap();
    let found = numbers(&journal).await;
    assert_eq!(found, (1..=acknowledged).collect::<Vec<_>>());
    // Without the limit it works again.
    let next = acknowledged + 1;
    let position = journal.append(bodies(next..=next), None).await.unwrap();
    assert_eq!(position, next);
    journal.close().await;
    assert_sound(&place.path());
}

/// As `SMALL_DISK`, of 12 MiB, without the file that takes a third of it.
const FULL_OF_RECORDS: &str = r#"exec unshare -m sh -c '
  mount -t tmpfs -o size=12m none "$FULL" || exit 1
  exec "$@"' sh "$@""#;

#[tokio::test]
async fn on_a_full_disk_retention_can_still_make_room_and_a_sink_can_still_commit() {
    let place = Place::new();
    let folder = place.path().parent().unwrap().to_owned();
    std::fs::create_dir_all(&folder).unwrap();
    if !may_mount(&folder) {
        return;
    }
    let wrapper = format!("export FULL='{}'; {FULL_OF_RECORDS}", folder.display());
    let mut filler = Appender::start_filling(&place.path(), &wrapper);
    let full = filler.next("full").unwrap();
    assert!(full.contains("no space left on the disk"), "{full}");
    assert_eq!(filler.next("committed").unwrap(), "1000");
    // By size: what is over the limit goes, so that there is room for the reserve again.
    let dropped: u64 = filler.next("dropped").unwrap().parse().unwrap();
    assert!(dropped > 1000, "{dropped}");
    assert!(filler.next("appended").is_some());
}

#[tokio::test]
async fn a_journal_at_its_limit_does_not_take_twice_as_much_on_disk() {
    let place = Place::new();
    let settings = mirrorlag::journal::Settings {
        bytes_max: 16 << 20,
        ..place.settings()
    };
    let journal = Journal::open(&settings).unwrap();
    let mut most = 0;
    for _ in 0..24 {
        for _ in 0..4 {
            let records = vec![vec![b'x'; 1000]; 1000];
            journal.append(records, None).await.unwrap();
        }
        journal.retain(chrono::Utc::now()).await.unwrap();
        let bytes = |suffix: &str| {
            let name = format!("journal.db{suffix}");
            std::fs::metadata(place.path().with_file_name(name)).map_or(0, |it| it.len())
        };
        most = most.max(bytes("") + bytes("-wal"));
    }
    println!("96 MB through a journal of 16 MiB: at most {most} bytes on disk");
    assert!(most < 32 << 20, "{most}");
    journal.close().await;
}
