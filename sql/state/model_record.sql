-- Purpose: record a model version or its new role; the time of its first recording stays. Key: model, version.
INSERT INTO models (model, version, role, artefact, why, card, recorded_at, changed_at, run_id, job, attempt)
VALUES ($1, $2, $3, $4, $5, $6, $7, $7, $8, $9, $10)
ON CONFLICT (model, version) DO UPDATE
SET role = excluded.role, artefact = excluded.artefact, why = excluded.why, card = excluded.card,
    changed_at = excluded.changed_at, run_id = excluded.run_id, job = excluded.job, attempt = excluded.attempt
