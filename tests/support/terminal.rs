//! A pseudo terminal: the real binary in it, keys sent, the screen read as a terminal would show it.
// Each test binary uses its own part of it.
#![allow(dead_code)]

use std::fs::File;
use std::io::{Read, Write};
use std::num::NonZeroU16;
use std::os::fd::OwnedFd;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{LocalModes, Termios, Winsize, tcgetattr, tcsetwinsize};

/// Beyond this a wait is a failure of the program, not of the machine.
pub const DEADLINE: Duration = Duration::from_secs(60);

/// Written behind everything else; a terminal shows nothing of it.
const END: &[u8] = b"\x1b]7777;end\x1b\\";

/// A program in a terminal of its own.
pub struct Terminal {
    /// Our side.
    keys: File,
    /// The program's side, kept open so that the terminal's settings can be read after its end.
    other: File,
    child: Child,
    seen: Arc<Mutex<Seen>>,
    before: Termios,
}

struct Seen {
    parser: vt100::Parser,
    /// Everything that the program wrote.
    bytes: Vec<u8>,
}

impl Seen {
    fn has_end(&self) -> bool {
        self.bytes.ends_with(END)
    }
}

impl Terminal {
    /// Starts `program` with the terminal as its controlling one.
    pub fn start(program: &mut Command, columns: u16, rows: u16) -> Self {
        let ours = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        grantpt(&ours).unwrap();
        unlockpt(&ours).unwrap();
        let name = ptsname(&ours, Vec::new()).unwrap();
        let other = File::options()
            .read(true)
            .write(true)
            .open(name.to_str().unwrap())
            .unwrap();
        resize(&ours, columns, rows);
        let before = tcgetattr(&other).unwrap();
        // util-linux: a session of its own whose terminal is standard input; the program takes its place, so that the id stays.
        let mut setsid = Command::new("setsid");
        setsid
            .arg("--ctty")
            .arg(program.get_program())
            .args(program.get_args())
            .env("TERM", "xterm-256color")
            .env("LC_ALL", "C.UTF-8")
            .env_remove("NO_COLOR");
        for (name, value) in program.get_envs() {
            match value {
                Some(value) => setsid.env(name, value),
                None => setsid.env_remove(name),
            };
        }
        let child = setsid
            .stdin(other.try_clone().unwrap())
            .stdout(other.try_clone().unwrap())
            .stderr(other.try_clone().unwrap())
            .spawn()
            .unwrap();
        let seen = Arc::new(Mutex::new(Seen {
            parser: vt100::Parser::new(cells(rows), cells(columns), 0),
            bytes: Vec::new(),
        }));
        let keys = File::from(ours);
        let mut output = keys.try_clone().unwrap();
        let sees = seen.clone();
        std::thread::spawn(move || {
            let mut bytes = [0; 65_536];
            while let Ok(count @ 1..) = output.read(&mut bytes) {
                let mut seen = sees.lock().unwrap();
                seen.parser.process(&bytes[..count]);
                seen.bytes.extend_from_slice(&bytes[..count]);
            }
        });
        Self {
            keys,
            other,
            child,
            seen,
            before,
        }
    }

    pub fn id(&self) -> u32 {
        self.child.id()
    }

    pub fn press(&mut self, keys: &str) {
        self.keys.write_all(keys.as_bytes()).unwrap();
    }

    pub fn resize(&mut self, columns: u16, rows: u16) {
        let mut seen = self.seen.lock().unwrap();
        let screen = seen.parser.screen_mut();
        screen.set_size(cells(rows), cells(columns));
        drop(seen);
        tcsetwinsize(&self.keys, winsize(columns, rows)).unwrap();
    }

    /// The lines of the screen, without their blanks at the end.
    pub fn lines(&self) -> Vec<String> {
        let seen = self.seen.lock().unwrap();
        let screen = seen.parser.screen();
        let columns = screen.size().1.get();
        let rows = screen.rows(0, columns);
        rows.map(|row| row.trim_end().to_owned()).collect()
    }

    /// What the terminal shows, with all its styles.
    pub fn screen(&self) -> vt100::Screen {
        self.seen.lock().unwrap().parser.screen().clone()
    }

    pub fn text(&self) -> String {
        self.lines().join("\n")
    }

    /// Everything that the program wrote.
    pub fn bytes(&self) -> Vec<u8> {
        self.seen.lock().unwrap().bytes.clone()
    }

    pub fn is_full_screen(&self) -> bool {
        self.seen.lock().unwrap().parser.screen().alternate_screen()
    }

    pub fn is_cursor_hidden(&self) -> bool {
        self.seen.lock().unwrap().parser.screen().hide_cursor()
    }

    /// Waits until the screen is as it should be, and returns it.
    pub fn until(&self, what: &str, is_so: impl Fn(&[String]) -> bool) -> Vec<String> {
        let from = Instant::now();
        loop {
            let lines = self.lines();
            if is_so(&lines) {
                return lines;
            }
            if from.elapsed() > DEADLINE {
                let bytes = self.bytes();
                let last = String::from_utf8_lossy(&bytes[bytes.len().saturating_sub(2000)..])
                    .into_owned();
                panic!("{what}:\n{}\n{last:?}", lines.join("\n"));
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Waits until all `words` are on the screen.
    pub fn until_words(&self, words: &[&str]) -> Vec<String> {
        self.until(&format!("{words:?}"), |lines| {
            let text = lines.join("\n");
            words.iter().all(|word| text.contains(word))
        })
    }

    pub fn tell(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    /// Waits for the end of the program, and until all that it wrote has been seen.
    pub fn end(&mut self) -> ExitStatus {
        let from = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                self.other.write_all(END).unwrap();
                self.until("the last bytes", |_| self.seen.lock().unwrap().has_end());
                let mut seen = self.seen.lock().unwrap();
                let length = seen.bytes.len() - END.len();
                seen.bytes.truncate(length);
                return status;
            }
            assert!(
                from.elapsed() < DEADLINE,
                "it does not end:\n{}",
                self.text()
            );
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// The terminal is as it was before the program: its settings, its screen, its cursor.
    pub fn assert_clean(&self) {
        assert!(!self.is_full_screen() && !self.is_cursor_hidden());
        self.assert_settings();
    }

    /// The settings of the terminal are those from before.
    pub fn assert_settings(&self) {
        let after = tcgetattr(&self.other).unwrap();
        let settings = |it: &Termios| {
            let modes = (
                it.input_modes,
                it.output_modes,
                it.control_modes,
                it.local_modes,
            );
            format!("{modes:?} {:?}", it.special_codes)
        };
        assert_eq!(settings(&after), settings(&self.before));
        assert!(
            after
                .local_modes
                .contains(LocalModes::ECHO | LocalModes::ICANON)
        );
    }

    /// Whether a program has taken the terminal: no echo.
    pub fn is_raw(&self) -> bool {
        let now = tcgetattr(&self.other).unwrap();
        !now.local_modes
            .intersects(LocalModes::ECHO | LocalModes::ICANON)
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        // A test that failed must not leave its process; one that passed has none.
        let _ended = self.child.kill();
        let _reaped = self.child.wait();
    }
}

fn resize(terminal: &OwnedFd, columns: u16, rows: u16) {
    tcsetwinsize(terminal, winsize(columns, rows)).unwrap();
}

fn cells(count: u16) -> NonZeroU16 {
    NonZeroU16::new(count).unwrap()
}

fn winsize(columns: u16, rows: u16) -> Winsize {
    Winsize {
        ws_row: rows,
        ws_col: columns,
        ws_xpixel: 0,
        ws_ypixel: 0,
    }
}

/// `program` without a terminal on any of its streams.
pub fn without_terminal(program: &mut Command) -> &mut Command {
    program
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
}
