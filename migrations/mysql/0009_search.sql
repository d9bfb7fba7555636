-- What messages say, where it is readable, and by what searches find it.
-- Names and columns are those of the SQLite schema of the same number, but for the words.

-- A row for a message whose body is readable and says something, as it is now: with its edits, with all of a stream so far.
-- Written when it is placed; gone when it is taken back or not kept any more. words: the pieces of the text, its
-- conversation and its sender, as words of ASCII letters and digits (`search/words.rs`): the server's own rules for what
-- a word is (n-grams, stopwords, collations) have no say.
CREATE TABLE message_text (
    conv   BINARY(16)      NOT NULL,
    at     BIGINT UNSIGNED NOT NULL,
    seq    BIGINT UNSIGNED NOT NULL,
    sender BIGINT UNSIGNED NOT NULL,
    kind   INT UNSIGNED    NOT NULL,
    text   MEDIUMBLOB      NOT NULL,
    words  MEDIUMTEXT      CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    PRIMARY KEY (conv, at, seq),
    FULLTEXT KEY message_text_words (words)
) ENGINE = InnoDB;

-- Up to which message of which conversation, in the order of ids, texts were taken up from before there was this table.
-- Without a row it has not begun.
CREATE TABLE text_walk (
    id   TINYINT UNSIGNED NOT NULL PRIMARY KEY,
    conv VARBINARY(16)    NOT NULL,
    seq  BIGINT UNSIGNED  NOT NULL,
    done TINYINT UNSIGNED NOT NULL
) ENGINE = InnoDB;
