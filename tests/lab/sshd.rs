//! In: a name. Out: an OpenSSH server of the test's own, with its faults, and what its logins left behind.
//! Never: shares a port or a log with another test.

use std::fs;
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use rustix::process::Signal;

use crate::lab;
use crate::namespace::Namespace;
use crate::process::{self, Process};

/// A mirror host: one sshd on a port of its own.
pub struct Sshd {
    pub address: String,
    pub port: u16,
    namespace: Option<Namespace>,
    /// A shell script that lays out the server's own view of the disk.
    mounts: Option<String>,
    /// Only another machine reaches it.
    is_hidden: bool,
    name: String,
    folder: PathBuf,
    listener: Option<Process>,
}

impl Sshd {
    pub fn start(stem: &str) -> Self {
        Self::start_in(stem, None, None, "", false)
    }

    /// With lines of sshd_config that go before the lab's own: the first value of a key counts.
    pub fn start_with(stem: &str, lines: &str) -> Self {
        Self::start_in(stem, None, None, lines, false)
    }

    /// Behind a cable that can lose every packet.
    pub fn start_behind_cable(stem: &str) -> Self {
        Self::start_in(stem, Some(Namespace::new()), None, "", false)
    }

    /// On a machine whose disk a script has laid out, in a mount namespace of its own; needs root.
    pub fn start_on_disk(stem: &str, script: &str) -> Self {
        Self::start_in(stem, None, Some(script.to_owned()), "", false)
    }

    /// On a machine that only `bastion` reaches, which is behind a cable itself.
    pub fn start_beyond(stem: &str, bastion: &Self) -> Self {
        Self::start_in(stem, Some(bastion.cable().beyond()), None, "", true)
    }

    fn start_in(
        stem: &str,
        namespace: Option<Namespace>,
        mounts: Option<String>,
        lines: &str,
        is_hidden: bool,
    ) -> Self {
        let address = namespace.as_ref().map_or("127.0.0.1", Namespace::address);
        let mut sshd = Self {
            address: address.to_owned(),
            port: lab::free_port(),
            namespace,
            mounts,
            is_hidden,
            name: lab::unique(stem),
            folder: lab::folder(&format!("{stem}-sshd")),
            listener: None,
        };
        sshd.configure(lines, "host_ed25519");
        sshd.start_again();
        sshd
    }

    /// From its next start on: lines of sshd_config before the lab's own, and the host key of that name.
    pub fn configure(&self, lines: &str, host_key: &str) {
        let template = fs::read_to_string(lab::script("sshd_config")).expect("sshd_config");
        let config = template
            .replace("@ADDRESS@", &self.address)
            .replace("@PORT@", &self.port.to_string())
            .replace("@RUN@", &lab::run_folder().to_string_lossy())
            .replace("@NAME@", &self.name)
            .replace("@HOST_KEY@", &lab::key(host_key).to_string_lossy());
        let config = format!("{lines}\n{config}");
        fs::write(self.folder.join("sshd_config"), config).expect("sshd_config of the test");
    }

    /// After `stop`, on the same port with the same key.
    pub fn start_again(&mut self) {
        let path = ["/usr/sbin/sshd", "/usr/local/sbin/sshd", "/usr/bin/sshd"];
        let program = path
            .iter()
            .find(|path| fs::exists(path).unwrap_or(false))
            .expect("sshd");
        let mut command = match (&self.namespace, &self.mounts) {
            (Some(namespace), _) => namespace.command(program),
            (None, Some(script)) => {
                let mut command = Command::new("unshare");
                let script = format!("set -e; {script}; exec \"$0\" \"$@\"");
                command.args(["-m", "sh", "-c", &script, program]);
                command
            }
            (None, None) => Command::new(program),
        };
        command
            .args(["-D", "-e", "-f"])
            .arg(self.folder.join("sshd_config"));
        self.listener = Some(Process::start(
            "sshd",
            &mut command,
            self.folder.join("sshd.log"),
        ));
        lab::eventually("sshd listens", Duration::from_secs(10), || {
            if self.is_hidden {
                let log = self.log();
                return lab::claim(log.contains("Server listening on"), log);
            }
            TcpStream::connect((self.address.as_str(), self.port))
                .map(|_| ())
                .map_err(|error| error.to_string())
        });
    }

    /// The whole server goes, also the processes that serve sessions, as in a reboot of sshd.
    pub fn stop(&mut self) {
        let sessions = self.session_processes();
        self.listener = None;
        for pid in sessions {
            process::send(pid, Signal::KILL);
        }
    }

    /// Nothing of it moves, but the kernel still acknowledges what is sent to it.
    pub fn freeze(&self) {
        self.signal_all(Signal::STOP);
    }

    pub fn thaw(&self) {
        self.signal_all(Signal::CONT);
    }

    /// The cable to it; only after `start_behind_cable`.
    pub fn cable(&self) -> &Namespace {
        self.namespace.as_ref().expect("an sshd behind a cable")
    }

    /// Processes of our logins, sshd's own apart, as `pid command line`.
    pub fn processes_of_logins(&self) -> Vec<String> {
        process::with_environment("MIRRORLAG_LAB_HOST", &self.name)
    }

    /// Waits until no process of our logins is left.
    #[track_caller]
    pub fn no_process_left_within(&self, limit: Duration) {
        lab::eventually("no process of ours on the host", limit, || {
            let left = self.processes_of_logins();
            lab::claim(left.is_empty(), left)
        });
    }

    pub fn log(&self) -> String {
        fs::read_to_string(self.folder.join("sshd.log")).unwrap_or_default()
    }

    /// A known_hosts file for this server, with the public key of that name.
    pub fn known_hosts(&self, key_name: &str) -> PathBuf {
        let path = self.folder.join(format!("known_hosts_{key_name}"));
        let line = known_hosts_line(&self.address, self.port, key_name);
        fs::write(&path, line).expect("known_hosts");
        path
    }

    fn signal_all(&self, signal: Signal) {
        let listener = self.listener.as_ref().expect("a running sshd");
        // The listener first: a session that it starts meanwhile would be missed.
        listener.signal(signal);
        for pid in self.session_processes() {
            process::send(pid, signal);
        }
    }

    fn session_processes(&self) -> Vec<i32> {
        let listener = self.listener.as_ref().expect("a running sshd");
        process::descendants(listener.id())
            .into_iter()
            .filter(|(_, name)| name.starts_with("sshd"))
            .map(|(pid, _)| pid)
            .collect()
    }
}

impl Drop for Sshd {
    fn drop(&mut self) {
        if self.listener.is_some() {
            self.thaw();
            self.stop();
        }
        // Whatever a failed test left on "the host" must not disturb the others.
        for line in self.processes_of_logins() {
            let pid = line.split(' ').next().and_then(|pid| pid.parse().ok());
            if let Some(pid) = pid {
                process::send(pid, Signal::KILL);
            }
        }
    }
}

/// A line of known_hosts: that address and port have the public key of that name.
pub fn known_hosts_line(address: &str, port: u16, key_name: &str) -> String {
    let public = fs::read_to_string(lab::key(&format!("{key_name}.pub"))).expect("a key");
    let key: Vec<&str> = public.split_whitespace().take(2).collect();
    format!("[{address}]:{port} {}\n", key.join(" "))
}
