-- Groups, their members, what waits for an answer; how users have conversations shown; follow-ups of messages.

-- One row beside the conversation's (kind 3). revision: the row of its timeline with which it last changed.
-- join_mode: 1 open, 2 approval, 3 invitation.
CREATE TABLE chat_group (
    conv            BLOB    NOT NULL PRIMARY KEY,
    handle          TEXT,
    name            TEXT    NOT NULL,
    avatar          TEXT    NOT NULL DEFAULT '',
    announcement    TEXT    NOT NULL DEFAULT '',
    owner           INTEGER NOT NULL,
    join_mode       INTEGER NOT NULL,
    listed          INTEGER NOT NULL,
    history_for_all INTEGER NOT NULL,
    member_limit    INTEGER NOT NULL,
    size            INTEGER NOT NULL,
    muted_until     INTEGER NOT NULL DEFAULT 0,
    revision        INTEGER NOT NULL DEFAULT 0,
    key_version     INTEGER NOT NULL DEFAULT 1,
    created_at      INTEGER NOT NULL,
    dissolved_at    INTEGER
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX chat_group_handle ON chat_group (handle) WHERE handle IS NOT NULL;

-- Who is in a group, and who was: a row stays, and begins again when they come back.
-- since, until: the rows with which they came and went (until 0: they are in it). key_from: the first key version of
-- their time. role: 1 member, 2 admin, 3 owner. Cursors and counts stand in `member`, which is there with it.
CREATE TABLE group_member (
    conv        BLOB    NOT NULL,
    user        INTEGER NOT NULL,
    role        INTEGER NOT NULL,
    since       INTEGER NOT NULL,
    until       INTEGER NOT NULL DEFAULT 0,
    key_from    INTEGER NOT NULL,
    key_to      INTEGER NOT NULL DEFAULT 0,
    muted_until INTEGER NOT NULL DEFAULT 0,
    joined_at   INTEGER NOT NULL,
    PRIMARY KEY (conv, user)
) STRICT, WITHOUT ROWID;

-- Owner and admins, who are few: found without reading the members.
CREATE INDEX group_member_role ON group_member (conv, role) WHERE role > 1;

-- kind: 1 they asked, 2 they are invited, 3 proposed by a member.
CREATE TABLE group_request (
    conv    BLOB    NOT NULL,
    user    INTEGER NOT NULL,
    kind    INTEGER NOT NULL,
    by_user INTEGER NOT NULL,
    message TEXT    NOT NULL DEFAULT '',
    at      INTEGER NOT NULL,
    PRIMARY KEY (conv, user)
) STRICT, WITHOUT ROWID;
CREATE INDEX group_request_user ON group_request (user, conv);

-- What of a conversation one user sees: rows from `since` on, and up to `until` (0: without end). In groups also counts
-- for what is unread: own_total countable rows of the user's own so far; n_read and own_read at the read cursor.
ALTER TABLE member ADD COLUMN since INTEGER NOT NULL DEFAULT 1;
ALTER TABLE member ADD COLUMN until INTEGER NOT NULL DEFAULT 0;
ALTER TABLE member ADD COLUMN own_total INTEGER NOT NULL DEFAULT 0;
ALTER TABLE member ADD COLUMN n_read INTEGER NOT NULL DEFAULT 0;
ALTER TABLE member ADD COLUMN own_read INTEGER NOT NULL DEFAULT 0;

-- How one user has a conversation shown; a row where something was ever changed.
CREATE TABLE setting (
    user              INTEGER NOT NULL,
    conv              BLOB    NOT NULL,
    pinned_at         INTEGER NOT NULL DEFAULT 0,
    muted_until       INTEGER NOT NULL DEFAULT 0,
    archived          INTEGER NOT NULL DEFAULT 0,
    draft_key_version INTEGER NOT NULL DEFAULT 0,
    draft             BLOB    NOT NULL DEFAULT x'',
    cleared           INTEGER NOT NULL DEFAULT 0,
    hidden            INTEGER NOT NULL DEFAULT 0,
    changed_at        INTEGER NOT NULL,
    PRIMARY KEY (user, conv)
) STRICT, WITHOUT ROWID;

-- Follow-ups with content (edits, parts of streams), by the message that they are about: they go with it.
CREATE TABLE follow_up (
    conv   BLOB    NOT NULL,
    target INTEGER NOT NULL,
    seq    INTEGER NOT NULL,
    PRIMARY KEY (conv, target, seq)
) STRICT, WITHOUT ROWID;
