"""What DNS says of a name, and how far it may be believed; names become addresses."""
