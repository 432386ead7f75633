-- Purpose: pause a DAG's schedule; an existing pause stays as it is. Grain: DAG.
INSERT INTO pauses (dag, since, person, why)
VALUES ($1, $2, $3, $4)
ON CONFLICT DO NOTHING
