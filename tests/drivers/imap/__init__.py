"""Tests for rrsd.drivers.imap."""
