"""`rrsctl mail`: what the mail servers of this host must be told, and whether they were."""
