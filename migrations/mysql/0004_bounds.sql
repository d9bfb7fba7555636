-- What is asked often, in a bounded number of steps.
-- Names and columns are those of the SQLite schema of the same number.

-- By what searches find listed groups that stand: the name from each of its words on, and the handle, as
-- `groups/terms.rs` writes them. Groups from before get theirs from the program, when it applies this file.
CREATE TABLE group_term (
    term VARBINARY(400) NOT NULL,
    conv BINARY(16)     NOT NULL,
    PRIMARY KEY (term, conv)
) ENGINE = InnoDB;
