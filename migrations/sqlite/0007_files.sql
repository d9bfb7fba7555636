-- Files, their content, and the messages that they came with.
--
-- state: 1 it is being uploaded, 2 it is whole. blob: its content, also while it is uploaded; a name that this program
-- made and that is never used again. nonce: what a proof of having the content is made with, once. idle_since: since when
-- nothing has needed it (milliseconds since 1970): an upload that rests, a file that no message refers to; NULL as long as
-- one does.
CREATE TABLE file (
    id           BLOB    NOT NULL PRIMARY KEY,
    owner        INTEGER NOT NULL,
    conv         BLOB,
    name         TEXT    NOT NULL,
    content_type TEXT    NOT NULL,
    size         INTEGER NOT NULL,
    hash         BLOB    NOT NULL,
    encrypted    INTEGER NOT NULL,
    state        INTEGER NOT NULL,
    blob         BLOB    NOT NULL,
    nonce        BLOB,
    idle_since   INTEGER,
    created_at   INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX file_idle ON file (state, idle_since) WHERE idle_since IS NOT NULL;
CREATE INDEX file_content ON file (blob);

-- Content that is whole. Only what is shared is found by its hash.
CREATE TABLE file_blob (
    id     BLOB    NOT NULL PRIMARY KEY,
    hash   BLOB    NOT NULL,
    size   INTEGER NOT NULL,
    shared INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX file_blob_hash ON file_blob (hash, size) WHERE shared = 1;

-- Messages that came with a file, written when they were placed; gone when they were taken back.
CREATE TABLE file_use (
    file BLOB    NOT NULL,
    conv BLOB    NOT NULL,
    seq  INTEGER NOT NULL,
    PRIMARY KEY (file, conv, seq)
) STRICT, WITHOUT ROWID;
CREATE INDEX file_use_place ON file_use (conv, seq);

-- What each user's files take up; uploads: of these, the ones that are not whole.
CREATE TABLE file_usage (
    user    INTEGER NOT NULL PRIMARY KEY,
    bytes   INTEGER NOT NULL,
    files   INTEGER NOT NULL,
    uploads INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- Content that no row names any more, until it is removed where it rests.
CREATE TABLE file_trash (
    id BLOB NOT NULL PRIMARY KEY
) STRICT, WITHOUT ROWID;
