-- Engagement: how much a student has looked at a course, alone and compared with the others.
-- Grain: one row for each enrolment of the population. Key: enrollment_id.
-- As-of rule: a day counts when it was over at the cutoff (as_of_date is the first that was not).
-- There are two kinds of input rows. `day` rows are counts of one day. A `bucket` row is the count of all days since
-- the student's previous bucket, dated on the last day. Features that need days are null if the course has no day rows
-- in the last week (has_daily_views says so), never 0; features that need sums are null if a student's buckets end
-- before the course's.
WITH seen AS (
  SELECT
    w.user_id,
    w.course_id,
    w.granularity,
    {{ end_of_day('w.date') }} AS day_end,
    CAST(w.page_views AS BIGINT) AS views
  FROM web_logs_daily AS w
  WHERE {{ end_of_day('w.date') }} <= {{ as_of_date }}
),
coverage AS (
  SELECT
    course_id,
    MAX(day_end) AS seen_until,
    MAX(CASE WHEN granularity = 'bucket' THEN day_end END) AS buckets_until,
    MAX(CASE WHEN granularity = 'day' AND day_end > {{ as_of_date }} - INTERVAL '7 days' THEN 1 ELSE 0 END) AS is_daily
  FROM seen
  GROUP BY course_id
),
by_day AS (
  SELECT
    user_id,
    course_id,
    SUM(CASE WHEN day_end > {{ as_of_date }} - INTERVAL '7 days' THEN CAST(views AS BIGINT) ELSE 0 END) AS views_7d,
    SUM(CASE WHEN day_end > {{ as_of_date }} - INTERVAL '14 days' THEN CAST(views AS BIGINT) ELSE 0 END) AS views_14d,
    COUNT(DISTINCT CASE WHEN day_end > {{ as_of_date }} - INTERVAL '7 days' THEN day_end END) AS active_days_7d,
    COUNT(DISTINCT day_end) AS active_days,
    MAX(day_end) AS last_active
  FROM seen
  WHERE granularity = 'day' AND views > 0
  GROUP BY user_id, course_id
),
bucket_sums AS (
  SELECT user_id, course_id, day_end, SUM(CAST(views AS BIGINT)) AS views
  FROM seen
  WHERE granularity = 'bucket'
  GROUP BY user_id, course_id, day_end
),
buckets AS (
  SELECT
    user_id,
    course_id,
    day_end,
    views,
    LAG(day_end) OVER (PARTITION BY user_id, course_id ORDER BY day_end ASC NULLS FIRST) AS previous_end
  FROM bucket_sums
),
last_bucket AS (
  SELECT
    b.user_id,
    b.course_id,
    {{ safe_div('b.views', days_between('b.day_end', 'b.previous_end')) }} AS views_a_day
  FROM buckets AS b
  JOIN coverage AS c ON c.course_id = b.course_id AND c.buckets_until = b.day_end
),
sums AS (
  SELECT
    s.user_id,
    s.course_id,
    SUM(CAST(s.views AS BIGINT)) AS views,
    SUM(CASE WHEN s.day_end <= k.start_at THEN CAST(s.views AS BIGINT) ELSE 0 END) AS views_before_start,
    MAX(s.day_end) AS seen_until
  FROM seen AS s
  JOIN calendar AS k ON k.course_id = s.course_id
  GROUP BY s.user_id, s.course_id
),
student AS (
  SELECT
    p.enrollment_id,
    p.course_id,
    p.term,
    p.user_id,
    p.course_week,
    p.week_exact,
    COALESCE(c.is_daily, 0) AS is_daily,
    {{ days_between(as_of_date, 'c.seen_until') }} AS views_age_days,
    CASE WHEN c.is_daily = 1 THEN COALESCE(d.views_7d, 0) END AS views_7d,
    CASE WHEN c.is_daily = 1 THEN COALESCE(d.active_days_7d, 0) END AS active_days_7d,
    CASE WHEN c.is_daily = 1 THEN COALESCE(d.active_days, 0) END AS active_days,
    CASE WHEN c.is_daily = 1 THEN {{ days_between(as_of_date, 'd.last_active') }} END AS days_since_activity,
    CASE
      WHEN c.is_daily = 1 THEN {{ per('COALESCE(d.views_14d, 0)', 14) }}
      ELSE b.views_a_day
    END AS recent_views_a_day,
    CASE
      WHEN c.is_daily = 1 THEN COALESCE(s.views, 0)
      WHEN s.seen_until = c.seen_until THEN s.views
    END AS views,
    CASE
      WHEN c.is_daily = 1 THEN COALESCE(s.views_before_start, 0)
      ELSE s.views_before_start
    END AS views_before_start
  FROM population AS p
  LEFT JOIN coverage AS c ON c.course_id = p.course_id
  LEFT JOIN by_day AS d ON d.user_id = p.user_id AND d.course_id = p.course_id
  LEFT JOIN last_bucket AS b ON b.user_id = p.user_id AND b.course_id = p.course_id
  LEFT JOIN sums AS s ON s.user_id = p.user_id AND s.course_id = p.course_id
),
standing AS (
  SELECT enrollment_id, {{ share_below('views', 'course_id') }} AS views_standing
  FROM student
  WHERE views IS NOT NULL
),
recent_standing AS (
  SELECT enrollment_id, {{ share_below('recent_views_a_day', 'course_id') }} AS recent_views_standing
  FROM student
  WHERE recent_views_a_day IS NOT NULL
),
middle AS (
  SELECT
    course_id,
    MEDIAN({{ log1p('views') }}) AS views_log1p,
    MEDIAN({{ log1p('recent_views_a_day') }}) AS recent_log1p
  FROM student
  GROUP BY course_id
)
SELECT
  t.enrollment_id,
  t.course_id,
  t.term,
  t.user_id,
  t.course_week,
  CAST(t.is_daily AS BIGINT) AS has_daily_views,
  t.views_age_days,
  {{ log1p('t.views_7d') }} AS views_7d_log1p,
  CAST(t.active_days_7d AS BIGINT) AS active_days_7d,
  CAST(t.active_days AS BIGINT) AS active_days,
  t.days_since_activity,
  {{ safe_div('t.views_7d', safe_div('t.views - t.views_before_start', 't.week_exact')) }} AS views_7d_to_own_mean,
  {{ log1p('t.recent_views_a_day') }} AS recent_views_log1p,
  {{ log1p('t.recent_views_a_day') }} - m.recent_log1p AS recent_views_to_course,
  r.recent_views_standing,
  {{ log1p('t.views') }} AS views_log1p,
  {{ log1p('t.views') }} - m.views_log1p AS views_to_course,
  g.views_standing,
  {{ log1p('t.views_before_start') }} AS views_before_start_log1p
FROM student AS t
LEFT JOIN middle AS m ON m.course_id = t.course_id
LEFT JOIN standing AS g ON g.enrollment_id = t.enrollment_id
LEFT JOIN recent_standing AS r ON r.enrollment_id = t.enrollment_id
