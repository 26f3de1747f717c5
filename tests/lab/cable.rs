//! In: a port. Out: another port that leads to it until the cable is cut.
//! Never: closes a connection because of a cut: bytes just stop.

use std::io::{ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use crate::lab;

/// How soon a thread sees that the cable was cut or is no longer needed.
const POLL: Duration = Duration::from_millis(20);

/// A TCP connection's middle: both ends think they are connected, whatever becomes of it.
pub struct Cable {
    pub port: u16,
    is_cut: Arc<AtomicBool>,
    is_over: Arc<AtomicBool>,
    acceptor: Option<JoinHandle<()>>,
}

impl Cable {
    pub fn to(target: u16) -> Self {
        let port = lab::free_port();
        let listener = TcpListener::bind(("127.0.0.1", port)).expect("a free port");
        listener.set_nonblocking(true).expect("non-blocking");
        let is_cut = Arc::new(AtomicBool::new(false));
        let is_over = Arc::new(AtomicBool::new(false));
        let flags = (Arc::clone(&is_cut), Arc::clone(&is_over));
        let acceptor = thread::spawn(move || accept(&listener, target, &flags.0, &flags.1));
        Self {
            port,
            is_cut,
            is_over,
            acceptor: Some(acceptor),
        }
    }

    /// From now on no byte passes, in either direction, on standing and on new connections.
    pub fn cut(&self) {
        self.is_cut.store(true, Ordering::SeqCst);
    }
}

impl Drop for Cable {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::SeqCst);
        if let Some(acceptor) = self.acceptor.take() {
            let _ended = acceptor.join();
        }
    }
}

fn accept(
    listener: &TcpListener,
    target: u16,
    is_cut: &Arc<AtomicBool>,
    is_over: &Arc<AtomicBool>,
) {
    let mut wires = Vec::new();
    while !is_over.load(Ordering::SeqCst) {
        let Ok((near, _)) = listener.accept() else {
            thread::sleep(POLL);
            continue;
        };
        let Ok(far) = TcpStream::connect(("127.0.0.1", target)) else {
            continue;
        };
        for (from, to) in [(&near, &far), (&far, &near)] {
            let (from, to) = (from.try_clone().expect("fd"), to.try_clone().expect("fd"));
            let (is_cut, is_over) = (Arc::clone(is_cut), Arc::clone(is_over));
            wires.push(thread::spawn(move || carry(from, to, &is_cut, &is_over)));
        }
    }
    for wire in wires {
        let _ended = wire.join();
    }
}

fn carry(mut from: TcpStream, mut to: TcpStream, is_cut: &AtomicBool, is_over: &AtomicBool) {
    from.set_read_timeout(Some(POLL)).expect("a time-out");
    let mut buffer = [0_u8; 16 * 1024];
    while !is_over.load(Ordering::SeqCst) {
        if is_cut.load(Ordering::SeqCst) {
            thread::sleep(POLL);
            continue;
        }
        match from.read(&mut buffer) {
            Ok(0) => break,
            Ok(count) if !is_cut.load(Ordering::SeqCst) => {
                if to.write_all(&buffer[..count]).is_err() {
                    break;
                }
            }
            Ok(_) => {}
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
            Err(_) => break,
        }
    }
    if !is_cut.load(Ordering::SeqCst) {
        let _gone = to.shutdown(std::net::Shutdown::Write);
    }
}
