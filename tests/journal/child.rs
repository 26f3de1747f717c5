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
        let mut child = Command::new("/bin/sh")
            .args(["-c", wrapper, "sh"])
            .arg(std::env::current_exe().unwrap())
            .args([
                "--exact",
                "child::appends_until_it_is_killed",
                "--nocapture",
            ])
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
