-- What is looked for is a waiting job without a time; that index was kept for every job, to find none.
DROP INDEX jobs_due;
CREATE INDEX jobs_adrift ON jobs (job)
    WHERE state IN ('new', 'ready', 'deferred', 'needs_auth', 'no_space') AND (due IS NULL OR due >= '');
DROP INDEX jobs_digest;
