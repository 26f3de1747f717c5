//! In: a folder and the host keys of a fleet. Out: the files a client needs: a private key and a known_hosts file.
//! Never: opens a port.

use std::fs::OpenOptions;
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use russh::keys::ssh_key::LineEnding;
use russh::keys::{Algorithm, PrivateKey, PublicKey};

/// The only login that the fleet accepts.
pub const USER: &str = "mirror";

/// What a client needs to log in to every host of a fleet.
#[derive(Debug, Clone)]
pub struct Access {
    pub user: String,
    /// ed25519 in OpenSSH's form, without a passphrase, readable by its owner only.
    pub private_key: PathBuf,
    /// One `[127.0.0.1]:port` line per host.
    pub known_hosts: PathBuf,
}

/// A fresh ed25519 key.
pub(super) fn fresh_key() -> Result<PrivateKey, russh::keys::ssh_key::Error> {
    PrivateKey::random(&mut rand::rng(), Algorithm::Ed25519)
}

/// Writes `id_ed25519` and `known_hosts` into `folder`; neither may be there yet.
pub(super) fn write(
    folder: &Path,
    key: &PrivateKey,
    host_keys: &[(u16, PublicKey)],
) -> io::Result<Access> {
    let access = Access {
        user: USER.to_owned(),
        private_key: folder.join("id_ed25519"),
        known_hosts: folder.join("known_hosts"),
    };
    let pem = key.to_openssh(LineEnding::LF).map_err(io::Error::other)?;
    write_new(&access.private_key, pem.as_bytes())?;
    let mut lines = String::new();
    for (port, host_key) in host_keys {
        let host_key = host_key.to_openssh().map_err(io::Error::other)?;
        lines.push_str(&format!("[127.0.0.1]:{port} {host_key}\n"));
    }
    write_new(&access.known_hosts, lines.as_bytes())?;
    Ok(access)
}

fn write_new(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true).mode(0o600);
    options.open(path)?.write_all(bytes)
}
