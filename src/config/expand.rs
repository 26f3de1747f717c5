//! In: text with `~` and `${VAR}`. Out: the text with both replaced, or what is wrong with it.
//! Never: runs a command, replaces a variable that is not set with nothing.

use std::path::PathBuf;

use super::section::{At, Reader, Section, Written};

/// What is wrong, and the mend.
pub(super) type Fault = (String, String);

/// Replaces `${VAR}`. A `$` without a brace stays as it is; there is no default and no nesting.
pub(super) fn variables(text: &str, env: &dyn Fn(&str) -> Option<String>) -> Result<String, Fault> {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("${") {
        out.push_str(before);
        let Some((name, tail)) = after.split_once('}') else {
            return Err((
                format!("\"${{{after}\" has no closing brace"),
                "write ${NAME}".to_owned(),
            ));
        };
        if !is_variable_name(name) {
            return Err((
                format!("\"${{{name}}}\" does not name an environment variable"),
                "write ${NAME}: letters, digits and underscores only".to_owned(),
            ));
        }
        let value = env(name).ok_or_else(|| {
            (
                format!("environment variable {name} is not set"),
                format!("set it where mirrorlag is started: export {name}=..., or Environment={name}=... in the systemd unit"),
            )
        })?;
        out.push_str(&value);
        rest = tail;
    }
    out.push_str(rest);
    Ok(out)
}

pub(super) fn is_variable_name(name: &str) -> bool {
    let mut chars = name.chars();
    chars
        .next()
        .is_some_and(|first| first.is_ascii_alphabetic() || first == '_')
        && chars.all(|c| c.is_ascii_alphanumeric() || c == '_')
}

impl Reader<'_> {
    /// `${VAR}` replaced; for addresses, URLs and paths on a mirror host.
    pub fn expanded(&self, written: Written<String>) -> Written<String> {
        self.refine(written, |text| variables(text, self.env))
    }

    /// A path on this machine: `${VAR}` and a leading `~/` replaced, a relative one taken from the file's folder.
    pub fn local(&self, text: &str) -> Result<PathBuf, Fault> {
        let text = variables(text, self.env)?;
        if text.contains('\0') || text.contains('\n') {
            let mend = "write a plain path".to_owned();
            return Err(("has a line end or a NUL in it".to_owned(), mend));
        }
        let Some(below_home) = text.strip_prefix('~') else {
            return Ok(self.folder.join(text));
        };
        let below_home = match below_home.strip_prefix('/') {
            Some(rest) => rest,
            None if below_home.is_empty() => "",
            None => {
                let what = format!("{text:?} is the home folder of another user");
                return Err((what, "write the absolute path".to_owned()));
            }
        };
        let home = (self.env)("HOME").filter(|home| home.starts_with('/'));
        let home = home.ok_or_else(|| {
            (
                "~ stands for HOME, which is not set".to_owned(),
                "write the absolute path".to_owned(),
            )
        })?;
        Ok(PathBuf::from(home).join(below_home))
    }

    /// Warns of a file with a secret that every user of this machine may read.
    pub fn warn_if_world_readable(&self, file: &At<PathBuf>) {
        use std::os::unix::fs::PermissionsExt;
        let Ok(metadata) = std::fs::metadata(&file.value) else {
            return;
        };
        let mode = metadata.permissions().mode() & 0o777;
        if mode & 0o007 != 0 {
            let path = file.value.display();
            self.report.warn(
                &file.place,
                format!("{path} is open to every user of this machine (mode {mode:04o})"),
                format!("chmod 600 {path}"),
            );
        }
    }
}

impl Section<'_> {
    /// A path on this machine; see `Reader::local`.
    pub fn local_path(&self, key: &str) -> Written<PathBuf> {
        let written = self.text(key);
        self.reader.refine(written, |text| self.reader.local(text))
    }

    /// A path on this machine of a file that must be there and readable.
    pub fn local_file(&self, key: &str) -> Written<PathBuf> {
        let written = self.local_path(key);
        self.reader.refine(written, |path| {
            match std::fs::File::open(path).and_then(|file| file.metadata()) {
                Ok(metadata) if metadata.is_file() => Ok(path.clone()),
                Ok(_) => Err((
                    format!("{} is not a file", path.display()),
                    "name the file itself".to_owned(),
                )),
                Err(error) => Err(cannot_read(path, &error)),
            }
        })
    }
}

pub(super) fn cannot_read(path: &std::path::Path, error: &std::io::Error) -> Fault {
    let path = path.display();
    match error.kind() {
        std::io::ErrorKind::NotFound => (
            format!("{path} does not exist"),
            "correct the path, or put the file there".to_owned(),
        ),
        std::io::ErrorKind::PermissionDenied => (
            format!("{path} cannot be read: permission denied"),
            format!("give the user that runs mirrorlag the right to read it: ls -l {path}"),
        ),
        _ => (
            format!("{path} cannot be read: {error}"),
            "correct the path".to_owned(),
        ),
    }
}
