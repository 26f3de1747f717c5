use std::path::PathBuf;

use super::*;
use crate::config::Place;

fn report() -> Report<Vec<u8>> {
    Report {
        out: Vec::new(),
        subject_width: 24,
        color: false,
        passed: 0,
        warned: 0,
        failed: 0,
        skipped: 0,
        broken: Ok(()),
    }
}

fn finding(subject: &str, link: &'static str, millis: u64, verdict: Verdict) -> Finding {
    Finding {
        subject: subject.to_owned(),
        link,
        verdict,
        took: Duration::from_millis(millis),
    }
}

fn passed(text: &str) -> Verdict {
    Verdict::Passed(text.to_owned())
}

#[test]
fn findings_stand_in_columns_with_the_mend_below() {
    let mut report = report();
    report.warning(&Problem {
        file: PathBuf::from("a.yaml"),
        place: Place {
            line: 3,
            column: 5,
            key: "topics[0]".to_owned(),
        },
        what: "is doubtful".to_owned(),
        mend: "look at it".to_owned(),
    });
    let failed = Verdict::Failed {
        why: "login refused: no key accepted\u{1b}[2J".to_owned(),
        mend: "add its public key to authorized_keys there".to_owned(),
    };
    for finding in [
        finding("mm-1", "tcp", 2, passed("10.0.0.11:22")),
        finding("mm-1", "login", 1534, failed),
        finding(
            "mm-1",
            "cli",
            0,
            Verdict::Skipped("login failed".to_owned()),
        ),
        finding(
            "mm-1/oasis-group/orders",
            "topic",
            0,
            passed("12 partitions, lag 0"),
        ),
    ] {
        report.finding(&finding);
    }
    report.write("");
    let text = String::from_utf8(report.out.clone()).unwrap();
    let expected = "\
warn  a.yaml:3:5                config       topics[0]: is doubtful
      mend: look at it
ok    mm-1                      tcp          10.0.0.11:22 (2 ms)
FAIL  mm-1                      login        login refused: no key accepted [2J (1.5 s)
      mend: add its public key to authorized_keys there
skip  mm-1                      cli          login failed
ok    mm-1/oasis-group/orders   topic        12 partitions, lag 0

";
    assert_eq!(text, expected);
    assert_eq!(
        report.finish(Duration::from_secs(2)).unwrap(),
        Exit::Partial
    );
}

#[test]
fn the_summary_counts_and_warnings_do_not_fail() {
    let mut out = Vec::new();
    let warned = Verdict::Warned {
        what: "w".to_owned(),
        mend: "m".to_owned(),
    };
    let mut report = Report {
        out: &mut out,
        subject_width: 4,
        color: false,
        passed: 0,
        warned: 0,
        failed: 0,
        skipped: 0,
        broken: Ok(()),
    };
    report.finding(&finding("a", "tcp", 1, passed("p")));
    report.finding(&finding("a", "group", 1, warned));
    assert_eq!(
        report.finish(Duration::from_millis(20)).unwrap(),
        Exit::Done
    );
    let text = String::from_utf8(out).unwrap();
    assert!(
        text.ends_with("\n1 ok, 1 warn, 0 FAIL, 0 skip in 20 ms\n"),
        "{text}"
    );
}

/// Standard output of `mirrorlag check | head -0`.
struct Gone;

impl Write for Gone {
    fn write(&mut self, _: &[u8]) -> io::Result<usize> {
        Err(io::ErrorKind::BrokenPipe.into())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_reader_that_went_away_is_told_to_the_caller_once() {
    let mut report = Report {
        out: Gone,
        subject_width: 4,
        color: false,
        passed: 0,
        warned: 0,
        failed: 0,
        skipped: 0,
        broken: Ok(()),
    };
    report.finding(&finding("a", "tcp", 1, passed("p")));
    report.finding(&finding("a", "tcp", 1, passed("p")));
    let error = report.finish(Duration::ZERO).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::BrokenPipe);
}
