//! A port at which nothing listens, and which no other process can get while a test holds it.

use std::net::SocketAddr;

use tokio::net::{TcpListener, TcpSocket};

/// A port of its own that refuses every connection until it is dropped.
pub(crate) struct ClosedPort(TcpSocket);

impl ClosedPort {
    pub(crate) fn new() -> Self {
        // A socket that is bound and does not listen keeps the port, and the system refuses connections.
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind(SocketAddr::from(([127, 0, 0, 1], 0))).unwrap();
        Self(socket)
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.0.local_addr().unwrap()
    }

    /// Listens at the port from now on.
    pub(crate) fn open(self) -> TcpListener {
        self.0.listen(64).unwrap()
    }
}
