-- Follow-ups without content by their messages, so that pages of history are whole; how long groups keep what is said.

-- Reactions, recalls and what else is about an earlier message without adding to what it says (edits and parts of
-- streams stand in follow_up): a page of history brings them, wherever they stand. Those that were placed before there
-- was this table are not in it.
CREATE TABLE mark (
    conv   BLOB    NOT NULL,
    target INTEGER NOT NULL,
    seq    INTEGER NOT NULL,
    PRIMARY KEY (conv, target, seq)
) STRICT, WITHOUT ROWID;

-- What the owner of a group has set: messages that are older (milliseconds), or that more than so many follow, go.
-- 0: as the deployment has it.
ALTER TABLE chat_group ADD COLUMN keep_age INTEGER NOT NULL DEFAULT 0;
ALTER TABLE chat_group ADD COLUMN keep_messages INTEGER NOT NULL DEFAULT 0;

-- Whose messages are to be emptied, and how far that has come: up to this place of this conversation, in the order of ids.
CREATE TABLE erasure (
    user INTEGER NOT NULL PRIMARY KEY,
    conv BLOB    NOT NULL DEFAULT x'',
    seq  INTEGER NOT NULL DEFAULT 0
) STRICT;
