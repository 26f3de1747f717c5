//! Sources that did not change keep their sessions; others begin and end in order; a bad file changes nothing.

use std::time::{Duration, Instant};

use crate::journal::{
    assert_no_tick_missing, assert_no_tick_twice, count_of, of, readers, records,
};
use crate::run::{Run, claim, eventually};
use crate::site::Site;

/// Runs until every host has `loops` loops.
#[track_caller]
fn started(site: &Site, loops: &[(&str, u64)]) -> Run {
    let run = Run::start(&site.file());
    until_loops(site, loops);
    run
}

#[track_caller]
fn until_loops(site: &Site, loops: &[(&str, u64)]) {
    eventually("the loops on the hosts", || {
        let now: Vec<_> = loops
            .iter()
            .map(|(host, _)| (*host, site.loops(host)))
            .collect();
        claim(now == loops, now)
    });
}

#[track_caller]
fn until_records(site: &Site, series: &str, more: usize) {
    let before = count_of(&records(&site.journal()), series);
    eventually(&format!("{more} more records of {series}"), || {
        let now = count_of(&records(&site.journal()), series);
        claim(now >= before + more, now)
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn a_topic_is_added_and_a_host_removed_while_the_others_keep_their_sessions_and_miss_no_tick()
{
    let site = Site::new(2).await;
    site.write(&[(0, 0, 1), (0, 1, 2), (1, 0, 1)]);
    let mut run = started(&site, &[("mm-0", 2), ("mm-1", 1)]);
    until_records(&site, "mm-0/topic-0", 2);
    until_records(&site, "mm-1/topic-0", 1);

    site.write(&[(0, 0, 1), (0, 1, 2), (0, 2, 1)]);
    let line = run.reload();
    assert!(
        line.ends_with(
            "kept=2 added=1 changed=0 removed=1 sinks_kept=1 sinks_added=0 sinks_changed=0 sinks_removed=0"
        ),
        "{line}"
    );
    for (source, what) in [
        ("mm-0/mirror/topic-2", "added"),
        ("mm-1/mirror/topic-0", "removed"),
        ("mm-0/mirror/topic-0", "kept"),
    ] {
        run.until_it_says(&format!("source=\"{source}\" what=\"{what}\""));
    }
    until_loops(&site, &[("mm-0", 3), ("mm-1", 0)]);
    until_records(&site, "mm-0/topic-2", 2);
    until_records(&site, "mm-0/topic-1", 2);
    assert_eq!(site.logins("mm-0"), 3, "kept sources log in once");
    assert_eq!(site.logins("mm-1"), 1);
    run.stop();
    let records = records(&site.journal());
    assert_no_tick_twice(&records);
    assert_no_tick_missing(&records, "mm-0/topic-0", 1000);
    assert_no_tick_missing(&records, "mm-0/topic-1", 2000);
    assert_eq!(run.lines_with("connection lost"), [""; 0]);
    until_loops(&site, &[("mm-0", 0), ("mm-1", 0)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_changed_interval_begins_anew_where_the_source_left_off() {
    let site = Site::new(1).await;
    site.write(&[(0, 0, 1), (0, 1, 1)]);
    let mut run = started(&site, &[("mm-0", 2)]);
    until_records(&site, "mm-0/topic-0", 2);
    site.write(&[(0, 0, 3), (0, 1, 1)]);
    let line = run.reload();
    assert!(
        line.contains("kept=1 added=0 changed=1 removed=0"),
        "{line}"
    );
    let before = records(&site.journal()).len();
    eventually("three ticks of the new interval", || {
        let records = records(&site.journal());
        let ticks = of(&records[before..], "mm-0/topic-0").len();
        claim(ticks >= 3, ticks)
    });
    assert_eq!(site.logins("mm-0"), 3);
    run.stop();
    let records = records(&site.journal());
    assert_no_tick_twice(&records);
    assert_no_tick_missing(&records, "mm-0/topic-1", 1000);
    // No gap of more than the new interval where the one ended and the other began.
    assert_no_tick_missing(&records, "mm-0/topic-0", 3000);
    let ticks = of(&records, "mm-0/topic-0");
    let last = &ticks[ticks.len() - 2..];
    assert_eq!(last[1].tick_ms - last[0].tick_ms, 3000);
}

#[tokio::test(flavor = "multi_thread")]
async fn changed_settings_of_the_describe_change_every_source_of_the_host_and_miss_no_tick() {
    let mut site = Site::new(1).await;
    let entries = [(0, 0, 2), (0, 1, 2), (0, 2, 2)];
    site.write(&entries);
    let mut run = started(&site, &[("mm-0", 3)]);
    until_records(&site, "mm-0/topic-0", 1);
    site.host_keys = ", cluster: renamed".to_owned();
    site.write(&entries);
    let line = run.reload();
    assert!(
        line.contains("kept=0 added=0 changed=3 removed=0"),
        "{line}"
    );
    until_records(&site, "mm-0/topic-0", 2);
    eventually("every source logs in once more", || {
        claim(site.logins("mm-0") == 6, site.logins("mm-0"))
    });
    run.stop();
    let records = records(&site.journal());
    assert_no_tick_twice(&records);
    for topic in 0..3 {
        assert_no_tick_missing(&records, &format!("mm-0/topic-{topic}"), 2000);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn limits_of_a_host_follow_the_file_without_a_new_session() {
    let mut site = Site::with_describes_of(1, Some(Duration::from_millis(900))).await;
    let entries = [(0, 0, 1), (0, 1, 1), (0, 2, 1)];
    site.host_keys = ", describes_per_host: 1".to_owned();
    site.write(&entries);
    let mut run = started(&site, &[("mm-0", 3)]);
    until_records(&site, "mm-0/topic-1", 2);
    let at_once = || site.fleet.counts("mm-0").describes_at_once_max;
    assert_eq!(at_once(), 1);
    let text = site.yaml(&entries);
    site.write_text(&text.replace("describes_per_host: 1}", "describes_per_host: 3}"));
    let line = run.reload();
    assert!(
        line.contains("kept=3 added=0 changed=0 removed=0"),
        "{line}"
    );
    eventually("describes at once", || claim(at_once() >= 2, at_once()));
    assert_eq!(site.logins("mm-0"), 3);
    run.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_round_that_does_not_end_is_cut_short_when_its_source_is_removed() {
    let site = Site::with_describes_of(2, Some(Duration::from_secs(3600))).await;
    let timeout =
        |text: String| text.replace("defaults:\n", "defaults:\n  describe_timeout: 600s\n");
    site.write_text(&timeout(site.yaml(&[(0, 0, 1), (1, 0, 1)])));
    let mut run = started(&site, &[("mm-0", 1), ("mm-1", 1)]);
    eventually("a describe in flight", || {
        let describes = site.fleet.counts("mm-1").describes;
        claim(describes == 1, describes)
    });
    site.write_text(&timeout(site.yaml(&[(0, 0, 1)])));
    run.reload();
    // (The simulated host, as a real one, ends its loop behind the describe; the session is closed now.)
    run.until_it_says("ended source=\"mm-1/mirror/topic-0\"");
    run.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_of_the_same_group_begins_behind_the_one_that_recorded_its_topics() {
    let site = Site::with_describes_of(1, Some(Duration::from_secs(3))).await;
    let topics = site.yaml(&[(0, 0, 1)]);
    let entries = topics.find("topics:\n").unwrap();
    let group = "groups:\n  - {mirror_host: mm-0, topics: [topic-0], interval: 1s}\n";
    site.write_text(&format!("{}{group}", &topics[..entries]));
    let mut run = started(&site, &[("mm-0", 1)]);
    until_records(&site, "mm-0/topic-0", 1);
    // In the middle of a round, most likely: what follows is true at any moment.
    let before = records(&site.journal()).len();
    let described = site.fleet.counts("mm-0").describes;
    eventually("the next describe", || {
        claim(site.fleet.counts("mm-0").describes > described, ())
    });
    site.write_text(&topics);
    let line = run.reload();
    assert!(
        line.contains("kept=0 added=1 changed=0 removed=1"),
        "{line}"
    );
    eventually("the new session", || {
        let logins = site.logins("mm-0");
        let stored = records(&site.journal()).len();
        assert!(
            logins == 1 || stored > before,
            "it began before the other had ended"
        );
        claim(logins == 2, logins)
    });
    run.stop();
    assert_no_tick_twice(&records(&site.journal()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tick_that_falls_between_the_old_source_and_the_new_one_is_not_lost() {
    const INTERVAL_MS: i64 = 4000;
    let mut site = Site::new(1).await;
    let entries = [(0, 0, 4)];
    site.write(&entries);
    let mut run = started(&site, &[("mm-0", 1)]);
    until_records(&site, "mm-0/topic-0", 1);
    let first = records(&site.journal())[0].tick_ms;
    let until = |at_ms: i64| {
        let left = at_ms - chrono::Utc::now().timestamp_millis();
        std::thread::sleep(Duration::from_millis(left.try_into().unwrap_or(0)));
    };
    // The journal takes nothing from before one tick until behind the next: the old source cannot end meanwhile.
    until(first + INTERVAL_MS - 300);
    let lock = rusqlite::Connection::open(site.journal()).unwrap();
    lock.execute_batch("BEGIN IMMEDIATE").unwrap();
    until(first + INTERVAL_MS + 1000);
    site.host_keys = ", cluster: renamed".to_owned();
    site.write(&entries);
    run.tell(rustix::process::Signal::HUP);
    until(first + 2 * INTERVAL_MS + 500);
    lock.execute_batch("ROLLBACK").unwrap();
    until_records(&site, "mm-0/topic-0", 2);
    run.until_it_says("changed=1");
    run.stop();
    let ticks: Vec<i64> = records(&site.journal())
        .iter()
        .map(|it| it.tick_ms - first)
        .collect();
    assert!(
        ticks.starts_with(&[0, INTERVAL_MS, 2 * INTERVAL_MS]),
        "{ticks:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bad_file_changes_nothing_and_says_all_its_problems_in_the_words_of_the_start() {
    let site = Site::new(2).await;
    site.write(&[(0, 0, 1)]);
    let mut run = started(&site, &[("mm-0", 1)]);
    let good = site.yaml(&[(0, 0, 1), (1, 0, 1)]);
    let bad = good
        .replace("group: mirror", "group: ''")
        .replace("describes_per_host: 10", "describes_per_host: 0")
        + "whatever: 1\n";
    site.write_text(&bad);
    let problems = mirrorlag::config::load(&site.file(), &|_| None).unwrap_err();
    assert!(problems.errors.len() >= 3, "{problems}");
    run.tell(rustix::process::Signal::HUP);
    for problem in problems.to_string().lines() {
        run.until_it_says(problem);
    }
    let last = run.until_it_says("configuration not changed");
    assert!(
        last.contains(&format!("problems={}", problems.errors.len())),
        "{last}"
    );
    until_records(&site, "mm-0/topic-0", 2);
    assert_eq!((site.logins("mm-0"), site.logins("mm-1")), (1, 0));

    std::fs::remove_file(site.file()).unwrap();
    run.tell(rustix::process::Signal::HUP);
    run.until_it_says("does not exist");
    run.until_it_says("configuration not changed");

    site.write_text(&good);
    let line = run.reload();
    assert!(line.contains("kept=1 added=1"), "{line}");
    until_records(&site, "mm-1/topic-0", 1);
    run.stop();
    assert_no_tick_missing(&records(&site.journal()), "mm-0/topic-0", 1000);
}

#[tokio::test(flavor = "multi_thread")]
async fn another_path_of_the_journal_is_refused_with_all_else_of_that_file() {
    let site = Site::new(1).await;
    site.write(&[(0, 0, 1)]);
    let mut run = started(&site, &[("mm-0", 1)]);
    let elsewhere = site.folder.path().join("elsewhere.db");
    let text = site.yaml(&[(0, 0, 1), (0, 1, 1)]);
    let in_use = site.journal().display().to_string();
    site.write_text(&text.replace(&in_use, &elsewhere.display().to_string()));
    run.tell(rustix::process::Signal::HUP);
    let line = run.until_it_says("configuration not changed");
    assert!(
        line.contains("elsewhere.db")
            && line.contains(&in_use)
            && line.contains("restart mirrorlag"),
        "{line}"
    );
    until_records(&site, "mm-0/topic-0", 2);
    assert_eq!(site.logins("mm-0"), 1, "nothing of it was taken");
    assert!(!elsewhere.exists());
    run.stop();
    assert_eq!(readers(&site.journal()).len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_that_refuses_the_login_is_tried_at_once_when_its_settings_were_mended() {
    let site = Site::new(1).await;
    let good = site.yaml(&[(0, 0, 1)]);
    site.write_text(&good.replace("user: mirror", "user: nobody"));
    let mut run = Run::start(&site.file());
    run.until_it_says("not connected");
    // From here on the server is left alone for a minute, and longer each time.
    site.write_text(&good);
    run.reload();
    let told = Instant::now();
    run.until_it_says("connected source=");
    assert!(
        told.elapsed() < Duration::from_secs(45),
        "it waited a minute out"
    );
    run.stop();
    let records = records(&site.journal());
    assert_no_tick_twice(&records);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_that_goes_and_comes_back_while_its_round_still_runs_uses_no_tick_twice() {
    let site = Site::new(1).await;
    let with = [(0, 0, 1), (0, 1, 1)];
    let without = [(0, 1, 1)];
    site.write(&with);
    let mut run = started(&site, &[("mm-0", 2)]);
    until_records(&site, "mm-0/topic-0", 1);
    for _ in 0..5 {
        site.write(&without);
        run.reload();
        site.write(&with);
        run.reload();
    }
    until_records(&site, "mm-0/topic-0", 2);
    until_loops(&site, &[("mm-0", 2)]);
    run.stop();
    let records = records(&site.journal());
    assert_no_tick_twice(&records);
    assert_no_tick_missing(&records, "mm-0/topic-1", 1000);
}
