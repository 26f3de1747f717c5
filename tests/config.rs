//! The files under `tests/config/` and `config/`, through the real loader.

// A helper of a test fails as the test does.
#![allow(clippy::unwrap_used)]

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

fn example() -> String {
    fs::read_to_string(repository().join("config/mirrorlag.yaml")).unwrap()
}

const MINIMAL: &str = include_str!("../config/mirrorlag.minimal.yaml");

/// The minimal configuration with further lines at its end.
fn minimal_with(lines: &str) -> String {
    format!("{MINIMAL}{lines}\n")
}

#[test]
fn the_example_loads() {
    let loaded = Machine::new().load_text(&example()).unwrap();
    let warnings: Vec<_> = loaded
        .warnings
        .iter()
        .map(|w| w.place.key.as_str())
        .collect();
    let urls = ["urls[0]", "urls[1]", "urls[2]"].map(|url| format!("sinks.elasticsearch.{url}"));
    assert_eq!(
        warnings, urls,
        "only the password over plain http is doubtful"
    );
    let names: Vec<_> = loaded
        .config
        .sources
        .iter()
        .map(|s| s.name.as_str())
        .collect();
    let expected = [
        "mm-1/oasis-group/orders",
        "mm-1/payments-group",
        "mm-1/audit-group",
    ];
    assert_eq!(names, expected);
}

#[test]
fn what_the_example_calls_a_default_is_the_default() {
    let machine = Machine::new();
    let whole = machine.load_text(&example()).unwrap().config;
    let shown = format!("{whole:#?}");
    let default_lines: Vec<_> = example()
        .lines()
        .filter(|line| line.contains("# (default)"))
        .map(str::to_owned)
        .collect();
    assert!(default_lines.len() > 15, "{default_lines:?}");
    for line in default_lines {
        let without = example().replacen(&format!("{line}\n"), "", 1);
        let loaded = machine.load_text(&without);
        let config = loaded.unwrap_or_else(|problems| panic!("without {line:?}:\n{problems}"));
        assert_eq!(format!("{:#?}", config.config), shown, "without {line:?}");
    }
    let all_left_out: String = example()
        .lines()
        .filter(|line| !line.contains("# (default)"))
        .map(|line| format!("{line}\n"))
        .collect();
    let config = machine.load_text(&all_left_out).unwrap().config;
    assert_eq!(format!("{config:#?}"), shown, "without all of them");
}

#[test]
fn every_key_that_the_example_leaves_off_can_be_switched_on() {
    let mut machine = Machine::new();
    machine
        .env
        .insert("SSH_PASSPHRASE".to_owned(), "s3cret".to_owned());
    machine
        .env
        .insert("ES_API_KEY".to_owned(), "aWQ6a2V5".to_owned());
    machine.file("ssh_passphrase", "s3cret\n", 0o600);
    machine.file("es_api_key", "aWQ6a2V5\n", 0o600);
    for mapping in ["consumer_lag.json", "consumer_lag_partitions.json"] {
        machine.file(mapping, "{\"mappings\": {}}", 0o600);
    }
    let is_off = |line: &&str| {
        let text = line.trim_start();
        text.starts_with('#') && !text.starts_with("# ") && text.contains(':')
    };
    let text = example();
    let off: Vec<&str> = text.lines().filter(is_off).collect();
    assert!(off.len() >= 10, "{off:?}");
    for line in off {
        let on = line.replacen('#', "", 1);
        if let Err(problems) = machine.load_text(&text.replacen(line, &on, 1)) {
            // Two ways to give one secret exclude each other; nothing else may be wrong.
            let excluded = |p: &config::Problem| p.what.contains("is given as well");
            assert!(problems.errors.iter().all(excluded), "{on:?}:\n{problems}");
        }
    }
}

#[test]
fn an_entry_wins_over_its_mirror_host_over_defaults_key_by_key() {
    let machine = Machine::new();
    let text = "
defaults:
  interval: 20s
  describes_per_host: 5
  mirror_host: mm-2
  bootstrap_servers: 'b1:9092, b2:9092'
  ssh: {user: from-defaults, private_key: ~/.ssh/ec2_keypair.pem, dead_after: 7s}
  kafka: {consumer_groups: /opt/kafka/bin/kafka-consumer-groups.sh, timeout: 3s}
mirror_hosts:
  mm-1:
  mm-2: {port: 2222, describes_per_host: 1, ssh: {user: from-host}, kafka: {jvm: as_is}}
groups:
  - {group: a, interval: 5s, mirror_host: mm-1}
  - {group: b}
sinks: {stdout: }
";
    let loaded = machine.load_text(text).unwrap();
    assert_eq!(loaded.warnings, []);
    let [a, b] = loaded.config.sources.as_slice() else {
        panic!("two sources");
    };
    let seconds = |s: u64| std::time::Duration::from_secs(s);
    assert_eq!((a.interval, b.interval), (seconds(5), seconds(20)));
    assert_eq!(a.describe.bootstrap_servers, ["b1:9092", "b2:9092"]);
    let (first, second) = (&a.mirror_host, &b.mirror_host);
    assert_eq!(
        (first.name.as_str(), first.ssh.address.as_str()),
        ("mm-1", "mm-1")
    );
    assert_eq!((first.ssh.port, second.ssh.port), (22, 2222));
    assert_eq!(
        (first.describes_per_host, second.describes_per_host),
        (5, 1)
    );
    assert_eq!(first.ssh.user, "from-defaults");
    assert_eq!(second.ssh.user, "from-host");
    assert_eq!(second.ssh.dead_after, seconds(7));
    assert_eq!(second.kafka.timeout, Some(seconds(3)));
    assert_ne!(first.kafka.jvm, second.kafka.jvm);
    assert!(loaded.config.sinks.stdout && loaded.config.sinks.elasticsearch.is_none());
}

#[test]
fn variables_and_the_home_folder_are_expanded_where_a_path_or_an_address_stands() {
    let mut machine = Machine::new();
    machine.env.insert("KEYS".to_owned(), ".ssh".to_owned());
    machine.env.insert("BROKER".to_owned(), "b7".to_owned());
    machine
        .env
        .insert("KAFKA".to_owned(), "/srv/kafka".to_owned());
    let text = "
mirror_hosts:
  mm-1:
    address: '${MM_ADDRESS}'
    ssh: {private_key: '~/${KEYS}/ec2_keypair.pem', known_hosts: known$hosts}
    kafka: {consumer_groups: '${KAFKA}/bin/kafka-consumer-groups.sh'}
groups:
  - {group: '${BROKER}', mirror_host: mm-1, bootstrap_servers: '${BROKER}:9092'}
sinks: {stdout: {}}
";
    let config = machine.load_text(text).unwrap().config;
    let host = &config.mirror_hosts[0];
    let home = machine.home.path();
    assert_eq!(host.ssh.address, "10.0.0.11");
    assert_eq!(host.ssh.user, "local-user");
    assert_eq!(
        host.ssh.private_key,
        Some(home.join(".ssh/ec2_keypair.pem"))
    );
    // The file lies in HOME here, so a relative path begins there; a $ without a brace is a letter.
    assert_eq!(host.ssh.known_hosts, home.join("known$hosts"));
    assert_eq!(
        host.kafka.consumer_groups,
        "/srv/kafka/bin/kafka-consumer-groups.sh"
    );
    let describe = &config.sources[0].describe;
    assert_eq!(describe.bootstrap_servers, ["b7:9092"]);
    assert_eq!(
        describe.group, "${BROKER}",
        "a group is neither path nor address"
    );
}

#[test]
fn the_journal_lies_in_the_state_folder_of_the_service_then_of_the_user() {
    let mut machine = Machine::new();
    let path = |machine: &Machine| machine.load_text(MINIMAL).unwrap().config.journal.path;
    let home = machine.home.path().to_owned();
    assert_eq!(
        path(&machine),
        home.join(".local/state/mirrorlag/journal.db")
    );
    machine
        .env
        .insert("XDG_STATE_HOME".to_owned(), "/x/state".to_owned());
    assert_eq!(path(&machine), Path::new("/x/state/mirrorlag/journal.db"));
    machine
        .env
        .insert("XDG_STATE_HOME".to_owned(), "relative".to_owned());
    assert_eq!(
        path(&machine),
        home.join(".local/state/mirrorlag/journal.db")
    );
    let folders = "/var/lib/mirrorlag:/var/lib/other";
    machine
        .env
        .insert("STATE_DIRECTORY".to_owned(), folders.to_owned());
    assert_eq!(path(&machine), Path::new("/var/lib/mirrorlag/journal.db"));
    let written = machine
        .load_text(&minimal_with("journal: {path: here.db}"))
        .unwrap();
    assert_eq!(written.config.journal.path, home.join("here.db"));
}

#[test]
fn the_agent_is_asked_where_no_private_key_is_named() {
    let mut machine = Machine::new();
    let text = MINIMAL.replace(", private_key: ~/.ssh/ec2_keypair.pem", "");
    assert!(machine.load_text(&text).is_err());
    machine
        .env
        .insert("SSH_AUTH_SOCK".to_owned(), "/run/agent".to_owned());
    let ssh = &machine.load_text(&text).unwrap().config.mirror_hosts[0].ssh;
    assert!(ssh.agent && ssh.private_key.is_none());
    let ssh = &machine.load_text(MINIMAL).unwrap().config.mirror_hosts[0].ssh;
    assert!(
        !ssh.agent,
        "a key is named, so every refusal would count twice"
    );
}

#[test]
fn a_passphrase_of_defaults_does_not_belong_to_another_key() {
    let machine = Machine::new();
    let defaults =
        "defaults: {ssh: {private_key: ~/.ssh/encrypted, passphrase_file: ~/es_password}}\n";
    let config = machine
        .load_text(&format!("{defaults}{MINIMAL}"))
        .unwrap()
        .config;
    assert!(config.mirror_hosts[0].ssh.passphrase.is_none());
    let text = MINIMAL.replace(", private_key: ~/.ssh/ec2_keypair.pem", "");
    let config = machine
        .load_text(&format!("{defaults}{text}"))
        .unwrap()
        .config;
    assert!(config.mirror_hosts[0].ssh.passphrase.is_some());
}

const BEHIND_BASTIONS: &str = "
defaults:
  ssh:
    user: from-defaults
    private_key: ~/.ssh/ec2_keypair.pem
    host_key: SHA256:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA
    dead_after: 7s
    jump: {address: bastion.example, user: ops}
  kafka: {consumer_groups: /opt/kafka/bin/kafka-consumer-groups.sh}
  bootstrap_servers: b1:9092
mirror_hosts:
  near: {address: 10.0.0.11, ssh: {jump: []}}
  far: {address: 10.0.0.11}
  farther:
    address: 10.0.0.11
    ssh:
      user: of-the-host
      jump:
        - {address: first.example, port: 2222, host_key: accept_new}
        - {address: second.example, dead_after: 9s}
groups:
  - {group: a, mirror_host: near}
  - {group: a, mirror_host: far}
  - {group: a, mirror_host: farther}
sinks: {stdout: }
";

#[test]
fn a_bastion_takes_what_it_does_not_say_from_defaults_but_never_the_fingerprint_of_another_machine()
{
    let config = Machine::new().load_text(BEHIND_BASTIONS).unwrap().config;
    let [near, far, farther] = config.mirror_hosts.as_slice() else {
        panic!("three hosts");
    };
    assert!(near.ssh.jump.is_none(), "an empty list is no bastion");
    let jump = far.ssh.jump.as_ref().unwrap();
    assert_eq!((jump.address.as_str(), jump.port), ("bastion.example", 22));
    assert_eq!(jump.user, "ops");
    assert_eq!(jump.private_key, far.ssh.private_key);
    assert_eq!(jump.dead_after, std::time::Duration::from_secs(7));
    assert_eq!(jump.host_key, mirrorlag::ssh::HostKeyPolicy::Strict);
    assert!(jump.jump.is_none());

    let hops = farther.ssh.hops();
    let [first, second] = hops.as_slice() else {
        panic!("two bastions");
    };
    assert_eq!(
        (first.address.as_str(), first.port),
        ("first.example", 2222)
    );
    assert_eq!(first.host_key, mirrorlag::ssh::HostKeyPolicy::AcceptNew);
    // Of defaults, not of the host: hosts that differ still share the bastion's session.
    assert_eq!(first.user, "from-defaults");
    assert_eq!(second.dead_after, std::time::Duration::from_secs(9));
    assert_eq!(second.jump.as_ref().unwrap().address, "first.example");
}

#[test]
fn one_private_address_behind_different_bastions_is_not_one_machine() {
    let loaded = Machine::new().load_text(BEHIND_BASTIONS).unwrap();
    assert_eq!(loaded.warnings, []);
    let servers: std::collections::HashSet<_> = loaded
        .config
        .mirror_hosts
        .iter()
        .map(|host| host.ssh.server())
        .collect();
    assert_eq!(servers.len(), 3);
    let twice = BEHIND_BASTIONS.replace("ssh: {jump: []}", "ssh: {dead_after: 8s}");
    let warnings = Machine::new().load_text(&twice).unwrap().warnings;
    assert!(warnings[0].what.contains("is mirror host"), "{warnings:?}");
}

#[test]
fn a_secret_file_loses_its_line_end_and_no_debug_output_shows_a_secret() {
    use secrecy::ExposeSecret;
    let machine = Machine::new();
    let sink =
        "  elasticsearch: {urls: 'https://es:9200', username: elastic, password_file: es_password}";
    let loaded = machine.load_text(&minimal_with(sink)).unwrap();
    let settings = loaded.config.sinks.elasticsearch.as_ref().unwrap();
    let mirrorlag::sinks::elasticsearch::Credentials::Basic { password, .. } =
        &settings.credentials
    else {
        panic!("user name and password");
    };
    assert_eq!(password.expose_secret(), "s3cret");
    assert!(!format!("{loaded:?}").contains("s3cret"));
}

#[test]
fn no_problem_of_a_secret_repeats_it() {
    let machine = Machine::new();
    for lines in [
        "  elasticsearch: {urls: 'https://elastic:s3cret@es:9200'}",
        "  elasticsearch: {urls: 'https://elastic:s3c/s3cret@es:92x'}",
        "  elasticsearch: {urls: 'https://es:9200', username: e, password_env: 's3cret!'}",
        "  elasticsearch: {urls: 'https://es:9200', username: e, password: s3cret}",
        "  elasticsearch: {urls: 'https://es:9200', api_key_env: ES_PASSWORD}",
        "  elasticsearch: {urls: 'https://es:9200', proxy: 'http://u:s3cret@proxy:1'}",
    ] {
        let problems = machine.load_text(&minimal_with(lines)).unwrap_err();
        assert!(!problems.to_string().contains("s3cret"), "{problems}");
    }
}

#[test]
fn a_file_that_is_not_there_is_one_problem_with_its_mend() {
    let problems = Machine::new()
        .load(Path::new("/none/mirrorlag.yaml"))
        .unwrap_err();
    let line = problems.to_string();
    assert!(
        line.starts_with("/none/mirrorlag.yaml: does not exist; "),
        "{line}"
    );
    assert!(!line.contains('\n'), "{line}");
}

#[test]
fn a_thousand_topics_are_a_thousand_sources() {
    let machine = Machine::new();
    let mut text = MINIMAL.to_owned();
    text.push_str("topics:\n");
    for n in 0..1000 {
        let servers = "bootstrap_servers: [b1:9092]";
        text.push_str(&format!(
            "  - {{topic: t{n}, group: other, mirror_host: mm-1, {servers}}}\n"
        ));
    }
    let loaded = machine.load_text(&text).unwrap();
    assert_eq!(loaded.config.sources.len(), 1001);
}

/// Every prefix of a real file, and the file with each byte changed, is refused or read, never a panic.
#[test]
fn no_damage_to_a_file_makes_the_loader_panic() {
    let machine = Machine::new();
    let text = MINIMAL.to_owned();
    for cut in 0..text.len() {
        let _either = machine.load_text(&text[..cut]);
        for byte in [
            "&a ", "*a", "!t", "{", "]", ": ", "- ", "? ", "\t", "\"", "|", "%", "\u{e000}",
        ] {
            let damaged = format!("{}{byte}{}", &text[..cut], &text[cut..]);
            let _either = machine.load_text(&damaged);
        }
    }
    let deep = "a: ".to_owned() + &"[".repeat(100_000);
    assert!(machine.load_text(&deep).is_err());
}

/// What is good but for the lines given: of `mirror_hosts: mm-1: ssh:`, and of the sink.
fn with_lines(ssh: &str, sink: &str) -> String {
    format!(
        "mirror_hosts:\n  mm-1:\n    address: 10.0.0.11\n    kafka: {{consumer_groups: /opt/kafka/cli.sh}}\n    ssh:\n{ssh}\
         groups:\n  - {{group: g, mirror_host: mm-1, bootstrap_servers: [b1:9092]}}\n\
         sinks:\n  elasticsearch:\n{sink}"
    )
}

#[test]
fn the_debug_text_of_a_configuration_has_no_secret() {
    let mut machine = Machine::new();
    let env = [
        ("PASSPHRASE", "s3cret-phrase"),
        ("ES_PASSWORD", "s3cret-word"),
        ("API_KEY", "czNjcmV0OmtleQ=="),
    ];
    machine
        .env
        .extend(env.map(|(name, value)| (name.to_owned(), value.to_owned())));
    let ssh = "      private_key: ~/.ssh/encrypted\n      passphrase_env: PASSPHRASE\n";
    let urls = "    urls: ['https://es:9200']\n";
    for credentials in [
        "    username: elastic\n    password_env: ES_PASSWORD\n",
        "    api_key_env: API_KEY\n",
    ] {
        let loaded = machine.load_text(&with_lines(ssh, &format!("{urls}{credentials}")));
        let loaded = loaded.unwrap_or_else(|problems| panic!("{problems}"));
        for text in [format!("{loaded:?}"), format!("{loaded:#?}")] {
            assert!(text.contains("10.0.0.11"), "{text}");
            for (name, secret) in env {
                assert!(!text.contains(secret), "{name} is in {text}");
            }
        }
    }
}

#[test]
fn a_secret_in_the_wrong_place_is_not_repeated() {
    let mut machine = Machine::new();
    let secret = "s3cret-in-the-wrong-place";
    let with_login = format!("https://elastic:{secret}@es:9200");
    machine.env.insert("URL".to_owned(), with_login.clone());
    let key = "      private_key: ~/.ssh/id_ed25519\n";
    let urls = "    urls: ['https://es:9200']\n";
    let wrong = [
        (String::new(), format!("    urls: ['{with_login}']\n")),
        (String::new(), "    urls: ['${URL}']\n".to_owned()),
        (String::new(), format!("{urls}    proxy: '{with_login}'\n")),
        (String::new(), format!("{urls}    proxy: '${{URL}}'\n")),
        (
            String::new(),
            format!("{urls}    username: elastic\n    password: {secret}\n"),
        ),
        (
            String::new(),
            format!("{urls}    username: elastic\n    password_env: {secret}\n"),
        ),
        (
            String::new(),
            format!("{urls}    username: elastic\n    password_env: ${secret}\n"),
        ),
        (String::new(), format!("{urls}    api_key: {secret}\n")),
        (String::new(), format!("{urls}    api_key_env: {secret}\n")),
        (format!("      passphrase: {secret}\n"), urls.to_owned()),
        (format!("      passphrase_env: {secret}\n"), urls.to_owned()),
    ];
    for (ssh, sink) in wrong {
        let text = with_lines(&format!("{key}{ssh}"), &sink);
        let problems = machine.load_text(&text).expect_err(&text).to_string();
        assert!(!problems.contains(secret), "{problems}");
    }
}

/// `run` on a server need not have a password that only `setup` uses.
#[test]
fn the_password_of_kibana_is_read_for_setup_alone_and_shown_nowhere() {
    let mut machine = Machine::new();
    let kibana = "kibana: {url: 'http://kibana.example:5601', space: default, username: elastic, password_env: KIBANA_PASSWORD}";
    let path = machine.home.path().join("mirrorlag.yaml");
    fs::write(&path, minimal_with(kibana)).unwrap();
    let loaded = machine.load(&path).unwrap();
    assert_eq!(loaded.warnings, []);
    let read =
        |machine: &Machine| config::load_for_setup(&path, &|name| machine.env.get(name).cloned());
    let problems = read(&machine).unwrap_err().to_string();
    assert!(
        problems.contains("environment variable KIBANA_PASSWORD is not set"),
        "{problems}"
    );
    machine
        .env
        .insert("KIBANA_PASSWORD".to_owned(), "hush-hush".to_owned());
    let loaded = read(&machine).unwrap();
    let shown = format!("{:?}{:?}", loaded.config, loaded.warnings);
    assert!(!shown.contains("hush-hush"));
    assert_eq!(loaded.warnings[0].place.key, "kibana.url");
    assert!(loaded.warnings[0].what.contains("unencrypted"), "{shown}");
    let kibana = loaded.config.kibana.unwrap();
    assert_eq!(kibana.space, None, "the default space stands in no path");
    assert_eq!(kibana.base(), "http://kibana.example:5601");
}
