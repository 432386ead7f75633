-- Purpose: become the owner under the next epoch, if nothing has changed since the last look. One row, or none.
UPDATE ownership
SET epoch = epoch + 1, owner = $1, role = $2, counter = counter + 1
WHERE epoch = $3 AND counter = $4
RETURNING epoch
