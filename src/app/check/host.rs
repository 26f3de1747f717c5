//! In: one mirror host and the sources that use it. Out: a finding for each link of its chain, by one login.
//! Never: tries a link whose forerunner failed, runs two describes at once.

use std::sync::Arc;
use std::time::{Duration, Instant};

use rand::RngExt;

use super::groups::{self, Question};
use super::hops::{Hops, Steps, Stop};
use super::probe::{self, Entry, Seen};
use super::{Reporter, mends, since};
use crate::collector::{MirrorHost, SourceSettings};
use crate::finding::Verdict;
use crate::kafka::{self, Progress, RoundText, Transcript};
use crate::ssh::{self, Session};

/// The probe starts one JVM, which it kills after 30 s, and its shell has a second's work beside it.
const PROBE_LIMIT: Duration = Duration::from_secs(45);

/// Beyond the describe's own limit: the shell's start, and 5 s until `timeout -k 5` kills for good.
const DESCRIBE_GRACE: Duration = Duration::from_secs(15);

/// The loop of a check meets the end of its input at once; the lease is for the worst.
const LEASE: Duration = Duration::from_secs(30);

/// As much as `ssh::Session::run` keeps.
const ROUND_BYTES_MAX: usize = 1024 * 1024;

/// What the host said that a finding shows.
const SAID_CHARS_MAX: usize = 200;

/// The links of one mirror host.
pub(super) struct HostCheck {
    host: Arc<MirrorHost>,
    questions: Vec<Question>,
    hops: Arc<Hops>,
}

impl HostCheck {
    pub fn new(
        host: Arc<MirrorHost>,
        sources: impl Iterator<Item = SourceSettings>,
        hops: Arc<Hops>,
    ) -> Self {
        Self {
            hops,
            host,
            questions: Question::gather(sources),
        }
    }

    /// Goes link by link; what could not be tried is reported as skipped.
    pub async fn run(self, reporter: &Reporter) {
        let skipped = match self.connect(reporter).await {
            Ok(mut session) => {
                let ended = self.ask(&mut session, reporter).await;
                session.close().await;
                ended.err()
            }
            Err(stop) => {
                self.skip(reporter, "cli", &stop).await;
                Some((0, stop))
            }
        };
        let Some((first, stop)) = skipped else { return };
        for question in self.questions.iter().skip(first) {
            let what = format!("{} not asked: {stop}", question.topics_in_words());
            let subject = question.subject(&self.host);
            let verdict = Verdict::Skipped(what);
            reporter
                .say(&subject, "describe", Duration::ZERO, verdict)
                .await;
        }
    }

    async fn skip(&self, reporter: &Reporter, link: &'static str, stop: &Stop) {
        let verdict = Verdict::Skipped(stop.clone());
        reporter
            .say(&self.host.name, link, Duration::ZERO, verdict)
            .await;
    }

    async fn connect(&self, reporter: &Reporter) -> Result<Session, Stop> {
        let name = &self.host.name;
        self.hops.prove(&self.host.ssh, reporter).await?;
        let bastions = &self.hops.bastions;
        let gate = bastions.gate(&self.host.ssh, self.host.handshakes_per_host);
        let mut steps = Steps::of(&self.host.ssh, true);
        let connected = bastions
            .connect(&self.host.ssh, &gate, &mut steps.listener())
            .await;
        let stop = steps.report(name, connected.as_ref().err(), reporter).await;
        match (connected, stop) {
            (Ok(session), _) => Ok(session),
            (Err(error), stop) => Err(stop.unwrap_or_else(|| error.reason())),
        }
    }

    /// The host's side of the CLI, then every question.
    ///
    /// # Errors
    /// Number of the first question that was not asked, and why.
    async fn ask(&self, session: &mut Session, reporter: &Reporter) -> Result<(), (usize, Stop)> {
        let seen = self
            .probe(session, reporter)
            .await
            .map_err(|stop| (0, stop))?;
        self.report_timeout(&seen, reporter).await;
        self.report_cli(&seen, reporter)
            .await
            .map_err(|stop| (0, stop))?;
        let unusable = self.report_files(&seen, reporter).await;
        let mut silent = Vec::new();
        for (number, question) in self.questions.iter().enumerate() {
            let file = question.describe.command_config.as_ref();
            let stop = if file.is_some_and(|file| unusable.contains(file)) {
                Some("its command_config cannot be read".to_owned())
            } else if silent.contains(&question.cluster()) {
                Some("these brokers did not answer before".to_owned())
            } else {
                None
            };
            if let Some(stop) = stop {
                let verdict =
                    Verdict::Skipped(format!("{} not asked: {stop}", question.topics_in_words()));
                let subject = question.subject(&self.host);
                reporter
                    .say(&subject, "describe", Duration::ZERO, verdict)
                    .await;
                continue;
            }
            let is_answered = self
                .describe(session, question, reporter)
                .await
                .map_err(|stop| (number + 1, stop))?;
            if !is_answered {
                silent.push(question.cluster());
            }
        }
        Ok(())
    }

    async fn probe(&self, session: &mut Session, reporter: &Reporter) -> Result<Seen, Stop> {
        let started = Instant::now();
        let marker = marker();
        let mut files: Vec<&str> = self
            .questions
            .iter()
            .filter_map(|question| question.describe.command_config.as_deref())
            .collect();
        files.sort_unstable();
        files.dedup();
        let failure = match probe::command(&self.host.kafka, &files, &marker) {
            Err(value) => (
                format!("{value:?} cannot be passed to a remote shell"),
                "use a path without quotes, backslashes, dollars and exclamation marks".to_owned(),
            ),
            Ok(command) => match session.run(&command, PROBE_LIMIT).await {
                Err(ssh::Error::CommandTimeout { .. }) => (
                    format!(
                        "the login shell brought no answer within {}s",
                        PROBE_LIMIT.as_secs()
                    ),
                    format!(
                        "look at the load there and at what its .bashrc or like file waits for: time {} true",
                        mends::login_command(&self.host)
                    ),
                ),
                Err(error) => (error.reason(), error.mend()),
                Ok(output) => {
                    let seen = probe::read(&output.stdout, &marker);
                    if seen.is_whole {
                        return Ok(seen);
                    }
                    let said = last_words(&[&output.stderr, &output.stdout]);
                    (
                        format!("the login shell does not run /bin/sh{said}"),
                        "allow `/bin/sh -c` for this login: a ForceCommand or a restricted shell forbids it".to_owned(),
                    )
                }
            },
        };
        let (why, mend) = failure;
        let verdict = Verdict::Failed { why, mend };
        reporter
            .say(&self.host.name, "commands", since(started), verdict)
            .await;
        Err("commands failed".to_owned())
    }

    async fn report_timeout(&self, seen: &Seen, reporter: &Reporter) {
        let verdict = match seen.has_timeout {
            true => Verdict::Passed("a describe that hangs is killed on the host".to_owned()),
            false => Verdict::Warned {
                what: "no usable timeout command: a describe that hangs stays, and a loop outlives a cut cable".to_owned(),
                mend: "install coreutils there (timeout with -k)".to_owned(),
            },
        };
        reporter
            .say(&self.host.name, "timeout", Duration::ZERO, verdict)
            .await;
    }

    async fn report_cli(&self, seen: &Seen, reporter: &Reporter) -> Result<(), Stop> {
        let verdict = groups::cli_verdict(&self.host, seen);
        let failed = matches!(verdict, Verdict::Failed { .. });
        reporter
            .say(&self.host.name, "cli", Duration::ZERO, verdict)
            .await;
        match failed {
            true => Err("cli failed".to_owned()),
            false => Ok(()),
        }
    }

    /// Returns the properties files that cannot be used.
    async fn report_files(&self, seen: &Seen, reporter: &Reporter) -> Vec<String> {
        let mut unusable = Vec::new();
        for (path, entry) in &seen.files {
            let user = &self.host.ssh.user;
            let failed = |why: String, mend: String| Verdict::Failed { why, mend };
            let verdict = match entry {
                Entry::Usable => Verdict::Passed(path.clone()),
                Entry::Missing => failed(
                    format!("{path} does not exist"),
                    "correct command_config, or put the client properties file there".to_owned(),
                ),
                Entry::Folder => failed(
                    format!("{path} is a folder"),
                    "name the properties file in it".to_owned(),
                ),
                Entry::Closed => failed(
                    format!("{path} cannot be read by {user}"),
                    format!("on {}: sudo setfacl -m u:{user}:r {path}", self.host.name),
                ),
            };
            if matches!(verdict, Verdict::Failed { .. }) {
                unusable.push(path.clone());
            }
            reporter
                .say(&self.host.name, "config file", Duration::ZERO, verdict)
                .await;
        }
        unusable
    }

    /// One describe by the loop that `run` uses, fed with a single tick. Returns whether the brokers answered.
    async fn describe(
        &self,
        session: &mut Session,
        question: &Question,
        reporter: &Reporter,
    ) -> Result<bool, Stop> {
        let started = Instant::now();
        let subject = question.subject(&self.host);
        let round = self.round(session, question).await;
        let took = since(started);
        match round {
            Ok(text) => {
                reporter.widest.note(question, &text);
                let (is_answered, findings) = groups::findings(&self.host, question, &text, took);
                for finding in findings {
                    reporter.pass_on(finding).await;
                }
                Ok(is_answered)
            }
            Err((why, mend)) => {
                let verdict = Verdict::Failed { why, mend };
                reporter.say(&subject, "describe", took, verdict).await;
                Err("the describe before did not come back".to_owned())
            }
        }
    }

    async fn round(
        &self,
        session: &mut Session,
        question: &Question,
    ) -> Result<RoundText, (String, String)> {
        let marker = marker();
        let describe = &question.describe;
        let command = kafka::loop_command(&self.host.kafka, describe, LEASE, &marker)
            .map_err(|error| (error.to_string(), "use a value without it".to_owned()))?;
        let command = with_one_tick(&command);
        let limit = describe.limit + DESCRIBE_GRACE;
        let output = session
            .run(&command, limit)
            .await
            .map_err(|error| (error.reason(), error.mend()))?;
        if let Some(round) = round_in(&marker, &output.stdout, &output.stderr) {
            return Ok(round);
        }
        Err((
            format!(
                "the describe loop did not end{}",
                last_words(&[&output.stderr])
            ),
            format!("try it by hand: {}", mends::by_hand(&self.host, describe)),
        ))
    }
}

/// The loop with its only tick in a pipe: it ends behind it. Not every shell takes `exec` within a pipe.
fn with_one_tick(loop_command: &str) -> String {
    let command = loop_command.strip_prefix("exec ");
    format!("echo 1 | {}", command.unwrap_or(loop_command))
}

/// The only round in the output of a whole loop.
fn round_in(marker: &str, stdout: &str, stderr: &str) -> Option<RoundText> {
    let mut transcript = Transcript::new(marker, ROUND_BYTES_MAX);
    let out = stdout.lines().map(|line| (kafka::Stream::Stdout, line));
    let err = stderr.lines().map(|line| (kafka::Stream::Stderr, line));
    out.chain(err).find_map(
        |(stream, line)| match transcript.push(stream, line, false)? {
            Progress::Round(round) => Some(round),
            Progress::Hello { .. } => None,
        },
    )
}

/// Nobody on the host can know it, so no output of the host can be taken for it.
fn marker() -> String {
    format!("mirrorlag-{:032x}", rand::rng().random::<u128>())
}

/// `, it said "..."`: the last line of the first of `texts` that has one; empty where none has.
fn last_words(texts: &[&str]) -> String {
    let last_line = |text: &&str| {
        let mut lines = text.lines().rev().map(str::trim);
        lines.find(|line| !line.is_empty()).map(str::to_owned)
    };
    texts
        .iter()
        .find_map(last_line)
        .map_or_else(String::new, |line| {
            let words: String = line.chars().take(SAID_CHARS_MAX).collect();
            format!(", it said {words:?}")
        })
}

#[cfg(test)]
mod tests;
