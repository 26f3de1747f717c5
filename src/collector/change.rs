//! In: the sources at work, and those that are wanted. Out: which are kept, added, changed, removed.
//! Never: starts or ends one, compares anything but values.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::memory::Memory;
use super::{MirrorHost, SourceSettings, Topics};

/// What it takes to have other sources at work.
#[derive(Debug, Default)]
pub struct Plan {
    pub(super) kept: Vec<String>,
    pub(super) added: Vec<Added>,
    pub(super) changed: Vec<SourceSettings>,
    pub(super) removed: Vec<String>,
    /// Hosts of all sources that are wanted, in their order: whose limits hold from then on.
    pub(super) hosts: Vec<Arc<MirrorHost>>,
    /// Sources of earlier changes that have not ended yet.
    pub(super) leaving: usize,
}

/// A source that was not there, and what the journal has of it.
#[derive(Debug)]
pub(super) struct Added {
    pub settings: SourceSettings,
    pub memory: Memory,
}

/// Names of sources, by what became of them.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SourceChanges {
    pub kept: Vec<String>,
    pub added: Vec<String>,
    pub changed: Vec<String>,
    pub removed: Vec<String>,
}

impl Plan {
    pub(super) fn between<'a>(
        at_work: impl Iterator<Item = &'a SourceSettings>,
        wanted: Vec<SourceSettings>,
    ) -> Self {
        let mut old: BTreeMap<&str, &SourceSettings> =
            at_work.map(|it| (it.name.as_str(), it)).collect();
        let mut plan = Self {
            hosts: wanted.iter().map(|it| it.mirror_host.clone()).collect(),
            ..Self::default()
        };
        for settings in wanted {
            match old.remove(settings.name.as_str()) {
                Some(old) if is_same(old, &settings) => plan.kept.push(settings.name),
                Some(_) => plan.changed.push(settings),
                None => plan.added.push(Added {
                    settings,
                    memory: Memory::default(),
                }),
            }
        }
        plan.removed = old.into_keys().map(str::to_owned).collect();
        plan
    }

    pub(super) fn changes(&self) -> SourceChanges {
        let added = self.added.iter().map(|it| it.settings.name.clone());
        let changed = self.changed.iter().map(|it| it.name.clone());
        SourceChanges {
            kept: self.kept.clone(),
            added: added.collect(),
            changed: changed.collect(),
            removed: self.removed.clone(),
        }
    }

    /// Sources at work when it is carried out, with those that end meanwhile. (A changed one begins behind its own end.)
    pub fn at_most(&self) -> usize {
        self.hosts.len() + self.removed.len() + self.leaving
    }
}

/// Whether a source goes on as it is: everything is equal but the limits of its host, which are changed without it.
fn is_same(old: &SourceSettings, new: &SourceSettings) -> bool {
    // Every field by its name, here and below, so that a new one cannot be forgotten.
    let SourceSettings {
        name,
        mirror_host,
        describe,
        interval,
        topics,
    } = old;
    *name == new.name
        && is_same_host(mirror_host, &new.mirror_host)
        && *describe == new.describe
        && *interval == new.interval
        && is_same_choice(topics, &new.topics)
}

fn is_same_host(old: &MirrorHost, new: &MirrorHost) -> bool {
    let MirrorHost {
        name,
        cluster,
        ssh,
        kafka,
        describes_per_host: _,
        handshakes_per_host: _,
    } = old;
    *name == new.name && *cluster == new.cluster && *ssh == new.ssh && *kafka == new.kafka
}

fn is_same_choice(old: &Topics, new: &Topics) -> bool {
    match (old, new) {
        (Topics::One(old), Topics::One(new)) => old == new,
        (Topics::Listed(old), Topics::Listed(new)) => old == new,
        (Topics::All { exclude: old }, Topics::All { exclude: new }) => old
            .iter()
            .map(|it| it.as_str())
            .eq(new.iter().map(|it| it.as_str())),
        (Topics::One(_) | Topics::Listed(_) | Topics::All { .. }, _) => false,
    }
}
