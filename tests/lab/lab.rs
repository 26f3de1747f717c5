//! In: the file that MIRRORLAG_LAB names. Out: where the parts of the lab are, folders and ports for a test.
//! Never: starts a part.

use std::collections::HashMap;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU16, AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// A group without members whose table never changes: still-orders (partition 3 without a commit) and still-payments.
pub const STILL_GROUP: &str = "still-group";
pub const STILL_TOPICS: [&str; 2] = ["still-orders", "still-payments"];
/// Password of every user of the lab's Elasticsearch.
pub const PASSWORD: &str = "lab-password";

static VALUES: LazyLock<Result<HashMap<String, String>, String>> = LazyLock::new(read_values);
static NEXT_PORT: AtomicU16 = AtomicU16::new(0);
static NEXT_NAME: AtomicU32 = AtomicU32::new(0);

fn read_values() -> Result<HashMap<String, String>, String> {
    let path = std::env::var("MIRRORLAG_LAB")
        .map_err(|_| "MIRRORLAG_LAB is not set: `tests/run` starts the real parts and sets it")?;
    let text = std::fs::read_to_string(&path).map_err(|error| {
        format!("cannot read {path}: {error}; `tests/lab/up` writes it, `tests/run` does all")
    })?;
    let pairs = text.lines().filter_map(|line| line.split_once('='));
    Ok(pairs
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .collect())
}

/// One value of the lab's file.
pub fn value(key: &str) -> String {
    match &*VALUES {
        Ok(values) => values
            .get(key)
            .unwrap_or_else(|| panic!("the lab's file has no {key}"))
            .clone(),
        Err(error) => panic!("{error}"),
    }
}

pub fn port(name: &str) -> u16 {
    value(&format!("PORT_{name}")).parse().expect("a port")
}

/// Folder of the running lab; login users may read it.
pub fn run_folder() -> PathBuf {
    PathBuf::from(value("RUN"))
}

/// One of the lab's scripts.
pub fn script(name: &str) -> PathBuf {
    Path::new(&value("SCRIPTS")).join(name)
}

pub fn key(name: &str) -> PathBuf {
    run_folder().join("keys").join(name)
}

/// Brokers of the cluster that is mirrored from.
pub fn source_broker() -> String {
    format!("127.0.0.1:{}", port("KAFKA_SOURCE"))
}

/// A name that no other test in this lab has: for groups, topics, indexes.
pub fn unique(stem: &str) -> String {
    let number = NEXT_NAME.fetch_add(1, Ordering::Relaxed) + 1;
    // The lab may stay up for several runs of the tests.
    format!("{stem}-{}-{number}", std::process::id())
}

/// A new folder, which stays after the test, with its logs, until the next lab.
pub fn folder(stem: &str) -> PathBuf {
    let folder = run_folder().join("tests").join(unique(stem));
    std::fs::create_dir_all(&folder).expect("a folder for the test");
    folder
}

/// A port of the tests' range that nobody listens on.
pub fn free_port() -> u16 {
    let (first, last) = (port("TEST_FIRST"), port("TEST_LAST"));
    loop {
        let candidate = first + NEXT_PORT.fetch_add(1, Ordering::Relaxed);
        assert!(candidate <= last, "no free port up to {last}");
        if TcpListener::bind(("127.0.0.1", candidate)).is_ok() {
            return candidate;
        }
    }
}

/// Asks until the answer is `Ok`; at the limit fails with the last `Err`.
#[track_caller]
pub fn eventually<T>(what: &str, limit: Duration, mut ask: impl FnMut() -> Result<T, String>) -> T {
    let end = Instant::now() + limit;
    loop {
        match ask() {
            Ok(answer) => return answer,
            Err(state) if Instant::now() >= end => {
                panic!("{what}: not within {limit:?}; last seen: {state}")
            }
            Err(_) => thread::sleep(Duration::from_millis(200)),
        }
    }
}

/// `Ok` when the claim holds, else the state as the reason.
pub fn claim(holds: bool, state: impl std::fmt::Debug) -> Result<(), String> {
    if holds {
        Ok(())
    } else {
        Err(format!("{state:?}"))
    }
}
