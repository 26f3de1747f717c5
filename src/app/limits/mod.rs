//! In: how many sources and sinks are wanted. Out: whether this process may have the descriptors and the memory for them.
//! Never: starts anything, lowers a limit.

mod memory;

use std::collections::{HashMap, HashSet};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::config::Config;

pub(super) use self::memory::Scarce;

/// The socket of its session.
const DESCRIPTORS_PER_SOURCE: u64 = 1;

/// Behind a bastion it is a pair of sockets in this process.
const DESCRIPTORS_PER_SOURCE_BEHIND_A_BASTION: u64 = 2;

/// Sessions with one bastion: one, and up to four while hosts behind it swallow attempts to connect; each with its login's files.
const DESCRIPTORS_PER_BASTION: u64 = 8;

/// Beside the socket, while it connects: a lookup of the name, the agent, a key file, known_hosts; one or two of them at once.
const DESCRIPTORS_PER_HANDSHAKE: u64 = 2;

/// The connection in use, and one before it that is being closed.
const DESCRIPTORS_PER_URL: u64 = 2;

/// The lock, and for the writer and each of four readers the file and its write-ahead log; the rest is for a reader too many.
const DESCRIPTORS_OF_JOURNAL: u64 = 16;

/// Standard streams, the runtime (16 at the start), what the C library and a reload open for a moment.
const DESCRIPTORS_SPARE: u64 = 32;

/// What a number of sources and sinks takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Need {
    pub sources: u64,
    pub descriptors: u64,
    pub memory_bytes: u64,
}

/// The process may not open as many files as it must.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}; {}", self.why(), self.mend())]
pub struct TooFewDescriptors {
    pub sources: u64,
    pub needed: u64,
    /// The hard limit, which only an administrator raises.
    pub allowed: u64,
}

impl TooFewDescriptors {
    /// What is wrong.
    pub(super) fn why(&self) -> String {
        format!(
            "{} sources need {} open files, and this process may have {}",
            self.sources, self.needed, self.allowed
        )
    }

    /// What mends it.
    pub(super) fn mend(&self) -> String {
        let needed = self.needed;
        format!(
            "set LimitNOFILE={needed} in the systemd unit, or run `ulimit -n {needed}` before the start; \
             an administrator may have to raise what `ulimit -Hn` allows"
        )
    }
}

impl Need {
    /// Of `config`, while `sources` are at work, some of which may be ending.
    pub(super) fn of(config: &Config, sources: usize) -> Self {
        let sources = sources as u64;
        let urls = config.sinks.elasticsearch.as_ref().map(|it| it.urls.len());
        let descriptors = sources * sockets_per_source(config)
            + bastions(config) * DESCRIPTORS_PER_BASTION
            + handshakes(config) * DESCRIPTORS_PER_HANDSHAKE
            + urls.unwrap_or(0) as u64 * DESCRIPTORS_PER_URL
            + DESCRIPTORS_OF_JOURNAL
            + DESCRIPTORS_SPARE;
        Self {
            sources,
            descriptors,
            memory_bytes: memory::need_bytes(sources),
        }
    }

    /// Raises the soft limit of open files to what is needed, which every process may do up to its hard limit.
    ///
    /// # Errors
    /// The hard limit is lower than that.
    pub(super) fn claim_descriptors(&self) -> Result<(), TooFewDescriptors> {
        let limit = getrlimit(Resource::Nofile);
        let Some(raised) = self.raised(limit)? else {
            return Ok(());
        };
        let now = limit.current.unwrap_or(u64::MAX);
        if let Err(error) = setrlimit(Resource::Nofile, raised) {
            tracing::warn!(%error, "the soft limit of open files cannot be raised");
            return Err(self.too_few(now));
        }
        tracing::info!(
            from = now,
            to = self.descriptors,
            "raised the soft limit of open files"
        );
        Ok(())
    }

    /// Whether it would be claimed, without claiming it: the hard limit.
    ///
    /// # Errors
    /// The hard limit is lower than what is needed.
    pub(super) fn allowed_descriptors(&self) -> Result<Option<u64>, TooFewDescriptors> {
        let limit = getrlimit(Resource::Nofile);
        self.raised(limit).map(|_| limit.maximum)
    }

    /// What there is less of than is needed: it may go well for a while, and is worth a warning.
    pub(super) fn scarce_memory(&self) -> Option<Scarce> {
        memory::scarce(self.memory_bytes)
    }

    /// For people.
    pub(super) fn memory(&self) -> String {
        bytesize::ByteSize(self.memory_bytes).to_string()
    }

    /// The limit to set; `None` where the soft one suffices. In `Rlimit`, `None` is "unlimited".
    fn raised(&self, limit: Rlimit) -> Result<Option<Rlimit>, TooFewDescriptors> {
        if limit.current.is_none_or(|soft| soft >= self.descriptors) {
            return Ok(None);
        }
        match limit.maximum {
            Some(hard) if hard < self.descriptors => Err(self.too_few(hard)),
            _ => Ok(Some(Rlimit {
                current: Some(self.descriptors),
                maximum: limit.maximum,
            })),
        }
    }

    fn too_few(&self, allowed: u64) -> TooFewDescriptors {
        TooFewDescriptors {
            sources: self.sources,
            needed: self.descriptors,
            allowed,
        }
    }
}

/// What each source takes at most. While a changed configuration is taken some of the old are still ending, so the dearest counts for all.
fn sockets_per_source(config: &Config) -> u64 {
    match bastions(config) {
        0 => DESCRIPTORS_PER_SOURCE,
        _ => DESCRIPTORS_PER_SOURCE_BEHIND_A_BASTION,
    }
}

/// Servers on the way to those of the sources.
fn bastions(config: &Config) -> u64 {
    let hops = config
        .sources
        .iter()
        .flat_map(|source| source.mirror_host.ssh.hops());
    let servers: HashSet<_> = hops.map(|hop| hop.server()).collect();
    servers.len() as u64
}

/// Handshakes that may be under way at once: of each server as many as its limit lets in, and no more than it has sources.
fn handshakes(config: &Config) -> u64 {
    let mut of_server: HashMap<Vec<(String, u16)>, (u64, u64)> = HashMap::new();
    for source in &config.sources {
        let host = &source.mirror_host;
        let limit = host.handshakes_per_host as u64;
        of_server.entry(host.ssh.server()).or_insert((0, limit)).0 += 1;
    }
    let at_once = of_server
        .values()
        .map(|(sources, limit)| sources.min(limit));
    at_once.sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn need(descriptors: u64) -> Need {
        Need {
            sources: 100,
            descriptors,
            memory_bytes: 0,
        }
    }

    fn limit(soft: u64, hard: Option<u64>) -> Rlimit {
        Rlimit {
            current: Some(soft),
            maximum: hard,
        }
    }

    #[test]
    fn a_soft_limit_that_suffices_is_left_alone_and_a_low_one_is_raised_to_the_need_only() {
        assert_eq!(need(200).raised(limit(1024, Some(4096))), Ok(None));
        let unlimited = Rlimit {
            current: None,
            maximum: None,
        };
        assert_eq!(need(200).raised(unlimited), Ok(None));
        for hard in [Some(200), Some(4096), None] {
            let raised = need(200).raised(limit(64, hard)).unwrap().unwrap();
            assert_eq!((raised.current, raised.maximum), (Some(200), hard));
        }
    }

    #[test]
    fn a_hard_limit_below_the_need_is_said_with_both_numbers_and_the_mend() {
        let error = need(200).raised(limit(64, Some(128))).unwrap_err();
        assert_eq!(
            error.to_string(),
            "100 sources need 200 open files, and this process may have 128; set LimitNOFILE=200 in the systemd unit, \
             or run `ulimit -n 200` before the start; an administrator may have to raise what `ulimit -Hn` allows"
        );
    }
}
