//! The tables, in the order in which they are copied, with all their columns: the key's first. What each statement says
//! of them. A test compares this with the schemas.

use super::value::Value;

/// What a column holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Number,
    /// A time that may be "for good": the largest number, which SQLite cannot hold and has its own largest for.
    Until,
    /// So many bytes: MySQL would fill up what is shorter, so the length is checked on reading.
    Fixed(usize),
    Bytes,
    Text,
}

/// A column.
#[derive(Debug)]
pub(super) struct Column {
    pub(super) name: &'static str,
    pub(super) kind: Kind,
    pub(super) nullable: bool,
}

/// A table.
#[derive(Debug)]
pub(super) struct Table {
    pub(super) name: &'static str,
    pub(super) columns: &'static [Column],
    /// Columns of the primary key: the first ones.
    pub(super) key: usize,
}

const fn column(name: &'static str, kind: Kind) -> Column {
    Column { name, kind, nullable: false }
}

const fn number(name: &'static str) -> Column {
    column(name, Kind::Number)
}

const fn until(name: &'static str) -> Column {
    column(name, Kind::Until)
}

const fn id(name: &'static str) -> Column {
    column(name, Kind::Fixed(16))
}

const fn hash(name: &'static str) -> Column {
    column(name, Kind::Fixed(32))
}

const fn bytes(name: &'static str) -> Column {
    column(name, Kind::Bytes)
}

const fn text(name: &'static str) -> Column {
    column(name, Kind::Text)
}

const fn or_null(column: Column) -> Column {
    Column { name: column.name, kind: column.kind, nullable: true }
}

/// Accounts first, so that a target that belongs to others is noticed at once; messages last, because they are the most.
pub(super) const TABLES: &[Table] = &[
    Table {
        name: "user",
        columns: &[
            number("id"),
            text("handle"),
            text("display_name"),
            text("avatar"),
            or_null(text("password_hash")),
            id("private_conversation"),
            number("created_at"),
            or_null(number("deleted_at")),
        ],
        key: 1,
    },
    Table {
        name: "device",
        columns: &[
            number("user"),
            id("id"),
            text("platform"),
            text("name"),
            number("created_at"),
            number("seen_at"),
            or_null(hash("refresh_hash")),
        ],
        key: 2,
    },
    Table {
        name: "spent_token",
        columns: &[hash("hash"), number("user"), id("device"), hash("successor"), number("spent_at")],
        key: 1,
    },
    Table {
        name: "conversation",
        columns: &[
            id("id"),
            number("kind"),
            number("first"),
            number("second"),
            number("friends"),
            number("first_blocks"),
            number("second_blocks"),
            number("floor"),
            number("created_at"),
        ],
        key: 1,
    },
    Table {
        name: "member",
        columns: &[
            number("user"),
            id("conv"),
            number("delivered"),
            number("read"),
            number("since"),
            number("until"),
            number("own_total"),
            number("n_read"),
            number("own_read"),
        ],
        key: 2,
    },
    Table {
        name: "relation",
        columns: &[
            number("user"),
            number("peer"),
            number("state"),
            number("blocks"),
            text("greeting"),
            or_null(id("conv")),
            number("changed_at"),
        ],
        key: 2,
    },
    Table { name: "relation_key", columns: &[id("conv"), number("version"), bytes("wrapped")], key: 2 },
    Table {
        name: "chat_group",
        columns: &[
            id("conv"),
            or_null(text("handle")),
            text("name"),
            text("avatar"),
            text("announcement"),
            number("owner"),
            number("join_mode"),
            number("listed"),
            number("history_for_all"),
            number("member_limit"),
            number("size"),
            until("muted_until"),
            number("revision"),
            number("key_version"),
            number("created_at"),
            or_null(number("dissolved_at")),
            number("keep_age"),
            number("keep_messages"),
        ],
        key: 1,
    },
    Table {
        name: "group_member",
        columns: &[
            id("conv"),
            number("user"),
            number("role"),
            number("since"),
            number("until"),
            number("key_from"),
            number("key_to"),
            until("muted_until"),
            number("joined_at"),
        ],
        key: 2,
    },
    Table {
        name: "member_span",
        columns: &[
            number("user"),
            id("conv"),
            number("until"),
            number("since"),
            number("came"),
            number("key_from"),
            number("key_to"),
            number("delivered"),
            number("read"),
        ],
        key: 3,
    },
    Table {
        name: "group_request",
        columns: &[id("conv"), number("user"), number("kind"), number("by_user"), text("message"), number("at")],
        key: 2,
    },
    Table { name: "group_term", columns: &[bytes("term"), id("conv")], key: 2 },
    Table {
        name: "setting",
        columns: &[
            number("user"),
            id("conv"),
            number("pinned_at"),
            until("muted_until"),
            number("archived"),
            number("draft_key_version"),
            bytes("draft"),
            number("cleared"),
            number("hidden"),
            number("changed_at"),
        ],
        key: 2,
    },
    Table { name: "follow_up", columns: &[id("conv"), number("target"), number("seq"), number("nth")], key: 3 },
    Table {
        name: "presence",
        columns: &[
            number("user"),
            number("invisible"),
            number("last_seen_hidden"),
            number("seen_at"),
            number("changed_at"),
        ],
        key: 1,
    },
    Table { name: "erasure", columns: &[number("user"), bytes("conv"), number("seq"), number("said")], key: 1 },
    Table { name: "mark", columns: &[id("conv"), number("target"), number("seq")], key: 3 },
    Table {
        name: "file",
        columns: &[
            id("id"),
            number("owner"),
            or_null(id("conv")),
            text("name"),
            text("content_type"),
            number("size"),
            hash("hash"),
            number("encrypted"),
            number("state"),
            id("blob"),
            or_null(id("nonce")),
            or_null(number("idle_since")),
            number("created_at"),
            number("keeps_metadata"),
            or_null(hash("announced_hash")),
            or_null(number("announced_size")),
        ],
        key: 1,
    },
    Table { name: "file_blob", columns: &[id("id"), hash("hash"), number("size"), number("shared")], key: 1 },
    Table {
        name: "file_picture",
        columns: &[id("blob"), number("width"), number("height"), text("blur_hash"), bytes("thumbnail")],
        key: 1,
    },
    Table { name: "file_use", columns: &[id("file"), id("conv"), number("seq")], key: 3 },
    Table {
        name: "file_usage",
        columns: &[number("user"), number("bytes"), number("files"), number("uploads")],
        key: 1,
    },
    Table { name: "file_trash", columns: &[id("id")], key: 1 },
    Table {
        name: "message",
        columns: &[
            id("conv"),
            number("seq"),
            number("sender"),
            id("device"),
            id("message_id"),
            number("kind"),
            number("key_version"),
            number("at"),
            number("n"),
            number("own"),
            hash("hash"),
            bytes("body"),
        ],
        key: 2,
    },
];

/// What a standalone server leaves empty, and a cluster that serves does not: none may hold a row.
pub(super) const EMPTY: &[&str] = &["logged_out", "untold"];

/// What the target makes itself of what is copied: its archivers take the texts up.
#[cfg(test)]
pub(super) const MADE_ANEW: &[&str] = &["message_text", "message_word", "text_walk"];

impl Table {
    /// Both engines read names between these marks.
    fn names(&self, columns: &[Column]) -> String {
        let names: Vec<String> = columns.iter().map(|column| format!("`{}`", column.name)).collect();
        names.join(", ")
    }

    fn key_names(&self) -> String {
        self.names(&self.columns[..self.key])
    }

    /// The next rows, of SQLite. Values: the key, if `after`; the limit.
    pub(super) fn read_sqlite(&self, after: bool) -> String {
        let (name, columns, key) = (self.name, self.names(self.columns), self.key_names());
        let marks = vec!["?"; self.key].join(", ");
        let beyond = if after { format!("WHERE ({key}) > ({marks})") } else { String::new() };
        format!("SELECT {columns} FROM `{name}` {beyond} ORDER BY {key} LIMIT ?")
    }

    /// The next rows, of MySQL, which seeks by this form of the condition and not by the shorter one. Values: those of
    /// [`Table::after`], if `after`; the limit.
    pub(super) fn read_mysql(&self, after: bool) -> String {
        let (name, columns, key) = (self.name, self.names(self.columns), self.key_names());
        let beyond = match &self.columns[..self.key] {
            _ if !after => String::new(),
            [Column { name: one, .. }, Column { name: two, .. }] => {
                format!("WHERE `{one}` > ? OR (`{one}` = ? AND `{two}` > ?)")
            }
            [Column { name: one, .. }, Column { name: two, .. }, Column { name: three, .. }] => format!(
                "WHERE `{one}` > ? OR (`{one}` = ? AND `{two}` > ?) OR (`{one}` = ? AND `{two}` = ? AND `{three}` > ?)"
            ),
            _ => format!("WHERE {key} > ?"),
        };
        format!("SELECT {columns} FROM `{name}` FORCE INDEX (PRIMARY) {beyond} ORDER BY {key} LIMIT ?")
    }

    /// The values that [`Table::read_mysql`] compares with.
    pub(super) fn after<'a>(&self, key: &'a [Value]) -> Vec<&'a Value> {
        match key {
            [one, two] => vec![one, one, two],
            [one, two, three] => vec![one, one, two, one, two, three],
            key => key.iter().collect(),
        }
    }

    /// So many new rows.
    pub(super) fn insert(&self, rows: usize) -> String {
        let row = format!("({})", vec!["?"; self.columns.len()].join(", "));
        format!("INSERT INTO `{}` ({}) VALUES {}", self.name, self.names(self.columns), vec![row; rows].join(", "))
    }
}
