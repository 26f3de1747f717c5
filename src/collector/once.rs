//! In: sources. Out: one round of each, now.
//! Never: writes anywhere, tries again.

use chrono::Utc;
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::SourceSettings;
use super::link::{HostShare, HostShares, Link};
use super::memory::Memory;
use super::round::{Round, listed, samples};
use super::schedule::Tick;
use super::source::ask;
use crate::sample::Sample;
use crate::ssh::Bastions;

/// What one source said in its only round.
#[derive(Debug)]
pub struct Answer {
    pub samples: Vec<Sample>,
    /// Why the host could not be asked, with the mend.
    pub error: Option<String>,
}

/// Asks every source once, all at the same time within the limits of each host; `each` is told each answer as it comes.
pub async fn once(sources: Vec<SourceSettings>, mut each: impl FnMut(Answer)) {
    let mut shares = HostShares::new(Bastions::impatient());
    let mut tasks = JoinSet::new();
    for source in sources {
        let share = shares.of(&source.mirror_host);
        tasks.spawn(ask_once(source, share));
    }
    while let Some(joined) = tasks.join_next().await {
        // A panic in one source is printed by the runtime and must not cost the others' answers.
        if let Ok(answer) = joined {
            each(answer);
        }
    }
}

async fn ask_once(source: SourceSettings, share: HostShare) -> Answer {
    let tick = Tick {
        at: Utc::now(),
        generation: 0,
    };
    let started = Instant::now();
    let (round, error) = match Link::open(&source, &share).await {
        Err(error) => (Round::without_link(error.reason()), Some(error.to_string())),
        Ok(mut link) => {
            let ended = ask(&mut link, &share, tick).await;
            link.close().await;
            match ended {
                Ok(text) => (Round::Text(text), None),
                Err(end) => {
                    let (round, error) = end.into_round(source.describe.limit);
                    (round, error.map(|error| error.to_string()))
                }
            }
        }
    };
    let description = round.describe(&source.describe.group);
    let topics = Memory::default().account(&source.topics, listed(&description).as_ref(), tick.at);
    let round_ms = round.round_ms(started.elapsed());
    Answer {
        samples: samples(&source, tick, &description, &topics, round_ms).collect(),
        error,
    }
}
