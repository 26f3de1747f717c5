//! In: an encrypted connection to a host that is trusted. Out: a login by key file or agent, or which keys were refused.
//! Never: is called before the host key was judged, shows a key or passphrase.

use std::fmt;
use std::io::ErrorKind;
use std::path::Path;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use secrecy::{ExposeSecret, SecretString};

use super::Settings;
use super::agent::Agent;
use super::connection::{Connection, code};
use super::error::{Endpoint, Error, KeyProblem, in_one_line, words_of};

/// The longest RSA keys have some 13 KB; more is not a key.
const KEY_BYTES_MAX: u64 = 256 * 1024;

/// A server lets `MaxAuthTries` (6) keys fail and hangs up at the last one.
const KEYS_TRIED_MAX: usize = 5;

/// A private key as its file has it.
pub(super) struct PrivateKey {
    text: SecretString,
    is_encrypted: bool,
    /// Name of the file without its folder.
    name: String,
}

impl fmt::Debug for PrivateKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PrivateKey")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

/// What there is to log in with, found before the host is bothered.
#[derive(Debug)]
pub(super) struct Credentials {
    key: Option<PrivateKey>,
}

impl Credentials {
    /// Reads the key file.
    ///
    /// # Errors
    /// `PrivateKey` where it cannot be used, `NoKey` where neither file nor agent is configured.
    pub async fn read(settings: &Settings, at: &Arc<Endpoint>) -> Result<Self, Error> {
        let Some(path) = &settings.private_key else {
            return if settings.agent {
                Ok(Self { key: None })
            } else {
                Err(Error::NoKey { at: at.clone() })
            };
        };
        let failed = |problem| Error::PrivateKey {
            at: at.clone(),
            path: path.clone(),
            problem,
        };
        let key = PrivateKey::read(path).await.map_err(failed)?;
        if key.is_encrypted && settings.passphrase.is_none() {
            return Err(failed(KeyProblem::PassphraseMissing));
        }
        Ok(Self { key: Some(key) })
    }
}

impl PrivateKey {
    async fn read(path: &Path) -> Result<Self, KeyProblem> {
        let unreadable = |error: std::io::Error| match error.kind() {
            ErrorKind::NotFound => KeyProblem::Missing,
            _ => KeyProblem::Unreadable(words_of(&error)),
        };
        let data = tokio::fs::metadata(path).await.map_err(unreadable)?;
        if data.is_dir() {
            return Err(KeyProblem::NotAKey("a folder"));
        }
        if data.len() > KEY_BYTES_MAX {
            return Err(KeyProblem::NotAKey("too large for one"));
        }
        let bytes = tokio::fs::read(path).await.map_err(unreadable)?;
        let text = String::from_utf8(bytes).map_err(|_| KeyProblem::NotAKey("not text"))?;
        if !text.contains("PRIVATE KEY-----") {
            return Err(KeyProblem::NotAKey(kind_of(&text)));
        }
        Ok(Self {
            is_encrypted: is_encrypted(&text),
            // Some editors leave CR LF, which OpenSSH's format does not forgive.
            text: text.replace('\r', "").into(),
            name: path
                .file_name()
                .map(|name| name.to_string_lossy().into_owned())
                .unwrap_or_default(),
        })
    }
}

/// Logs in and returns how: `publickey id_ed25519`, `publickey from agent (name)`.
///
/// # Errors
/// `PrivateKey`, `LoginRefused`, `FurtherMethod`, `Agent`, or the connection's end.
pub(super) async fn login(
    connection: &mut Connection,
    settings: &Settings,
    credentials: &Credentials,
) -> Result<String, Error> {
    let user = settings.user.clone();
    let session = connection.session.clone();
    let accepts = connection
        .drive(|| match session.auth_methods(&user) {
            Ok(methods) => Ok(in_one_line(methods)),
            // The server asks for no proof at all; libssh2 then keeps the error of the call before.
            Err(_) if session.authenticated() => Ok(String::new()),
            Err(error) => Err(error),
        })
        .await
        .map_err(|error| connection.lost(&error))?;
    if session.authenticated() {
        return Ok("none needed".into());
    }
    let mut attempt = Attempt {
        accepts: Some(accepts).filter(|methods| !methods.is_empty()),
        tried: Vec::new(),
    };
    if let Some(key) = &credentials.key
        && attempt.by_file(connection, settings, key).await?
    {
        return Ok(format!("publickey {}", key.name));
    }
    if settings.agent
        && let Some(name) = attempt.by_agent(connection, settings).await?
    {
        return Ok(format!("publickey {name}"));
    }
    Err(attempt.refused(connection))
}

/// One login: what was tried so far.
struct Attempt {
    accepts: Option<String>,
    tried: Vec<String>,
}

impl Attempt {
    async fn by_file(
        &mut self,
        connection: &Connection,
        settings: &Settings,
        key: &PrivateKey,
    ) -> Result<bool, Error> {
        let passphrase = settings.passphrase.as_ref().filter(|_| key.is_encrypted);
        let outcome = connection
            .drive(|| {
                connection.session.userauth_pubkey_memory(
                    &settings.user,
                    None,
                    key.text.expose_secret(),
                    passphrase.map(ExposeSecret::expose_secret),
                )
            })
            .await;
        let Err(error) = outcome else {
            return Ok(true);
        };
        let unusable = |problem| Error::PrivateKey {
            at: connection.at.clone(),
            path: settings.private_key.clone().unwrap_or_default(),
            problem,
        };
        // libssh2: -16 for OpenSSH's format, -48 for the others, -19 "Callback" when signing.
        match code(&error) {
            -16 | -48 if key.is_encrypted => Err(unusable(KeyProblem::PassphraseWrong)),
            -16 | -48 => Err(unusable(KeyProblem::Damaged)),
            -19 if error.message().contains("allback") => Err(unusable(KeyProblem::Damaged)),
            _ => self.judge(connection, &error, &key.name).map(|()| false),
        }
    }

    async fn by_agent(
        &mut self,
        connection: &mut Connection,
        settings: &Settings,
    ) -> Result<Option<String>, Error> {
        let unusable = |at: &Arc<Endpoint>, why| Error::Agent {
            at: at.clone(),
            why,
        };
        let agent = Agent::open(&connection.session).await;
        let mut agent = match agent {
            Ok(agent) => agent,
            // The refused file is what the operator set; an agent that is not there is no news beside it.
            Err(_) if !self.tried.is_empty() => return Ok(None),
            Err(why) => return Err(unusable(&connection.at, why)),
        };
        for identity in 0..agent.names().len() {
            if self.tried.len() >= KEYS_TRIED_MAX {
                break;
            }
            let name = format!("{} from agent", agent.names()[identity]);
            match agent.log_in(connection, &settings.user, identity).await {
                Ok(()) => return Ok(Some(name)),
                Err(error) if code(&error) == -19 && error.message().contains("allback") => {
                    return Err(unusable(
                        &connection.at,
                        format!("it does not sign with {name}"),
                    ));
                }
                Err(error) => self.judge(connection, &error, &name)?,
            }
        }
        Ok(None)
    }

    /// Takes a refusal of one key down, or says what else the error means.
    fn judge(
        &mut self,
        connection: &Connection,
        error: &ssh2::Error,
        key: &str,
    ) -> Result<(), Error> {
        match code(error) {
            -18 => {
                self.tried.push(key.to_owned());
                Ok(())
            }
            -19 if error.message().contains("signature") => Err(Error::FurtherMethod {
                at: connection.at.clone(),
                key: key.to_owned(),
            }),
            // The server hung up over this key: "Too many authentication failures".
            -13 | -19 => {
                self.tried.push(key.to_owned());
                Err(self.refused(connection))
            }
            -43 | -7 | -9 => Err(connection.lost(error)),
            // A key of a kind that the library cannot offer; another one may do.
            _ => {
                self.tried.push(format!("{key}: {}", error.message()));
                Ok(())
            }
        }
    }

    fn refused(&mut self, connection: &Connection) -> Error {
        Error::LoginRefused {
            at: connection.at.clone(),
            tried: std::mem::take(&mut self.tried),
            accepts: self.accepts.take(),
        }
    }
}

/// What a file is that is no private key, as far as its first bytes tell.
fn kind_of(text: &str) -> &'static str {
    let begins = |with: &str| text.trim_start().starts_with(with);
    if text.trim().is_empty() {
        "empty"
    } else if begins("ssh-") || begins("ecdsa-") || begins("---- BEGIN SSH2 PUBLIC") {
        "a public key"
    } else if begins("PuTTY-User-Key-File") {
        "PuTTY's format (convert it: puttygen FILE -O private-openssh)"
    } else if begins("-----BEGIN CERT") {
        "a certificate"
    } else {
        "something else"
    }
}

/// Whether a passphrase is needed, by the words of the PEM formats and the cipher's name in OpenSSH's.
fn is_encrypted(text: &str) -> bool {
    if text.contains("BEGIN ENCRYPTED PRIVATE KEY") || text.contains("Proc-Type: 4,ENCRYPTED") {
        return true;
    }
    let Some((_, rest)) = text.split_once("-----BEGIN OPENSSH PRIVATE KEY-----") else {
        return false;
    };
    // "openssh-key-v1\0", then the length and name of the cipher: all within the first 40 bytes.
    let head: String = rest
        .chars()
        .filter(|letter| !letter.is_ascii_whitespace())
        .take(56)
        .collect();
    let Ok(head) = STANDARD.decode(head) else {
        return false;
    };
    head.get(15..23)
        .is_some_and(|cipher| cipher != b"\0\0\0\x04none")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_a_private_key_is_called_by_its_name() {
        assert_eq!(kind_of("ssh-ed25519 AAAA me\n"), "a public key");
        assert_eq!(kind_of(" \n"), "empty");
        assert!(kind_of("PuTTY-User-Key-File-3: ssh-rsa").contains("puttygen"));
    }

    #[test]
    fn debug_shows_no_key() {
        let key = PrivateKey {
            text: "-----BEGIN PRIVATE KEY-----\nsecret".into(),
            is_encrypted: false,
            name: "id".into(),
        };
        assert_eq!(format!("{key:?}"), "PrivateKey { name: \"id\", .. }");
    }
}
