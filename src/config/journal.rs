//! In: the `journal:` section and the platform. Out: `journal::Settings`.
//! Never: creates a folder.

use std::path::PathBuf;
use std::time::Duration;

use bytesize::ByteSize;

use super::problem::{Place, Reported};
use super::section::{Reader, Section, value_or};
use crate::journal::Settings;

pub(super) const KEYS: &[&str] = &["path", "retain_for", "bytes_max"];

const FILE: &str = "journal.db";
const RETAIN_FOR: Duration = Duration::from_secs(7 * 24 * 3600);
const BYTES_MAX: ByteSize = ByteSize::gib(2);

/// Shorter than a sink's restart, the journal would be of no use.
const RETAIN_FOR_MIN: Duration = Duration::from_secs(60);
const RETAIN_FOR_MAX: Duration = Duration::from_secs(365 * 24 * 3600);
/// An empty database with its write-ahead log takes up to 4 MiB.
const BYTES_MAX_MIN: ByteSize = ByteSize::mib(16);

pub(super) fn read(file: &Section<'_>) -> Result<Settings, Reported> {
    let section = file.section("journal", KEYS).transpose()?;
    let Some(section) = section else {
        return Ok(Settings {
            path: default_path(file.reader, &file.place)?,
            retain_for: RETAIN_FOR,
            bytes_max: BYTES_MAX.as_u64(),
        });
    };
    let written = section.local_path("path");
    let path = section.reader.refine(written, |path| match path.is_dir() {
        true => Err((
            format!("{} is a folder", path.display()),
            format!("name a file in it: {}", path.join(FILE).display()),
        )),
        false => Ok(path.clone()),
    });
    let path = match path {
        Some(read) => read.map(|at| at.value),
        None => default_path(section.reader, &section.place),
    };
    let retain_for = value_or(
        section.duration("retain_for", RETAIN_FOR_MIN..=RETAIN_FOR_MAX),
        RETAIN_FOR,
    );
    let bytes_max = value_or(
        section.bytes("bytes_max", BYTES_MAX_MIN),
        BYTES_MAX.as_u64(),
    );
    Ok(Settings {
        path: path?,
        retain_for: retain_for?,
        bytes_max: bytes_max?,
    })
}

/// `$STATE_DIRECTORY/journal.db` under systemd, else `mirrorlag/journal.db` in the XDG state folder.
///
/// Source: systemd.exec(5) `StateDirectory=`; XDG Base Directory Specification.
fn default_path(reader: &Reader<'_>, place: &Place) -> Result<PathBuf, Reported> {
    let absolute = |text: String| Some(PathBuf::from(text)).filter(|path| path.is_absolute());
    // Several state directories are separated by colons; the first is ours.
    let first = |text: String| text.split(':').next().map(str::to_owned);
    let of_service = (reader.env)("STATE_DIRECTORY").and_then(first);
    if let Some(folder) = of_service.and_then(absolute) {
        return Ok(folder.join(FILE));
    }
    let of_user = (reader.env)("XDG_STATE_HOME")
        .and_then(absolute)
        .or_else(|| {
            let home = (reader.env)("HOME").and_then(absolute)?;
            Some(home.join(".local/state"))
        });
    of_user
        .map(|folder| folder.join("mirrorlag").join(FILE))
        .ok_or_else(|| {
            reader.report.error(
                place,
                "there is no place for the journal: STATE_DIRECTORY, XDG_STATE_HOME and HOME are not set",
                "write journal: {path: /var/lib/mirrorlag/journal.db}",
            )
        })
}
