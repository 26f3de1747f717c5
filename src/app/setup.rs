//! In: a `Config` and what an operator asks of `setup`. Out: the lines of what was made, changed, left alone, or written as files.
//! Never: prints, decides what a server is to have.

use std::path::Path;

use chrono::Utc;

use crate::collector::Topics;
use crate::config::Config;
use crate::kibana::{self, Description};
use crate::setup::{self, Wanted};
use crate::sinks::elasticsearch::Layout;

pub use crate::setup::{Line, Mode, Outcome, Request, Server};

/// What the command line says beside the configuration.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    /// Alert rules too.
    pub with_alerts: bool,
    /// How many `p<N>` the topic dashboard draws; `None`: as many as the shipped one.
    pub partitions: Option<u16>,
}

/// Makes what is missing on the servers and changes what differs, or takes it back; `each` is told each line as it comes.
pub async fn set_up(
    config: &Config,
    options: Options,
    mode: Mode,
    each: &mut (dyn FnMut(Line) + Send),
) {
    setup::set_up(&wanted(config, options), mode, each).await;
}

/// Writes the same as files, asking nobody.
pub fn export(config: &Config, options: Options, folder: &Path) -> Vec<Line> {
    match setup::export(&wanted(config, options)) {
        Ok(files) => setup::write(folder, &files),
        Err(why) => vec![Line {
            name: folder.display().to_string(),
            outcome: Outcome::Failed(why),
            unsent: None,
        }],
    }
}

fn wanted(config: &Config, options: Options) -> Wanted<'_> {
    Wanted {
        file: &config.file,
        elasticsearch: config.sinks.elasticsearch.as_ref(),
        kibana: config.kibana.as_ref(),
        description: description(config, options),
        with_alerts: options.with_alerts,
        now: Utc::now(),
    }
}

fn description(config: &Config, options: Options) -> Description {
    let mut description = Description {
        topics: topics(config),
        space: config.kibana.as_ref().and_then(|it| it.space.clone()),
        ..Description::default()
    };
    if let Some(partitions) = options.partitions {
        description.partitions = partitions;
    }
    if let Some(sink) = &config.sinks.elasticsearch {
        description.index = sink.index.to_string();
        description.partitions_index = sink.partitions_index.to_string();
        description.layout = match sink.layout {
            Layout::Wide => kibana::Layout::Wide,
            Layout::Both => kibana::Layout::Both,
            Layout::Partitions => kibana::Layout::Partitions,
        };
    }
    description
}

/// Topics that the configuration names, each once, in its order: those whose silence can be told.
fn topics(config: &Config) -> Vec<String> {
    let mut topics: Vec<String> = Vec::new();
    for source in &config.sources {
        let named = match &source.topics {
            Topics::One(topic) => std::slice::from_ref(topic),
            Topics::Listed(topics) => topics.as_slice(),
            Topics::All { .. } => &[],
        };
        for topic in named {
            if !topics.contains(topic) {
                topics.push(topic.clone());
            }
        }
    }
    topics
}
