use std::path::PathBuf;
use std::time::Duration;

use super::*;

/// A key blob of a type that is told from others by one byte.
fn blob(key_type: &str, byte: u8) -> Vec<u8> {
    let mut blob = (key_type.len() as u32).to_be_bytes().to_vec();
    blob.extend_from_slice(key_type.as_bytes());
    blob.extend_from_slice(&[0, 0, 0, 1, byte]);
    blob
}

fn line(names: &str, key_type: &str, byte: u8) -> String {
    format!(
        "{names} {key_type} {}\n",
        STANDARD.encode(blob(key_type, byte))
    )
}

struct Case {
    dir: tempfile::TempDir,
    settings: Settings,
}

impl Case {
    fn new(port: u16, known_hosts: &str, host_key: HostKeyPolicy) -> Self {
        let dir = tempfile::tempdir().expect("folder");
        let path = dir.path().join("known_hosts");
        std::fs::write(&path, known_hosts).expect("write");
        let settings = Settings {
            address: "mm1".into(),
            port,
            user: "kafka".into(),
            private_key: None,
            passphrase: None,
            agent: false,
            known_hosts: path,
            host_key,
            connect_timeout: Duration::from_secs(1),
            dead_after: Duration::from_secs(1),
            jump: None,
        };
        Self { dir, settings }
    }

    fn at(&self) -> Arc<Endpoint> {
        Arc::new(Endpoint::of(&self.settings))
    }

    async fn trust(&self) -> Result<Trust, Error> {
        Trust::read(&self.settings, &self.at()).await
    }

    async fn judge(&self, key_type: &str, byte: u8) -> Result<OfferedKey, Error> {
        self.trust()
            .await?
            .judge(&self.settings, &blob(key_type, byte))
    }
}

fn strict(port: u16, known_hosts: &str) -> Case {
    Case::new(port, known_hosts, HostKeyPolicy::Strict)
}

#[tokio::test]
async fn any_of_several_known_keys_is_trusted_and_another_is_changed() {
    let text = line("mm1", "ssh-rsa", 1) + &line("mm1", "ssh-ed25519", 2);
    let case = strict(22, &text);
    assert!(case.judge("ssh-rsa", 1).await.is_ok());
    assert!(case.judge("ssh-ed25519", 2).await.is_ok());
    let error = case.judge("ssh-ed25519", 3).await.expect_err("changed");
    assert!(
        matches!(error, Error::HostKeyChanged { line: 1, .. }),
        "{error}"
    );
    assert_eq!(error.reason(), "host key changed");
    assert!(error.mend().contains("ssh-keygen -R 'mm1'"), "{error}");
}

#[tokio::test]
async fn an_unknown_host_is_refused_with_fingerprint_and_command() {
    let case = strict(2222, &line("mm2", "ssh-rsa", 1));
    let error = case.judge("ssh-ed25519", 1).await.expect_err("unknown");
    let text = error.to_string();
    let print = fingerprint(&blob("ssh-ed25519", 1));
    assert!(text.contains(&format!("ssh-ed25519 {print}")), "{text}");
    assert!(text.contains("ssh-keyscan -p 2222 mm1 >> "), "{text}");
    assert!(text.contains("host's owner"), "{text}");
}

#[tokio::test]
async fn a_revoked_key_is_refused_also_where_another_line_knows_it() {
    let text = line("mm1", "ssh-rsa", 1) + &line("@revoked *", "ssh-rsa", 1);
    for policy in [
        HostKeyPolicy::Strict,
        HostKeyPolicy::AcceptNew,
        HostKeyPolicy::Pinned(fingerprint(&blob("ssh-rsa", 1))),
    ] {
        let case = Case::new(22, &text, policy);
        let error = case.judge("ssh-rsa", 1).await.expect_err("revoked");
        assert!(
            matches!(error, Error::HostKeyRevoked { line: 2, .. }),
            "{error}"
        );
    }
}

#[tokio::test]
async fn a_certificate_authority_is_not_supported_and_never_a_new_host() {
    let text = line("@cert-authority *", "ssh-rsa", 1);
    for policy in [HostKeyPolicy::Strict, HostKeyPolicy::AcceptNew] {
        let case = Case::new(22, &text, policy);
        let error = case.judge("ssh-rsa", 2).await.expect_err("authority");
        assert!(matches!(error, Error::HostKeyAuthority { .. }), "{error}");
        let file = std::fs::read_to_string(&case.settings.known_hosts).expect("file");
        assert_eq!(file, text, "nothing was added");
    }
    let both = text + &line("mm1", "ssh-rsa", 2);
    assert!(strict(22, &both).judge("ssh-rsa", 2).await.is_ok());
}

#[tokio::test]
async fn a_line_without_port_vouches_for_a_key_on_another_port_but_says_nothing_against_one() {
    let case = strict(2222, &line("mm1", "ssh-rsa", 1));
    assert!(case.judge("ssh-rsa", 1).await.is_ok());
    let error = case.judge("ssh-rsa", 2).await.expect_err("unknown");
    assert!(matches!(error, Error::HostKeyUnknown { .. }), "{error}");
    let text = line("mm1", "ssh-rsa", 1) + &line("[mm1]:2222", "ssh-rsa", 2);
    let case = strict(2222, &text);
    let error = case.judge("ssh-rsa", 3).await.expect_err("changed");
    assert!(
        matches!(error, Error::HostKeyChanged { line: 2, .. }),
        "{error}"
    );
    assert!(
        error.mend().contains("ssh-keygen -R '[mm1]:2222'"),
        "{error}"
    );
}

#[tokio::test]
async fn the_types_that_are_known_are_asked_for_first_and_certificates_never() {
    let text = line("mm1", "ssh-rsa", 1) + &line("mm1", "ecdsa-sha2-nistp384", 1);
    let wanted = strict(22, &text).trust().await.expect("file");
    let wanted = wanted.algorithms(&BTreeSet::new());
    assert_eq!(
        wanted,
        "rsa-sha2-512,rsa-sha2-256,ecdsa-sha2-nistp384,ssh-ed25519,ecdsa-sha2-nistp256,ecdsa-sha2-nistp521"
    );
    assert!(!wanted.contains("cert"));
    let unknown = strict(22, "").trust().await.expect("file");
    assert!(
        unknown
            .algorithms(&BTreeSet::new())
            .starts_with("ssh-ed25519,")
    );
    let without = unknown.algorithms(&BTreeSet::from(["ssh-rsa".to_owned()]));
    assert!(!without.contains("rsa"), "{without}");
}

#[tokio::test]
async fn a_missing_or_unreadable_file_never_means_accept() {
    let mut case = strict(22, "");
    case.settings.known_hosts = case.dir.path().join("nowhere");
    let error = case.judge("ssh-rsa", 1).await.expect_err("missing");
    assert!(error.to_string().contains("no such file"), "{error}");
    assert_eq!(error.step(), Some(crate::ssh::Step::HostKey));
    for policy in [HostKeyPolicy::Strict, HostKeyPolicy::AcceptNew] {
        case.settings.host_key = policy;
        case.settings.known_hosts = case.dir.path().to_path_buf();
        let error = case.judge("ssh-rsa", 1).await.expect_err("a folder");
        assert!(matches!(error, Error::KnownHosts { .. }), "{error}");
    }
}

#[tokio::test]
async fn accept_new_adds_one_line_for_a_new_host_and_refuses_a_changed_one() {
    use std::os::unix::fs::PermissionsExt;
    let mut case = Case::new(2222, "", HostKeyPolicy::AcceptNew);
    let path: PathBuf = case.dir.path().join("new/known_hosts");
    case.settings.known_hosts = path.clone();
    case.judge("ssh-rsa", 1).await.expect("accepted");
    let text = std::fs::read_to_string(&path).expect("file");
    assert_eq!(text, line("[mm1]:2222", "ssh-rsa", 1));
    let mode = std::fs::metadata(&path).expect("file").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    case.judge("ssh-rsa", 1).await.expect("known");
    for (key_type, byte) in [("ssh-rsa", 2), ("ssh-ed25519", 1)] {
        let error = case.judge(key_type, byte).await.expect_err("changed");
        assert!(matches!(error, Error::HostKeyChanged { .. }), "{error}");
    }
    let after = std::fs::read_to_string(&path).expect("file");
    assert_eq!(after, text, "nothing was added");
}

#[tokio::test]
async fn a_key_is_added_on_a_line_of_its_own_where_the_file_has_no_last_line_end() {
    let before = line("mm2", "ssh-rsa", 9);
    let case = Case::new(22, before.trim_end(), HostKeyPolicy::AcceptNew);
    case.judge("ssh-rsa", 1).await.expect("accepted");
    let text = std::fs::read_to_string(&case.settings.known_hosts).expect("file");
    assert_eq!(text, before + &line("mm1", "ssh-rsa", 1));
}

#[tokio::test]
async fn only_the_pinned_fingerprint_is_trusted_and_no_file_is_needed() {
    let print = fingerprint(&blob("ssh-rsa", 1));
    let bare = print.trim_start_matches("SHA256:").to_owned();
    for pinned in [print.clone(), format!("{print}="), bare] {
        let mut case = Case::new(22, "", HostKeyPolicy::Pinned(pinned));
        case.settings.known_hosts = case.dir.path().join("nowhere");
        assert!(case.judge("ssh-rsa", 1).await.is_ok());
        let error = case.judge("ssh-rsa", 2).await.expect_err("not pinned");
        assert!(error.to_string().contains(&print[7..]), "{error}");
    }
}

#[test]
fn a_fingerprint_reads_as_ssh_keygen_prints_it() {
    let dir = tempfile::tempdir().expect("folder");
    let path = dir.path().join("key");
    let made = std::process::Command::new("ssh-keygen")
        .args(["-q", "-t", "ed25519", "-N", "", "-f"])
        .arg(&path)
        .status();
    assert!(made.expect("ssh-keygen").success());
    let public = std::fs::read_to_string(path.with_extension("pub")).expect("key");
    let key = public.split(' ').nth(1).expect("key");
    let printed = std::process::Command::new("ssh-keygen")
        .arg("-lf")
        .arg(&path)
        .output()
        .expect("ssh-keygen");
    let printed = String::from_utf8(printed.stdout).expect("text");
    let ours = fingerprint(&STANDARD.decode(key).expect("base64"));
    assert_eq!(printed.split(' ').nth(1), Some(ours.as_str()));
}
