//! The files under `tests/config/` and `config/`, through the real loader.

use std::collections::HashMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use mirrorlag::config::{self, Loaded, Problems};

/// A home folder with the files that the configurations name, and an environment that points there.
struct Machine {
    home: tempfile::TempDir,
    env: HashMap<String, String>,
}

const OPENSSH_PLAIN: &str = "-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNzaC1rZXktdjEAAAAABG5vbmUAAAAEbm9uZQAAAAAAAAAB\n-----END OPENSSH PRIVATE KEY-----\n";
const OPENSSH_ENCRYPTED: &str = "-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNzaC1rZXktdjEAAAAACmFlczI1Ni1jdHIAAAAGYmNyeXB0\n-----END OPENSSH PRIVATE KEY-----\n";
const PEM_PLAIN: &str = "-----BEGIN RSA PRIVATE KEY-----\nMIIB\n-----END RSA PRIVATE KEY-----\n";
const PEM_ENCRYPTED: &str = "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,00\n\nMIIB\n-----END RSA PRIVATE KEY-----\n";

impl Machine {
    fn new() -> Self {
        let home = tempfile::tempdir().unwrap();
        let machine = Self {
            env: HashMap::from([
                ("HOME".to_owned(), home.path().display().to_string()),
                ("USER".to_owned(), "local-user".to_owned()),
                ("ES_PASSWORD".to_owned(), "s3cret".to_owned()),
                ("EMPTY".to_owned(), String::new()),
                ("BAD_API_KEY".to_owned(), "id:key".to_owned()),
                ("API_KEY".to_owned(), "aWQ6a2V5".to_owned()),
                ("MM_ADDRESS".to_owned(), "10.0.0.11".to_owned()),
            ]),
            home,
        };
        machine.file(".ssh/ec2_keypair.pem", PEM_PLAIN, 0o600);
        machine.file(".ssh/id_ed25519", OPENSSH_PLAIN, 0o600);
        machine.file(".ssh/encrypted", OPENSSH_ENCRYPTED, 0o600);
        machine.file(".ssh/encrypted.pem", PEM_ENCRYPTED, 0o600);
        machine.file(".ssh/open.pem", PEM_PLAIN, 0o644);
        machine.file(".ssh/id_ed25519.pub", "ssh-ed25519 AAAA me\n", 0o644);
        machine.file(
            ".ssh/putty.ppk",
            "PuTTY-User-Key-File-3: ssh-ed25519\n",
            0o600,
        );
        machine.file(".ssh/known_hosts", "", 0o644);
        machine.file("es_password", "s3cret\n", 0o600);
        machine.file("open_password", "s3cret\n", 0o644);
        machine.file("empty", "\n", 0o600);
        machine.file("two_lines", "a\nb\n", 0o600);
        machine.file("not.json", "{", 0o600);
        machine.file("properties.json", "{\"properties\": {}}", 0o600);
        machine.file("mapping.json", "{\"mappings\": {}}", 0o600);
        machine.file("ca.pem", "-----BEGIN CERTIFICATE-----\n", 0o644);
        machine
    }

    fn file(&self, name: &str, text: &str, mode: u32) {
        let path = self.home.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
    }

    fn load(&self, path: &Path) -> Result<Loaded, Problems> {
        config::load(path, &|name| self.env.get(name).cloned())
    }

    fn load_text(&self, text: &str) -> Result<Loaded, Problems> {
        let path = self.home.path().join("mirrorlag.yaml");
        fs::write(&path, text).unwrap();
        self.load(&path)
    }

    /// What a user would read, without the names of this machine.
    fn words(&self, path: &Path, text: &str) -> String {
        let file = path.file_name().unwrap().to_string_lossy();
        let text = text.replace(&path.display().to_string(), &file);
        text.replace(&self.home.path().display().to_string(), "HOME")
    }
}

fn repository() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// All `.yaml` files of a folder, sorted by name.
fn cases(folder: &str) -> Vec<PathBuf> {
    let folder = repository().join("tests/config").join(folder);
    let entries = fs::read_dir(&folder).unwrap();
    let mut files: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    files.retain(|path| path.extension().is_some_and(|ext| ext == "yaml"));
    files.sort();
    files
}

/// Compares each case with the `.txt` beside it; `UPDATE_EXPECT=1` rewrites those.
fn compare(folder: &str, judge: impl Fn(&Machine, &Path) -> String) {
    let update = std::env::var_os("UPDATE_EXPECT").is_some();
    let mut wrong = Vec::new();
    let cases = cases(folder);
    assert!(cases.len() > 5, "{} cases in {folder}", cases.len());
    for path in cases {
        let seen = judge(&Machine::new(), &path) + "\n";
        let expected = path.with_extension("txt");
        if update {
            fs::write(&expected, &seen).unwrap();
        }
        let wanted = fs::read_to_string(&expected).unwrap_or_default();
        if seen != wanted {
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            wrong.push(format!("{name}\n  wanted: {wanted}  seen:   {seen}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_mistake_has_its_exact_message() {
    compare("invalid", |machine, path| match machine.load(path) {
        Ok(_) => "loads without an error".to_owned(),
        Err(problems) => machine.words(path, &problems.to_string()),
    });
}

#[test]
fn every_doubtful_thing_has_its_exact_warning() {
    compare("warned", |machine, path| match machine.load(path) {
        Ok(loaded) => {
            let lines = loaded.warnings.iter().map(ToString::to_string);
            machine.words(path, &lines.collect::<Vec<_>>().join("\n"))
        }
        Err(problems) => format!("does not load:\n{problems}"),
    });
}

#[test]
fn the_minimal_configuration_loads_without_a_warning() {
    let machine = Machine::new();
    let loaded = machine
        .load(&repository().join("config/mirrorlag.minimal.yaml"))
        .unwrap();
    assert_eq!(loaded.warnings, []);
    assert_eq!(loaded.config.sources.len(), 1);
}
