-- What is asked often, in a bounded number of steps.

-- By what searches find listed groups that stand: the name from each of its words on, and the handle, as
-- `groups/terms.rs` writes them. Groups from before get theirs from the program, when it applies this file.
CREATE TABLE group_term (
    term BLOB NOT NULL,
    conv BLOB NOT NULL,
    PRIMARY KEY (term, conv)
) STRICT, WITHOUT ROWID;
