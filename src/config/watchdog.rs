//! The watchdog: what `nocturne watchdog` does besides sending the e-mails that a dead daemon owes.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The watchdog.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Watchdog {
    /// A URL that is requested (GET) when the night is well, so that another service notices when it is not.
    pub ping_url: Option<String>,
}
