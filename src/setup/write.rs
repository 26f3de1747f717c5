//! In: files and a folder. Out: the files in it, each whole or as before, and a line for each.
//! Never: replaces a file that `setup --export` did not write, or that somebody changed since.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use super::export::File;
use super::thing::{Line, Outcome};

/// What was written, with the hash of each file, as `sha256sum -c` reads it.
const MANIFEST: &str = "mirrorlag-export.sha256";

/// What is written is renamed into its place when it is whole.
const UNFINISHED: &str = ".mirrorlag-unfinished";

/// A larger file is none of ours.
const FILE_BYTES_MAX: u64 = 64 << 20;

/// Paths and hashes of what earlier exports wrote; two hashes where one was cut short.
type Written = BTreeMap<String, BTreeSet<String>>;

/// Writes all of them, or none where one is not ours to replace.
pub fn write(folder: &Path, files: &[File]) -> Vec<Line> {
    match prepared(folder, files) {
        Ok((mut written, planned)) => write_planned(folder, &mut written, planned),
        Err(lines) => lines,
    }
}

/// One file and what becomes of it.
type Planned<'a> = (&'a File, Outcome);

fn prepared<'a>(
    folder: &Path,
    files: &'a [File],
) -> Result<(Written, Vec<Planned<'a>>), Vec<Line>> {
    let written = manifest(folder).map_err(|error| vec![failed(&folder.join(MANIFEST), &error)])?;
    let mut planned = Vec::new();
    let mut foreign = Vec::new();
    for file in files {
        let path = folder.join(&file.path);
        let outcome = match read(&path) {
            Ok(None) => Outcome::Created,
            Ok(Some(bytes)) if bytes == file.text.as_bytes() => Outcome::Unchanged,
            Ok(Some(bytes)) if is_ours(&written, &file.path, &bytes) => {
                Outcome::Changed("replaced".to_owned())
            }
            Ok(Some(_)) => {
                let why = "it was not written by setup --export, or was changed since; move it away, or name another folder (nothing was written)";
                foreign.push(line(&path, Outcome::Failed(why.to_owned())));
                continue;
            }
            Err(error) => {
                foreign.push(failed(&path, &error));
                continue;
            }
        };
        planned.push((file, outcome));
    }
    match foreign.is_empty() {
        true => Ok((written, planned)),
        false => Err(foreign),
    }
}

fn write_planned(folder: &Path, written: &mut Written, planned: Vec<Planned<'_>>) -> Vec<Line> {
    let stale = stale(folder, written, &planned);
    // Before the files: whatever is written when this ends halfway is known as ours.
    for (file, _) in &planned {
        let hashes = written.entry(name_of(&file.path)).or_default();
        hashes.insert(hash(file.text.as_bytes()));
    }
    if let Err(error) = store_manifest(folder, written) {
        return vec![failed(&folder.join(MANIFEST), &error)];
    }
    let mut lines = Vec::new();
    for (file, outcome) in planned {
        let path = folder.join(&file.path);
        if outcome != Outcome::Unchanged
            && let Err(error) = replace(&path, file.text.as_bytes())
        {
            lines.push(failed(&path, &error));
            return lines;
        }
        written.insert(
            name_of(&file.path),
            BTreeSet::from([hash(file.text.as_bytes())]),
        );
        lines.push(line(&path, outcome));
    }
    if let Err(error) = store_manifest(folder, written) {
        lines.push(failed(&folder.join(MANIFEST), &error));
    }
    lines.extend(stale);
    lines
}

/// Files of an earlier export that this one does not have.
fn stale(folder: &Path, written: &Written, planned: &[Planned<'_>]) -> Vec<Line> {
    let wanted: BTreeSet<String> = planned
        .iter()
        .map(|(file, _)| name_of(&file.path))
        .collect();
    let stale = written.keys().filter(|name| !wanted.contains(*name));
    let paths = stale.map(|name| folder.join(name));
    let why = "an earlier export wrote it, and this one has no use for it; delete it";
    paths
        .filter(|path| path.exists())
        .map(|path| line(&path, Outcome::Left(why.to_owned())))
        .collect()
}

fn is_ours(written: &Written, path: &Path, bytes: &[u8]) -> bool {
    let hashes = written.get(&name_of(path));
    hashes.is_some_and(|hashes| hashes.contains(&hash(bytes)))
}

fn manifest(folder: &Path) -> io::Result<Written> {
    let bytes = read(&folder.join(MANIFEST))?.unwrap_or_default();
    let text = String::from_utf8_lossy(&bytes);
    let mut written = Written::new();
    for (hash, name) in text.lines().filter_map(|line| line.split_once("  ")) {
        let hashes = written.entry(name.to_owned()).or_default();
        hashes.insert(hash.to_owned());
    }
    Ok(written)
}

fn store_manifest(folder: &Path, written: &Written) -> io::Result<()> {
    let mut text = String::new();
    for (name, hashes) in written {
        for hash in hashes {
            text.push_str(&format!("{hash}  {name}\n"));
        }
    }
    replace(&folder.join(MANIFEST), text.as_bytes())
}

/// The content of a file; `None`: there is none.
fn read(path: &Path) -> io::Result<Option<Vec<u8>>> {
    use std::io::Read;
    let mut bytes = Vec::new();
    match fs::File::open(path) {
        Ok(file) => file.take(FILE_BYTES_MAX).read_to_end(&mut bytes)?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    Ok(Some(bytes))
}

/// The new content as a whole, or the old one.
fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    let mut unfinished = path.as_os_str().to_owned();
    unfinished.push(UNFINISHED);
    let unfinished = PathBuf::from(unfinished);
    let mut file = fs::File::create(&unfinished)?;
    let stored = file
        .write_all(bytes)
        .and_then(|()| file.sync_all())
        .and_then(|()| fs::rename(&unfinished, path));
    if stored.is_err() {
        // What cannot be removed either is said by its name.
        let _removed = fs::remove_file(&unfinished);
    }
    stored
}

fn name_of(path: &Path) -> String {
    path.display().to_string()
}

fn hash(bytes: &[u8]) -> String {
    let digest = Sha256::digest(bytes);
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn line(path: &Path, outcome: Outcome) -> Line {
    Line::new(path.display().to_string(), outcome)
}

fn failed(path: &Path, error: &io::Error) -> Line {
    let why = format!("cannot be written: {error}; name a folder that you may write to");
    line(path, Outcome::Failed(why))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(path: &str, text: &str) -> File {
        File {
            path: path.into(),
            text: text.to_owned(),
        }
    }

    fn words(lines: &[Line]) -> Vec<&'static str> {
        lines.iter().map(|line| line.outcome.word()).collect()
    }

    #[test]
    fn a_second_export_replaces_what_the_first_wrote_and_says_what_it_did() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path().join("new/export");
        let first = [file("a.json", "1"), file("b/c.json", "2")];
        assert_eq!(words(&write(&folder, &first)), ["created", "created"]);
        assert_eq!(words(&write(&folder, &first)), ["unchanged", "unchanged"]);
        let second = [file("a.json", "1"), file("b/c.json", "3")];
        assert_eq!(words(&write(&folder, &second)), ["unchanged", "changed"]);
        assert_eq!(fs::read_to_string(folder.join("b/c.json")).unwrap(), "3");
        let third = write(&folder, &second[..1]);
        assert_eq!(words(&third), ["unchanged", "left"]);
        assert!(folder.join("b/c.json").exists(), "it is named, not deleted");
    }

    #[test]
    fn a_file_that_is_somebody_elses_keeps_every_file_as_it_is() {
        let folder = tempfile::tempdir().unwrap();
        let ours = [file("a.json", "1"), file("b.json", "2")];
        fs::write(folder.path().join("b.json"), "mine").unwrap();
        let lines = write(folder.path(), &ours);
        assert_eq!(words(&lines), ["failed"]);
        assert!(!folder.path().join("a.json").exists());
        assert_eq!(
            fs::read_to_string(folder.path().join("b.json")).unwrap(),
            "mine"
        );
        // One that we wrote and somebody changed is somebody's too.
        fs::remove_file(folder.path().join("b.json")).unwrap();
        assert_eq!(words(&write(folder.path(), &ours)), ["created", "created"]);
        fs::write(folder.path().join("a.json"), "edited").unwrap();
        let newer = [file("a.json", "9"), file("b.json", "2")];
        assert_eq!(words(&write(folder.path(), &newer)), ["failed"]);
        assert_eq!(
            fs::read_to_string(folder.path().join("a.json")).unwrap(),
            "edited"
        );
    }

    #[test]
    fn an_export_that_was_cut_short_is_finished_by_the_next() {
        let folder = tempfile::tempdir().unwrap();
        let old = [file("a.json", "1"), file("b.json", "1")];
        write(folder.path(), &old);
        // The manifest has both hashes, `a` is new, `b` is old.
        let new = [file("a.json", "2"), file("b.json", "2")];
        let mut written = manifest(folder.path()).unwrap();
        for file in &new {
            let hashes = written.get_mut(&name_of(&file.path)).unwrap();
            hashes.insert(hash(file.text.as_bytes()));
        }
        store_manifest(folder.path(), &written).unwrap();
        fs::write(folder.path().join("a.json"), "2").unwrap();
        assert_eq!(words(&write(folder.path(), &new)), ["unchanged", "changed"]);
    }

    #[test]
    fn a_folder_that_cannot_be_made_is_one_line() {
        let folder = tempfile::tempdir().unwrap();
        let taken = folder.path().join("file");
        fs::write(&taken, "").unwrap();
        let lines = write(&taken, &[file("a.json", "1")]);
        assert_eq!(words(&lines), ["failed"]);
    }
}
