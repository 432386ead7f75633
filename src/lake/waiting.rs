//! The rows of a table that wait because a rule holds them back, and their ledger: one dataset beside the table's own.
//!
//! `restricted/quarantine/<table>/waiting` holds the rows as they would stand in the table, each with its rule, file,
//! offset and delivery ([`crate::domain::quarantine`]); the ledger is a fact of its manifest. Both are committed in the
//! transaction that commits the table, so a row is in one of the two and never in both. Only what waits is kept: a row that
//! is out is in the table, or a later delivery has told better. There is at most one part, sorted by key: the same
//! deliveries and rules give the same bytes.
//!
//! **Rows of people lie here**, under the table's own columns and pseudonyms: an erasure rewrites this one part as it
//! rewrites the table's (the ledger counts, and names nobody). This file is synchronous; the caller reads and stages.

use std::collections::BTreeMap;

use jiff::Timestamp;
use polars::prelude::*;

use super::versions::{Delivery, Extent};
use crate::domain::lineage::Manifest;
use crate::domain::quarantine::{AS_OF, DELIVERED_AT, FILE, Ledger, OFFSET, Out, RULE, Unbalanced};
use crate::domain::table::TableContract;

/// The fact of the manifest that holds the ledger, as JSON.
pub const LEDGER: &str = "ledger";

/// The columns that a waiting row has besides its table's.
const MARKS: [&str; 5] = [RULE, FILE, OFFSET, DELIVERED_AT, AS_OF];

/// What waits, and what has become of what waited.
#[derive(Debug, Clone, Default)]
pub struct Waiting {
    /// The rows, sorted by key, in the form in which their table's rows are delivered now ([`in_form`]); `None` where none
    /// has ever waited.
    pub rows: Option<DataFrame>,
    /// Their ledger.
    pub ledger: Ledger,
}

/// Why what waits cannot be brought up to date.
#[derive(Debug, thiserror::Error)]
pub enum WaitingError {
    /// polars cannot compute it.
    #[error("the rows that wait cannot be compared")]
    Frame(#[from] PolarsError),
    /// Its ledger does not balance.
    #[error(transparent)]
    Ledger(#[from] Unbalanced),
    /// The manifest holds no ledger that this version of the program can read.
    #[error("`{dataset}` has no ledger that can be read: restore the lake from its backup, or use a newer program")]
    Unreadable {
        /// The dataset.
        dataset: String,
        /// Why.
        #[source]
        cause: serde_json::Error,
    },
    /// A row lacks what it was held back with.
    #[error("a row that waits has no {0}: the part was changed by something else than this program")]
    NoMark(&'static str),
}

/// Where the held rows of a delivery come from.
#[derive(Debug, Clone, Copy)]
pub struct Origin {
    /// The delivery's time.
    pub delivered_at: Timestamp,
    /// The start of the night as of which the rules saw it.
    pub as_of: Timestamp,
}

/// Returns the ledger that the manifest of a table's waiting rows holds.
///
/// # Errors
/// When it has none that can be read.
pub fn ledger_of(manifest: &Manifest) -> Result<Ledger, WaitingError> {
    let text = manifest.facts.get(LEDGER).map_or("", String::as_str);
    serde_json::from_str(text).map_err(|cause| WaitingError::Unreadable { dataset: manifest.dataset.clone(), cause })
}

/// Marks rows of a delivery that have their rule ([`RULE`]), file ([`FILE`]) and offset ([`OFFSET`]) with the delivery.
///
/// # Errors
/// When they lack those columns.
pub fn marked(rows: DataFrame, origin: Origin) -> PolarsResult<DataFrame> {
    let at = |time: Timestamp, name: &str| lit(time.as_microsecond()).cast(instant()).alias(name);
    let values: Vec<Expr> = values_of(&rows).map(|name| col(name.clone())).collect();
    let marks = [
        col(RULE).cast(DataType::String),
        col(FILE).cast(DataType::String),
        col(OFFSET).cast(DataType::Int64),
        at(origin.delivered_at, DELIVERED_AT),
        at(origin.as_of, AS_OF),
    ];
    rows.lazy().select([values, marks.to_vec()].concat()).collect()
}

/// Returns rows that wait with these columns of their table: one that the table has gained since is null, one that it has
/// lost is left out.
///
/// # Errors
/// When a column has another type now, and a value does not fit it.
pub fn in_form(rows: DataFrame, columns: &[(String, DataType)]) -> PolarsResult<DataFrame> {
    let own = columns.iter().map(|(name, dtype)| (name.as_str(), dtype.clone()));
    let marks = [DataType::String, DataType::String, DataType::Int64, instant(), instant()];
    let columns: Vec<Expr> = own
        .chain(MARKS.into_iter().zip(marks))
        .map(|(name, dtype)| match rows.schema().contains(name) {
            true => col(name).strict_cast(dtype),
            false => lit(NULL).cast(dtype).alias(name),
        })
        .collect();
    rows.lazy().select(columns).collect()
}

impl Waiting {
    /// Returns whether no row waits.
    pub fn is_empty(&self) -> bool {
        self.rows.as_ref().is_none_or(|rows| rows.height() == 0)
    }

    /// Returns what is merged of a delivery, and what waits after it; `held` is what rules hold back of it, [`marked`],
    /// each key once, and not among the delivery's rows.
    ///
    /// What waits is superseded when its key is delivered again, or said to be gone. The same row, delivered again, is
    /// the row that waits already. A row that is held back says that its key is there: what stands of it stays.
    ///
    /// # Errors
    /// When the frames do not fit each other.
    pub fn after(
        &self,
        contract: &TableContract,
        delivery: Delivery,
        held: DataFrame,
    ) -> Result<(Delivery, Self), WaitingError> {
        let keys: Vec<&str> = contract.key.iter().map(String::as_str).collect();
        let on: Vec<Expr> = keys.iter().map(|key| col(*key)).collect();
        let held_keys = held.select(keys.iter().copied())?;
        let mut ledger = self.ledger.clone();
        let (stays, entered) = match &self.rows {
            Some(rows) => {
                let compared = compared(rows, &delivery, &held, &keys)?;
                for rule in texts(&compared.superseded, RULE)? {
                    ledger.leave(rule, Out::Superseded);
                }
                let again = compared.stays.clone().lazy().select(&on);
                let entered = held.lazy().join(again, &on, &on, JoinArgs::new(JoinType::Anti)).collect()?;
                (Some(compared.stays), entered)
            }
            None => (None, held),
        };
        for rule in texts(&entered, RULE)? {
            ledger.enter(rule);
        }
        let rows = match stays {
            Some(stays) => stays.vstack(&entered.select(stays.get_column_names_owned())?)?,
            None => entered,
        };
        let present = held_keys.clone().lazy();
        let deleted = delivery.deleted.lazy().join(present, &on, &on, JoinArgs::new(JoinType::Anti)).collect()?;
        let held_back = delivery.held_back.vstack(&held_keys)?;
        Ok((Delivery { deleted, held_back, ..delivery }, Self::sorted(&rows, ledger, &keys)?))
    }

    /// Judges what waits again: `verdicts` has, for each row, the rule that holds it back now. Returns what still waits,
    /// and the rows that are let pass, by the time of their delivery, without marks.
    ///
    /// # Errors
    /// When the frame is not as it was written.
    pub fn judged(
        &self,
        contract: &TableContract,
        verdicts: &[Option<String>],
    ) -> Result<(Self, Released), WaitingError> {
        let Some(rows) = &self.rows else { return Ok((self.clone(), Released::new())) };
        let mut ledger = self.ledger.clone();
        for (rule, verdict) in texts(rows, RULE)?.into_iter().zip(verdicts) {
            match verdict {
                None => ledger.leave(rule, Out::Released),
                Some(now) if now == rule => {}
                Some(now) => {
                    ledger.leave(rule, Out::Moved);
                    ledger.enter(now);
                }
            }
        }
        let stays: BooleanChunked = verdicts.iter().map(|verdict| Some(verdict.is_some())).collect();
        let mut named = rows.clone();
        named.with_column(Column::new(RULE.into(), verdicts.iter().map(Option::as_deref).collect::<Vec<_>>()))?;
        let passed = rows.filter(&!&stays)?;
        let keys: Vec<&str> = contract.key.iter().map(String::as_str).collect();
        let waiting = Self::sorted(&named.filter(&stays)?, ledger, &keys)?;
        let mut released = Released::new();
        for group in passed.partition_by_stable([DELIVERED_AT], true)? {
            if let Some(at) = instants(&group, DELIVERED_AT)?.first() {
                released.insert(*at, group.drop_many(MARKS));
            }
        }
        Ok((waiting, released))
    }

    /// Returns the rows as of which night each group was judged, so that they are judged again as of the same one; the
    /// order of all groups together is the order of the rows.
    ///
    /// # Errors
    /// When the frame is not as it was written.
    pub fn by_night(&self) -> Result<Vec<(Timestamp, Vec<usize>, DataFrame)>, WaitingError> {
        let Some(rows) = &self.rows else { return Ok(Vec::new()) };
        let mut places: BTreeMap<Timestamp, Vec<usize>> = BTreeMap::new();
        for (place, night) in instants(rows, AS_OF)?.into_iter().enumerate() {
            places.entry(night).or_default().push(place);
        }
        let mut nights = Vec::new();
        for (night, places) in places {
            let taken: IdxCa = places.iter().filter_map(|place| IdxSize::try_from(*place).ok()).map(Some).collect();
            nights.push((night, places, rows.take(&taken)?));
        }
        Ok(nights)
    }

    /// Returns the rule under which each row waits.
    ///
    /// # Errors
    /// When the frame is not as it was written.
    pub fn rules(&self) -> Result<Vec<String>, WaitingError> {
        let Some(rows) = &self.rows else { return Ok(Vec::new()) };
        Ok(texts(rows, RULE)?.into_iter().map(str::to_owned).collect())
    }

    fn sorted(rows: &DataFrame, ledger: Ledger, keys: &[&str]) -> Result<Self, WaitingError> {
        let rows = rows.sort(keys.iter().copied(), SortMultipleOptions::default())?;
        let delivered = instants(&rows, DELIVERED_AT)?;
        let ledger = ledger.balanced(texts(&rows, RULE)?.into_iter().zip(delivered))?;
        Ok(Self { rows: Some(rows), ledger })
    }
}

/// Rows that are let pass, by the time of their delivery.
pub type Released = BTreeMap<Timestamp, DataFrame>;

/// What a delivery makes of what waited.
struct Compared {
    stays: DataFrame,
    superseded: DataFrame,
}

fn compared(waiting: &DataFrame, delivery: &Delivery, held: &DataFrame, keys: &[&str]) -> PolarsResult<Compared> {
    const NEW: &str = "__new";
    const GOOD: &str = "__good";
    const GONE: &str = "__gone";
    const UNREAD: &str = "__unread";
    const AGAIN: &str = "__again";
    let on: &[Expr] = &keys.iter().map(|key| col(*key)).collect::<Vec<_>>();
    let left = || JoinArgs::new(JoinType::Left);
    let marked = |frame: &DataFrame, mark: &str| {
        let columns: Vec<Expr> = on.iter().cloned().chain([lit(true).alias(mark)]).collect();
        frame.clone().lazy().select(columns).unique(None, UniqueKeepStrategy::Any)
    };
    let values: Vec<PlSmallStr> = values_of(waiting).filter(|name| !keys.contains(&name.as_str())).cloned().collect();
    let renamed = values.iter().map(|name| col(name.clone()).alias(format!("{name}{NEW}")));
    let again: Vec<Expr> = on.iter().cloned().chain(renamed).chain([lit(true).alias(AGAIN)]).collect();
    let is_same = values
        .iter()
        .map(|name| col(name.clone()).eq_missing(col(format!("{name}{NEW}"))))
        .reduce(Expr::and)
        .unwrap_or_else(|| lit(true));
    let is = |mark: &str| col(mark).is_not_null();
    let is_present = is(GOOD).or(is(AGAIN)).or(is(UNREAD));
    let is_gone = match delivery.extent {
        Extent::Full => is_present.not(),
        Extent::Changes => is(GONE).and(is(AGAIN).not()),
    };
    let is_superseded = is(GOOD).or(is_gone).or(is(AGAIN).and(is_same.not()));
    let columns: Vec<Expr> = waiting.get_column_names_owned().into_iter().map(col).collect();
    let joined = waiting
        .clone()
        .lazy()
        .join(marked(&delivery.rows, GOOD), on, on, left())
        .join(marked(&delivery.deleted, GONE), on, on, left())
        .join(marked(&delivery.held_back, UNREAD), on, on, left())
        .join(held.clone().lazy().select(again), on, on, left())
        .with_column(is_superseded.alias("__superseded"))
        .collect()?
        .lazy();
    Ok(Compared {
        stays: joined.clone().filter(col("__superseded").not()).select(&columns).collect()?,
        superseded: joined.filter(col("__superseded")).select(&columns).collect()?,
    })
}

/// The columns of the table itself.
fn values_of(rows: &DataFrame) -> impl Iterator<Item = &PlSmallStr> {
    rows.schema().iter_names().filter(|name| !MARKS.contains(&name.as_str()))
}

fn texts<'a>(rows: &'a DataFrame, column: &'static str) -> Result<Vec<&'a str>, WaitingError> {
    let texts = rows.column(column)?.str()?;
    texts.iter().map(|text| text.ok_or(WaitingError::NoMark(column))).collect()
}

fn instants(rows: &DataFrame, column: &'static str) -> Result<Vec<Timestamp>, WaitingError> {
    let micros = rows.column(column)?.cast(&DataType::Int64)?;
    let read = |micros: Option<i64>| micros.and_then(|micros| Timestamp::from_microsecond(micros).ok());
    micros.i64()?.iter().map(|micros| read(micros).ok_or(WaitingError::NoMark(column))).collect()
}

fn instant() -> DataType {
    DataType::Datetime(TimeUnit::Microseconds, Some(polars::prelude::TimeZone::UTC))
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use proptest::prelude::*;

    use super::super::versions::merge;
    use super::*;
    use crate::domain::lineage::Part;
    use crate::domain::table::TERM;

    type Rows = BTreeMap<i64, String>;

    /// Rules by id: the values that each finds bad.
    type Rules = BTreeMap<&'static str, String>;

    #[derive(Debug, Clone)]
    enum Step {
        Deliver { rows: Vec<(i64, String)>, deleted: Vec<i64>, unreadable: Vec<i64>, extent: Extent },
        Mend(Rules),
        Replay,
    }

    fn step() -> impl Strategy<Value = Step> {
        let rows = prop::collection::vec((0_i64..8, "[abcd]"), 0..8);
        let keys = || prop::collection::vec(0_i64..8, 0..3);
        let deliver = (rows, keys(), keys(), any::<bool>()).prop_map(|(rows, deleted, unreadable, full)| {
            let unreadable = unreadable.into_iter().filter(|key| rows.iter().all(|(id, _)| id != key)).collect();
            match full {
                true => Step::Deliver { rows, deleted: Vec::new(), unreadable, extent: Extent::Full },
                false => Step::Deliver { rows, deleted, unreadable, extent: Extent::Changes },
            }
        });
        let mend = ("[abcd]{0,2}", "[abcd]{0,2}").prop_map(|(x, y)| Step::Mend(Rules::from([("t.x", x), ("t.y", y)])));
        prop_oneof![4 => deliver, 2 => mend, 1 => Just(Step::Replay)]
    }

    fn contract() -> TableContract {
        let text = "name = \"t\"\nabout = \"A row.\"\nkey = [\"id\"]\n[columns]\nid = { type = \"id\" }\nvalue = { type = \"text\" }\n";
        toml::from_str(text).unwrap()
    }

    fn at(n: usize) -> Timestamp {
        Timestamp::from_second(1_000_000 + i64::try_from(n).unwrap() * 60).unwrap()
    }

    fn frame(rows: &[(i64, String)]) -> DataFrame {
        let (ids, values): (Vec<i64>, Vec<String>) = rows.iter().cloned().unzip();
        let terms = vec!["none"; rows.len()];
        df!("id" => ids, "value" => values, TERM => terms).unwrap()
    }

    fn keys(ids: &[i64]) -> DataFrame {
        df!("id" => ids).unwrap()
    }

    fn verdict(rules: &Rules, value: &str, before: Option<&str>) -> Option<String> {
        let holds = || rules.iter().filter(|(_, bad)| bad.contains(value)).map(|(id, _)| *id);
        holds().find(|id| Some(*id) == before).or_else(|| holds().next()).map(str::to_owned)
    }

    fn pairs(rows: &DataFrame) -> Rows {
        let (ids, values) = (rows.column("id").unwrap(), rows.column("value").unwrap());
        let pairs = ids.i64().unwrap().iter().zip(values.str().unwrap().iter());
        pairs.map(|(id, value)| (id.unwrap(), value.unwrap().to_owned())).collect()
    }

    /// A table as it is committed: its parts and what waits.
    #[derive(Clone, Default)]
    struct Committed {
        parts: Vec<(Part, PathBuf)>,
        waiting: Waiting,
    }

    impl Committed {
        fn merged(&self, delivery: &Delivery, folder: &std::path::Path) -> Self {
            let merged = merge(&contract(), &self.parts, delivery).unwrap();
            let kept = self.parts.iter().filter(|(part, _)| merged.kept.contains(part)).cloned();
            let mut parts: Vec<_> = kept.collect();
            for (mut rows, partition) in merged.new {
                let path = folder.join(std::fs::read_dir(folder).unwrap().count().to_string());
                ParquetWriter::new(std::fs::File::create(&path).unwrap()).finish(&mut rows).unwrap();
                let part = Part {
                    path: path.display().to_string(),
                    rows: rows.height() as u64,
                    size_bytes: 0,
                    sha256: String::new(),
                    partition,
                    min_max: BTreeMap::new(),
                };
                parts.push((part, path));
            }
            Self { parts, waiting: self.waiting.clone() }
        }

        /// What a pull does: what waits is judged again, and then the delivery is taken in.
        fn pulled(&self, rules: &Rules, step: &Step, n: usize, folder: &std::path::Path) -> (Self, u64) {
            let before = self.waiting.rules().unwrap();
            let values = self.waiting.rows.as_ref().map_or_else(Vec::new, |rows| texts(rows, "value").unwrap());
            let verdicts = values.iter().zip(&before).map(|(value, rule)| verdict(rules, value, Some(rule)));
            let (waiting, released) = self.waiting.judged(&contract(), &verdicts.collect::<Vec<_>>()).unwrap();
            let n_released = released.values().map(|rows| rows.height() as u64).sum();
            let mut now = Self { waiting, ..self.clone() };
            for (at, rows) in released {
                let late = Delivery { rows, deleted: keys(&[]), held_back: keys(&[]), extent: Extent::Changes, at };
                now = now.merged(&late, folder);
            }
            let Step::Deliver { rows, deleted, unreadable, extent } = step else { return (now, n_released) };
            let last: Rows = rows.iter().cloned().collect();
            let (bad, good): (Vec<_>, Vec<_>) =
                last.into_iter().partition(|(_, value)| verdict(rules, value, None).is_some());
            let mut held = frame(&bad);
            let ids: Vec<Option<String>> = bad.iter().map(|(_, value)| verdict(rules, value, None)).collect();
            held.with_column(Column::new(RULE.into(), ids)).unwrap();
            held.with_column(Column::new(FILE.into(), vec!["file"; bad.len()])).unwrap();
            held.with_column(Column::new(OFFSET.into(), vec![0_i64; bad.len()])).unwrap();
            let held = marked(held, Origin { delivered_at: at(n), as_of: at(n) }).unwrap();
            let (rows, deleted, held_back) = (frame(&good), keys(deleted), keys(unreadable));
            let read = Delivery { rows, deleted, held_back, extent: *extent, at: at(n) };
            let (delivery, waiting) = now.waiting.after(&contract(), read, held).unwrap();
            (Self { waiting, ..now.merged(&delivery, folder) }, n_released)
        }

        fn standing(&self) -> Rows {
            let current = self.parts.iter().filter(|(part, _)| part.partition["versions"] == "current");
            current.flat_map(|(_, path)| pairs(&crate::lake::scan_one(path).unwrap().collect().unwrap())).collect()
        }

        fn waiting(&self) -> Rows {
            self.waiting.rows.as_ref().map(pairs).unwrap_or_default()
        }
    }

    /// What would stand if there were no rules.
    fn without_rules(before: &Rows, step: &Step) -> Rows {
        let Step::Deliver { rows, deleted, unreadable, extent } = step else { return before.clone() };
        let mut standing = before.clone();
        match extent {
            Extent::Full => standing.retain(|id, _| unreadable.contains(id)),
            Extent::Changes => standing.retain(|id, _| !deleted.contains(id)),
        }
        standing.extend(rows.iter().cloned());
        standing
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]

        /// Whatever comes, is mended, is replayed and is cut off: what waits and what stands are together what would
        /// stand without rules, every account balances, and once nothing is bad nothing is lost or doubled.
        #[test]
        fn what_is_held_back_is_neither_lost_nor_doubled(steps in prop::collection::vec((step(), any::<bool>()), 1..9)) {
            let folder = tempfile::tempdir().unwrap();
            let (mut now, mut rules, mut plain) = (Committed::default(), Rules::new(), Rows::new());
            let mut released = 0;
            for (n, (step, is_killed)) in steps.iter().enumerate() {
                if let Step::Mend(mended) = step {
                    rules.clone_from(mended);
                }
                plain = without_rules(&plain, step);
                if *is_killed {
                    // Its attempt dies before the commit: what it made is garbage, and the next one makes the same.
                    let (lost, _) = now.pulled(&rules, step, n, folder.path());
                    let (again, _) = now.pulled(&rules, step, n, folder.path());
                    prop_assert_eq!(lost.waiting.rows, again.waiting.rows);
                    prop_assert_eq!(lost.waiting.ledger, again.waiting.ledger);
                }
                let (next, passed) = now.pulled(&rules, step, n, folder.path());
                now = next;
                released += passed;

                let accounts = now.waiting.ledger.accounts.values();
                prop_assert!(accounts.clone().all(|account| account.held == account.out() + account.waiting));
                prop_assert_eq!(now.waiting.ledger.waiting(), now.waiting().len() as u64);
                prop_assert_eq!(accounts.map(|account| account.released).sum::<u64>(), released);
                let bad = |value: &String| rules.values().any(|bad| bad.contains(value.as_str()));
                prop_assert!(now.waiting().values().all(bad), "what the rules let pass does not wait");
                let mut both = now.standing();
                both.extend(now.waiting());
                prop_assert_eq!(both, plain.clone());
            }
            let (mended, _) = now.pulled(&Rules::new(), &Step::Replay, steps.len(), folder.path());
            prop_assert_eq!(mended.standing(), plain);
            prop_assert!(mended.waiting.is_empty());
        }
    }

    #[test]
    fn a_row_that_is_let_pass_is_known_from_its_delivery_and_never_replaces_a_newer_one() {
        let folder = tempfile::tempdir().unwrap();
        let rules = Rules::from([("t.x", "b".to_owned())]);
        let changes = |rows: &[(i64, &str)]| Step::Deliver {
            rows: rows.iter().map(|(id, value)| (*id, (*value).to_owned())).collect(),
            deleted: Vec::new(),
            unreadable: Vec::new(),
            extent: Extent::Changes,
        };
        let (first, _) = Committed::default().pulled(&rules, &changes(&[(1, "a"), (2, "a")]), 0, folder.path());
        let (held, _) = first.pulled(&rules, &changes(&[(1, "b"), (2, "b")]), 1, folder.path());
        // Something else than a pull makes a newer version of row 2.
        let newer = Delivery {
            rows: frame(&[(2, "c".to_owned())]),
            deleted: keys(&[]),
            held_back: keys(&[]),
            extent: Extent::Changes,
            at: at(2),
        };
        let held = held.merged(&newer, folder.path());

        let (mended, passed) = held.pulled(&Rules::new(), &Step::Replay, 3, folder.path());

        assert_eq!(passed, 2);
        assert_eq!(mended.standing(), Rows::from([(1, "b".to_owned()), (2, "c".to_owned())]));
        let all: Vec<_> = mended.parts.iter().map(|(_, path)| crate::lake::scan_one(path).unwrap()).collect();
        let all = concat(all, UnionArgs::default()).unwrap().filter(col("id").eq(lit(1))).collect().unwrap();
        let times = |column: &str| -> Vec<Option<i64>> {
            let times = all.column(column).unwrap().cast(&DataType::Int64).unwrap();
            let mut times: Vec<_> = times.i64().unwrap().iter().collect();
            times.sort_unstable();
            times
        };
        let micros = |n: usize| Some(at(n).as_microsecond());
        assert_eq!(times(crate::domain::table::KNOWN_FROM), [micros(0), micros(1)]);
        assert_eq!(times(crate::domain::table::KNOWN_TO), [None, micros(1)]);
    }

    #[test]
    fn rows_that_wait_take_the_form_that_their_table_has_now() {
        let mut rows = frame(&[(1, "a".to_owned())]);
        for (name, value) in [(RULE, "t.x"), (FILE, "file")] {
            rows.with_column(Column::new(name.into(), [value])).unwrap();
        }
        rows.with_column(Column::new(OFFSET.into(), [0_i64])).unwrap();
        let rows = marked(rows, Origin { delivered_at: at(0), as_of: at(0) }).unwrap();

        let columns = [("id".to_owned(), DataType::Int64), ("novel".to_owned(), DataType::Float64)];
        let formed = in_form(rows, &columns).unwrap();

        assert_eq!(formed.get_column_names(), ["id", "novel", RULE, FILE, OFFSET, DELIVERED_AT, AS_OF]);
        assert_eq!(formed.column("novel").unwrap().null_count(), 1);
    }
}
