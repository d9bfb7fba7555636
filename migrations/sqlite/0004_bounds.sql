-- What is asked often, in a bounded number of steps.

-- By what searches find listed groups that stand: the name from each of its words on, and the handle, as
-- `groups/terms.rs` writes them. Groups from before get theirs from the program, when it applies this file.
CREATE TABLE group_term (
    term BLOB NOT NULL,
    conv BLOB NOT NULL,
    PRIMARY KEY (term, conv)
) STRICT, WITHOUT ROWID;

-- Which of its target's follow-ups with content this one is, from 1: so the last one says how many there are. 0: written by
-- a version that did not count; then they are counted.
ALTER TABLE follow_up ADD COLUMN nth INTEGER NOT NULL DEFAULT 0;

-- Who inherits a group: of each role the one who has been there longest.
CREATE INDEX group_member_heir ON group_member (conv, until, role, joined_at, user);
