-- Purpose: the model versions in use or under trial, newest first. Grain: model version.
SELECT model, version, role, artefact, why, card
FROM models
WHERE role <> 'retired'
ORDER BY recorded_at DESC, model, version
