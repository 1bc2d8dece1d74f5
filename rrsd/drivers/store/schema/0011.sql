-- Whose turn it is. A turn is a recipient's waiting jobs of one class at one destination; `due` is never later than the
-- earliest of them, and often earlier: what leaves the queue is noticed when its turn is looked at. A destination's
-- `due` is when the picker looks at its turns again. What adds jobs says so, once for all of a message (`turns.came`);
-- the trigger sees to whatever changes one.
CREATE INDEX jobs_turn ON jobs (origin, recipient, priority, due, job)
    WHERE state IN ('new', 'ready', 'deferred', 'needs_auth', 'no_space');

CREATE TABLE turns (
    origin TEXT NOT NULL,
    recipient TEXT NOT NULL,
    priority INTEGER NOT NULL,
    due REAL NOT NULL,
    PRIMARY KEY (origin, recipient, priority)
) WITHOUT ROWID;
CREATE INDEX turns_due ON turns (origin, due);

CREATE TABLE destinations (
    origin TEXT PRIMARY KEY,
    due REAL NOT NULL
) WITHOUT ROWID;
CREATE INDEX destinations_due ON destinations (due);

INSERT INTO turns (origin, recipient, priority, due)
SELECT origin, recipient, priority, min(due) FROM jobs
WHERE state IN ('new', 'ready', 'deferred', 'needs_auth', 'no_space') AND due < ''
GROUP BY origin, recipient, priority;
INSERT INTO destinations (origin, due) SELECT origin, min(due) FROM turns GROUP BY origin;

CREATE TRIGGER jobs_moved AFTER UPDATE OF state, due, priority ON jobs
WHEN new.state IN ('new', 'ready', 'deferred', 'needs_auth', 'no_space') AND new.due < ''
BEGIN
    INSERT INTO turns (origin, recipient, priority, due)
    VALUES (new.origin, new.recipient, new.priority, new.due)
    ON CONFLICT DO UPDATE SET due = excluded.due WHERE due > excluded.due;
    INSERT INTO destinations (origin, due) VALUES (new.origin, new.due)
    ON CONFLICT DO UPDATE SET due = excluded.due WHERE due > excluded.due;
END;
