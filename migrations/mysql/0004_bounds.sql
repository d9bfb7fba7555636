-- What is asked often, in a bounded number of steps.
-- Names and columns are those of the SQLite schema of the same number.

-- By what searches find listed groups that stand: the name from each of its words on, and the handle, as
-- `groups/terms.rs` writes them. Groups from before get theirs from the program, when it applies this file.
CREATE TABLE group_term (
    term VARBINARY(400) NOT NULL,
    conv BINARY(16)     NOT NULL,
    PRIMARY KEY (term, conv)
) ENGINE = InnoDB;

-- Which of its target's follow-ups with content this one is, from 1: so the last one says how many there are. 0: written by
-- a version that did not count; then they are counted.
ALTER TABLE follow_up ADD COLUMN nth INT UNSIGNED NOT NULL DEFAULT 0;

-- Who inherits a group: of each role the one who has been there longest.
ALTER TABLE group_member ADD KEY group_member_heir (conv, until, role, joined_at, user);
