//! A real HTTP proxy that tunnels (CONNECT), on loopback, and counts its tunnels.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

/// A running proxy; it serves until the test ends.
pub(crate) struct HttpProxy {
    pub(crate) port: u16,
    tunnels: Arc<AtomicUsize>,
    _task: JoinSet<()>,
}

impl HttpProxy {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let tunnels = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&tunnels);
        let mut task = JoinSet::new();
        task.spawn(async move {
            let mut open = JoinSet::new();
            while let Ok((client, _)) = listener.accept().await {
                let counted = Arc::clone(&counted);
                // A client that hangs up in the middle is checked by the test, not by the proxy.
                open.spawn(async move { drop(tunnel(client, &counted).await) });
            }
        });
        Self { port, tunnels, _task: task }
    }

    /// Returns how many tunnels were made.
    pub(crate) fn tunnels(&self) -> usize {
        self.tunnels.load(Ordering::SeqCst)
    }
}

async fn tunnel(client: TcpStream, tunnels: &AtomicUsize) -> std::io::Result<()> {
    let mut client = BufReader::new(client);
    let mut request = String::new();
    client.read_line(&mut request).await?;
    let mut header = String::new();
    while header != "\r\n" {
        header.clear();
        client.read_line(&mut header).await?;
    }
    let Some(("CONNECT", rest)) = request.split_once(' ') else {
        return client.write_all(b"HTTP/1.1 405 Method Not Allowed\r\n\r\n").await;
    };
    let mut server = TcpStream::connect(rest.split(' ').next().unwrap_or_default()).await?;
    client.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await?;
    tunnels.fetch_add(1, Ordering::SeqCst);
    tokio::io::copy_bidirectional(&mut client, &mut server).await?;
    Ok(())
}
