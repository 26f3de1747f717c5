//! In: the keys of `sinks.elasticsearch` that say which documents go where. Out: names, layout and how long documents are kept.
//! Never: asks a server, reads a mapping.

use std::time::Duration;

use super::expand::Fault;
use super::names;
use super::problem::Reported;
use super::section::{At, Section, Written, optional, value_or};
use crate::sinks::elasticsearch::{IndexName, Layout};

/// What the index of partitions is called behind the stem of `index`, where it has no name of its own.
const PARTITIONS_SUFFIX: &str = "_partitions";

/// Whole days are what names and lifecycles count in.
const RETAIN_FOR_MIN: Duration = Duration::from_secs(86_400);

/// Ten years: more is a slip.
const RETAIN_FOR_MAX: Duration = Duration::from_secs(3650 * 86_400);

/// Which documents go where.
pub(super) struct Indices {
    pub index: IndexName,
    pub layout: Layout,
    pub partitions_index: IndexName,
    pub data_stream: bool,
    pub retain_for: Option<Duration>,
}

/// Reads the keys; every problem is reported.
pub(super) fn read(section: &Section<'_>) -> Result<Indices, Reported> {
    let reader = section.reader;
    let index = reader.refine(section.text("index"), |name| names::index(name));
    let layout = reader.refine(section.text("layout"), |word| layout(word));
    let written = reader.refine(section.text("partitions_index"), |name| names::index(name));
    let data_stream = section.flag("data_stream");
    let retain_for = section.duration("retain_for", RETAIN_FOR_MIN..=RETAIN_FOR_MAX);
    warn_of_a_stream_without_documents(section, &layout, &data_stream);
    let index = value_or(index, IndexName::default());
    let data_stream = value_or(data_stream, false);
    let partitions_index = match (&index, &data_stream) {
        (Ok(index), Ok(data_stream)) => partitions_index(section, written, index, *data_stream),
        _ => Err(Reported),
    };
    let layout = value_or(layout, Layout::Wide);
    let retain_for = optional(retain_for);
    Ok(Indices {
        index: index?,
        layout: layout?,
        partitions_index: partitions_index?,
        data_stream: data_stream?,
        retain_for: retain_for?,
    })
}

fn layout(word: &str) -> Result<Layout, Fault> {
    let named = Layout::ALL.into_iter().find(|it| it.to_string() == word);
    named.ok_or_else(|| {
        (
            format!("there is no {word:?}"),
            "write wide, partitions or both".to_owned(),
        )
    })
}

fn partitions_index(
    section: &Section<'_>,
    written: Written<IndexName>,
    index: &IndexName,
    data_stream: bool,
) -> Result<IndexName, Reported> {
    let derived = index.with_suffix(PARTITIONS_SUFFIX);
    let derived = match data_stream {
        true => derived.without_date(),
        false => derived,
    };
    let reader = section.reader;
    let judged = reader.refine(written, |name| {
        if data_stream && name.period().is_some() {
            return Err((
                format!("\"{name}\" has a date, which a data stream does not take"),
                format!("write {}: a data stream rolls over by itself", name.stem()),
            ));
        }
        if name.meets(index) {
            return Err((
                format!("\"{name}\" and index \"{index}\" could name one and the same index"),
                format!("name it apart, as in {derived}: what begins with the other name and '-' belongs to that one"),
            ));
        }
        Ok(name.clone())
    });
    value_or(judged, derived.clone())
}

fn warn_of_a_stream_without_documents(
    section: &Section<'_>,
    layout: &Written<Layout>,
    data_stream: &Written<bool>,
) {
    let is_wide = match layout {
        None => true,
        Some(layout) => matches!(
            layout,
            Ok(At {
                value: Layout::Wide,
                ..
            })
        ),
    };
    if let (true, Some(Ok(At { value: true, place }))) = (is_wide, data_stream) {
        section.reader.report.warn(
            place,
            "has no effect: layout: wide has no documents of partitions",
            "write layout: partitions or layout: both, or remove this key",
        );
    }
}
