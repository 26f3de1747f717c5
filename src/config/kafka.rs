//! In: the `kafka:` keys of a mirror host and of `defaults`. Out: `kafka::Settings`.
//! Never: looks at a mirror host.

use std::time::Duration;

use super::names;
use super::problem::{Place, Reported};
use super::section::{Reader, Section, Written, optional, value_or};
use crate::kafka::{Jvm, Settings};

pub(super) const KEYS: &[&str] = &["consumer_groups", "java_home", "jvm", "timeout"];

/// The CLI's own `--timeout` where none is given, to Kafka 4.0.
pub(super) const CLI_TIMEOUT: Duration = Duration::from_secs(5);

const TIMEOUT_MIN: Duration = Duration::from_secs(1);
const TIMEOUT_MAX: Duration = Duration::from_secs(600);

/// The `kafka:` keys of one section, as written.
#[derive(Default, Clone)]
pub(super) struct Keys {
    consumer_groups: Written<String>,
    java_home: Written<String>,
    jvm: Written<Jvm>,
    timeout: Written<Duration>,
}

impl Keys {
    pub fn read(section: &Section<'_>) -> Self {
        let reader = section.reader;
        let remote = |key| reader.expanded(section.text(key));
        Self {
            consumer_groups: reader.refine(remote("consumer_groups"), |path| {
                names::remote_command(path)
            }),
            java_home: reader.refine(remote("java_home"), |path| names::remote_path(path)),
            jvm: reader.refine(section.text("jvm"), |word| match word.as_str() {
                "light" => Ok(Jvm::Light),
                "as_is" => Ok(Jvm::AsIs),
                _ => Err((
                    format!("there is no {word:?}"),
                    "write light or as_is".to_owned(),
                )),
            }),
            timeout: section.duration("timeout", TIMEOUT_MIN..=TIMEOUT_MAX),
        }
    }

    /// The keys of a section that could not be read: none of them is missing.
    pub fn reported() -> Self {
        Self {
            consumer_groups: Some(Err(Reported)),
            ..Self::default()
        }
    }

    /// These keys, and those of `defaults` where there is none.
    pub fn or(self, defaults: &Self) -> Self {
        let defaults = defaults.clone();
        Self {
            consumer_groups: self.consumer_groups.or(defaults.consumer_groups),
            java_home: self.java_home.or(defaults.java_home),
            jvm: self.jvm.or(defaults.jvm),
            timeout: self.timeout.or(defaults.timeout),
        }
    }

    /// Applies the defaults; `host` is where the mirror host stands.
    pub fn resolve(self, reader: &Reader<'_>, host: &Place) -> Result<Settings, Reported> {
        let consumer_groups = reader.required(
            self.consumer_groups,
            host,
            "kafka.consumer_groups",
            "write the path of kafka-consumer-groups.sh there under kafka: of this host or of defaults:",
        );
        let java_home = optional(self.java_home);
        let jvm = value_or(self.jvm, Jvm::Light);
        let timeout = optional(self.timeout);
        Ok(Settings {
            consumer_groups: consumer_groups?.value,
            java_home: java_home?,
            jvm: jvm?,
            timeout: timeout?,
        })
    }
}
