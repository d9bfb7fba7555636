-- Readable pictures: what cameras write into them is taken out, and what they look like is noted.
--
-- keeps_metadata: it was announced to be kept as it comes. announced_hash, announced_size: what was announced and checked,
-- where what is kept (hash, size) is something else; NULL where it is the same.
ALTER TABLE file ADD COLUMN keeps_metadata INTEGER NOT NULL DEFAULT 0;
ALTER TABLE file ADD COLUMN announced_hash BLOB;
ALTER TABLE file ADD COLUMN announced_size INTEGER;
-- One's own files, by age.
CREATE INDEX file_owner ON file (owner, created_at, id);

-- What content looks like that is a picture; it goes with the content. width, height: pixels, 0 where not known.
-- thumbnail: a JPEG, or nothing.
CREATE TABLE file_picture (
    blob      BLOB    NOT NULL PRIMARY KEY,
    width     INTEGER NOT NULL,
    height    INTEGER NOT NULL,
    blur_hash TEXT    NOT NULL,
    thumbnail BLOB    NOT NULL
) STRICT, WITHOUT ROWID;
