//! Values on their way from one engine to the other, and the names of rows in sentences: by their keys, never by what
//! they hold.

use std::fmt::Write;

use rusqlite::types::{ToSqlOutput, ValueRef};
use sqlx::Row as _;
use sqlx::mysql::{MySqlArguments, MySqlRow};
use sqlx::query::Query;
use uuid::Uuid;

use super::table::{Column, Kind, Table};

/// A value. No `Debug`: tokens' hashes and wrapped keys pass here.
#[derive(Clone, PartialEq, Eq)]
pub(super) enum Value {
    Null,
    Number(u64),
    Bytes(Box<[u8]>),
    Text(Box<str>),
}

/// A row's values, in the order of the table's columns.
pub(super) type Row = Box<[Value]>;

/// The first values of a row, by which it is found.
pub(super) type Key = Box<[Value]>;

pub(super) type MySqlQuery<'q> = Query<'q, sqlx::MySql, MySqlArguments>;

impl Value {
    /// Bytes that it takes, about.
    pub(super) fn len(&self) -> usize {
        match self {
            Value::Null | Value::Number(_) => 8,
            Value::Bytes(bytes) => bytes.len(),
            Value::Text(text) => text.len(),
        }
    }

    /// From SQLite; `Err` says what is wrong with it.
    pub(super) fn of_sqlite(column: &Column, stored: ValueRef<'_>) -> Result<Self, &'static str> {
        let value = match stored {
            ValueRef::Null => Value::Null,
            ValueRef::Integer(i64::MAX) if column.kind == Kind::Until => Value::Number(u64::MAX),
            ValueRef::Integer(number) => Value::Number(u64::try_from(number).map_err(|_| "a number below 0")?),
            ValueRef::Real(_) => return Err("a fraction"),
            ValueRef::Blob(bytes) => Value::Bytes(bytes.into()),
            ValueRef::Text(text) => {
                Value::Text(std::str::from_utf8(text).map_err(|_| "a text that is not UTF-8")?.into())
            }
        };
        value.fits(column)
    }

    /// From MySQL.
    pub(super) fn of_mysql(column: &Column, row: &MySqlRow, index: usize) -> Result<Self, sqlx::Error> {
        let value = match column.kind {
            Kind::Number | Kind::Until => row.try_get::<Option<u64>, _>(index)?.map(Value::Number),
            Kind::Fixed(_) | Kind::Bytes => {
                row.try_get::<Option<&[u8]>, _>(index)?.map(|bytes| Value::Bytes(bytes.into()))
            }
            Kind::Text => row.try_get::<Option<&str>, _>(index)?.map(|text| Value::Text(text.into())),
        };
        Ok(value.unwrap_or(Value::Null))
    }

    fn fits(self, column: &Column) -> Result<Self, &'static str> {
        match (column.kind, &self) {
            (_, Value::Null) if column.nullable => Ok(self),
            (Kind::Fixed(len), Value::Bytes(bytes)) if bytes.len() != len => Err("bytes of another length"),
            (Kind::Number | Kind::Until, Value::Number(_))
            | (Kind::Fixed(_) | Kind::Bytes, Value::Bytes(_))
            | (Kind::Text, Value::Text(_)) => Ok(self),
            _ => Err("a value of another kind"),
        }
    }

    pub(super) fn bind<'q>(&'q self, query: MySqlQuery<'q>) -> MySqlQuery<'q> {
        match self {
            Value::Null => query.bind(None::<u64>),
            Value::Number(number) => query.bind(*number),
            Value::Bytes(bytes) => query.bind(&**bytes),
            Value::Text(text) => query.bind(&**text),
        }
    }
}

impl rusqlite::ToSql for Value {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(match self {
            Value::Null => ValueRef::Null,
            Value::Number(number) => ValueRef::Integer(i64::try_from(*number).unwrap_or(i64::MAX)),
            Value::Bytes(bytes) => ValueRef::Blob(bytes),
            Value::Text(text) => ValueRef::Text(text.as_bytes()),
        }))
    }
}

impl Table {
    /// A row's key.
    pub(super) fn key_of(&self, row: &[Value]) -> Key {
        row[..self.key].into()
    }

    /// What a row is called: `message (conv 0190…, seq 7)`.
    pub(super) fn name_of(&self, row: &[Value]) -> String {
        let mut name = format!("{} (", self.name);
        for (index, (column, value)) in self.columns[..self.key].iter().zip(row).enumerate() {
            let between = if index == 0 { "" } else { ", " };
            // Writing to a text cannot fail.
            let _ = write!(name, "{between}{} {}", column.name, shown(value));
        }
        name.push(')');
        name
    }

    /// The names of the columns in which two rows of one key differ.
    pub(super) fn differences(&self, one: &[Value], two: &[Value]) -> String {
        let differ = self.columns.iter().zip(one.iter().zip(two)).filter(|(_, (one, two))| one != two);
        differ.map(|(column, _)| column.name).collect::<Vec<_>>().join(", ")
    }
}

fn shown(value: &Value) -> String {
    match value {
        Value::Null => "nothing".to_owned(),
        Value::Number(number) => number.to_string(),
        Value::Bytes(bytes) => match Uuid::from_slice(bytes) {
            Ok(uuid) => uuid.to_string(),
            Err(_) => bytes.iter().map(|byte| format!("{byte:02x}")).collect(),
        },
        Value::Text(text) => text.to_string(),
    }
}
