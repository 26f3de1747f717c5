//! In: a shell. Out: a login user of the test's own, with a home folder of its own.
//! Never: outlives its test, touches another user.

use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use crate::{lab, process};

/// useradd waits for nobody who has the password file open; several tests may want it at once.
const PASSWD_LIMIT: Duration = Duration::from_secs(30);

/// A user of this machine; needs root. It goes with this value.
pub struct Login {
    pub name: String,
    pub home: PathBuf,
}

impl Login {
    /// It gets in with the operator's key, as every login of the lab.
    pub fn new(shell: &str) -> Self {
        let login = Self {
            name: lab::unique("mirrorlab-u"),
            home: lab::folder("home"),
        };
        let home = login.home.to_string_lossy().into_owned();
        // The password `*` lets nobody in with a password, but is not "locked", which sshd would refuse.
        let arguments = ["--no-log-init", "--home-dir", &home, "--shell", shell];
        login.passwd("useradd", &[&arguments[..], &["-p", "*"]].concat());
        process::stdout_of(Command::new("chown").args([&login.name, &home]));
        login
    }

    /// `usermod` with these arguments.
    pub fn modify(&self, arguments: &[&str]) {
        self.passwd("usermod", arguments);
    }

    /// Writes a file of the home folder.
    pub fn write(&self, file: &str, text: &str) {
        fs::write(self.home.join(file), text).expect("a file of the home folder");
    }

    #[track_caller]
    fn passwd(&self, program: &str, arguments: &[&str]) {
        lab::eventually(program, PASSWD_LIMIT, || {
            let mut command = Command::new(program);
            let output = process::output_of(command.args(arguments).arg(&self.name));
            lab::claim(output.status.success(), output)
        });
    }
}

impl Drop for Login {
    fn drop(&mut self) {
        for _ in 0..50 {
            let mut command = Command::new("userdel");
            let output = process::output_of(command.args(["--force", &self.name]));
            let is_there = Command::new("id").arg(&self.name).output();
            if output.status.success() || is_there.is_ok_and(|id| !id.status.success()) {
                return;
            }
            std::thread::sleep(Duration::from_millis(200));
        }
    }
}
