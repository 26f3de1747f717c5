//! In: the entries of `topics:` and `groups:`, `defaults:`, the mirror hosts. Out: the sources, each with all its settings.
//! Never: asks Kafka which topics there are.

use std::sync::Arc;
use std::time::Duration;

use regex::Regex;

use super::expand::Fault;
use super::hosts::MirrorHosts;
use super::overlaps::{self, Placed};
use super::problem::{Place, Reported};
use super::scalar::in_one_unit;
use super::section::{At, Reader, Section, Written, optional, value_or};
use super::unknown_key::nearest;
use super::{document::Kind, kafka, names};
use crate::collector::{MirrorHost, SourceSettings, Topics};
use crate::kafka::Describe;

pub(super) const TOPIC_KEYS: &[&str] = &[
    "topic",
    "group",
    "mirror_host",
    "bootstrap_servers",
    "command_config",
    "interval",
    "describe_timeout",
];
pub(super) const GROUP_KEYS: &[&str] = &[
    "group",
    "mirror_host",
    "bootstrap_servers",
    "command_config",
    "topics",
    "exclude",
    "interval",
    "describe_timeout",
];

const INTERVAL: Duration = Duration::from_secs(10);
const INTERVAL_MIN: Duration = Duration::from_secs(1);
const INTERVAL_MAX: Duration = Duration::from_secs(24 * 3600);
const DESCRIBE_TIMEOUT: Duration = Duration::from_secs(30);
/// The CLI's JVM alone takes most of a second.
const DESCRIBE_TIMEOUT_MIN: Duration = Duration::from_secs(1);
const DESCRIBE_TIMEOUT_MAX: Duration = Duration::from_secs(600);

/// The keys of one entry, as written.
#[derive(Default, Clone)]
pub(super) struct Keys {
    topic: Written<String>,
    topics: Written<Vec<At<String>>>,
    exclude: Written<Vec<Regex>>,
    group: Written<String>,
    mirror_host: Written<String>,
    bootstrap_servers: Written<Vec<String>>,
    command_config: Written<String>,
    interval: Written<Duration>,
    describe_timeout: Written<Duration>,
}

impl Keys {
    pub fn read(section: &Section<'_>) -> Self {
        let reader = section.reader;
        let command_config = reader.expanded(section.text("command_config"));
        if section.has("topics")
            && let Some(exclude) = section.entry("exclude")
        {
            reader.report.error(
                &section.place_of(exclude),
                "has no effect beside topics",
                "keep topics for a fixed list, or exclude for all but some",
            );
        }
        Self {
            topic: reader.refine(section.text("topic"), |name| names::topic(name)),
            topics: topic_list(section),
            exclude: patterns(section),
            group: reader.refine(section.text("group"), |name| names::group(name)),
            mirror_host: section.text("mirror_host"),
            bootstrap_servers: bootstrap_servers(section),
            command_config: reader.refine(command_config, |path| names::remote_path(path)),
            interval: section.duration("interval", INTERVAL_MIN..=INTERVAL_MAX),
            describe_timeout: section.duration(
                "describe_timeout",
                DESCRIBE_TIMEOUT_MIN..=DESCRIBE_TIMEOUT_MAX,
            ),
        }
    }

    fn or(self, defaults: &Self) -> Self {
        let inherited = defaults.clone();
        // An entry that says which topics it wants, in either way, wants nothing added to that.
        let says_which = self.topics.is_some() || self.exclude.is_some();
        let inherit = |has: bool| if has { None } else { Some(()) };
        Self {
            topic: self.topic.or(inherited.topic),
            topics: self.topics.or(inherit(says_which).and(inherited.topics)),
            exclude: self.exclude.or(inherit(says_which).and(inherited.exclude)),
            group: self.group.or(inherited.group),
            mirror_host: self.mirror_host.or(inherited.mirror_host),
            bootstrap_servers: self.bootstrap_servers.or(inherited.bootstrap_servers),
            command_config: self.command_config.or(inherited.command_config),
            interval: self.interval.or(inherited.interval),
            describe_timeout: self.describe_timeout.or(inherited.describe_timeout),
        }
    }

    fn resolve(
        self,
        reader: &Reader<'_>,
        entry: &Place,
        hosts: &MirrorHosts,
        is_group: bool,
    ) -> Result<SourceSettings, Reported> {
        let topics = if is_group {
            listed_or_all(self.topics, self.exclude)
        } else {
            let mend = "write topic: and its name";
            let topic = reader.required(self.topic, entry, "topic", mend);
            topic.map(|at| Topics::One(at.value))
        };
        let mend = "write the group.id of the MirrorMaker, here or under defaults:";
        let group = reader.required(self.group, entry, "group", mend);
        let mend = "write a name of mirror_hosts:, here or under defaults:";
        let host = reader
            .required(self.mirror_host, entry, "mirror_host", mend)
            .and_then(|name| find_host(reader, &name, hosts));
        let mend = "write [b1:9092] with brokers of the cluster that is mirrored from, here or under defaults:";
        let servers = reader.required(self.bootstrap_servers, entry, "bootstrap_servers", mend);
        let command_config = optional(self.command_config);
        let interval = value_or(self.interval, INTERVAL);
        let limit_place = self.describe_timeout.as_ref().and_then(|l| l.as_ref().ok());
        let limit_place = limit_place.map_or(entry, |at| &at.place).clone();
        let limit = value_or(self.describe_timeout, DESCRIBE_TIMEOUT);
        let (host, group, topics) = (host?, group?.value, topics?);
        let name = match &topics {
            Topics::One(topic) => format!("{}/{group}/{topic}", host.name),
            _ => format!("{}/{group}", host.name),
        };
        let source = SourceSettings {
            name,
            mirror_host: host,
            describe: Describe {
                group,
                bootstrap_servers: servers?.value,
                command_config: command_config?,
                limit: limit?,
            },
            interval: interval?,
            topics,
        };
        warn_of_short_limit(reader, &limit_place, &source);
        Ok(source)
    }
}

/// Reads both lists; every problem is reported.
pub(super) fn read(
    file: &Section<'_>,
    defaults: &Keys,
    hosts: &MirrorHosts,
) -> Vec<SourceSettings> {
    if !file.has("topics") && !file.has("groups") {
        file.reader.report.error(
            &file.place,
            "has neither topics: nor groups:",
            "add an entry: groups: [{group: G, mirror_host: M, bootstrap_servers: [b1:9092]}]",
        );
    }
    let mut placed = Vec::new();
    let mut named = Vec::new();
    let mut is_whole = true;
    for (key, known, is_group) in [("topics", TOPIC_KEYS, false), ("groups", GROUP_KEYS, true)] {
        let Some(Ok(list)) = file.list(key) else {
            is_whole &= !file.has(key);
            continue;
        };
        for item in list.value {
            let section = Section::open(file.reader, item.value, item.place.clone(), known);
            let Ok(section) = section else {
                is_whole = false;
                continue;
            };
            let keys = Keys::read(&section).or(defaults);
            if let Some(Ok(host)) = &keys.mirror_host {
                named.push(host.value.clone());
            }
            match keys.resolve(file.reader, &item.place, hosts, is_group) {
                Ok(source) => placed.push(Placed {
                    place: item.place,
                    source,
                }),
                Err(Reported) => is_whole = false,
            }
        }
    }
    overlaps::judge(file.reader, &placed);
    // An entry with a mistake may have meant any host.
    if is_whole && !placed.is_empty() {
        warn_of_unused_hosts(file.reader, hosts, &named);
    }
    placed.into_iter().map(|placed| placed.source).collect()
}

fn topic_list(section: &Section<'_>) -> Written<Vec<At<String>>> {
    let written = section.texts("topics")?;
    Some(written.and_then(|list| {
        let mut seen = Vec::new();
        let mut judged = Ok(());
        for item in &list.value {
            let twice = seen.contains(&item.value);
            seen.push(item.value.clone());
            let rule = |name: &String| match twice {
                true => Err((
                    format!("topic {name:?} is listed twice"),
                    "remove one".to_owned(),
                )),
                false => names::topic(name),
            };
            judged = judged.and(section.reader.judge(item, rule).map(|_| ()));
        }
        judged.map(|()| list)
    }))
}

fn patterns(section: &Section<'_>) -> Written<Vec<Regex>> {
    let written = section.texts("exclude")?;
    Some(written.and_then(|list| {
        let read = |item: &At<String>| section.reader.judge(item, |text| pattern(text));
        let patterns: Vec<_> = list.value.iter().map(read).collect();
        let value = patterns.into_iter().map(|read| read.map(|at| at.value));
        let value: Result<Vec<_>, Reported> = value.collect();
        value.map(|value| At {
            value,
            place: list.place,
        })
    }))
}

fn pattern(text: &str) -> Result<Regex, Fault> {
    Regex::new(text).map_err(|error| {
        // The last line of the message says why; the lines before it draw an arrow.
        let why = error.to_string();
        let why = why.lines().last().unwrap_or_default();
        let why = why.strip_prefix("error: ").unwrap_or(why).to_owned();
        let mend = if text.starts_with('*') {
            "a regular expression is wanted, not a shell pattern: write .* for anything"
        } else {
            "write a regular expression in quotes, as in '^heartbeats$'"
        };
        (
            format!("{text:?} is not a regular expression: {why}"),
            mend.to_owned(),
        )
    })
}

/// A list, or one text with commas as on the CLI's command line.
fn bootstrap_servers(section: &Section<'_>) -> Written<Vec<String>> {
    let written = section.texts("bootstrap_servers")?;
    let is_list = matches!(
        section
            .entry("bootstrap_servers")
            .map(|entry| &entry.value.kind),
        Some(Kind::List(_))
    );
    Some(written.and_then(|list| {
        let mut servers = Vec::new();
        let mut judged = Ok(());
        for item in &list.value {
            let parts: Vec<&str> = match is_list {
                true => vec![item.value.as_str()],
                false => item.value.split(',').map(str::trim).collect(),
            };
            for part in parts {
                let read = section.reader.judge(item, |_| {
                    let text = super::expand::variables(part, section.reader.env)?;
                    names::bootstrap_server(&text)
                });
                match read {
                    Ok(server) => servers.push(server.value),
                    Err(reported) => judged = Err(reported),
                }
            }
        }
        judged.map(|()| At {
            value: servers,
            place: list.place,
        })
    }))
}

fn listed_or_all(
    topics: Written<Vec<At<String>>>,
    exclude: Written<Vec<Regex>>,
) -> Result<Topics, Reported> {
    let exclude = value_or(exclude, Vec::new())?;
    Ok(match optional(topics)? {
        Some(list) => Topics::Listed(list.into_iter().map(|item| item.value).collect()),
        None => Topics::All { exclude },
    })
}

fn find_host(
    reader: &Reader<'_>,
    name: &At<String>,
    hosts: &MirrorHosts,
) -> Result<Arc<MirrorHost>, Reported> {
    if let Some((_, host)) = hosts.by_name.get(&name.value) {
        return host.clone();
    }
    let mut names: Vec<&str> = hosts.by_name.keys().map(String::as_str).collect();
    names.sort_unstable();
    let mend = match nearest(&name.value, names.iter().copied()) {
        Some(near) => format!("did you mean {near:?}?"),
        None if names.is_empty() => "add it under mirror_hosts:".to_owned(),
        None => {
            let shown: Vec<_> = names.iter().take(HOSTS_SHOWN_MAX).copied().collect();
            format!(
                "add it under mirror_hosts:, or use one of them: {}",
                shown.join(", ")
            )
        }
    };
    let what = format!("there is no mirror host {:?}", name.value);
    Err(reader.report.error(&name.place, what, mend))
}

/// Names that fit into one line of a message.
const HOSTS_SHOWN_MAX: usize = 8;

/// `--timeout` holds per admin call, and a describe makes several.
fn warn_of_short_limit(reader: &Reader<'_>, place: &Place, source: &SourceSettings) {
    let of_cli = source.mirror_host.kafka.timeout;
    let cli = of_cli.unwrap_or(kafka::CLI_TIMEOUT);
    let limit = source.describe.limit;
    if limit > cli {
        return;
    }
    let origin = match of_cli {
        Some(_) => "kafka.timeout",
        None => "the CLI's own --timeout",
    };
    let (limit, cli) = (in_one_unit(limit), in_one_unit(cli));
    reader.report.warn(
        place,
        format!("describe_timeout {limit} is not longer than {origin} {cli}: a dead broker shows as timeout, not as the CLI's error"),
        "make describe_timeout a multiple of it, or set kafka: {timeout: 1s} or more for the host",
    );
}

fn warn_of_unused_hosts(reader: &Reader<'_>, hosts: &MirrorHosts, named: &[String]) {
    for (name, (place, host)) in &hosts.by_name {
        if host.is_ok() && !named.contains(name) {
            let what = "no entry of topics: or groups: names it";
            reader
                .report
                .warn(place, what, "remove it, or add an entry with it");
        }
    }
}
