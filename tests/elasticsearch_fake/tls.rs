//! Elasticsearch behind TLS: a certificate that may not be trusted holds, sends nothing, names the mend, and is no matter of a restart once it
//! is renewed. Certificates are made by `openssl`.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex};

use mirrorlag::delivery;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};

use super::faults::{Bench, Log, until_or};
use super::*;

/// A certificate authority in a folder of its own.
struct Authority {
    folder: tempfile::TempDir,
}

/// Which certificate a server shows.
#[derive(Clone, Copy)]
struct Shown {
    name: &'static str,
    /// From when to when.
    valid: [&'static str; 2],
}

const GOOD: Shown = Shown {
    name: "IP:127.0.0.1",
    valid: ["20200101000000Z", "20490101000000Z"],
};
const EXPIRED: Shown = Shown {
    valid: ["20200101000000Z", "20210101000000Z"],
    ..GOOD
};
const NOT_YET: Shown = Shown {
    valid: ["20480101000000Z", "20490101000000Z"],
    ..GOOD
};
const WRONG_NAME: Shown = Shown {
    name: "DNS:es-node1.example",
    ..GOOD
};

impl Authority {
    fn new() -> Self {
        let authority = Self {
            folder: tempfile::tempdir().unwrap(),
        };
        let config = "[ca]\ndefault_ca=lab\n[lab]\ndatabase=index.txt\nserial=serial\nnew_certs_dir=.\ndefault_md=sha256\npolicy=any\nunique_subject=no\n\
                      [any]\ncommonName=supplied\n";
        for (name, text) in [("ca.cnf", config), ("index.txt", "")] {
            std::fs::write(authority.folder.path().join(name), text).unwrap();
        }
        openssl(
            authority.folder.path(),
            "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=lab-ca -days 3650 -keyout ca.key -out ca.pem",
        );
        authority
    }

    fn ca_file(&self) -> PathBuf {
        self.folder.path().join("ca.pem")
    }

    fn sign(&self, shown: Shown) -> Arc<ServerConfig> {
        let folder = self.folder.path();
        let extensions = format!(
            "subjectAltName={}\nextendedKeyUsage=serverAuth\n",
            shown.name
        );
        std::fs::write(folder.join("node.ext"), extensions).unwrap();
        openssl(
            folder,
            "req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=node -keyout node.key -out node.csr",
        );
        let [from, to] = shown.valid;
        openssl(
            folder,
            &format!(
                "ca -batch -notext -create_serial -config ca.cnf -cert ca.pem -keyfile ca.key -extfile node.ext -startdate {from} -enddate {to} -in node.csr -out node.pem"
            ),
        );
        let chain = CertificateDer::pem_file_iter(folder.join("node.pem")).unwrap();
        let chain = chain.collect::<Result<_, _>>().unwrap();
        let key = PrivateKeyDer::from_pem_file(folder.join("node.key")).unwrap();
        let config = ServerConfig::builder().with_no_client_auth();
        Arc::new(config.with_single_cert(chain, key).unwrap())
    }
}

fn openssl(folder: &Path, arguments: &str) {
    let output = Command::new("openssl")
        .args(arguments.split(' '))
        .current_dir(folder)
        .output()
        .expect("openssl is installed");
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "openssl {arguments}: {text}");
}

/// A TLS end before a server without one; the certificate may be changed while it stands.
struct TlsEnd {
    url: String,
    shows: Arc<Mutex<Arc<ServerConfig>>>,
}

impl TlsEnd {
    async fn before(target: SocketAddr, shown: Arc<ServerConfig>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("https://{}", listener.local_addr().unwrap());
        let shows = Arc::new(Mutex::new(shown));
        let now = shows.clone();
        tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                let acceptor = TlsAcceptor::from(now.lock().unwrap().clone());
                tokio::spawn(async move {
                    let Ok(mut socket) = acceptor.accept(socket).await else {
                        return;
                    };
                    let mut server = TcpStream::connect(target).await.unwrap();
                    let _broken = tokio::io::copy_bidirectional(&mut socket, &mut server).await;
                });
            }
        });
        Self { url, shows }
    }

    fn show(&self, shown: Arc<ServerConfig>) {
        *self.shows.lock().unwrap() = shown;
    }
}

fn trusting(end: &TlsEnd, ca_file: Option<PathBuf>) -> Settings {
    Settings {
        ca_file,
        ..settings(&[&end.url])
    }
}

/// The server shows a certificate that holds; then a good one is put there.
async fn held_until_renewed(bad: Arc<ServerConfig>, authority: &Authority, said: &str, mend: &str) {
    let log = Log::capture();
    let fake = Fake::start().await;
    let end = TlsEnd::before(fake.address(), bad).await;
    let mut bench = Bench::start(&trusting(&end, Some(authority.ca_file()))).await;
    bench.ticks(20).await;
    let status = bench.elasticsearch.clone();
    let state = || status.state();
    until_or("it holds", || bench.phase() == "holding", state).await;
    assert!(bench.reason().contains(said), "{}", bench.reason());
    assert!(bench.reason().contains(mend), "{}", bench.reason());
    bench.ticks(20).await;
    if ["certificate expired", "not valid yet"].contains(&said) {
        // The reason has the time in it, to the second: it must be no news each second.
        let first = bench.reason();
        until_or("a second has gone", || bench.reason() != first, state).await;
    }
    assert_eq!(fake.lock().requests.len(), 0, "nothing may be sent");
    end.show(authority.sign(GOOD));
    bench.until_committed().await;
    bench.assert_each_once(&fake, 0).await;
    // That it holds, that it made the index, that it works.
    assert!(log.lines().len() <= 3, "{}", log.lines().join("\n"));
    bench.end().await;
}

#[tokio::test]
async fn an_expired_certificate_holds_until_it_is_renewed() {
    let authority = Authority::new();
    let bad = authority.sign(EXPIRED);
    held_until_renewed(
        bad,
        &authority,
        "certificate expired",
        "renew the certificate",
    )
    .await;
}

#[tokio::test]
async fn a_certificate_that_is_not_valid_yet_holds_until_it_is() {
    let authority = Authority::new();
    let bad = authority.sign(NOT_YET);
    held_until_renewed(bad, &authority, "not valid yet", "mend the clock").await;
}

#[tokio::test]
async fn a_certificate_of_an_unknown_authority_holds_until_one_of_ours_is_there() {
    let authority = Authority::new();
    let bad = Authority::new().sign(GOOD);
    held_until_renewed(bad, &authority, "is not trusted", "set ca_file").await;
}

#[tokio::test]
async fn a_certificate_for_another_name_holds_until_one_for_ours_is_there() {
    let authority = Authority::new();
    let bad = authority.sign(WRONG_NAME);
    held_until_renewed(bad, &authority, "not valid for name", "use a name in urls").await;
}

#[tokio::test]
async fn a_certificate_that_expires_while_running_holds_and_its_renewal_needs_no_restart() {
    let authority = Authority::new();
    let fake = Fake::start().await;
    let end = TlsEnd::before(fake.address(), authority.sign(GOOD)).await;
    let relay = relay::Relay::to(end.url.trim_start_matches("https://").parse().unwrap()).await;
    let mut settings = trusting(&end, Some(authority.ca_file()));
    settings.urls = vec![format!("https://{}", relay.address)];
    let mut bench = Bench::start(&settings).await;
    bench.ticks(3).await;
    bench.until_committed().await;
    end.show(authority.sign(EXPIRED));
    // A connection that stands is not asked again.
    relay.set(relay::Line::Cut);
    relay.set(relay::Line::Through);
    bench.ticks(10).await;
    let state = || bench.elasticsearch.state();
    until_or("it holds", || bench.phase() == "holding", state).await;
    end.show(authority.sign(GOOD));
    bench.until_committed().await;
    bench.assert_each_once(&fake, 0).await;
    bench.end().await;
}

#[tokio::test]
async fn an_authority_that_is_replaced_in_the_ca_file_needs_no_restart() {
    let (old, new) = (Authority::new(), Authority::new());
    let fake = Fake::start().await;
    let end = TlsEnd::before(fake.address(), new.sign(GOOD)).await;
    let mut bench = Bench::start(&trusting(&end, Some(old.ca_file()))).await;
    bench.ticks(3).await;
    let state = || bench.elasticsearch.state();
    until_or("it holds", || bench.phase() == "holding", state).await;
    // A file that is half written, or gone for a moment, changes nothing.
    std::fs::write(old.ca_file(), "").unwrap();
    bench.ticks(3).await;
    assert_eq!(bench.phase(), "holding");
    std::fs::copy(new.ca_file(), old.ca_file()).unwrap();
    bench.until_committed().await;
    bench.assert_each_once(&fake, 0).await;
    bench.end().await;
}

#[tokio::test]
async fn a_certificate_is_not_looked_at_where_any_is_accepted() {
    let fake = Fake::start().await;
    let end = TlsEnd::before(fake.address(), Authority::new().sign(EXPIRED)).await;
    let mut settings = trusting(&end, None);
    settings.accept_any_certificate = true;
    let mut sink = Elasticsearch::new(&settings).unwrap();
    assert_eq!(words(&sink.deliver(&samples(2)).await.fates), ["stored"; 2]);
}

#[tokio::test]
async fn an_untrusted_node_does_not_hold_while_another_is_trusted() {
    let authority = Authority::new();
    let fake = Fake::start().await;
    let bad = TlsEnd::before(fake.address(), authority.sign(EXPIRED)).await;
    let good = TlsEnd::before(fake.address(), authority.sign(GOOD)).await;
    let mut settings = trusting(&bad, Some(authority.ca_file()));
    settings.urls.push(good.url.clone());
    let mut sink = Elasticsearch::new(&settings).unwrap();
    let reply = sink.deliver(&samples(2)).await;
    assert_eq!(words(&reply.fates), ["retry"; 2]);
    assert!(reply.another_node && reason(&reply.fates).contains("is not trusted"));
    let mut bench = Bench::start(&settings).await;
    bench.ticks(5).await;
    bench.until_committed().await;
    let phase = delivery::Phase::Working;
    let state = || bench.elasticsearch.state();
    until_or("it works", || state().phase == phase, state).await;
    bench.assert_each_once(&fake, 0).await;
    bench.end().await;
}
