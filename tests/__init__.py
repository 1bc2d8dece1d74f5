"""Tests; the folders mirror rrsd/."""
