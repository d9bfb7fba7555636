-- Accounts, devices, relations, conversations and messages.
--
-- Ids of conversations, messages and devices are their 16 bytes; times are milliseconds since 1970; users are numbers
-- from 1. The private conversation, member and message rows of a change are written in the change's own transaction.

-- A deleted account keeps its row: the number is never used again, and the handle stays taken.
CREATE TABLE user (
    id                   INTEGER PRIMARY KEY AUTOINCREMENT,
    handle               TEXT    NOT NULL UNIQUE,
    display_name         TEXT    NOT NULL,
    avatar               TEXT    NOT NULL DEFAULT '',
    password_hash        TEXT,
    private_conversation BLOB    NOT NULL,
    created_at           INTEGER NOT NULL,
    deleted_at           INTEGER
) STRICT;

-- A row stands exactly as long as the device is logged in. Tokens rest as SHA-256.
CREATE TABLE device (
    user         INTEGER NOT NULL,
    id           BLOB    NOT NULL,
    platform     TEXT    NOT NULL,
    name         TEXT    NOT NULL,
    created_at   INTEGER NOT NULL,
    seen_at      INTEGER NOT NULL,
    refresh_hash BLOB,
    PRIMARY KEY (user, id)
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX device_refresh_hash ON device (refresh_hash) WHERE refresh_hash IS NOT NULL;

-- Refresh tokens that were exchanged, so that a copy is recognised when it is used. A bounded number for each device.
CREATE TABLE spent_token (
    hash      BLOB    NOT NULL PRIMARY KEY,
    user      INTEGER NOT NULL,
    device    BLOB    NOT NULL,
    successor BLOB    NOT NULL,
    spent_at  INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX spent_token_device ON spent_token (user, device, spent_at);

-- kind 1 direct: first < second are its users. kind 2 private: first is its owner, second is 0.
-- Up to and with floor, messages are gone.
CREATE TABLE conversation (
    id            BLOB    NOT NULL PRIMARY KEY,
    kind          INTEGER NOT NULL,
    first         INTEGER NOT NULL,
    second        INTEGER NOT NULL DEFAULT 0,
    friends       INTEGER NOT NULL DEFAULT 0,
    first_blocks  INTEGER NOT NULL DEFAULT 0,
    second_blocks INTEGER NOT NULL DEFAULT 0,
    floor         INTEGER NOT NULL DEFAULT 0,
    created_at    INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- Cursors. By user first: a sync walks one user's conversations in the order of their ids.
CREATE TABLE member (
    user      INTEGER NOT NULL,
    conv      BLOB    NOT NULL,
    delivered INTEGER NOT NULL DEFAULT 0,
    read      INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (user, conv)
) STRICT, WITHOUT ROWID;

-- Two rows for each pair, one as each side sees it. state: 0 none, 1 request sent, 2 request received, 3 friends.
CREATE TABLE relation (
    user       INTEGER NOT NULL,
    peer       INTEGER NOT NULL,
    state      INTEGER NOT NULL DEFAULT 0,
    blocks     INTEGER NOT NULL DEFAULT 0,
    greeting   TEXT    NOT NULL DEFAULT '',
    conv       BLOB,
    changed_at INTEGER NOT NULL,
    PRIMARY KEY (user, peer)
) STRICT, WITHOUT ROWID;

-- Conversation keys, wrapped by a master key; owner: conversation id, then version (4 bytes, big-endian).
CREATE TABLE relation_key (
    conv    BLOB    NOT NULL,
    version INTEGER NOT NULL,
    wrapped BLOB    NOT NULL,
    PRIMARY KEY (conv, version)
) STRICT, WITHOUT ROWID;

-- Messages in their places. A rowid table, so that rows append; the body last, so that nothing else of a row lies
-- behind a long one. These two unique keys and no other index: each one more costs every message.
CREATE TABLE message (
    conv        BLOB    NOT NULL,
    seq         INTEGER NOT NULL CHECK (seq > 0),
    sender      INTEGER NOT NULL,
    device      BLOB    NOT NULL,
    message_id  BLOB    NOT NULL,
    kind        INTEGER NOT NULL,
    key_version INTEGER NOT NULL,
    at          INTEGER NOT NULL,
    n           INTEGER NOT NULL,
    own         INTEGER NOT NULL,
    hash        BLOB    NOT NULL,
    body        BLOB    NOT NULL
) STRICT;
CREATE UNIQUE INDEX message_place ON message (conv, seq);
-- In this order: message ids begin with their time, so the index grows at its end.
CREATE UNIQUE INDEX message_identity ON message (message_id, conv, sender);
