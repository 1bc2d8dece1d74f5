-- When it was first seen that the time until a pull's deadline will not do, and since when somebody holds it.
ALTER TABLE jobs ADD COLUMN at_risk REAL;
ALTER TABLE jobs ADD COLUMN held REAL;
CREATE INDEX jobs_at_risk ON jobs (job) WHERE at_risk IS NOT NULL;

-- When a pull's deadline is looked at next; NULL for the first look, after half of its life at the latest, and earlier
-- where 1 MiB/s would have to begin before. A pull that arrives before is never looked at.
ALTER TABLE jobs ADD COLUMN watch REAL;
CREATE INDEX jobs_watch ON jobs (coalesce(watch, max(accepted, min((accepted + deadline) / 2, deadline - size / 524288.0))))
    WHERE state IN ('new', 'ready', 'deferred', 'needs_auth', 'no_space', 'leased');
