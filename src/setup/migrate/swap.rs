//! In: two indices with the same documents. Out: the older one under another name, the new one under the name that everybody asks for.
//! Never: leaves an instant in which the name leads nowhere, or to both.

use serde_json::{Value, json};
use tokio::time::{Duration, sleep};

use super::look::{self, Older};
use super::target::{mark_of, marked};
use super::{MigrateError, Migration};
use crate::setup::place::{Place, matching};
use crate::sinks::elasticsearch::{Admin, AdminError, Method};

/// Names that are tried for the older index.
const NAMES_MAX: u32 = 1000;

/// A clone is hard links; where it has to be copied after all (another file system), so many questions of `HEALTH_WAIT` each are asked.
const HEALTH_QUESTIONS_MAX: u32 = 360;
const HEALTH_WAIT: &str = "5s";

/// Questions for what became of a request without an answer, and the time between two.
const LOOKS_MAX: u32 = 30;
const LOOK_EVERY: Duration = Duration::from_secs(2);

/// The name for the older index: that of an earlier migration's clone, else the first free one. It begins with no pattern of a data view, or
/// every number would be shown twice.
pub(super) async fn choose(admin: &mut Admin, older: &Older) -> Result<String, MigrateError> {
    let stem = format!("{}_before_migration", older.name);
    let indices = matching(admin, &format!("{stem}*")).await?;
    let mut ours = indices
        .iter()
        .filter(|(_, index)| mark_of(index, older).is_some());
    if let Some((name, _)) = ours.next() {
        return Ok(name.clone());
    }
    for number in 1..=NAMES_MAX {
        let name = match number {
            1 => stem.clone(),
            number => format!("{stem}_{number}"),
        };
        if Place::of(admin, &name).await? == Place::Nothing {
            return Ok(name);
        }
    }
    let what = format!(
        "{}: there are {NAMES_MAX} indices {stem}_<N>; delete some",
        older.name
    );
    Err(MigrateError::NotMovable { what })
}

impl Migration<'_, '_> {
    /// Makes a second name for the older index: an index has one name for ever, so it is cloned.
    pub(super) async fn keep_older(&mut self) -> Result<(), MigrateError> {
        let (index, kept) = (self.older.name.clone(), self.kept.clone());
        // The clone inherits the mark: it tells an earlier migration's clone from an index that merely has such a name.
        let meta = self.older.index.mappings.get("_meta");
        let body = json!({"_meta": marked(meta, &self.older, false, "")});
        let path = format!("{index}/_mapping");
        let answer = self.admin.ask(Method::Put, &path, Some(&body)).await?;
        answer.expect(&format!("mark {index:?}"))?;
        let path = format!("{index}/_clone/{kept}");
        let answer = self.admin.ask(Method::Put, &path, None).await?;
        let is_there = answer.kind.as_deref() == Some("resource_already_exists_exception");
        if !is_there {
            answer.expect(&format!("clone {index:?} to {kept:?}"))?;
        }
        self.await_clone().await?;
        look::refresh(&mut self.admin, &kept).await?;
        let there = look::count(&mut self.admin, &index).await?;
        let cloned = look::count(&mut self.admin, &kept).await?;
        if there != cloned {
            let what = format!("{index} has {there} documents, {kept} has {cloned}");
            return Err(MigrateError::Counts { what });
        }
        (self.say)(format!("cloned {index} to {kept}, which stays read-only"));
        Ok(())
    }

    async fn await_clone(&mut self) -> Result<(), MigrateError> {
        let path = format!(
            "_cluster/health/{}?wait_for_status=yellow&timeout={HEALTH_WAIT}",
            self.kept
        );
        for _ in 0..HEALTH_QUESTIONS_MAX {
            self.go_on().await?;
            // Until then it answers 408, which is no error here.
            let answer = self.admin.ask(Method::Get, &path, None).await?;
            if answer.is_success() && answer.body.get("timed_out") == Some(&Value::Bool(false)) {
                return Ok(());
            }
        }
        let what = format!("{:?} to {:?}", self.older.name, self.kept);
        Err(MigrateError::Admin(AdminError::Refused {
            what: format!("clone {what}"),
            reason: "its shards find no place; see GET _cluster/allocation/explain".to_owned(),
        }))
    }

    /// Gives the name to the copy, in one request.
    pub(super) async fn exchange(&mut self) -> Result<(), MigrateError> {
        let (index, target) = (self.older.name.clone(), self.target.name.clone());
        let mut actions = vec![
            json!({"add": {"index": target, "alias": index, "is_write_index": true}}),
            json!({"remove_index": {"index": index}}),
        ];
        // Aliases of the older index would go with it.
        for (alias, options) in self.older.index.aliases.as_object().into_iter().flatten() {
            let mut add = options.as_object().cloned().unwrap_or_default();
            add.insert("index".to_owned(), json!(target));
            add.insert("alias".to_owned(), json!(alias));
            actions.push(json!({ "add": add }));
        }
        let body = json!({ "actions": actions });
        let what = format!("make {index:?} an alias of {target:?}");
        match self.admin.ask(Method::Post, "_aliases", Some(&body)).await {
            Ok(answer) => answer.expect(&what).map(|_| ())?,
            Err(error @ AdminError::NoAnswer(_)) => {
                if !self.is_exchanged().await? {
                    return Err(error.into());
                }
            }
            Err(error) => return Err(error.into()),
        }
        (self.say)(format!("made {index} an alias of {target}"));
        (self.say)(format!(
            "done: the older index is kept as {kept}; when nobody misses it, DELETE {kept}",
            kept = self.kept
        ));
        Ok(())
    }

    /// Whether a request that got no answer was done all the same.
    async fn is_exchanged(&mut self) -> Result<bool, AdminError> {
        let mut last = AdminError::NoAnswer("no node to ask".to_owned());
        for _ in 0..LOOKS_MAX {
            match Place::of(&mut self.admin, &self.older.name).await {
                Ok(place) => return Ok(matches!(place, Place::Alias(_))),
                Err(error) => last = error,
            }
            sleep(LOOK_EVERY).await;
        }
        Err(last)
    }
}
