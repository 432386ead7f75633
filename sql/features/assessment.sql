-- Assessment: what work was due, what was handed in, and how well, for the student alone and compared with the course.
-- Grain: one row for each enrolment of the population. Key: enrollment_id.
-- As-of rule: work is due if its due date for this student is before the cutoff; a submission counts if it was handed
-- in before the cutoff, a score if it was posted before the cutoff. Due dates of future work are in the plan of the
-- course.
-- Left out: work that does not count (omitted, unpublished, ungraded, worth nothing), excused work, and, for what is
-- handed in, work on paper, of which Canvas has only the score.
WITH work AS (
  SELECT
    a.id AS assignment_id,
    a.context_id AS course_id,
    a.due_at,
    a.points_possible AS points,
    CASE WHEN COALESCE(a.only_visible_to_overrides, FALSE) THEN 1 ELSE 0 END AS only_some,
    CASE WHEN COALESCE(a.submission_types, '') LIKE '%on_paper%' OR COALESCE(a.submission_types, '') LIKE '%none%'
      THEN 0 ELSE 1 END AS is_handed_in
  FROM assignments AS a
  WHERE a.context_type = 'Course'
    AND a.workflow_state = 'published'
    AND COALESCE(a.omit_from_final_grade, FALSE) = FALSE
    AND COALESCE(a.grading_type, 'points') <> 'not_graded'
    AND a.points_possible > 0.0
),
item AS (
  SELECT
    p.enrollment_id,
    w.assignment_id,
    w.points,
    w.is_handed_in,
    COALESCE(s.cached_due_date, w.due_at) AS due_at,
    CASE WHEN s.submitted_at < {{ as_of }} THEN s.submitted_at END AS submitted_at,
    CASE WHEN s.posted_at < {{ as_of }} AND s.score IS NOT NULL THEN s.posted_at END AS posted_at,
    CASE WHEN s.posted_at < {{ as_of }} THEN s.score END AS score
  FROM population AS p
  JOIN work AS w ON w.course_id = p.course_id
  LEFT JOIN submissions AS s ON s.assignment_id = w.assignment_id AND s.user_id = p.user_id
  WHERE COALESCE(s.excused, FALSE) = FALSE
    AND COALESCE(s.workflow_state, 'unsubmitted') <> 'deleted'
    AND (w.only_some = 0 OR s.user_id IS NOT NULL)
),
due AS (
  SELECT
    enrollment_id,
    COUNT(*) AS due_count,
    SUM(CASE WHEN is_handed_in = 1 AND submitted_at IS NULL AND score IS NULL THEN 1 ELSE 0 END) AS missing_count,
    SUM(CASE WHEN submitted_at > due_at THEN 1 ELSE 0 END) AS late_count,
    {{ exact_mean(days_between('submitted_at', 'due_at')) }} AS lateness_days_mean,
    {{ exact_sum('points') }} AS points_due,
    {{ exact_sum('CASE WHEN score IS NOT NULL THEN points ELSE 0.0 END') }} AS points_graded,
    {{ exact_sum('COALESCE(score, 0.0)') }} AS points_earned
  FROM item
  WHERE due_at < {{ as_of }}
  GROUP BY enrollment_id
),
handed_in AS (
  SELECT
    enrollment_id,
    COUNT(submitted_at) AS submitted_count,
    SUM(CASE WHEN submitted_at IS NOT NULL AND score IS NULL THEN 1 ELSE 0 END) AS ungraded_count,
    SUM(CASE WHEN submitted_at IS NOT NULL AND due_at >= {{ as_of }} THEN 1 ELSE 0 END) AS ahead_count,
    MAX(submitted_at) AS last_submitted_at,
    MIN(CASE WHEN due_at >= {{ as_of }} THEN due_at END) AS next_due_at
  FROM item
  GROUP BY enrollment_id
),
graded AS (
  SELECT
    enrollment_id,
    {{ safe_div('score', 'points') }} AS share,
    ROW_NUMBER() OVER (
      PARTITION BY enrollment_id ORDER BY posted_at ASC NULLS FIRST, assignment_id ASC NULLS FIRST
    ) AS place,
    ROW_NUMBER() OVER (
      PARTITION BY enrollment_id ORDER BY posted_at DESC NULLS LAST, assignment_id DESC NULLS LAST
    ) AS place_from_end
  FROM item
  WHERE posted_at IS NOT NULL
),
scores AS (
  SELECT
    enrollment_id,
    COUNT(*) AS graded_count,
    {{ exact_mean('share') }} AS score_mean,
    MIN(share) AS score_min,
    MAX(CASE WHEN place = 1 THEN share END) AS score_first,
    MAX(CASE WHEN place_from_end = 1 THEN share END) AS score_last
  FROM graded
  GROUP BY enrollment_id
),
student AS (
  SELECT
    p.enrollment_id,
    p.course_id,
    p.term,
    p.user_id,
    p.course_week,
    p.week_exact,
    COALESCE(d.due_count, 0) AS due_count,
    COALESCE(d.missing_count, 0) AS missing_count,
    COALESCE(d.late_count, 0) AS late_count,
    d.lateness_days_mean,
    {{ safe_div('d.missing_count', 'd.due_count') }} AS missing_share,
    {{ safe_div('d.points_earned', 'd.points_due') }} AS points_share,
    {{ safe_div('d.points_earned', 'd.points_graded') }} AS graded_points_share,
    COALESCE(h.submitted_count, 0) AS submitted_count,
    COALESCE(h.ungraded_count, 0) AS ungraded_count,
    COALESCE(h.ahead_count, 0) AS ahead_count,
    {{ days_between(as_of, 'h.last_submitted_at') }} AS days_since_submission,
    {{ days_between('h.next_due_at', as_of) }} AS days_to_next_due,
    COALESCE(g.graded_count, 0) AS graded_count,
    g.score_mean,
    g.score_min,
    g.score_first,
    g.score_last
  FROM population AS p
  LEFT JOIN due AS d ON d.enrollment_id = p.enrollment_id
  LEFT JOIN handed_in AS h ON h.enrollment_id = p.enrollment_id
  LEFT JOIN scores AS g ON g.enrollment_id = p.enrollment_id
),
course AS (
  SELECT
    course_id,
    {{ exact_mean('missing_share') }} AS missing_share,
    {{ exact_mean('score_mean') }} AS score_mean
  FROM student
  GROUP BY course_id
),
standing AS (
  SELECT enrollment_id, {{ share_below('points_share', 'course_id') }} AS points_standing
  FROM student
  WHERE points_share IS NOT NULL
)
SELECT
  t.enrollment_id,
  t.course_id,
  t.term,
  t.user_id,
  t.course_week,
  t.week_exact,
  {{ safe_div(days_between(as_of, 'k.start_at'), days_between('k.conclude_at', 'k.start_at')) }} AS term_share,
  CAST(t.due_count AS BIGINT) AS due_count,
  CAST(t.submitted_count AS BIGINT) AS submitted_count,
  CAST(t.missing_count AS BIGINT) AS missing_count,
  t.missing_share,
  t.missing_share - c.missing_share AS missing_share_to_course,
  CAST(t.late_count AS BIGINT) AS late_count,
  t.lateness_days_mean,
  CAST(t.ungraded_count AS BIGINT) AS ungraded_count,
  CAST(t.ahead_count AS BIGINT) AS ahead_count,
  CAST(t.graded_count AS BIGINT) AS graded_count,
  t.points_share,
  s.points_standing,
  t.graded_points_share,
  t.score_mean,
  t.score_mean - c.score_mean AS score_mean_to_course,
  t.score_min,
  t.score_first,
  t.score_last,
  t.days_since_submission,
  t.days_to_next_due
FROM student AS t
JOIN calendar AS k ON k.course_id = t.course_id
LEFT JOIN course AS c ON c.course_id = t.course_id
LEFT JOIN standing AS s ON s.enrollment_id = t.enrollment_id
