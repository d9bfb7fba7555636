-- The times of members before the present one, so that who comes back to a group sees what was said in them.
-- Names and columns are those of the SQLite schema of the same number.

-- One row for each time that has ended and was followed by another; the present or last one stands in member and
-- group_member. since, until: the first row of it that the user sees and the one with which they left, as in member.
-- came: the row with which they came, as group_member's since. key_from, key_to: the versions of the group's key of that
-- time. delivered, read: how far they had got when it was over. member_span_conv finds to whom a row was said.
CREATE TABLE member_span (
    user      BIGINT UNSIGNED NOT NULL,
    conv      BINARY(16)      NOT NULL,
    until     BIGINT UNSIGNED NOT NULL,
    since     BIGINT UNSIGNED NOT NULL,
    came      BIGINT UNSIGNED NOT NULL,
    key_from  INT UNSIGNED    NOT NULL,
    key_to    INT UNSIGNED    NOT NULL,
    delivered BIGINT UNSIGNED NOT NULL,
    `read`    BIGINT UNSIGNED NOT NULL,
    PRIMARY KEY (user, conv, until),
    KEY member_span_conv (conv, until)
) ENGINE = InnoDB;
