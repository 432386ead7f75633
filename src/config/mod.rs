//! The configuration: layered, validated once at start, all mistakes at once.
//!
//! Layers, later ones win: the embedded `config/default.toml` (every key, commented, works as it is), each
//! `--config FILE`, and the environment (`NOCTURNE__SECTION__KEY`). Nothing else in the program reads the
//! environment. Secrets are references (`env:NAME`, `file:PATH`), resolved where they are used.
//!
//! How to add a key: a field with a doc comment in its section's struct, and the key with its comment in
//! `config/default.toml`; a test holds the two together.

mod analysis;
mod layers;
mod mail;
mod places;
mod secret;
mod sources;

pub use analysis::{Drift, Features, Labels, Population, Quality};
pub use layers::{Environment, Layers, process_environment};
pub use mail::{Mail, MailTransport, Security};
pub use places::{Engine, Institution, Lake, Log, LogFormat, Paths, State};
pub use secret::{SecretError, SecretReference};
pub use sources::{Privacy, Simulation, Source, SourceKind};

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The whole configuration.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The institution, as reports name it.
    pub institution: Institution,
    /// Folders.
    pub paths: Paths,
    /// The state store.
    pub state: State,
    /// The lake.
    pub lake: Lake,
    /// Where student data come from, by name.
    pub sources: BTreeMap<String, Source>,
    /// The simulated institution.
    pub simulation: Simulation,
    /// Pseudonyms.
    pub privacy: Privacy,
    /// Who counts.
    pub population: Population,
    /// When labels are known and what they mean.
    pub labels: Labels,
    /// Feature partitions.
    pub features: Features,
    /// Limits of the quality checks.
    pub quality: Quality,
    /// Limits of drift.
    pub drift: Drift,
    /// E-mail.
    pub mail: Mail,
    /// The engine.
    pub engine: Engine,
    /// Logs.
    pub log: Log,
}

/// The embedded defaults.
pub const DEFAULT: &str = include_str!("../../config/default.toml");

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;

    fn load(files: &[(&str, &str)], env: &[(&str, &str)]) -> Result<Config, crate::domain::document::Mistakes> {
        let files = files.iter().map(|(name, text)| (PathBuf::from(name), (*text).to_owned())).collect();
        let env = env.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        Layers::from_texts(files, env).config()
    }

    #[test]
    fn the_defaults_work_as_they_are_and_hold_every_key() {
        let config = load(&[], &[]).unwrap();

        let written = toml::from_str::<serde_json::Value>(DEFAULT).unwrap();
        let full = serde_json::to_value(&config).unwrap();
        let mut missing = Vec::new();
        for (section, keys) in full.as_object().unwrap() {
            for key in keys.as_object().unwrap().keys() {
                let commented = format!("# {key} =");
                if written[section].get(key).is_none() && !DEFAULT.contains(&commented) {
                    missing.push(format!("{section}.{key}"));
                }
            }
        }
        assert_eq!(missing, Vec::<String>::new(), "config/default.toml does not speak of these keys");
    }

    #[test]
    fn later_layers_win_and_the_environment_last() {
        let config = load(
            &[("a.toml", "[lake]\nurl = 'a'\n[institution]\nname = 'A'"), ("b.toml", "[lake]\nurl = 'b'")],
            &[("NOCTURNE__LAKE__URL", "2014"), ("NOCTURNE__LABELS__LAG_DAYS", "9"), ("OTHER", "x")],
        )
        .unwrap();

        assert_eq!(config.institution.name, "A");
        assert_eq!(config.lake.url, "2014", "text that looks like a number is text where text is wanted");
        assert_eq!(config.labels.lag_days, 9);
    }

    #[test]
    fn three_mistakes_are_told_at_once_with_their_layers() {
        let mistakes = load(
            &[("site.toml", "[lake]\nulr = 's3://b'\n[mail]\nport = 'smtp'\n")],
            &[("NOCTURNE__LABELS__LAG_DAYS", "soon")],
        )
        .unwrap_err();

        insta::assert_snapshot!(mistakes, @r#"
        3 mistakes
          NOCTURNE__LABELS__LAG_DAYS: `labels.lag_days`: expected a whole number, found the text "soon"
          site.toml:2:1: `lake.ulr`: unknown key; did you mean `url`? allowed: url, endpoint, region, access_key_id, secret_access_key, allow_http
          site.toml:4:1: `mail.port`: expected a whole number, found the text "smtp"
        "#);
    }

    #[test]
    fn a_source_without_a_path_and_an_unknown_zone_are_told() {
        let mistakes =
            load(&[("site.toml", "[institution]\ntimezone = 'Mars/Base'\n[sources.canvas]\nkind = 'files'\n")], &[])
                .unwrap_err();

        let text = mistakes.to_string();
        assert!(text.contains("site.toml:2:1: `institution.timezone`"), "{text}");
        assert!(text.contains("`sources.canvas.path`"), "{text}");
    }

    #[test]
    fn a_secret_never_shows() {
        let config = load(&[("a.toml", "[privacy]\nkey = 'env:KEY'")], &[("KEY", "hunter2-hunter2")]).unwrap();

        assert!(!format!("{config:?}").contains("hunter2"));
        assert!(!serde_json::to_string(&config).unwrap().contains("hunter2"));
    }

    #[test]
    fn the_examples_are_valid() {
        let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("config/examples");
        let mut looked_at = 0;
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let text = std::fs::read_to_string(&path).unwrap();
            let loaded = load(&[(path.to_str().unwrap(), &text)], &[("NOCTURNE__SOURCES__CANVAS__PATH", "x")]);
            assert!(loaded.is_ok(), "{}", loaded.unwrap_err());
            looked_at += 1;
        }
        assert!(looked_at >= 4);
    }
}
