//! What holds for any bytes: nothing panics, and nothing changes unnoticed.
//!
//! The inputs are made by proptest; a failing one is printed with its smallest form.

use proptest::prelude::*;

use super::{good, things};
use crate::canvas::fixture::{Folder, gz};

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn no_change_of_a_byte_changes_rows_unseen(place in any::<prop::sample::Index>(), change in 1_u8..) {
        let folder = Folder::new();
        let whole = gz(&good(60));
        let mut changed = whole.clone();
        changed[place.index(whole.len())] ^= change;

        let before = things().read(&[folder.with("a.jsonl.gz", &whole)]).unwrap().frame;
        let after = things().read(&[folder.with("b.jsonl.gz", &changed)]);

        if let Ok(after) = after {
            prop_assert!(before.equals_missing(&after.frame), "the rows are other ones");
        }
    }

    #[test]
    fn no_text_in_any_format_makes_the_reader_panic(text in ".{0,200}", ending in "(jsonl|csv|tsv|part)") {
        let folder = Folder::new();
        let with_header = format!("id\tstate\tsize\n{text}\n");

        for content in [text.as_str(), with_header.as_str(), &with_header.replace('\t', ",")] {
            let file = folder.with(&format!("things.{ending}"), content.as_bytes());
            if let Ok(read) = things().read(&[file]) {
                prop_assert!(read.reading.quarantined.height() as u64 <= read.reading.rows);
            }
        }
    }

    #[test]
    fn a_number_in_json_arrives_as_it_was_or_not_at_all(id in any::<i64>(), weight in any::<f64>().prop_filter("JSON has no infinity", |w| w.is_finite())) {
        let line = format!("{}\n", serde_json::json!({"id": id, "state": "active", "weight": weight}));

        let read = things().read_json(&line).unwrap();

        prop_assert_eq!(read.frame.column("id").unwrap().i64().unwrap().get(0), Some(id));
        prop_assert_eq!(read.frame.column("weight").unwrap().f64().unwrap().get(0), Some(weight));
    }
}
