-- What has to be told to those who are connected, and whose teller may die before it has. A server that runs alone
-- leaves these empty: its clients end with it, and sync.

CREATE TABLE logged_out (
    id     INTEGER PRIMARY KEY AUTOINCREMENT,
    user   INTEGER NOT NULL,
    device BLOB,
    at     INTEGER NOT NULL
) STRICT;
CREATE INDEX logged_out_at ON logged_out (at);

CREATE TABLE untold (
    conv BLOB    NOT NULL,
    seq  INTEGER NOT NULL,
    at   INTEGER NOT NULL,
    PRIMARY KEY (conv, seq)
) STRICT, WITHOUT ROWID;
CREATE INDEX untold_at ON untold (at);
