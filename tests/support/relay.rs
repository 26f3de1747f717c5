//! A port that leads to another one, and can be cut or fall silent.
#![allow(dead_code)] // each test binary uses its own part of it

use std::net::SocketAddr;

use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Line {
    Through,
    /// Who connects is hung up on, and so is who was connected.
    Cut,
    /// Who connects is never answered.
    Silent,
}

pub struct Relay {
    pub address: SocketAddr,
    line: watch::Sender<Line>,
}

impl Relay {
    /// Serves on a free port of the loopback until the runtime of the test ends.
    pub async fn to(target: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (line, seen) = watch::channel(Line::Through);
        tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                tokio::spawn(pass(socket, target, seen.clone()));
            }
        });
        Self { address, line }
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub fn set(&self, line: Line) {
        self.line.send_replace(line);
    }
}

async fn pass(mut socket: TcpStream, target: SocketAddr, mut line: watch::Receiver<Line>) {
    let now = *line.borrow_and_update();
    let passing = async {
        match now {
            Line::Through => {
                let mut server = TcpStream::connect(target).await.unwrap();
                let _broken = copy_bidirectional(&mut socket, &mut server).await;
            }
            Line::Cut => {}
            Line::Silent => std::future::pending().await,
        }
    };
    tokio::select! {
        () = passing => {}
        _ = line.changed() => {}
    }
}
