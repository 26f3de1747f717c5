//! In: the journal of a running or ended `run`. Out: its records; whether each tick is there once, and none is missing.
//! Never: writes to it, but for what a test ages.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use rusqlite::{Connection, OpenFlags};

/// One record.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Record {
    /// `mm-0/topic-1`.
    pub series: String,
    /// The tick, in milliseconds since the epoch.
    pub tick_ms: i64,
    pub generation: u64,
    pub outcome: String,
    pub round_ms: Option<i64>,
}

fn open(path: &Path) -> Connection {
    Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY).unwrap()
}

/// Every record in its order; none while there is no journal yet.
pub fn records(path: &Path) -> Vec<Record> {
    if !path.exists() {
        return Vec::new();
    }
    let journal = open(path);
    let Ok(mut select) = journal.prepare("SELECT body FROM records ORDER BY position") else {
        return Vec::new();
    };
    let bodies = select.query_map([], |row| row.get::<_, String>(0)).unwrap();
    bodies.map(|body| record(&body.unwrap())).collect()
}

fn record(body: &str) -> Record {
    let body: serde_json::Value = serde_json::from_str(body).unwrap();
    let text = |key: &str| body[key].as_str().unwrap().to_owned();
    let tick = chrono::DateTime::parse_from_rfc3339(&text("sampled_at")).unwrap();
    Record {
        series: format!("{}/{}", text("mirror_host"), text("topic")),
        tick_ms: tick.timestamp_millis(),
        generation: body["clock_generation"].as_u64().unwrap_or(0),
        outcome: text("outcome"),
        round_ms: body["round_ms"].as_i64(),
    }
}

pub fn count_of(records: &[Record], series: &str) -> usize {
    records.iter().filter(|it| it.series == series).count()
}

/// Ticks of one series, in their order.
pub fn of<'a>(records: &'a [Record], series: &str) -> Vec<&'a Record> {
    records.iter().filter(|it| it.series == series).collect()
}

#[track_caller]
pub fn assert_no_tick_twice(records: &[Record]) {
    let mut seen = BTreeSet::new();
    for it in records {
        let key = (&it.series, it.tick_ms, it.generation);
        assert!(seen.insert(key), "twice: {it:?}");
    }
}

/// Each tick of `series` follows the one before it, but for those that fell while a round still ran.
#[track_caller]
pub fn assert_no_tick_missing(records: &[Record], series: &str, interval_ms: i64) {
    let ticks = of(records, series);
    assert!(ticks.len() > 1, "{series}: {ticks:?}");
    for pair in ticks.windows(2) {
        let (one, next) = (pair[0], pair[1]);
        // The tick's own wait for the runtime is not in `round_ms`.
        let ran_ms = one.round_ms.unwrap_or(0) + 300;
        let allowed = interval_ms * (1 + ran_ms / interval_ms);
        let gap = next.tick_ms - one.tick_ms;
        assert!(gap > 0 && gap <= allowed, "{one:?} then {next:?}");
    }
}

/// What each reader has had, and whether records are kept for it.
pub fn readers(path: &Path) -> BTreeMap<String, (i64, bool)> {
    let journal = open(path);
    let mut select = journal
        .prepare("SELECT name, position, is_kept FROM readers")
        .unwrap();
    let rows = select
        .query_map([], |row| Ok((row.get(0)?, (row.get(1)?, row.get(2)?))))
        .unwrap();
    rows.map(Result::unwrap).collect()
}

/// Makes every record there is an hour older.
pub fn age_by_an_hour(path: &Path) {
    let journal = Connection::open(path).unwrap();
    journal
        .execute(
            "UPDATE records SET appended_at = strftime('%Y-%m-%dT%H:%M:%fZ', appended_at, '-1 hour')",
            [],
        )
        .unwrap();
}
