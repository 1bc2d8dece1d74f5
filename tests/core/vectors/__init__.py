"""Values that standards publish."""
