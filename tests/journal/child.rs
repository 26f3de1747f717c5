//! A second process with the journal open: this test binary, started again.

use std::io::{BufRead, BufReader, Lines, Write};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};

use mirrorlag::journal::{Journal, Mark};

use crate::{body, settings};

const PATH: &str = "MIRRORLAG_TEST_JOURNAL";

/// A process that appends record after record and prints each position once it is acknowledged.
pub struct Appender {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Appender {
    /// Starts it under `wrapper`, a shell script that ends in `exec "$@"`.
    pub fn start(path: &Path, wrapper: &str) -> Self {
        Self::start_test(path, wrapper, "child::appends_until_it_is_killed")
    }

    /// The same for a process that fills its disk and then makes room.
    pub fn start_filling(path: &Path, wrapper: &str) -> Self {
        Self::start_test(path, wrapper, "child::fills_its_disk")
    }

    fn start_test(path: &Path, wrapper: &str, test: &str) -> Self {
        let mut child = Command::new("/bin/sh")
            .args(["-c", wrapper, "sh"])
            .arg(std::env::current_exe().unwrap())
            .args(["--exact", test, "--nocapture"])
            .env(PATH, path)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        Self { child, lines }
    }

    /// Its process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// What stands behind `word` in the next line that says it; `None` at the end of the process.
    pub fn next(&mut self, word: &str) -> Option<String> {
        self.next_of(&[word])
    }

    /// The same for whichever of `words` comes first.
    pub fn next_of(&mut self, words: &[&str]) -> Option<String> {
        for line in self.lines.by_ref() {
            let line = line.unwrap();
            // The first line of ours stands behind libtest's "test ... ".
            let said = line
                .rsplit_once(" ... ")
                .map_or(line.as_str(), |(_, said)| said);
            let rest = |word: &&str| said.strip_prefix(*word)?.strip_prefix(' ');
            if let Some(rest) = words.iter().find_map(rest) {
                return Some(rest.to_owned());
            }
        }
        None
    }

    /// SIGKILL, at whatever it is doing; returns the last position it had printed.
    pub fn kill(mut self) -> Option<u64> {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        let mut last = None;
        while let Some(position) = self.next("appended") {
            last = Some(position.parse().unwrap());
        }
        last
    }
}

impl Drop for Appender {
    fn drop(&mut self) {
        // A test that failed must not leave it running.
        let _ended = self.child.kill();
        let _reaped = self.child.wait();
    }
}

/// The entry of the second process. Without the variable that names a journal it has nothing to do.
#[tokio::test]
async fn appends_until_it_is_killed() {
    let Some(path) = std::env::var_os(PATH) else {
        return;
    };
    let say = |text: String| {
        let mut out = std::io::stdout().lock();
        // The reader may be gone already; then the kill is on its way.
        let _gone = writeln!(out, "{text}").and_then(|()| out.flush());
    };
    let journal = match Journal::open(&settings(Path::new(&path))) {
        Ok(journal) => journal,
        Err(error) => return say(format!("refused {error}")),
    };
    let mut next = *journal.head().borrow() + 1;
    loop {
        let mark = Mark {
            name: "last".to_owned(),
            value: next.to_string().into_bytes(),
        };
        match journal.append(vec![body(next)], Some(mark)).await {
            Ok(position) => {
                assert_eq!(position, next);
                say(format!("appended {position}"));
                next += 1;
            }
            Err(error) => {
                say(format!("failed {error}"));
                // The disk stays full until somebody acts; the tests do within this time.
                tokio::time::sleep(std::time::Duration::from_millis(20)).await;
            }
        }
    }
}

/// The entry of a process that fills its disk, then commits, trims and appends once more. See `appends_until_it_is_killed`.
#[tokio::test]
async fn fills_its_disk() {
    let Some(path) = std::env::var_os(PATH) else {
        return;
    };
    let mut settings = settings(Path::new(&path));
    settings.bytes_max = 2 << 20;
    let journal = Journal::open(&settings).unwrap();
    journal.keep_readers(&["a"]).await.unwrap();
    let full = loop {
        let records = vec![vec![b'x'; 600]; 20];
        if let Err(error) = journal.append(records, None).await {
            break error;
        }
    };
    // To the last page: the log of a deletion must not find room that an append was too large for.
    while journal.append(vec![b"{}".to_vec()], None).await.is_ok() {}
    println!("\nfull {full}");
    match journal.commit("a", 1000, Vec::new()).await {
        Ok(()) => println!("committed 1000"),
        Err(error) => println!("committed {error}"),
    }
    match journal.retain(chrono::Utc::now()).await {
        Ok(dropped) => println!("dropped {}", dropped.by_bytes),
        Err(error) => println!("dropped {error}"),
    }
    if let Ok(position) = journal.append(vec![b"{}".to_vec()], None).await {
        println!("appended {position}");
    }
}
