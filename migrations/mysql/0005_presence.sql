-- What of a user's coming and going others are shown; a row where there is anything to say.
-- seen_at: when a session ended last, or when they became invisible. changed_at: when anything of it changed that others
-- may be shown. Names and columns are those of the SQLite schema of the same number.
CREATE TABLE presence (
    user             BIGINT UNSIGNED  NOT NULL PRIMARY KEY,
    invisible        TINYINT UNSIGNED NOT NULL DEFAULT 0,
    last_seen_hidden TINYINT UNSIGNED NOT NULL DEFAULT 0,
    seen_at          BIGINT UNSIGNED  NOT NULL DEFAULT 0,
    changed_at       BIGINT UNSIGNED  NOT NULL DEFAULT 0,
    KEY presence_changed_at (changed_at)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4;

-- Who watches a friend learns soon that they are none any more.
ALTER TABLE relation ADD KEY relation_changed_at (changed_at);
