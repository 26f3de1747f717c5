//! In: what a mirror host's CLI printed for one group. Out: findings about brokers, group and each topic, with the mend to type.
//! Never: does I/O.

use std::collections::BTreeMap;
use std::time::Duration;

use super::mends::{by_hand, is_about_brokers, list_by_hand, login_command, mend_of};
use super::probe::{Entry, Seen};
use crate::collector::{MirrorHost, SourceSettings, Topics};
use crate::finding::{Finding, Verdict};
use crate::kafka::{self, Describe, Description, Failure, GroupState, Outcome, RoundText};
use crate::sample::partitions_of;

/// Topics that one line lists; more are counted.
const TOPICS_SHOWN_MAX: usize = 8;

/// One describe and the sources that are served by it.
#[derive(Debug, Clone)]
pub(super) struct Question {
    pub describe: Describe,
    sources: Vec<SourceSettings>,
}

impl Question {
    /// Sources that ask the same of the same brokers share one describe, with the longest of their limits.
    pub fn gather(sources: impl Iterator<Item = SourceSettings>) -> Vec<Self> {
        let mut questions: Vec<Self> = Vec::new();
        for source in sources {
            let asks = source.describe.clone();
            let same = questions.iter_mut().find(|question| {
                let known = &question.describe;
                known.group == asks.group
                    && known.bootstrap_servers == asks.bootstrap_servers
                    && known.command_config == asks.command_config
            });
            match same {
                Some(question) => {
                    question.describe.limit = question.describe.limit.max(asks.limit);
                    question.sources.push(source);
                }
                None => questions.push(Self {
                    describe: asks,
                    sources: vec![source],
                }),
            }
        }
        questions
    }

    pub fn subject(&self, host: &MirrorHost) -> String {
        format!("{}/{}", host.name, self.describe.group)
    }

    /// What decides whether brokers answer.
    pub fn cluster(&self) -> (Vec<String>, Option<String>) {
        let describe = &self.describe;
        (
            describe.bootstrap_servers.clone(),
            describe.command_config.clone(),
        )
    }

    pub fn topics_in_words(&self) -> String {
        match self.topics().len() {
            0 => "its topics were".to_owned(),
            1 => "1 topic was".to_owned(),
            many => format!("{many} topics were"),
        }
    }

    /// Whether one of its sources records this topic.
    pub fn records(&self, topic: &str) -> bool {
        self.sources.iter().any(|source| match &source.topics {
            Topics::One(named) => named == topic,
            Topics::Listed(named) => named.iter().any(|named| named == topic),
            Topics::All { exclude } => !exclude.iter().any(|pattern| pattern.is_match(topic)),
        })
    }

    /// The topics that are named, in the order of the file.
    fn topics(&self) -> Vec<&str> {
        let named = self.sources.iter().flat_map(|source| match &source.topics {
            Topics::One(topic) => std::slice::from_ref(topic),
            Topics::Listed(topics) => topics.as_slice(),
            Topics::All { .. } => &[],
        });
        named.map(String::as_str).collect()
    }
}

/// What `--version` and the file system say of the CLI.
pub(super) fn cli_verdict(host: &MirrorHost, seen: &Seen) -> Verdict {
    let cli = &host.kafka.consumer_groups;
    let failed = |why: String, mend: String| Verdict::Failed { why, mend };
    match seen.cli {
        Some(Entry::Missing) | None => {
            let mend = match seen.other_clis.as_slice() {
                [] => "find it there: find / -name 'kafka-consumer-groups*' -not -path '/proc/*' 2>/dev/null; then correct kafka.consumer_groups".to_owned(),
                found => format!("write kafka: {{consumer_groups: {}}}", found.join(", or ")),
            };
            return failed(format!("{cli} does not exist"), mend);
        }
        Some(Entry::Folder) => {
            let mend = format!("write {cli}/kafka-consumer-groups.sh");
            return failed(format!("{cli} is a folder"), mend);
        }
        Some(Entry::Closed) => {
            let why = format!("{cli} cannot be run by {}", host.ssh.user);
            return failed(why, format!("on {}: sudo chmod +rx {cli}", host.name));
        }
        Some(Entry::Usable) => {}
    }
    if let Some(version) = seen.version() {
        return Verdict::Passed(format!("version {version}, {cli}"));
    }
    let said = seen.said.iter().find(|line| !line.trim().is_empty());
    let said = said.map_or("nothing", |line| line.trim());
    match seen.exit_code {
        Some(126 | 127) if !seen.has_java => {
            let mend = match seen.java_homes.as_slice() {
                [] => {
                    "install Java there, or write kafka: {java_home: ...} for this host".to_owned()
                }
                found => format!("write kafka: {{java_home: {}}}", found.join(", or ")),
            };
            failed(format!("{cli} finds no java: {said}"), mend)
        }
        Some(126 | 127) => failed(
            format!("{cli} does not run: {said}"),
            format!("try it by hand: {} {cli} --version", login_command(host)),
        ),
        Some(124 | 137 | 143) => failed(
            format!("{cli} --version did not end within 30s"),
            "look at the load of the host".to_owned(),
        ),
        _ => Verdict::Warned {
            what: format!("{cli} does not tell its version, it said {said:?}"),
            mend: "nothing, if the describe passes: Kafka before 2.0 has no --version".to_owned(),
        },
    }
}

/// Whether the brokers answered, and what one round says of the group and its topics.
pub(super) fn findings(
    host: &MirrorHost,
    question: &Question,
    round: &RoundText,
    took: Duration,
) -> (bool, Vec<Finding>) {
    let describe = &question.describe;
    let description = kafka::read(&describe.group, round);
    let subject = question.subject(host);
    let mut found = Findings {
        took,
        list: Vec::new(),
    };
    let servers = describe.bootstrap_servers.join(",");
    let failure = description.failure.as_ref();
    if let Some(failure) = failure.filter(|f| is_without_answer(f)) {
        let (link, why) = match is_about_brokers(failure) {
            true => ("brokers", format!("{servers}: {}", failure.reason)),
            false => ("describe", failure.reason.clone()),
        };
        let mend = mend_of(host, describe, failure);
        found.say(&subject, link, Verdict::Failed { why, mend });
        let skipped = format!("{} not judged: {link} failed", question.topics_in_words());
        found.say(&subject, "topics", Verdict::Skipped(skipped));
        return (link != "brokers", found.list);
    }
    found.say(&subject, "brokers", Verdict::Passed(servers));
    if failure.is_some_and(|f| f.outcome == Outcome::GroupMissing) {
        let verdict = Verdict::Failed {
            why: format!("group {:?} does not exist on this cluster", describe.group),
            mend: format!(
                "correct group (the group.id of the MirrorMaker's consumer) or bootstrap_servers; see which there are: {}",
                list_by_hand(host, describe)
            ),
        };
        found.say(&subject, "group", verdict);
        let skipped = format!("{} not judged: group failed", question.topics_in_words());
        found.say(&subject, "topics", Verdict::Skipped(skipped));
        return (true, found.list);
    }
    found.say(&subject, "group", group_verdict(host, &description));
    for problem in &description.problems {
        let verdict = Verdict::Warned {
            what: problem.to_string(),
            mend: format!("look at it: {}", by_hand(host, describe)),
        };
        found.say(&subject, "table", verdict);
    }
    topics(host, question, &description, &mut found);
    (true, found.list)
}

struct Findings {
    took: Duration,
    list: Vec<Finding>,
}

impl Findings {
    /// The first finding carries the time of the describe, the others were read from the same text.
    fn say(&mut self, subject: &str, link: &'static str, verdict: Verdict) {
        self.list.push(Finding {
            subject: subject.to_owned(),
            link,
            verdict,
            took: std::mem::take(&mut self.took),
        });
    }
}

fn is_without_answer(failure: &Failure) -> bool {
    !matches!(failure.outcome, Outcome::GroupMissing | Outcome::NoRows)
}

fn group_verdict(host: &MirrorHost, description: &Description<'_>) -> Verdict {
    let rows = description.rows.len();
    match description.group_state {
        GroupState::Stable => Verdict::Passed(format!("stable, {}", counted(rows, "partition"))),
        GroupState::Rebalancing => Verdict::Warned {
            what: format!("is rebalancing, {} shown", counted(rows, "partition")),
            mend: "check again in a minute; if it stays so, look at MirrorMaker's log".to_owned(),
        },
        GroupState::Empty => Verdict::Warned {
            what: "has no active members: nobody is mirroring".to_owned(),
            mend: format!("start MirrorMaker on {}, or correct group", host.name),
        },
        GroupState::Unknown => Verdict::Warned {
            what: "the CLI printed neither a table nor a message".to_owned(),
            mend: "wait for the first commit: a CLI before 2.1 shows nothing until then".to_owned(),
        },
    }
}

/// One finding per topic that is named, one for all where none is.
fn topics(
    host: &MirrorHost,
    question: &Question,
    description: &Description<'_>,
    found: &mut Findings,
) {
    let mut table: BTreeMap<&str, Vec<&kafka::Row<'_>>> = BTreeMap::new();
    for row in &description.rows {
        table.entry(row.topic).or_default().push(row);
    }
    let subject = question.subject(host);
    for topic in question.topics() {
        let subject = format!("{subject}/{topic}");
        let verdict = match table.get(topic) {
            Some(rows) => topic_verdict(rows),
            None => missing_topic(description, topic, &table),
        };
        found.say(&subject, "topic", verdict);
    }
    for source in &question.sources {
        if let Topics::All { exclude } = &source.topics {
            let is_excluded = |topic: &str| exclude.iter().any(|pattern| pattern.is_match(topic));
            let (out, kept): (Vec<&str>, Vec<&str>) =
                table.keys().copied().partition(|topic| is_excluded(topic));
            found.say(&subject, "topics", all_topics(&kept, out.len()));
        }
    }
}

fn topic_verdict(rows: &[&kafka::Row<'_>]) -> Verdict {
    let partitions = partitions_of(rows.iter().copied());
    let known: Vec<i64> = partitions.iter().filter_map(|p| p.lag).collect();
    let count = counted(partitions.len(), "partition");
    if known.is_empty() {
        return Verdict::Warned {
            what: format!("{count}, no lag known: nothing was committed yet"),
            mend: "wait for the first record and the first commit (MirrorMaker: every 60 s)"
                .to_owned(),
        };
    }
    let lag = known
        .iter()
        .fold(0_i64, |sum, lag| sum.saturating_add((*lag).max(0)));
    let unknown = match partitions.len() - known.len() {
        0 => String::new(),
        unknown => format!(", {unknown} of them unknown"),
    };
    Verdict::Passed(format!("{count}, lag {lag}{unknown}"))
}

fn missing_topic(
    description: &Description<'_>,
    topic: &str,
    table: &BTreeMap<&str, Vec<&kafka::Row<'_>>>,
) -> Verdict {
    let what = format!("topic {topic:?} is not in the table of the group");
    if description.group_state == GroupState::Rebalancing {
        return Verdict::Warned {
            what,
            mend: "check again in a minute: rows are missing while a group rebalances".to_owned(),
        };
    }
    let near = table
        .keys()
        .map(|known| (strsim::damerau_levenshtein(known, topic), *known))
        .filter(|(distance, known)| *distance <= (known.chars().count() / 3).max(1))
        .min();
    let mend = match near {
        Some((_, near)) => format!("did you mean {near:?}?"),
        None if table.is_empty() => {
            "the table is empty: correct group, or wait for its first commit".to_owned()
        }
        None => {
            let names: Vec<&str> = table.keys().copied().collect();
            format!(
                "correct topic (in the table: {}), or add it to MirrorMaker's whitelist",
                listed(&names)
            )
        }
    };
    Verdict::Failed { why: what, mend }
}

fn all_topics(kept: &[&str], excluded: usize) -> Verdict {
    let out = match excluded {
        0 => String::new(),
        excluded => format!(", {excluded} excluded"),
    };
    if kept.is_empty() {
        return Verdict::Warned {
            what: format!("no topic in the table{out}"),
            mend: "correct group or exclude, or wait for the first commit".to_owned(),
        };
    }
    let count = counted(kept.len(), "topic");
    Verdict::Passed(format!("{count}: {}{out}", listed(kept)))
}

fn listed(names: &[&str]) -> String {
    let shown: Vec<&str> = names.iter().take(TOPICS_SHOWN_MAX).copied().collect();
    match names.len().saturating_sub(TOPICS_SHOWN_MAX) {
        0 => shown.join(", "),
        more => format!("{} and {more} more", shown.join(", ")),
    }
}

fn counted(number: usize, what: &str) -> String {
    match number {
        1 => format!("1 {what}"),
        _ => format!("{number} {what}s"),
    }
}

#[cfg(test)]
mod tests;
