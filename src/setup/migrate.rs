//! In: the settings of a sink whose index has the older mapping. Out: the same documents under the same name with the new mapping; the older
//! index under another name.
//! Never: gives the name away before every document was counted there; deletes a document that is nowhere else.

use tokio_util::sync::CancellationToken;

use super::Say;
use super::place::Place;
use crate::finding::Verdict;
use crate::sinks::elasticsearch::{Admin, AdminError, Settings, judge_mapping};

mod compare;
mod copy;
mod look;
mod rights;
mod swap;
mod target;

use look::Older;
use target::Target;

/// What stands between an index and its new mapping.
#[derive(Debug, thiserror::Error)]
pub enum MigrateError {
    #[error(transparent)]
    Admin(#[from] AdminError),
    /// It is no index that a migration could be of.
    #[error("cannot migrate {what}")]
    NotMovable { what: String },
    #[error("this user lacks {missing}; give it the role for migrate of the README")]
    Privileges { missing: String },
    #[error("the copy needs about {needed} of disk, and the nodes have {free}; free some first")]
    Disk { needed: String, free: String },
    #[error(
        "document {id:?} of {index:?} does not fit the new mapping ({reason}); mend or delete it there, or take a mapping_file that has room for it"
    )]
    Document {
        index: String,
        id: String,
        reason: String,
    },
    #[error("the copy of {index:?} did not end well: {why}; type the command again")]
    Copy { index: String, why: String },
    #[error("{what}: the copy is not what it was made of; type the command again")]
    Counts { what: String },
    #[error("{index} is another index than a moment ago; type the command again to see what it is")]
    Changed { index: String },
    #[error("another migration of {index} has taken over; wait for its end")]
    TakenOver { index: String },
    #[error(
        "somebody has made {index} take documents again, which the copy may lack; type the command again"
    )]
    Unblocked { index: String },
    #[error("stopped before the names were changed")]
    Stopped,
}

/// How often the name is looked at when it turns out to be another index.
const LOOKS_MAX: u32 = 3;

/// Moves the documents of `index` into an index with the configured mapping and puts an alias in its place; each step is said. Typed again after
/// whatever ended it, it goes on or starts over.
///
/// # Errors
/// The first thing that does not allow it; `say` is told then what was taken back, and what is left to type.
pub async fn migrate(
    settings: &Settings,
    is_dry_run: bool,
    stop: &CancellationToken,
    say: &mut Say<'_>,
) -> Result<(), MigrateError> {
    for _ in 1..LOOKS_MAX {
        match look_and_move(settings, is_dry_run, stop, say).await {
            Err(MigrateError::Changed { index }) => {
                say(format!("{index} is another index now, looking again"));
            }
            ended => return ended,
        }
    }
    look_and_move(settings, is_dry_run, stop, say).await
}

async fn look_and_move(
    settings: &Settings,
    is_dry_run: bool,
    stop: &CancellationToken,
    say: &mut Say<'_>,
) -> Result<(), MigrateError> {
    let mut admin = Admin::new(settings)?;
    let Some(mut older) = look::older(&mut admin, settings, say).await? else {
        return Ok(());
    };
    let (target, kept) = match choose(&mut admin, settings, &mut older, say).await {
        Ok(chosen) => chosen,
        // The last request of a migration that was killed may be done only now.
        Err(_) if !look::is_same(&mut admin, &older).await? => {
            let index = older.name;
            return Err(MigrateError::Changed { index });
        }
        Err(error) => return Err(error),
    };
    let mut migration = Migration {
        admin,
        older,
        target,
        kept,
        is_blocked: false,
        stop,
        say,
    };
    if is_dry_run {
        migration.say_plan();
        return Ok(());
    }
    let moved = migration.move_all().await;
    if let Err(error) = &moved {
        migration.give_up(error).await;
    }
    moved
}

/// The names of the new index and of the kept one, when this user may and the disk is there.
async fn choose(
    admin: &mut Admin,
    settings: &Settings,
    older: &mut Older,
    say: &mut Say<'_>,
) -> Result<(Target, String), MigrateError> {
    let target = Target::choose(admin, settings, older).await?;
    let kept = swap::choose(admin, older).await?;
    rights::judge(admin, [&older.name, &target.name, &kept]).await?;
    look::sizes(admin, older, target.found.is_some(), say).await?;
    Ok((target, kept))
}

/// One migration on its way.
struct Migration<'a, 's> {
    admin: Admin,
    older: Older,
    target: Target,
    /// Name under which the older index is kept.
    kept: String,
    /// The older index refuses documents, by us or before.
    is_blocked: bool,
    stop: &'a CancellationToken,
    say: &'a mut Say<'s>,
}

impl Migration<'_, '_> {
    async fn move_all(&mut self) -> Result<(), MigrateError> {
        self.prepare_target().await?;
        self.go_on().await?;
        self.block().await?;
        self.go_on().await?;
        self.copy().await?;
        self.go_on().await?;
        self.compare().await?;
        self.go_on().await?;
        self.keep_older().await?;
        self.go_on().await?;
        self.exchange().await
    }

    /// Whether the next step may be done: nobody told us to stop, and nobody else is at it.
    async fn go_on(&mut self) -> Result<(), MigrateError> {
        if self.stop.is_cancelled() {
            return Err(MigrateError::Stopped);
        }
        let index = self.older.name.clone();
        let older = match Place::of(&mut self.admin, &index).await? {
            Place::Index(it) if it.uuid == self.older.index.uuid => it,
            _ => return Err(MigrateError::Changed { index }),
        };
        if !self.target.is_held(&mut self.admin).await? {
            return Err(MigrateError::TakenOver { index });
        }
        match self.is_blocked && older.setting("index.blocks.write") != Some("true") {
            true => Err(MigrateError::Unblocked { index }),
            false => Ok(()),
        }
    }

    fn say_plan(&mut self) {
        let (index, target, kept) = (&self.older.name, &self.target.name, &self.kept);
        let lines = [
            match &self.target.found {
                Some(_) if self.older.is_blocked => {
                    format!("would go on with {target}, which an earlier migration began")
                }
                Some(found) => format!(
                    "would delete {found}, which an earlier migration left, and create {target} with the new mapping"
                ),
                None => format!("would create {target} with the new mapping"),
            },
            format!(
                "would make {index} refuse documents (index.blocks.write); a `run` keeps them in its journal and sends them afterwards"
            ),
            format!(
                "would copy {} documents and compare the counts",
                self.older.documents
            ),
            format!("would keep the older index as {kept} (hard links: no disk to speak of)"),
            format!(
                "would make {index} an alias of {target}, in the same request that removes the older index of that name"
            ),
        ];
        for line in lines {
            (self.say)(line);
        }
    }

    /// Takes back what can be taken back, and says what cannot.
    async fn give_up(&mut self, error: &MigrateError) {
        let index = self.older.name.clone();
        if let MigrateError::Admin(AdminError::NoAnswer(_)) = error {
            (self.say)(format!(
                "left as it is: {index} may refuse documents, which a `run` keeps in its journal; the same command goes on from here, and PUT {index}/_settings \
                 {{\"index.blocks.write\": null}} gives it up"
            ));
            return;
        }
        let is_ours = match self.go_on().await {
            Ok(()) | Err(MigrateError::Stopped | MigrateError::Unblocked { .. }) => true,
            Err(_) => self.target.is_missing(&mut self.admin).await,
        };
        if !is_ours {
            (self.say)(format!(
                "left as it is: {index} is not, or not only, in the hands of this command any more"
            ));
            return;
        }
        let taken_back = match self.unblock().await {
            Ok(()) => self.remove_leavings().await,
            Err(error) => Err(error),
        };
        match taken_back {
            Ok(()) => (self.say)(format!(
                "nothing has changed: {index} takes documents as before"
            )),
            Err(error) => (self.say)(format!(
                "could not take everything back: {error}; type PUT {index}/_settings {{\"index.blocks.write\": null}}, or the same command to go on"
            )),
        }
    }
}

/// Whether a mapping needs no migration: the judgement that `check` prints.
fn costs_of(index: &str, mappings: &serde_json::Value) -> Option<String> {
    let answer = serde_json::json!({ index: { "mappings": mappings } });
    match judge_mapping(&answer) {
        Verdict::Passed(_) | Verdict::Skipped(_) => None,
        Verdict::Warned { what, .. } => Some(what),
        Verdict::Failed { why, .. } => Some(why),
    }
}
