//! What the watchdog handed over, as files that the next owner of the state store reads.
//!
//! The watchdog only reads the state store, so it leaves a claim below `<paths.state>/watchdog/`: written and synced
//! before the SMTP conversation, marked as sent after it, each time written to another name and then renamed. The owner
//! records what was sent as revisions that were handed over, and removes the files. An e-mail that was begun and not
//! marked may or may not have been accepted; it is sent again with the same Message-ID. Only their owner can read the
//! files: they hold addresses.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tracing::{info, warn};

use crate::store::{HandedOver, StateStore};

/// A claim as it is stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Claim {
    /// The form of this file.
    pub(super) version: u32,
    /// How far the conversation got.
    pub(super) stage: Stage,
    /// What is or was handed over.
    pub(super) mail: HandedOver,
}

/// How far the watchdog got with an e-mail.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Stage {
    /// The conversation may have begun.
    Begun,
    /// It was handed over.
    Sent,
    /// It was refused for good.
    Refused,
}

/// The current form of a claim.
pub(super) const VERSION: u32 = 1;

/// Returns the folder of claims.
pub(super) fn folder(state: &Path) -> PathBuf {
    state.join("watchdog")
}

/// Returns the existing claims, with their files.
pub(super) fn read(state: &Path) -> anyhow::Result<Vec<(PathBuf, Claim)>> {
    let folder = folder(state);
    let entries = match fs::read_dir(&folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error).with_context(|| format!("reading {}", folder.display())),
    };
    let mut claims = Vec::new();
    for entry in entries {
        let path = entry?.path();
        if path.extension().is_none_or(|extension| extension != "json") {
            continue;
        }
        let text = fs::read_to_string(&path).with_context(|| format!("reading {}", path.display()))?;
        match serde_json::from_str::<Claim>(&text) {
            Ok(claim) if claim.version == VERSION => claims.push((path, claim)),
            _ => warn!(path = %path.display(), "A claim of the watchdog is not readable; remove it"),
        }
    }
    claims.sort_by(|a, b| a.0.cmp(&b.0));
    Ok(claims)
}

/// Writes a claim durably, replacing an earlier one for the same e-mail.
pub(super) fn write(state: &Path, claim: &Claim) -> anyhow::Result<()> {
    let folder = folder(state);
    let written = (|| {
        fs::create_dir_all(&folder)?;
        let name = file_name(&claim.mail.message_id);
        let aside = folder.join(format!(".{name}.part"));
        let mut file = File::options().create(true).truncate(true).write(true).mode(0o600).open(&aside)?;
        file.write_all(serde_json::to_string_pretty(claim)?.as_bytes())?;
        file.sync_all()?;
        fs::rename(&aside, folder.join(name))?;
        File::open(&folder)?.sync_all()
    })();
    written.with_context(|| format!("writing a claim in {}", folder.display()))
}

/// Records the claims in the outbox and removes their files.
pub(super) async fn record(state: &Path, store: &dyn StateStore, now: Timestamp) -> anyhow::Result<()> {
    for (path, claim) in read(state)? {
        if claim.stage == Stage::Sent {
            store.record_handed_over(&claim.mail, now).await?;
            info!(mail.id = %claim.mail.message_id, "The watchdog had handed over `{}`", claim.mail.subject);
        }
        fs::remove_file(&path).with_context(|| format!("removing {}", path.display()))?;
    }
    Ok(())
}

fn file_name(message_id: &str) -> String {
    let local = message_id.split_once('@').map_or(message_id, |(local, _)| local);
    let safe: String =
        local.chars().map(|c| if c.is_ascii_alphanumeric() || "-_.".contains(c) { c } else { '_' }).collect();
    format!("{safe}.json")
}
