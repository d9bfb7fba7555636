-- Groups, their members, what waits for an answer; how users have conversations shown; follow-ups of messages.
-- Names and columns are those of the SQLite schema of the same number.

-- One row beside the conversation's (kind 3). revision: the row of its timeline with which it last changed.
-- join_mode: 1 open, 2 approval, 3 invitation.
CREATE TABLE chat_group (
    conv            BINARY(16)       NOT NULL PRIMARY KEY,
    handle          VARCHAR(64)      CHARACTER SET ascii COLLATE ascii_bin UNIQUE,
    name            VARCHAR(255)     NOT NULL,
    avatar          TEXT             NOT NULL,
    announcement    TEXT             NOT NULL,
    owner           BIGINT UNSIGNED  NOT NULL,
    join_mode       TINYINT UNSIGNED NOT NULL,
    listed          TINYINT UNSIGNED NOT NULL,
    history_for_all TINYINT UNSIGNED NOT NULL,
    member_limit    INT UNSIGNED     NOT NULL,
    size            INT UNSIGNED     NOT NULL,
    muted_until     BIGINT UNSIGNED  NOT NULL DEFAULT 0,
    revision        BIGINT UNSIGNED  NOT NULL DEFAULT 0,
    key_version     INT UNSIGNED     NOT NULL DEFAULT 1,
    created_at      BIGINT UNSIGNED  NOT NULL,
    dissolved_at    BIGINT UNSIGNED
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4;

-- Who is in a group, and who was: a row stays, and begins again when they come back.
-- since, until: the rows with which they came and went (until 0: they are in it). key_from: the first key version of
-- their time. role: 1 member, 2 admin, 3 owner. Cursors and counts stand in `member`, which is there with it.
CREATE TABLE group_member (
    conv        BINARY(16)       NOT NULL,
    user        BIGINT UNSIGNED  NOT NULL,
    role        TINYINT UNSIGNED NOT NULL,
    since       BIGINT UNSIGNED  NOT NULL,
    until       BIGINT UNSIGNED  NOT NULL DEFAULT 0,
    key_from    INT UNSIGNED     NOT NULL,
    key_to      INT UNSIGNED     NOT NULL DEFAULT 0,
    muted_until BIGINT UNSIGNED  NOT NULL DEFAULT 0,
    joined_at   BIGINT UNSIGNED  NOT NULL,
    PRIMARY KEY (conv, user),
    KEY group_member_role (conv, role)
) ENGINE = InnoDB;

-- kind: 1 they asked, 2 they are invited, 3 proposed by a member.
CREATE TABLE group_request (
    conv    BINARY(16)       NOT NULL,
    user    BIGINT UNSIGNED  NOT NULL,
    kind    TINYINT UNSIGNED NOT NULL,
    by_user BIGINT UNSIGNED  NOT NULL,
    message TEXT             NOT NULL,
    at      BIGINT UNSIGNED  NOT NULL,
    PRIMARY KEY (conv, user),
    KEY group_request_user (user, conv)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4;

-- What of a conversation one user sees: rows from `since` on, and up to `until` (0: without end). In groups also counts
-- for what is unread: own_total countable rows of the user's own so far; n_read and own_read at the read cursor.
ALTER TABLE member
    ADD COLUMN since     BIGINT UNSIGNED NOT NULL DEFAULT 1,
    ADD COLUMN until     BIGINT UNSIGNED NOT NULL DEFAULT 0,
    ADD COLUMN own_total BIGINT UNSIGNED NOT NULL DEFAULT 0,
    ADD COLUMN n_read    BIGINT UNSIGNED NOT NULL DEFAULT 0,
    ADD COLUMN own_read  BIGINT UNSIGNED NOT NULL DEFAULT 0;

-- How one user has a conversation shown; a row where something was ever changed.
CREATE TABLE setting (
    user              BIGINT UNSIGNED  NOT NULL,
    conv              BINARY(16)       NOT NULL,
    pinned_at         BIGINT UNSIGNED  NOT NULL DEFAULT 0,
    muted_until       BIGINT UNSIGNED  NOT NULL DEFAULT 0,
    archived          TINYINT UNSIGNED NOT NULL DEFAULT 0,
    draft_key_version INT UNSIGNED     NOT NULL DEFAULT 0,
    draft             BLOB             NOT NULL,
    cleared           BIGINT UNSIGNED  NOT NULL DEFAULT 0,
    hidden            BIGINT UNSIGNED  NOT NULL DEFAULT 0,
    changed_at        BIGINT UNSIGNED  NOT NULL,
    PRIMARY KEY (user, conv)
) ENGINE = InnoDB;

-- Follow-ups with content (edits, parts of streams), by the message that they are about: they go with it.
CREATE TABLE follow_up (
    conv   BINARY(16)      NOT NULL,
    target BIGINT UNSIGNED NOT NULL,
    seq    BIGINT UNSIGNED NOT NULL,
    PRIMARY KEY (conv, target, seq)
) ENGINE = InnoDB;
