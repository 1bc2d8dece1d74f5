"""The versions of the database schema; file NNNN.sql leads from version NNNN-1 to NNNN."""
