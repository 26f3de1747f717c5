//! In: the older index, the configured mapping. Out: an index of its own name with that mapping, and the mark that says whose it is.
//! Never: takes or deletes an index without the mark, or one that an alias leads to.

use serde_json::{Map, Value, json};

use super::look::Older;
use super::{MigrateError, Migration, copy};
use crate::setup::place::{Concrete, Place, matching};
use crate::setup::task;
use crate::sinks::elasticsearch::{Admin, AdminError, Method, Settings};

/// `consumer_lag_v2`: the first index is number one.
const FIRST_NUMBER: u32 = 2;

/// Numbers that are tried; who has so many versions has another trouble.
const NUMBER_MAX: u32 = 1000;

/// Settings of the older index that the new one has too, unless the mapping file says otherwise: shards and replicas for as many documents,
/// fields for as many partitions.
const INHERITED: &[&str] = &[
    "number_of_shards",
    "number_of_replicas",
    "auto_expand_replicas",
    "mapping.total_fields.limit",
];

/// The index that the documents go to.
pub(super) struct Target {
    pub(super) name: String,
    /// What it is created with.
    body: Value,
    /// An earlier migration of the same index began it.
    pub(super) found: Option<String>,
    /// The older index refused documents before the first migration of it began, and does so after one that failed.
    was_blocked: bool,
    /// Who works on it: in the mark, so that of two migrations the one that came first sees that it has to leave.
    token: String,
}

impl Target {
    /// Whether nobody has taken it over.
    pub(super) async fn is_held(&self, admin: &mut Admin) -> Result<bool, AdminError> {
        let Place::Index(index) = Place::of(admin, &self.name).await? else {
            return Ok(false);
        };
        let token = index.mappings.pointer("/_meta/mirrorlag_migration/by");
        Ok(token.and_then(Value::as_str) == Some(self.token.as_str()))
    }

    /// Whether there is no such index, so that nothing is in anybody's hands.
    pub(super) async fn is_missing(&self, admin: &mut Admin) -> bool {
        matches!(Place::of(admin, &self.name).await, Ok(Place::Nothing))
    }

    /// The index of an earlier migration, else the first free number.
    pub(super) async fn choose(
        admin: &mut Admin,
        settings: &Settings,
        older: &Older,
    ) -> Result<Self, MigrateError> {
        let indices = matching(admin, &format!("{}_v*", older.name)).await?;
        let ours = indices.iter().find_map(|(name, index)| {
            let mark = mark_of(index, older)?;
            number_of(&older.name, name)?;
            let has_alias = index.aliases.as_object().is_some_and(|it| !it.is_empty());
            (!has_alias).then(|| (name.clone(), mark))
        });
        let (name, found, was_blocked) = match ours {
            Some((name, mark)) => {
                let was_blocked = mark.get("was_write_blocked") == Some(&Value::Bool(true));
                (name.clone(), Some(name), was_blocked)
            }
            None => (free_name(admin, &older.name).await?, None, older.is_blocked),
        };
        let token = format!("{:016x}", rand::random::<u64>());
        Ok(Self {
            body: body_of(settings, older, was_blocked, &token),
            token,
            name,
            found,
            was_blocked,
        })
    }
}

impl Migration<'_, '_> {
    /// Creates the index, or goes on with the one of an earlier migration if nothing can have changed since.
    pub(super) async fn prepare_target(&mut self) -> Result<(), MigrateError> {
        let name = self.target.name.clone();
        if self.target.found.is_some() {
            if self.older.is_blocked {
                let meta = self.target.body.pointer("/mappings/_meta");
                let body = json!({ "_meta": meta });
                let path = format!("{name}/_mapping");
                let answer = self.admin.ask(Method::Put, &path, Some(&body)).await?;
                answer.expect(&format!("take over {name:?}"))?;
                (self.say)(format!(
                    "going on with {name}, which an earlier migration began"
                ));
                return Ok(());
            }
            // Documents may have come, and gone, since: only a new copy is known to be one.
            self.remove_leavings().await?;
        }
        let body = &self.target.body;
        let answer = self.admin.ask(Method::Put, &name, Some(body)).await?;
        answer.expect(&format!("create index {name:?}"))?;
        (self.say)(format!("created {name} with the new mapping"));
        Ok(())
    }

    /// Makes the older index refuse documents; returns when none is on its way into it any more.
    pub(super) async fn block(&mut self) -> Result<(), MigrateError> {
        let index = self.older.name.clone();
        if self.older.is_blocked {
            (self.say)(format!("{index} refuses documents already"));
            self.is_blocked = true;
            return Ok(());
        }
        let path = format!("{index}/_block/write");
        let answer = self.admin.ask(Method::Put, &path, None).await?;
        let what = format!("block writes to {index:?}");
        let body = answer.expect(&what)?;
        if body.get("shards_acknowledged") != Some(&Value::Bool(true)) {
            // A document that arrives behind the copy would be lost with the older index.
            let reason =
                "documents are still on their way into it; type the command again".to_owned();
            return Err(AdminError::Refused { what, reason }.into());
        }
        self.is_blocked = true;
        (self.say)(format!(
            "blocked {index}: it refuses documents until the names are changed, a `run` keeps them in its journal"
        ));
        Ok(())
    }

    /// Makes the older index take documents again, if it was us who made it refuse them.
    pub(super) async fn unblock(&mut self) -> Result<(), AdminError> {
        if self.target.was_blocked {
            return Ok(());
        }
        let index = &self.older.name;
        let path = format!("{index}/_settings");
        let body = json!({"index.blocks.write": null});
        let answer = self.admin.ask(Method::Put, &path, Some(&body)).await?;
        answer
            .expect(&format!("lift the block of {index:?}"))
            .map(|_| ())
    }

    /// Deletes what migrations of this index have made and nobody uses.
    pub(super) async fn remove_leavings(&mut self) -> Result<(), AdminError> {
        let (admin, older) = (&mut self.admin, &self.older);
        // A task that goes on would make the index anew, with a guessed mapping.
        if let Some(id) = copy::running(admin, &older.name, &self.target.name).await? {
            task::cancel(admin, &id).await?;
        }
        for pattern in ["v", "before_migration"] {
            let pattern = format!("{}_{pattern}*", older.name);
            for (name, index) in matching(admin, &pattern).await? {
                let has_alias = index.aliases.as_object().is_some_and(|it| !it.is_empty());
                if has_alias || mark_of(&index, older).is_none() {
                    continue;
                }
                let answer = admin.ask(Method::Delete, &name, None).await?;
                if answer.status != 404 {
                    answer.expect(&format!("delete index {name:?}"))?;
                    (self.say)(format!("deleted {name}, which a migration had begun"));
                }
            }
        }
        Ok(())
    }
}

/// The mark of a migration of this very index; `None`: it has none.
pub(super) fn mark_of(index: &Concrete, older: &Older) -> Option<Value> {
    let mark = index.mappings.pointer("/_meta/mirrorlag_migration")?;
    let is_of_older =
        mark.get("of_uuid").and_then(Value::as_str) == Some(older.index.uuid.as_str());
    is_of_older.then(|| mark.clone())
}

/// `_meta` with the mark, and with what stands there already.
pub(super) fn marked(meta: Option<&Value>, older: &Older, was_blocked: bool, token: &str) -> Value {
    let mut meta = meta.and_then(Value::as_object).cloned().unwrap_or_default();
    let mark = json!({"of": older.name, "of_uuid": older.index.uuid, "was_write_blocked": was_blocked, "by": token});
    meta.insert("mirrorlag_migration".to_owned(), mark);
    Value::Object(meta)
}

fn body_of(settings: &Settings, older: &Older, was_blocked: bool, token: &str) -> Value {
    let mut body: Value = serde_json::from_str(&settings.mapping).unwrap_or_default();
    let meta = marked(body.pointer("/mappings/_meta"), older, was_blocked, token);
    let mut mappings = part(&mut body, "mappings");
    mappings.insert("_meta".to_owned(), meta);
    let mut given = part(&mut body, "settings");
    for setting in INHERITED {
        let flat = format!("index.{setting}");
        let nested = format!("/{}", setting.replace('.', "/"));
        let all = Value::Object(given.clone());
        let is_given = given.contains_key(&flat)
            || given.contains_key(*setting)
            || all.pointer(&nested).is_some()
            || all.pointer(&format!("/index{nested}")).is_some()
            || all.pointer(&format!("/index/{setting}")).is_some();
        if let Some(value) = older.index.setting(&flat).filter(|_| !is_given) {
            given.insert(flat, json!(value));
        }
    }
    json!({"mappings": mappings, "settings": given})
}

/// An object of the body, taken out; empty where there is none.
fn part(body: &mut Value, key: &str) -> Map<String, Value> {
    match body.get_mut(key).map(Value::take) {
        Some(Value::Object(part)) => part,
        _ => Map::new(),
    }
}

async fn free_name(admin: &mut Admin, index: &str) -> Result<String, MigrateError> {
    for number in FIRST_NUMBER..=NUMBER_MAX {
        let name = format!("{index}_v{number}");
        if Place::of(admin, &name).await? == Place::Nothing {
            return Ok(name);
        }
    }
    let what = format!("{index}: there are {NUMBER_MAX} indices {index}_v<N>; delete some");
    Err(MigrateError::NotMovable { what })
}

/// The number of `consumer_lag_v2`; `None` for any other name.
fn number_of(index: &str, name: &str) -> Option<u32> {
    name.strip_prefix(index)?.strip_prefix("_v")?.parse().ok()
}
