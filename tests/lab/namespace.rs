//! In: nothing. Out: a network namespace with one address, reached over a virtual cable that can lose every packet.
//! Never: touches an interface that it did not make.

use std::process::Command;
use std::sync::atomic::{AtomicU8, Ordering};

use crate::process;

/// Nobody has this address, so what is sent to it is lost without a word.
const NOBODY: &str = "02:00:00:00:00:01";

/// Numbers that this process has used. Each process begins elsewhere: several may test on one machine.
static USED: AtomicU8 = AtomicU8::new(0);
const NUMBERS_PER_PROCESS: u8 = 10;

/// A "machine" of its own on this one; needs root. It goes with the test.
pub struct Namespace {
    name: String,
    /// The namespace in which our end of the cable is; `None`: that of the test.
    outer: Option<String>,
    /// Our end of the cable, and theirs.
    devices: [String; 2],
    /// Our address, and theirs.
    addresses: [String; 2],
}

impl Namespace {
    pub fn new() -> Self {
        Self::within(None)
    }

    /// A machine with a cable to this one only: nobody else reaches it.
    pub fn beyond(&self) -> Self {
        Self::within(Some(self.name.clone()))
    }

    fn within(outer: Option<String>) -> Self {
        let first = u8::try_from(std::process::id() % 25).unwrap_or_default() * NUMBERS_PER_PROCESS;
        let used = USED.fetch_add(1, Ordering::Relaxed) % NUMBERS_PER_PROCESS;
        let number = 1 + first + used;
        let namespace = Self {
            outer,
            name: format!("mirrorlab-{number}"),
            devices: [format!("mirrorlab{number}a"), format!("mirrorlab{number}b")],
            addresses: [1, 2].map(|end| format!("10.213.{number}.{end}")),
        };
        namespace.remove();
        let ([ours, theirs], [our_address, their_address]) =
            (&namespace.devices, &namespace.addresses);
        ip(&format!("netns add {}", namespace.name));
        namespace.ip_here(&format!(
            "link add {ours} type veth peer name {theirs} netns {}",
            namespace.name
        ));
        namespace.ip_here(&format!("addr add {our_address}/30 dev {ours}"));
        namespace.ip_here(&format!("link set {ours} up"));
        namespace.ip_there(&format!("addr add {their_address}/30 dev {theirs}"));
        namespace.ip_there(&format!("link set {theirs} up"));
        namespace
    }

    pub fn address(&self) -> &str {
        &self.addresses[1]
    }

    /// The command, to be run there.
    pub fn command(&self, program: &str) -> Command {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.name, program]);
        command
    }

    /// From now on every packet is lost, in both directions; nobody is told.
    pub fn cut(&self) {
        let [ours, theirs] = &self.devices;
        let [our_address, their_address] = &self.addresses;
        self.ip_here(&format!(
            "neigh replace {their_address} lladdr {NOBODY} dev {ours} nud permanent"
        ));
        self.ip_there(&format!(
            "neigh replace {our_address} lladdr {NOBODY} dev {theirs} nud permanent"
        ));
    }

    pub fn mend(&self) {
        let [ours, theirs] = &self.devices;
        let [our_address, their_address] = &self.addresses;
        self.ip_here(&format!("neigh del {their_address} dev {ours}"));
        self.ip_there(&format!("neigh del {our_address} dev {theirs}"));
    }

    fn ip_here(&self, arguments: &str) {
        match &self.outer {
            Some(outer) => ip(&format!("-n {outer} {arguments}")),
            None => ip(arguments),
        }
    }

    fn ip_there(&self, arguments: &str) {
        ip(&format!("-n {} {arguments}", self.name));
    }

    /// Deleting our end deletes the cable; a namespace lives on while a process is in it.
    fn remove(&self) {
        // Where our end is in a namespace that has gone, the cable went with it.
        for arguments in [
            ["link", "del", &self.devices[0]],
            ["netns", "del", &self.name],
        ] {
            let _absent = process::output_of(Command::new("ip").args(arguments));
        }
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        self.remove();
    }
}

#[track_caller]
fn ip(arguments: &str) {
    process::stdout_of(Command::new("ip").args(arguments.split(' ')));
}
