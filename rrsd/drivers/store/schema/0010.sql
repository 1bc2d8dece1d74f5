-- Whose mailboxes the mail server delivers an address to that is no user's own.
CREATE INDEX jobs_granted ON jobs (granted) WHERE granted != '';
