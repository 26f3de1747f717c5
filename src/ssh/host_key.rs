//! In: the host key that a peer proved to hold, known_hosts, the policy. Out: it is trusted, or the error that says why not.
//! Never: trusts a changed or revoked key, takes a missing file for a yes.

use std::collections::BTreeSet;
use std::fs::OpenOptions;
use std::io::{ErrorKind, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};
use sha2::{Digest, Sha256};

use super::error::{Endpoint, Error, OfferedKey, words_of};
use super::known_hosts::{Entry, KnownHosts, Marker, type_of};
use super::message::host_name;
use super::{HostKeyPolicy, Settings};

/// Algorithms asked for, best first. No certificates: they would be offered instead of the plain key that known_hosts has.
const ALGORITHMS: [&str; 6] = [
    "ssh-ed25519",
    "ecdsa-sha2-nistp256",
    "ecdsa-sha2-nistp384",
    "ecdsa-sha2-nistp521",
    "rsa-sha2-512",
    "rsa-sha2-256",
];

/// known_hosts is read whole; one of a large fleet has some thousand lines of 500 bytes.
const KNOWN_HOSTS_BYTES_MAX: u64 = 16 * 1024 * 1024;

/// What is known of one host before it is asked.
#[derive(Debug)]
pub(super) struct Trust {
    at: Arc<Endpoint>,
    name: String,
    file: KnownHosts,
}

impl Trust {
    /// Reads known_hosts, anew for each connection so that a mended file counts at once.
    ///
    /// # Errors
    /// `KnownHosts`: the file is missing under `Strict`, or cannot be read.
    pub async fn read(settings: &Settings, at: &Arc<Endpoint>) -> Result<Self, Error> {
        let failed = |why: String| Error::KnownHosts {
            at: at.clone(),
            path: settings.known_hosts.clone(),
            why,
        };
        let bytes = match tokio::fs::metadata(&settings.known_hosts).await {
            Ok(data) if data.len() > KNOWN_HOSTS_BYTES_MAX => {
                return Err(failed(format!("larger than {KNOWN_HOSTS_BYTES_MAX} bytes")));
            }
            Ok(_) => tokio::fs::read(&settings.known_hosts).await,
            Err(error) => Err(error),
        };
        let bytes = match bytes {
            Ok(bytes) => bytes,
            // A file that is not there knows nobody: `AcceptNew` makes it, `Pinned` needs none.
            Err(error)
                if error.kind() == ErrorKind::NotFound
                    && settings.host_key != HostKeyPolicy::Strict =>
            {
                Vec::new()
            }
            Err(error) if error.kind() == ErrorKind::NotFound => {
                return Err(failed("no such file".into()));
            }
            Err(error) => return Err(failed(words_of(&error))),
        };
        let trust = Self {
            at: at.clone(),
            name: host_name(at),
            file: KnownHosts::parse(&String::from_utf8_lossy(&bytes)),
        };
        for (line, why) in &trust.file.bad_lines {
            let file = settings.known_hosts.display();
            tracing::debug!(%file, line, why, "line of known_hosts is not read");
        }
        Ok(trust)
    }

    /// What to ask for in the key exchange: types that known_hosts has first, then the rest; without the types in `tried`.
    pub fn algorithms(&self, tried: &BTreeSet<String>) -> String {
        let known = self
            .known()
            .flat_map(|entry| algorithms_of(&entry.key_type));
        let mut wanted: Vec<&str> = Vec::new();
        for algorithm in known.copied().chain(ALGORITHMS) {
            let is_tried = tried
                .iter()
                .any(|key_type| algorithms_of(key_type).contains(&algorithm));
            if !is_tried && !wanted.contains(&algorithm) {
                wanted.push(algorithm);
            }
        }
        wanted.join(",")
    }

    /// Decides about the key that the peer holds; under `AcceptNew` a new host's key is written to known_hosts.
    ///
    /// # Errors
    /// One of the `HostKey...` errors, or `KnownHosts` when the file cannot be written.
    pub fn judge(&self, settings: &Settings, blob: &[u8]) -> Result<OfferedKey, Error> {
        let offered = OfferedKey {
            key_type: type_of(blob).unwrap_or("unknown").to_owned(),
            fingerprint: fingerprint(blob),
        };
        let has_blob = |entry: &&Entry| entry.blob == blob;
        if let Some(entry) = self.lines(Marker::Revoked).find(has_blob) {
            return Err(Error::HostKeyRevoked {
                at: self.at.clone(),
                offered,
                known_hosts: settings.known_hosts.clone(),
                line: entry.line,
            });
        }
        match &settings.host_key {
            HostKeyPolicy::Pinned(pinned) if is_same_fingerprint(pinned, &offered.fingerprint) => {
                return Ok(offered);
            }
            HostKeyPolicy::Pinned(pinned) => {
                return Err(Error::HostKeyNotPinned {
                    at: self.at.clone(),
                    offered,
                    pinned: pinned.clone(),
                });
            }
            HostKeyPolicy::Strict | HostKeyPolicy::AcceptNew => {}
        }
        if self.known().any(|entry| entry.blob == blob) {
            return Ok(offered);
        }
        // Lines without a port vouch for a key on another port, but say nothing against one (as OpenSSH).
        let of_name = |marker| {
            let mut lines = self.file.of(&self.name);
            lines.find(|entry| entry.marker == marker)
        };
        if let Some(entry) = of_name(Marker::Known) {
            return Err(Error::HostKeyChanged {
                at: self.at.clone(),
                offered,
                known_hosts: settings.known_hosts.clone(),
                line: entry.line,
            });
        }
        if let Some(entry) = of_name(Marker::Authority) {
            return Err(Error::HostKeyAuthority {
                at: self.at.clone(),
                offered,
                known_hosts: settings.known_hosts.clone(),
                line: entry.line,
            });
        }
        if settings.host_key == HostKeyPolicy::Strict {
            return Err(Error::HostKeyUnknown {
                at: self.at.clone(),
                offered,
                known_hosts: settings.known_hosts.clone(),
            });
        }
        self.remember(settings, offered, blob)
    }

    fn remember(
        &self,
        settings: &Settings,
        offered: OfferedKey,
        blob: &[u8],
    ) -> Result<OfferedKey, Error> {
        let key = STANDARD.encode(blob);
        let line = format!("{} {} {key}\n", self.name, offered.key_type);
        append(&settings.known_hosts, &line).map_err(|error| Error::KnownHosts {
            at: self.at.clone(),
            path: settings.known_hosts.clone(),
            why: format!("cannot add the key: {}", words_of(&error)),
        })?;
        tracing::info!(
            mirror_host = %self.at,
            key_type = offered.key_type,
            fingerprint = offered.fingerprint,
            known_hosts = %settings.known_hosts.display(),
            "new host key accepted and added to known_hosts"
        );
        Ok(offered)
    }

    fn known(&self) -> impl Iterator<Item = &Entry> {
        self.lines(Marker::Known)
    }

    /// Lines of `[name]:port` first, then those of the name without port.
    fn lines(&self, marker: Marker) -> impl Iterator<Item = &Entry> {
        let bare = (self.at.port != 22).then_some(self.at.address.as_str());
        self.file
            .of(&self.name)
            .chain(bare.into_iter().flat_map(|name| self.file.of(name)))
            .filter(move |entry| entry.marker == marker)
    }
}

/// `SHA256:` and the unpadded base64 of the key's SHA-256, as `ssh-keygen -lf` prints it.
pub(super) fn fingerprint(blob: &[u8]) -> String {
    format!("SHA256:{}", STANDARD_NO_PAD.encode(Sha256::digest(blob)))
}

/// Whether a pinned fingerprint is this one; `SHA256:` and padding may be left out.
fn is_same_fingerprint(pinned: &str, offered: &str) -> bool {
    let bare = |text: &str| {
        let text = text.trim();
        let text = text.strip_prefix("SHA256:").unwrap_or(text);
        text.trim_end_matches('=').to_owned()
    };
    bare(pinned) == bare(offered)
}

/// The algorithms by which a key of this type is proven; empty for types that are not supported.
fn algorithms_of(key_type: &str) -> &'static [&'static str] {
    match key_type {
        "ssh-rsa" => &ALGORITHMS[4..],
        other => ALGORITHMS[..4]
            .iter()
            .position(|algorithm| *algorithm == other)
            .map_or(&[], |at| &ALGORITHMS[at..=at]),
    }
}

/// Adds a line in one write, so that two processes never mix theirs; makes the file where it is missing.
fn append(path: &Path, line: &str) -> std::io::Result<()> {
    if let Some(folder) = path
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty())
    {
        std::fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(folder)?;
    }
    let mut file = OpenOptions::new()
        .read(true)
        .append(true)
        .create(true)
        .mode(0o600)
        .open(path)?;
    let mut last = [b'\n'];
    if file.seek(SeekFrom::End(0))? > 0 {
        file.seek(SeekFrom::End(-1))?;
        file.read_exact(&mut last)?;
    }
    let begin = if last == *b"\n" { "" } else { "\n" };
    file.write_all(format!("{begin}{line}").as_bytes())
}

#[cfg(test)]
#[path = "host_key_tests.rs"]
mod tests;
