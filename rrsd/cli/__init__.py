"""`rrsctl`, the command line: one file per verb, tables for people, JSON for programs."""
