//! In: nothing. Out: the description of a fleet: its hosts, groups, topics, and what goes wrong when.
//! Never: opens a port, reads a clock.

use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;

use super::table::CliVersion;

/// A fleet to start: every number in it follows from these settings and the time since the start.
#[derive(Debug, Clone)]
pub struct FleetSettings {
    /// Decides rates, offsets, ids and start-up delays; the same seed gives the same fleet.
    pub seed: u64,
    /// An existing folder; `id_ed25519` and `known_hosts` are written there.
    pub folder: PathBuf,
    pub hosts: Vec<HostSettings>,
}

/// One simulated MirrorMaker host, with an SSH server of its own.
#[derive(Debug, Clone)]
pub struct HostSettings {
    /// Unique in the fleet.
    pub name: String,
    /// Which CLI is installed there.
    pub cli: CliVersion,
    /// How long a describe takes: the least and the most.
    pub start_up: RangeInclusive<Duration>,
    /// When connections are cut and new ones are refused.
    pub outages: Option<Recurring>,
    pub groups: Vec<GroupSettings>,
}

/// One consumer group of a MirrorMaker.
#[derive(Debug, Clone)]
pub struct GroupSettings {
    /// Unique on its host.
    pub name: String,
    /// Consumers (streams); 0: nobody is mirroring, and lag only grows.
    pub members: usize,
    /// Offsets are committed at each multiple of this: printed lag is a sawtooth.
    pub commit_every: Duration,
    /// Before this no partition has a committed offset; zero for a group that is old.
    pub first_commit: Duration,
    /// When partitions are being assigned anew.
    pub rebalances: Option<Recurring>,
    pub topics: Vec<TopicSettings>,
}

/// One mirrored topic.
#[derive(Debug, Clone)]
pub struct TopicSettings {
    pub name: String,
    pub partitions: i32,
    /// Mean records produced per partition and second; each partition has its own rate around it.
    pub records_per_second: f64,
    /// When mirroring of this topic stands still; afterwards it catches up in the same time again.
    pub stalls: Option<Recurring>,
    /// Whether the last partition never had a record: no offset is committed for it, ever.
    pub last_is_silent: bool,
}

/// Something that comes back: from `first` on, every `every`, for `lasts`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Recurring {
    pub first: Duration,
    /// Longer than `lasts`; for stalls, at least twice as long.
    pub every: Duration,
    pub lasts: Duration,
}

impl Recurring {
    /// `first`, `every` and `lasts` in seconds.
    pub const fn seconds(first: u64, every: u64, lasts: u64) -> Self {
        Self {
            first: Duration::from_secs(first),
            every: Duration::from_secs(every),
            lasts: Duration::from_secs(lasts),
        }
    }

    /// When the latest occurrence began, and how many began before it; `None` before the first.
    pub fn latest(&self, at: Duration) -> Option<(Duration, u32)> {
        let since = at.checked_sub(self.first)?;
        let past = since.as_millis() / self.every.as_millis().max(1);
        let past = u32::try_from(past).unwrap_or(u32::MAX);
        Some((self.first + self.every.saturating_mul(past), past))
    }

    /// Whether an occurrence is under way.
    pub fn is_on(&self, at: Duration) -> bool {
        self.latest(at)
            .is_some_and(|(start, _)| at < start + self.lasts)
    }
}

/// The describe of a host that is not loaded: much faster than a real JVM, so that a demonstration is lively.
const START_UP: RangeInclusive<Duration> = Duration::from_millis(40)..=Duration::from_millis(150);

impl FleetSettings {
    /// What `mirrorlag demo` shows: four hosts with four CLI versions, twelve topics, and each kind of trouble within half a minute.
    ///
    /// Names are short, so that a table of them fits eighty columns; one group id is so long that its old CLI glues two columns.
    pub fn demonstration(seed: u64, folder: PathBuf) -> Self {
        Self {
            seed,
            folder,
            hosts: vec![east_1(), east_2(), west_1(), west_2()],
        }
    }

    /// For measurements: `hosts` hosts named `mm-0`, `mm-1`, ..., each with the group `mirror` and `topics` topics `topic-0`, ...
    pub fn uniform(
        seed: u64,
        folder: PathBuf,
        hosts: usize,
        topics: usize,
        partitions: i32,
    ) -> Self {
        let topics = |_| {
            let topics = (0..topics)
                .map(|t| {
                    let name = format!("topic-{t}");
                    topic(&name, partitions, 20.0, Some(Recurring::seconds(5, 60, 20)))
                })
                .collect();
            vec![group("mirror", 2, topics)]
        };
        let hosts = (0..hosts)
            .map(|h| host(&format!("mm-{h}"), CliVersion::V2_3, topics(h)))
            .collect();
        Self {
            seed,
            folder,
            hosts,
        }
    }
}

/// Topics that fall behind and catch up.
fn east_1() -> HostSettings {
    let topics = vec![
        topic("orders", 12, 180.0, stalls(6)),
        topic("payments", 6, 90.0, None),
        topic("returns", 3, 12.0, stalls(20)),
    ];
    host("east-1", CliVersion::V2_3, vec![group("oasis", 3, topics)])
}

/// A group that rebalances, with a partition that never had a record, behind the CLI that ends no line.
fn east_2() -> HostSettings {
    let topics = vec![
        topic("clicks", 18, 420.0, stalls(14)),
        topic("sessions", 6, 150.0, None),
        TopicSettings {
            last_is_silent: true,
            ..topic("searches", 4, 60.0, None)
        },
    ];
    let group = GroupSettings {
        rebalances: Some(Recurring::seconds(10, 25, 5)),
        ..group("web", 2, topics)
    };
    host("east-2", CliVersion::V3_8, vec![group])
}

/// A host that drops its connections, with an old CLI.
fn west_1() -> HostSettings {
    let topics = vec![
        topic("stock", 8, 75.0, None),
        topic("shipments", 4, 30.0, stalls(9)),
        topic("suppliers", 1, 2.0, None),
    ];
    HostSettings {
        outages: Some(Recurring::seconds(12, 45, 4)),
        ..host(
            "west-1",
            CliVersion::V0_10_2,
            vec![group("inventory-mirror", 2, topics)],
        )
    }
}

/// A group that never committed yet, and one without members.
fn west_2() -> HostSettings {
    let topics = vec![
        topic("audit", 4, 25.0, None),
        topic("access", 4, 110.0, stalls(22)),
    ];
    let fresh = GroupSettings {
        first_commit: Duration::from_secs(12),
        ..group("audit", 1, topics)
    };
    let empty = group("legacy", 0, vec![topic("legacy", 2, 4.0, None)]);
    host("west-2", CliVersion::V4_0, vec![fresh, empty])
}

fn stalls(first_seconds: u64) -> Option<Recurring> {
    Some(Recurring::seconds(first_seconds, 36, 12))
}

fn host(name: &str, cli: CliVersion, groups: Vec<GroupSettings>) -> HostSettings {
    HostSettings {
        name: name.to_owned(),
        cli,
        start_up: START_UP,
        outages: None,
        groups,
    }
}

fn group(name: &str, members: usize, topics: Vec<TopicSettings>) -> GroupSettings {
    GroupSettings {
        name: name.to_owned(),
        members,
        commit_every: Duration::from_secs(2),
        first_commit: Duration::ZERO,
        rebalances: None,
        topics,
    }
}

fn topic(
    name: &str,
    partitions: i32,
    records_per_second: f64,
    stalls: Option<Recurring>,
) -> TopicSettings {
    TopicSettings {
        name: name.to_owned(),
        partitions,
        records_per_second,
        stalls,
        last_is_silent: false,
    }
}
