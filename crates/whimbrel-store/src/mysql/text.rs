//! Statements of any length, written out: ids and bodies as hexadecimal literals, numbers as digits, so that nothing of a
//! value is ever read as a word of the language. What has no fixed length goes this way and not by prepared statements,
//! which would be one for each length on each connection; and several statements share one packet, one round trip.

use futures_util::TryStreamExt;
use sqlx::mysql::{MySqlConnection, MySqlRow};
use sqlx::{AssertSqlSafe, Either};

/// A text in the making.
#[derive(Debug, Default)]
pub(super) struct Text(String);

impl Text {
    pub(super) fn new(words: &'static str) -> Self {
        Self(words.to_owned())
    }

    /// With room for so many bytes.
    pub(super) fn with_capacity(bytes: usize) -> Self {
        Self(String::with_capacity(bytes))
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Its bytes.
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// Another text behind it.
    pub(super) fn append(&mut self, other: &Self) -> &mut Self {
        self.0.push_str(&other.0);
        self
    }

    /// Words of this program.
    pub(super) fn words(&mut self, words: &'static str) -> &mut Self {
        self.0.push_str(words);
        self
    }

    pub(super) fn number(&mut self, number: u64) -> &mut Self {
        let (mut digits, mut at, mut rest) = ([0_u8; 20], 20, number);
        loop {
            at -= 1;
            digits[at] = b'0' + (rest % 10) as u8;
            rest /= 10;
            if rest == 0 {
                break;
            }
        }
        self.0.extend(digits[at..].iter().map(|digit| char::from(*digit)));
        self
    }

    /// Letters and digits of ASCII, and spaces; nothing else goes in.
    pub(super) fn letters(&mut self, letters: &str) -> &mut Self {
        self.0.extend(letters.chars().filter(|letter| letter.is_ascii_alphanumeric() || *letter == ' '));
        self
    }

    pub(super) fn bytes(&mut self, bytes: &[u8]) -> &mut Self {
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        self.0.push_str("x'");
        self.0.extend(
            bytes
                .iter()
                .flat_map(|byte| [DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 15)]])
                .map(char::from),
        );
        self.0.push('\'');
        self
    }

    /// `first` before the first of them, `between` before every other one.
    pub(super) fn each<T>(
        &mut self,
        values: impl IntoIterator<Item = T>,
        first: &'static str,
        between: &'static str,
        mut write: impl FnMut(&mut Self, T),
    ) -> &mut Self {
        for (index, value) in values.into_iter().enumerate() {
            self.words(if index == 0 { first } else { between });
            write(self, value);
        }
        self
    }

    /// Runs the statements in it; the rows of each of them.
    pub(super) async fn run(self, db: &mut MySqlConnection) -> Result<Vec<Vec<MySqlRow>>, sqlx::Error> {
        let mut results = Vec::new();
        let mut rows = Vec::new();
        let mut stream = sqlx::raw_sql(AssertSqlSafe(self.0)).fetch_many(db);
        while let Some(part) = stream.try_next().await? {
            match part {
                Either::Left(_) => results.push(std::mem::take(&mut rows)),
                Either::Right(row) => rows.push(row),
            }
        }
        Ok(results)
    }

    /// Runs its one statement; how many rows that changed.
    pub(super) async fn affected(self, db: &mut MySqlConnection) -> Result<u64, sqlx::Error> {
        Ok(sqlx::raw_sql(AssertSqlSafe(self.0)).execute(db).await?.rows_affected())
    }

    /// Runs it; the rows of its last statement.
    pub(super) async fn rows(self, db: &mut MySqlConnection) -> Result<Vec<MySqlRow>, sqlx::Error> {
        Ok(self.run(db).await?.pop().unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::Text;

    #[test]
    fn values_are_digits() {
        let mut text = Text::new("a ");
        text.number(0).words(" ").number(u64::MAX).words(" ").number(1070).words(" ");
        text.bytes(b"").words(" ").bytes(b"'\\\0\xff").letters(" g1 '\\)é+;x");
        assert_eq!(text.0, "a 0 18446744073709551615 1070 x'' x'275c00ff' g1 x");
    }
}
