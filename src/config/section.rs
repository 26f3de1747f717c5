//! In: one section of the file and the keys it may have. Out: its values, typed, each with its place; a problem for what does not fit.
//! Never: applies a default, knows what a key is for.

use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;

use serde_yaml::Value as Yaml;

use super::document::{Entry, Kind, Node, written_twice};
use super::problem::{Place, Report, Reported};
use super::scalar::{in_one_unit, out_of_range, text_of, unit_text, wrong_type};
use super::unknown_key;

/// A value and where it was written.
#[derive(Debug, Clone)]
pub(super) struct At<T> {
    pub value: T,
    pub place: Place,
}

/// A key of the file: not there, there but wrong (and reported), or there.
pub(super) type Written<T> = Option<Result<At<T>, Reported>>;

/// What every section needs beside its own keys.
pub(super) struct Reader<'a> {
    pub report: &'a Report,
    /// The environment; a parameter, so that tests have their own.
    pub env: &'a dyn Fn(&str) -> Option<String>,
    /// Folder of the file: relative local paths begin there.
    pub folder: PathBuf,
    /// Every place of the file and its keys, to say where a misplaced key belongs.
    pub schema: &'static [(&'static str, &'static [&'static str])],
}

/// A mapping of the file, with no key that it may not have.
pub(super) struct Section<'a> {
    pub reader: &'a Reader<'a>,
    pub place: Place,
    pub entries: &'a [Entry],
    /// Keys that were most likely meant by unknown ones: those are not missing.
    meant: Vec<String>,
}

impl<'a> Section<'a> {
    /// Reports a node that is no mapping, and every key that is not in `known`.
    pub fn open(
        reader: &'a Reader<'a>,
        node: &'a Node,
        place: Place,
        known: &[&str],
    ) -> Result<Self, Reported> {
        let mut section = Self::open_names(reader, node, place)?;
        for entry in section.entries {
            if !known.contains(&entry.key.as_str()) {
                let (mend, meant) = unknown_key::judge(&entry.key, known, reader.schema);
                let place = section.place_of(entry);
                reader.report.error(&place, "unknown key", mend);
                section.meant.extend(meant);
            }
        }
        Ok(section)
    }

    /// A mapping whose keys are names that the operator gave.
    pub fn open_names(
        reader: &'a Reader<'a>,
        node: &'a Node,
        place: Place,
    ) -> Result<Self, Reported> {
        let entries = match &node.kind {
            Kind::Section(entries) => entries.as_slice(),
            _ if node.is_empty() => &[],
            _ => {
                let what = format!("is {}", node.name());
                let mend = "write its keys below it, indented, or {} for none";
                return Err(reader.report.error(&place, what, mend));
            }
        };
        let section = Self {
            reader,
            place,
            entries,
            meant: Vec::new(),
        };
        for entry in entries {
            if let Some(first_line) = entry.first_line {
                written_twice(reader.report, &section.place_of(entry), first_line);
            }
        }
        Ok(section)
    }

    pub fn entry(&self, key: &str) -> Option<&'a Entry> {
        let mut entries = self.entries.iter();
        entries.find(|entry| entry.key == key && entry.first_line.is_none())
    }

    /// Whether the key is there, or was meant by one that is.
    pub fn has(&self, key: &str) -> bool {
        self.entry(key).is_some() || self.is_meant(key)
    }

    fn is_meant(&self, key: &str) -> bool {
        self.meant.iter().any(|meant| meant == key)
    }

    /// Where the key stands.
    pub fn place_of(&self, entry: &Entry) -> Place {
        Place {
            line: entry.line,
            column: entry.column,
            key: self.path(&entry.key),
        }
    }

    fn path(&self, key: &str) -> String {
        match self.place.key.as_str() {
            "" => key.to_owned(),
            parent => format!("{parent}.{key}"),
        }
    }

    /// The node of a key and its place; a key without a value is reported.
    pub fn node(&self, key: &str) -> Written<&'a Node> {
        let Some(entry) = self.entry(key) else {
            return self.is_meant(key).then_some(Err(Reported));
        };
        let mut place = self.place_of(entry);
        if entry.value.is_empty() {
            let mend = "give it one, or remove the key";
            return Some(Err(self.reader.report.error(&place, "has no value", mend)));
        }
        if matches!(entry.value.kind, Kind::Scalar(_)) {
            place.line = entry.value.line;
            place.column = entry.value.column;
        }
        Some(Ok(At {
            value: &entry.value,
            place,
        }))
    }

    pub fn section(&self, key: &str, known: &[&str]) -> Option<Result<Section<'a>, Reported>> {
        let Some(entry) = self.entry(key) else {
            return self.is_meant(key).then_some(Err(Reported));
        };
        let place = self.place_of(entry);
        Some(Section::open(self.reader, &entry.value, place, known))
    }

    /// The items of a list that must not be empty, each with its place.
    pub fn list(&self, key: &str) -> Written<Vec<At<&'a Node>>> {
        self.judge(key, |at| match &at.value.kind {
            Kind::List(items) if items.is_empty() => Err((
                "is an empty list".to_owned(),
                "add an entry, or remove the key".to_owned(),
            )),
            Kind::List(items) => Ok(items_of(items, &at.place.key)),
            _ => Err(wrong_type(
                at.value,
                "a list",
                "- one line per entry, or [a, b]",
            )),
        })
    }

    pub fn text(&self, key: &str) -> Written<String> {
        self.judge(key, |at| text_of(&at.value))
    }

    /// A list of text, or one text.
    pub fn texts(&self, key: &str) -> Written<Vec<At<String>>> {
        let at = match self.node(key)? {
            Ok(at) => at,
            Err(reported) => return Some(Err(reported)),
        };
        let items = match &at.value.kind {
            Kind::List(_) => match self.list(key)? {
                Ok(items) => items.value,
                Err(reported) => return Some(Err(reported)),
            },
            _ => vec![at.clone()],
        };
        let texts: Vec<_> = items
            .into_iter()
            .map(|item| self.reader.judge(&item, text_of))
            .collect();
        let value: Result<Vec<_>, Reported> = texts.into_iter().collect();
        Some(value.map(|value| At {
            value,
            place: at.place,
        }))
    }

    pub fn flag(&self, key: &str) -> Written<bool> {
        self.judge(key, |at| match at.value.kind {
            Kind::Scalar(Yaml::Bool(value)) => Ok(value),
            _ => Err(wrong_type(
                at.value,
                "true or false",
                "true, or false, without quotes",
            )),
        })
    }

    pub fn number(&self, key: &str, range: RangeInclusive<u64>) -> Written<u64> {
        self.judge(key, |at| {
            let number = match &at.value.kind {
                Kind::Scalar(Yaml::Number(number)) => number,
                _ => return Err(wrong_type(at.value, "a number", "digits, without quotes")),
            };
            match number.as_u64() {
                Some(number) if range.contains(&number) => Ok(number),
                _ => Err(out_of_range(number, &range)),
            }
        })
    }

    /// A length of time with its unit.
    pub fn duration(&self, key: &str, range: RangeInclusive<Duration>) -> Written<Duration> {
        self.judge(key, |at| {
            let text = unit_text(at.value, "10s, 500ms or 1m 30s")?;
            let duration = humantime::parse_duration(text).map_err(|error| {
                let what = format!("{text:?} is not a length of time ({error})");
                (
                    what,
                    "write a number and its unit: 500ms, 10s, 5m, 7d".to_owned(),
                )
            })?;
            if range.contains(&duration) {
                return Ok(duration);
            }
            let range = in_one_unit(*range.start())..=in_one_unit(*range.end());
            Err(out_of_range(text, &range))
        })
    }

    /// A number of bytes with its unit.
    pub fn bytes(&self, key: &str, least: bytesize::ByteSize) -> Written<u64> {
        self.judge(key, |at| {
            let text = unit_text(at.value, "2GiB or 500MB")?;
            let bytes: bytesize::ByteSize = text.parse().map_err(|_| {
                let what = format!("{text:?} is not a number of bytes");
                (what, "write a number and its unit: 500MB, 2GiB".to_owned())
            })?;
            if bytes < least {
                let what = format!("{text} is too little");
                let least = least.to_string().replace(' ', "").replace(".0", "");
                return Err((what, format!("write {least} or more")));
            }
            Ok(bytes.as_u64())
        })
    }

    /// The value of a key, or the problem that `judge` sees in it.
    pub fn judge<T>(
        &self,
        key: &str,
        judge: impl FnOnce(&At<&'a Node>) -> Result<T, (String, String)>,
    ) -> Written<T> {
        let at = match self.node(key)? {
            Ok(at) => at,
            Err(reported) => return Some(Err(reported)),
        };
        Some(match judge(&at) {
            Ok(value) => Ok(At {
                value,
                place: at.place,
            }),
            Err((what, mend)) => Err(self.reader.report.error(&at.place, what, mend)),
        })
    }
}

impl Reader<'_> {
    /// A further rule for a value that was read already.
    pub fn judge<T, U>(
        &self,
        at: &At<T>,
        rule: impl FnOnce(&T) -> Result<U, (String, String)>,
    ) -> Result<At<U>, Reported>
    where
        T: Clone,
    {
        match rule(&at.value) {
            Ok(value) => Ok(At {
                value,
                place: at.place.clone(),
            }),
            Err((what, mend)) => Err(self.report.error(&at.place, what, mend)),
        }
    }

    /// `judge` for a key that may not be there.
    pub fn refine<T: Clone, U>(
        &self,
        written: Written<T>,
        rule: impl FnOnce(&T) -> Result<U, (String, String)>,
    ) -> Written<U> {
        Some(match written? {
            Ok(at) => self.judge(&at, rule),
            Err(reported) => Err(reported),
        })
    }

    /// A value that must be there.
    pub fn required<T>(
        &self,
        written: Written<T>,
        section: &Place,
        key: &str,
        mend: &str,
    ) -> Result<At<T>, Reported> {
        written.unwrap_or_else(|| {
            let mut place = section.clone();
            place.key = format!("{}.{key}", section.key);
            Err(self.report.error(&place, "is missing", mend))
        })
    }
}

/// The value, or what stands in for a key that is not there.
pub(super) fn value_or<T>(written: Written<T>, default: T) -> Result<T, Reported> {
    match written {
        None => Ok(default),
        Some(read) => read.map(|at| at.value),
    }
}

/// The value, or `None` for a key that is not there.
pub(super) fn optional<T>(written: Written<T>) -> Result<Option<T>, Reported> {
    written.map(|read| read.map(|at| at.value)).transpose()
}

pub(super) fn items_of<'a>(items: &'a [Node], key: &str) -> Vec<At<&'a Node>> {
    let items = items.iter().enumerate();
    items
        .map(|(index, value)| At {
            value,
            place: Place {
                line: value.line,
                column: value.column,
                key: format!("{key}[{index}]"),
            },
        })
        .collect()
}
