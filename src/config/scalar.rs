//! In: one node of the file. Out: its value as text, or what is wrong with its type and what to write.
//! Never: knows where the node stands, or what it is for.

use std::fmt::Display;
use std::ops::RangeInclusive;
use std::time::Duration;

use serde_yaml::Value as Yaml;

use super::document::{Kind, Node};

pub(super) fn text_of(node: &&Node) -> Result<String, (String, String)> {
    match &node.kind {
        Kind::Scalar(Yaml::String(text)) if text.trim().is_empty() => Err((
            "is empty".to_owned(),
            "write its text, or remove the key".to_owned(),
        )),
        Kind::Scalar(Yaml::String(text)) => Ok(text.clone()),
        Kind::Scalar(Yaml::Number(number)) => Err((
            format!("is a number, {number}"),
            format!("write it in quotes: '{number}'"),
        )),
        Kind::Scalar(Yaml::Bool(flag)) => Err((
            format!("is {flag}, not text"),
            format!("write it in quotes: '{flag}'"),
        )),
        _ => Err(wrong_type(node, "text", "one text on the line of the key")),
    }
}

pub(super) fn unit_text<'n>(node: &'n Node, example: &str) -> Result<&'n str, (String, String)> {
    match &node.kind {
        Kind::Scalar(Yaml::String(text)) => Ok(text),
        Kind::Scalar(Yaml::Number(number)) => Err((
            format!("{number} has no unit"),
            format!("write it with its unit, as in {example}"),
        )),
        _ => Err(wrong_type(node, "a number with its unit", example)),
    }
}

pub(super) fn wrong_type(node: &Node, expected: &str, example: &str) -> (String, String) {
    (
        format!("is {}, not {expected}", node.name()),
        format!("write {example}"),
    )
}

pub(super) fn out_of_range<T: Display>(
    written: impl Display,
    range: &RangeInclusive<T>,
) -> (String, String) {
    let (first, last) = (range.start(), range.end());
    (
        format!("{written} is out of range"),
        format!("write {first} to {last}"),
    )
}

/// A length of time in the largest unit that holds it whole: `24h`, not `1day`.
pub(super) fn in_one_unit(duration: Duration) -> String {
    let millis = duration.as_millis();
    let units = [
        (86_400_000, "d"),
        (3_600_000, "h"),
        (60_000, "m"),
        (1000, "s"),
    ];
    let whole = units
        .iter()
        .find(|(unit, _)| millis >= *unit && millis.is_multiple_of(*unit));
    match whole {
        Some((unit, name)) => format!("{}{name}", millis / unit),
        None => format!("{millis}ms"),
    }
}
