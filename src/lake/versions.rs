//! Tables that keep every version: what is known, since when, and until when.
//!
//! A delivery is merged into the current rows by the delivery's own time. A row that is equal to the current version is
//! not a new version; a row that differs closes it (`_known_to`) and opens a new one (`_known_from`). A full export
//! also closes what it no longer contains. Closed versions move to history parts, which are never rewritten; of the
//! current parts only those are rewritten whose keys the delivery touches. A row never replaces one of a later delivery.
//! Parts are divided by term, and within a large term by buckets of the key. Rows are sorted by key, so the same
//! deliveries give the same bytes. If a delivery has several rows with one key, the last one counts. This file is
//! synchronous and reads local files; the caller stages what it returns.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use polars::prelude::*;
use sha2::{Digest as _, Sha256};

use super::parts::scan_one;
use crate::domain::lineage::{Manifest, Part};
use crate::domain::table::{KNOWN_FROM, KNOWN_TO, TERM, TableContract};

/// The partition key that says whether a part holds current or closed versions.
pub const VERSIONS: &str = "versions";
const CURRENT: &str = "current";
const HISTORY: &str = "history";

/// The number of rows that a bucket of a term should not greatly exceed.
const BUCKET_ROWS: usize = 250_000;

/// A delivery to merge: all its rows, sanitised.
#[derive(Debug, Clone)]
pub struct Delivery {
    /// The contract's kept columns and the term.
    pub rows: DataFrame,
    /// The keys of rows that were deleted.
    pub deleted: DataFrame,
    /// The keys of rows that it contains but that could not be read completely: their current versions stay.
    pub held_back: DataFrame,
    /// Whether rows that it does not contain were deleted too.
    pub extent: Extent,
    /// The delivery's own time.
    pub at: Timestamp,
}

/// How much a delivery holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Extent {
    /// All rows: what is missing was deleted.
    Full,
    /// Only what changed.
    Changes,
}

/// What a merge makes of a table.
#[derive(Debug, Default)]
pub struct Merged {
    /// Parts that stay as they are.
    pub kept: Vec<Part>,
    /// New parts: the rows and the partition.
    pub new: Vec<(DataFrame, BTreeMap<String, String>)>,
    /// Rows that opened a version.
    pub opened: u64,
    /// Versions that were closed.
    pub closed: u64,
    /// Rows of the delivery whose key came again later in it.
    pub duplicates: u64,
}

/// Merges a delivery into the parts of the current snapshot, each with its local path.
///
/// # Errors
/// When polars cannot read or join them.
pub fn merge(contract: &TableContract, standing: &[(Part, PathBuf)], delivery: &Delivery) -> PolarsResult<Merged> {
    let keys: Vec<&str> = contract.key.iter().map(String::as_str).collect();
    let rows = delivery
        .rows
        .clone()
        .lazy()
        .unique_stable(Some(by_name(keys.iter().copied(), true, false)), UniqueKeepStrategy::Last)
        .collect()?;
    let duplicates = (delivery.rows.height() - rows.height()) as u64;
    let delivery = &Delivery { rows, ..delivery.clone() };
    let table = Table { contract, standing };
    let mut merged = Merged { duplicates, ..Merged::default() };
    let mut unchanged: Vec<DataFrame> = Vec::new();
    let mut closed: Vec<DataFrame> = Vec::new();
    let mut touched: BTreeMap<(String, String), DataFrame> = BTreeMap::new();

    for (part, path) in standing {
        if part.partition.get(VERSIONS).map(String::as_str) != Some(CURRENT) {
            merged.kept.push(part.clone());
            continue;
        }
        if delivery.extent == Extent::Changes && !touches(path, &keys, delivery)? {
            merged.kept.push(part.clone());
            continue;
        }
        let compared = compare(contract, path, delivery)?;
        unchanged.push(compared.unchanged);
        closed.push(compared.closed);
        touched.insert(place(part), compared.standing);
    }

    let opened = opened_rows(delivery, &unchanged, &keys)?;
    merged.opened = opened.height() as u64;
    add_current(&table, touched, &opened, &mut merged)?;
    add_history(closed, &keys, delivery.at, &mut merged)?;
    Ok(merged)
}

/// A table as it is: its contract, and its parts with their local paths.
struct Table<'a> {
    contract: &'a TableContract,
    standing: &'a [(Part, PathBuf)],
}

/// Returns the parts of a table's snapshot that hold its current rows.
pub fn current_parts(manifest: &Manifest) -> impl Iterator<Item = &Part> {
    manifest.parts_where(VERSIONS, CURRENT)
}

/// The term and bucket of a part.
fn place(part: &Part) -> (String, String) {
    let of = |name: &str| part.partition.get(name).cloned().unwrap_or_default();
    (of("term"), of("bucket"))
}

/// Whether a part holds a key that the delivery names; reads the key columns only.
fn touches(path: &Path, keys: &[&str], delivery: &Delivery) -> PolarsResult<bool> {
    let on: Vec<Expr> = keys.iter().map(|key| col(*key)).collect();
    let part = scan_one(path)?.select(&on);
    for named in [&delivery.rows, &delivery.deleted] {
        if named.height() == 0 {
            continue;
        }
        let hits =
            part.clone().join(named.clone().lazy().select(&on), &on, &on, JoinArgs::new(JoinType::Semi)).collect()?;
        if hits.height() > 0 {
            return Ok(true);
        }
    }
    Ok(false)
}

struct Compared {
    /// Rows that stay current.
    standing: DataFrame,
    /// Rows that are closed now, with `_known_to`.
    closed: DataFrame,
    /// Keys whose delivered row equals the current one.
    unchanged: DataFrame,
}

/// Compares a part's rows with the delivery's.
fn compare(contract: &TableContract, path: &Path, delivery: &Delivery) -> PolarsResult<Compared> {
    const NEW: &str = "__new";
    const HIT: &str = "__hit";
    const GONE: &str = "__gone";
    const HELD: &str = "__held";
    let (keys, rows) = (&contract.key, &delivery.rows);
    let on: Vec<Expr> = keys.iter().map(|key| col(key.as_str())).collect();
    let values: Vec<&str> = contract
        .kept()
        .map(|(name, _)| name.as_str())
        .filter(|name| !keys.iter().any(|key| key == name))
        .chain([TERM])
        .collect();
    let part = with_columns_of(scan_one(path)?, rows)?;
    let columns: Vec<Expr> = part.clone().collect_schema()?.iter_names().map(|name| col(name.as_str())).collect();
    let renamed = rows.clone().lazy().select(
        on.iter()
            .cloned()
            .chain(values.iter().map(|name| col(*name).alias(format!("{name}{NEW}"))))
            .chain([lit(true).alias(HIT)])
            .collect::<Vec<_>>(),
    );
    // A key may occur twice; joined as it is, it would close its row twice.
    let marked = |frame: &DataFrame, mark: &str| {
        let columns: Vec<Expr> = on.iter().cloned().chain([lit(true).alias(mark)]).collect();
        frame.clone().lazy().select(columns).unique(None, UniqueKeepStrategy::Any)
    };
    let (gone, held) = (marked(&delivery.deleted, GONE), marked(&delivery.held_back, HELD));
    let is_same = values
        .iter()
        .map(|name| col(*name).eq_missing(col(format!("{name}{NEW}"))))
        .reduce(Expr::and)
        .unwrap_or_else(|| lit(true));
    let is_hit = col(HIT).is_not_null();
    // A row that waited is delivered late: for each key the greater time wins.
    let is_newer = is_hit.clone().and(col(KNOWN_FROM).gt(lit(delivery.at.as_microsecond()).cast(instant())));
    let is_gone = match delivery.extent {
        Extent::Full => col(HIT).is_null().and(col(HELD).is_null()),
        Extent::Changes => col(GONE).is_not_null().and(col(HIT).is_null()),
    };
    let joined = part
        .join(renamed, &on, &on, JoinArgs::new(JoinType::Left))
        .join(gone, &on, &on, JoinArgs::new(JoinType::Left))
        .join(held, &on, &on, JoinArgs::new(JoinType::Left))
        .with_columns([
            is_hit.clone().and(is_same.clone()).or(is_newer.clone()).alias("__unchanged"),
            is_gone.or(is_hit.and(is_same.not()).and(is_newer.not())).alias("__closed"),
        ])
        .collect()?
        .lazy();
    let known_to = lit(delivery.at.as_microsecond()).cast(instant()).alias(KNOWN_TO);
    Ok(Compared {
        unchanged: joined.clone().filter(col("__unchanged")).select(&on).collect()?,
        closed: joined.clone().filter(col("__closed")).select(&columns).with_column(known_to).collect()?,
        standing: joined.filter(col("__closed").not()).select(&columns).collect()?,
    })
}

/// Adds to an older part, as nulls, the columns that the table has gained since, in the table's order.
fn with_columns_of(mut part: LazyFrame, rows: &DataFrame) -> PolarsResult<LazyFrame> {
    let there = part.collect_schema()?;
    let mut columns: Vec<Expr> = rows
        .schema()
        .iter()
        .map(|(name, dtype)| match there.contains(name) {
            true => col(name.clone()),
            false => lit(NULL).cast(dtype.clone()).alias(name.clone()),
        })
        .collect();
    columns.extend([col(KNOWN_FROM), col(KNOWN_TO)]);
    Ok(part.select(columns))
}

/// The delivered rows that open a version.
fn opened_rows(delivery: &Delivery, unchanged: &[DataFrame], keys: &[&str]) -> PolarsResult<DataFrame> {
    let on: Vec<Expr> = keys.iter().map(|key| col(*key)).collect();
    let mut opened = delivery.rows.clone().lazy();
    if !unchanged.is_empty() {
        let unchanged =
            concat(unchanged.iter().map(|frame| frame.clone().lazy()).collect::<Vec<_>>(), UnionArgs::default())?;
        opened = opened.join(unchanged, &on, &on, JoinArgs::new(JoinType::Anti));
    }
    opened
        .with_columns([
            lit(delivery.at.as_microsecond()).cast(instant()).alias(KNOWN_FROM),
            lit(NULL).cast(instant()).alias(KNOWN_TO),
        ])
        .collect()
}

/// Adds the current parts: those touched, with what was opened in their term and bucket.
fn add_current(
    table: &Table<'_>,
    mut touched: BTreeMap<(String, String), DataFrame>,
    opened: &DataFrame,
    merged: &mut Merged,
) -> PolarsResult<()> {
    let Table { contract, standing } = *table;
    for (term, rows) in by_term(opened)? {
        let of_term = |part: &&(Part, PathBuf)| {
            part.0.partition.get("term") == Some(&term)
                && part.0.partition.get(VERSIONS).map(String::as_str) == Some(CURRENT)
        };
        let buckets =
            standing.iter().find(of_term).map_or_else(|| buckets_for(rows.height()), |(part, _)| buckets_of(part));
        for (bucket, rows) in by_bucket(&rows, contract, buckets)? {
            let place = (term.clone(), bucket);
            let before = match touched.remove(&place) {
                Some(frame) => Some(frame),
                None => reopened(standing, &place, merged, opened)?,
            };
            let frame = match before {
                Some(frame) => frame.vstack(&rows.select(frame.get_column_names_owned())?)?,
                None => rows,
            };
            touched.insert(place, frame);
        }
    }
    let sort: Vec<String> = contract.key.clone();
    for ((term, bucket), frame) in touched {
        if frame.height() == 0 {
            continue;
        }
        let frame = frame.sort(&sort, SortMultipleOptions::default())?;
        merged.new.push((frame, partition(&term, CURRENT, &bucket)));
    }
    Ok(())
}

/// A current part that the delivery's keys do not touch, but to which its new rows belong: it is no longer kept as it
/// is.
fn reopened(
    standing: &[(Part, PathBuf)],
    wanted: &(String, String),
    merged: &mut Merged,
    like: &DataFrame,
) -> PolarsResult<Option<DataFrame>> {
    let is_it =
        |part: &Part| place(part) == *wanted && part.partition.get(VERSIONS).map(String::as_str) == Some(CURRENT);
    let Some(index) = merged.kept.iter().position(is_it) else { return Ok(None) };
    merged.kept.remove(index);
    let Some((_, path)) = standing.iter().find(|(part, _)| is_it(part)) else { return Ok(None) };
    let rows = like.drop_many([KNOWN_FROM, KNOWN_TO]);
    with_columns_of(scan_one(path)?, &rows)?.collect().map(Some)
}

/// Adds the versions that were closed, as new history parts.
fn add_history(closed: Vec<DataFrame>, keys: &[&str], at: Timestamp, merged: &mut Merged) -> PolarsResult<()> {
    for frame in closed {
        merged.closed += frame.height() as u64;
        for (term, rows) in by_term(&frame)? {
            let rows = rows
                .sort(keys.iter().copied().chain([KNOWN_FROM]).collect::<Vec<_>>(), SortMultipleOptions::default())?;
            let mut partition = partition(&term, HISTORY, "0/1");
            partition.insert("until".to_owned(), at.to_string());
            merged.new.push((rows, partition));
        }
    }
    Ok(())
}

fn partition(term: &str, versions: &str, bucket: &str) -> BTreeMap<String, String> {
    [("term", term), (VERSIONS, versions), ("bucket", bucket)].map(|(k, v)| (k.to_owned(), v.to_owned())).into()
}

/// The rows by term, in order of the terms.
fn by_term(rows: &DataFrame) -> PolarsResult<BTreeMap<String, DataFrame>> {
    if rows.height() == 0 {
        return Ok(BTreeMap::new());
    }
    let groups = rows.partition_by_stable([TERM], true)?;
    groups
        .into_iter()
        .map(|group| {
            let term = group.column(TERM)?.str()?.get(0).unwrap_or("none").to_owned();
            Ok((term, group))
        })
        .collect()
}

fn buckets_for(rows: usize) -> usize {
    rows.div_ceil(BUCKET_ROWS).max(1).next_power_of_two()
}

fn buckets_of(part: &Part) -> usize {
    part.partition.get("bucket").and_then(|bucket| bucket.rsplit('/').next()?.parse().ok()).unwrap_or(1)
}

/// The rows by bucket: the first bytes of the SHA-256 of the key, which is the same everywhere and for ever.
fn by_bucket(rows: &DataFrame, contract: &TableContract, buckets: usize) -> PolarsResult<BTreeMap<String, DataFrame>> {
    if buckets == 1 {
        return Ok(BTreeMap::from([("0/1".to_owned(), rows.clone())]));
    }
    let keys =
        contract.key.iter().map(|key| rows.column(key)?.cast(&DataType::String)).collect::<PolarsResult<Vec<_>>>()?;
    let keys = keys.iter().map(Column::str).collect::<PolarsResult<Vec<_>>>()?;
    let numbers: Vec<u32> = (0..rows.height())
        .map(|row| {
            let mut hash = Sha256::new();
            for key in &keys {
                hash.update(key.get(row).unwrap_or_default());
                hash.update([0x1f]);
            }
            let hash = hash.finalize();
            let first = u32::from_be_bytes([hash[0], hash[1], hash[2], hash[3]]);
            first % u32::try_from(buckets).unwrap_or(u32::MAX)
        })
        .collect();
    let numbers = UInt32Chunked::from_vec("bucket".into(), numbers);
    let mut found = BTreeMap::new();
    for bucket in 0..u32::try_from(buckets).unwrap_or(1) {
        let rows = rows.filter(&numbers.equal(bucket))?;
        if rows.height() > 0 {
            found.insert(format!("{bucket}/{buckets}"), rows);
        }
    }
    Ok(found)
}

/// The type of an instant: UTC microseconds.
fn instant() -> DataType {
    DataType::Datetime(TimeUnit::Microseconds, Some(polars::prelude::TimeZone::UTC))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;
    use crate::lake::{Dataset, Lake, LakeOptions, Provenance, Staging};

    fn contract() -> TableContract {
        toml::from_str(
            r#"
            name = "t"
            about = "A row."
            key = ["id"]
            [columns]
            id = { type = "id" }
            value = { type = "text" }
            "#,
        )
        .unwrap()
    }

    /// A delivery: its rows (key, value, term), the deleted keys, whether it is a full export.
    #[derive(Debug, Clone)]
    struct Made {
        rows: Vec<(i64, String, u8)>,
        deleted: Vec<i64>,
        held_back: Vec<i64>,
        extent: Extent,
    }

    fn made() -> impl Strategy<Value = Made> {
        let rows = prop::collection::vec((0_i64..12, "[ab]", 0_u8..2), 0..10);
        (rows, prop::collection::vec(0_i64..12, 0..3), any::<bool>()).prop_map(|(rows, keys, full)| Made {
            rows,
            deleted: if full { Vec::new() } else { keys.clone() },
            held_back: if full { keys } else { Vec::new() },
            extent: if full { Extent::Full } else { Extent::Changes },
        })
    }

    fn at(n: usize) -> Timestamp {
        Timestamp::from_second(1_000_000 + i64::try_from(n).unwrap() * 60).unwrap()
    }

    fn delivery(made: &Made, n: usize) -> Delivery {
        let terms: Vec<String> = made.rows.iter().map(|row| row.2.to_string()).collect();
        Delivery {
            rows: df!(
                "id" => made.rows.iter().map(|row| row.0).collect::<Vec<_>>(),
                "value" => made.rows.iter().map(|row| row.1.clone()).collect::<Vec<_>>(),
                TERM => terms,
            )
            .unwrap(),
            deleted: df!("id" => made.deleted.clone()).unwrap(),
            held_back: df!("id" => made.held_back.clone()).unwrap(),
            extent: made.extent,
            at: at(n),
        }
    }

    type Standing = BTreeMap<i64, (String, u8)>;

    /// What is current after each delivery, by the simplest means.
    fn naive(deliveries: &[Made]) -> Vec<Standing> {
        let mut standing = Standing::new();
        let mut history = Vec::new();
        for made in deliveries {
            let delivered: Standing = made.rows.iter().map(|(id, value, term)| (*id, (value.clone(), *term))).collect();
            if made.extent == Extent::Full {
                standing.retain(|id, _| made.held_back.contains(id));
            }
            for id in &made.deleted {
                standing.remove(id);
            }
            standing.extend(delivered);
            history.push(standing.clone());
        }
        history
    }

    fn standing_at(frame: &DataFrame, when: Timestamp) -> Standing {
        let when = when.as_microsecond();
        let from = frame.column(KNOWN_FROM).unwrap().cast(&DataType::Int64).unwrap();
        let to = frame.column(KNOWN_TO).unwrap().cast(&DataType::Int64).unwrap();
        let (from, to) = (from.i64().unwrap().clone(), to.i64().unwrap().clone());
        let ids = frame.column("id").unwrap().i64().unwrap().clone();
        let values = frame.column("value").unwrap().str().unwrap().clone();
        let terms = frame.column(TERM).unwrap().str().unwrap().clone();
        let mut standing = Standing::new();
        for row in 0..frame.height() {
            if from.get(row).unwrap() <= when && to.get(row).is_none_or(|to| to > when) {
                let value = (values.get(row).unwrap().to_owned(), terms.get(row).unwrap().parse().unwrap());
                assert!(standing.insert(ids.get(row).unwrap(), value).is_none(), "two versions stand at once");
            }
        }
        standing
    }

    /// Takes the deliveries through a lake and returns all its rows and the ids of its snapshots.
    async fn carried(deliveries: &[Made]) -> (DataFrame, Vec<String>) {
        let scratch = tempfile::tempdir().unwrap();
        let lake = Lake::open(LakeOptions {
            url: "memory://".to_owned(),
            endpoint: None,
            region: None,
            access_key_id: None,
            secret_access_key: None,
            allow_http: false,
            scratch: scratch.path().to_owned(),
            if_missing: crate::lake::IfMissing::Create,
        })
        .await
        .unwrap();
        let dataset = Dataset::table(&"t".parse().unwrap());
        let mut parts: Vec<Part> = Vec::new();
        let mut ids = Vec::new();
        for (n, made) in deliveries.iter().enumerate() {
            let paths = lake.local_parts(&dataset, &parts).await.unwrap();
            let standing: Vec<_> = parts.iter().cloned().zip(paths).collect();
            let merged = merge(&contract(), &standing, &delivery(made, n)).unwrap();
            let mut schema = crate::lake::schema(&delivery(made, n).rows);
            for name in [KNOWN_FROM, KNOWN_TO] {
                schema.push(crate::domain::lineage::ManifestColumn {
                    name: name.to_owned(),
                    dtype: instant().to_string(),
                });
            }
            let mut staging = Staging::new(&lake, dataset.clone(), schema);
            merged.kept.into_iter().for_each(|part| staging.keep(part));
            for (frame, partition) in merged.new {
                staging.add(frame, partition).await.unwrap();
            }
            let staged = staging.finish(Provenance::default()).await.unwrap();
            lake.settle(&staged.reference).await.unwrap();
            ids.push(staged.reference.snapshot.to_string());
            parts = staged.manifest.parts;
        }
        let paths = lake.local_parts(&dataset, &parts).await.unwrap();
        let frame = if paths.is_empty() {
            df!("id" => Vec::<i64>::new(), "value" => Vec::<String>::new(), TERM => Vec::<String>::new(), KNOWN_FROM => Vec::<i64>::new(), KNOWN_TO => Vec::<i64>::new()).unwrap()
        } else {
            crate::lake::scan(&paths).unwrap().collect().unwrap()
        };
        (frame, ids)
    }

    #[test]
    fn every_row_is_in_one_bucket_and_every_bucket_of_many_rows_is_there() {
        let ids: Vec<i64> = (0..500).collect();
        let rows = df!("id" => &ids).unwrap();

        let buckets = by_bucket(&rows, &contract(), 4).unwrap();

        assert_eq!(buckets.keys().collect::<Vec<_>>(), ["0/4", "1/4", "2/4", "3/4"]);
        let found = buckets
            .values()
            .flat_map(|frame| frame.column("id").unwrap().i64().unwrap().into_no_null_iter().collect::<Vec<_>>());
        let mut found: Vec<i64> = found.collect();
        found.sort_unstable();
        assert_eq!(found, ids);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]

        /// At every instant the lake knows what the simplest model knows, and equal deliveries give equal snapshots.
        #[test]
        fn every_instant_is_remembered(deliveries in prop::collection::vec(made(), 1..5)) {
            let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).build().unwrap();
            let (frame, ids) = runtime.block_on(carried(&deliveries));
            let (_, again) = runtime.block_on(carried(&deliveries));

            prop_assert_eq!(ids, again);
            for (n, standing) in naive(&deliveries).into_iter().enumerate() {
                prop_assert_eq!(standing_at(&frame, at(n)), standing, "after delivery {}", n);
            }
        }
    }

    #[test]
    fn a_key_that_is_deleted_twice_closes_one_version() {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).build().unwrap();
        let first =
            Made { rows: vec![(5, "a".to_owned(), 0)], deleted: vec![], held_back: vec![], extent: Extent::Changes };
        let second = Made { rows: vec![], deleted: vec![5, 5], held_back: vec![], extent: Extent::Changes };

        let (frame, _) = runtime.block_on(carried(&[first, second]));

        assert_eq!(frame.height(), 1);
    }

    #[test]
    fn a_delivery_leaves_the_parts_of_other_terms_alone() {
        let row = |id: i64, value: &str, term: u8| (id, value.to_owned(), term);
        let first = Made {
            rows: vec![row(1, "a", 0), row(2, "a", 1)],
            deleted: vec![],
            held_back: vec![],
            extent: Extent::Full,
        };
        let second = Made { rows: vec![row(2, "b", 1)], deleted: vec![], held_back: vec![], extent: Extent::Changes };
        let folder = tempfile::tempdir().unwrap();
        let merged = merge(&contract(), &[], &delivery(&first, 0)).unwrap();
        let standing: Vec<(Part, PathBuf)> = merged
            .new
            .into_iter()
            .enumerate()
            .map(|(n, (mut frame, partition))| {
                let path = folder.path().join(format!("{n}.parquet"));
                ParquetWriter::new(std::fs::File::create(&path).unwrap()).finish(&mut frame).unwrap();
                let part = Part {
                    path: n.to_string(),
                    rows: frame.height() as u64,
                    size_bytes: 0,
                    sha256: String::new(),
                    partition,
                    min_max: BTreeMap::new(),
                };
                (part, path)
            })
            .collect();

        let merged = merge(&contract(), &standing, &delivery(&second, 1)).unwrap();

        assert_eq!(merged.kept, vec![standing[0].0.clone()]);
        assert_eq!((merged.opened, merged.closed, merged.new.len()), (1, 1, 2));
    }
}
