-- Readable pictures: what cameras write into them is taken out, and what they look like is noted.
-- Names and columns are those of the SQLite schema of the same number.
--
-- keeps_metadata: it was announced to be kept as it comes. announced_hash, announced_size: what was announced and checked,
-- where what is kept (hash, size) is something else; NULL where it is the same. file_owner: one's own files, by age.
ALTER TABLE file
    ADD COLUMN keeps_metadata TINYINT UNSIGNED NOT NULL DEFAULT 0,
    ADD COLUMN announced_hash BINARY(32),
    ADD COLUMN announced_size BIGINT UNSIGNED,
    ADD KEY file_owner (owner, created_at, id);

-- What content looks like that is a picture; it goes with the content. width, height: pixels, 0 where not known.
-- thumbnail: a JPEG, or nothing.
CREATE TABLE file_picture (
    `blob`    BINARY(16)   NOT NULL PRIMARY KEY,
    width     INT UNSIGNED NOT NULL,
    height    INT UNSIGNED NOT NULL,
    blur_hash VARCHAR(255) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    thumbnail BLOB         NOT NULL
) ENGINE = InnoDB;
