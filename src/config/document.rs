//! In: the text of a YAML file. Out: its nodes, each with line and column, every key once.
//! Never: knows what a key means.

use marked_yaml::types::{MarkedScalarNode, Span};
use marked_yaml::{LoadError, LoaderOptions, Node as Marked};
use serde_yaml::Value as Yaml;

use super::problem::{Place, Report, Reported};

/// A configuration of 1,000 topics written out takes 0.3 MB; what is larger is some other file.
pub(super) const FILE_BYTES_MAX: usize = 4 * 1024 * 1024;

/// Open brackets at once: ours go four deep, and the YAML readers take minutes over 100,000.
const NESTING_MAX: usize = 100;

/// Keys written twice that are named before the rest is left unread.
const DUPLICATE_KEYS_MAX: usize = 100;

/// Stands for a key that was written twice: no key of ours begins with a private-use character.
const MASK_FIRST: u32 = 0xE000;
const MASK_FILL: char = '\u{F8FF}';

/// One value of the file and where it begins.
#[derive(Debug)]
pub(super) struct Node {
    pub line: usize,
    pub column: usize,
    pub kind: Kind,
}

#[derive(Debug)]
pub(super) enum Kind {
    /// Text, number, true/false or nothing, never a list or a mapping.
    Scalar(Yaml),
    List(Vec<Node>),
    Section(Vec<Entry>),
}

/// One `key: value` of a section.
#[derive(Debug)]
pub(super) struct Entry {
    pub key: String,
    /// The line of the first entry of its section with the same key; such a second entry has no effect.
    pub first_line: Option<usize>,
    pub line: usize,
    pub column: usize,
    pub value: Node,
}

impl Node {
    /// What a reader of the file would call it.
    pub fn name(&self) -> &'static str {
        match &self.kind {
            Kind::Scalar(Yaml::Null) => "empty",
            Kind::Scalar(Yaml::Bool(_)) => "true or false",
            Kind::Scalar(Yaml::Number(_)) => "a number",
            Kind::Scalar(_) => "text",
            Kind::List(_) => "a list",
            Kind::Section(_) => "a section of keys",
        }
    }

    pub fn is_empty(&self) -> bool {
        matches!(self.kind, Kind::Scalar(Yaml::Null))
    }
}

/// Reads the file twice: `serde_yaml` types the values, `marked_yaml` knows where they stand.
pub(super) fn parse(text: &str, report: &Report) -> Result<Node, Reported> {
    if is_nested_too_deep(text) {
        let what = format!("has more than {NESTING_MAX} brackets open at once");
        return Err(report.error(&Place::default(), what, "close the brackets"));
    }
    if let Err(error) = serde_yaml::from_str::<Yaml>(text)
        && !error.to_string().contains("duplicate entry")
    {
        return Err(syntax_error(&error, report));
    }
    let (masked, marked, twice) = load_without_duplicates(text, report)?;
    let typed =
        serde_yaml::from_str::<Yaml>(&masked).map_err(|error| syntax_error(&error, report))?;
    join(&marked, &typed, &twice).ok_or_else(|| {
        report.error(
            &Place::default(),
            "two YAML readers disagree on it",
            "write it more plainly: two blanks per level, text in quotes",
        )
    })
}

/// Counts brackets in comments and quotes as well: the limit is far above what a real file has.
fn is_nested_too_deep(text: &str) -> bool {
    let mut depth = 0_usize;
    text.bytes().any(|byte| {
        match byte {
            b'[' | b'{' => depth += 1,
            b']' | b'}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        depth > NESTING_MAX
    })
}

fn syntax_error(error: &serde_yaml::Error, report: &Report) -> Reported {
    let (line, column) = error.location().map_or((0, 0), |l| (l.line(), l.column()));
    let text = error.to_string();
    let what = text
        .rsplit_once(" at line ")
        .map_or(text.as_str(), |(what, _)| what)
        .replace('\n', " ");
    let mend = if text.contains("more than one document") {
        "keep one document: no line of three dashes in the middle"
    } else {
        "mend the YAML there or on the line before: indentation, colons, quotes, no tabs"
    };
    let place = Place {
        line,
        column,
        key: String::new(),
    };
    report.error(&place, format!("not YAML: {what}"), mend)
}

/// A key that its section has already: its name, and the line of the first.
struct Twice {
    key: String,
    first_line: usize,
}

/// Gives each key that is written twice a name of its own, so that the rest of the file is still read.
fn load_without_duplicates(
    text: &str,
    report: &Report,
) -> Result<(String, Marked, Vec<Twice>), Reported> {
    let mut text = text.to_owned();
    let mut twice = Vec::new();
    loop {
        let options = LoaderOptions::default()
            .error_on_duplicate_keys(true)
            .prevent_coercion(true);
        let error = match marked_yaml::parse_yaml_with_options(0, &text, options) {
            Ok(node) => return Ok((text, node, twice)),
            Err(error) => error,
        };
        let LoadError::DuplicateKey(keys) = &error else {
            return Err(report_load_error(&error, report));
        };
        if twice.len() >= DUPLICATE_KEYS_MAX || !hide(&mut text, &keys.key, twice.len()) {
            return Err(report_load_error(&error, report));
        }
        twice.push(Twice {
            key: keys.key.as_str().to_owned(),
            first_line: position(keys.prev_key.span()).0,
        });
    }
}

fn report_load_error(error: &LoadError, report: &Report) -> Reported {
    let at = |marker: &marked_yaml::Marker, key: &str| Place {
        line: marker.line(),
        column: marker.column(),
        key: key.to_owned(),
    };
    match error {
        LoadError::DuplicateKey(keys) => {
            let place = keys.key.span().start().map(|m| at(m, keys.key.as_str()));
            written_twice(
                report,
                &place.unwrap_or_default(),
                position(keys.prev_key.span()).0,
            )
        }
        LoadError::TopLevelMustBeMapping(m) | LoadError::TopLevelMustBeSequence(m) => report.error(
            &at(m, ""),
            "not a section of keys",
            "begin with mirror_hosts: and topics:, as config/mirrorlag.minimal.yaml does",
        ),
        LoadError::UnexpectedAnchor(m) => report.error(
            &at(m, ""),
            "an anchor (&name)",
            "write what entries share once under defaults:",
        ),
        LoadError::UnexpectedTag(m) => {
            report.error(&at(m, ""), "a YAML tag (!name)", "remove the tag")
        }
        LoadError::MappingKeyMustBeScalar(m) => {
            report.error(&at(m, ""), "a key that is not text", "write a plain key")
        }
        LoadError::ScanError(m, _) => report.error(
            &at(m, ""),
            format!("not YAML: {error}"),
            "mend the YAML there or on the line before",
        ),
    }
}

pub(super) fn written_twice(report: &Report, place: &Place, first_line: usize) -> Reported {
    report.error(
        place,
        format!("is written twice in one section, first on line {first_line}"),
        "keep one of the two",
    )
}

/// Overwrites the key with a name of the same length that nobody else has; false where the text cannot be found.
fn hide(text: &mut String, key: &MarkedScalarNode, number: usize) -> bool {
    let Some(start) = key.span().start().map(|marker| marker.character()) else {
        return false;
    };
    let mask = u32::try_from(number).ok().map(|number| MASK_FIRST + number);
    let Some(first) = mask.and_then(char::from_u32) else {
        return false;
    };
    let mut chars: Vec<char> = text.chars().collect();
    let quoted = usize::from(matches!(chars.get(start), Some('"' | '\'')));
    let length = key.as_str().chars().count();
    let Some(written) = chars.get_mut(start + quoted..start + quoted + length) else {
        return false;
    };
    if !written.iter().copied().eq(key.as_str().chars()) {
        return false;
    }
    written.fill(MASK_FILL);
    if let Some(head) = written.first_mut() {
        *head = first;
    }
    *text = chars.into_iter().collect();
    true
}

/// The number that `hide` gave to this key.
fn hidden_number(key: &str) -> Option<usize> {
    let first = u32::from(key.chars().next()?);
    usize::try_from(first.checked_sub(MASK_FIRST)?).ok()
}

/// Walks both trees at once; `None` where their shapes differ.
fn join(marked: &Marked, typed: &Yaml, twice: &[Twice]) -> Option<Node> {
    let (mut line, mut column) = position(marked.span());
    let kind = match (marked, typed) {
        (Marked::Scalar(_), Yaml::Sequence(_) | Yaml::Mapping(_) | Yaml::Tagged(_)) => return None,
        (Marked::Scalar(_), scalar) => Kind::Scalar(scalar.clone()),
        (Marked::Sequence(items), Yaml::Sequence(values)) if items.len() == values.len() => {
            let items = items.iter().zip(values);
            Kind::List(
                items
                    .map(|(m, t)| join(m, t, twice))
                    .collect::<Option<_>>()?,
            )
        }
        (Marked::Mapping(items), Yaml::Mapping(values)) if items.len() == values.len() => {
            let mut entries = Vec::with_capacity(items.len());
            for ((key, value), (_, typed)) in items.iter().zip(values) {
                let value = join(value, typed, twice)?;
                let hidden = hidden_number(key.as_str()).and_then(|number| twice.get(number));
                let (line, column) = position(key.span());
                entries.push(Entry {
                    key: hidden.map_or(key.as_str(), |twice| &twice.key).to_owned(),
                    first_line: hidden.map(|twice| twice.first_line),
                    line,
                    column,
                    value,
                });
            }
            // The reader's own mark of a mapping stands behind its first key.
            if let Some(first) = entries.first() {
                (line, column) = (first.line, first.column);
            }
            Kind::Section(entries)
        }
        // `parse` of an empty file: nothing to serde_yaml, an empty mapping to marked_yaml.
        (Marked::Mapping(items), Yaml::Null) if items.is_empty() => Kind::Section(Vec::new()),
        _ => return None,
    };
    Some(Node { line, column, kind })
}

fn position(span: &Span) -> (usize, usize) {
    span.start()
        .map_or((0, 0), |marker| (marker.line(), marker.column()))
}
