//! In: all sources of a file. Out: problems where two of them record the same, warnings where one could serve for several.
//! Never: removes a source.

use std::collections::HashMap;

use super::problem::Place;
use super::section::Reader;
use crate::collector::{SourceSettings, Topics};

/// A source and the entry that it comes from.
pub(super) struct Placed {
    pub place: Place,
    pub source: SourceSettings,
}

/// Reports topics that two entries record, and `topics:` entries that one `groups:` entry would replace.
pub(super) fn judge(reader: &Reader<'_>, placed: &[Placed]) {
    let mut families: Vec<Family<'_>> = Vec::new();
    let mut index: HashMap<(&str, &str), usize> = HashMap::new();
    for placed in placed {
        let source = &placed.source;
        let key = (
            source.mirror_host.name.as_str(),
            source.describe.group.as_str(),
        );
        let at = *index.entry(key).or_insert_with(|| {
            families.push(Family::default());
            families.len() - 1
        });
        if let Some(family) = families.get_mut(at) {
            family.members.push(placed);
        }
    }
    for family in &families {
        family.report_second_groups_entry(reader);
        family.report_topics_recorded_twice(reader);
        family.warn_of_replaceable_entries(reader);
    }
    report_equal_names(reader, placed);
}

/// All sources of one group on one mirror host, in the order of the file.
#[derive(Default)]
struct Family<'a> {
    members: Vec<&'a Placed>,
}

impl Family<'_> {
    fn report_second_groups_entry(&self, reader: &Reader<'_>) {
        let is_group = |placed: &&&Placed| !matches!(placed.source.topics, Topics::One(_));
        let mut entries = self.members.iter().filter(is_group);
        let Some(first) = entries.next() else { return };
        for second in entries {
            let source = &second.source;
            reader.report.error(
                &second.place,
                format!(
                    "group {:?} on mirror host {:?} has an entry already, {} on line {}",
                    source.describe.group,
                    source.mirror_host.name,
                    first.place.key,
                    first.place.line
                ),
                "put all its topics into one entry",
            );
        }
    }

    fn report_topics_recorded_twice(&self, reader: &Reader<'_>) {
        let mut first_with: HashMap<&str, &Place> = HashMap::new();
        for member in &self.members {
            let topics = match &member.source.topics {
                Topics::One(topic) => std::slice::from_ref(topic),
                Topics::Listed(topics) => topics.as_slice(),
                Topics::All { .. } => &[],
            };
            for topic in topics {
                if let Some(first) = first_with.get(topic.as_str()) {
                    twice(reader, member, topic, first);
                } else {
                    first_with.insert(topic, &member.place);
                }
            }
        }
        for member in &self.members {
            let Topics::All { exclude } = &member.source.topics else {
                continue;
            };
            let mut topics: Vec<_> = first_with.iter().collect();
            topics.sort_unstable_by_key(|(_, place)| *place);
            for (topic, first) in topics {
                if !exclude.iter().any(|pattern| pattern.is_match(topic)) {
                    twice(reader, member, topic, first);
                }
            }
        }
    }

    /// `--describe` has no topic filter: each of these entries costs a JVM for the same table.
    fn warn_of_replaceable_entries(&self, reader: &Reader<'_>) {
        let is_topic = |placed: &&&Placed| matches!(placed.source.topics, Topics::One(_));
        let entries: Vec<_> = self.members.iter().filter(is_topic).collect();
        let mut asked: Vec<(&SourceSettings, &Place, Vec<&str>)> = Vec::new();
        for entry in entries {
            let (source, Topics::One(topic)) = (&entry.source, &entry.source.topics) else {
                continue;
            };
            let same = asked.iter_mut().find(|(first, ..)| {
                first.describe.bootstrap_servers == source.describe.bootstrap_servers
                    && first.describe.command_config == source.describe.command_config
            });
            match same {
                Some((.., topics)) if topics.contains(&topic.as_str()) => {}
                Some((.., topics)) => topics.push(topic),
                None => asked.push((source, &entry.place, vec![topic])),
            }
        }
        for (source, place, topics) in asked {
            if topics.len() > 1 {
                let what = format!(
                    "{} topics: entries of group {:?} on mirror host {:?} run {} describes a round for one and the same table",
                    topics.len(),
                    source.describe.group,
                    source.mirror_host.name,
                    topics.len(),
                );
                reader
                    .report
                    .warn(place, what, replacement(source, &topics));
            }
        }
    }
}

fn twice(reader: &Reader<'_>, second: &Placed, topic: &str, first: &Place) {
    let source = &second.source;
    let mend = match source.topics {
        Topics::All { .. } => format!(
            "remove that one, or exclude: ['^{}$']",
            regex::escape(topic)
        ),
        _ => "keep one of the two".to_owned(),
    };
    reader.report.error(
        &second.place,
        format!(
            "topic {topic:?} of group {:?} on mirror host {:?} is recorded already, by {} on line {}",
            source.describe.group, source.mirror_host.name, first.key, first.line
        ),
        mend,
    );
}

/// The `groups:` entry that asks once for what these `topics:` entries ask each.
fn replacement(source: &SourceSettings, topics: &[&str]) -> String {
    let describe = &source.describe;
    let mut keys = vec![
        format!("group: {}", in_yaml(&describe.group)),
        format!("mirror_host: {}", in_yaml(&source.mirror_host.name)),
        format!(
            "bootstrap_servers: [{}]",
            list_in_yaml(&describe.bootstrap_servers)
        ),
    ];
    if let Some(path) = &describe.command_config {
        keys.push(format!("command_config: {}", in_yaml(path)));
    }
    keys.push(format!("topics: [{}]", list_in_yaml(topics)));
    format!("replace them by one: groups: [{{{}}}]", keys.join(", "))
}

fn list_in_yaml<T: AsRef<str>>(items: &[T]) -> String {
    let items: Vec<_> = items.iter().map(|item| in_yaml(item.as_ref())).collect();
    items.join(", ")
}

/// Plain where YAML reads it back as the same text within brackets, else in quotes.
fn in_yaml(text: &str) -> String {
    let is_plain = text
        .chars()
        .all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | ':' | '/'));
    let reads_as_text = serde_yaml::from_str::<serde_yaml::Value>(text)
        .is_ok_and(|value| value.as_str() == Some(text));
    match is_plain && reads_as_text {
        true => text.to_owned(),
        false => format!("'{}'", text.replace('\'', "''")),
    }
}

/// A group id with a slash in it may make the names of two sources equal; the name decides the phase of the ticks.
fn report_equal_names(reader: &Reader<'_>, placed: &[Placed]) {
    let mut first_with: HashMap<&str, &Placed> = HashMap::new();
    for second in placed {
        let name = second.source.name.as_str();
        let Some(first) = first_with.insert(name, second) else {
            continue;
        };
        let same_group = first.source.describe.group == second.source.describe.group;
        if !same_group {
            reader.report.error(
                &second.place,
                format!("has the name {name:?}, as {} on line {}", first.place.key, first.place.line),
                "use a groups: entry with a list of topics for the group whose id ends like the other's topic",
            );
        }
    }
}
