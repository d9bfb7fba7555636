-- Files, their content, and the messages that they came with.
-- Names and columns are those of the SQLite schema of the same number.
--
-- state: 1 it is being uploaded, 2 it is whole. blob: its content, also while it is uploaded; a name that this program
-- made and that is never used again. nonce: what a proof of having the content is made with, once. idle_since: since when
-- nothing has needed it (milliseconds since 1970): an upload that rests, a file that no message refers to; NULL as long as
-- one does.
CREATE TABLE file (
    id           BINARY(16)       NOT NULL PRIMARY KEY,
    owner        BIGINT UNSIGNED  NOT NULL,
    conv         BINARY(16),
    name         TEXT             NOT NULL,
    content_type VARCHAR(127)     CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    size         BIGINT UNSIGNED  NOT NULL,
    hash         BINARY(32)       NOT NULL,
    encrypted    TINYINT UNSIGNED NOT NULL,
    state        TINYINT UNSIGNED NOT NULL,
    `blob`       BINARY(16)       NOT NULL,
    nonce        BINARY(16),
    idle_since   BIGINT UNSIGNED,
    created_at   BIGINT UNSIGNED  NOT NULL,
    KEY file_idle (state, idle_since),
    KEY file_content (`blob`)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4;

-- Content that is whole. Only what is shared is found by its hash.
CREATE TABLE file_blob (
    id     BINARY(16)       NOT NULL PRIMARY KEY,
    hash   BINARY(32)       NOT NULL,
    size   BIGINT UNSIGNED  NOT NULL,
    shared TINYINT UNSIGNED NOT NULL,
    KEY file_blob_hash (hash, size)
) ENGINE = InnoDB;

-- Messages that came with a file, written when they were placed; gone when they were taken back.
CREATE TABLE file_use (
    file BINARY(16)      NOT NULL,
    conv BINARY(16)      NOT NULL,
    seq  BIGINT UNSIGNED NOT NULL,
    PRIMARY KEY (file, conv, seq),
    KEY file_use_place (conv, seq)
) ENGINE = InnoDB;

-- What each user's files take up; uploads: of these, the ones that are not whole.
CREATE TABLE file_usage (
    user    BIGINT UNSIGNED NOT NULL PRIMARY KEY,
    bytes   BIGINT UNSIGNED NOT NULL,
    files   BIGINT UNSIGNED NOT NULL,
    uploads BIGINT UNSIGNED NOT NULL
) ENGINE = InnoDB;

-- Content that no row names any more, until it is removed where it rests.
CREATE TABLE file_trash (
    id BINARY(16) NOT NULL PRIMARY KEY
) ENGINE = InnoDB;
