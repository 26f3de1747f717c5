//! In: the text of a known_hosts file. Out: the keys, revocations and authorities that it has under a name.
//! Never: reads a file, lets one bad line hide the others.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use sha1::Sha1;

/// A known_hosts file, read.
///
/// Format: sshd(8), "SSH_KNOWN_HOSTS FILE FORMAT".
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct KnownHosts {
    pub entries: Vec<Entry>,
    /// Lines that are neither an entry nor a comment: their number and what is wrong.
    pub bad_lines: Vec<(usize, &'static str)>,
}

/// One line of the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Counted from 1.
    pub line: usize,
    pub marker: Marker,
    /// `ssh-ed25519`, `ssh-rsa`, `ecdsa-sha2-nistp256`, ...
    pub key_type: String,
    /// The public key in SSH wire format.
    pub blob: Vec<u8>,
    names: Names,
}

/// What a line says about its key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Marker {
    /// The host has this key.
    Known,
    /// This key must not be used.
    Revoked,
    /// Certificates signed by this key are the host's.
    Authority,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Names {
    /// Lower-case patterns with `*`, `?` and a leading `!`.
    Patterns(Vec<String>),
    /// `|1|salt|HMAC-SHA1(salt, name)`.
    Hashed { salt: Vec<u8>, digest: Vec<u8> },
}

impl KnownHosts {
    /// Reads every line; one that is no entry changes no other.
    pub fn parse(text: &str) -> Self {
        let mut file = Self::default();
        for (index, line) in text.lines().enumerate() {
            // Some editors leave CR LF; libssh2 takes the CR for a part of the key.
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            match parse_line(index + 1, line) {
                Ok(entry) => file.entries.push(entry),
                Err(why) => file.bad_lines.push((index + 1, why)),
            }
        }
        file
    }

    /// Lines that speak of `name`: bare for port 22, else `[name]:port`; case does not matter.
    pub fn of<'a>(&'a self, name: &str) -> impl Iterator<Item = &'a Entry> {
        let name = name.to_lowercase();
        self.entries
            .iter()
            .filter(move |entry| entry.names.matches(&name))
    }
}

fn parse_line(line: usize, text: &str) -> Result<Entry, &'static str> {
    let mut fields = text.split_ascii_whitespace();
    let mut names = fields.next().ok_or("empty")?;
    let marker = match names {
        "@revoked" => Marker::Revoked,
        "@cert-authority" => Marker::Authority,
        other if other.starts_with('@') => return Err("unknown marker"),
        _ => Marker::Known,
    };
    if marker != Marker::Known {
        names = fields.next().ok_or("no host name")?;
    }
    let key_type = fields.next().ok_or("no key type")?;
    let blob = fields.next().ok_or("no key")?;
    let blob = STANDARD.decode(blob).map_err(|_| "the key is not base64")?;
    if type_of(&blob) != Some(key_type) {
        return Err("the key is not of the type that the line names");
    }
    Ok(Entry {
        line,
        marker,
        key_type: key_type.to_owned(),
        blob,
        names: Names::parse(names)?,
    })
}

/// The type that a public key in SSH wire format names itself; `None` where it is no such key.
pub(super) fn type_of(blob: &[u8]) -> Option<&str> {
    let (length, rest) = blob.split_first_chunk::<4>()?;
    let length = usize::try_from(u32::from_be_bytes(*length)).ok()?;
    std::str::from_utf8(rest.get(..length)?).ok()
}

impl Names {
    fn parse(text: &str) -> Result<Self, &'static str> {
        let Some(hashed) = text.strip_prefix('|') else {
            let patterns = text.to_lowercase();
            return Ok(Self::Patterns(
                patterns.split(',').map(str::to_owned).collect(),
            ));
        };
        let mut fields = hashed.split('|');
        let (Some("1"), Some(salt), Some(digest), None) =
            (fields.next(), fields.next(), fields.next(), fields.next())
        else {
            return Err("unknown kind of hashed name");
        };
        let salt = STANDARD.decode(salt).map_err(|_| "bad hashed name")?;
        let digest = STANDARD.decode(digest).map_err(|_| "bad hashed name")?;
        Ok(Self::Hashed { salt, digest })
    }

    /// `name` is lower case.
    fn matches(&self, name: &str) -> bool {
        match self {
            Self::Patterns(patterns) => {
                let hit = |pattern: &str| is_match(pattern.as_bytes(), name.as_bytes());
                // A negated pattern that fits takes the whole line away.
                let is_negated = patterns
                    .iter()
                    .filter_map(|pattern| pattern.strip_prefix('!'))
                    .any(hit);
                !is_negated && patterns.iter().any(|pattern| hit(pattern))
            }
            Self::Hashed { salt, digest } => Hmac::<Sha1>::new_from_slice(salt)
                .map(|mac| mac.chain_update(name).verify_slice(digest).is_ok())
                .unwrap_or(false),
        }
    }
}

/// Whether `text` fits `pattern`, in which `*` stands for any bytes and `?` for one.
fn is_match(pattern: &[u8], text: &[u8]) -> bool {
    let (mut p, mut t) = (0, 0);
    // Where to go back to when what follows the last `*` does not fit: linear space, no recursion on a hostile pattern.
    let mut star: Option<(usize, usize)> = None;
    while t < text.len() {
        match pattern.get(p) {
            Some(b'*') => {
                star = Some((p, t));
                p += 1;
            }
            Some(byte) if *byte == b'?' || *byte == text[t] => {
                p += 1;
                t += 1;
            }
            _ => match star {
                Some((star_at, taken)) => {
                    star = Some((star_at, taken + 1));
                    p = star_at + 1;
                    t = taken + 1;
                }
                None => return false,
            },
        }
    }
    pattern[p..].iter().all(|byte| *byte == b'*')
}

#[cfg(test)]
#[path = "known_hosts_tests.rs"]
mod tests;
