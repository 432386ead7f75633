//! The configuration: layered, validated once at start, all mistakes at once.
//!
//! Layers, later ones take precedence: the embedded `config/default.toml` (every key, commented, works as it is), each
//! `--config FILE`, and the environment (`NOCTURNE__SECTION__KEY`). Nothing else in the program reads the environment.
//! Secrets are references (`env:NAME`, `file:PATH`), resolved where they are used.
//!
//! How to add a key: a field with a doc comment in its section's struct, and the key with its comment in
//! `config/default.toml`; a test checks that the two agree.

mod account;
mod alerts;
mod analysis;
mod checks;
mod configuration;
mod dump;
mod environment;
mod layers;
mod mail;
mod origins;
mod places;
mod purpose;
mod retention;
mod secret;
mod size;
mod sources;
#[cfg(test)]
mod tests;
mod troubles;
mod watchdog;

pub use account::account;
pub use alerts::{AlertRoute, Alerts, Webhook};
pub use analysis::{Drift, Features, Labels, Population, Quality};
pub use configuration::{Config, DEFAULT};
pub use dump::Setting;
pub use environment::{Environment, process_environment, start_again_without};
pub use layers::Layers;
pub use mail::{Mail, MailAddress, MailTransport, Security, parse_mailbox};
pub use places::{Engine, Institution, Isolation, Lake, Log, LogFormat, Paths, State};
pub use purpose::Use;
pub use retention::Retention;
pub use secret::{SecretError, SecretReference, variables_in};
pub use size::Size;
pub use sources::{Privacy, Simulation, Source, SourceKind};
pub use troubles::{SIMULATED_TABLES, Trouble, TroubleKind};
pub use watchdog::Watchdog;
