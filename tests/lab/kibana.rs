//! Every panel's search, on real Elasticsearch over documents that the real pipeline wrote, against numbers made of the documents themselves.
//!
//! `mirrorlag::kibana` is asked for the search only; what the answer has to be is computed here from `_source`.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::sync::LazyLock;
use std::time::Duration;

use mirrorlag::kibana::aggregation::{self, Range, split_name};
use mirrorlag::kibana::panel::{
    Chart, Content, Documents, Filter, Measure, Operation, Order, Split,
};
use mirrorlag::kibana::{self, Dashboard, Description, Layout};
use serde_json::{Value, json};

use crate::collector::{Config, END_LIMIT, Shape};
use crate::elasticsearch::{Document, Elasticsearch};
use crate::sshd::Sshd;
use crate::{kafka, lab};

/// A few rounds of a real CLI, on two busy cores.
const ROUNDS_LIMIT: Duration = Duration::from_secs(240);

/// Between what the second topic lags behind at first and at last.
const LAG_LIMIT: i64 = 60;

const INTERVAL: &str = "5s";
const INTERVAL_MS: i64 = 5000;

/// One index with documents of every kind, written once for all tests of this file.
struct Written {
    index: String,
    partitions_index: String,
    topics: Vec<String>,
    /// What the CLI says at the end, asked and added up apart.
    orders_lag: i64,
    documents: Vec<Value>,
    partitions: Vec<Value>,
}

static WRITTEN: LazyLock<Written> = LazyLock::new(write);

/// A group that moves, a topic that is in no table, a host that nobody reaches, a group that nobody knows, and partitions without a number.
fn configurations(sshd: &Sshd, group: &str, topics: &[String]) -> [Config; 3] {
    let mut moving = Config::new("kibana", sshd).with_cli(kafka::VERSION);
    moving.shape = Shape::Group;
    moving.group = group.to_owned();
    moving.topics = topics.to_vec();
    moving.topics.push("kibana-nowhere".to_owned());
    moving.second = Some(("127.0.0.1".to_owned(), lab::port("NOBODY")));

    let mut unknown = Config::new("kibana-unknown", sshd).with_cli(kafka::VERSION);
    unknown.index.clone_from(&moving.index);
    unknown.group = "nobody-made-this-group".to_owned();
    unknown.topics = vec!["kibana-of-no-group".to_owned()];

    let mut fresh = Config::new("kibana-fresh", sshd);
    fresh.index.clone_from(&moving.index);
    fresh.interval = "3s";
    fresh.shape = Shape::WholeGroup;
    fresh.consumer_groups = captured_cli("3.9.1_fresh_mirrormaker");
    fresh.group = "oasis-group".to_owned();
    [moving, unknown, fresh]
}

fn write() -> Written {
    let sshd = Sshd::start("kibana");
    let group = lab::unique("kibana-group");
    let topics = vec![lab::unique("kibana-orders"), lab::unique("kibana-payments")];
    kafka::create_topic(&topics[0], 4);
    kafka::create_topic(&topics[1], 2);
    kafka::produce(&topics[0], 400);
    kafka::produce(&topics[1], 90);
    kafka::commit(&group, &topics, 3);

    let configurations = configurations(&sshd, &group, &topics);
    let index = configurations[0].index.clone();
    let mut collectors = configurations.each_ref().map(Config::run);
    let server = Elasticsearch::main();
    lab::eventually("first documents", ROUNDS_LIMIT, || {
        enough(&server, &index, 1)
    });
    kafka::produce(&topics[0], 300);
    kafka::commit(&group, &topics[1..], 40);
    lab::eventually("documents of every kind", ROUNDS_LIMIT, || {
        enough(&server, &index, 3)?;
        // It was above the limit, and came down.
        let lags = lags(&server.documents(&index)?, &topics[1]);
        let crossed = lags.iter().any(|lag| *lag > LAG_LIMIT) && lags.last() <= Some(&LAG_LIMIT);
        lab::claim(crossed, &lags)
    });
    for collector in &mut collectors {
        collector.terminate(END_LIMIT);
    }
    let table = kafka::describe(&group);
    let orders_lag = table[&topics[0]].values().flatten().sum();
    let documents = server.documents(&index).expect("documents").into_iter();
    let partitions_index = format!("{index}_partitions");
    let records = configurations.iter().flat_map(Config::records);
    let partitions: Vec<Value> = records
        .flat_map(|record| partition_documents(&record.body))
        .collect();
    store_partitions(&server, &partitions_index, &partitions);
    Written {
        index,
        partitions_index,
        topics,
        orders_lag,
        documents: documents.map(|document| document.source).collect(),
        partitions,
    }
}

/// A CLI that prints a table which the real one printed once.
fn captured_cli(name: &str) -> std::path::PathBuf {
    let folder = lab::folder("captured-cli");
    let captured = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/describe");
    let script = folder.join("kafka-consumer-groups.sh");
    fs::copy(kafka::recorded_cli(), &script).expect("the script");
    fs::copy(captured.join(format!("{name}.txt")), folder.join("stdout")).expect("its table");
    fs::write(folder.join("stderr"), "").expect("no errors");
    script
}

/// The lags of a topic, oldest first.
fn lags(documents: &[Document], topic: &str) -> Vec<i64> {
    let of_topic = documents.iter().filter(|d| d.text("topic") == topic);
    of_topic
        .filter_map(|d| d.source["lag_total"].as_i64())
        .collect()
}

/// `Ok` when each kind of outcome has that many instants.
fn enough(server: &Elasticsearch, index: &str, instants: usize) -> Result<(), String> {
    let documents = server.documents(index)?;
    let mut seen: BTreeMap<(String, String), BTreeSet<i64>> = BTreeMap::new();
    for document in &documents {
        let kind = (
            document.text("group").to_owned(),
            document.text("outcome").to_owned(),
        );
        seen.entry(kind).or_default().insert(document.instant_ms());
    }
    let outcomes: BTreeSet<&str> = seen.keys().map(|(_, outcome)| outcome.as_str()).collect();
    let every = ["group_missing", "no_rows", "ok", "ssh_error"]
        .iter()
        .all(|o| outcomes.contains(o));
    let is_enough = every && seen.len() >= 5 && seen.values().all(|at| at.len() >= instants);
    lab::claim(is_enough, &seen)
}

/// Documents per partition, as the other layout has them, of a record of the journal; one without a partition where there are none.
fn partition_documents(record: &Value) -> Vec<Value> {
    let mut partitions = record["partitions"].as_array().cloned().unwrap_or_default();
    let is_empty = partitions.is_empty();
    if is_empty {
        partitions.push(json!({}));
    }
    let document = |partition: Value| {
        let mut document = partition;
        for field in [
            "topic",
            "group",
            "mirror_host",
            "cluster",
            "outcome",
            "group_state",
            "round_ms",
        ] {
            document[field] = record[field].clone();
        }
        if is_empty {
            document["reason"] = record["reason"].clone();
        }
        document["@timestamp"] = record["sampled_at"].clone();
        document
    };
    partitions.into_iter().map(document).collect()
}

fn store_partitions(server: &Elasticsearch, index: &str, documents: &[Value]) {
    let path = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/mappings/consumer_lag_partitions.json"
    );
    let body = fs::read_to_string(path).expect("the shipped mapping");
    let body: Value = serde_json::from_str(&body).expect("JSON");
    let (status, answer) = server.request("PUT", &format!("/{index}"), Some(&body));
    assert_eq!(status, 200, "{answer}");
    for (id, document) in documents.iter().enumerate() {
        let (status, answer) =
            server.request("PUT", &format!("/{index}/_doc/{id}"), Some(document));
        assert_eq!(status, 201, "{answer}");
    }
    server.request("POST", &format!("/{index}/_refresh"), None);
}

fn instant(document: &Value) -> i64 {
    let text = document["@timestamp"].as_str().expect("@timestamp");
    chrono::DateTime::parse_from_rfc3339(text)
        .expect("an instant")
        .timestamp_millis()
}

impl Written {
    fn description(&self, layout: Layout) -> Description {
        Description {
            index: self.index.clone(),
            partitions_index: self.partitions_index.clone(),
            layout,
            partitions: 6,
            lag_limit: LAG_LIMIT.unsigned_abs(),
            minutes: 60,
            topics: vec![self.topics[0].clone(), "kibana-silent".to_owned()],
            ..Description::default()
        }
    }

    fn of(&self, documents: Documents) -> &[Value] {
        match documents {
            Documents::Topics => &self.documents,
            Documents::Partitions => &self.partitions,
        }
    }

    /// Around every document, whenever that was.
    fn range(&self) -> Range {
        let instants = self.documents.iter().chain(&self.partitions).map(instant);
        let (first, last) = (instants.clone().min().unwrap(), instants.max().unwrap());
        let text = |ms: i64| {
            let instant = chrono::DateTime::from_timestamp_millis(ms).unwrap();
            instant.to_rfc3339_opts(chrono::SecondsFormat::Millis, true)
        };
        Range {
            from: text(first),
            to: text(last),
            interval: INTERVAL.to_owned(),
        }
    }
}

/// Asks where Kibana asks: in the pattern of the data view.
fn ask(pattern: &str, body: &Value) -> Value {
    let path = format!("/{pattern}/_search?ignore_unavailable=true");
    let (status, answer) = Elasticsearch::main().request("POST", &path, Some(body));
    assert_eq!(status, 200, "{body}: {answer}");
    assert_eq!(answer["timed_out"], false);
    assert_eq!(answer["_shards"]["failed"], 0, "{answer}");
    answer
}

fn matches(filter: Option<&Filter>, document: &Value) -> bool {
    match filter {
        None => true,
        Some(Filter::Is(field, value)) => document[*field] == value.as_str(),
        Some(Filter::IsNot(field, value)) => document[*field] != *value,
    }
}

/// What a split or a measure has to bring: buckets by their key, or values by their id.
#[derive(Debug, Clone, PartialEq)]
enum Tree {
    Buckets(BTreeMap<String, Tree>),
    Values(BTreeMap<String, Found>),
}

#[derive(Debug, Clone)]
enum Found {
    /// Nobody knows: never 0.
    Nothing,
    Number(f64),
    /// Documents of one instant: any of their words is the last.
    OneOf(BTreeSet<String>),
}

impl PartialEq for Found {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Nothing, Self::Nothing) => true,
            (Self::Number(a), Self::Number(b)) => (a - b).abs() < 1e-6,
            (Self::OneOf(a), Self::OneOf(b)) => !a.is_disjoint(b),
            _ => false,
        }
    }
}

/// From the documents.
fn expected(documents: &[&Value], splits: &[Split], measures: &[Measure]) -> Tree {
    let Some((split, inner)) = splits.split_first() else {
        let values = measures
            .iter()
            .map(|m| (m.id.clone(), expected_value(documents, m)));
        return Tree::Values(values.collect());
    };
    let mut groups: BTreeMap<String, Vec<&Value>> = BTreeMap::new();
    for document in documents {
        let key = match split {
            Split::Time => {
                Some((instant(document).div_euclid(INTERVAL_MS) * INTERVAL_MS).to_string())
            }
            Split::Terms { field, .. } => word(&document[*field]),
        };
        if let Some(key) = key {
            groups.entry(key).or_default().push(document);
        }
    }
    let buckets = groups
        .into_iter()
        .map(|(key, group)| (key, expected(&group, inner, measures)));
    Tree::Buckets(buckets.collect())
}

fn word(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

fn expected_value(documents: &[&Value], measure: &Measure) -> Found {
    let filtered = documents
        .iter()
        .filter(|document| matches(measure.filter.as_ref(), document));
    let filtered: Vec<&&Value> = filtered.collect();
    let numbers =
        |field: &str| -> Vec<f64> { filtered.iter().filter_map(|d| d[field].as_f64()).collect() };
    let largest = |numbers: Vec<f64>| numbers.into_iter().reduce(f64::max);
    let number = match &measure.operation {
        Operation::Count => Some(filtered.len() as f64),
        Operation::Max(field) => largest(numbers(field)),
        Operation::Newest => largest(filtered.iter().map(|d| instant(d) as f64).collect()),
        Operation::Average(field) => {
            let numbers = numbers(field);
            (!numbers.is_empty()).then(|| numbers.iter().sum::<f64>() / numbers.len() as f64)
        }
        Operation::Unique(field) => {
            let values = filtered.iter().flat_map(|d| match &d[*field] {
                Value::Array(items) => items.iter().filter_map(word).collect(),
                value => word(value).into_iter().collect::<Vec<_>>(),
            });
            Some(values.collect::<BTreeSet<_>>().len() as f64)
        }
        Operation::Last(field) => {
            let known: Vec<(i64, String)> = filtered
                .iter()
                .filter_map(|d| Some((instant(d), word(&d[*field])?)))
                .collect();
            let Some(last) = known.iter().map(|(at, _)| *at).max() else {
                return Found::Nothing;
            };
            let words = known
                .into_iter()
                .filter(|(at, _)| *at == last)
                .map(|(_, word)| word);
            return Found::OneOf(words.collect());
        }
    };
    number.map_or(Found::Nothing, Found::Number)
}

/// From the answer. Empty buckets, which a chart draws as gaps, are none of the documents'.
fn answered(answer: &Value, depth: usize, splits: &[Split], measures: &[Measure]) -> Tree {
    let Some((split, inner)) = splits.split_first() else {
        let values = measures
            .iter()
            .map(|m| (m.id.clone(), answered_value(answer, m)));
        return Tree::Values(values.collect());
    };
    let buckets = answer[split_name(depth)]["buckets"].as_array();
    let buckets = buckets.unwrap_or_else(|| panic!("no buckets: {answer}"));
    if *split != Split::Time {
        assert_eq!(
            answer[split_name(depth)]["sum_other_doc_count"],
            0,
            "terms are left out"
        );
    }
    let filled = buckets.iter().filter(|bucket| bucket["doc_count"] != 0);
    let trees = filled.map(|bucket| {
        let key = word(&bucket["key"]).expect("a key");
        (key, answered(bucket, depth + 1, inner, measures))
    });
    Tree::Buckets(trees.collect())
}

fn answered_value(bucket: &Value, measure: &Measure) -> Found {
    let found = &bucket[&measure.id];
    let value = match (&measure.operation, &measure.filter) {
        (Operation::Count, None) => &bucket["doc_count"],
        (Operation::Count, Some(_)) => &found["doc_count"],
        (Operation::Last(field), _) => {
            let value = &found["hit"]["hits"]["hits"][0]["fields"][*field][0];
            return word(value).map_or(Found::Nothing, |word| Found::OneOf(BTreeSet::from([word])));
        }
        (_, None) => &found["value"],
        (_, Some(_)) => &found["value"]["value"],
    };
    value.as_f64().map_or(Found::Nothing, Found::Number)
}

fn charts(dashboards: Vec<Dashboard>) -> Vec<(String, Chart)> {
    let panels = dashboards.into_iter().flat_map(|dashboard| {
        let name = dashboard.id;
        dashboard.panels.into_iter().map(move |panel| (name, panel))
    });
    panels
        .filter_map(|(dashboard, panel)| match panel.content {
            Content::Chart(chart) => Some((format!("{dashboard}/{}", panel.id), chart)),
            Content::Links | Content::Search(_) => None,
        })
        .collect()
}

/// The search as Kibana sends it, of the whole time: a panel of the last two minutes is asked of the minutes in which the documents are.
fn compare(written: &Written, description: &Description, name: &str, chart: &Chart) -> Tree {
    let mut whole = chart.clone();
    whole.since = None;
    let body = aggregation::search(&whole, "@timestamp", &written.range());
    let mut answer = ask(&description.index_pattern(chart.documents), &body);
    let documents = written.of(chart.documents).iter();
    let documents: Vec<&Value> = documents
        .filter(|d| matches(chart.filter.as_ref(), d))
        .collect();
    assert_eq!(answer["hits"]["total"]["value"], documents.len(), "{name}");
    answer["aggregations"]["doc_count"] = answer["hits"]["total"]["value"].clone();
    let found = answered(&answer["aggregations"], 0, &chart.splits, &chart.measures);
    assert_eq!(
        found,
        expected(&documents, &chart.splits, &chart.measures),
        "{name}: {body}"
    );
    assert_order(&answer["aggregations"], chart, name);
    found
}

/// The outermost terms stand in the order that the panel wants.
fn assert_order(aggregations: &Value, chart: &Chart, name: &str) {
    let Some(Split::Terms { order, .. }) = chart.splits.first() else {
        return;
    };
    let buckets = aggregations[split_name(0)]["buckets"].as_array().unwrap();
    let measure = |id: &str| chart.measures.iter().find(|m| m.id == id).unwrap();
    let by = |id: &str| -> Vec<f64> {
        let values = buckets
            .iter()
            .map(|bucket| answered_value(bucket, measure(id)));
        let known = values.filter_map(|value| match value {
            Found::Number(number) => Some(number),
            _ => None,
        });
        known.collect()
    };
    match order {
        Order::ByName => assert!(
            buckets.is_sorted_by_key(|b| b["key"].as_str().map(str::to_owned)),
            "{name}"
        ),
        Order::Largest(id) => assert!(by(id).is_sorted_by(|a, b| a >= b), "{name}"),
        Order::Smallest(id) => assert!(by(id).is_sorted(), "{name}"),
    }
}

#[test]
fn every_panel_brings_the_numbers_of_the_documents() {
    let written = &*WRITTEN;
    let description = written.description(Layout::Wide);
    let charts = charts(kibana::dashboards(&description));
    assert!(charts.len() > 25, "{}", charts.len());
    for (name, chart) in &charts {
        let found = compare(written, &description, name, chart);
        println!("{name}: {} buckets", leaves(&found));
    }
}

fn leaves(tree: &Tree) -> usize {
    match tree {
        Tree::Values(_) => 1,
        Tree::Buckets(buckets) => buckets.values().map(leaves).sum(),
    }
}

#[test]
fn the_panels_of_the_partition_layout_bring_the_numbers_of_its_documents() {
    let written = &*WRITTEN;
    let description = written.description(Layout::Both);
    let charts = charts(kibana::dashboards(&description)).into_iter();
    let charts: Vec<_> = charts
        .filter(|(_, chart)| chart.documents == Documents::Partitions)
        .collect();
    assert_eq!(charts.len(), 3);
    assert!(!written.partitions.is_empty());
    for (name, chart) in &charts {
        compare(written, &description, name, chart);
    }
    let offsets = charts
        .iter()
        .find(|(name, _)| name.ends_with("last-by-partition"))
        .unwrap();
    let found = compare(written, &description, &offsets.0, &offsets.1);
    let Tree::Buckets(rows) = found else {
        panic!("a table");
    };
    assert!(
        rows.values().all(|row| matches!(row, Tree::Values(values)
        if matches!(values["log_end_offset"], Found::OneOf(_)))),
        "{rows:?}"
    );
}

#[test]
fn every_panel_of_partitions_alone_brings_the_numbers_of_the_documents() {
    let written = &*WRITTEN;
    let description = written.description(Layout::Partitions);
    let charts = charts(kibana::dashboards(&description));
    assert!(charts.len() > 25, "{}", charts.len());
    for (name, chart) in &charts {
        assert_eq!(chart.documents, Documents::Partitions, "{name}");
        let found = compare(written, &description, name, chart);
        println!("{name}: {} buckets", leaves(&found));
    }
    // By hand: the sum over the partitions is what the CLI says, and a round without numbers counts once.
    let (_, lag_now) = charts
        .iter()
        .find(|(name, _)| name == "mirrorlag-topic/lag-now")
        .unwrap();
    let mut of_orders = lag_now.clone();
    of_orders.filter = Some(Filter::is("topic", &written.topics[0]));
    let mut last = written.range();
    let of_topic = written.partitions.iter();
    let of_topic =
        of_topic.filter(|d| d["topic"] == written.topics[0].as_str() && d["outcome"] == "ok");
    last.from = of_topic
        .max_by_key(|d| instant(d))
        .and_then(|d| d["@timestamp"].as_str())
        .unwrap()
        .to_owned();
    of_orders.since = None;
    let body = aggregation::search(&of_orders, "@timestamp", &last);
    let answer = ask(&description.index_pattern(Documents::Partitions), &body);
    let buckets = answer["aggregations"]["split0"]["buckets"]
        .as_array()
        .unwrap();
    let sum: f64 = buckets
        .iter()
        .filter_map(|bucket| bucket["lag"]["value"].as_f64())
        .sum();
    assert_eq!(sum as i64, written.orders_lag);
    let failed = |documents: &[Value]| documents.iter().filter(|d| d["outcome"] != "ok").count();
    assert_eq!(failed(&written.partitions), failed(&written.documents));
}

/// A panel's answer, to be read by hand, so that a mistake which the description and the comparison share is seen.
fn found(name: &str) -> Tree {
    let written = &*WRITTEN;
    let description = written.description(Layout::Wide);
    let charts: BTreeMap<String, Chart> = charts(kibana::dashboards(&description))
        .into_iter()
        .collect();
    compare(written, &description, name, &charts[name])
}

fn number(name: &str) -> Found {
    match found(name) {
        Tree::Values(values) => values.into_values().next().unwrap(),
        Tree::Buckets(_) => panic!("{name}: buckets"),
    }
}

fn rows(name: &str) -> BTreeMap<String, Tree> {
    match found(name) {
        Tree::Buckets(rows) => rows,
        Tree::Values(_) => panic!("{name}: no buckets"),
    }
}

fn row(name: &str, key: &str) -> BTreeMap<String, Found> {
    match &rows(name)[key] {
        Tree::Values(values) => values.clone(),
        Tree::Buckets(_) => panic!("{name}: buckets in {key}"),
    }
}

#[test]
fn the_lag_of_a_topic_is_what_the_cli_says_and_an_unknown_partition_is_counted_as_unknown() {
    let written = &*WRITTEN;
    // It only grew, so the largest is the last, which the CLI says too.
    let top = row("mirrorlag-overview/top-topics", &written.topics[0]);
    assert_eq!(
        top["lag_total"],
        Found::Number(written.orders_lag as f64),
        "{top:?}"
    );
    // Of the captured table no partition has a lag: twelve of orders, three of payments, two of silent.
    assert_eq!(number("mirrorlag-topic/unknown-now"), Found::Number(12.0));
    let silent = row("mirrorlag-overview/top-topics", "silent");
    assert_eq!(silent["lag_total"], Found::Nothing, "unknown is never 0");
    let with_numbers = written.documents.iter().filter(|d| d["outcome"] == "ok");
    let topics: BTreeSet<&str> = with_numbers.map(|d| d["topic"].as_str().unwrap()).collect();
    assert_eq!(topics.len(), 5, "{topics:?}");
    assert_eq!(
        number("mirrorlag-overview/with-numbers"),
        Found::Number(5.0)
    );
}

#[test]
fn who_brought_nothing_is_named_with_the_reason_and_a_host_that_nobody_reached_has_no_contact() {
    assert_eq!(
        number("mirrorlag-overview/hosts-reached"),
        Found::Number(1.0)
    );
    let reasons = rows("mirrorlag-overview/reasons");
    assert!(reasons.contains_key("kibana-nowhere"), "{reasons:?}");
    assert!(reasons.contains_key("kibana-of-no-group"), "{reasons:?}");
    let lost = row("mirrorlag-overview/hosts", "mm-2");
    assert_eq!(lost["reached"], Found::Nothing, "{lost:?}");
    assert!(
        matches!(lost["lost"], Found::Number(rounds) if rounds >= 3.0),
        "{lost:?}"
    );
}

#[test]
fn the_time_range_of_now_is_understood() {
    let written = &*WRITTEN;
    let description = written.description(Layout::Wide);
    let mut seen = 0;
    for (name, chart) in charts(kibana::dashboards(&description)) {
        if chart.since.is_some() {
            let body = aggregation::search(&chart, "@timestamp", &written.range());
            let before =
                ask(&description.index_pattern(chart.documents), &body)["hits"]["total"]["value"]
                    .as_u64();
            assert!(before <= Some(written.documents.len() as u64), "{name}");
            seen += 1;
        }
    }
    assert!(seen > 10);
}

/// The buckets of the rule's group, judged as the rule judges them: `multi_terms` and scripts are not in this Elasticsearch.
#[test]
fn each_rule_fires_for_what_it_is_made_for_and_for_nothing_else() {
    let written = &*WRITTEN;
    let description = written.description(Layout::Wide);
    let mut fired = BTreeMap::new();
    for alert in kibana::alerts(&description) {
        fired.insert(alert.name.clone(), firing(&alert.body["params"]));
    }
    let by_hand = |is_wrong: &dyn Fn(&[&Value]) -> bool, fields: [&str; 2]| -> BTreeSet<String> {
        let mut groups: BTreeMap<String, Vec<&Value>> = BTreeMap::new();
        for document in &written.documents {
            let key = fields
                .map(|field| document[field].as_str().unwrap())
                .join("/");
            groups.entry(key).or_default().push(document);
        }
        groups
            .into_iter()
            .filter(|(_, group)| is_wrong(group))
            .map(|(key, _)| key)
            .collect()
    };
    let high = |group: &[&Value]| {
        let lags: Vec<i64> = group
            .iter()
            .filter_map(|d| d["lag_total"].as_i64())
            .collect();
        !lags.is_empty() && lags.iter().all(|lag| *lag > LAG_LIMIT)
    };
    let lag = by_hand(&high, ["topic", "mirror_host"]);
    assert!(
        lag.contains(&format!("{}/mm-1", written.topics[0])),
        "{lag:?}"
    );
    // A sawtooth that comes down is no alarm.
    assert!(
        !lag.contains(&format!("{}/mm-1", written.topics[1])),
        "{lag:?}"
    );
    assert_eq!(fired["lag"], lag);
    let failed = |group: &[&Value]| group.iter().filter(|d| d["outcome"] != "ok").count() > 2;
    let outcome = by_hand(&failed, ["topic", "mirror_host"]);
    assert!(
        outcome.contains("kibana-nowhere/mm-1")
            && outcome.contains(&format!("{}/mm-2", written.topics[0]))
    );
    assert_eq!(fired["outcome"], outcome);
    let empty = |group: &[&Value]| group.iter().filter(|d| d["group_state"] == "empty").count() > 2;
    let nobody = by_hand(&empty, ["group", "mirror_host"]);
    assert_eq!(nobody.len(), 1, "{nobody:?}");
    assert_eq!(fired["nobody-mirrors"], nobody);
    assert_eq!(fired["silence"], BTreeSet::new());
    assert_eq!(
        fired[&format!("silence-{}", written.topics[0])],
        BTreeSet::new()
    );
    assert_eq!(
        fired["silence-kibana-silent"],
        BTreeSet::from(["all".to_owned()])
    );
}

/// The rule's query and groups, without its own condition.
fn question(params: &Value, fields: &[&str]) -> Value {
    let mut query: Value = serde_json::from_str(params["esQuery"].as_str().unwrap()).unwrap();
    let window = format!(
        "now-{}{}",
        params["timeWindowSize"],
        params["timeWindowUnit"].as_str().unwrap()
    );
    let time = json!({"range": {params["timeField"].as_str().unwrap(): {"gte": window}}});
    let mut aggs = match params["aggType"].as_str().unwrap() {
        "count" => json!({}),
        kind => json!({"metric": {kind: {"field": params["aggField"]}}}),
    };
    for field in fields.iter().rev() {
        let terms = json!({"field": field, "size": params["termSize"]});
        aggs = json!({"group": {"terms": terms, "aggs": aggs}});
    }
    query["query"] = json!({"bool": {"filter": [query["query"], time]}});
    query["size"] = json!(0);
    query["track_total_hits"] = json!(true);
    query["aggs"] = aggs;
    query
}

fn holds(params: &Value, bucket: &Value) -> bool {
    let limit = params["threshold"][0].as_f64().unwrap();
    let number = match params["aggType"].as_str() {
        Some("count") => bucket["doc_count"].as_f64(),
        _ => bucket["metric"]["value"].as_f64(),
    };
    match (params["thresholdComparator"].as_str().unwrap(), number) {
        (">", Some(number)) => number > limit,
        ("<", Some(number)) => number < limit,
        (_, None) => false,
        other => panic!("{other:?}"),
    }
}

/// The groups for which the condition holds.
fn firing(params: &Value) -> BTreeSet<String> {
    let strings = |list: &Value| -> Vec<String> {
        let list = list.as_array().into_iter().flatten();
        list.map(|item| item.as_str().unwrap().to_owned()).collect()
    };
    let fields = strings(&params["termField"]);
    let fields: Vec<&str> = fields.iter().map(String::as_str).collect();
    let mut answer = ask(
        &strings(&params["index"]).join(","),
        &question(params, &fields),
    );
    let mut whole = answer["aggregations"].take();
    whole["doc_count"] = answer["hits"]["total"]["value"].clone();
    if fields.is_empty() {
        return holds(params, &whole)
            .then(|| "all".to_owned())
            .into_iter()
            .collect();
    }
    let mut fired = BTreeSet::new();
    for outer in whole["group"]["buckets"].as_array().unwrap() {
        for inner in outer["group"]["buckets"].as_array().unwrap() {
            if holds(params, inner) {
                let key = [outer, inner].map(|bucket| bucket["key"].as_str().unwrap());
                fired.insert(key.join("/"));
            }
        }
    }
    fired
}

#[test]
fn every_grafana_query_brings_the_numbers_of_the_panel() {
    let written = &*WRITTEN;
    let description = written.description(Layout::Wide);
    let mut of_titles: BTreeMap<(String, String), Chart> = BTreeMap::new();
    for dashboard in kibana::dashboards(&description) {
        for panel in dashboard.panels {
            if let Content::Chart(chart) = panel.content {
                of_titles.insert((dashboard.id.to_owned(), panel.title), chart);
            }
        }
    }
    let mut seen = 0;
    for (_, dashboard) in kibana::grafana_dashboards(&description) {
        for panel in dashboard["panels"].as_array().unwrap() {
            let text = |value: &Value| value.as_str().unwrap().to_owned();
            let key = (text(&dashboard["uid"]), text(&panel["title"]));
            for target in panel["targets"].as_array().unwrap() {
                let answer = grafana_answer(written, &description, target);
                let Some(chart) = of_titles.get(&key) else {
                    assert_eq!(target["metrics"][0]["type"], "raw_data");
                    let hits = answer["hits"]["total"]["value"].as_u64().unwrap();
                    assert_eq!(
                        hits,
                        written.documents.len() as u64,
                        "All leaves nothing out"
                    );
                    continue;
                };
                compare_grafana(written, chart, target, &answer, &key.1);
                seen += 1;
            }
        }
    }
    assert!(seen > 30, "{seen}");
}

/// As Grafana's data source asks: a query string, buckets in each other, metrics in the innermost.
fn grafana_answer(written: &Written, description: &Description, target: &Value) -> Value {
    let mut query = target["query"].as_str().unwrap().to_owned();
    for field in ["topic", "group", "cluster", "mirror_host"] {
        query = query.replace(
            &format!("${field}"),
            &format!("* OR (NOT _exists_:{field})"),
        );
    }
    let range = written.range();
    let time = json!({"range": {"@timestamp": {"gte": range.from, "lte": range.to}}});
    let string = json!({"query_string": {"query": query, "analyze_wildcard": true}});
    let mut aggs = serde_json::Map::new();
    for metric in target["metrics"].as_array().unwrap() {
        let kind = metric["type"].as_str().unwrap();
        if !["count", "raw_data"].contains(&kind) {
            aggs.insert(
                metric["id"].as_str().unwrap().to_owned(),
                json!({kind: {"field": metric["field"]}}),
            );
        }
    }
    let metrics = aggs.clone();
    let mut aggs = Value::Object(aggs);
    let buckets = target["bucketAggs"].as_array().unwrap();
    for (depth, bucket) in buckets.iter().enumerate().rev() {
        let mut agg = match bucket["type"].as_str().unwrap() {
            "date_histogram" => {
                json!({"date_histogram": {"field": bucket["field"], "fixed_interval": INTERVAL, "min_doc_count": 0}})
            }
            "terms" => {
                let by = match bucket["settings"]["orderBy"].as_str().unwrap() {
                    "_term" => "_key",
                    by => by,
                };
                // Grafana asks for 500 where it is told 0.
                let size: u64 = bucket["settings"]["size"]
                    .as_str()
                    .unwrap()
                    .parse()
                    .unwrap();
                let size = if size == 0 { 500 } else { size };
                if let Some(metric) = metrics.get(by) {
                    aggs[by] = metric.clone();
                }
                json!({"terms": {"field": bucket["field"], "size": size, "order": {by: bucket["settings"]["order"]}}})
            }
            _ => json!({"filters": {"filters": {"all": {"query_string": {"query": "*"}}}}}),
        };
        if aggs.as_object().is_some_and(|aggs| !aggs.is_empty()) {
            agg["aggs"] = aggs;
        }
        aggs = json!({split_name(depth): agg});
    }
    let body = json!({"size": 0, "track_total_hits": true, "query": {"bool": {"filter": [time, string]}}, "aggs": aggs});
    ask(&description.index_pattern(Documents::Topics), &body)
}

/// The measure that a metric of Grafana asks for.
fn measure_of<'a>(chart: &'a Chart, metric: &Value, query: &str) -> &'a Measure {
    // The filter of the measures: what stands in the query behind the variables and the filter of the chart.
    let own = |measure: &&Measure| {
        let filters = [chart.filter.as_ref(), measure.filter.as_ref()];
        let text: String = filters
            .iter()
            .flatten()
            .map(|f| format!(" AND ({})", f.lucene()))
            .collect();
        query.ends_with(&format!("(mirror_host:$mirror_host){text}"))
    };
    let asks = |measure: &&Measure| match &measure.operation {
        Operation::Count => metric["type"] == "count",
        Operation::Newest => metric["type"] == "max" && metric["field"] == "@timestamp",
        Operation::Max(field) => metric["type"] == "max" && metric["field"] == field.as_str(),
        Operation::Average(field) => metric["type"] == "avg" && metric["field"] == *field,
        Operation::Unique(field) => metric["type"] == "cardinality" && metric["field"] == *field,
        Operation::Last(_) => false,
    };
    let found = chart.measures.iter().filter(own).find(asks);
    found.unwrap_or_else(|| panic!("no measure asks {metric} of {query}"))
}

fn compare_grafana(written: &Written, chart: &Chart, target: &Value, answer: &Value, title: &str) {
    let query = target["query"].as_str().unwrap();
    let documents = written
        .documents
        .iter()
        .filter(|d| matches(chart.filter.as_ref(), d));
    let documents: Vec<&Value> = documents.collect();
    for metric in target["metrics"].as_array().unwrap() {
        let measure = measure_of(chart, metric, query);
        // Grafana filters the documents, the panel its measure: the buckets that are left have the same numbers.
        let filtered = documents
            .iter()
            .copied()
            .filter(|d| matches(measure.filter.as_ref(), d));
        let filtered: Vec<&Value> = filtered.collect();
        let mut plain = measure.clone();
        plain.filter = None;
        let expected = expected(&filtered, &chart.splits, std::slice::from_ref(&plain));
        let mut aggregations = answer["aggregations"].clone();
        if chart.splits.is_empty() {
            aggregations = aggregations[split_name(0)]["buckets"]["all"].clone();
        }
        plain.id = metric["id"].as_str().unwrap().to_owned();
        let found = answered(
            &aggregations,
            0,
            &chart.splits,
            std::slice::from_ref(&plain),
        );
        assert_eq!(
            leaf_values(&found),
            leaf_values(&expected),
            "{title}: {target}"
        );
    }
}

/// The steps of the rule as Grafana does them: a series per topic and host, one number of each, the limit.
#[test]
fn each_grafana_rule_fires_for_what_it_is_made_for_and_for_nothing_else() {
    let written = &*WRITTEN;
    let description = written.description(Layout::Wide);
    let file: Value = serde_yaml::from_str(&kibana::grafana_alerts(&description)).unwrap();
    let mut fired = BTreeMap::new();
    for rule in file["groups"][0]["rules"].as_array().unwrap() {
        let [question, reduce, compare] = [0, 1, 2].map(|step| &rule["data"][step]["model"]);
        let answer = grafana_answer(written, &description, question);
        let mut series = BTreeMap::new();
        numbers_of_series(&answer["aggregations"], 0, "", question, &mut series);
        let evaluator = &compare["conditions"][0]["evaluator"];
        let limit = evaluator["params"][0].as_f64().unwrap();
        let holds = |numbers: &[f64]| {
            let number = match reduce["reducer"].as_str().unwrap() {
                "sum" => Some(numbers.iter().sum()),
                "min" => numbers.iter().copied().reduce(f64::min),
                other => panic!("{other} is not reduced here"),
            };
            number.is_some_and(|number| match evaluator["type"].as_str().unwrap() {
                "gt" => number > limit,
                _ => number < limit,
            })
        };
        let names = series.into_iter().filter(|(_, numbers)| holds(numbers));
        let names: BTreeSet<String> = names.map(|(name, _)| name).collect();
        fired.insert(rule["uid"].as_str().unwrap().to_owned(), names);
    }
    let of = |is_wrong: &dyn Fn(&Value) -> bool| -> BTreeSet<String> {
        let wrong = written.documents.iter().filter(|d| is_wrong(d));
        wrong
            .map(|d| {
                ["topic", "mirror_host"]
                    .map(|field| d[field].as_str().unwrap())
                    .join("/")
            })
            .collect()
    };
    let low = of(&|d| d["lag_total"].as_i64().is_some_and(|lag| lag <= LAG_LIMIT));
    let known = of(&|d| d["lag_total"].is_i64());
    assert_eq!(
        fired["mirrorlag-lag"],
        known.difference(&low).cloned().collect()
    );
    assert_eq!(fired["mirrorlag-outcome"], of(&|d| d["outcome"] != "ok"));
    assert_eq!(
        fired["mirrorlag-nobody-mirrors"],
        of(&|d| d["group_state"] == "empty")
    );
    assert!(fired["mirrorlag-silence"].is_empty());
    assert!(
        fired["mirrorlag-lag"].len() == 1 && fired["mirrorlag-outcome"].len() >= 5,
        "{fired:?}"
    );
}

/// The numbers of each series, by the values of its terms.
fn numbers_of_series(
    bucket: &Value,
    depth: usize,
    name: &str,
    question: &Value,
    series: &mut BTreeMap<String, Vec<f64>>,
) {
    let Some(split) = question["bucketAggs"].get(depth) else {
        let number = match question["metrics"][0]["type"].as_str() {
            Some("count") => bucket["doc_count"].as_f64(),
            _ => bucket["1"]["value"].as_f64(),
        };
        series.entry(name.to_owned()).or_default().extend(number);
        return;
    };
    for inner in bucket[split_name(depth)]["buckets"].as_array().unwrap() {
        let name = match (split["type"].as_str().unwrap(), name) {
            ("date_histogram", name) => name.to_owned(),
            (_, "") => word(&inner["key"]).unwrap(),
            (_, name) => format!("{name}/{}", word(&inner["key"]).unwrap()),
        };
        numbers_of_series(inner, depth + 1, &name, question, series);
    }
}

/// Values by the path to them: the ids are of each tool's own.
fn leaf_values(tree: &Tree) -> Vec<(String, Found)> {
    match tree {
        Tree::Values(values) => values
            .values()
            .map(|value| (String::new(), value.clone()))
            .collect(),
        Tree::Buckets(buckets) => {
            let each = |(key, tree): (&String, &Tree)| -> Vec<(String, Found)> {
                leaf_values(tree)
                    .into_iter()
                    .map(|(path, value)| (format!("{key}/{path}"), value))
                    .collect()
            };
            buckets.iter().flat_map(each).collect()
        }
    }
}
