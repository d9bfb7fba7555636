-- What of a user's coming and going others are shown; a row where there is anything to say.
-- seen_at: when a session ended last, or when they became invisible. changed_at: when anything of it changed that others
-- may be shown.
CREATE TABLE presence (
    user             INTEGER NOT NULL PRIMARY KEY,
    invisible        INTEGER NOT NULL DEFAULT 0,
    last_seen_hidden INTEGER NOT NULL DEFAULT 0,
    seen_at          INTEGER NOT NULL DEFAULT 0,
    changed_at       INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE INDEX presence_changed_at ON presence (changed_at);

-- Who watches a friend learns soon that they are none any more.
CREATE INDEX relation_changed_at ON relation (changed_at);
