//! The thin binary: everything is in the library.

#[tokio::main]
async fn main() -> std::process::ExitCode {
    // ring is the only crypto provider; it is installed before anything can open a connection.
    if rustls::crypto::ring::default_provider().install_default().is_err() {
        return std::process::ExitCode::from(2);
    }
    nocturne::cli::main().await
}
