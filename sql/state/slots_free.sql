-- Purpose: free the slots that a wrong clock has taken: those skipped after $2, and all after $3. Keys: dag, slot.
DELETE FROM slots
WHERE dag = $1 AND slot > $2 AND (skipped IS NOT NULL OR slot > $3)
