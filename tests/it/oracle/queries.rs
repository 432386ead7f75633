//! A query for each construct that the lint admits, over the tables of `rows::small_tables`.

pub(super) const ADMITTED: &[&str] = &[
    // Arithmetic and comparison.
    "SELECT id, x + k AS a, x - k AS b, x * k AS c, -x AS d, +x AS e, f * 2.5 AS g, f + x AS h FROM lefts",
    "SELECT id, CAST(x AS DOUBLE) / NULLIF(k, 0) AS a, f / NULLIF(CAST(k AS DOUBLE), 0.0) AS b FROM lefts",
    "SELECT id, x = k AS a, x <> k AS b, x < k AS c, x <= k AS d, x > k AS e, x >= k AS g FROM lefts",
    "SELECT id, s = w AS a, s < w AS b, s >= w AS c, f < x AS d, d < CAST(t AS DATE) AS e FROM lefts",
    "SELECT id FROM lefts WHERE x > 0 OR k > 0",
    "SELECT id FROM lefts WHERE NOT (x > 0 AND b)",
    // Truth with nulls.
    "SELECT id, b AND x > 0 AS a, b OR x > 0 AS c, NOT b AS d, b = TRUE AS e FROM lefts",
    "SELECT id, x IS NULL AS a, x IS NOT NULL AS c, COALESCE(x > k, FALSE) AS d FROM lefts",
    // Lists, ranges, patterns.
    "SELECT id, x IN (1, 2, -3) AS a, x NOT IN (1, 2) AS c, s IN ('a', 'ä') AS d FROM lefts",
    "SELECT id FROM lefts WHERE x IN (1, 2) OR s NOT IN ('a', '')",
    "SELECT id, x BETWEEN -1 AND k AS a, x NOT BETWEEN -1 AND 2 AS c FROM lefts",
    "SELECT id, s LIKE 'a%' AS a, s NOT LIKE '%b' AS c, s LIKE '_' AS d, s LIKE '%' AS e, s LIKE 'a.%' AS g FROM lefts",
    "SELECT id FROM lefts WHERE s LIKE '%b%'",
    // Choice.
    "SELECT id, CASE WHEN x > 0 THEN 'more' WHEN x < 0 THEN 'less' END AS a, CASE WHEN b THEN 1 ELSE 0 END AS c FROM lefts",
    "SELECT id, COALESCE(x, k, 0) AS a, COALESCE(s, 'none') AS c, NULLIF(x, k) AS d FROM lefts",
    "SELECT id, GREATEST(x, k) AS a, LEAST(x, k, 1) AS c FROM lefts",
    // Functions.
    "SELECT id, ABS(x) AS a, ABS(f) AS c, SIGN(x) AS d, SIGN(f) AS e, CEIL(f) AS g, FLOOR(f) AS h FROM lefts",
    "SELECT id, EXP(CAST(x AS DOUBLE)) AS a, LN(1.0 + ABS(f)) AS c, SQRT(ABS(f)) AS d FROM lefts",
    "SELECT id, POWER(f, 2.0) AS a, POWER(CAST(ABS(x) + 1 AS DOUBLE), 0.5) AS c, FLOOR(f + 0.5) AS d FROM lefts",
    "SELECT id, LENGTH(s) AS a, LOWER(w) AS c, UPPER(w) AS d, CONCAT(COALESCE(s, '-'), w) AS e FROM lefts",
    // Casts.
    "SELECT id, CAST(f AS BIGINT) AS a, CAST(x AS DOUBLE) AS c, CAST(b AS BIGINT) AS d, CAST(x AS VARCHAR) AS e FROM lefts",
    "SELECT id, CAST(x AS BOOLEAN) AS a, CAST(b AS VARCHAR) AS c, CAST(t AS DATE) AS d, CAST(d AS TIMESTAMP) AS e FROM lefts",
    // Time.
    "SELECT id, EXTRACT(YEAR FROM t) AS a, EXTRACT(MONTH FROM t) AS b, EXTRACT(DAY FROM t) AS c FROM lefts",
    "SELECT id, EXTRACT(HOUR FROM t) AS a, EXTRACT(MINUTE FROM t) AS b, EXTRACT(YEAR FROM d) AS c FROM lefts",
    "SELECT id, CAST(EXTRACT(EPOCH FROM u) AS DOUBLE) AS a FROM lefts",
    "SELECT id, t + INTERVAL '7 days' AS a, t - INTERVAL '1 day' AS b FROM lefts",
    "SELECT id, t < TIMESTAMP '2014-12-02 00:00:00' AS a, d < CAST(TIMESTAMP '2014-12-02 00:00:00' AS DATE) AS b FROM lefts",
    // Literals.
    "SELECT id, 1 AS a, 'ä''x' AS b, TRUE AS c, 1.5 AS d FROM lefts",
    // Aggregates.
    "SELECT k, COUNT(*) AS a, COUNT(x) AS b, COUNT(DISTINCT x) AS c, SUM(CAST(x AS BIGINT)) AS d FROM lefts GROUP BY k",
    "SELECT k, MIN(x) AS a, MAX(x) AS b, MIN(s) AS c, MAX(s) AS d, MIN(f) AS e, MAX(f) AS g FROM lefts GROUP BY k",
    "SELECT k, MIN(t) AS a, MAX(t) AS b, MIN(d) AS c, MEDIAN(f) AS e, MEDIAN(x) AS g FROM lefts GROUP BY k",
    "SELECT s, COUNT(DISTINCT k) AS a, SUM(CASE WHEN x > 0 THEN 1 ELSE 0 END) AS b FROM lefts GROUP BY s",
    "SELECT COUNT(*) AS a, COUNT(x) AS b, MIN(x) AS c, MAX(s) AS d, MEDIAN(f) AS e FROM lefts",
    "SELECT COUNT(*) AS a, COUNT(x) AS b, MIN(x) AS c, MAX(s) AS d, MEDIAN(f) AS e FROM nothing",
    "SELECT SUM(CAST(x AS BIGINT)) AS a FROM lefts WHERE x > 100",
    "SELECT SUM(CAST(x AS BIGINT)) AS a FROM nothing",
    "SELECT k, SUM(CAST(x AS BIGINT)) AS a FROM lefts WHERE x IS NULL GROUP BY k",
    "SELECT k, COUNT(*) FILTER (WHERE x > 0) AS a, COUNT(x) FILTER (WHERE b) AS c FROM lefts GROUP BY k",
    "SELECT k, SUM(CAST(x AS BIGINT)) FILTER (WHERE x > 0) AS a, MAX(x) FILTER (WHERE b) AS c FROM lefts GROUP BY k",
    "SELECT k, COUNT(*) AS n FROM lefts GROUP BY k HAVING COUNT(*) > 2",
    "SELECT k, COUNT(*) AS n FROM lefts GROUP BY 1",
    "SELECT x > 0 AS p, COUNT(*) AS n FROM lefts GROUP BY x > 0",
    "SELECT DISTINCT k, b FROM lefts",
    "SELECT COUNT(DISTINCT f) AS a, COUNT(DISTINCT s) AS b FROM lefts",
    // Joins.
    "SELECT l.id AS a, r.id AS b FROM lefts AS l JOIN rights AS r ON l.k = r.k",
    "SELECT l.id AS a, r.id AS b, r.x AS c FROM lefts AS l LEFT JOIN rights AS r ON l.k = r.k",
    "SELECT l.id AS a, r.id AS b FROM lefts AS l LEFT JOIN rights AS r ON l.k = r.k AND l.x = r.x",
    "SELECT l.id AS a, r.id AS b FROM lefts AS l LEFT JOIN rights AS r ON l.s = r.s WHERE r.id IS NULL",
    "SELECT l.id AS a, r.id AS b FROM lefts AS l LEFT JOIN nothing AS r ON l.k = r.k",
    "SELECT k, l.id AS a, r.id AS b FROM lefts AS l JOIN rights AS r USING (k)",
    "SELECT k, l.id AS a, r.id AS b FROM lefts AS l LEFT JOIN rights AS r USING (k)",
    "SELECT l.id AS a, m.id AS b, r.id AS c FROM lefts AS l JOIN lefts AS m ON m.id = l.k LEFT JOIN rights AS r ON r.id = m.k",
    // Subqueries.
    "SELECT id FROM lefts WHERE k IN (SELECT k FROM rights WHERE k IS NOT NULL)",
    "SELECT id FROM lefts WHERE k IN (SELECT k FROM rights)",
    "SELECT l.id FROM lefts AS l WHERE EXISTS (SELECT 1 FROM rights AS r WHERE r.k = l.k)",
    "SELECT l.id FROM lefts AS l WHERE NOT EXISTS (SELECT 1 FROM rights AS r WHERE r.k = l.k)",
    "SELECT q.k, q.n FROM (SELECT k, COUNT(*) AS n FROM lefts GROUP BY k) AS q WHERE q.n > 1",
    "WITH a AS (SELECT id, k, x FROM lefts WHERE x > 0), b AS (SELECT k, MAX(x) AS m FROM a GROUP BY k)
     SELECT a.id, b.m FROM a LEFT JOIN b ON b.k = a.k",
    // Sets of rows.
    "SELECT k FROM lefts UNION SELECT k FROM rights",
    "SELECT k FROM lefts UNION ALL SELECT k FROM rights",
    "SELECT k, b FROM lefts INTERSECT SELECT k, b FROM rights",
    "SELECT k, b FROM lefts EXCEPT SELECT k, b FROM rights",
    // Order and limit.
    "SELECT id, x FROM lefts ORDER BY x DESC NULLS LAST, id ASC NULLS LAST LIMIT 5",
    "SELECT id, s FROM lefts ORDER BY s ASC NULLS FIRST, id DESC NULLS LAST LIMIT 7",
    "SELECT q.id FROM (SELECT id FROM lefts ORDER BY f DESC NULLS FIRST, id ASC NULLS LAST LIMIT 4) AS q",
    // Windows.
    "SELECT id, ROW_NUMBER() OVER (PARTITION BY k ORDER BY x ASC NULLS FIRST, id ASC NULLS FIRST) AS a FROM lefts",
    "SELECT id, ROW_NUMBER() OVER (ORDER BY x DESC NULLS LAST, id DESC NULLS LAST) AS a FROM lefts",
    "SELECT id, ROW_NUMBER() OVER (ORDER BY s ASC NULLS FIRST, x ASC NULLS FIRST, id ASC NULLS FIRST) AS a FROM lefts",
    "SELECT id, RANK() OVER (PARTITION BY k ORDER BY x ASC NULLS LAST) AS a FROM lefts WHERE x IS NOT NULL",
    "SELECT id, RANK() OVER (PARTITION BY k, b ORDER BY x DESC NULLS LAST) AS a FROM lefts WHERE x IS NOT NULL",
    "SELECT id, RANK() OVER (PARTITION BY k ORDER BY COALESCE(x, 0) ASC NULLS FIRST) AS a FROM lefts",
    "SELECT id, DENSE_RANK() OVER (PARTITION BY k ORDER BY f DESC NULLS LAST) AS a FROM lefts WHERE f IS NOT NULL",
    "SELECT id, LAG(x) OVER (PARTITION BY k ORDER BY id ASC NULLS FIRST) AS a FROM lefts",
    "SELECT id, LAG(f) OVER (PARTITION BY k ORDER BY x ASC NULLS FIRST, id ASC NULLS FIRST) AS a FROM lefts",
    "SELECT id, LEAD(x, 2) OVER (PARTITION BY k ORDER BY t DESC NULLS LAST, id DESC NULLS LAST) AS a FROM lefts",
    "SELECT id, FIRST_VALUE(x) OVER (PARTITION BY k ORDER BY id ASC NULLS FIRST) AS a FROM lefts",
    "SELECT id, FIRST_VALUE(id) OVER (PARTITION BY k ORDER BY x DESC NULLS LAST, id DESC NULLS LAST) AS a FROM lefts",
    "SELECT id, COUNT(*) OVER (PARTITION BY k) AS a, COUNT(x) OVER (PARTITION BY k, b) AS c FROM lefts",
    "SELECT id, SUM(CAST(x AS BIGINT)) OVER (PARTITION BY k) AS a FROM lefts",
    "SELECT id, MIN(x) OVER (PARTITION BY k) AS a, MAX(f) OVER (PARTITION BY k) AS c, MEDIAN(f) OVER (PARTITION BY k) AS d FROM lefts",
    "SELECT id, SUM(CAST(x AS BIGINT)) OVER (PARTITION BY k ORDER BY id ASC NULLS FIRST
       ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW) AS a FROM lefts",
    "SELECT id, COUNT(*) OVER (PARTITION BY k ORDER BY id DESC NULLS LAST
       ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW) AS a FROM lefts",
    "SELECT id, COUNT(x) OVER (PARTITION BY k ORDER BY id ASC NULLS FIRST
       ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW) AS a FROM lefts",
    "SELECT id, MIN(x) OVER (PARTITION BY k ORDER BY id ASC NULLS FIRST
       ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW) AS a FROM lefts",
    "SELECT id, MAX(x) OVER (ORDER BY id ASC NULLS FIRST ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW) AS a FROM lefts",
    "SELECT id, SUM(CAST(x AS BIGINT)) OVER (PARTITION BY k ORDER BY f DESC NULLS LAST, id DESC NULLS LAST
       ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW) AS a FROM lefts",
    // What looks harmless and may not be.
    "SELECT id, x IN (1, NULL) AS a FROM lefts",
    "SELECT id FROM lefts WHERE x NOT IN (1, NULL)",
    "SELECT id, CONCAT(s, w) AS a FROM lefts",
    "SELECT id, d + INTERVAL '1 day' AS a FROM lefts",
];
