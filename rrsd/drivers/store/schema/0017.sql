-- What has to be said about a message, and to whom it may be. `answerable` is whether its sender's address was proved
-- when it came; `said` what was said, as bits; `facts` counts what happened to it; `look` is when somebody looks next
-- whether there is anything to say, NULL for not before something happens.
ALTER TABLE messages ADD COLUMN answerable INTEGER NOT NULL DEFAULT 0;
ALTER TABLE messages ADD COLUMN said INTEGER NOT NULL DEFAULT 0;
ALTER TABLE messages ADD COLUMN facts INTEGER NOT NULL DEFAULT 0;
ALTER TABLE messages ADD COLUMN look REAL;
CREATE INDEX messages_look ON messages (look) WHERE look IS NOT NULL;

-- Notices of a kind are counted by whom they go to and whose messages they are about (`told`), and by domain.
ALTER TABLE notices ADD COLUMN kind TEXT NOT NULL DEFAULT '';
ALTER TABLE notices ADD COLUMN about INTEGER NOT NULL DEFAULT 0;
ALTER TABLE notices ADD COLUMN report TEXT NOT NULL DEFAULT '';
ALTER TABLE notices ADD COLUMN told TEXT NOT NULL DEFAULT '';
ALTER TABLE notices ADD COLUMN domain TEXT NOT NULL DEFAULT '';
CREATE INDEX notices_told ON notices (told, made) WHERE kind != '';
CREATE INDEX notices_domain ON notices (domain, made) WHERE kind != '';
