//! In: the settings, and what the server has not. Out: every thing that is to be there, in the order in which it is made.
//! Never: sends a request.

use chrono::{DateTime, Utc};
use serde_json::{Value, json};

use super::alert_rule::AlertRule;
use super::data_stream::DataStream;
use super::index::Index;
use super::index_template::IndexTemplate;
use super::lifecycle::LifecyclePolicy;
use super::modules::{Modules, Needs};
use super::saved_object::SavedObject;
use super::thing::{Line, Outcome, Thing};
use crate::finding::Verdict;
use crate::kibana::{self, Description};
use crate::sinks::elasticsearch::{
    IndexName, Settings, judge_fields, judge_mapping, judge_partitions_mapping,
};

/// A thing to make, or a line that says why there is none.
pub(super) enum Step {
    Thing(Box<dyn Thing>),
    Say(Line),
}

impl Step {
    fn of(thing: impl Thing + 'static) -> Self {
        Self::Thing(Box::new(thing))
    }

    fn skip(name: String, why: String) -> Self {
        Self::Say(Line::new(name, Outcome::Skipped(why)))
    }
}

/// One kind of documents: where they go, and what their index is made with.
pub(super) struct Documents<'a> {
    pub name: &'a IndexName,
    pub index: Value,
    pub judge_mapping: fn(&Value) -> Verdict,
    pub judge_fields: Option<fn(&Value) -> Verdict>,
    pub is_stream: bool,
}

/// The documents of the layout.
///
/// # Errors
/// A mapping that is no JSON, which the configuration would have refused.
pub(super) fn documents(settings: &Settings) -> Result<Vec<Documents<'_>>, String> {
    let read = |text: &str| {
        serde_json::from_str(text)
            .map_err(|error| format!("the mapping is not JSON: {error}; mend the mapping file"))
    };
    let mut documents = Vec::new();
    if settings.layout.has_wide() {
        documents.push(Documents {
            name: &settings.index,
            index: read(&settings.mapping)?,
            judge_mapping,
            judge_fields: Some(judge_fields),
            is_stream: false,
        });
    }
    if settings.layout.has_partitions() {
        documents.push(Documents {
            name: &settings.partitions_index,
            index: read(&settings.partitions_mapping)?,
            judge_mapping: judge_partitions_mapping,
            judge_fields: None,
            is_stream: settings.data_stream,
        });
    }
    Ok(documents)
}

/// What the server must have for that.
pub(super) fn needs(settings: &Settings, documents: &[Documents<'_>], is_removal: bool) -> Needs {
    let is_retained = settings.retain_for.is_some() || is_removal;
    let has_date = documents.iter().any(|it| it.name.period().is_some());
    let stream = documents.iter().find(|it| it.is_stream);
    Needs {
        has_policy: has_date && is_retained,
        data_stream: stream.map(|it| it.name.to_string()),
        has_stream_lifecycle: stream.is_some() && settings.retain_for.is_some(),
    }
}

fn policy_name(name: &IndexName) -> String {
    format!("mirrorlag-{}", name.stem())
}

/// Templates, policies, data streams and indices. For a removal also what other settings would have made.
pub(super) fn elasticsearch(
    settings: &Settings,
    documents: &[Documents<'_>],
    modules: &Modules,
    now: DateTime<Utc>,
    is_removal: bool,
) -> Vec<Step> {
    let mut steps = Vec::new();
    for documents in documents {
        let (name, stem) = (documents.name, documents.name.stem());
        if let Some(why) = &modules.no_data_streams
            && documents.is_stream
        {
            steps.push(Step::skip(
                format!("data stream {name}"),
                format!("the server has no data streams ({why}); set data_stream: false, or use a server with that module"),
            ));
            continue;
        }
        let mut template = IndexTemplate {
            name: stem.to_owned(),
            patterns: vec![name.pattern()],
            index: documents.index.clone(),
            is_data_stream: documents.is_stream,
            lifecycle: None,
            policy: None,
        };
        steps.extend(retention(
            settings,
            documents,
            modules,
            is_removal,
            &mut template,
        ));
        // An index is made with the mapping alone: the template brings what else there is.
        steps.push(Step::of(template));
        steps.push(match documents.is_stream {
            true => Step::of(DataStream {
                name: name.to_string(),
            }),
            false => Step::of(Index {
                name: name.at(now),
                body: documents.index.clone(),
                judge_mapping: documents.judge_mapping,
                judge_fields: documents.judge_fields,
            }),
        });
    }
    steps
}

/// What deletes old documents, put into the template; or why nothing does.
fn retention(
    settings: &Settings,
    documents: &Documents<'_>,
    modules: &Modules,
    is_removal: bool,
    template: &mut IndexTemplate,
) -> Option<Step> {
    let name = documents.name;
    let line = format!("retention of {name}");
    let retain_for = match settings.retain_for {
        Some(retain_for) => retain_for,
        // The policy of an earlier configuration.
        None if is_removal => std::time::Duration::ZERO,
        None => return None,
    };
    let time = in_one_unit(retain_for.as_secs());
    let prune = format!("`mirrorlag prune --older-than {time}` from time to time does it");
    if documents.is_stream {
        if let Some(why) = &modules.no_stream_lifecycle {
            let why = format!(
                "a data stream has a lifecycle of its own from 8.14 on (this is {why}); give it a lifecycle policy by hand"
            );
            return Some(Step::skip(line, why));
        }
        template.lifecycle = Some(json!({"data_retention": time}));
        return None;
    }
    let Some(period) = name.period() else {
        return match is_removal {
            true => None,
            false => Some(Step::skip(
                line,
                format!(
                    "a lifecycle would delete the whole index, which has no date in its name; {prune}"
                ),
            )),
        };
    };
    if is_removal && modules.no_lifecycle.is_some() {
        return None;
    }
    if let Some(why) = &modules.no_lifecycle {
        let why = format!("the server has no lifecycle management ({why}); {prune}");
        return Some(Step::skip(line, why));
    }
    let policy = policy_name(name);
    template.policy = Some(policy.clone());
    Some(Step::of(LifecyclePolicy {
        name: policy,
        retain_for,
        period,
    }))
}

/// In the largest unit that is exact, `30d`: as Elasticsearch gives it back.
fn in_one_unit(seconds: u64) -> String {
    const UNITS: [(u64, &str); 3] = [(86_400, "d"), (3_600, "h"), (60, "m")];
    let exact = UNITS
        .iter()
        .find(|(length, _)| seconds.is_multiple_of(*length));
    match exact {
        Some((length, unit)) => format!("{}{unit}", seconds / length),
        None => format!("{seconds}s"),
    }
}

/// Data views, saved searches, dashboards; then the alert rules.
pub(super) fn kibana(description: &Description, with_alerts: bool) -> Vec<Step> {
    let objects = kibana::objects(description).into_iter();
    let mut steps: Vec<Step> = objects
        .map(|object| Step::of(SavedObject { object }))
        .collect();
    if with_alerts {
        let alerts = kibana::alerts(description).into_iter();
        steps.extend(alerts.map(|alert| Step::of(AlertRule { alert })));
    }
    steps
}
