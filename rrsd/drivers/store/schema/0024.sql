-- Waiting jobs stand in the order of their turns, and only there: a second order by origin cost every enqueue a page.
DROP INDEX jobs_waiting;
