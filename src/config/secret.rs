//! In: `<name>_env` or `<name>_file`. Out: the secret, without the line end that an editor left.
//! Never: takes a secret from the file itself, puts one into a message.

use std::io::Read;
use std::path::Path;

use secrecy::SecretString;

use super::expand::{Fault, cannot_read, is_variable_name};
use super::problem::Reported;
use super::section::{Section, Written};

/// Larger than any password or key; a larger file is some other file.
const SECRET_BYTES_MAX: u64 = 64 * 1024;

impl Section<'_> {
    /// The secret that `<name>_env` or `<name>_file` leads to; both at once is a problem.
    pub fn secret(&self, name: &str) -> Written<SecretString> {
        let from_env = self.text(&format!("{name}_env"));
        let from_file = self.local_path(&format!("{name}_file"));
        match (from_env, from_file) {
            (Some(_), Some(_)) => Some(Err(self.both(name))),
            (Some(Ok(variable)), None) => Some(
                self.reader
                    .judge(&variable, |variable| self.in_variable(variable)),
            ),
            (None, Some(Ok(path))) => {
                self.reader.warn_if_world_readable(&path);
                Some(self.reader.judge(&path, |path| in_file(path)))
            }
            (Some(Err(reported)), None) | (None, Some(Err(reported))) => Some(Err(reported)),
            (None, None) => None,
        }
    }

    fn both(&self, name: &str) -> Reported {
        let place = self
            .entry(&format!("{name}_file"))
            .map_or_else(|| self.place.clone(), |entry| self.place_of(entry));
        let what = format!("{name}_env is given as well");
        self.reader
            .report
            .error(&place, what, "keep one of the two")
    }

    fn in_variable(&self, variable: &str) -> Result<SecretString, Fault> {
        if !is_variable_name(variable) {
            // The text is not repeated: it may be the secret itself.
            return Err((
                "does not name an environment variable".to_owned(),
                "write the name of the variable, not its value, without $".to_owned(),
            ));
        }
        let mend = format!(
            "set it where mirrorlag is started: export {variable}=..., or EnvironmentFile= in the systemd unit"
        );
        match (self.reader.env)(variable) {
            None => Err((format!("environment variable {variable} is not set"), mend)),
            Some(value) if value.trim().is_empty() => {
                Err((format!("environment variable {variable} is empty"), mend))
            }
            Some(value) => Ok(value.into()),
        }
    }
}

fn in_file(path: &Path) -> Result<SecretString, Fault> {
    let mut text = String::new();
    let read = std::fs::File::open(path)
        .and_then(|file| file.take(SECRET_BYTES_MAX + 1).read_to_string(&mut text));
    if let Err(error) = read {
        return Err(cannot_read(path, &error));
    }
    let secret = text.strip_suffix('\n').unwrap_or(&text);
    let secret = secret.strip_suffix('\r').unwrap_or(secret);
    let file = path.display();
    if secret.trim().is_empty() {
        let mend = "write the secret into it, alone on one line".to_owned();
        return Err((format!("{file} is empty"), mend));
    }
    if secret.contains('\n') || text.len() as u64 > SECRET_BYTES_MAX {
        let mend = "a secret file holds the secret alone, on one line".to_owned();
        return Err((format!("{file} has more than one line"), mend));
    }
    Ok(secret.to_owned().into())
}
