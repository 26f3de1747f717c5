//! In: the journal, beside the process that writes it. Out: its dead letters; some of them sent again or dropped.
//! Never: sends what is not asked for, forgets a letter that no sink has.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::Value;

use super::StartError;
use crate::config::Config;
use crate::delivery::{Resent, resend};
use crate::journal::{self, StoredLetter, View};
use crate::sample::Sample;
use crate::sinks::elasticsearch::Elasticsearch;
use crate::sinks::stdout::Stdout;
use crate::sinks::{Sink, document};

/// Letters and bytes taken from the journal at once, and sent in one request: those of a delivery's batch.
const PAGE_LETTERS_MAX: usize = 500;
const PAGE_BYTES_MAX: usize = 1 << 20;

/// A dead letter as an operator looks at it. Serialised, it is a line of `letters list --json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Letter {
    pub number: u64,
    pub sink: String,
    /// Of the record in the journal.
    pub position: u64,
    /// Null, as `tick`, where the record is no sample.
    pub topic: Option<String>,
    pub tick: Option<DateTime<Utc>>,
    pub reason: String,
    pub first_attempt: DateTime<Utc>,
    pub last_attempt: DateTime<Utc>,
    pub attempts: u32,
}

/// A letter with the document as it would be sent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Whole {
    #[serde(flatten)]
    pub letter: Letter,
    #[serde(rename = "_id")]
    pub id: Option<String>,
    /// The record itself where it is no sample.
    pub document: Value,
}

/// Which letters a command is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Which {
    All,
    Numbers(BTreeSet<u64>),
}

/// What `resend` did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Sent {
    pub stored: u64,
    /// Refused again, or no samples; they stay, with the new reason.
    pub refused: u64,
    /// Dead letters in the journal afterwards.
    pub left: u64,
    /// Numbers that no letter has.
    pub missing: BTreeSet<u64>,
    /// Why letters were not tried, by sink.
    pub untried: BTreeMap<String, String>,
}

/// The dead letters of a journal.
#[derive(Debug)]
pub struct Letters {
    view: View,
}

impl Letters {
    /// Opens the journal at `path`, whoever has it.
    ///
    /// # Errors
    /// The journal is not there, or cannot be read.
    pub fn open(path: &Path) -> Result<Self, journal::Error> {
        let view = View::open(path)?;
        Ok(Self { view })
    }

    /// The next letters after this number, in their order; empty behind the last.
    ///
    /// # Errors
    /// The journal cannot be read.
    pub fn page(&self, after: u64) -> Result<Vec<Letter>, journal::Error> {
        let page = self.view.letters(after, PAGE_LETTERS_MAX, PAGE_BYTES_MAX)?;
        Ok(page.iter().map(Letter::from).collect())
    }

    /// One letter; `None`: there is none of this number.
    ///
    /// # Errors
    /// The journal cannot be read.
    pub fn find(&self, number: u64) -> Result<Option<Whole>, journal::Error> {
        let found = self.view.letter(number)?;
        Ok(found.as_ref().map(Whole::from))
    }

    /// Forgets letters; `each` is told each one that is gone. Returns the numbers that no letter has.
    ///
    /// # Errors
    /// The journal cannot be read or changed; those told of are gone.
    pub fn drop(
        &self,
        which: &Which,
        mut each: impl FnMut(&Letter),
    ) -> Result<BTreeSet<u64>, journal::Error> {
        let mut wanted = Wanted::new(which);
        while let Some(page) = wanted.next(&self.view)? {
            let numbers: Vec<u64> = page.iter().map(|stored| stored.number).collect();
            self.view.remove_letters(&numbers)?;
            page.iter().map(Letter::from).for_each(|it| each(&it));
        }
        Ok(wanted.missing)
    }
}

/// Sends letters again, through the sinks of their readers, and forgets those that are stored.
///
/// # Errors
/// A sink's settings are unusable, or the journal cannot be read or changed. A letter that was stored and could not be forgotten is sent
/// again the next time, which stores nothing twice.
pub async fn send(config: &Config, which: &Which) -> Result<Sent, StartError> {
    let view = View::open(&config.journal.path)?;
    let mut elasticsearch = match &config.sinks.elasticsearch {
        Some(settings) => Some(Elasticsearch::new(settings)?),
        None => None,
    };
    let mut stdout = config.sinks.stdout.then(Stdout::new);
    let mut wanted = Wanted::new(which);
    let mut sent = Sent::default();
    while let Some(page) = wanted.next(&view)? {
        let mut by_sink: BTreeMap<String, Vec<StoredLetter>> = BTreeMap::new();
        for stored in page {
            let letters = by_sink.entry(stored.letter.reader.clone()).or_default();
            letters.push(stored);
        }
        for (name, letters) in by_sink {
            if sent.untried.contains_key(&name) {
                continue;
            }
            let is = |sink: Option<&str>| sink == Some(name.as_str());
            let resent = if is(elasticsearch.as_ref().map(Sink::name)) {
                through(elasticsearch.as_mut(), letters).await
            } else if is(stdout.as_ref().map(Sink::name)) {
                through(stdout.as_mut(), letters).await
            } else {
                None
            };
            let resent = resent.unwrap_or_else(|| Resent {
                ended: Some("this sink is not in the configuration; they are kept".to_owned()),
                ..Resent::default()
            });
            view.touch_letters(Utc::now(), &resent.refused)?;
            view.remove_letters(&resent.stored)?;
            sent.stored += resent.stored.len() as u64;
            sent.refused += resent.refused.len() as u64 + resent.unreadable;
            if let Some(why) = resent.ended {
                sent.untried.insert(name, why);
            }
        }
    }
    sent.left = view.snapshot()?.size.letters;
    sent.missing = wanted.missing;
    Ok(sent)
}

async fn through<S: Sink>(sink: Option<&mut S>, letters: Vec<StoredLetter>) -> Option<Resent> {
    Some(resend(sink?, letters).await)
}

/// The letters that a command is about, page by page.
struct Wanted {
    /// `None`: all.
    numbers: Option<BTreeSet<u64>>,
    after: u64,
    missing: BTreeSet<u64>,
}

impl Wanted {
    fn new(which: &Which) -> Self {
        Self {
            numbers: match which {
                Which::All => None,
                Which::Numbers(numbers) => Some(numbers.clone()),
            },
            after: 0,
            missing: BTreeSet::new(),
        }
    }

    /// The next page, never empty; `None` behind the last.
    fn next(&mut self, view: &View) -> Result<Option<Vec<StoredLetter>>, journal::Error> {
        let Some(numbers) = &mut self.numbers else {
            let page = view.letters(self.after, PAGE_LETTERS_MAX, PAGE_BYTES_MAX)?;
            let Some(last) = page.last() else {
                return Ok(None);
            };
            self.after = last.number;
            return Ok(Some(page));
        };
        let mut page = Vec::new();
        let mut bytes = 0;
        while page.len() < PAGE_LETTERS_MAX && bytes < PAGE_BYTES_MAX {
            let Some(number) = numbers.pop_first() else {
                break;
            };
            match view.letter(number)? {
                Some(stored) => {
                    bytes += stored.letter.body.len();
                    page.push(stored);
                }
                None => {
                    self.missing.insert(number);
                }
            }
        }
        Ok(Some(page).filter(|page| !page.is_empty()))
    }
}

impl From<&StoredLetter> for Letter {
    fn from(stored: &StoredLetter) -> Self {
        let letter = &stored.letter;
        let sample = sample(stored);
        Self {
            number: stored.number,
            sink: letter.reader.clone(),
            position: letter.position,
            tick: sample.as_ref().map(|sample| sample.sampled_at),
            topic: sample.map(|sample| sample.topic),
            reason: letter.reason.clone(),
            first_attempt: letter.first_attempt,
            last_attempt: letter.last_attempt,
            attempts: letter.attempts,
        }
    }
}

impl From<&StoredLetter> for Whole {
    fn from(stored: &StoredLetter) -> Self {
        let sample = sample(stored);
        let body = &stored.letter.body;
        let sent = sample.as_ref().map(document);
        let bytes = sent.as_deref().unwrap_or(body);
        let as_text = || Value::String(String::from_utf8_lossy(bytes).into_owned());
        Self {
            letter: stored.into(),
            id: sample.as_ref().map(Sample::id),
            document: serde_json::from_slice(bytes).unwrap_or_else(|_| as_text()),
        }
    }
}

/// `None` for a record that is no sample: it was never sent.
fn sample(stored: &StoredLetter) -> Option<Sample> {
    serde_json::from_slice(&stored.letter.body).ok()
}
