-- Purpose: lock a model's name, so that two commits never change the roles of its versions at once. Key: model.
INSERT INTO model_names (model, changed_at)
VALUES ($1, $2)
ON CONFLICT (model) DO UPDATE SET changed_at = excluded.changed_at
