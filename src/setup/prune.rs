//! In: the settings of a sink, an instant. Out: no index and no document there that is older; a line for each index.
//! Never: deletes an index whose name it cannot read, or one that documents can still come for.

use bytesize::ByteSize;
use chrono::{DateTime, SecondsFormat, Utc};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use super::Say;
use super::bulk::{self, Action, BulkError};
use super::hand::{PAGE_DOCUMENTS_MAX, Pages};
use super::place::{self, Concrete, Place};
use super::task::{self, End};
use crate::sinks::elasticsearch::{Admin, AdminError, IndexName, Method, Settings};

/// What keeps old documents where they are.
#[derive(Debug, thiserror::Error)]
pub enum PruneError {
    #[error(transparent)]
    Admin(#[from] AdminError),
    #[error("cannot prune {index}: @timestamp is not a date there; migrate it first")]
    NoDate { index: String },
    #[error("cannot delete all of the older documents of {index}: {why}; type the command again")]
    Incomplete { index: String, why: String },
    #[error("stopped; the same command goes on")]
    Stopped,
}

/// What is old, and what may still come of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Age {
    /// Documents before it are deleted.
    pub before: DateTime<Utc>,
    /// The oldest sample that the journal still has to send; `None`: it has nothing to send, or cannot be read.
    pub oldest_unsent: Option<DateTime<Utc>>,
}

/// Deletes what is older, of both layouts' indices: whole indices where the name has a date, documents where it has none.
///
/// # Errors
/// The first thing that does not allow it; what was said to be deleted is deleted.
pub async fn prune(
    settings: &Settings,
    age: Age,
    is_dry_run: bool,
    stop: &CancellationToken,
    say: &mut Say<'_>,
) -> Result<(), PruneError> {
    let mut pruning = Pruning {
        admin: Admin::new(settings)?,
        age,
        is_dry_run,
        stop,
        say,
    };
    for name in [&settings.index, &settings.partitions_index] {
        match name.period() {
            Some(_) => pruning.indices(name).await?,
            None => pruning.documents(&name.to_string()).await?,
        }
    }
    Ok(())
}

struct Pruning<'a, 's> {
    admin: Admin,
    age: Age,
    is_dry_run: bool,
    stop: &'a CancellationToken,
    say: &'a mut Say<'s>,
}

impl Pruning<'_, '_> {
    /// Deletes the indices whose time was over before.
    async fn indices(&mut self, name: &IndexName) -> Result<(), PruneError> {
        let indices = place::names(&mut self.admin, &name.pattern()).await?;
        // A name that is not read back strictly is somebody else's.
        let ours: Vec<(String, DateTime<Utc>)> = indices
            .into_iter()
            .filter_map(|index| name.range_of(&index).map(|(_, end)| (index, end)))
            .collect();
        if ours.is_empty() {
            (self.say)(format!("{name}: there is no index that this user may see"));
            return Ok(());
        }
        let (all, mut kept) = (ours.len(), 0);
        for (index, end) in ours {
            self.go_on()?;
            if end > self.age.before {
                kept += 1;
                continue;
            }
            if let Some(unsent) = self.age.oldest_unsent.filter(|unsent| *unsent < end) {
                kept += 1;
                (self.say)(format!(
                    "kept {index}: the journal still has a sample of {} to send, which would make it anew",
                    text_of(unsent)
                ));
                continue;
            }
            self.index(&index).await?;
        }
        (self.say)(format!("{name}: kept {kept} of {all} indices"));
        Ok(())
    }

    async fn index(&mut self, index: &str) -> Result<(), PruneError> {
        let size = self.size_of(index).await?;
        if self.is_dry_run {
            (self.say)(format!("would delete {index}: {size}"));
            return Ok(());
        }
        let answer = self.admin.ask(Method::Delete, index, None).await?;
        if answer.status == 404 {
            (self.say)(format!("{index} is gone already"));
            return Ok(());
        }
        answer.expect(&format!("delete index {index:?}"))?;
        (self.say)(format!("deleted {index}: {size}"));
        Ok(())
    }

    /// In words; a closed index does not tell its own.
    async fn size_of(&mut self, index: &str) -> Result<String, PruneError> {
        let path = format!("{index}/_stats/docs,store?filter_path=_all");
        let answer = self.admin.ask(Method::Get, &path, None).await?;
        let number = |path: &str| answer.body.pointer(path).and_then(Value::as_u64);
        let documents = number("/_all/primaries/docs/count");
        let bytes = number("/_all/total/store/size_in_bytes");
        Ok(match documents.zip(bytes) {
            Some((documents, bytes)) => format!("{documents} documents, {}", ByteSize(bytes)),
            None => "of unknown size".to_owned(),
        })
    }

    /// Deletes the documents that were before, from an index that goes on.
    async fn documents(&mut self, index: &str) -> Result<(), PruneError> {
        self.go_on()?;
        let behind = match Place::of(&mut self.admin, index).await? {
            Place::Nothing => {
                (self.say)(format!("{index}: there is no such index"));
                return Ok(());
            }
            Place::DataStream(_) => {
                (self.say)(format!(
                    "{index} is a data stream: its lifecycle deletes by itself (retain_for, which `mirrorlag setup` gives it), nothing done"
                ));
                return Ok(());
            }
            Place::Index(it) => vec![*it],
            Place::Alias(indices) => indices.into_values().collect(),
        };
        // On a text, "before" would be a comparison of letters.
        if !behind.iter().all(has_date) {
            let index = index.to_owned();
            return Err(PruneError::NoDate { index });
        }
        let before = self.age.before.timestamp_millis();
        let query = json!({"range": {"@timestamp": {"lt": before, "format": "epoch_millis"}}});
        let older = self.count(index, &query).await?;
        let than = text_of(self.age.before);
        if older == 0 || self.is_dry_run {
            let verb = if older == 0 { "has" } else { "would lose" };
            (self.say)(format!(
                "{index} {verb} {older} documents older than {than}"
            ));
            return Ok(());
        }
        let deleted = match self.delete_by_task(index, &query).await? {
            Some(deleted) => deleted,
            None => self.delete_by_hand(index, &query, older).await?,
        };
        (self.say)(format!(
            "deleted {deleted} documents older than {than} from {index}; merges give their disk back"
        ));
        Ok(())
    }

    async fn count(&mut self, index: &str, query: &Value) -> Result<u64, PruneError> {
        let path = format!("{index}/_count");
        let body = json!({ "query": query });
        let answer = self.admin.ask(Method::Post, &path, Some(&body)).await?;
        let body = answer.expect(&format!("count the documents of {index:?}"))?;
        Ok(body.get("count").and_then(Value::as_u64).unwrap_or(0))
    }

    /// By `_delete_by_query`, as a task of the server; `None`: it has no such thing.
    async fn delete_by_task(
        &mut self,
        index: &str,
        query: &Value,
    ) -> Result<Option<u64>, PruneError> {
        let path = format!(
            "{index}/_delete_by_query?wait_for_completion=false&conflicts=proceed&slices=auto"
        );
        let body = json!({ "query": query });
        let answer = self.admin.ask(Method::Post, &path, Some(&body)).await?;
        // 7.17 takes the path for that of a document, which has no such parameters.
        let is_unknown = answer.reason.contains("unrecognized parameter");
        if is_unknown || answer.is_unknown_to_the_server() {
            return Ok(None);
        }
        let body = answer.expect(&format!("delete from {index:?}"))?;
        let incomplete = |why: String| PruneError::Incomplete {
            index: index.to_owned(),
            why,
        };
        let Some(id) = body.get("task").and_then(Value::as_str) else {
            return Err(incomplete("_delete_by_query named no task".to_owned()));
        };
        match task::wait(&mut self.admin, id, "deleted", self.stop, self.say).await? {
            End::Stopped => Err(PruneError::Stopped),
            End::Lost => Err(incomplete("the node that deleted has restarted".to_owned())),
            End::Failed(why) => Err(incomplete(why)),
            End::Done(response) => {
                if let Some((_, why)) = task::first_failure(&response) {
                    return Err(incomplete(why));
                }
                if let Some(why) = response.get("canceled").and_then(Value::as_str) {
                    return Err(incomplete(format!("canceled {why}")));
                }
                Ok(Some(
                    response.get("deleted").and_then(Value::as_u64).unwrap_or(0),
                ))
            }
        }
    }

    /// Page by page through this process.
    async fn delete_by_hand(
        &mut self,
        index: &str,
        query: &Value,
        total: u64,
    ) -> Result<u64, PruneError> {
        let (mut pages, mut hits) =
            Pages::open(&mut self.admin, index, query, false, PAGE_DOCUMENTS_MAX).await?;
        let mut deleted = 0;
        let mut said = 0;
        while !hits.is_empty() {
            let done = bulk::apply(&mut self.admin, Action::Delete, hits, self.stop).await;
            let done = match done {
                _ if self.stop.is_cancelled() => Err(PruneError::Stopped),
                Ok(done) => Ok(done),
                Err(error) => Err(self.incomplete(index, error)),
            };
            match done {
                Ok(done) => deleted += done.changed,
                Err(error) => {
                    pages.close(&mut self.admin).await;
                    return Err(error);
                }
            }
            if deleted / LINE_EVERY > said {
                said = deleted / LINE_EVERY;
                (self.say)(task::of_all("deleted", deleted, total));
            }
            hits = pages.next(&mut self.admin).await?;
        }
        pages.close(&mut self.admin).await;
        Ok(deleted)
    }

    fn incomplete(&self, index: &str, error: BulkError) -> PruneError {
        match error {
            BulkError::Admin(error) => error.into(),
            BulkError::Stopped => PruneError::Stopped,
            error => PruneError::Incomplete {
                index: index.to_owned(),
                why: error.to_string(),
            },
        }
    }

    fn go_on(&self) -> Result<(), PruneError> {
        match self.stop.is_cancelled() {
            true => Err(PruneError::Stopped),
            false => Ok(()),
        }
    }
}

/// Documents between two lines of progress: some ten seconds.
const LINE_EVERY: u64 = 50_000;

fn has_date(index: &Concrete) -> bool {
    let kind = index.mappings.pointer("/properties/@timestamp/type");
    matches!(kind.and_then(Value::as_str), Some("date" | "date_nanos"))
}

fn text_of(instant: DateTime<Utc>) -> String {
    instant.to_rfc3339_opts(SecondsFormat::Secs, true)
}
