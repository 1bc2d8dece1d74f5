"""The IMAP server of the mailboxes on this host."""
