//! In: two indices that should have the same documents. Out: that they have, as many in all, as many of each topic, from and to the same instants.
//! Never: takes an answer that is missing for one that agrees.

use std::collections::BTreeMap;

use chrono::{DateTime, SecondsFormat};
use serde_json::{Value, json};

use super::{MigrateError, Migration, look};
use crate::sinks::elasticsearch::{Admin, AdminError, Method};

/// Topics asked for at once.
const PAGE_TOPICS: usize = 1000;

/// More topics than any cluster has; beyond them the comparison would be a cost of its own.
const TOPICS_MAX: usize = 100_000;

/// Documents, first and last instant (milliseconds; `None`: none has one), by topic; the empty topic is that of documents without one.
type Topics = BTreeMap<String, (u64, Option<i64>, Option<i64>)>;

impl Migration<'_, '_> {
    /// Compares the copy with the older index.
    pub(super) async fn compare(&mut self) -> Result<(), MigrateError> {
        let (index, target) = (self.older.name.clone(), self.target.name.clone());
        let there = look::count(&mut self.admin, &index).await?;
        let copied = look::count(&mut self.admin, &target).await?;
        if there != copied {
            let what = format!("{index} has {there} documents, {target} has {copied}");
            return Err(MigrateError::Counts { what });
        }
        let mut counted = Vec::new();
        for name in [&index, &target] {
            match topics_of(&mut self.admin, name).await {
                Ok(topics) => counted.push(topics),
                // It reads the source of every document, which a large index does not give within the limit of a request.
                Err(AdminError::NoAnswer(why) | AdminError::Refused { reason: why, .. }) => {
                    (self.say)(format!(
                        "counted {copied} documents in both; not compared by topic: {why}"
                    ));
                    return Ok(());
                }
                Err(error) => return Err(error.into()),
            }
        }
        let [topics, copies] = counted.as_slice() else {
            return Ok(());
        };
        if let Some(what) = difference(topics, copies) {
            return Err(MigrateError::Counts { what });
        }
        (self.say)(format!(
            "counted {copied} documents in both, of {} topics, each with the same number, first and last instant",
            topics.len()
        ));
        Ok(())
    }
}

/// Counts by topic, whatever the mapping: the source is read where the index has no keyword to count by.
async fn topics_of(admin: &mut Admin, index: &str) -> Result<Topics, AdminError> {
    let what = format!("count the topics of {index:?}");
    let mut topics = Topics::new();
    let mut after = Value::Null;
    loop {
        let mut composite = json!({"size": PAGE_TOPICS,
            "sources": [{"topic": {"terms": {"field": "topic", "missing_bucket": true}}}]});
        if !after.is_null() {
            composite["after"] = after;
        }
        let body = json!({"size": 0,
            "runtime_mappings": {"topic": {"type": "keyword"}, "@timestamp": {"type": "date"}},
            "aggs": {"topics": {"composite": composite,
                "aggs": {"first": {"min": {"field": "@timestamp"}}, "last": {"max": {"field": "@timestamp"}}}}}});
        let path = format!("{index}/_search?filter_path=aggregations,_shards.failed");
        let answer = admin.ask(Method::Post, &path, Some(&body)).await?;
        let body = answer.expect(&what)?;
        let refused = |reason: &str| AdminError::Refused {
            what: what.clone(),
            reason: reason.to_owned(),
        };
        let is_whole = body.pointer("/_shards/failed") == Some(&json!(0));
        let buckets = body.pointer("/aggregations/topics/buckets");
        let Some(buckets) = buckets.and_then(Value::as_array).filter(|_| is_whole) else {
            return Err(refused("not all of its shards answer"));
        };
        for bucket in buckets {
            let topic = bucket.pointer("/key/topic").and_then(Value::as_str);
            let instant = |path: &str| bucket.pointer(path)?.as_f64().map(|it| it as i64);
            let count = bucket.get("doc_count").and_then(Value::as_u64);
            let counted = (
                count.unwrap_or(0),
                instant("/first/value"),
                instant("/last/value"),
            );
            topics.insert(topic.unwrap_or_default().to_owned(), counted);
        }
        after = body
            .pointer("/aggregations/topics/after_key")
            .cloned()
            .unwrap_or_default();
        if buckets.is_empty() || after.is_null() {
            return Ok(topics);
        }
        if topics.len() > TOPICS_MAX {
            return Err(refused("there are too many"));
        }
    }
}

/// The first topic of which they differ, in words.
fn difference(topics: &Topics, copies: &Topics) -> Option<String> {
    let names = topics.keys().chain(copies.keys());
    let mut differing = names.filter(|name| topics.get(*name) != copies.get(*name));
    differing.next().map(|name| {
        let of = |topics: &Topics| match topics.get(name) {
            Some((count, first, last)) => {
                format!("{count} from {} to {}", text_of(*first), text_of(*last))
            }
            None => "none".to_owned(),
        };
        let (there, copied) = (of(topics), of(copies));
        format!("of topic {name:?} there are {there} documents, in the copy {copied}")
    })
}

/// An instant as a document has it.
fn text_of(instant_ms: Option<i64>) -> String {
    let instant = instant_ms.and_then(DateTime::from_timestamp_millis);
    instant.map_or_else(
        || "?".to_owned(),
        |instant| instant.to_rfc3339_opts(SecondsFormat::Millis, true),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_topic_with_another_count_or_instant_is_named() {
        let one = Topics::from([("orders".to_owned(), (2, Some(1), Some(5)))]);
        assert_eq!(difference(&one, &one), None);
        for other in [
            (1, Some(1), Some(5)),
            (2, Some(2), Some(5)),
            (2, Some(1), None),
        ] {
            let other = Topics::from([("orders".to_owned(), other)]);
            assert!(difference(&one, &other).is_some_and(|it| it.contains("orders")));
        }
        assert!(difference(&one, &Topics::new()).is_some());
        assert!(difference(&Topics::new(), &one).is_some());
    }
}
