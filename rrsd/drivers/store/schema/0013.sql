-- What waits for a domain that has shown to be alive. Jobs that never failed are not in it.
CREATE INDEX jobs_asleep ON jobs (sender, condition, origin)
    WHERE state IN ('deferred', 'needs_auth', 'no_space');
