-- The times of members before the present one, so that who comes back to a group sees what was said in them.

-- One row for each time that has ended and was followed by another; the present or last one stands in member and
-- group_member. since, until: the first row of it that the user sees and the one with which they left, as in member.
-- came: the row with which they came, as group_member's since. key_from, key_to: the versions of the group's key of that
-- time. delivered, read: how far they had got when it was over.
CREATE TABLE member_span (
    user      INTEGER NOT NULL,
    conv      BLOB    NOT NULL,
    until     INTEGER NOT NULL,
    since     INTEGER NOT NULL,
    came      INTEGER NOT NULL,
    key_from  INTEGER NOT NULL,
    key_to    INTEGER NOT NULL,
    delivered INTEGER NOT NULL,
    read      INTEGER NOT NULL,
    PRIMARY KEY (user, conv, until)
) STRICT, WITHOUT ROWID;
-- To whom a row was said.
CREATE INDEX member_span_conv ON member_span (conv, until);
