//! In: the samples of a demonstration as they come. Out: a live view on a terminal, plain lines in a pipe.
//! Never: leaves the terminal other than it found it.

use std::io::{self, IsTerminal, Write};
use std::time::Duration;

use chrono::{DateTime, Utc};
use tokio::time::{Instant, MissedTickBehavior, interval_at};
use tokio_util::sync::CancellationToken;

use super::exit::Exit;
use super::{columns, table, terminal, watch};
use crate::app::demo::{Demo, Error, Progress};
use crate::sample::Sample;
use crate::watch::{Topics, Watch, age};

/// In a pipe every topic gets one line this often.
const PLAIN_EVERY: Duration = Duration::from_secs(5);

/// Show a simulated fleet, collected by the real pipeline, in a live view
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// Also index into this Elasticsearch, for example http://127.0.0.1:9200
    ///
    /// Credentials come from the environment: ES_API_KEY, or ES_PASSWORD with ES_USERNAME (elastic where it is not set). The index is
    /// consumer_lag; it is created when it does not exist.
    #[arg(long, value_name = "URL")]
    pub elasticsearch: Option<String>,

    /// End after this long, for example 30s; without it, at q or Ctrl-C
    #[arg(long = "for", value_name = "DURATION", value_parser = humantime::parse_duration)]
    pub duration: Option<Duration>,
}

/// Whether log lines would be written over a live view.
pub fn is_drawn_over_by_logs() -> bool {
    io::stdout().is_terminal() && io::stderr().is_terminal()
}

/// Shows a simulated fleet until `stop` or a key, or for as long as the arguments say.
///
/// # Errors
/// The fleet or the pipeline cannot start.
pub async fn run(arguments: &Arguments, stop: CancellationToken) -> Result<Exit, Error> {
    let env = |name: &str| std::env::var(name).ok();
    let demo = Demo::start(arguments.elasticsearch.as_deref(), &env).await?;
    let end = stop.child_token();
    if let Some(duration) = arguments.duration {
        let end = end.clone();
        tokio::spawn(async move {
            tokio::time::sleep(duration).await;
            end.cancel();
        });
    }
    if terminal::why_not().is_none() {
        on_terminal(&demo, &end).await;
    } else {
        in_pipe(&demo, &end).await;
    }
    // The terminal is itself again before the orderly end, which may take some seconds.
    demo.finish().await;
    Ok(Exit::Done)
}

async fn on_terminal(demo: &Demo, stop: &CancellationToken) {
    let (hosts, _) = demo.size();
    let title = format!("mirrorlag demo: {hosts} simulated mirror hosts");
    let mut view = Watch::new(&title, terminal::look());
    let shown = watch::show(&mut view, demo.follow(), stop).await;
    let latest: Vec<Sample> = view
        .topics()
        .iter()
        .map(|(_, it)| it.latest().clone())
        .collect();
    let color = terminal::look().has_color;
    let text = table::render(&latest, Utc::now(), terminal::width(), color);
    // A terminal that is gone cannot be told.
    if shown.is_ok() {
        let last = footer(&demo.progress().await).join("\n");
        let _gone = writeln!(io::stdout(), "{text}{last}");
    }
}

async fn in_pipe(demo: &Demo, stop: &CancellationToken) {
    let mut out = io::stdout();
    if writeln!(out, "# {}", heading(demo)).is_err() {
        return;
    }
    let mut topics = Topics::default();
    let mut updates = demo.follow();
    let mut lines = interval_at(Instant::now() + PLAIN_EVERY, PLAIN_EVERY);
    lines.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            Some(update) = updates.recv() => {
                update.samples.into_iter().for_each(|sample| topics.push(sample));
            }
            _ = lines.tick() => {
                let footer = footer(&demo.progress().await).join("; ");
                let text = plain(&topics, Utc::now());
                // A reader that went away (`demo | head`) ends the demonstration quietly.
                if writeln!(out, "{text}# {footer}").and_then(|()| out.flush()).is_err() {
                    return;
                }
            }
        }
    }
}

/// One line per topic: an instant, then `key=value` words; ends with a line feed.
fn plain(topics: &Topics, now: DateTime<Utc>) -> String {
    let mut text = String::new();
    for (_, topic) in topics.iter() {
        let sample = topic.latest();
        let number = |n: Option<i64>| n.map_or("-".to_owned(), |n| n.to_string());
        let words = format!(
            "{} topic={} group={} mirror_host={} partitions={} lag_total={} lag_max={} trend={} outcome={} group_state={} age={}",
            sample.sampled_at.format("%H:%M:%S"),
            sample.topic,
            sample.group,
            sample.mirror_host,
            sample.partitions.len(),
            number(sample.lag_total()),
            number(sample.lag_max()),
            topic.trend().word(),
            sample.outcome.word(),
            sample.group_state.word(),
            age(now - sample.sampled_at),
        );
        text.push_str(&columns::printable(&words));
        text.push('\n');
    }
    text
}

fn heading(demo: &Demo) -> String {
    let (hosts, topics) = demo.size();
    format!(
        "mirrorlag demo: {hosts} simulated mirror hosts on 127.0.0.1, {topics} topics, every second"
    )
}

fn footer(progress: &Progress) -> Vec<String> {
    let seconds = progress.running_for.as_secs_f64();
    let size = progress.journal_bytes.map_or("-".to_owned(), |bytes| {
        bytesize::ByteSize(bytes).display().iec().to_string()
    });
    let mut lines = vec![format!(
        "{seconds:.0}s, {} samples, {:.1} per second; journal {size}",
        progress.records,
        progress.records as f64 / seconds.max(1.0),
    )];
    lines.extend(progress.sinks.iter().cloned());
    lines
}

#[cfg(test)]
mod tests;
