//! In: `mirror_hosts:` and `defaults:`. Out: each mirror host with all its settings, by name.
//! Never: resolves a name, connects.

use std::collections::HashMap;
use std::sync::Arc;

use super::jump::{self, Hop};
use super::problem::{Place, Reported};
use super::section::{Reader, Section, Written, optional, value_or};
use super::{kafka, names, ssh};
use crate::collector::MirrorHost;

pub(super) const KEYS: &[&str] = &[
    "address",
    "port",
    "cluster",
    "describes_per_host",
    "handshakes_per_host",
    "ssh",
    "kafka",
];

const DESCRIBES_PER_HOST: u64 = 2;
const HANDSHAKES_PER_HOST: u64 = 4;

/// Eight describes at once already take eight seconds each on two cores.
const DESCRIBES_PER_HOST_MAX: u64 = 64;
/// sshd's `MaxStartups` refuses at random from 10 on, and all from 100 on.
const HANDSHAKES_PER_HOST_MAX: u64 = 64;

/// A cluster name is a label of a document.
const CLUSTER_CHARS_MAX: usize = 255;

/// The keys of a mirror host, as written in one section.
#[derive(Default, Clone)]
pub(super) struct Keys {
    address: Written<String>,
    port: Written<u64>,
    cluster: Written<String>,
    describes_per_host: Written<u64>,
    handshakes_per_host: Written<u64>,
    ssh: ssh::Keys,
    jump: Written<Vec<Hop>>,
    kafka: kafka::Keys,
}

impl Keys {
    pub fn read(section: &Section<'_>) -> Self {
        let reader = section.reader;
        let address = reader.expanded(section.text("address"));
        let (ssh, jump) = match section.section("ssh", ssh::KEYS) {
            Some(Ok(section)) => (ssh::Keys::read(&section), jump::read(&section)),
            Some(Err(Reported)) => (ssh::Keys::reported(), Some(Err(Reported))),
            None => (ssh::Keys::default(), None),
        };
        Self {
            address: reader.refine(address, |text| names::address(text)),
            port: section.number("port", 1..=u64::from(u16::MAX)),
            cluster: reader.refine(section.text("cluster"), |name| {
                if name.chars().count() <= CLUSTER_CHARS_MAX {
                    return Ok(name.clone());
                }
                let what = format!("is longer than {CLUSTER_CHARS_MAX} characters");
                Err((what, "write a short name".to_owned()))
            }),
            describes_per_host: section.number("describes_per_host", 1..=DESCRIBES_PER_HOST_MAX),
            handshakes_per_host: section.number("handshakes_per_host", 1..=HANDSHAKES_PER_HOST_MAX),
            ssh,
            jump,
            kafka: match section.section("kafka", kafka::KEYS) {
                Some(Ok(section)) => kafka::Keys::read(&section),
                Some(Err(Reported)) => kafka::Keys::reported(),
                None => kafka::Keys::default(),
            },
        }
    }

    fn or(self, defaults: &Self) -> Self {
        let inherited = defaults.clone();
        Self {
            address: self.address.or(inherited.address),
            port: self.port.or(inherited.port),
            cluster: self.cluster.or(inherited.cluster),
            describes_per_host: self.describes_per_host.or(inherited.describes_per_host),
            handshakes_per_host: self.handshakes_per_host.or(inherited.handshakes_per_host),
            ssh: self.ssh.or(&defaults.ssh),
            jump: self.jump.or(inherited.jump),
            kafka: self.kafka.or(&defaults.kafka),
        }
    }

    fn resolve(
        self,
        reader: &Reader<'_>,
        host: &Place,
        name: &str,
        defaults: &ssh::Keys,
    ) -> Result<MirrorHost, Reported> {
        let address = match self.address {
            Some(read) => read.map(|at| at.value),
            None => names::address(name).map_err(|_| {
                let what = "has no address, and its name is none".to_owned();
                let mend = "write address: with a host name or an IP address";
                reader.report.error(host, what, mend)
            }),
        };
        let port = value_or(self.port, u64::from(ssh::PORT));
        let port = port.and_then(|port| u16::try_from(port).map_err(|_| Reported));
        let cluster = optional(self.cluster);
        let describes = value_or(self.describes_per_host, DESCRIBES_PER_HOST);
        let handshakes = value_or(self.handshakes_per_host, HANDSHAKES_PER_HOST);
        // Both are resolved even where the address is wrong: all problems are wanted.
        let whose = ssh::Whose {
            place: host.clone(),
            is_bastion: false,
        };
        let ssh = self.ssh.resolve(
            reader,
            &whose,
            address.clone().unwrap_or_default(),
            port.unwrap_or(ssh::PORT),
            jump::resolve(self.jump, reader, defaults),
        );
        let kafka = self.kafka.resolve(reader, host);
        address?;
        port?;
        Ok(MirrorHost {
            name: name.to_owned(),
            cluster: cluster?,
            ssh: ssh?,
            kafka: kafka?,
            describes_per_host: usize::try_from(describes?).map_err(|_| Reported)?,
            handshakes_per_host: usize::try_from(handshakes?).map_err(|_| Reported)?,
        })
    }
}

/// The mirror hosts of a file, in its order.
#[derive(Default)]
pub(super) struct MirrorHosts {
    pub hosts: Vec<Arc<MirrorHost>>,
    /// Also those whose settings are wrong, so that an entry that names one is not blamed for it.
    pub by_name: HashMap<String, (Place, Result<Arc<MirrorHost>, Reported>)>,
}

/// Reads `mirror_hosts:`; every problem is reported.
pub(super) fn read(file: &Section<'_>, defaults: &Keys) -> MirrorHosts {
    let reader = file.reader;
    let mut found = MirrorHosts::default();
    let Some(entry) = file.entry("mirror_hosts") else {
        if !file.has("mirror_hosts") {
            let mend = "name at least one: mirror_hosts: {mm-1: {address: 10.0.0.11}}";
            reader
                .report
                .error(&file.place, "has no mirror_hosts:", mend);
        }
        return found;
    };
    let place = file.place_of(entry);
    let Ok(hosts) = Section::open_names(reader, &entry.value, place.clone()) else {
        return found;
    };
    if hosts.entries.is_empty() {
        let mend = "name at least one: mm-1: {address: 10.0.0.11}";
        reader.report.error(&place, "is empty", mend);
    }
    for entry in hosts.entries.iter().filter(|e| e.first_line.is_none()) {
        let place = hosts.place_of(entry);
        if let Err((what, mend)) = names::mirror_host(&entry.key) {
            reader.report.error(&place, what, mend);
        }
        let host = Section::open(reader, &entry.value, place.clone(), KEYS)
            .and_then(|section| {
                Keys::read(&section)
                    .or(defaults)
                    .resolve(reader, &place, &entry.key, &defaults.ssh)
            })
            .map(Arc::new);
        found.hosts.extend(host.iter().cloned());
        found.by_name.insert(entry.key.clone(), (place, host));
    }
    warn_of_shared_addresses(reader, &found);
    found
}

/// Limits hold per address: two names for one machine share them, and its table is asked for twice.
fn warn_of_shared_addresses(reader: &Reader<'_>, found: &MirrorHosts) {
    let mut first_with = HashMap::new();
    for host in &found.hosts {
        let Some(first) = first_with.insert(host.ssh.server(), &host.name) else {
            continue;
        };
        if let Some((place, _)) = found.by_name.get(&host.name) {
            reader.report.warn(
                place,
                format!(
                    "{}:{} is mirror host {first:?} as well",
                    host.ssh.address, host.ssh.port
                ),
                "use one name for one machine; the limits of handshakes hold for both together",
            );
        }
    }
}
