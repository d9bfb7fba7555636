-- Accounts, devices, relations, conversations and messages.
--
-- Ids of conversations, messages and devices are their 16 bytes; times are milliseconds since 1970; users are numbers
-- from 1. The private conversation, member and message rows of a change are written in the change's own transaction.
-- Names and columns are those of the SQLite schema of the same number.

-- A deleted account keeps its row: the number is never used again, and the handle stays taken.
CREATE TABLE user (
    id                   BIGINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY,
    handle               VARCHAR(64)     CHARACTER SET ascii COLLATE ascii_bin NOT NULL UNIQUE,
    display_name         TEXT            NOT NULL,
    avatar               TEXT            NOT NULL,
    password_hash        TEXT,
    private_conversation BINARY(16)      NOT NULL,
    created_at           BIGINT UNSIGNED NOT NULL,
    deleted_at           BIGINT UNSIGNED
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4;

-- A row stands exactly as long as the device is logged in. Tokens rest as SHA-256.
CREATE TABLE device (
    user         BIGINT UNSIGNED NOT NULL,
    id           BINARY(16)      NOT NULL,
    platform     TEXT            NOT NULL,
    name         TEXT            NOT NULL,
    created_at   BIGINT UNSIGNED NOT NULL,
    seen_at      BIGINT UNSIGNED NOT NULL,
    refresh_hash BINARY(32)      UNIQUE,
    PRIMARY KEY (user, id)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4;

-- Refresh tokens that were exchanged, so that a copy is recognised when it is used. A bounded number for each device.
CREATE TABLE spent_token (
    hash      BINARY(32)      NOT NULL PRIMARY KEY,
    user      BIGINT UNSIGNED NOT NULL,
    device    BINARY(16)      NOT NULL,
    successor BINARY(32)      NOT NULL,
    spent_at  BIGINT UNSIGNED NOT NULL,
    KEY spent_token_device (user, device, spent_at)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4;

-- kind 1 direct: first < second are its users. kind 2 private: first is its owner, second is 0.
-- Up to and with floor, messages are gone.
CREATE TABLE conversation (
    id            BINARY(16)       NOT NULL PRIMARY KEY,
    kind          TINYINT UNSIGNED NOT NULL,
    first         BIGINT UNSIGNED  NOT NULL,
    second        BIGINT UNSIGNED  NOT NULL DEFAULT 0,
    friends       TINYINT UNSIGNED NOT NULL DEFAULT 0,
    first_blocks  TINYINT UNSIGNED NOT NULL DEFAULT 0,
    second_blocks TINYINT UNSIGNED NOT NULL DEFAULT 0,
    floor         BIGINT UNSIGNED  NOT NULL DEFAULT 0,
    created_at    BIGINT UNSIGNED  NOT NULL
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4;

-- Cursors. By user first: a sync walks one user's conversations in the order of their ids.
CREATE TABLE member (
    user      BIGINT UNSIGNED NOT NULL,
    conv      BINARY(16)      NOT NULL,
    delivered BIGINT UNSIGNED NOT NULL DEFAULT 0,
    `read`    BIGINT UNSIGNED NOT NULL DEFAULT 0,
    PRIMARY KEY (user, conv)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4;

-- Two rows for each pair, one as each side sees it. state: 0 none, 1 request sent, 2 request received, 3 friends.
CREATE TABLE relation (
    user       BIGINT UNSIGNED  NOT NULL,
    peer       BIGINT UNSIGNED  NOT NULL,
    state      TINYINT UNSIGNED NOT NULL DEFAULT 0,
    blocks     TINYINT UNSIGNED NOT NULL DEFAULT 0,
    greeting   TEXT             NOT NULL,
    conv       BINARY(16),
    changed_at BIGINT UNSIGNED  NOT NULL,
    PRIMARY KEY (user, peer)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4;

-- Conversation keys, wrapped by a master key; owner: conversation id, then version (4 bytes, big-endian).
CREATE TABLE relation_key (
    conv    BINARY(16)     NOT NULL,
    version INT UNSIGNED   NOT NULL,
    wrapped VARBINARY(255) NOT NULL,
    PRIMARY KEY (conv, version)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4;

-- Messages in their places: clustered by (conv, seq), so that a range of a conversation is one range of pages. These
-- two unique keys and no other index: each one more costs every message. conv is in both, so that the table can be
-- partitioned by it (migrations/README.md).
CREATE TABLE message (
    conv        BINARY(16)      NOT NULL,
    seq         BIGINT UNSIGNED NOT NULL,
    sender      BIGINT UNSIGNED NOT NULL,
    device      BINARY(16)      NOT NULL,
    message_id  BINARY(16)      NOT NULL,
    kind        INT UNSIGNED    NOT NULL,
    key_version INT UNSIGNED    NOT NULL,
    at          BIGINT UNSIGNED NOT NULL,
    n           BIGINT UNSIGNED NOT NULL,
    own         BIGINT UNSIGNED NOT NULL,
    hash        BINARY(32)      NOT NULL,
    body        MEDIUMBLOB      NOT NULL,
    PRIMARY KEY (conv, seq),
    -- In this order: message ids begin with their time, so the index grows at its end.
    UNIQUE KEY message_identity (message_id, conv, sender)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4;
