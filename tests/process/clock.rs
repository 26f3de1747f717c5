//! The clock is set while the program runs: ticks go on, none twice. The real program under libfaketime.

use std::path::PathBuf;

use chrono::Utc;

use crate::run::{Place, Run};

const LIBRARY: &str = "faketime/libfaketimeMT.so.1";

/// Debian's package `faketime`; `None` where it is not installed, which `tests/run` does.
fn library() -> Option<PathBuf> {
    let folders = ["/usr/lib/x86_64-linux-gnu", "/usr/lib/aarch64-linux-gnu"];
    let found = folders.iter().map(|it| PathBuf::from(it).join(LIBRARY));
    let found = found.into_iter().find(|it| it.exists());
    assert!(
        found.is_some() || std::env::var_os("CI").is_none(),
        "libfaketime is missing"
    );
    found
}

fn set_clock(place: &Place, seconds: i64) {
    let file = place.folder.path().join("clock");
    let unfinished = place.folder.path().join("clock.new");
    std::fs::write(&unfinished, format!("{seconds:+}")).unwrap();
    std::fs::rename(unfinished, file).unwrap();
}

fn run(place: &Place, library: &PathBuf) -> Run {
    set_clock(place, 0);
    place.run_with(place.port(), &place.fake.url, &[], |command| {
        command
            .env("LD_PRELOAD", library)
            .env("FAKETIME_TIMESTAMP_FILE", place.folder.path().join("clock"))
            .env("FAKETIME_NO_CACHE", "1")
            .env("FAKETIME_DONT_FAKE_MONOTONIC", "1")
            .env("DONT_FAKE_MONOTONIC", "1")
            .env("FAKETIME_DONT_RESET", "1");
    })
}

async fn step(seconds: i64) {
    let Some(library) = library() else {
        println!("not checked: libfaketime is not installed");
        return;
    };
    let place = Place::new().await;
    let mut run = run(&place, &library);
    place.until_more_documents(6).await;
    set_clock(&place, seconds);
    let set_at = Utc::now();
    let around = |at: i64| (at - set_at.timestamp_millis() - seconds * 1_000).abs() < 600_000;
    // Within the deadline, not after an hour; `documents` itself asserts that none is there twice.
    place
        .until("ticks by the new clock", |it| {
            it.documents().iter().filter(|(_, at)| around(*at)).count() >= 8
        })
        .await;
    let elapsed = Utc::now() - set_at;
    run.end_in_order();
    let by_new_clock = place.documents().iter().filter(|it| around(it.1)).count();
    let possible = usize::try_from(elapsed.num_seconds() + 15).unwrap() * 3;
    assert!(by_new_clock <= possible, "a burst: {by_new_clock}");
    assert!(place.log().lines().count() < 40, "{}", place.log());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clock_set_an_hour_ahead_costs_no_tick_and_makes_up_for_none() {
    step(3_600).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clock_set_an_hour_back_goes_on_at_once_and_doubles_nothing() {
    step(-3_600).await;
}
