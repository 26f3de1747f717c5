//! In: a command. Out: the process, its CPU and memory; it ends with the value.
//! Never: leaves a process behind.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// A process that is measured.
pub struct Measured(Child);

impl Measured {
    pub fn start(command: &mut Command) -> Self {
        Self(command.stdin(Stdio::null()).spawn().unwrap())
    }

    /// `mirrorlag run` with this configuration.
    pub fn mirrorlag(configuration: &Path) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_mirrorlag"));
        command.args(["run", "-c"]).arg(configuration);
        // A sink on standard output would write here.
        Self::start(command.stdout(Stdio::null()))
    }

    /// User and system time of all its threads, in seconds, from `/proc/<pid>/stat` (fields 14 and 15, in ticks of 10 ms).
    pub fn cpu_seconds(&self) -> f64 {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.0.id())).unwrap();
        let behind_name = stat.rsplit(')').next().unwrap();
        let fields: Vec<f64> = behind_name
            .split_whitespace()
            .filter_map(|field| field.parse().ok())
            .collect();
        // The state letter does not parse: what is field 14 of the file is the eleventh number here.
        (fields[10] + fields[11]) / 100.0
    }

    /// Resident memory: now, and the most it ever was, in KiB.
    pub fn memory_kib(&self) -> (u64, u64) {
        let status = fs::read_to_string(format!("/proc/{}/status", self.0.id())).unwrap();
        let number = |key: &str| {
            let line = status.lines().find(|line| line.starts_with(key));
            line.unwrap()
                .split_whitespace()
                .nth(1)
                .unwrap()
                .parse()
                .unwrap()
        };
        (number("VmRSS:"), number("VmHWM:"))
    }

    pub fn assert_alive(&mut self) {
        if let Some(status) = self.0.try_wait().unwrap() {
            panic!("it ended while it was measured: {status}");
        }
    }
}

impl Drop for Measured {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A Python program of `benches/compare`; `None` where no Python is named.
pub fn python(program: &str) -> Option<Command> {
    let python = std::env::var_os("MIRRORLAG_COMPARE_PYTHON")?;
    let mut command = Command::new(python);
    command.arg(compare_folder().join(program));
    Some(command)
}

fn compare_folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/compare")
}
