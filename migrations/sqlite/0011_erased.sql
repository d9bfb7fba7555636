-- Devices of others are told when what a user said in a conversation has been emptied: by a row there, placed with the last
-- step. said: in the conversation that erasing has come to, something of theirs was found, and its row does not stand yet.
ALTER TABLE erasure ADD COLUMN said INTEGER NOT NULL DEFAULT 0;
