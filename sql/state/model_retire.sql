-- Purpose: retire the champion that a new one replaces. Keys: model; $2 is the new champion's version.
UPDATE models
SET role = 'retired', why = $3, changed_at = $4
WHERE model = $1 AND role = 'champion' AND version <> $2
