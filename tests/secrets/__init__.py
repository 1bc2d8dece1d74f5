"""Z-11: nothing secret stands in any log that the suite has written; `python -m tests.secrets _trial_temp` looks."""
