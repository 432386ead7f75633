//! A real SMTP server in process: mailin's state machine behind a listener on a port of its own.
//!
//! It accepts, refuses or greylists as its [`Temper`] says, speaks STARTTLS with a certificate made for the test, and
//! keeps what it was sent. It serves until the test ends.

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex};

use mailin::response::{NO_MAILBOX, OK};
use mailin::{Action, AuthMechanism, Handler, Response, Session, SessionBuilder};
use rcgen::CertificateParams;
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

use super::tls;

/// How the server treats a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Temper {
    /// It takes everything.
    Accepts,
    /// It knows no recipient (550).
    RefusesRecipients,
    /// It asks to come back later (451).
    Greylists,
    /// It asks everybody to come back later once (451).
    GreylistsOnce,
    /// It knows all recipients but this one (550).
    RefusesOne(&'static str),
}

/// What kind of connection the server offers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Offer {
    /// In the clear only.
    Plain,
    /// STARTTLS, and a login after it.
    StartTls,
    /// TLS from the first byte.
    Tls,
}

/// A running server.
pub(crate) struct SmtpServer {
    pub(crate) port: u16,
    /// The certificate that clients must trust, in PEM form.
    pub(crate) certificate_pem: String,
    received: Arc<Mutex<Vec<Received>>>,
    _task: JoinSet<()>,
}

/// A message that was accepted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Received {
    pub(crate) from: String,
    pub(crate) to: Vec<String>,
    pub(crate) message: Vec<u8>,
    pub(crate) user: String,
}

impl SmtpServer {
    /// Starts a server; user `nocturne`, password `open sesame`.
    pub(crate) async fn start(offer: Offer, temper: Temper) -> Self {
        Self::start_with(offer, temper, tls::valid()).await
    }

    /// Starts a server whose certificate was valid in 2024.
    pub(crate) async fn start_with_expired_certificate(offer: Offer) -> Self {
        Self::start_with(offer, Temper::Accepts, tls::expired()).await
    }

    async fn start_with(offer: Offer, temper: Temper, certificate: CertificateParams) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (config, certificate_pem) = tls::server(certificate);
        let received = Arc::new(Mutex::new(Vec::new()));
        let (acceptor, kept) = (TlsAcceptor::from(Arc::new(config)), received.clone());
        let seen = Arc::new(Mutex::new(BTreeSet::new()));
        let mut task = JoinSet::new();
        task.spawn(async move {
            let mut conversations = JoinSet::new();
            while let Ok((stream, peer)) = listener.accept().await {
                let handler =
                    Mailbox { temper, kept: kept.clone(), seen: Arc::clone(&seen), current: Received::default() };
                let acceptor = acceptor.clone();
                conversations.spawn(async move {
                    // A client that hangs up in the middle is checked by the test, not by the server.
                    drop(converse(stream, peer, offer, acceptor, handler).await);
                });
            }
        });
        Self { port, certificate_pem, received, _task: task }
    }

    /// Returns what was accepted so far.
    pub(crate) fn received(&self) -> Vec<Received> {
        self.received.lock().unwrap().clone()
    }
}

async fn converse(
    stream: tokio::net::TcpStream,
    peer: SocketAddr,
    offer: Offer,
    acceptor: TlsAcceptor,
    handler: Mailbox,
) -> std::io::Result<()> {
    let mut builder = SessionBuilder::new("mail.test");
    if offer == Offer::StartTls {
        builder.enable_start_tls().enable_auth(AuthMechanism::Plain);
    }
    let mut session = builder.build(peer.ip(), handler);
    if offer == Offer::Tls {
        let mut stream = BufReader::new(acceptor.accept(stream).await?);
        greet(&mut stream, &session).await?;
        speak(&mut stream, &mut session).await?;
        return Ok(());
    }
    let mut stream = BufReader::new(stream);
    greet(&mut stream, &session).await?;
    if speak(&mut stream, &mut session).await? {
        let mut stream = BufReader::new(acceptor.accept(stream.into_inner()).await?);
        session.tls_active();
        speak(&mut stream, &mut session).await?;
    }
    Ok(())
}

async fn greet<S: AsyncWrite + Unpin>(stream: &mut S, session: &Session<Mailbox>) -> std::io::Result<()> {
    stream.write_all(&session.greeting().buffer()?).await
}

/// Answers line by line; returns whether the client asked for TLS.
async fn speak<S: AsyncRead + AsyncWrite + Unpin>(
    stream: &mut BufReader<S>,
    session: &mut Session<Mailbox>,
) -> std::io::Result<bool> {
    let mut line = Vec::new();
    loop {
        line.clear();
        if stream.read_until(b'\n', &mut line).await? == 0 {
            return Ok(false);
        }
        let response = session.process(&line);
        if response.action != Action::NoReply {
            stream.write_all(&response.buffer()?).await?;
            stream.flush().await?;
        }
        match response.action {
            Action::Close => return Ok(false),
            Action::UpgradeTls => return Ok(true),
            Action::Reply | Action::NoReply => {}
        }
    }
}

struct Mailbox {
    temper: Temper,
    kept: Arc<Mutex<Vec<Received>>>,
    seen: Arc<Mutex<BTreeSet<String>>>,
    current: Received,
}

impl Handler for Mailbox {
    fn mail(&mut self, _ip: IpAddr, _domain: &str, from: &str) -> Response {
        from.clone_into(&mut self.current.from);
        OK
    }

    fn rcpt(&mut self, to: &str) -> Response {
        self.current.to.push(to.to_owned());
        let later = || Response::custom(451, format!("4.7.1 <{to}> greylisted, come back later"));
        match self.temper {
            Temper::GreylistsOnce if self.seen.lock().unwrap().insert(to.to_owned()) => later(),
            Temper::RefusesOne(refused) if to == refused => NO_MAILBOX,
            Temper::GreylistsOnce | Temper::RefusesOne(_) => OK,
            Temper::RefusesRecipients => NO_MAILBOX,
            Temper::Greylists => later(),
            Temper::Accepts => OK,
        }
    }

    fn data(&mut self, buf: &[u8]) -> std::io::Result<()> {
        self.current.message.extend_from_slice(buf);
        Ok(())
    }

    fn data_end(&mut self) -> Response {
        let user = self.current.user.clone();
        let done = std::mem::replace(&mut self.current, Received { user, ..Received::default() });
        self.kept.lock().unwrap().push(done);
        OK
    }

    fn auth_plain(&mut self, _authorization: &str, user: &str, password: &str) -> Response {
        if (user, password) == ("nocturne", "open sesame") {
            user.clone_into(&mut self.current.user);
            mailin::response::AUTH_OK
        } else {
            mailin::response::INVALID_CREDENTIALS
        }
    }
}
