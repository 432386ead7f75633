-- At risk: the student withdrew from the course, or ended it below the pass mark.
-- Grain: one row for each enrolment that existed when the course began. Key: enrollment_id.
-- As-of rule: the labels of a course become known together, withdrawals included, lag_days after its end, and stay
-- what was known then.
-- Withdrew: deleted or inactive after the first day and no later than the end. Students who left on or before the first
-- day are left out. A row whose mark is unknown, and whose student did not withdraw, has a null label: it is left out
-- and counted.
WITH mark AS (
  SELECT s.enrollment_id, MAX(COALESCE(s.override_score, s.final_score)) AS mark
  FROM scores AS s
  WHERE s.course_score = TRUE AND s.grading_period_id IS NULL
  GROUP BY s.enrollment_id
),
enrolled AS (
  SELECT
    e.id AS enrollment_id,
    e.course_id,
    k.term,
    e.user_id,
    k.conclude_at + INTERVAL '{{ lag_days }} days' AS known_at,
    CASE
      WHEN e.workflow_state IN ('deleted', 'inactive') AND e.updated_at <= k.conclude_at THEN 1
      ELSE 0
    END AS withdrew
  FROM enrollments AS e
  JOIN calendar AS k ON k.course_id = e.course_id
  WHERE e.type = 'StudentEnrollment'
    AND e.workflow_state IN ('active', 'completed', 'deleted', 'inactive')
    AND e.created_at < k.conclude_at
    AND NOT (e.workflow_state IN ('deleted', 'inactive') AND e.updated_at < k.start_at + INTERVAL '1 day')
    AND k.conclude_at + INTERVAL '{{ lag_days }} days' <= {{ as_of }}
)
SELECT
  e.enrollment_id,
  e.course_id,
  e.term,
  e.user_id,
  e.known_at,
  CAST(e.withdrew AS BIGINT) AS withdrew,
  CAST(CASE
    WHEN e.withdrew = 1 THEN 1
    WHEN m.mark < {{ pass_mark }} THEN 1
    WHEN m.mark >= {{ pass_mark }} THEN 0
  END AS BIGINT) AS at_risk
FROM enrolled AS e
LEFT JOIN mark AS m ON m.enrollment_id = e.enrollment_id
