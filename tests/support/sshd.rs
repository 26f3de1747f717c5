//! In: lines of sshd_config. Out: a real OpenSSH server of this test alone, on a free port of 127.0.0.1, with keys that fit it.
//! Never: outlives its test, is shared by two tests.
#![allow(dead_code)] // Each test binary uses its part.
#![allow(clippy::expect_used)] // In a test it is the assertion.

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use mirrorlag::ssh::{HostKeyPolicy, Settings};
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

const SSHD: &str = "/usr/sbin/sshd";
/// Starting takes some 50 ms; a loaded machine needs more.
const STARTS_WITHIN: Duration = Duration::from_secs(20);

/// A running sshd; stopped with all its sessions when dropped.
pub struct Sshd {
    pub port: u16,
    dir: TempDir,
    child: Child,
}

/// Kinds of keys as `ssh-keygen` makes them: its arguments.
pub const ED25519: &[&str] = &["-t", "ed25519"];
pub const ECDSA: &[&str] = &["-t", "ecdsa", "-b", "256"];
pub const ECDSA_384: &[&str] = &["-t", "ecdsa", "-b", "384"];
pub const ECDSA_521: &[&str] = &["-t", "ecdsa", "-b", "521"];
pub const RSA_OPENSSH: &[&str] = &["-t", "rsa", "-b", "2048"];
pub const RSA_PEM: &[&str] = &["-t", "rsa", "-b", "2048", "-m", "PEM"];
pub const RSA_PKCS8: &[&str] = &["-t", "rsa", "-b", "2048", "-m", "PKCS8"];

impl Sshd {
    /// An sshd with an ed25519 and an ECDSA host key, both known, that lets root in with the key `id`.
    pub fn start() -> Self {
        Self::with("")
    }

    /// The same with lines of sshd_config that go before the launcher's own (the first value of a key counts).
    pub fn with(lines: &str) -> Self {
        Self::with_host_keys(&[("host_ed25519", ED25519), ("host_ecdsa", ECDSA)], lines)
    }

    /// The same with these host keys: name and kind.
    pub fn with_host_keys(host_keys: &[(&str, &[&str])], lines: &str) -> Self {
        assert!(
            Path::new(SSHD).exists(),
            "{SSHD} is missing: these tests need a real OpenSSH server, install openssh-server"
        );
        let dir = tempfile::tempdir().expect("a folder for sshd");
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).expect("permissions");
        // What a shell reads at its start belongs to the person at this machine: it may print, wait, or break when it is killed.
        fs::create_dir(dir.path().join("home")).expect("home");
        let home = dir.path().join("home");
        let mut config = format!("{lines}\nSetEnv HOME={}\n", home.display());
        for (name, kind) in host_keys {
            keygen(kind, "", &dir.path().join(name));
            config += &format!("HostKey {}\n", dir.path().join(name).display());
        }
        fs::write(dir.path().join("authorized_keys"), "").expect("authorized_keys");
        let (port, child) = launch(dir.path(), &config);
        let sshd = Self { port, dir, child };
        sshd.new_key("id", ED25519, "");
        let names: Vec<&str> = host_keys.iter().map(|(name, _)| *name).collect();
        sshd.know(&names);
        sshd
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Makes a key pair that the server accepts, and returns the private key's path.
    pub fn new_key(&self, name: &str, kind: &[&str], passphrase: &str) -> PathBuf {
        let path = self.path(name);
        keygen(kind, passphrase, &path);
        let public = fs::read_to_string(self.path(&format!("{name}.pub"))).expect("public key");
        let authorized = self.path("authorized_keys");
        let mut all = fs::read_to_string(&authorized).expect("authorized_keys");
        all.push_str(&public);
        fs::write(&authorized, all).expect("authorized_keys");
        path
    }

    /// Makes a key pair that the server does not accept.
    pub fn new_stranger(&self, name: &str) -> PathBuf {
        keygen(ED25519, "", &self.path(name));
        self.path(name)
    }

    /// Type and key of one of the host keys, as known_hosts has them.
    pub fn host_key(&self, name: &str) -> String {
        let public = fs::read_to_string(self.path(&format!("{name}.pub"))).expect("host key");
        let fields: Vec<&str> = public.split(' ').take(2).collect();
        fields.join(" ")
    }

    /// The name under which known_hosts keeps this server.
    pub fn host_name(&self) -> String {
        format!("[127.0.0.1]:{}", self.port)
    }

    /// Writes known_hosts with these host keys.
    pub fn know(&self, keys: &[&str]) {
        let lines: Vec<String> = keys
            .iter()
            .map(|key| format!("{} {}\n", self.host_name(), self.host_key(key)))
            .collect();
        self.write_known_hosts(&lines.concat());
    }

    pub fn write_known_hosts(&self, text: &str) {
        fs::write(self.path("known_hosts"), text).expect("known_hosts");
    }

    /// What `ssh-keygen -lf` prints of a key: `SHA256:...`.
    pub fn fingerprint(&self, name: &str) -> String {
        let out = Command::new("ssh-keygen")
            .arg("-lf")
            .arg(self.path(&format!("{name}.pub")))
            .output()
            .expect("ssh-keygen");
        let text = String::from_utf8(out.stdout).expect("text");
        text.split(' ').nth(1).expect("fingerprint").to_owned()
    }

    /// Settings that work: root, key `id`, strict known_hosts.
    pub fn settings(&self) -> Settings {
        Settings {
            address: "127.0.0.1".into(),
            port: self.port,
            user: "root".into(),
            private_key: Some(self.path("id")),
            passphrase: None,
            agent: false,
            known_hosts: self.path("known_hosts"),
            host_key: HostKeyPolicy::Strict,
            connect_timeout: Duration::from_secs(15),
            dead_after: Duration::from_secs(30),
            jump: None,
        }
    }

    pub fn log(&self) -> String {
        fs::read_to_string(self.path("log")).unwrap_or_default()
    }

    /// How often the log says something.
    pub fn count_in_log(&self, text: &str) -> usize {
        self.log().matches(text).count()
    }

    /// Process id of the listener.
    pub fn pid(&self) -> i32 {
        i32::try_from(self.child.id()).expect("pid")
    }

    /// Sends a signal to the listener.
    pub fn signal_listener(&self, signal: Signal) {
        send(self.pid(), signal);
    }

    /// Sends a signal to the sshd processes of the sessions (not to what they run).
    pub fn signal_sessions(&self, signal: Signal) {
        for pid in descendants(self.pid()) {
            let name = fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
            if name.starts_with("sshd") {
                send(pid, signal);
            }
        }
    }

    /// Sessions and what they run.
    pub fn descendants(&self) -> Vec<i32> {
        descendants(self.pid())
    }
}

impl Drop for Sshd {
    fn drop(&mut self) {
        for pid in descendants(self.pid()) {
            send(pid, Signal::KILL);
        }
        // Stopped or not, KILL ends it; an error means that it has ended before.
        let _ended = self.child.kill();
        let _reaped = self.child.wait();
    }
}

fn launch(dir: &Path, lines: &str) -> (u16, Child) {
    // As root it needs its folder for privilege separation, which Debian makes only when the service starts.
    if rustix::process::geteuid().is_root() {
        fs::create_dir_all("/run/sshd").expect("/run/sshd");
    }
    // A port that was free may be taken the moment after.
    for _ in 0..5 {
        let port = free_port();
        let show = |name: &str| dir.join(name).display().to_string();
        let config = format!(
            "{lines}\nListenAddress 127.0.0.1\nPort {port}\nAuthorizedKeysFile {}\nPidFile none\n\
             StrictModes no\nUsePAM no\nPasswordAuthentication no\nKbdInteractiveAuthentication no\nPermitRootLogin yes\n\
             LogLevel VERBOSE\n",
            show("authorized_keys"),
        );
        fs::write(dir.join("sshd_config"), config).expect("sshd_config");
        let mut child = Command::new(SSHD)
            .args(["-D", "-f", &show("sshd_config"), "-E", &show("log")])
            .stdin(Stdio::null())
            .spawn()
            .expect("sshd");
        let is_up = wait_for("sshd to listen", STARTS_WITHIN, || {
            let log = fs::read_to_string(dir.join("log")).unwrap_or_default();
            let ended = child.try_wait().expect("sshd").is_some();
            (log.contains("Server listening") || ended).then_some(!ended)
        });
        if is_up {
            return (port, child);
        }
    }
    let log = fs::read_to_string(dir.join("log")).unwrap_or_default();
    panic!("sshd does not start: {log}");
}

/// A port of 127.0.0.1 that nobody has at this moment.
pub fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    listener.local_addr().expect("address").port()
}

pub fn keygen(kind: &[&str], passphrase: &str, path: &Path) {
    let status = Command::new("ssh-keygen")
        .args(["-q", "-C", "test key", "-N", passphrase])
        .args(kind)
        .arg("-f")
        .arg(path)
        .status()
        .expect("ssh-keygen is missing: install openssh-client");
    assert!(status.success(), "ssh-keygen {kind:?}");
}

/// Asks until there is an answer; panics at the deadline.
pub fn wait_for<T>(what: &str, limit: Duration, mut ask: impl FnMut() -> Option<T>) -> T {
    let end = Instant::now() + limit;
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(Instant::now() < end, "waited {limit:?} for {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// All processes below one.
pub fn descendants(pid: i32) -> Vec<i32> {
    let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children"));
    let mut all = Vec::new();
    for child in children.unwrap_or_default().split_whitespace() {
        let child: i32 = child.parse().expect("pid");
        all.push(child);
        all.extend(descendants(child));
    }
    all
}

/// Sends a signal; a process that has ended is no error.
pub fn send(pid: i32, signal: Signal) {
    let _gone = Pid::from_raw(pid).map(|pid| kill_process(pid, signal));
}
