//! In: where the journal lies. Out: whether it can be written there, and how much room it has.
//! Never: creates the folder, opens the journal: `run` may have it open.

use std::path::{Path, PathBuf};
use std::time::Instant;

use rustix::fs::{Access, access, statvfs};

use super::{Reporter, since};
use crate::finding::Verdict;
use crate::journal::Settings;

const SUBJECT: &str = "journal";

/// Below this not even a day of a small fleet fits: 100 topics at 10 s write about 400 MB a day.
const FREE_BYTES_MIN: u64 = 256 * 1024 * 1024;

/// Reports folder and free space.
pub(super) async fn check(settings: &Settings, reporter: &Reporter) {
    let started = Instant::now();
    let (folder, is_there) = nearest_folder(&settings.path);
    let verdict = folder_verdict(settings, &folder, is_there);
    let is_usable = !matches!(verdict, Verdict::Failed { .. });
    reporter
        .say(SUBJECT, "folder", since(started), verdict)
        .await;
    let started = Instant::now();
    let verdict = match is_usable {
        true => space_verdict(settings, &folder),
        false => Verdict::Skipped("the folder cannot be used".to_owned()),
    };
    reporter
        .say(SUBJECT, "space", since(started), verdict)
        .await;
}

/// The folder of the journal, or the nearest above it that exists; whether it is the folder itself.
fn nearest_folder(path: &Path) -> (PathBuf, bool) {
    let mut folders = path.ancestors().skip(1);
    let wanted = folders.next().unwrap_or(Path::new("/")).to_owned();
    if wanted.exists() {
        return (wanted, true);
    }
    let above = folders.find(|folder| folder.exists());
    (above.unwrap_or(Path::new("/")).to_owned(), false)
}

fn folder_verdict(settings: &Settings, folder: &Path, is_there: bool) -> Verdict {
    let shown = folder.display();
    let path = settings.path.display();
    if !folder.is_dir() {
        return Verdict::Failed {
            why: format!("{shown} is not a folder"),
            mend: "correct journal.path".to_owned(),
        };
    }
    let writable = Access::WRITE_OK | Access::EXEC_OK;
    if let Err(error) = access(folder, writable) {
        return Verdict::Failed {
            why: format!("{shown} cannot be written: {error}"),
            mend: format!(
                "chown $USER {shown}, or correct journal.path; in a systemd unit: StateDirectory=mirrorlag"
            ),
        };
    }
    if settings.path.exists()
        && let Err(error) = access(&settings.path, Access::READ_OK | Access::WRITE_OK)
    {
        return Verdict::Failed {
            why: format!("{path} cannot be written: {error}"),
            mend: format!("chown $USER {path}*, or correct journal.path"),
        };
    }
    Verdict::Passed(match (is_there, settings.path.exists()) {
        (true, true) => format!("{path}"),
        (true, false) => format!("{path}, will be made at the first start"),
        (false, _) => format!("{path}, its folder will be made in {shown}"),
    })
}

fn space_verdict(settings: &Settings, folder: &Path) -> Verdict {
    let free = match statvfs(folder) {
        Ok(space) => space.f_bavail.saturating_mul(space.f_frsize),
        Err(error) => {
            return Verdict::Warned {
                what: format!("free space of {} is not known: {error}", folder.display()),
                mend: format!("look: df {}", folder.display()),
            };
        }
    };
    let has = std::fs::metadata(&settings.path).map_or(0, |file| file.len());
    let needs = settings.bytes_max.saturating_sub(has);
    let size = bytesize::ByteSize;
    let (free_text, max) = (size(free), size(settings.bytes_max));
    if free < FREE_BYTES_MIN.min(needs) {
        Verdict::Failed {
            why: format!("only {free_text} are free in {}", folder.display()),
            mend: "make room there, or put journal.path on another disk".to_owned(),
        }
    } else if free < needs {
        Verdict::Warned {
            what: format!("{free_text} free, less than the journal may grow to (bytes_max {max})"),
            mend: "make room, or lower journal.bytes_max: at a full disk samples are lost"
                .to_owned(),
        }
    } else {
        Verdict::Passed(format!("{free_text} free, the journal takes at most {max}"))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn settings(path: PathBuf, bytes_max: u64) -> Settings {
        Settings {
            path,
            retain_for: Duration::from_secs(60),
            bytes_max,
        }
    }

    fn verdict_of_folder(settings: &Settings) -> Verdict {
        let (folder, is_there) = nearest_folder(&settings.path);
        folder_verdict(settings, &folder, is_there)
    }

    #[test]
    fn a_folder_that_will_be_made_passes_and_is_not_made() {
        let home = tempfile::tempdir().unwrap();
        let settings = settings(home.path().join("a/b/journal.db"), 1 << 20);
        let verdict = verdict_of_folder(&settings);
        assert!(matches!(verdict, Verdict::Passed(text) if text.contains("will be made in")));
        assert!(!home.path().join("a").exists());
    }

    #[test]
    fn a_file_where_the_folder_belongs_fails() {
        let home = tempfile::tempdir().unwrap();
        std::fs::write(home.path().join("a"), "").unwrap();
        let settings = settings(home.path().join("a/journal.db"), 1 << 20);
        assert!(matches!(
            verdict_of_folder(&settings),
            Verdict::Failed { .. }
        ));
    }

    #[test]
    fn less_room_than_the_journal_may_take_is_a_warning() {
        let home = tempfile::tempdir().unwrap();
        let small = settings(home.path().join("journal.db"), 1);
        assert!(matches!(
            space_verdict(&small, home.path()),
            Verdict::Passed(_)
        ));
        let huge = settings(home.path().join("journal.db"), u64::MAX);
        assert!(!matches!(
            space_verdict(&huge, home.path()),
            Verdict::Passed(_)
        ));
    }
}
