-- What has to be told to those who are connected, and whose teller may die before it has.

-- Devices that may not stay connected, for an hour. device NULL: the account was deleted.
CREATE TABLE logged_out (
    id     BIGINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY,
    user   BIGINT UNSIGNED NOT NULL,
    device BINARY(16),
    at     BIGINT UNSIGNED NOT NULL,
    KEY logged_out_at (at)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4;

-- Rows that a change placed itself, until they were announced. What came by the log is remembered there.
CREATE TABLE untold (
    conv BINARY(16)      NOT NULL,
    seq  BIGINT UNSIGNED NOT NULL,
    at   BIGINT UNSIGNED NOT NULL,
    PRIMARY KEY (conv, seq),
    KEY untold_at (at)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4;
