//! In: YAML. Out: a `Config` the program may rely on, or every problem at once with file, line, key and the mend.
//! Never: starts anything, applies a default that `config/mirrorlag.yaml` does not show.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use self::credentials::Secrets;
use crate::collector;

// What is wrong, and where.
mod problem;
// The file as nodes with positions.
mod document;
// One value and its type.
mod scalar;
// Typed access to one section.
mod section;
// Did you mean.
mod unknown_key;
// `~` and `${VAR}`.
mod expand;
// Rules of names, addresses and paths.
mod names;
// URLs.
mod url;
// Secrets from variables and files.
mod secret;

// One file per section of the YAML.
mod hosts;
mod journal;
mod jump;
mod kafka;
mod kibana;
mod sinks;
mod sources;
mod ssh;
// Rules between entries of topics: and groups:.
mod overlaps;
// Who writes into Elasticsearch.
mod credentials;
// Which documents go into which index.
mod layouts;

pub use problem::{Place, Problem, Problems};

/// All that the program needs to know: every default applied, every value within its limits.
#[derive(Debug, Clone)]
pub struct Config {
    /// The file it was read from, as it was named.
    pub file: PathBuf,
    /// In the order of the file; also those that no source names.
    pub mirror_hosts: Vec<Arc<collector::MirrorHost>>,
    /// Entries of `topics:`, then entries of `groups:`, in the order of the file; never empty.
    pub sources: Vec<collector::SourceSettings>,
    pub journal: crate::journal::Settings,
    pub sinks: Sinks,
    /// Where `setup` makes dashboards; without its credentials but for `load_for_setup`.
    pub kibana: Option<crate::setup::KibanaSettings>,
}

/// The sinks that the file names; at least one.
#[derive(Debug, Clone)]
pub struct Sinks {
    pub elasticsearch: Option<crate::sinks::elasticsearch::Settings>,
    /// JSON lines on standard output.
    pub stdout: bool,
}

/// A usable configuration.
#[derive(Debug, Clone)]
pub struct Loaded {
    pub config: Config,
    /// What works, but most likely is not what the operator wants; in the order of the file.
    pub warnings: Vec<Problem>,
}

const TOP_KEYS: &[&str] = &[
    "defaults",
    "mirror_hosts",
    "topics",
    "groups",
    "journal",
    "sinks",
    "kibana",
];

/// Every section of the file and its keys, to say where a misplaced key belongs; the last counts least.
const SCHEMA: &[(&str, &[&str])] = &[
    ("mirror_hosts.<name>, or defaults", hosts::KEYS),
    ("ssh: of a mirror host or of defaults", ssh::KEYS),
    ("jump: of an ssh: section", jump::KEYS),
    ("kafka: of a mirror host or of defaults", kafka::KEYS),
    ("an entry of topics:", sources::TOPIC_KEYS),
    ("an entry of groups:", sources::GROUP_KEYS),
    ("sinks.elasticsearch", sinks::ELASTICSEARCH_KEYS),
    ("journal", journal::KEYS),
    ("kibana", kibana::KEYS),
    ("sinks", sinks::KEYS),
    ("no section, at the left margin", TOP_KEYS),
];

/// Reads a configuration. `env` is the environment (`|name| std::env::var(name).ok()`).
///
/// Files that it names (keys, secrets, certificates, a mapping) are read; nothing is written or started.
///
/// # Errors
/// The file cannot be read or has problems: all of them.
pub fn load(path: &Path, env: &dyn Fn(&str) -> Option<String>) -> Result<Loaded, Problems> {
    load_with(path, env, Secrets::OfSinks)
}

/// `load` with the credentials of Kibana, which only `setup` needs.
///
/// # Errors
/// As `load`.
pub fn load_for_setup(
    path: &Path,
    env: &dyn Fn(&str) -> Option<String>,
) -> Result<Loaded, Problems> {
    load_with(path, env, Secrets::All)
}

/// `load` without the credentials of any server, for what asks none.
///
/// # Errors
/// As `load`.
pub fn load_for_export(
    path: &Path,
    env: &dyn Fn(&str) -> Option<String>,
) -> Result<Loaded, Problems> {
    load_with(path, env, Secrets::None)
}

fn load_with(
    path: &Path,
    env: &dyn Fn(&str) -> Option<String>,
    secrets: Secrets,
) -> Result<Loaded, Problems> {
    let report = problem::Report::new(path);
    let config = read(path, env, &report, secrets);
    let warnings = report.finish()?;
    match config {
        Ok(config) => Ok(Loaded { config, warnings }),
        // Every `Reported` comes from a report, so `finish` has returned; this keeps the compiler's books.
        Err(problem::Reported) => Err(Problems {
            errors: Vec::new(),
            warnings,
        }),
    }
}

/// Reads the `journal:` section alone, for commands that look into the journal: the rest of the file may have problems, and no
/// secret need be there.
///
/// # Errors
/// The file cannot be read, is no YAML, or this section has problems.
pub fn load_journal(
    path: &Path,
    env: &dyn Fn(&str) -> Option<String>,
) -> Result<crate::journal::Settings, Problems> {
    let report = problem::Report::new(path);
    let settings = parse(path, &report).and_then(|root| {
        let reader = reader(path, env, &report);
        let file = section::Section::open_names(&reader, &root, Place::default())?;
        journal::read(&file)
    });
    let warnings = report.finish()?;
    settings.map_err(|problem::Reported| Problems {
        errors: Vec::new(),
        warnings,
    })
}

fn read(
    path: &Path,
    env: &dyn Fn(&str) -> Option<String>,
    report: &problem::Report,
    secrets: Secrets,
) -> Result<Config, problem::Reported> {
    let root = parse(path, report)?;
    let reader = reader(path, env, report);
    let file = section::Section::open(&reader, &root, Place::default(), TOP_KEYS)?;
    if file.entries.is_empty() {
        let mend = "begin with a copy of config/mirrorlag.minimal.yaml";
        return Err(report.error(&file.place, "is empty", mend));
    }
    let defaults_keys: Vec<&str> = hosts::KEYS
        .iter()
        .chain(sources::TOPIC_KEYS)
        .chain(sources::GROUP_KEYS)
        .copied()
        .collect();
    let defaults = file.section("defaults", &defaults_keys);
    let defaults = defaults.and_then(Result::ok);
    let host_defaults = defaults.as_ref().map(hosts::Keys::read);
    let source_defaults = defaults.as_ref().map(sources::Keys::read);
    let hosts = hosts::read(&file, &host_defaults.unwrap_or_default());
    let sources = sources::read(&file, &source_defaults.unwrap_or_default(), &hosts);
    let journal = journal::read(&file);
    let sinks = sinks::read(&file, secrets);
    let kibana = kibana::read(&file, secrets);
    Ok(Config {
        file: path.to_owned(),
        mirror_hosts: hosts.hosts,
        sources,
        journal: journal?,
        sinks: sinks?,
        kibana: kibana?,
    })
}

fn parse(path: &Path, report: &problem::Report) -> Result<document::Node, problem::Reported> {
    let text =
        read_text(path).map_err(|(what, mend)| report.error(&Place::default(), what, mend))?;
    document::parse(&text, report)
}

fn reader<'a>(
    path: &Path,
    env: &'a dyn Fn(&str) -> Option<String>,
    report: &'a problem::Report,
) -> section::Reader<'a> {
    let folder = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    section::Reader {
        report,
        env,
        folder: folder.parent().unwrap_or(Path::new("/")).to_owned(),
        schema: SCHEMA,
    }
}

fn read_text(path: &Path) -> Result<String, (String, String)> {
    use std::io::Read;
    let mut text = String::new();
    let file = std::fs::File::open(path);
    let limit = document::FILE_BYTES_MAX as u64 + 1;
    match file.and_then(|file| file.take(limit).read_to_string(&mut text)) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Err((
            "does not exist".to_owned(),
            "write one (config/mirrorlag.minimal.yaml is the shortest), or correct the path after -c"
                .to_owned(),
        )),
        Err(error) => {
            let mend = "name a YAML file in UTF-8 that you may read".to_owned();
            Err((format!("cannot be read: {error}"), mend))
        }
        Ok(_) if text.len() > document::FILE_BYTES_MAX => {
            let what = format!("is larger than {} bytes", document::FILE_BYTES_MAX);
            Err((what, "name a configuration of mirrorlag".to_owned()))
        }
        Ok(_) => Ok(text.trim_start_matches('\u{feff}').to_owned()),
    }
}

#[cfg(test)]
mod tests;
