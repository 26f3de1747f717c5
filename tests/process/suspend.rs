//! SIGSTOP and SIGCONT: a process that slept goes on, and makes up for nothing.

use std::time::Duration;

use chrono::Utc;
use rustix::process::Signal;

use crate::run::{Place, records};

pub async fn suspended_for(pause: Duration) {
    let place = Place::new().await;
    let mut run = place.run();
    place.until_more_documents(4).await;
    run.tell(Signal::STOP);
    let from = Utc::now().timestamp_millis();
    tokio::time::sleep(pause).await;
    let to = Utc::now().timestamp_millis();
    run.tell(Signal::CONT);
    place
        .until("ticks after it", |it| {
            let later = it.documents().into_iter().filter(|(_, at)| *at > to);
            later.count() >= 6
        })
        .await;
    run.end_in_order();
    let kept = records(&place.journal());
    // The tick that was planned when it fell asleep, and the round under way; no burst of what was slept through.
    let slept_through = |at: i64| at > from + 1_000 && at < to - 1_000;
    let made_up: Vec<_> = kept.iter().filter(|(_, at)| slept_through(*at)).collect();
    assert!(made_up.len() <= 2, "{made_up:?}");
    assert!(place.documents().is_subset(&kept));
    assert!(place.log().lines().count() < 40, "{}", place.log());
    place
        .until("no loop left on the host", |it| {
            it.fleet.counts("mm-0").loops == 0
        })
        .await;
}
