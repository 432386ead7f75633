-- The population: the students enrolled at the cutoff, in the courses that the plan chose.
-- Grain: one row for each enrolment. Key: enrollment_id.
-- As-of rule: an enrolment counts from its creation; a state that changed at or after the cutoff was active before.
-- Left out: teachers, observers and the fake student (StudentViewEnrollment); enrolments that are invited, rejected,
-- inactive, deleted or completed before the cutoff; courses that were not published. If history does not tell a
-- course's state, it counts as published, because the plan has looked at the course itself.
SELECT
  e.id AS enrollment_id,
  e.user_id,
  e.course_id,
  k.term,
  k.course_week,
  k.week_exact
FROM enrollments AS e
JOIN calendar AS k ON k.course_id = e.course_id
JOIN courses AS c ON c.id = e.course_id
WHERE e.type = 'StudentEnrollment'
  AND e.created_at < {{ as_of }}
  AND (
    e.workflow_state = 'active'
    OR (e.workflow_state = 'completed' AND COALESCE(e.completed_at, k.conclude_at) >= {{ as_of }})
    OR (e.workflow_state IN ('deleted', 'inactive') AND e.updated_at >= {{ as_of }})
  )
  AND (c.workflow_state IS NULL OR c.workflow_state IN ('available', 'completed'))
