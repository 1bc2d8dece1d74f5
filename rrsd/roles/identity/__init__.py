"""Who speaks for a domain: what we publish about ours, and what others publish about theirs."""
