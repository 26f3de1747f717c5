//! In: the `sinks:` section. Out: the settings of each sink that it names.
//! Never: sends a request, creates an index.

use std::path::Path;
use std::time::Duration;

use super::credentials::{self, Secrets};
use super::expand::{Fault, cannot_read};
use super::problem::Reported;
use super::section::{At, Section, Written, optional, value_or};
use super::url::url;
use super::{Sinks, layouts};
use crate::sinks::elasticsearch::{
    Credentials, SHIPPED_MAPPING, SHIPPED_PARTITIONS_MAPPING, Settings,
};

pub(super) const KEYS: &[&str] = &["elasticsearch", "stdout"];
pub(super) const ELASTICSEARCH_KEYS: &[&str] = &[
    "urls",
    "index",
    "mapping_file",
    "layout",
    "partitions_index",
    "partitions_mapping_file",
    "data_stream",
    "retain_for",
    "username",
    "password_env",
    "password_file",
    "api_key_env",
    "api_key_file",
    "ca_file",
    "accept_any_certificate",
    "proxy",
    "request_timeout",
];

pub(super) const REQUEST_TIMEOUT: Duration = Duration::from_secs(30);
const REQUEST_TIMEOUT_MIN: Duration = Duration::from_secs(1);
const REQUEST_TIMEOUT_MAX: Duration = Duration::from_secs(600);

/// A mapping has some kilobytes; what is larger is some other file.
const MAPPING_BYTES_MAX: u64 = 1024 * 1024;

/// Reads `sinks:`; every problem is reported.
pub(super) fn read(file: &Section<'_>, secrets: Secrets) -> Result<Sinks, Reported> {
    let mend = "name at least one: elasticsearch: {urls: ['http://127.0.0.1:9200']}, or stdout: {}";
    let report = file.reader.report;
    let Some(section) = file.section("sinks", KEYS).transpose()? else {
        let what = "has no sinks:";
        return Err(report.error(&file.place, what, mend));
    };
    if section.entries.is_empty() {
        return Err(report.error(&section.place, "is empty", mend));
    }
    // `stdout:` without a value is the sink with all its defaults.
    let stdout = section.section("stdout", &[]).transpose();
    let elasticsearch = section
        .section("elasticsearch", ELASTICSEARCH_KEYS)
        .transpose()
        .and_then(|section| {
            section
                .map(|section| elasticsearch(&section, secrets))
                .transpose()
        });
    Ok(Sinks {
        stdout: stdout?.is_some(),
        elasticsearch: elasticsearch?,
    })
}

fn elasticsearch(section: &Section<'_>, secrets: Secrets) -> Result<Settings, Reported> {
    let reader = section.reader;
    let mend = "write ['http://es-node1:9200'] with every node that may be asked";
    let urls = reader.required(urls(section), &section.place, "urls", mend);
    let indices = layouts::read(section);
    let file = |key| reader.refine(section.local_path(key), |path| mapping(path));
    let wide_mapping = file("mapping_file");
    let partitions_mapping = file("partitions_mapping_file");
    let written = section.local_file("ca_file");
    let ca_file = reader.refine(written, |path| certificates(path).map(|()| path.clone()));
    let accept_any = section.flag("accept_any_certificate");
    judge_trust(section, &accept_any, "Elasticsearch");
    let written = reader.expanded(section.text("proxy"));
    let proxy = reader.refine(written, |text| url(text).map(|_| text.clone()));
    let request_timeout = request_timeout(section);
    let credentials = match secrets {
        Secrets::All | Secrets::OfSinks => credentials::read(section),
        Secrets::None => Ok(Credentials::None),
    };
    if let (Ok(urls), Ok(credentials)) = (&urls, &credentials) {
        credentials::warn_if_in_the_clear(reader, urls, credentials);
    }
    let wide_mapping = value_or(wide_mapping, SHIPPED_MAPPING.to_owned());
    let partitions_mapping = value_or(partitions_mapping, SHIPPED_PARTITIONS_MAPPING.to_owned());
    let ca_file = optional(ca_file);
    let accept_any = value_or(accept_any, false);
    let proxy = optional(proxy);
    let request_timeout = value_or(request_timeout, REQUEST_TIMEOUT);
    let indices = indices?;
    Ok(Settings {
        urls: urls?.value.into_iter().map(|at| at.value).collect(),
        index: indices.index,
        mapping: wide_mapping?,
        layout: indices.layout,
        partitions_index: indices.partitions_index,
        partitions_mapping: partitions_mapping?,
        data_stream: indices.data_stream,
        retain_for: indices.retain_for,
        credentials: credentials?,
        ca_file: ca_file?,
        accept_any_certificate: accept_any?,
        proxy: proxy?,
        request_timeout: request_timeout?,
    })
}

fn urls(section: &Section<'_>) -> Written<Vec<At<String>>> {
    let written = section.texts("urls")?;
    Some(written.and_then(|list| {
        let mut urls: Vec<At<String>> = Vec::new();
        let mut judged = Ok(());
        for item in &list.value {
            let read = section.reader.judge(item, |text| {
                let text = super::expand::variables(text, section.reader.env)?;
                url(&text)?;
                let text = text.trim_end_matches('/').to_owned();
                match urls.iter().any(|other| other.value == text) {
                    true => Err((format!("{text} is listed twice"), "remove one".to_owned())),
                    false => Ok(text),
                }
            });
            match read {
                Ok(url) => urls.push(url),
                Err(reported) => judged = Err(reported),
            }
        }
        judged.map(|()| At {
            value: urls,
            place: list.place,
        })
    }))
}

pub(super) fn request_timeout(section: &Section<'_>) -> Written<Duration> {
    section.duration("request_timeout", REQUEST_TIMEOUT_MIN..=REQUEST_TIMEOUT_MAX)
}

fn mapping(path: &Path) -> Result<String, Fault> {
    let file = path.display();
    let text = read_small(path, MAPPING_BYTES_MAX)?;
    let body: serde_json::Value = serde_json::from_str(&text).map_err(|error| {
        let what = format!("{file} is not JSON: {error}");
        (
            what,
            "mend it, or remove the key: a mapping is built in".to_owned(),
        )
    })?;
    let has = |key| body.get(key).is_some_and(serde_json::Value::is_object);
    if !(has("mappings") || has("settings") || has("aliases")) {
        return Err((
            format!("{file} is not the body of an index"),
            "wrap it: {\"mappings\": {...}}".to_owned(),
        ));
    }
    Ok(text)
}

pub(super) fn certificates(path: &Path) -> Result<(), Fault> {
    let text = read_small(path, MAPPING_BYTES_MAX)?;
    if text.contains("-----BEGIN CERTIFICATE-----") {
        return Ok(());
    }
    Err((
        format!("{} has no PEM certificate", path.display()),
        "name the CA's certificate in PEM form: -----BEGIN CERTIFICATE-----".to_owned(),
    ))
}

fn read_small(path: &Path, bytes_max: u64) -> Result<String, Fault> {
    use std::io::Read;
    let mut text = String::new();
    std::fs::File::open(path)
        .and_then(|file| file.take(bytes_max).read_to_string(&mut text))
        .map_err(|error| cannot_read(path, &error))?;
    Ok(text)
}

pub(super) fn judge_trust(section: &Section<'_>, accept_any: &Written<bool>, server: &str) {
    let Some(Ok(At { value: true, place })) = accept_any else {
        return;
    };
    let report = section.reader.report;
    if section.entry("ca_file").is_some() {
        report.error(
            place,
            "ca_file has no effect beside it",
            "keep ca_file and remove this key",
        );
    } else {
        report.warn(
            place,
            format!(
                "anyone between here and {server} can read the credentials and change what is sent"
            ),
            "name the CA in ca_file instead",
        );
    }
}
