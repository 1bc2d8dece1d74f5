-- The name under which the next server was offered the message for this recipient, '' once it is known to have it.
ALTER TABLE passages ADD COLUMN delivery TEXT NOT NULL DEFAULT '';
