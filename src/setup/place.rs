//! In: a name. Out: what the cluster has under it: nothing, an index, an alias, a data stream, and the indices behind.
//! Never: changes anything.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::sinks::elasticsearch::{Admin, AdminError, Answer, Method};

/// What a name stands for in a cluster.
#[derive(Debug, Clone, PartialEq)]
pub enum Place {
    Nothing,
    Index(Box<Concrete>),
    /// Several names in one: by the index's own name.
    Alias(BTreeMap<String, Concrete>),
    /// The indices are its backing ones.
    DataStream(BTreeMap<String, Concrete>),
}

/// An index as `GET <name>` describes it.
#[derive(Debug, Clone, PartialEq)]
pub struct Concrete {
    pub uuid: String,
    pub mappings: Value,
    /// Flat: `index.blocks.write` → `"true"`; every value is a text.
    pub settings: Value,
    /// By name of the alias.
    pub aliases: Value,
}

impl Place {
    /// Looks, in one request.
    ///
    /// # Errors
    /// As `Admin::ask`, and an answer that is no success.
    pub async fn of(admin: &mut Admin, name: &str) -> Result<Self, AdminError> {
        let answer = admin
            .ask(Method::Get, &format!("{name}?flat_settings=true"), None)
            .await?;
        if answer.status == 404 {
            return Ok(Self::Nothing);
        }
        let mut indices = concrete(answer, name)?;
        if let Some(index) = indices.remove(name) {
            return Ok(Self::Index(Box::new(index)));
        }
        let is_alias = |index: &Concrete| index.aliases.get(name).is_some();
        Ok(match indices.is_empty() {
            true => Self::Nothing,
            false if indices.values().all(is_alias) => Self::Alias(indices),
            false => Self::DataStream(indices),
        })
    }
}

impl Concrete {
    /// A setting by its flat name; `None`: not set.
    pub fn setting(&self, name: &str) -> Option<&str> {
        self.settings.get(name).and_then(Value::as_str)
    }
}

/// All indices that a pattern (`consumer_lag_v*`) matches, by name; none is no error.
///
/// # Errors
/// As `Admin::ask`, and an answer that is no success.
pub async fn matching(
    admin: &mut Admin,
    pattern: &str,
) -> Result<BTreeMap<String, Concrete>, AdminError> {
    let path = format!("{pattern}?flat_settings=true&allow_no_indices=true&expand_wildcards=all");
    let answer = admin.ask(Method::Get, &path, None).await?;
    match answer.status {
        404 => Ok(BTreeMap::new()),
        _ => concrete(answer, pattern),
    }
}

/// The names of all indices that a pattern matches; none is no error. Without their mappings, which of some years of daily indices would be too long
/// an answer.
///
/// # Errors
/// As `Admin::ask`, and an answer that is no success.
pub async fn names(admin: &mut Admin, pattern: &str) -> Result<Vec<String>, AdminError> {
    let path = format!("{pattern}/_settings/index.uuid?allow_no_indices=true&expand_wildcards=all");
    let answer = admin.ask(Method::Get, &path, None).await?;
    if answer.status == 404 {
        return Ok(Vec::new());
    }
    let body = answer.expect(&format!("look for {pattern:?}"))?;
    let names = body.as_object().into_iter().flatten();
    Ok(names.map(|(name, _)| name.clone()).collect())
}

fn concrete(answer: Answer, name: &str) -> Result<BTreeMap<String, Concrete>, AdminError> {
    let body = answer.expect(&format!("look at {name:?}"))?;
    let Value::Object(indices) = body else {
        return Ok(BTreeMap::new());
    };
    let read = |mut index: Value| {
        let mut part = |key: &str| index.get_mut(key).map(Value::take).unwrap_or_default();
        let (mappings, settings, aliases) = (part("mappings"), part("settings"), part("aliases"));
        let uuid = settings.get("index.uuid").and_then(Value::as_str);
        Concrete {
            uuid: uuid.unwrap_or_default().to_owned(),
            mappings,
            settings,
            aliases,
        }
    };
    Ok(indices
        .into_iter()
        .map(|(name, index)| (name, read(index)))
        .collect())
}
