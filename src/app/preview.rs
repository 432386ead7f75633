//! `nocturne report preview`: what people are sent, made by the real jobs over a small invented night.
//!
//! The night runs in a scratch folder, as a process of this program that sees nothing of the user's but the institution's
//! name and zone, its recipes, rules and feature sets; nothing leaves the machine. A night that someone should look at is
//! made by a trouble of the simulated source, one that fails by a job that fails. The e-mails and the published report
//! are copied to the folder that the user names.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, bail};
use jiff::civil::{Date, date};
use tokio::process::Command;
use tokio::time::timeout;

use super::temporary::TemporaryFolder;
use crate::config::{Config, process_environment};
use crate::lake::keys;

const NIGHT: &str = include_str!("preview/night.toml");

/// The night: in the middle of a term of the invented institution.
const DATE: Date = date(2026, 11, 20);

/// How long it may take.
const LONGEST: Duration = Duration::from_secs(600);

/// What a process needs of the environment to find programs.
const PASSED_ON: [&str; 2] = ["PATH", "POLARS_MAX_THREADS"];

/// What happens in the night.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Happening {
    /// Nothing.
    Nothing,
    /// The source has a trouble at which someone should look.
    Trouble,
    /// A job fails.
    Failure,
}

/// Makes a preview of a night in which that happens, and returns the files in `to`.
///
/// # Errors
/// When the night does not end so, or a file cannot be written.
pub async fn preview(config: &Config, happening: Happening, to: &Path) -> anyhow::Result<Vec<PathBuf>> {
    std::fs::create_dir_all(to).with_context(|| format!("making the folder {}", to.display()))?;
    let variables = process_environment();
    let scratch = TemporaryFolder::new(&variables, "nocturne-preview").context("making a scratch folder")?;
    let folder = scratch.path();
    std::fs::create_dir_all(folder.join("dags")).context("making the folder of the DAG")?;
    std::fs::write(folder.join("dags/preview.toml"), dag(happening)).context("writing the DAG")?;
    std::fs::write(folder.join("site.toml"), site(config, happening)?).context("writing the configuration")?;
    let log = std::fs::File::create(folder.join("night.log")).context("making the log")?;
    let mut night = Command::new("/proc/self/exe")
        .args(["--config", "site.toml", "run", "preview", "--date", &DATE.to_string()])
        .env_clear()
        .envs(variables.iter().filter(|(name, _)| PASSED_ON.contains(&name.as_str())))
        .current_dir(folder)
        .stdin(Stdio::null())
        .stdout(Stdio::from(log.try_clone()?))
        .stderr(Stdio::from(log))
        .kill_on_drop(true)
        .spawn()
        .context("starting the night")?;
    let ended = timeout(LONGEST, night.wait()).await.context("the night took too long")??;
    let is_as_expected = match happening {
        // Of so few students a model may not be clearly better than the simple rule, which the e-mail says.
        Happening::Nothing => matches!(ended.code(), Some(0 | 9)),
        Happening::Trouble => ended.code() == Some(9),
        Happening::Failure => ended.code() == Some(1),
    };
    if !is_as_expected {
        let said = std::fs::read_to_string(folder.join("night.log")).unwrap_or_default();
        bail!("the night ended in another way than it should ({ended}); it said: {said}");
    }
    copy(folder, to)
}

/// Copies what people are sent, and what they may open.
fn copy(folder: &Path, to: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let report = keys::report_folder(&"preview".parse()?, DATE);
    let pages = [
        (folder.join("var/outbox/preview-digest.html"), "digest.html"),
        (folder.join("var/outbox/preview-readers.html"), "readers.html"),
        (folder.join("var/lake").join(report).join("index.html"), "report.html"),
    ];
    let mut copied = Vec::new();
    for (from, name) in pages {
        let target = to.join(name);
        std::fs::copy(&from, &target).with_context(|| format!("copying {} to {}", from.display(), target.display()))?;
        copied.push(target);
    }
    Ok(copied)
}

/// The DAG; of a night that fails, with a job that fails.
fn dag(happening: Happening) -> String {
    let breaks = "\n[jobs.export]\nkind = \"command\"\nneeds = [\"drift\"]\nwith = { program = \"false\" }\n";
    if happening == Happening::Failure {
        return format!("{}{breaks}", NIGHT.replace("[\"quality\", \"drift\"]", "[\"quality\", \"export\"]"));
    }
    NIGHT.to_owned()
}

fn site(config: &Config, happening: Happening) -> anyhow::Result<String> {
    let mut site = serde_json::json!({
        "institution": { "name": config.institution.name, "timezone": config.institution.timezone },
        "paths": { "jobs": "dags" },
        "simulation": { "students": 150, "first_year": 2026 },
        "features": { "weeks": [4, 8] },
        "mail": { "to": ["operators@example.edu"], "readers": ["readers@example.edu"] },
    });
    let paths = &config.paths;
    for (key, folder) in [("models", &paths.models), ("quality", &paths.quality), ("sql", &paths.sql)] {
        let folder = std::path::absolute(folder)?;
        if folder.is_dir() {
            site["paths"][key] = folder.to_str().with_context(|| format!("`paths.{key}` is not UTF-8"))?.into();
        }
    }
    if happening == Happening::Trouble {
        site["simulation"]["troubles"] = serde_json::json!([{ "kind": "null_burst", "from": DATE.to_string() }]);
    }
    Ok(toml::to_string(&site)?)
}
