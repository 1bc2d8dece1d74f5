"""Tests of the command line, against servers of the standard library in threads."""
