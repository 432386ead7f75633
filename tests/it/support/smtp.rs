//! A real SMTP server in process: mailin's state machine behind a listener on a port of its own.
//!
//! It accepts, refuses or greylists as its [`Temper`] says, speaks STARTTLS with a certificate made for the test, and
//! keeps what it was sent. A test may hold back its answer to a message. It serves until the test ends.

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex};

use mailin::response::{NO_MAILBOX, OK};
use mailin::{Action, AuthMechanism, Handler, Response, Session, SessionBuilder};
use rcgen::CertificateParams;
use rustls::ServerConfig;
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::net::TcpListener;
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

use super::closed::ClosedPort;
use super::tls;

/// The token of user `nocturne`, and what a client says with it.
pub(crate) const TOKEN: &str = "ya29.a-token";
const LOGIN_BY_TOKEN: &str = "AUTH XOAUTH2 dXNlcj1ub2N0dXJuZQFhdXRoPUJlYXJlciB5YTI5LmEtdG9rZW4BAQ==";

/// The same login by password, which the server's state machine knows.
const LOGIN_BY_PASSWORD: &[u8] = b"AUTH PLAIN AG5vY3R1cm5lAG9wZW4gc2VzYW1l\r\n";

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
    /// It takes everything, and answers each message only when the test lets it.
    AnswersLate,
}

/// What kind of connection the server offers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Offer {
    /// In the clear only.
    Plain,
    /// STARTTLS, and a login after it.
    StartTls,
    /// STARTTLS, and a login by token (XOAUTH2) after it.
    StartTlsAndToken,
    /// TLS from the first byte.
    Tls,
}

/// A running server.
pub(crate) struct SmtpServer {
    pub(crate) port: u16,
    /// The certificate that clients must trust, in PEM form.
    pub(crate) certificate_pem: String,
    received: Arc<Mutex<Vec<Received>>>,
    late: Arc<Late>,
    _task: JoinSet<()>,
}

/// An answer that is held back.
#[derive(Default)]
struct Late {
    has_message: Notify,
    may_answer: Notify,
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

    /// Starts a server at a port that was closed until now, with the certificate of [`Self::certificate_ahead`].
    pub(crate) fn start_at(port: ClosedPort, (config, certificate_pem): (ServerConfig, String)) -> Self {
        Self::serve(port.open(), (Offer::StartTls, Temper::Accepts), (config, certificate_pem))
    }

    /// Returns what a server will show, and its certificate in PEM form.
    pub(crate) fn certificate_ahead() -> (ServerConfig, String) {
        tls::server(tls::valid())
    }

    async fn start_with(offer: Offer, temper: Temper, certificate: CertificateParams) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        Self::serve(listener, (offer, temper), tls::server(certificate))
    }

    fn serve(
        listener: TcpListener,
        (offer, temper): (Offer, Temper),
        (config, certificate_pem): (ServerConfig, String),
    ) -> Self {
        let port = listener.local_addr().unwrap().port();
        let received = Arc::new(Mutex::new(Vec::new()));
        let (acceptor, kept) = (TlsAcceptor::from(Arc::new(config)), received.clone());
        let seen = Arc::new(Mutex::new(BTreeSet::new()));
        let late = Arc::new(Late::default());
        let holds = (temper == Temper::AnswersLate).then(|| Arc::clone(&late));
        let mut task = JoinSet::new();
        task.spawn(async move {
            let mut conversations = JoinSet::new();
            while let Ok((stream, peer)) = listener.accept().await {
                let handler =
                    Mailbox { temper, kept: kept.clone(), seen: Arc::clone(&seen), current: Received::default() };
                let (acceptor, holds) = (acceptor.clone(), holds.clone());
                conversations.spawn(async move {
                    // A client that hangs up in the middle is checked by the test, not by the server.
                    drop(converse(stream, peer, (offer, holds), acceptor, handler).await);
                });
            }
        });
        Self { port, certificate_pem, received, late, _task: task }
    }

    /// Returns what was accepted so far.
    pub(crate) fn received(&self) -> Vec<Received> {
        self.received.lock().unwrap().clone()
    }

    /// Waits until the server has a whole message that it has not answered.
    pub(crate) async fn has_message(&self) {
        self.late.has_message.notified().await;
    }

    /// Lets the server answer a message.
    pub(crate) fn answer(&self) {
        self.late.may_answer.notify_one();
    }
}

async fn converse(
    stream: tokio::net::TcpStream,
    peer: SocketAddr,
    (offer, holds): (Offer, Option<Arc<Late>>),
    acceptor: TlsAcceptor,
    handler: Mailbox,
) -> std::io::Result<()> {
    let mut builder = SessionBuilder::new("mail.test");
    if matches!(offer, Offer::StartTls | Offer::StartTlsAndToken) {
        builder.enable_start_tls().enable_auth(AuthMechanism::Plain);
    }
    let mut session = builder.build(peer.ip(), handler);
    if offer == Offer::Tls {
        let mut stream = BufReader::new(acceptor.accept(stream).await?);
        greet(&mut stream, &session).await?;
        speak(&mut stream, &mut session, (offer, holds)).await?;
        return Ok(());
    }
    let mut stream = BufReader::new(stream);
    greet(&mut stream, &session).await?;
    if speak(&mut stream, &mut session, (offer, holds.clone())).await? {
        let mut stream = BufReader::new(acceptor.accept(stream.into_inner()).await?);
        session.tls_active();
        speak(&mut stream, &mut session, (offer, holds)).await?;
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
    (offer, holds): (Offer, Option<Arc<Late>>),
) -> std::io::Result<bool> {
    let mut line = Vec::new();
    let mut is_message = false;
    loop {
        line.clear();
        if stream.read_until(b'\n', &mut line).await? == 0 {
            return Ok(false);
        }
        if offer == Offer::StartTlsAndToken && line.starts_with(b"AUTH XOAUTH2") {
            if line.trim_ascii_end() != LOGIN_BY_TOKEN.as_bytes() {
                // This is how servers refuse a token: they ask for more, and the client is to send an empty line.
                stream.write_all(b"334 eyJzdGF0dXMiOiI0MDEifQ==\r\n").await?;
                stream.flush().await?;
                continue;
            }
            LOGIN_BY_PASSWORD.clone_into(&mut line);
        }
        let response = session.process(&line);
        if let (Some(late), true, b".") = (&holds, is_message, line.trim_ascii_end()) {
            late.has_message.notify_one();
            late.may_answer.notified().await;
        }
        is_message = response.code == 354 || is_message && response.action == Action::NoReply;
        if response.action != Action::NoReply {
            let mut words = String::from_utf8(response.buffer()?).unwrap();
            if offer == Offer::StartTlsAndToken {
                words = words.replace("AUTH PLAIN", "AUTH XOAUTH2");
            }
            stream.write_all(words.as_bytes()).await?;
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
            Temper::Accepts | Temper::AnswersLate => OK,
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
