-- What messages say, where it is readable, and by what searches find it.

-- A row for a message whose body is readable and says something, as it is now: with its edits, with all of a stream so far.
-- Written when it is placed; gone when it is taken back or not kept any more. id: `at` * 2^20 and a number of its own, so
-- that newer messages stand behind older ones, also those from before there was this table, which the archiver takes up.
CREATE TABLE message_text (
    id     INTEGER NOT NULL PRIMARY KEY,
    conv   BLOB    NOT NULL,
    seq    INTEGER NOT NULL,
    sender INTEGER NOT NULL,
    kind   INTEGER NOT NULL,
    at     INTEGER NOT NULL,
    text   TEXT    NOT NULL
) STRICT;
-- With `id` behind it: a conversation's texts in their order.
CREATE INDEX message_text_conv ON message_text (conv);

-- The pieces of each text, and its conversation and sender, as words (`search/words.rs`). It holds no text: what is
-- deleted is named with its words.
CREATE VIRTUAL TABLE message_word USING fts5 (words, content = '', detail = 'none', columnsize = 0, tokenize = 'ascii');

-- Up to which message of which conversation, in the order of ids, texts were taken up from before there was this table.
-- Without a row it has not begun.
CREATE TABLE text_walk (
    id   INTEGER NOT NULL PRIMARY KEY,
    conv BLOB    NOT NULL,
    seq  INTEGER NOT NULL,
    done INTEGER NOT NULL
) STRICT;
