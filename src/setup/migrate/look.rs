//! In: the name that a sink writes to. Out: the older index that is to be migrated, or the words that say why there is nothing to do.
//! Never: changes anything.

use std::collections::BTreeMap;

use bytesize::ByteSize;
use serde_json::Value;

use super::{MigrateError, costs_of};
use crate::setup::Say;
use crate::setup::place::{Concrete, Place};
use crate::sinks::elasticsearch::{Admin, AdminError, Method, Settings};

/// The index that is to be migrated.
pub(super) struct Older {
    pub(super) name: String,
    pub(super) index: Concrete,
    /// It refused documents before this process began: an earlier migration was ended in the middle, or somebody wants it so.
    pub(super) is_blocked: bool,
    /// What the older mapping costs, as `check` says it.
    costs: String,
    /// As many as were counted last.
    pub(super) documents: u64,
}

/// Looks at the name; `None`: there is nothing to do, which was said.
pub(super) async fn older(
    admin: &mut Admin,
    settings: &Settings,
    say: &mut Say<'_>,
) -> Result<Option<Older>, MigrateError> {
    if settings.index.period().is_some() {
        let what = format!(
            "{}: its indices are dated; a new one gets the new mapping by itself, and an older one is migrated with its own name as index in a file of its own",
            settings.index
        );
        return Err(MigrateError::NotMovable { what });
    }
    let name = settings.index.to_string();
    let index = match Place::of(admin, &name).await? {
        Place::Nothing => {
            say(format!(
                "nothing to do: there is no index {name} yet, and `run` creates it with the new mapping"
            ));
            return Ok(None);
        }
        Place::DataStream(_) => {
            let what = format!(
                "{name}: it is a data stream, whose mapping comes from its index template; change that one and roll over"
            );
            return Err(MigrateError::NotMovable { what });
        }
        Place::Alias(indices) => {
            say(behind_alias(&name, &indices)?);
            return Ok(None);
        }
        Place::Index(index) => *index,
    };
    let Some(costs) = costs_of(&name, &index.mappings) else {
        say(format!("nothing to do: {name} has the new mapping"));
        return Ok(None);
    };
    if let Some(costs) = costs_of_new(settings) {
        let what = format!(
            "{name}: mapping_file itself has the older mapping ({costs}); mend it, or remove the key: a mapping is built in"
        );
        return Err(MigrateError::NotMovable { what });
    }
    let is_blocked = index.setting("index.blocks.write") == Some("true");
    Ok(Some(Older {
        name,
        is_blocked,
        index,
        costs,
        documents: 0,
    }))
}

/// Why there is nothing to do for a name that is an alias.
fn behind_alias(name: &str, indices: &BTreeMap<String, Concrete>) -> Result<String, MigrateError> {
    let behind: Vec<&str> = indices.keys().map(String::as_str).collect();
    let behind = behind.join(", ");
    let mut costs = indices
        .iter()
        .filter_map(|(name, index)| costs_of(name, &index.mappings));
    match costs.next() {
        None => Ok(format!(
            "nothing to do: {name} is an alias of {behind}, which has the new mapping"
        )),
        Some(costs) => Err(MigrateError::NotMovable {
            what: format!(
                "{name}: it is an alias of {behind} ({costs}); migrate that index with its own name as index in a file of its own"
            ),
        }),
    }
}

/// Whether the name still is that index.
pub(super) async fn is_same(admin: &mut Admin, older: &Older) -> Result<bool, AdminError> {
    let place = Place::of(admin, &older.name).await?;
    Ok(matches!(place, Place::Index(index) if index.uuid == older.index.uuid))
}

/// Documents of an index that a search finds.
pub(super) async fn count(admin: &mut Admin, index: &str) -> Result<u64, AdminError> {
    let what = format!("count the documents of {index:?}");
    let answer = admin
        .ask(Method::Get, &format!("{index}/_count"), None)
        .await?;
    let body = answer.expect(&what)?;
    let failed = body.pointer("/_shards/failed").and_then(Value::as_u64);
    match (body.get("count").and_then(Value::as_u64), failed) {
        (Some(count), None | Some(0)) => Ok(count),
        _ => Err(AdminError::Refused {
            what,
            reason: "not all of its shards answer; wait until its health is yellow".to_owned(),
        }),
    }
}

/// Makes everything that was written findable, and so countable.
pub(super) async fn refresh(admin: &mut Admin, index: &str) -> Result<(), AdminError> {
    let path = format!("{index}/_refresh");
    let answer = admin.ask(Method::Post, &path, None).await?;
    answer.expect(&format!("refresh {index:?}")).map(|_| ())
}

/// Says how many documents there are, how much disk they take twice, and how much there is.
pub(super) async fn sizes(
    admin: &mut Admin,
    older: &mut Older,
    is_begun: bool,
    say: &mut Say<'_>,
) -> Result<(), MigrateError> {
    older.documents = count(admin, &older.name).await?;
    say(format!(
        "found {} documents; {}",
        older.documents, older.costs
    ));
    let path = format!("{}/_stats/store?filter_path=_all", older.name);
    let answer = admin.ask(Method::Get, &path, None).await?;
    let body = answer.expect(&format!("ask for the size of {:?}", older.name))?;
    let size = body.pointer("/_all/total/store/size_in_bytes");
    let needed = size.and_then(Value::as_u64).unwrap_or(0);
    let free = free_bytes(admin).await?;
    say(format!(
        "the copy needs about {} of disk while both are there; the nodes have {} free",
        ByteSize(needed),
        ByteSize(free)
    ));
    // What an earlier migration has copied is not free any more.
    if !is_begun && needed > free {
        return Err(MigrateError::Disk {
            needed: ByteSize(needed).to_string(),
            free: ByteSize(free).to_string(),
        });
    }
    Ok(())
}

async fn free_bytes(admin: &mut Admin) -> Result<u64, AdminError> {
    let path = "_nodes/data:true/stats/fs?filter_path=nodes.*.fs.total.available_in_bytes";
    let body = admin.ask(Method::Get, path, None).await?;
    let body = body.expect("ask for the free disk of the nodes")?;
    let nodes = body.get("nodes").and_then(Value::as_object);
    let free = nodes.into_iter().flatten().filter_map(|(_, node)| {
        node.pointer("/fs/total/available_in_bytes")
            .and_then(Value::as_u64)
    });
    Ok(free.sum())
}

fn costs_of_new(settings: &Settings) -> Option<String> {
    let body: Value = serde_json::from_str(&settings.mapping).unwrap_or(Value::Null);
    costs_of("mapping_file", body.get("mappings").unwrap_or(&Value::Null))
}
