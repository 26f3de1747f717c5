//! A mirror host that only a bastion reaches, in a network of their own: the whole pipeline, and a bastion that goes.

use std::fs;
use std::io::Read;
use std::net::{TcpStream, ToSocketAddrs};
use std::time::Duration;

use crate::collector::{Config, END_LIMIT, text_of};
use crate::delivery;
use crate::elasticsearch::{Document, Elasticsearch};
use crate::lab;
use crate::sshd::Sshd;

/// A bastion that is back is tried within a minute; a loaded machine gets some more.
const BACK_LIMIT: Duration = Duration::from_secs(150);

fn behind(stem: &str, bastion: &Sshd, hidden: &Sshd) -> Config {
    let mut config = Config::new(stem, hidden);
    let known = config.folder.join("known_hosts");
    let lines = [bastion, hidden].map(|sshd| sshd.known_hosts("host_ed25519"));
    let lines = lines.map(|path| fs::read_to_string(path).expect("known_hosts"));
    fs::write(&known, lines.concat()).expect("known_hosts of both");
    config.known_hosts = known;
    config.ssh_lines = vec![
        format!(
            "jump: {{address: {}, port: {}}}",
            bastion.address, bastion.port
        ),
        "dead_after: 4s".to_owned(),
    ];
    config
}

#[track_caller]
fn latest(config: &Config, what: &str, is_wanted: impl Fn(&Document) -> bool) {
    lab::eventually(what, BACK_LIMIT, || {
        let documents = Elasticsearch::main().documents(&config.index)?;
        let last = documents.last().ok_or("no document")?;
        lab::claim(is_wanted(last), last)
    });
}

/// (A proxy on the way may accept any connection, so it is the host's banner and its log that tell.)
fn assert_unreachable_from_here(hidden: &Sshd) {
    let address = (hidden.address.as_str(), hidden.port);
    let address = address.to_socket_addrs().expect("an address").next();
    let patience = Duration::from_secs(2);
    if let Ok(mut direct) = TcpStream::connect_timeout(&address.expect("one"), patience) {
        direct.set_read_timeout(Some(patience)).expect("a time-out");
        let mut first = [0; 4];
        let banner = direct.read_exact(&mut first).map(|()| first);
        assert!(
            !banner.is_ok_and(|first| first == *b"SSH-"),
            "reached directly"
        );
    }
    assert!(
        !hidden.log().contains("Connection from"),
        "reached directly"
    );
}

#[test]
fn numbers_come_through_the_only_machine_that_reaches_the_host_and_again_after_it_was_away() {
    let mut bastion = Sshd::start_behind_cable("bastion");
    let hidden = Sshd::start_beyond("hidden", &bastion);
    assert_unreachable_from_here(&hidden);
    let config = behind("behind-bastion", &bastion, &hidden);

    // Each hop has its lines, with one login for all.
    let check = config.check();
    let text = text_of(&check);
    let name = format!(
        "bastion {}@{}:{}",
        config.user, bastion.address, bastion.port
    );
    assert_eq!(text.matches(&name).count(), 4, "a line per step: {text}");
    assert_eq!(bastion.log().matches("Accepted publickey").count(), 1);

    let mut collector = config.run();
    latest(&config, "numbers", |last| last.text("outcome") == "ok");
    let logins = |sshd: &Sshd| sshd.log().matches("Accepted publickey").count();
    assert_eq!(logins(&bastion), 2, "two sessions of the host share one");
    assert_eq!(logins(&hidden), 3, "the check's and one per topic");

    bastion.stop();
    latest(&config, "the bastion's failure", |last| {
        last.text("outcome") == "ssh_error" && last.text("reason").starts_with(&name)
    });
    hidden.no_process_left_within(Duration::from_secs(20));
    // Several ticks without it: what is logged is each change, not each attempt.
    std::thread::sleep(Duration::from_secs(5));
    let log = collector.log();
    let warnings = log.matches("not connected").count() + log.matches("connection lost").count();
    assert!(warnings <= 2 * 3, "one line per source and change:\n{log}");
    bastion.start_again();
    latest(&config, "numbers again", |last| {
        last.text("outcome") == "ok"
    });

    collector.terminate(END_LIMIT);
    delivery::assert_index_equals_journal(&config, &Elasticsearch::main());
    delivery::assert_no_tick_is_missing(&config, 1000);
    hidden.no_process_left_within(Duration::from_secs(20));
}

#[test]
fn a_host_whose_cable_is_cut_behind_its_bastion_is_noticed_and_comes_back() {
    let bastion = Sshd::start_behind_cable("bastion");
    let hidden = Sshd::start_beyond("cut-off", &bastion);
    let mut config = behind("cut-behind-bastion", &bastion, &hidden);
    config.ssh_lines.push("connect_timeout: 3s".to_owned());
    let mut collector = config.run();
    latest(&config, "numbers", |last| last.text("outcome") == "ok");
    hidden.cable().cut();
    latest(&config, "a lost host", |last| {
        last.text("reason").contains("no answer for 4s")
    });
    let log = collector.log();
    assert!(!log.contains("bastion \""), "the bastion is alive:\n{log}");
    hidden.cable().mend();
    latest(&config, "numbers again", |last| {
        last.text("outcome") == "ok"
    });
    collector.terminate(END_LIMIT);
    delivery::assert_no_tick_is_missing(&config, 1000);
}
