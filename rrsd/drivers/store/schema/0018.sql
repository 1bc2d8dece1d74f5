-- What each user's pulls take up: the bytes of distinct resources that have come or are reserved (their job is leased).
-- A resource that several of a user's jobs name counts once, as the largest that one of them says. `quota` is the
-- user's own, NULL where the domain's holds. `freed` is whether there may be room now for what waits for it. The
-- triggers keep it, whatever changes a job; the self-check counts again.
CREATE TABLE holders (
    recipient TEXT PRIMARY KEY COLLATE NOCASE,
    bytes INTEGER NOT NULL DEFAULT 0,
    quota INTEGER,
    freed INTEGER NOT NULL DEFAULT 0
) WITHOUT ROWID;
CREATE INDEX holders_freed ON holders (recipient) WHERE freed = 1;

CREATE INDEX jobs_held ON jobs (recipient COLLATE NOCASE, digest, size)
    WHERE state IN ('leased', 'stored', 'receipted');
-- Those that wait for room, by what they need and by how long: of each user, and of the disk.
CREATE INDEX jobs_over_size ON jobs (recipient COLLATE NOCASE, size, job)
    WHERE state = 'no_space' AND condition = 'quota';
CREATE INDEX jobs_over_age ON jobs (recipient COLLATE NOCASE, job, size)
    WHERE state = 'no_space' AND condition = 'quota';
CREATE INDEX jobs_space_size ON jobs (size, job) WHERE state = 'no_space' AND condition = 'space';
CREATE INDEX jobs_space_age ON jobs (job, size) WHERE state = 'no_space' AND condition = 'space';

INSERT INTO holders (recipient, bytes)
SELECT recipient, sum(size) FROM (
    SELECT recipient COLLATE NOCASE AS recipient, digest, max(size) AS size FROM jobs
    WHERE state IN ('leased', 'stored', 'receipted') GROUP BY recipient COLLATE NOCASE, digest
) GROUP BY recipient;

CREATE TRIGGER jobs_taken AFTER UPDATE OF state ON jobs
WHEN new.state IN ('leased', 'stored', 'receipted') AND old.state NOT IN ('leased', 'stored', 'receipted')
BEGIN
    INSERT INTO holders (recipient, bytes) VALUES (new.recipient, max(0, new.size - coalesce((
        SELECT size FROM jobs
        WHERE state IN ('leased', 'stored', 'receipted') AND recipient = new.recipient COLLATE NOCASE
            AND digest = new.digest AND job <> new.job ORDER BY size DESC LIMIT 1), 0)))
    ON CONFLICT DO UPDATE SET bytes = bytes + excluded.bytes;
END;

CREATE TRIGGER jobs_added AFTER INSERT ON jobs WHEN new.state IN ('leased', 'stored', 'receipted')
BEGIN
    INSERT INTO holders (recipient, bytes) VALUES (new.recipient, max(0, new.size - coalesce((
        SELECT size FROM jobs
        WHERE state IN ('leased', 'stored', 'receipted') AND recipient = new.recipient COLLATE NOCASE
            AND digest = new.digest AND job <> new.job ORDER BY size DESC LIMIT 1), 0)))
    ON CONFLICT DO UPDATE SET bytes = bytes + excluded.bytes;
END;

CREATE TRIGGER jobs_left AFTER UPDATE OF state ON jobs
WHEN old.state IN ('leased', 'stored', 'receipted') AND new.state NOT IN ('leased', 'stored', 'receipted')
BEGIN
    UPDATE holders SET freed = freed OR EXISTS (
            SELECT 1 FROM jobs WHERE state = 'no_space' AND condition = 'quota'
                AND recipient = old.recipient COLLATE NOCASE),
        bytes = bytes - max(0, old.size - coalesce((
        SELECT size FROM jobs
        WHERE state IN ('leased', 'stored', 'receipted') AND recipient = old.recipient COLLATE NOCASE
            AND digest = old.digest AND job <> old.job ORDER BY size DESC LIMIT 1), 0))
    WHERE recipient = old.recipient;
END;

CREATE TRIGGER jobs_removed AFTER DELETE ON jobs WHEN old.state IN ('leased', 'stored', 'receipted')
BEGIN
    UPDATE holders SET freed = freed OR EXISTS (
            SELECT 1 FROM jobs WHERE state = 'no_space' AND condition = 'quota'
                AND recipient = old.recipient COLLATE NOCASE),
        bytes = bytes - max(0, old.size - coalesce((
        SELECT size FROM jobs
        WHERE state IN ('leased', 'stored', 'receipted') AND recipient = old.recipient COLLATE NOCASE
            AND digest = old.digest AND job <> old.job ORDER BY size DESC LIMIT 1), 0))
    WHERE recipient = old.recipient;
END;

-- What is freed between the moment at which a job was found not to fit and this one would be seen by nobody.
CREATE TRIGGER jobs_over AFTER UPDATE OF state, condition ON jobs
WHEN new.state = 'no_space' AND new.condition = 'quota'
BEGIN
    UPDATE holders SET freed = 1 WHERE recipient = new.recipient;
    INSERT OR IGNORE INTO holders (recipient, freed) VALUES (new.recipient, 1);
END;
