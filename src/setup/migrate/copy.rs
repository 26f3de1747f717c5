//! In: an older index that refuses documents, an index with the new mapping. Out: every document in both, under the same `_id`.
//! Never: changes a document, makes one twice, takes an end for a success that nobody has counted.

use serde_json::{Value, json};

use super::{MigrateError, Migration, look};
use crate::setup::bulk::{self, Action, BulkError};
use crate::setup::hand::{PAGE_DOCUMENTS_MAX, Pages};
use crate::setup::task::{self, End};
use crate::sinks::elasticsearch::{Admin, AdminError, Method};

/// A copy that a restart of a node has ended begins anew so often; what is there already costs little.
const ATTEMPTS_MAX: u32 = 5;

/// Pages between two lines of progress: about each ten seconds.
const PAGES_PER_LINE: u64 = 100;

/// How one attempt ended.
enum Copied {
    Whole,
    /// It may be begun again.
    Broken(String),
    /// The server cannot copy by itself.
    NoModule,
}

impl Migration<'_, '_> {
    /// Copies until there is nothing left to copy.
    pub(super) async fn copy(&mut self) -> Result<(), MigrateError> {
        let (index, target) = (self.older.name.clone(), self.target.name.clone());
        look::refresh(&mut self.admin, &index).await?;
        self.older.documents = look::count(&mut self.admin, &index).await?;
        let mut is_by_task = true;
        let mut why = String::new();
        for attempt in 0..ATTEMPTS_MAX {
            self.go_on().await?;
            let mut copied = Copied::NoModule;
            if is_by_task {
                copied = self.copy_by_task().await?;
                is_by_task = !matches!(copied, Copied::NoModule);
            }
            if !is_by_task {
                // An answer that was too long is the page's fault.
                let page = PAGE_DOCUMENTS_MAX >> attempt;
                copied = self.copy_by_hand(page.max(1)).await?;
            }
            match copied {
                Copied::Whole => {
                    look::refresh(&mut self.admin, &target).await?;
                    return Ok(());
                }
                Copied::Broken(broken) => {
                    (self.say)(format!("the copy broke off ({broken}), beginning again"));
                    why = broken;
                }
                Copied::NoModule => {}
            }
        }
        Err(MigrateError::Copy { index, why })
    }

    /// By `_reindex`, as a task of the server; a task of an earlier migration that still works is waited for.
    async fn copy_by_task(&mut self) -> Result<Copied, MigrateError> {
        let (index, target) = (self.older.name.clone(), self.target.name.clone());
        let id = match running(&mut self.admin, &index, &target).await? {
            Some(id) => {
                (self.say)(format!("waiting for task {id}, which copies already"));
                id
            }
            None => {
                let path = "_reindex?wait_for_completion=false&slices=auto";
                let body = json!({"conflicts": "proceed", "source": {"index": index},
                    "dest": {"index": target, "op_type": "create"}});
                let answer = match self.admin.ask(Method::Post, path, Some(&body)).await {
                    Ok(answer) if answer.is_unknown_to_the_server() => return Ok(Copied::NoModule),
                    Ok(answer) => answer.expect(&format!("copy {index:?}"))?,
                    // Whether it has begun is seen at the next attempt.
                    Err(AdminError::NoAnswer(why)) => return Ok(Copied::Broken(why)),
                    Err(error) => return Err(error.into()),
                };
                let Some(id) = answer.get("task").and_then(Value::as_str) else {
                    return Ok(Copied::Broken("_reindex named no task".to_owned()));
                };
                (self.say)(format!(
                    "copying {index} to {target} by _reindex, task {id}"
                ));
                id.to_owned()
            }
        };
        match task::wait(&mut self.admin, &id, "copied", self.stop, self.say).await? {
            End::Stopped => Err(MigrateError::Stopped),
            End::Lost => Ok(Copied::Broken(
                "the node that copied has restarted".to_owned(),
            )),
            End::Failed(why) => Ok(Copied::Broken(why)),
            End::Done(response) => match task::first_failure(&response) {
                None => {
                    let canceled = response.get("canceled").and_then(Value::as_str);
                    Ok(match canceled {
                        Some(why) => Copied::Broken(format!("canceled {why}")),
                        None => Copied::Whole,
                    })
                }
                Some((Some(id), reason)) => Err(MigrateError::Document { index, id, reason }),
                Some((None, reason)) => Ok(Copied::Broken(reason)),
            },
        }
    }

    /// Page by page through this process.
    async fn copy_by_hand(&mut self, page: usize) -> Result<Copied, MigrateError> {
        let (index, target) = (self.older.name.clone(), self.target.name.clone());
        let total = self.older.documents;
        (self.say)(format!(
            "copying {index} to {target} page by page: this server has no _reindex"
        ));
        let all = json!({"match_all": {}});
        let opened = Pages::open(&mut self.admin, &index, &all, true, page).await;
        let (mut pages, mut hits) = match opened {
            Ok(opened) => opened,
            Err(error) => return broken(error),
        };
        let (mut copied, mut count) = (0_u64, 0_u64);
        while !hits.is_empty() {
            if self.stop.is_cancelled() {
                pages.close(&mut self.admin).await;
                return Err(MigrateError::Stopped);
            }
            let done = bulk::apply(&mut self.admin, Action::Create(&target), hits, self.stop).await;
            let done = match done {
                Ok(done) => done,
                Err(error) => {
                    pages.close(&mut self.admin).await;
                    return judge(index, error);
                }
            };
            copied += done.changed + done.before;
            count += 1;
            if count.is_multiple_of(PAGES_PER_LINE) {
                (self.say)(task::of_all("copied", copied, total));
            }
            hits = match pages.next(&mut self.admin).await {
                Ok(hits) => hits,
                Err(error) => return broken(error),
            };
        }
        pages.close(&mut self.admin).await;
        (self.say)(task::of_all("copied", copied, total));
        Ok(Copied::Whole)
    }
}

/// The task that copies from `index` to `target`; `None`: there is none.
pub(super) async fn running(
    admin: &mut Admin,
    index: &str,
    target: &str,
) -> Result<Option<String>, AdminError> {
    let path = "_tasks?actions=*reindex&detailed=true";
    let answer = admin.ask(Method::Get, path, None).await?;
    let body = answer.expect("ask for the tasks that run")?;
    let nodes = body.get("nodes").and_then(Value::as_object);
    let tasks = nodes
        .into_iter()
        .flatten()
        .filter_map(|(_, node)| node.get("tasks")?.as_object())
        .flatten();
    let mut ours = tasks.filter(|(_, task)| {
        let description = task.get("description").and_then(Value::as_str);
        let description = description.unwrap_or_default();
        // The slices of a task have a parent, and end with it.
        task.get("parent_task_id").is_none()
            && description.contains(&format!("[{index}]"))
            && description.contains(&format!("[{target}]"))
    });
    Ok(ours.next().map(|(id, _)| id.clone()))
}

fn judge(index: String, error: BulkError) -> Result<Copied, MigrateError> {
    match error {
        BulkError::Document { id, reason } => Err(MigrateError::Document { index, id, reason }),
        BulkError::Stopped => Err(MigrateError::Stopped),
        BulkError::Busy(why) => Err(MigrateError::Copy { index, why }),
        BulkError::Admin(error) => broken(error),
    }
}

/// A cluster that did not answer, or has forgotten the scroll, may be asked again from the start; a login or privilege may not.
fn broken(error: AdminError) -> Result<Copied, MigrateError> {
    match error {
        AdminError::NoAnswer(_) | AdminError::Refused { .. } => {
            Ok(Copied::Broken(error.to_string()))
        }
        error => Err(error.into()),
    }
}
