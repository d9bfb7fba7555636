-- Follow-ups without content by their messages, so that pages of history are whole; how long groups keep what is said.
-- Names and columns are those of the SQLite schema of the same number.

-- Reactions, recalls and what else is about an earlier message without adding to what it says (edits and parts of
-- streams stand in follow_up): a page of history brings them, wherever they stand. Those that were placed before there
-- was this table are not in it.
CREATE TABLE mark (
    conv   BINARY(16)      NOT NULL,
    target BIGINT UNSIGNED NOT NULL,
    seq    BIGINT UNSIGNED NOT NULL,
    PRIMARY KEY (conv, target, seq)
) ENGINE = InnoDB;

-- What the owner of a group has set: messages that are older (milliseconds), or that more than so many follow, go.
-- 0: as the deployment has it.
ALTER TABLE chat_group
    ADD COLUMN keep_age      BIGINT UNSIGNED NOT NULL DEFAULT 0,
    ADD COLUMN keep_messages BIGINT UNSIGNED NOT NULL DEFAULT 0;

-- Whose messages are to be emptied, and how far that has come: up to this place of this conversation, in the order of ids.
CREATE TABLE erasure (
    user BIGINT UNSIGNED NOT NULL PRIMARY KEY,
    conv VARBINARY(16)   NOT NULL DEFAULT '',
    seq  BIGINT UNSIGNED NOT NULL DEFAULT 0
) ENGINE = InnoDB;
