//! A source of real people: read under a key of its own, with the identity map kept separately and encrypted.

use nocturne::canvas::identity::open_identities;
use nocturne::canvas::privacy::PrivacyKey;

use crate::support::site::{SMALL, Site, text};

const KEY: &str = "0123456789abcdef0123456789abcdef";

const SITE: &str = r#"
[sources.canvas]
kind = "files"
path = "exports"
[privacy]
key = "file:privacy.key"
"#;

const PULL: [&str; 6] = ["run", "nightly", "--date", "2026-11-20", "--job", "pull"];

fn site() -> Site {
    let site = Site::new(&format!("{SMALL}{SITE}"));
    site.write("privacy.key", KEY);
    let made = site.nocturne(&["sim", "generate", "exports", "--date", "2026-11-20"]);
    assert_eq!(made.status.code(), Some(0), "{}", text(&made));
    site
}

#[test]
fn the_way_back_is_sealed_beside_the_state_and_opens_under_the_key_alone() {
    let site = site();

    let night = site.nocturne(&PULL);

    assert_eq!(night.status.code(), Some(0), "{}", text(&night));
    let state = site.path().join("var");
    let key = PrivacyKey::new(KEY.as_bytes()).unwrap();
    let identities = open_identities(&state, &key).unwrap();
    let users = std::fs::read(site.path().join("exports/users/part-00000.jsonl.gz")).unwrap();
    let users = std::io::read_to_string(flate2::read::MultiGzDecoder::new(users.as_slice())).unwrap();
    let first: serde_json::Value = serde_json::from_str(users.lines().next().unwrap()).unwrap();
    let id = first["key"]["id"].to_string();
    assert_eq!(identities.id_of("user", &key.pseudonym("user", &id)), Some(id.as_str()));
    assert!(open_identities(&state, &PrivacyKey::demo()).is_err());
    let lake = site.files("var/lake");
    assert!(lake.iter().all(|path| path.extension() != Some("map".as_ref())), "the way back is not in the lake");
}

#[test]
fn a_simulated_institution_has_no_way_back() {
    let site = Site::new(SMALL);

    let night = site.nocturne(&PULL);

    assert_eq!(night.status.code(), Some(0), "{}", text(&night));
    assert!(!site.path().join("var/identity.map").exists());
}

#[test]
fn another_key_on_the_same_lake_is_refused() {
    let site = site();
    assert_eq!(site.nocturne(&PULL).status.code(), Some(0));
    site.write("privacy.key", KEY.replace('0', "f"));

    let refused = site.nocturne(&PULL);

    let told = text(&refused);
    assert_eq!(refused.status.code(), Some(1), "{told}");
    assert!(told.contains("pseudonyms of two keys must not mix") && !told.contains(KEY), "{told}");
}
